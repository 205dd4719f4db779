#!/bin/sh
# Makes the secrets of docker-compose.yml in deploy/secrets: random passwords of the database's owner and of the role that services
# connect as, and the addresses that hold them. What is there stays: the database keeps the passwords that it was founded with.
# The folder is closed to other people; the files in it are readable, since each process in its container is somebody else.
set -eu

secrets=$(cd "$(dirname "$0")" && pwd)/secrets
umask 077
mkdir -p "$secrets"
chmod 700 "$secrets"
for name in postgres_password services_password; do
    if [ ! -s "$secrets/$name" ]; then
        od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$secrets/$name"
    fi
done
# address ROLE PASSWORD
address() { printf 'postgres://%s:%s@postgres:5432/earlybell' "$1" "$(cat "$secrets/$2")"; }
address earlybell postgres_password >"$secrets/database_url"
address earlybell_services services_password >"$secrets/services_url"
cd "$secrets"
chmod 644 postgres_password services_password database_url services_url
echo "$secrets: postgres_password, services_password, database_url, services_url"
