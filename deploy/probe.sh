#!/bin/bash
# Asks the service of this container: `probe 9101` for /healthz, `probe 9101 /readyz` for another page. Prints the answer's
# body; ends with 0 only if the answer was 200. The image holds no HTTP client: bash itself speaks enough of it.
set -eu

port=$1
page=${2:-/healthz}
exec 3<>"/dev/tcp/127.0.0.1/$port"
# Of HTTP/1.0, the server closes the connection behind its answer: that ends the reading.
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$page" >&3
answer=$(cat <&3)
printf '%s\n' "${answer#*$'\r\n\r\n'}"
[[ $answer == HTTP/1.[01]\ 200\ * ]]
