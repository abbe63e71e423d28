//! Each style's files, read back by the program that owns the format, in a fresh network namespace: what that program
//! makes of them must be what nanova had made of vm-data directly. Of formats whose program Debian does not have, a
//! small interpreter written from their documentation is the reader.

mod managers;
mod vm_data;

use anyhow::Result;
use managers::reader;
use vm_data::{Guest, LINKS, PRIVATE, PUBLIC, succeeded};

/// Shell: addresses, routes and MTU, without what the kernel makes by itself, metrics and who made them. (To an address
/// that is a network by itself ifup adds it as its own broadcast address, which says nothing.)
const STATE: &str = r#"
    for dev in eth0 eth1; do
        ip -o address show dev $dev scope global | awk '{print $2, $4, ($5=="brd" && $4 != $6 "/32" ? $6 : "-")}' | sort
        echo $dev mtu $(ip link show $dev | sed -n 's/.* mtu \([0-9]*\).*/\1/p')
    done
    (ip route; ip -6 route) | grep ' via ' | sed 's/^\(.* via [^ ]* dev [^ ]*\).*/\1/' | sort
"#;

/// The values that the toolstack writes about the two interfaces.
fn scenes() -> [(&'static str, String, String); 5] {
    let several = r#"{"ips":[{"ip":"192.0.2.5","netmask":"255.255.255.0"},{"ip":"192.0.2.6","netmask":"255.255.255.0"},
        {"ip":"198.51.100.9","netmask":"255.255.255.128"}],"gateway":"192.0.2.1","dns":["9.9.9.9"],
        "ip6s":[{"ip":"2001:db8::5","netmask":64},{"ip":"2001:db8::6","netmask":"64"},{"ip":"2001:db8:1::5","netmask":48}],
        "gateway_v6":"2001:db8::1","routes":[{"route":"203.0.113.0","netmask":"255.255.255.0","gateway":"198.51.100.1"}]}"#;
    let far = r#"{"ips":[{"ip":"192.0.2.7","netmask":"255.255.255.255"}],"gateway":"198.51.100.1"}"#;
    let six = r#"{"ip6s":[{"ip":"2001:db8::5","netmask":64}],"gateway_v6":"fe80::1"}"#;
    let mtu = r#"{"mtu":1400,"ips":[{"ip":"192.0.2.5","netmask":"255.255.255.0"}],"gateway":"192.0.2.1"}"#;
    [
        ("the two of a real guest", PUBLIC.to_owned(), PRIVATE.to_owned()),
        ("several addresses", several.to_owned(), PRIVATE.to_owned()),
        ("a far gateway", far.to_owned(), PRIVATE.to_owned()),
        ("IPv6 alone", six.to_owned(), PRIVATE.to_owned()),
        ("an MTU", mtu.to_owned(), PRIVATE.to_owned()),
    ]
}

/// Compares, for every scene, what nanova made of vm-data with what their reader makes of its files.
fn agrees(style: &str) -> Result<()> {
    let reader = reader(style);
    for (scene, public, private) in scenes() {
        let guest = Guest::bare()?;
        guest.write("hostname", "web01.example.org")?;
        guest.write("networking/BC764E04CFE5", &public)?;
        guest.write("networking/BC764E04D936", &private)?;
        let ours = succeeded(&guest.shell(&format!("{LINKS}$NANOVA --style {style}\n{STATE}"))?);
        let output = guest.shell(&format!("{LINKS}{reader}\n{STATE}"))?;
        let theirs = succeeded(&output);
        assert_eq!(theirs, ours, "{scene}, as {style}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(ours.lines().count() >= 5, "{ours}");
    }
    Ok(())
}

#[test]
#[ignore = "needs ifupdown, iproute2 and root"]
fn ifup_of_debian() -> Result<()> {
    agrees("ifupdown")
}

#[test]
#[ignore = "needs systemd, dbus, iproute2 and root"]
fn networkd_itself() -> Result<()> {
    agrees("networkd")
}

#[test]
#[ignore = "needs network-manager, dbus, iproute2 and root"]
fn network_manager_itself() -> Result<()> {
    agrees("keyfile")
}

#[test]
#[ignore = "needs netplan.io, systemd, dbus, iproute2 and root"]
fn netplan_and_networkd() -> Result<()> {
    agrees("netplan")
}

#[test]
#[ignore = "needs iproute2 and root"]
fn ifcfg_files_by_their_documentation() -> Result<()> {
    agrees("ifcfg")
}

#[test]
#[ignore = "needs iproute2 and root"]
fn suses_files_by_their_documentation() -> Result<()> {
    agrees("suse")
}

#[test]
#[ignore = "needs iproute2 and root"]
fn gentoos_file_by_its_documentation() -> Result<()> {
    agrees("netifrc")
}

#[test]
#[ignore = "needs bash, iproute2 and root"]
fn netctls_profiles_by_their_documentation() -> Result<()> {
    agrees("netctl")
}

#[test]
#[ignore = "needs iproute2 and root"]
fn a_second_run_skips_every_file_and_one_that_is_gone_is_moved_aside() -> Result<()> {
    for style in ["ifupdown", "netplan", "networkd", "keyfile", "ifcfg", "suse", "netifrc", "netctl", "none"] {
        let guest = Guest::new()?;
        succeeded(&guest.shell(&format!("{LINKS}$NANOVA --style {style}"))?);
        let before = guest.root.files();
        let output = guest.shell(&format!("{LINKS}$NANOVA --style {style}"))?;
        succeeded(&output);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("skipping /etc/hosts (no changes)") && !said.contains("staging"), "{style}: {said}");
        assert_eq!(guest.root.files(), before, "{style}");
        let home = guest.xenstored.home().to_owned();
        guest.xenstored.host().rm(&format!("{home}/vm-data/networking/BC764E04D936"))?;
        let output = guest.shell(&format!("{LINKS}$NANOVA --style {style}"))?;
        succeeded(&output);
        let after = guest.root.files();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        for file in after.iter().filter(|file| file.starts_with("etc/") && !file.ends_with(".bak~")) {
            assert!(!guest.root.text(&format!("/{file}")).contains("10.181.30.181"), "{style}: {file}\n{said}");
        }
        let own_file = ["networkd", "keyfile", "ifcfg", "suse", "netctl"].contains(&style);
        assert_eq!(said.contains("moving aside"), own_file, "{style}: {said}");
        assert!(after.iter().all(|file| !file.contains(".nanova.new")), "{after:?}");
    }
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn a_file_that_somebody_else_wrote_for_a_device_that_is_there_stays() -> Result<()> {
    let guest = Guest::new()?;
    let scripts = guest.root.join("etc/sysconfig/network-scripts");
    std::fs::create_dir_all(&scripts)?;
    for device in ["eth2", "eth3", "tun0"] {
        std::fs::write(scripts.join(format!("ifcfg-{device}")), format!("DEVICE={device}\nBOOTPROTO=dhcp\n"))?;
    }
    let other = "ip link add eth2 type veth peer name far\n";
    succeeded(&guest.shell(&format!("{LINKS}{other}$NANOVA --style ifcfg"))?);
    let there = |device: &str| scripts.join(format!("ifcfg-{device}")).exists();
    assert_eq!(["eth0", "eth1", "eth2", "eth3", "tun0"].map(there), [true, true, true, false, true]);
    Ok(())
}
