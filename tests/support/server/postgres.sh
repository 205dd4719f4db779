#!/bin/sh
# Runs a PostgreSQL server for server/watchdog.sh: `prepare` makes the cluster, `start` becomes the server.
# Takes $FOLDER (with settings.conf in it) and $POSTGRES_BIN (the folder of initdb and postgres).
set -eu

# PostgreSQL refuses to run as root, so root hands over to the user that its package makes.
as_server_user() {
    if [ "$(id -u)" -eq 0 ]; then
        exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
    fi
    exec "$@"
}

case $1 in
prepare)
    [ "$(id -u)" -ne 0 ] || chown postgres "$FOLDER"
    # What initdb itself writes need not survive a power cut, hence --no-sync; the server's own writes are synced.
    (as_server_user "$POSTGRES_BIN/initdb" -D "$FOLDER/data" -U postgres -A trust -E UTF8 --no-locale --no-sync)
    cat "$FOLDER/settings.conf" >>"$FOLDER/data/postgresql.conf"
    ;;
start) as_server_user "$POSTGRES_BIN/postgres" -D "$FOLDER/data" ;;
esac
