#!/usr/bin/env bash
# Prints where valgrind is. Installs it with apt-get when it is missing.
set -euo pipefail
if ! command -v valgrind >/dev/null; then
  sudo=$([[ $(id -u) -eq 0 ]] || echo sudo)
  { $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends valgrind; } >&2 ||
    { echo "valgrind.sh: valgrind is missing and apt-get could not install it: install it and run this again" >&2; exit 1; }
  command -v valgrind >/dev/null || { echo "valgrind.sh: apt-get installed no valgrind" >&2; exit 1; }
fi
command -v valgrind
