#!/bin/bash
# make_tree.sh TREE: a Debian 12 with systemd, and Watchdesk installed in it as systemd/README.md says, ready to be booted by booted_host.sh.
# Needs root, Debian's mmdebstrap, and a checkout after `make setup`. About two minutes and 600 MB; an existing TREE keeps its Debian.
set -euo pipefail
tree=$1
root=$(cd "$(dirname "$0")/../.." && pwd)

if [ ! -e "$tree/etc/debian_version" ]; then
    sources=(); for list in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do [ -s "$list" ] && sources+=("$list"); done
    mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,procps,ca-certificates,python3-venv bookworm "$tree" "${sources[@]:0:1}"
    rm -f "$tree/etc/hostname"
fi

wheels=$tree/wheels
rm -rf "$wheels" "$tree/opt/watchdesk"
mkdir -p "$wheels"
"$root/.venv/bin/pip" wheel --quiet --no-deps --no-build-isolation --wheel-dir "$wheels" "$root/proto" "$root/agent" "$root/collector"
for lock in agent collector; do
    "$root/.venv/bin/pip" download --quiet --no-deps --require-hashes --dest "$wheels" --requirement "$root/requirements/$lock.lock"
done
chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin python3 -m venv /opt/watchdesk
chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin /opt/watchdesk/bin/pip install --quiet --no-index --find-links /wheels watchdesk-agent watchdesk-collector
rm -rf "$wheels"

install -m 644 "$root"/systemd/*.service "$tree/etc/systemd/system/"
mkdir -p "$tree/etc/watchdesk"
install -m 600 /dev/stdin "$tree/etc/watchdesk/agent.token" <<< "a-token-for-a-test-host"
cat > "$tree/etc/watchdesk/collector.toml" <<'TOML'
[ingest]
token_file = "/run/credentials/watchdesk-collector.service/agent.token"
TOML
mkdir -p "$tree/etc/systemd/system/watchdesk-collector.service.d"
cat > "$tree/etc/systemd/system/watchdesk-collector.service.d/token.conf" <<'UNIT'
[Service]
LoadCredential=agent.token:/etc/watchdesk/agent.token
UNIT
cat > "$tree/etc/watchdesk/agent.toml" <<'TOML'
host = "booted"
[collector]
address = "127.0.0.1:9740"
insecure = true
token_file = "/run/credentials/watchdesk-agent.service/agent.token"
[sampling]
flush_interval = "1s"
[[log]]
name = "system"
files = ["/var/log/*.log"]
TOML
