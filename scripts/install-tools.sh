#!/bin/sh
# Puts into .tools what `make lint` needs beyond the Rust toolchain: cargo-deny, cargo-machete, typos, check-jsonschema.
# A tool of the wanted version on the PATH or in .tools is taken as it is. Safe to run several times at once.
# Prints the folders to put on the PATH, separated by a colon, on stdout.
set -eu

tools=$(cd "$(dirname "$0")/.." && pwd)/.tools
mkdir -p "$tools/bin"
exec 9>"$tools/lock"
if command -v flock >/dev/null; then flock 9; fi

PATH=$tools/bin:$tools/typos/bin:$tools/check-jsonschema/bin:$PATH
export PATH

# cargo_tool NAME VERSION: VERSION is the leading part of it, such as 0.20.
cargo_tool() {
    # cargo-deny says "cargo-deny 0.20.1", cargo-machete "0.9.1".
    version=$("$1" --version 2>/dev/null | awk '{ print $NF }' | head -n 1)
    case $version in
    "$2" | "$2".*) ;;
    *) cargo install "$1" --version "^$2" --locked --force --root "$tools" >&2 ;;
    esac
}

cargo_tool cargo-deny 0.20
cargo_tool cargo-machete 0.9

# python_tool NAME: from PyPI, in an environment of its own.
# The program itself is asked: a launcher left on the PATH by a version manager answers `command -v`, yet does not run.
python_tool() {
    if "$1" --version >/dev/null 2>&1; then return; fi
    if ! command -v python3 >/dev/null; then
        echo "install-tools: python3 is missing, so $1 cannot be installed: install python3 and python3-venv," \
            "or put $1 on the PATH" >&2
        exit 1
    fi
    rm -rf "${tools:?}/$1"
    python3 -m venv "$tools/$1"
    "$tools/$1/bin/pip" install -q "$1" >&2
}

python_tool typos
python_tool check-jsonschema
echo "$tools/bin:$tools/typos/bin:$tools/check-jsonschema/bin"
