#!/bin/sh
# An application in a guest: it says back what it is told on port 7, and tells the kernel's log when it was heard by dom0
# ($1 is its address) for the first time. Started as: busybox sh application.sh ADDRESS
/bin/busybox nc -ll -p 7 -e /bin/busybox cat &
until read -r carrier </sys/class/net/eth0/carrier && [ "$carrier" = 1 ] && /bin/busybox ping -c 1 -W 1 "$1"; do
    /bin/busybox usleep 10000
done >/dev/null 2>&1
echo 'application: reachable' >/dev/kmsg
wait
