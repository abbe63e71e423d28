//! A network manager that runs while the network is changed is told to read the new files, and does; the command that
//! wrote them has ended before.

mod managers;
mod vm_data;

use anyhow::Result;
use managers::{MACHINE, network_manager, networkd};
use vm_data::{Guest, LINKS, PUBLIC, succeeded};

/// Shell: in the place of a program one that notes in /run/told how it was called, and becomes the program (if it is
/// kept in /run/real) only when /run/go is there.
const STAND_IN: &str = r#"
    cat >/run/stand-in <<'END'
#!/bin/sh
echo "$0 $*" >>/run/told
for try in $(seq 200); do [ -e /run/go ] && break; sleep 0.1; done
[ ! -e /run/real ] || exec /run/real "$@"
END
    chmod 755 /run/stand-in
    soon() { for try in $(seq 100); do "$@" && return; sleep 0.1; done; return 1; }
"#;

/// Has a manager run with the files of a first `nanova network`, then runs it again for what the host has changed:
/// eth0's address and name server, and eth1 is gone. `reads` prints what the manager has read: the new files only once
/// the program that tells it may go on, which is after the command's end. What the kernel has got stays.
fn reads_what_changed(
    style: &str,
    manager: &str,
    program: &str,
    reads: &str,
    [before, after]: [&str; 2],
) -> Result<()> {
    let guest = Guest::new()?;
    succeeded(&guest.shell(&format!("{LINKS}$NANOVA --network files --style {style}"))?);
    guest.write(
        "networking/BC764E04CFE5",
        &PUBLIC.replace("166.78.10.124", "166.78.10.125").replace("72.3.128.241", "9.9.9.9"),
    )?;
    let home = guest.xenstored.home().to_owned();
    guest.xenstored.host().rm(&format!("{home}/vm-data/networking/BC764E04D936"))?;
    let script = format!(
        r#"{LINKS}{manager}{STAND_IN}
        reads() {{ {reads}; }}
        has_read() {{ [ "$(reads)" = "{after}" ]; }}
        reads
        cp {program} /run/real; mount --bind /run/stand-in {program}
        $NANOVA --root / --style {style} >/run/said 2>&1; cat /run/said >&2
        soon test -e /run/told; umount -l {program}
        reads
        touch /run/go; soon has_read
        reads
        ip -o address show dev eth0 | grep -o '166.78.10.[0-9]*/24'"#
    );
    let shown = succeeded(&guest.shell(&script)?);
    assert_eq!(shown, format!("{before}\n{before}\n{after}\n166.78.10.125/24\n"));
    Ok(())
}

#[test]
#[ignore = "needs network-manager, dbus, iproute2 and root"]
fn network_manager_reads_what_changed() -> Result<()> {
    let reads = "nmcli -g NAME connection show | grep nanova | sort | xargs
        nmcli -g ipv4.dns connection show nanova-bc764e04cfe5";
    let states = [
        "nanova-bc764e04cfe5 nanova-bc764e04d936\n72.3.128.241,72.3.128.240",
        "nanova-bc764e04cfe5\n9.9.9.9,72.3.128.240",
    ];
    reads_what_changed("keyfile", &network_manager(""), "/usr/bin/nmcli", reads, states)
}

#[test]
#[ignore = "needs systemd, dbus, iproute2 and root"]
fn networkd_reads_what_changed() -> Result<()> {
    let reads = "networkctl --no-pager list | awk '/eth[01]/ {print $2, $5}' | sort | xargs
        sed -n 's/^DNS=\\(.\\)/\\1/p' /run/systemd/netif/links/*";
    let states = [
        "eth0 configured eth1 configured\n72.3.128.241 72.3.128.240",
        "eth0 configured eth1 unmanaged\n9.9.9.9 72.3.128.240",
    ];
    reads_what_changed("networkd", &networkd(""), "/usr/bin/networkctl", reads, states)
}

#[test]
#[ignore = "needs network-manager, netplan.io, systemd, dbus, iproute2 and root"]
fn each_is_told_in_its_own_words_and_only_of_changes() -> Result<()> {
    // The host's command finds netplan by itself where that is installed.
    for (command, told) in [
        ("$NANOVA --style ifupdown", ""),
        ("$NANOVA --style netplan", "/usr/sbin/netplan apply\n"),
        ("$AGENT", "/usr/sbin/netplan apply\n"),
        ("$NANOVA --style networkd", "/usr/bin/networkctl reload\n"),
        (
            "$NANOVA --style keyfile",
            "/usr/bin/nmcli connection reload
/usr/bin/nmcli --wait 0 connection up uuid 6e616e6f-7661-8000-8000-bc764e04cfe5
/usr/bin/nmcli --wait 0 connection up uuid 6e616e6f-7661-8000-8000-bc764e04d936
",
        ),
        ("$NANOVA --style ifcfg", "/usr/bin/nmcli connection reload\n"),
        ("$NANOVA --style none", ""),
    ] {
        let guest = Guest::new()?;
        let home = guest.xenstored.home().to_owned();
        for request in [1, 2] {
            let request = format!("{home}/data/host/{request}");
            guest.xenstored.host().write(&request, r#"{"name":"resetnetwork","value":""}"#)?;
        }
        let script = format!(
            r#"{LINKS}{MACHINE}{STAND_IN}
            for program in /usr/bin/nmcli /usr/bin/networkctl /usr/sbin/netplan; do
                mount --bind /run/stand-in $program
            done
            touch /run/go /run/told
            {command} --root / >/run/said 2>&1; cat /run/said >&2
            [ -z "{told}" ] || soon test -s /run/told
            {command} --root / >/run/said 2>&1
            sleep 0.3; cat /run/told"#
        );
        assert_eq!(succeeded(&guest.shell(&script)?), told, "{command}");
    }
    Ok(())
}
