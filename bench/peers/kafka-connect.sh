#!/usr/bin/env bash
# Assembles Kafka Connect with the Debezium JDBC sink in a cache and prints two lines:
#   bench/peers/kafka-connect.sh CACHE_DIR
#   1  the class path for `java -cp`; Java expands its `*`
#   2  the folder for `plugin.path`
# Kafka's jars are those of .ci/kafka.sh, in the same folder of the same cache. Needs mvn when something is missing.
set -euo pipefail

cache=${1:?usage: bench/peers/kafka-connect.sh CACHE_DIR}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kafka=$here/../../tests/support/kafka/pom.xml
debezium=$here/kafka-connect/pom.xml
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

hash() {
  sha256sum "$1" | cut -c1-12
}

# copy POM FOLDER: the dependencies of POM.
copy() {
  timeout 500 mvn -q -B -f "$1" dependency:copy-dependencies -DoutputDirectory="$2" >"$fresh.log" 2>&1 || {
    echo "kafka-connect.sh: mvn could not copy the dependencies of $1:" >&2
    cat "$fresh.log" >&2
    return 1
  }
}

# What was cut short must not pass for whole: a folder gets its name when it is complete. Whoever comes second keeps the first.
keep() {
  chmod 755 "$fresh"
  mv -T "$fresh" "$1" 2>/dev/null || [[ -d $1 ]]
}
fresh=
trap 'if [[ -n $fresh ]]; then rm -rf "$fresh" "$fresh.log"; fi' EXIT

libs=$cache/libs-$(hash "$kafka")
if [[ ! -d $libs ]]; then
  fresh=$(mktemp -d "$cache/libs.XXXXXX")
  copy "$kafka" "$fresh"
  keep "$libs"
  rm -rf "$fresh" "$fresh.log"
fi

plugins=$cache/debezium-$(hash "$debezium")
if [[ ! -d $plugins ]]; then
  fresh=$(mktemp -d "$cache/debezium.XXXXXX")
  copy "$debezium" "$fresh"
  tar -xzf "$fresh"/debezium-connector-jdbc-*-plugin.tar.gz -C "$fresh"
  rm "$fresh"/*.tar.gz
  keep "$plugins"
fi

echo "$libs/*"
echo "$plugins"
