#!/bin/sh
# Puts DuckDB into .tools, for `make bench` alone: what backtests are compared with. Safe to run several times at once.
# Prints the Python that has it on stdout.
set -eu

tools=$(cd "$(dirname "$0")/.." && pwd)/.tools
mkdir -p "$tools"
exec 9>"$tools/lock"
if command -v flock >/dev/null; then flock 9; fi

if ! "$tools/duckdb/bin/python" -c "import duckdb" >/dev/null 2>&1; then
    if ! command -v python3 >/dev/null; then
        echo "install-duckdb: python3 is missing: install python3 and python3-venv" >&2
        exit 1
    fi
    rm -rf "${tools:?}/duckdb"
    python3 -m venv "$tools/duckdb"
    "$tools/duckdb/bin/pip" install -q "duckdb==2.0.1" >&2
fi
echo "$tools/duckdb/bin/python"
