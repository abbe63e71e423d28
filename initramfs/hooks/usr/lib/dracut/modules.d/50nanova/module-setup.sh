#!/bin/bash
# dracut: puts nanova and xen-netfront into the image, and the hooks that set up the network and hand it over.
#
# In what form, and when, depends on what brings up the network in this image:
# * NetworkManager: its cmdline hook (99) empties /run/NetworkManager/system-connections, and it starts after pre-udev.
# * systemd-networkd: its cmdline hook (99) installs a default unless there is a file in /run/systemd/network.
# * neither: both forms, for whichever is in the real root.
# For the first two a file is written early, so that they bring up the network themselves if the boot needs it. In any
# case the network is up before the root is mounted.
# shellcheck disable=SC2154 # hostonly, initdir and moddir are dracut's

nanova_is_guest() {
    [[ "$(cat /sys/hypervisor/type 2> /dev/null)" == xen ]] && ! grep -qs control_d /proc/xen/capabilities
}

# called by dracut
check() {
    require_binaries nanova || return 1
    # An image for this machine alone has no use for it outside a Xen guest; 255: unless it is asked for.
    if [[ $hostonly ]] && ! nanova_is_guest; then
        return 255
    fi
    return 0
}

# called by dracut
depends() {
    return 0
}

# called by dracut
installkernel() {
    # hostonly would leave it out where the image is built outside a guest.
    hostonly='' instmods xen-netfront
}

# called by dracut
install() {
    local _styles=networkd,keyfile
    if dracut_module_included network-manager; then
        _styles=keyfile
        inst_hook pre-udev 50 "$moddir/nanova-files.sh"
    elif dracut_module_included systemd-networkd; then
        _styles=networkd
        inst_hook cmdline 90 "$moddir/nanova-files.sh"
    elif [[ -x ${dracutsysrootdir-}/usr/sbin/netplan ]]; then
        _styles=netplan
    fi
    if [[ -x ${dracutsysrootdir-}/sbin/ifup ]]; then
        _styles=$_styles,ifupdown
    fi
    inst_hook pre-mount 50 "$moddir/nanova-network.sh"
    inst_binary "$(find_binary nanova)" /usr/sbin/nanova
    inst_simple "${moddir%/dracut/modules.d/*}/nanova/early-network" /usr/lib/nanova/early-network
    inst_multiple -o timeout
    # Not every dracut brings what gives interfaces their final names, and an interface that is up may keep its name.
    inst_multiple -o '/usr/lib/systemd/network/*.link' '/lib/systemd/network/*.link' '/etc/systemd/network/*.link'
    mkdir -p "$initdir/etc/nanova"
    # klibc's form is the one cloud-init reads.
    echo "$_styles,klibc" > "$initdir/etc/nanova/handover"
}
