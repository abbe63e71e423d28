#!/bin/sh
# dom0's first process: mounts, modules, then one loop that runs what the build machine asks for. All test logic is in
# Rust on the other side of the channel, a virtio serial port:
#   asked:    <number> <length of a script> <seconds it may take>\n<script>
#   answered: <number> <exit status> <uptime> <length of stdout> <length of stderr>\n<stdout><stderr>
# What a script that ran out of time has started ends with it, unless it made itself a daemon.
# A build machine that goes away closes the port, and with it this machine.
export HOME=/root
for folder in /usr/lib/xen-*/bin; do export PATH=$folder:/usr/bin:/bin:/sbin; done
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/xen /run/xenstored
while read -r module; do
    insmod "/modules/$module" || echo "dom0: $module does not load"
done </modules/order
mount -t xenfs xenfs /proc/xen
share=trans=virtio,version=9p2000.L,msize=262144
mount -t 9p -o "$share,cache=none" out /out || echo "dom0: no /out"
mount -t 9p -o "$share,cache=mmap,ro" lab /lab || echo "dom0: no /lab"

mkfifo /run/events
until set -- /dev/vport*p1 && [ -c "$1" ]; do
    sleep 0.1
done
exec 3<>"$1"
patience=3000 # the port reads as closed until the kernel has heard from the other side
while :; do
    if ! read -r number length seconds <&3; then
        patience=$((patience - 1))
        [ $patience -gt 0 ] || break
        sleep 0.1
        continue
    fi
    patience=0
    # Unlike head it takes nothing of what the build machine sends after it has given a script up.
    dd bs="$length" count=1 iflag=fullblock <&3 >/tmp/script 2>/dev/null
    rm -f /tmp/stdout /tmp/stderr # a daemon of an earlier script may still hold them
    # A session of its own, whose number is that of its first process.
    setsid timeout -s KILL "$seconds" sh /tmp/script </dev/null >/tmp/stdout 2>/tmp/stderr 3>&- &
    wait $!
    status=$?
    # Not after every script: a daemon leaves the session only after its parent has ended.
    [ $status -ne 137 ] || kill -KILL -$! 2>/dev/null
    read -r uptime idle </proc/uptime
    echo "$number $status $uptime" $(stat -c %s /tmp/stdout /tmp/stderr) >&3
    cat /tmp/stdout /tmp/stderr >&3
done
echo "dom0: the channel is closed"
poweroff -f
