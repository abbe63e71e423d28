#!/bin/sh
# Called by libxl with add or remove as a guest's disk comes and goes; $XENBUS_PATH comes from libxl. Tells the backend
# which device is behind the disk.
export PATH=/usr/bin:/bin
case $1 in
add)
    device=$(xenstore-read "$XENBUS_PATH/params") && number=$(stat -L -c %t:%T "$device") || exit
    xenstore-write "$XENBUS_PATH/physical-device" "$number" "$XENBUS_PATH/hotplug-status" connected
    ;;
esac
