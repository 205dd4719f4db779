#!/usr/bin/env bash
# What can be told of docker-compose.yml, deploy's scripts and Prometheus' files without an engine. That the settings in
# them are settings, and the metrics metrics, is told by `cargo test -p earlybell --test deploy`.
set -euo pipefail
cd "$(dirname "$0")/.."

PATH="$(scripts/install-tools.sh):$PATH"
export PATH

# The compose specification's own schema, which check-jsonschema carries along.
check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
sh -n deploy/make-secrets.sh
sh -n deploy/postgres/services-role.sh
bash -n deploy/probe.sh
# Prometheus' own checker is in no package registry but the system's: it has the last word where it is there.
if command -v promtool >/dev/null; then promtool check config deploy/prometheus/prometheus.yml >/dev/null; fi
