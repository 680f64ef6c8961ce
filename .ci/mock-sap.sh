#!/usr/bin/env bash
# Starts mock-sap (S/4-shaped OData V2 and V4) for tests: .ci/mock-sap.sh CACHEDIR WORKDIR
# CACHEDIR keeps the virtual environment between runs. Prints the base URL; the pid is in WORKDIR/mock-sap.pid, the output in
# WORKDIR/mock-sap.log. User and password: sap, secret. End it with: kill "$(cat WORKDIR/mock-sap.pid)"
set -euo pipefail

version=0.22.0
cache=${1:?usage: .ci/mock-sap.sh CACHEDIR WORKDIR}
work=${2:?usage: .ci/mock-sap.sh CACHEDIR WORKDIR}
mkdir -p "$cache" "$work"
cache=$(cd "$cache" && pwd)
work=$(cd "$work" && pwd)
venv=$cache/mock-sap-venv log=$work/mock-sap.log pid_file=$work/mock-sap.pid

if [[ -f $pid_file ]] && kill -0 "$(cat "$pid_file")" 2>/dev/null; then
  echo "mock-sap runs already, pid $(cat "$pid_file")" >&2
  exit 1
fi

if [[ ! -x $venv/bin/mock-sap ]] || ! "$venv/bin/mock-sap" --version 2>/dev/null | grep -qF "$version"; then
  rm -rf "$venv"
  python3 -m venv "$venv" >&2
  "$venv/bin/pip" install --quiet --disable-pip-version-check "mock-sap==$version" >&2
fi

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# All output to a file: a server that kept this script's pipe open would hold whoever reads the URL.
nohup "$venv/bin/mock-sap" --port "$port" --auth sap:secret --quiet >"$log" 2>&1 </dev/null &
pid=$!
echo "$pid" >"$pid_file"

base=http://127.0.0.1:$port
deadline=$((SECONDS + 60))
until python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)' "$base/_mock/health" 2>/dev/null; do
  if ! kill -0 "$pid" 2>/dev/null || ((SECONDS >= deadline)); then
    echo "mock-sap did not come up; the end of $log:" >&2
    tail -n 20 "$log" >&2
    kill "$pid" 2>/dev/null || true
    rm -f "$pid_file"
    exit 1
  fi
  sleep 0.2
done
echo "$base"
