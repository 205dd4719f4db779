#!/bin/sh
# Finds PostgreSQL's server programs (initdb, postgres, pg_isready) and prints their folder, alone, on stdout.
# Looks on the PATH, then for Debian's newest version; on Debian as root it installs a missing one, else it says what to
# install. Never leaves a system cluster running: tests start servers of their own. Safe to run several times at once.
set -eu

find_programs() {
    if found=$(command -v initdb); then
        # The other programs lie beside the real file, not beside a link to it.
        dirname "$(readlink -f "$found")"
        return
    fi
    newest=$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -t / -k 5 -n | tail -n 1)
    [ -n "$newest" ] && dirname "$newest"
}

install_programs() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "install-postgres: no initdb on the PATH or in /usr/lib/postgresql: install PostgreSQL 15 or later" \
            "(Debian: apt-get install postgresql) and run this again" >&2
        exit 1
    fi
    apt-get update -q >&2
    # The server package makes and starts a cluster unless this file, which belongs to postgresql-common, says otherwise.
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends postgresql-common >&2
    sed -i 's/^#* *create_main_cluster *=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    grep -q '^create_main_cluster = false' /etc/postgresql-common/createcluster.conf ||
        echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends postgresql >&2
}

if ! find_programs; then
    tools=$(cd "$(dirname "$0")/.." && pwd)/.tools
    mkdir -p "$tools"
    exec 9>"$tools/postgres.lock"
    if command -v flock >/dev/null; then flock 9; fi
    # Another run may have installed it while this one waited.
    find_programs && exit 0
    install_programs
    if ! find_programs; then
        echo "install-postgres: the package postgresql brought no initdb: install PostgreSQL 15 or later by hand" >&2
        exit 1
    fi
fi
