#!/bin/sh
# Makes the secrets of docker-compose.yml in deploy/secrets: a random password of the database, and the address that holds
# it. What is there stays: the database keeps the password that it was founded with.
# The folder is closed to other people; the files in it are readable, since each process in its container is somebody else.
set -eu

secrets=$(cd "$(dirname "$0")" && pwd)/secrets
umask 077
mkdir -p "$secrets"
chmod 700 "$secrets"
if [ ! -s "$secrets/postgres_password" ]; then
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$secrets/postgres_password"
fi
printf 'postgres://earlybell:%s@postgres:5432/earlybell' "$(cat "$secrets/postgres_password")" >"$secrets/database_url"
chmod 644 "$secrets/postgres_password" "$secrets/database_url"
echo "$secrets: postgres_password, database_url"
