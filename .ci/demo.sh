#!/usr/bin/env bash
# The README's first command twice: the first run ends green, the second one goes on where it ended and moves nothing.
set -euo pipefail
work=$1
cargo run --release --locked -- demo --dir "$work/demo" | tee "$work/demo-1.txt"
tail -n 1 "$work/demo-1.txt" | grep -Eq '^read [1-9][0-9]* = delivered [0-9]+ \+ filtered [1-9][0-9]* \+ dead-lettered [1-9][0-9]*$'
cargo run --release --locked -- demo --dir "$work/demo" | tee "$work/demo-2.txt"
tail -n 1 "$work/demo-2.txt" | grep -q '^read 0 = delivered 0 + filtered 0 + dead-lettered 0$'
