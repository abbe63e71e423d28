#!/bin/sh
# Makes a guest whose first process is busybox's init and whose agent is a service, a file that may be replaced: nanova as
# the first process refuses that. Run by inittab before anything else.
/bin/busybox mkdir -p /proc /sys /dev /usr/sbin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
# Otherwise the kernel leaves out lines of whoever writes many.
echo on >/proc/sys/kernel/printk_devkmsg
while read -r module; do
    insmod "$module"
done </etc/nanova/modules
cp /init /usr/sbin/nanova
