#!/bin/sh
# The guest's init. The disk with the state is checked and mounted as at any boot, then comes what `guest=` on the kernel's command line asks for:
# collector, or one of the steps of the control experiment. When that ends, so does the machine.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PYTHONUNBUFFERED=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
busybox ifconfig lo 127.0.0.1 up
busybox ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up

say() { echo "guest: $*"; }
off() { busybox poweroff -f; }
stay() { sleep 3600; } # until the power is cut

e2fsck -p /dev/vdb
checked=$?
[ $checked -le 1 ] || { say "fsck could not mend the disk: $checked"; off; }
mount -t ext4 /dev/vdb /state || { say "the disk could not be mounted"; off; }

collector() {
    # The pages stay on the guest's loopback; this is how the forwarded port reaches them.
    socat TCP-LISTEN:9781,bind=10.0.2.15,fork,reuseaddr TCP:127.0.0.1:9780 &
    python3 -m watchdesk_collector run --config /state/collector.toml
    say "the collector ended with exit code $?"
}

# Three ways of writing: synced; left to the page cache; past the page cache to the disk, but not flushed there.
control_write() {
    dd if=/dev/zero of=/state/unflushed bs=1M count=1 conv=fsync 2>/dev/null
    sync
    busybox yes synced | dd of=/state/synced bs=1M count=1 iflag=fullblock conv=fsync 2>/dev/null
    busybox yes cached | dd of=/state/cached bs=1M count=1 iflag=fullblock 2>/dev/null
    busybox yes unflushed | dd of=/state/unflushed bs=1M count=1 iflag=fullblock oflag=direct conv=notrunc 2>/dev/null
    say "control: written"
    stay
}

# How many lines of each are there.
control_read() {
    for file in synced cached unflushed; do
        say "control: $file $(cat /state/$file 2>/dev/null | grep -a -c "^$file$")"
    done
    say "control: read"
    stay
}

for word in $(cat /proc/cmdline); do
    case $word in guest=*) "${word#guest=}" ;; esac
done
off
