#!/usr/bin/env bash
# The guest crates as arguments for cargo: every connector, what connectors share, and the guests that tests run.
set -euo pipefail
cd "$(dirname "$0")/.."
for manifest in connectors/*/Cargo.toml connectors/shared/*/Cargo.toml tests/guests/*/Cargo.toml; do
  name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$manifest" | head -n 1)
  if [ "$name" != wharf-bundle ]; then printf -- '-p\n%s\n' "$name"; fi
done
