#!/usr/bin/env bash
# Starts ClickHouse for tests: .ci/clickhouse.sh WORKDIR
# Installs the server with apt-get when it is missing. Prints the URL of its HTTP interface (user default, no password; user
# wharf with the password secret); the pid is in WORKDIR/pid, the logs in WORKDIR/*log. End it with: kill "$(cat WORKDIR/pid)"
set -euo pipefail

work=${1:?usage: .ci/clickhouse.sh WORKDIR}
deadline=60
# Debian has it in /usr/sbin, where not everybody looks.
PATH=$PATH:/usr/sbin:/usr/local/sbin

find_server() {
  local name
  for name in clickhouse-server clickhouse; do
    if command -v "$name"; then return; fi
  done
  return 1
}

if ! server=$(find_server); then
  sudo=$([[ $(id -u) -eq 0 ]] || echo sudo)
  $sudo apt-get update -qq >&2
  # Behind sudo the variable has to be set by env.
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends clickhouse-server >&2
  # The package starts a server of its own, and with each start of the machine: it is not wanted.
  if command -v systemctl >/dev/null; then $sudo systemctl disable --now clickhouse-server >&2 || true; fi
  server=$(find_server) || { echo "clickhouse.sh: apt-get installed no clickhouse-server" >&2; exit 1; }
fi
run=("$server")
if [[ $(basename "$server") == clickhouse ]]; then run+=(server); fi

mkdir -p "$work/data" "$work/tmp"
work=$(cd "$work" && pwd)

taken=()
free_port() {
  local port
  for _ in $(seq 50); do
    port=$((20000 + RANDOM % 12000))
    if [[ " ${taken[*]} " != *" $port "* ]] && ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      taken+=("$port")
      return
    fi
  done
  echo "clickhouse.sh: no free port found" >&2
  return 1
}
free_port; free_port; free_port

cat >"$work/config.xml" <<XML
<yandex>
  <logger>
    <level>information</level>
    <log>$work/log</log>
    <errorlog>$work/errorlog</errorlog>
  </logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>${taken[0]}</http_port>
  <tcp_port>${taken[1]}</tcp_port>
  <interserver_http_port>${taken[2]}</interserver_http_port>
  <path>$work/data/</path>
  <tmp_path>$work/tmp/</tmp_path>
  <mark_cache_size>67108864</mark_cache_size>
  <uncompressed_cache_size>67108864</uncompressed_cache_size>
  <max_concurrent_queries>100</max_concurrent_queries>
  <users_config>users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
</yandex>
XML
cat >"$work/users.xml" <<XML
<yandex>
  <profiles><default><max_memory_usage>1000000000</max_memory_usage></default></profiles>
  <users>
    <default>
      <password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
    </default>
    <wharf>
      <password>secret</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
    </wharf>
  </users>
  <quotas><default></default></quotas>
</yandex>
XML

cd "$work"
"${run[@]}" --config-file="$work/config.xml" </dev/null >"$work/output.log" 2>&1 &
pid=$!
echo "$pid" >"$work/pid"

base=http://127.0.0.1:${taken[0]}
for _ in $(seq $((deadline * 5))); do
  # Without curl too.
  if (exec 3<>"/dev/tcp/127.0.0.1/${taken[0]}" && printf 'GET /ping HTTP/1.0\r\n\r\n' >&3 && timeout 1 grep -q '^Ok' <&3) 2>/dev/null; then
    echo "$base"
    exit 0
  fi
  kill -0 "$pid" 2>/dev/null || { echo "clickhouse.sh: the server ended while starting:" >&2; tail -n 20 "$work"/*log >&2; exit 1; }
  sleep 0.2
done
echo "clickhouse.sh: the server was not ready in $deadline s:" >&2
tail -n 20 "$work"/*log >&2
kill "$pid"
exit 1
