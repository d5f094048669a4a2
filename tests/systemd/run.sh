#!/bin/bash
# run.sh: builds the tree (kept in /var/tmp/watchdesk-tree, or WATCHDESK_TREE) and tests the services under a real systemd. Needs root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" = 0 ] || { echo "A systemd is booted in namespaces: run this as root." >&2; exit 1; }
for tool in mmdebstrap systemd-nspawn; do
    command -v "$tool" >/dev/null || { echo "There is no $tool here: run 'apt-get install mmdebstrap systemd-container'." >&2; exit 1; }
done
export WATCHDESK_TREE=${WATCHDESK_TREE:-/var/tmp/watchdesk-tree}
echo "==> a Debian with systemd and Watchdesk in $WATCHDESK_TREE"
"$here/make_tree.sh" "$WATCHDESK_TREE"
echo "==> its services"
"$here/../../.venv/bin/pytest" -q "$here" "$@"
