#!/bin/sh
# Runs a Kafka broker for server/watchdog.sh: `prepare` formats its log folder, `start` becomes the broker.
# Takes $FOLDER (with server.properties in it), $KAFKA_LIB (the folder of the jars), $HEAP_MIB.
set -eu

# Any fixed id serves: each broker knows only its own cluster by address. (22 characters of base64, as Kafka wants it.)
cluster_id=EarlybellTestCluster0w

order=$1
case $order in
prepare)
    # A broker that is its own only controller says so; those of a cluster have their voters in the properties.
    set -- kafka.tools.StorageTool format -t "$cluster_id" -c "$FOLDER/server.properties"
    grep -q '^controller.quorum.voters=' "$FOLDER/server.properties" || set -- "$@" --standalone
    ;;
start) set -- kafka.Kafka "$FOLDER/server.properties" ;;
esac

# The first compiler and the serial collector are for a quick start on few cores.
exec java "-Xmx${HEAP_MIB}m" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData \
    -Dorg.slf4j.simpleLogger.showDateTime=true -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS \
    -cp "$KAFKA_LIB/*" "$@"
