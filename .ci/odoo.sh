#!/usr/bin/env bash
# Starts Odoo 19 with sales, stock and mass mailing for tests: .ci/odoo.sh CACHEDIR WORKDIR POSTGRES
# POSTGRES is the URL of a superuser, as .ci/postgres.sh prints it; the database `odoo` is made anew there. CACHEDIR keeps the
# server (Debian's package, unpacked), its Python packages, and a dump of a database as the modules left it, so that only the
# first run takes minutes. Prints "URL DATABASE KEY"; the key is the administrator's. The pid is in WORKDIR/odoo.pid, the output in
# WORKDIR/odoo.log. End it with: kill "$(cat WORKDIR/odoo.pid)"
set -euo pipefail

modules=sale_management,stock,sale_stock,mass_mailing
usage="usage: .ci/odoo.sh CACHEDIR WORKDIR POSTGRES"
cache=${1:?$usage} work=${2:?$usage} postgres=${3:?$usage}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
requirements=$here/tests/support/odoo/requirements.txt
mkdir -p "$cache" "$work"
cache=$(cd "$cache" && pwd)
work=$(cd "$work" && pwd)
pid_file=$work/odoo.pid log=$work/odoo.log

if [[ -f $pid_file ]] && kill -0 "$(cat "$pid_file")" 2>/dev/null; then
  echo "Odoo runs already, pid $(cat "$pid_file")" >&2
  exit 1
fi

fresh=
trap 'rm -rf "$fresh"' EXIT

# The package is of Debian sid: it is unpacked beside the system, and apt is told of sid in a folder of its own. What is in the
# cache is used as it is; a copy that was cut short must not pass for a whole one, so a folder gets its name when it is complete.
server=$cache/odoo-19-$(cat "$requirements" <(echo 1) | sha256sum | cut -c1-12)
if [[ ! -d $server ]]; then
  fresh=$(mktemp -d "$cache/odoo.XXXXXX")
  mirror_of() {
    apt-get "$@" indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' | grep -v security | head -n 1 || true
  }
  mirror=$(mirror_of)
  if [[ -z $mirror ]]; then
    # apt names what it has lists of, and an image of Debian may have none: they are fetched beside the system's.
    known=(-o Dir::State::lists="$fresh/known" -o APT::Sandbox::User=root)
    mkdir -p "$fresh/known/partial"
    apt-get -qq "${known[@]}" update >&2
    mirror=$(mirror_of "${known[@]}")
    rm -rf "$fresh/known"
  fi
  [[ -n $mirror ]] || { echo "odoo.sh: apt knows no mirror of Debian: this needs a Debian system" >&2; exit 1; }
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  apt=$fresh/apt
  mkdir -p "$apt"/{lists,cache/archives}/partial
  : >"$apt/status"
  echo "deb [signed-by=$keys] $mirror sid main" >"$apt/sources.list"
  options=(-qq -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$apt/lists"
    -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update >&2
  (cd "$apt" && apt-get "${options[@]}" download odoo-19 >&2)
  dpkg-deb -f "$apt"/odoo-19_*.deb Version >"$fresh/version"
  dpkg-deb -x "$apt"/odoo-19_*.deb "$fresh/root"
  rm -rf "$apt"
  # Translations are two thirds of it.
  find "$fresh/root" -type d -name i18n -prune -exec rm -rf {} +
  chmod 755 "$fresh"
  python3 -m venv "$fresh/venv" >&2
  "$fresh/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2
  mv -T "$fresh" "$server" 2>/dev/null || [[ -d $server ]]
fi

# postgres://USER@HOST:PORT/DATABASE
[[ $postgres =~ ^postgres://([^@:/]+)@([^:/]+):([0-9]+)/ ]] || { echo "odoo.sh: $postgres is no URL of .ci/postgres.sh" >&2; exit 1; }
export PGUSER=${BASH_REMATCH[1]} PGHOST=${BASH_REMATCH[2]} PGPORT=${BASH_REMATCH[3]}
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# One process: threads for requests, none for scheduled jobs.
cat >"$work/odoo.conf" <<CONF
[options]
db_host = $PGHOST
db_port = $PGPORT
db_user = $PGUSER
db_template = template0
data_dir = $work/data
http_interface = 127.0.0.1
http_port = $port
workers = 0
max_cron_threads = 0
list_db = False
CONF
export PYTHONPATH=$server/root/usr/lib/python3/dist-packages PYTHONDONTWRITEBYTECODE=
odoo=("$server/venv/bin/python" "$server/root/usr/bin/odoo")
fail() {
  echo "odoo.sh: $1; the end of $2:" >&2
  tail -n 30 "$2" >&2
  exit 1
}

rm -rf "$work/data"
mkdir -p "$work/data"
dropdb --if-exists --force odoo 2>/dev/null
data=$cache/odoo-data-$(cat "$server/version" <(echo "$modules 1") | sha256sum | cut -c1-12)
if [[ -d $data ]]; then
  echo "odoo.sh: the database comes from the cache, $data" >&2
  createdb -T template0 odoo
  pg_restore --jobs=2 --no-owner -d odoo "$data/dump"
  cp -R "$data/files/." "$work/data"
else
  echo "odoo.sh: the cache has no database of these modules: one is made anew, which takes minutes" >&2
  fresh=$(mktemp -d "$cache/odoo.XXXXXX")
  timeout 900 "${odoo[@]}" -c "$work/odoo.conf" -d odoo -i "$modules" --stop-after-init </dev/null >"$work/init.log" 2>&1 ||
    fail "the database could not be made" "$work/init.log"
  echo "
import os
key = env['res.users.apikeys'].with_user(env.ref('base.user_admin'))._generate('rpc', 'tests', None)
env.cr.commit()
with open(os.environ['KEY_FILE'], 'w') as file:
    file.write(key)
" | KEY_FILE=$fresh/key timeout 300 "${odoo[@]}" shell -c "$work/odoo.conf" -d odoo --no-http >"$work/key.log" 2>&1 && [[ -s $fresh/key ]] ||
    fail "no API key could be made" "$work/key.log"
  pg_dump -Fc odoo -f "$fresh/dump"
  cp -R "$work/data" "$fresh/files"
  chmod 755 "$fresh"
  mv -T "$fresh" "$data" 2>/dev/null || [[ -d $data ]]
fi
key=$(cat "$data/key")

# All output to a file: a server that kept this script's pipe open would hold whoever reads the URL.
nohup "${odoo[@]}" -c "$work/odoo.conf" -d odoo </dev/null >"$log" 2>&1 &
pid=$!
echo "$pid" >"$pid_file"
url=http://127.0.0.1:$port
answers() {
  python3 - "$url" "$key" <<'PYTHON' 2>/dev/null
import sys, urllib.request
headers = {"authorization": f"bearer {sys.argv[2]}", "x-odoo-database": "odoo", "content-type": "application/json"}
request = urllib.request.Request(f"{sys.argv[1]}/json/2/res.users/search_count", b'{"domain": []}', headers)
urllib.request.urlopen(request, timeout=60)
PYTHON
}
deadline=$((SECONDS + 120))
until answers; do
  if ! kill -0 "$pid" 2>/dev/null || ((SECONDS >= deadline)); then
    kill "$pid" 2>/dev/null || true
    rm -f "$pid_file"
    fail "the server did not come up" "$log"
  fi
  sleep 0.2
done
echo "$url odoo $key"
