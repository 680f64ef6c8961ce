#!/usr/bin/env bash
# Starts one Apache Kafka broker (KRaft, one node) for tests and prints its bootstrap address.
#   .ci/kafka.sh CACHE_DIR [RUN_DIR]
# CACHE_DIR keeps the jars between runs. RUN_DIR (default: CACHE_DIR/run) is emptied; it then holds the data, `broker.log`
# and `broker.pid`: end the broker with `kill "$(cat RUN_DIR/broker.pid)"`. WHARF_KAFKA_EXTRA holds further lines of
# server.properties. Needs java 17 or newer, and mvn when jars are missing.
set -euo pipefail

cache=${1:?usage: .ci/kafka.sh CACHE_DIR [RUN_DIR]}
run=${2:-$cache/run}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pom=$here/tests/support/kafka/pom.xml
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

# A copy that was cut short must not pass for a whole one: the folder gets its name when it is complete.
libs=$cache/libs-$(sha256sum "$pom" | cut -c1-12)
if [[ ! -d $libs ]]; then
  fresh=$(mktemp -d "$cache/libs.XXXXXX")
  trap 'rm -rf "$fresh"' EXIT
  timeout 500 mvn -q -B -f "$pom" dependency:copy-dependencies -DoutputDirectory="$fresh" >"$cache/mvn.log" 2>&1 ||
    { cat "$cache/mvn.log" >&2; exit 1; }
  chmod 755 "$fresh"
  mv -T "$fresh" "$libs" 2>/dev/null || [[ -d $libs ]]
fi

if [[ -f $run/broker.pid ]] && kill -0 "$(cat "$run/broker.pid")" 2>/dev/null; then
  echo "a broker runs in $run already, pid $(cat "$run/broker.pid")" >&2
  exit 1
fi
rm -rf "$run"
mkdir -p "$run/data"
run=$(cd "$run" && pwd)

free_ports() {
  java "$run/FreePorts.java"
}
# Both sockets are held at once, so that the ports differ.
cat >"$run/FreePorts.java" <<'JAVA'
public class FreePorts {
    public static void main(String[] args) throws Exception {
        try (var a = new java.net.ServerSocket(0); var b = new java.net.ServerSocket(0)) {
            System.out.println(a.getLocalPort() + " " + b.getLocalPort());
        }
    }
}
JAVA
read -r port controller < <(free_ports)

cat >"$run/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$run/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.threads=1
${WHARF_KAFKA_EXTRA:-}
PROPERTIES

export KAFKA_LOG4J_OPTS=""
java=(java -cp "$libs/*")
id=$("${java[@]}" kafka.tools.StorageTool random-uuid 2>>"$run/broker.log")
"${java[@]}" kafka.tools.StorageTool format -t "$id" -c "$run/server.properties" >>"$run/broker.log" 2>&1

(
  cd "$run"
  exec setsid "${java[@]}" -Xmx1g kafka.Kafka server.properties
) >>"$run/broker.log" 2>&1 </dev/null &
pid=$!
echo "$pid" >"$run/broker.pid"
disown "$pid"

deadline=$((SECONDS + 60))
until grep -q 'Kafka Server started' "$run/broker.log" 2>/dev/null || (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
  if ! kill -0 "$pid" 2>/dev/null || ((SECONDS > deadline)); then
    echo "the broker did not start; the end of $run/broker.log:" >&2
    tail -n 30 "$run/broker.log" >&2
    kill "$pid" 2>/dev/null || true
    exit 1
  fi
  sleep 0.2
done
echo "127.0.0.1:$port"
