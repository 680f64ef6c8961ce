#!/usr/bin/env bash
# The fault harness, short: every path with kills and faults by one seed, then each mutant, which has to be found.
#   .ci/chaos.sh [SEED]
# Needs Kafka and PostgreSQL as .ci/kafka.sh and .ci/postgres.sh start them; it starts its own.
set -euo pipefail
cd "$(dirname "$0")/.."
chaos() { cargo run --release --locked --quiet -p wharf-chaos -- --seed "${1}" "${@:2}"; }
seed=${1:-7}

cargo test --release --locked --quiet -p wharf-chaos
chaos "$seed" --kills 30

# Each rule on the path where it is dearest, and all of them without any server.
mutants=("commit-first source" "no-transaction source" "no-cas sink" "commit-first embedded" "no-transaction embedded" "no-cas embedded")
for pair in "${mutants[@]}"; do
  read -r mutant path <<< "$pair"
  if output=$(chaos "$seed" --mutant "$mutant" --path "$path" --kills 8 2>&1); then
    printf '%s\nthe mutant %s was not found on path %s\n' "$output" "$mutant" "$path"
    exit 1
  fi
  # An exit code alone could be any failure.
  if ! grep -qE '^kills 8 .*(lost|duplicated) [1-9]' <<< "$output"; then
    printf '%s\nthe mutant %s ended the run on path %s otherwise than by what it breaks\n' "$output" "$mutant" "$path"
    exit 1
  fi
  echo "mutant $mutant on path $path found: $(tail -n 1 <<< "$output")"
done
