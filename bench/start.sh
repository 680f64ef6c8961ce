#!/usr/bin/env bash
# Time from the start of `wharf run` to the first row in the target, with compiled components on disk and the embedded log:
# a row is appended to a file that is followed, and the worker started. One run to warm up, ten measured; needs python3.
#   bench/start.sh [WHARF]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
wharf=$(realpath "${1:-$here/../target/release/wharf}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/worker.toml" "$work"
mkdir "$work/in"
echo secret > "$work/secret"
printf 'id,quantity\n' > "$work/in/stock.csv"
cd "$work"
python3 - "$wharf" <<'PY'
import signal, sqlite3, statistics, subprocess, sys, time

def rows():
    try:
        with sqlite3.connect("file:warehouse.sqlite?mode=ro", uri=True) as db:
            return db.execute("select count(*) from stock").fetchone()[0]
    except sqlite3.OperationalError:
        return 0

times = []
for run in range(11):
    with open("in/stock.csv", "a") as stock:
        stock.write(f"{run},1\n")
    with open("log", "w") as log:
        began = time.monotonic()
        worker = subprocess.Popen([sys.argv[1], "run", "worker.toml"], stdout=log, stderr=log)
        while rows() <= run:
            if worker.poll() is not None or time.monotonic() - began > 20:
                worker.kill()
                sys.exit("no row came:\n" + open("log").read())
            time.sleep(0.002)
        times.append((time.monotonic() - began) * 1000)
        time.sleep(0.2)
        worker.send_signal(signal.SIGTERM)
        worker.wait()
cold, warm = times[0], sorted(times[1:])
print(f"start to first row: median {statistics.median(warm):.0f} ms, {warm[0]:.0f} to {warm[-1]:.0f}; components compiled anew {cold:.0f} ms")
PY
