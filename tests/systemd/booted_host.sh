#!/bin/bash
# booted_host.sh up TREE | run TREE COMMAND... | down TREE: boots a tree with its own systemd in namespaces, runs commands in it, shuts it down.
# Needs root and Debian's systemd-container; neither systemd nor machined of the machine itself are needed.
set -u
command=$1
tree=$(readlink -f "$2")
shift 2
pid_file=$tree.nspawn.pid

leader() { pgrep -P "$(cat "$pid_file")" | head -1; }
inside() { nsenter -t "$(leader)" -a env -i PATH=/opt/watchdesk/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb "$@"; }

case $command in
up)
    : > "$tree.console"
    # nspawn's own filter knows no Landlock, which the processes of queries lock themselves up with.
    # A private /run/systemd: without it the container and the machine's own systemd see each other.
    unshare -m --propagation private bash -c '
        mkdir -p /run/systemd; mount -t tmpfs tmpfs /run/systemd
        exec systemd-nspawn --quiet -D "$0" --volatile=overlay --boot --register=no --keep-unit --private-network --resolv-conf=off \
            --system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" --timezone=off --console=pipe' "$tree" </dev/null >>"$tree.console" 2>&1 &
    echo $! > "$pid_file"
    for _ in $(seq 600); do
        leader=$(leader 2>/dev/null)
        [ -n "${leader:-}" ] && case $(inside systemctl is-system-running 2>/dev/null) in running | degraded) exit 0 ;; esac
        kill -0 "$(cat "$pid_file")" 2>/dev/null || { cat "$tree.console" >&2; exit 1; }
        sleep 0.1
    done
    exit 1
    ;;
run) inside "$@" ;;
down)
    leader=$(leader)
    [ -n "$leader" ] && kill -s RTMIN+4 "$leader"
    for _ in $(seq 300); do
        if ! kill -0 "$(cat "$pid_file")" 2>/dev/null; then
            # nspawn leaves them where cgroup v1 and v2 are mixed
            find /sys/fs/cgroup/unified/{payload,supervisor,init.scope} -depth -type d -exec rmdir {} + 2>/dev/null
            exit 0
        fi
        sleep 0.1
    done
    kill -9 "$(cat "$pid_file")"
    ;;
esac
