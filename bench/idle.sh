#!/usr/bin/env bash
# Memory of a worker with three connectors that has nothing to do: VmRSS after so many seconds (60), and what it is made of.
#   bench/idle.sh [WHARF] [SECONDS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
wharf=$(realpath "${1:-${CARGO_TARGET_DIR:-$here/../target}/release/wharf}")
work=$(mktemp -d)
trap 'kill "$worker" 2>/dev/null; wait "$worker" || true; rm -rf "$work"' EXIT
cp "$here/worker.toml" "$work"
mkdir "$work/in"
echo secret > "$work/secret"
printf 'id,quantity\n1,1\n' > "$work/in/stock.csv"
cd "$work"
"$wharf" run worker.toml > log 2>&1 &
worker=$!
# Once to fill the cache of compiled components: compiling takes memory that a usual start does not.
sleep 10
kill "$worker" || { cat log; exit 1; }
wait "$worker" || true
"$wharf" run worker.toml > log 2>&1 &
worker=$!
sleep "${2:-60}"
grep -E '^(VmRSS|VmHWM|RssAnon|RssFile|Threads)' "/proc/$worker/status"
