#!/usr/bin/env bash
# Starts PostgreSQL for tests: .ci/postgres.sh WORKDIR
# Installs the server with apt-get when it is missing. Prints the URL of a superuser; the pid is in WORKDIR/pid, the log in
# WORKDIR/log. End it with: kill "$(cat WORKDIR/pid)"
set -euo pipefail

work=${1:?usage: .ci/postgres.sh WORKDIR}
deadline=60

find_bin() {
  local found
  found=$(find /usr/lib/postgresql -maxdepth 3 -name initdb 2>/dev/null | sort -V | tail -n 1 || true)
  if [[ -n $found ]]; then dirname "$found"; return; fi
  if found=$(command -v initdb); then dirname "$found"; return; fi
  return 1
}

if ! bin=$(find_bin); then
  sudo=$([[ $(id -u) -eq 0 ]] || echo sudo)
  $sudo apt-get update -qq >&2
  # Behind sudo the variable has to be set by env.
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >&2
  bin=$(find_bin) || { echo "postgres.sh: apt-get installed no initdb under /usr/lib/postgresql" >&2; exit 1; }
fi

mkdir -p "$work"
work=$(cd "$work" && pwd)

# PostgreSQL refuses to run as root.
run=()
if [[ $(id -u) -eq 0 ]]; then
  chown postgres "$work"
  run=(setpriv --reuid postgres --regid "$(id -g postgres)" --clear-groups env HOME="$work")
fi

free_port() {
  local port
  for _ in $(seq 50); do
    port=$((20000 + RANDOM % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  echo "postgres.sh: no free port found" >&2
  return 1
}

cd "$work"
[[ -s data/PG_VERSION ]] || "${run[@]}" "$bin/initdb" -D "$work/data" -U wharf -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$work/initdb.log" 2>&1 \
  || { cat "$work/initdb.log" >&2; exit 1; }
port=$(free_port)
"${run[@]}" "$bin/postgres" -D "$work/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$work" \
  -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200 </dev/null >"$work/log" 2>&1 &
pid=$!
echo "$pid" >"$work/pid"

for _ in $(seq $((deadline * 5))); do
  if "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" -U wharf -d postgres; then
    echo "postgres://wharf@127.0.0.1:$port/postgres"
    exit 0
  fi
  kill -0 "$pid" 2>/dev/null || { echo "postgres.sh: the server ended while starting:" >&2; tail -n 20 "$work/log" >&2; exit 1; }
  sleep 0.2
done
echo "postgres.sh: the server was not ready in $deadline s:" >&2
tail -n 20 "$work/log" >&2
kill "$pid"
exit 1
