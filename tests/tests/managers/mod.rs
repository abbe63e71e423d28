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
