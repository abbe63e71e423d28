//! Shell that runs real network managers in a test's namespaces. `$manager` and `$bus` are killed however the script
//! ends.

use crate::vm_data::first_of;

/// A guest of its own: /etc and /run are those of `$ROOT`, all else can only be read, and there is a bus on which all
/// is allowed. Below a read-only /sys no manager waits for udev, as in a container.
pub(crate) const MACHINE: &str = r#"
    cp -a /etc/alternatives /etc/group /etc/ld.so.cache /etc/passwd $ROOT/etc
    mount -t sysfs -o ro sysfs /sys 2>/dev/null || mount -o bind,ro /sys /sys
    mount --bind $ROOT $ROOT; mount -o remount,bind,ro /
    mount --bind $ROOT/etc /etc; mount --bind $ROOT/run /run
    mkdir /run/dbus
    cat >/run/bus.conf <<END
<busconfig>
    <listen>unix:path=/run/dbus/system_bus_socket</listen>
    <policy context="default">
        <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
    </policy>
</busconfig>
END
    trap 'kill -9 $manager $bus || :' EXIT
    bus=$(dbus-daemon --fork --print-pid --config-file=/run/bus.conf 2>/run/bus.log)
"#;

/// networkd, until it says that both interfaces are configured; before it starts, `files` puts its files into place.
#[allow(dead_code, reason = "not every test file runs it")]
pub(crate) fn networkd(files: &str) -> String {
    let networkd = first_of(&["/usr/lib/systemd/systemd-networkd", "/lib/systemd/systemd-networkd"]);
    format!(
        r#"{MACHINE}
        mkdir -p /run/systemd/netif; chown -R systemd-network:systemd-network /run/systemd/netif
        {files}
        SYSTEMD_LOG_TARGET=console {networkd} 2>/run/log & manager=$!
        for try in $(seq 150); do
            [ "$(grep -l '^ADMIN_STATE=configured' /run/systemd/netif/links/* 2>/dev/null | wc -l)" = 2 ] && break
            sleep 0.1
        done
        cat /run/log >&2; if grep -E 'Unknown key|Failed to parse|Invalid|ignoring' /run/log; then exit 1; fi
        "#
    )
}

/// NetworkManager, until it has activated what there is for both interfaces and their addresses are no longer
/// tentative; before it starts, `files` puts its files into place.
pub(crate) fn network_manager(files: &str) -> String {
    format!(
        r#"{MACHINE}
        mount -t tmpfs tmpfs /var/lib/NetworkManager; mkdir -p /etc/NetworkManager
        cat >/etc/NetworkManager/NetworkManager.conf <<END
[main]
plugins=keyfile
no-auto-default=*
dns=none
auth-polkit=root-only
[connectivity]
enabled=false
END
        {files}
        NetworkManager --debug --log-level=WARN 2>/run/log & manager=$!
        for try in $(seq 150); do
            [ "$(nmcli -g DEVICE,STATE connection show --active 2>/dev/null | grep -c '^eth.:activated')" = 2 ] &&
                ! ip -6 address show tentative | grep -q . && break
            sleep 0.1
        done
        cat /run/log >&2; nmcli -g NAME,DEVICE,STATE connection show >&2
        if grep '<warn>.*keyfile' /run/log; then exit 1; fi
        "#
    )
}

/// Shell that makes of a manager's files below `$ROOT` what that manager makes of them. Of formats whose program Debian
/// does not have, a small interpreter written from their documentation is the reader.
#[allow(dead_code, reason = "not every test file reads all")]
pub(crate) fn reader(style: &str) -> String {
    match style {
        "ifupdown" => IFUP.to_owned(),
        "networkd" => networkd(""),
        "keyfile" => network_manager(""),
        "netplan" => networkd(NETPLAN),
        "ifcfg" => IFCFG.to_owned(),
        "suse" => SUSE.to_owned(),
        "netifrc" => NETIFRC.to_owned(),
        "netctl" => NETCTL.to_owned(),
        other => panic!("{other} has no files"),
    }
}

/// ifup itself.
const IFUP: &str = r#"mkdir -p $ROOT/run/network
        ifquery -i $ROOT/etc/network/interfaces --state-dir $ROOT/run/network eth0 >/dev/null
        ifup -i $ROOT/etc/network/interfaces --state-dir $ROOT/run/network --no-scripts -a 1>&2"#;

