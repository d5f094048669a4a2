#!/bin/busybox sh
# The guest's first program: loads the drivers, mounts the read-only root, and hands over to guest_init.sh.
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox echo "guest: boots"
for module in /modules/*; do /bin/busybox insmod "$module"; done
/bin/busybox mount -t ext4 -o ro,noload /dev/vda /root
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/guest-init
