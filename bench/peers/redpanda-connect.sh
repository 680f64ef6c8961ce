#!/usr/bin/env bash
# Finds or builds Redpanda Connect and prints three lines:
#   bench/peers/redpanda-connect.sh CACHE_DIR
#   1  the program
#   2  its name and version for a table of results
#   3  the argument that stands before the configuration: PROGRAM ARGUMENT FILE.yaml
# Without `redpanda-connect` in the PATH, its ancestor Benthos is built from redpanda-connect/ into CACHE_DIR; that needs go.
set -euo pipefail

cache=${1:?usage: bench/peers/redpanda-connect.sh CACHE_DIR}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/redpanda-connect

if found=$(command -v redpanda-connect); then
  version=$(timeout 30 "$found" --version | sed -n 's/^Version: v\{0,1\}//p')
  echo "$found"
  echo "Redpanda Connect ${version:-of unknown version}"
  echo run
  exit 0
fi

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
program=$cache/benthos-$(cat "$here"/{main.go,go.mod,go.sum} | sha256sum | cut -c1-12)
# A build that was cut short must not pass for a whole one: the file gets its name when it is complete.
if [[ ! -x $program ]]; then
  fresh=$(mktemp -d "$cache/benthos.XXXXXX")
  trap 'rm -rf "$fresh"' EXIT
  # A dependency reaches into the runtime by its symbols, which go 1.23 and newer forbid unless told otherwise.
  flags='-s -w'
  if [[ $(go env GOVERSION) =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 23)); then
    flags+=' -checklinkname=0'
  fi
  (cd "$here" && timeout 1500 go build -mod=readonly -trimpath -ldflags="$flags" -o "$fresh/benthos" .) >"$fresh/log" 2>&1 || {
    echo "redpanda-connect.sh: go could not build $here:" >&2
    cat "$fresh/log" >&2
    exit 1
  }
  mv "$fresh/benthos" "$program"
fi

version=$(sed -n 's|.*github.com/benthosdev/benthos/v4 v||p' "$here/go.mod" | head -n 1)
echo "$program"
echo "Benthos $version (ancestor of Redpanda Connect)"
echo -c