/// initscripts' ifup-eth, as sysconfig.txt tells it.
const IFCFG: &str = r#"
    for file in $ROOT/etc/sysconfig/network-scripts/ifcfg-*; do (
        . $file; [ "$ONBOOT" = yes ] && [ "$BOOTPROTO" = none ]; ip link set $DEVICE address $HWADDR
        [ -z "$MTU" ] || ip link set $DEVICE mtu $MTU; ip link set $DEVICE up
        for n in "" $(seq 1 40); do
            eval "ip=\$IPADDR$n mask=\$NETMASK$n brd=\$BROADCAST$n"; [ -n "$ip" ] || continue
            ip address add $ip/$mask ${brd:+broadcast $brd} dev $DEVICE
        done
        [ "$IPV6INIT" != yes ] || for ip in $IPV6ADDR $IPV6ADDR_SECONDARIES; do ip address add $ip dev $DEVICE nodad; done
        [ -z "$GATEWAY" ] || ip route add default via $GATEWAY dev $DEVICE
        for file in route route6; do
            file=$ROOT/etc/sysconfig/network-scripts/$file-$DEVICE; [ ! -e $file ] || grep -v "^#" $file | while read line; do ip route add $line; done
        done
        [ -z "$IPV6_DEFAULTGW" ] || ip -6 route add default via ${IPV6_DEFAULTGW%\%*} dev $DEVICE
    ); done"#;

/// wicked, as ifcfg(5) and ifroute(5) tell it.
const SUSE: &str = r#"
    for file in $ROOT/etc/sysconfig/network/ifcfg-*; do (
        dev=${file##*ifcfg-}; . $file; [ "$STARTMODE" = auto ] && [ "$BOOTPROTO" = static ]
        [ -z "$MTU" ] || ip link set $dev mtu $MTU; ip link set $dev up
        for n in "" $(seq -f _%g 1 40); do
            eval "ip=\$IPADDR$n brd=\$BROADCAST$n"; [ -n "$ip" ] || continue
            case $ip in *:*) ip address add $ip dev $dev nodad;; *) ip address add $ip ${brd:+broadcast $brd} dev $dev;; esac
        done
        grep -v "^#" $ROOT/etc/sysconfig/network/ifroute-$dev | while read to via mask device; do
            [ "$device" = $dev ] && [ "$mask" = - ]
            # One that is there twice is there.
            case $via in -) ip route replace $to dev $dev;; *) ip route add $to via $via dev $dev;; esac
        done
    ); done"#;

/// netifrc, as net.example tells it.
const NETIFRC: &str = r#"
    . $ROOT/etc/conf.d/net
    for dev in eth0 eth1; do
        eval "config=\$config_$dev routes=\$routes_$dev mtu=\$mtu_$dev"
        [ -z "$mtu" ] || ip link set $dev mtu $mtu; ip link set $dev up
        [ "$config" = null ] || echo "$config" | while read line; do [ -z "$line" ] || ip address add $line dev $dev; done
        echo "$routes" | while read line; do [ -z "$line" ] || ip route add $line dev $dev; done
    done"#;

/// netctl, as netctl.profile(5) tells it: profiles are bash.
const NETCTL: &str = r#"cat >$ROOT/netctl <<'END'
    set -e
    for file in $ROOT/etc/netctl/nanova-*; do (
        . $file; [ $Connection = ethernet ]; ip link set $Interface up
        if [ "$IP" = static ]; then
            for a in "${Address[@]}"; do ip address add $a brd + dev $Interface; done
            for r in "${Routes[@]}"; do ip route add $r dev $Interface; done
            [ -z "$Gateway" ] || ip route add default via $Gateway dev $Interface
        fi
        if [ "$IP6" = static ]; then
            for a in "${Address6[@]}"; do ip address add $a dev $Interface nodad; done
            for r in "${Routes6[@]}"; do ip -6 route add $r dev $Interface; done
            [ -z "$Gateway6" ] || ip -6 route add default via $Gateway6 dev $Interface
        fi
        eval "$ExecUpPost"
    ); done
END
    bash $ROOT/netctl"#;

/// Runs netplan. A veth has no permanent address, as a VIF has.
const NETPLAN: &str = "netplan generate --root-dir $ROOT 1>&2; cat /run/systemd/network/* >&2
        sed -i s/PermanentMACAddress/MACAddress/ /run/systemd/network/*";
