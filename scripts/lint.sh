#!/usr/bin/env bash
# Formatting, clippy, documentation, dependencies, deployment files and spelling: warnings are errors.
set -euo pipefail
cd "$(dirname "$0")/.."

PATH="$(scripts/install-tools.sh):$PATH"
export PATH RUSTDOCFLAGS="-D warnings"

cargo fmt --all --check
cargo clippy --locked --workspace --all-targets -- -D warnings
cargo doc --workspace --no-deps --document-private-items --quiet
cargo deny check bans licenses sources
cargo machete
scripts/check-deploy.sh
typos
