#!/usr/bin/env bash
# Starts the real servers that tests use and prints the environment that names them. Argument: a folder for their data, logs
# and process ids (NAME/*.pid), which the caller ends. By hand: eval "$(.ci/servers.sh /tmp/servers)".
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$1
export WHARF_CI_CACHE="${WHARF_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wharf-ci}"
mkdir -p "$work" "$WHARF_CI_CACHE"
postgres=$("$here/postgres.sh" "$work/postgres")
# Odoo takes longest, so the others start meanwhile.
"$here/odoo.sh" "$WHARF_CI_CACHE" "$work/odoo" "$postgres" > "$work/odoo.address" &
odoo=$!
kafka=$("$here/kafka.sh" "$WHARF_CI_CACHE" "$work/kafka")
sap=$("$here/mock-sap.sh" "$WHARF_CI_CACHE" "$work/mock-sap")
clickhouse=$("$here/clickhouse.sh" "$work/clickhouse")
mailchimp=$("$here/prism.sh" "$WHARF_CI_CACHE" "$work/prism")
wait "$odoo"
read -r odoo_url odoo_database odoo_key < "$work/odoo.address"
printf 'export WHARF_TEST_KAFKA=%q\nexport WHARF_TEST_POSTGRES=%q\nexport WHARF_TEST_MOCK_SAP=%q\n' "$kafka" "$postgres" "$sap"
printf 'export WHARF_TEST_CLICKHOUSE=%q\nexport WHARF_TEST_MAILCHIMP=%q\n' "$clickhouse" "$mailchimp"
printf 'export WHARF_TEST_ODOO=%q\nexport WHARF_TEST_ODOO_DB=%q\nexport WHARF_TEST_ODOO_KEY=%q\n' "$odoo_url" "$odoo_database" "$odoo_key"
