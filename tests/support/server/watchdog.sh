#!/bin/sh
# Owns one server of a test and its temporary folder, and outlives the test process to clear both away.
# Takes: a name for the folder, the server's script (called with `prepare`, then `start`), the signal that ends the server
# at the end; then orders, a line each, on stdin. Gives: the folder on stdout, then one line an order.
# The end of stdin, which comes however the test process ends, kill -9 included, ends the server and removes the folder.
set -u

name=$1
script=$2
last_signal=$3

# A test process that dies while its server is frozen leaves a process group with a stopped member and no parent, to which the
# kernel sends a hang-up; a reader that is gone makes writing fail. Neither may keep the clearing-away from happening.
trap '' HUP PIPE

FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/earlybell-$name.XXXXXX") || exit 1
export FOLDER
log=$FOLDER/server.log
server=

# Sleeping runs a program, and waiting for it makes every shell also take notice of a server that has ended.
is_running() {
    [ -n "$server" ] && sleep "$1" && kill -0 "$server" 2>/dev/null
}

# A stopped process acts on nothing but KILL, so it is woken as well; what has not ended after ten seconds is killed.
end_server() {
    [ -n "$server" ] || return 0
    kill -s "$1" "$server" 2>/dev/null
    kill -s CONT "$server" 2>/dev/null
    tries=0
    while is_running 0.02; do
        tries=$((tries + 1))
        [ "$tries" -ne 500 ] || kill -s KILL "$server" 2>/dev/null
    done
    server=
}

echo "$FOLDER"
while read -r order argument; do
    case $order in
    prepare) sh "$script" prepare </dev/null >>"$log" 2>&1 && echo ok || echo failed ;;
    start)
        sh "$script" start </dev/null >>"$log" 2>&1 &
        server=$!
        echo ok
        ;;
    status) is_running 0 && echo ok || { server= && echo failed; } ;;
    signal) [ -n "$server" ] && kill -s "$argument" "$server" 2>/dev/null && echo ok || echo failed ;;
    end) end_server "$argument" && echo ok || echo failed ;;
    *) echo failed ;;
    esac
done

end_server "$last_signal"
# A server that was killed may have helpers which write for a moment longer.
rm -rf "$FOLDER" || { sleep 1 && rm -rf "$FOLDER"; }
