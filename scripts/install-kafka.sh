#!/bin/sh
# Puts the jars of a real Apache Kafka into .tools/kafka/lib and prints that folder, alone, on stdout.
# Takes nothing; does nothing when the jars of the present pom.xml are there. Safe to run several times at once.
# On Debian as root it installs a missing Java or Maven; elsewhere it says what to install.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
pom=$here/kafka/pom.xml
home=$(dirname "$here")/.tools/kafka
lib=$home/lib
# A copy of the pom.xml that the jars came from: written last, so its presence means that they are complete.
installed=$home/installed.pom.xml
wanted_java=17

java_major() {
    # "17.0.15" and "1.8.0_392" are both in use: the second is Java 8.
    java -version 2>&1 | sed -n 's/.* version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n 1
}

java_is_missing() {
    ! command -v java >/dev/null || [ "$(java_major || true)" -lt "$wanted_java" ] 2>/dev/null
}

may_install_packages() {
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null
}

require() {
    what=$1
    package=$2
    if ! may_install_packages; then
        echo "install-kafka: $what is missing: install it (Debian: apt-get install $package) and run this again" >&2
        exit 1
    fi
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$package" >&2
}

mkdir -p "$home"
exec 9>"$home/lock"
if command -v flock >/dev/null; then flock 9; fi

if java_is_missing; then
    require "java $wanted_java or later" openjdk-17-jre-headless
    if java_is_missing; then
        echo "install-kafka: java on the PATH is older than $wanted_java: put a newer one first" >&2
        exit 1
    fi
fi

if ! cmp -s "$pom" "$installed"; then
    command -v mvn >/dev/null || require "maven (mvn)" maven
    rm -rf "$home/lib.new" "$installed"
    mvn -q -B -f "$pom" dependency:copy-dependencies -DoutputDirectory="$home/lib.new" >&2
    rm -rf "$lib"
    mv "$home/lib.new" "$lib"
    cp "$pom" "$installed"
fi
echo "$lib"
