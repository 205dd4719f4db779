#!/bin/sh
# Fuzzes every parser of outside bytes by coverage, so many seconds each (the first argument; 600 unless told, an hour in all), two at a time. Further
# arguments name targets. Builds on the stable toolchain. What is found lies in target/fuzz/found; corpora are kept beside it.
set -eu
cd "$(dirname "$0")/.."

seconds=${1:-600}
[ $# -eq 0 ] || shift
tools=$(pwd)/.tools
PATH=$tools/bin:$PATH
# A program of its own: without link-time optimisation it is built in minutes.
export PATH CARGO_PROFILE_RELEASE_LTO=off
if ! cargo fuzz --version 2>/dev/null | grep -q ' 0\.13'; then
    cargo install cargo-fuzz --version '^0.13' --locked --force --root "$tools" >&2
fi
target=${CARGO_TARGET_DIR:-$(pwd)/target}
export CARGO_TARGET_DIR="$target/fuzz"
cargo fuzz build --fuzz-dir tests/fuzz --sanitizer none --features libfuzzer >&2

host=$(rustc -vV | sed -n 's/^host: //p')
[ $# -gt 0 ] || set -- $(ls tests/fuzz/seeds)
for name; do echo "$name"; done | xargs -P 2 -I NAME sh -c '
    name=$1; found=$2/found/$name; corpus=$2/corpus/$name
    mkdir -p "$found" "$corpus"
    if "$2/$3/release/$name" "$corpus" "tests/fuzz/seeds/$name" -max_total_time="$4" -max_len=16384 -timeout=10 \
        -artifact_prefix="$found/" -print_final_stats=1 >"$found/log" 2>&1; then
        echo "$name: $(sed -n "s/^stat::number_of_executed_units: *//p" "$found/log") inputs, nothing found"
    else
        echo "$name: see $found"
        exit 1
    fi
' sh NAME "$CARGO_TARGET_DIR" "$host" "$seconds"
