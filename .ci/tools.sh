#!/usr/bin/env bash
# The tools of .ci/run that are no part of the toolchain, at fixed versions, into WHARF_CI_CACHE.
set -euo pipefail
typos=1.52.0 deny=0.20.2
tools="$WHARF_CI_CACHE/tools" python="$WHARF_CI_CACHE/python"
if [ ! -x "$python/bin/pip" ]; then python3 -m venv "$python"; fi
if ! "$python/bin/typos" --version 2>/dev/null | grep -q "$typos"; then "$python/bin/pip" install --quiet "typos==$typos"; fi
if ! "$tools/bin/cargo-deny" --version 2>/dev/null | grep -q "$deny"; then
  CARGO_TARGET_DIR="$WHARF_CI_CACHE/tools-target" cargo install --quiet --locked --root "$tools" --version "$deny" cargo-deny
  rm -rf "$WHARF_CI_CACHE/tools-target"
fi
