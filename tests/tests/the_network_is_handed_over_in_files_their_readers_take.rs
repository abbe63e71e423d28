//! What `nanova network --handover` leaves below /run, judged by the programs that read it in the real root.

mod managers;
mod vm_data;

use std::process::Command;

use anyhow::Result;
use managers::network_manager;
use serde_json::Value;
use vm_data::{Guest, LINKS, first_of, succeeded};

/// What a program says on standard output.
fn said(command: &mut Command) -> Result<String> {
    Ok(succeeded(&command.output()?))
}

#[test]
#[ignore = "needs root"]
fn before_there_are_interfaces_files_name_them_by_their_mac() -> Result<()> {
    let guest = Guest::new()?;
    succeeded(&guest.network("--network files --handover networkd,keyfile,netplan --wait 5")?);
    assert_eq!(
        guest.files(),
        [
            "run/NetworkManager/system-connections/nanova-bc764e04cfe5.nmconnection",
            "run/NetworkManager/system-connections/nanova-bc764e04d936.nmconnection",
            "run/netplan/90-nanova.yaml",
            "run/systemd/network/00-nanova-bc764e04cfe5.network",
            "run/systemd/network/00-nanova-bc764e04d936.network",
        ]
    );
    for (file, mode) in guest.files().iter().zip([0o600, 0o600, 0o600, 0o644, 0o644]) {
        assert_eq!(guest.root.mode(file), mode, "{file}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn without_vm_data_nothing_is_written() -> Result<()> {
    let guest = Guest::bare()?;
    succeeded(&guest.network("--handover klibc,networkd,keyfile,netplan --wait 5")?);
    guest.write("hostname", "alone")?;
    assert_eq!(succeeded(&guest.shell("$NANOVA --handover klibc; uname -n")?), "alone\n");
    assert_eq!(guest.files(), Vec::<String>::new());
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn a_dry_run_prints_and_does_nothing() -> Result<()> {
    let guest = Guest::new()?;
    let printed = succeeded(&guest.shell("before=$(uname -n); $NANOVA --dry-run; [ $before = $(uname -n) ]")?);
    assert!(printed.contains(" bc:76:4e:04:d9:36 10.181.30.181/17"), "{printed}");
    assert_eq!(guest.files(), Vec::<String>::new());
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn a_shell_sources_klibcs_files() -> Result<()> {
    let guest = Guest::new()?;
    let source = "for file in $RUN/net*.conf; do sh -n $file; . $file; done
        echo $DEVICE $IPV4ADDR $IPV4NETMASK $DEVICE6 $IPV6ADDR/$IPV6NETMASK $HOSTNAME $DNSDOMAIN";
    assert_eq!(
        succeeded(&guest.shell(&format!("{LINKS}$NANOVA --handover klibc; rm $RUN/net-eth1.conf\n{source}"))?),
        "eth0 166.78.10.124 255.255.255.0 eth0 2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64 web01 example.org\n"
    );
    Ok(())
}

#[test]
#[ignore = "needs iproute2, root and cloud-init"]
fn cloud_init_takes_klibcs_files() -> Result<()> {
    let guest = Guest::new()?;
    succeeded(&guest.shell(&format!("{LINKS}$NANOVA --handover klibc"))?);
    let reader = "import glob, json, sys
from cloudinit.net import cmdline
files = sorted(glob.glob(sys.argv[1] + '/net*.conf'))
assert cmdline.KlibcNetworkConfigSource(files, {}, 'root=/dev/xvda ip=off').is_applicable()
print(json.dumps(cmdline.config_from_klibc_net_cfg(files=files, mac_addrs={'eth0': 'bc:76:4e:04:cf:e5'})))";
    let mut python = Command::new("/usr/bin/python3");
    let config: Value = serde_json::from_str(&said(python.args(["-c", reader]).arg(guest.root.join("run")))?)?;
    let public = &config["config"][0];
    assert_eq!((&public["name"], &public["mac_address"]), (&"eth0".into(), &"bc:76:4e:04:cf:e5".into()));
    let (ipv4, ipv6) = (&public["subnets"][0], &public["subnets"][1]);
    assert_eq!((&ipv4["type"], &ipv4["address"]), (&"static".into(), &"166.78.10.124".into()));
    assert_eq!((&ipv4["netmask"], &ipv4["gateway"]), (&"255.255.255.0".into(), &"166.78.10.1".into()));
    assert_eq!(ipv4["dns_nameservers"], serde_json::json!(["72.3.128.241", "72.3.128.240"]));
    assert_eq!((&ipv6["type"], &ipv6["netmask"]), (&"static".into(), &"64".into()), "{config:#}");
    Ok(())
}

#[test]
#[ignore = "needs ifupdown, iproute2 and root"]
fn ifup_leaves_alone_what_is_noted_to_be_up() -> Result<()> {
    let guest = Guest::new()?;
    std::fs::create_dir_all(guest.root.join("etc/network"))?;
    let installed = "auto eth0\niface eth0 inet static\n    address 166.78.10.124/24\n";
    std::fs::write(guest.root.join("etc/network/interfaces"), installed)?;
    let ifup = "--no-scripts -i $ROOT/etc/network/interfaces --state-dir $RUN/network";
    let said = succeeded(&guest.shell(&format!(
        "{LINKS}$NANOVA --handover klibc; mkdir -p $RUN/network
        ifup {ifup} -a 2>&1 && exit 9
        rm -r $RUN/network; $NANOVA --handover ifupdown,klibc
        ifup {ifup} -a 2>&1; ifquery {ifup} --state eth0 eth1; cat $RUN/network/ifstate.eth1"
    ))?);
    assert!(said.contains("Address already assigned") && said.ends_with("eth0=eth0\neth1=eth1\neth1\n"), "{said}");
    Ok(())
}

#[test]
#[ignore = "needs netplan.io and root"]
fn netplan_merges_its_file_with_what_an_installer_wrote() -> Result<()> {
    let guest = Guest::new()?;
    std::fs::create_dir_all(guest.root.join("etc/netplan"))?;
    let installed = "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n";
    std::fs::write(guest.root.join("etc/netplan/50-cloud-init.yaml"), installed)?;
    succeeded(&guest.shell(&format!("{LINKS}$NANOVA --handover netplan"))?);
    let output = Command::new("netplan").args(["generate", "--root-dir"]).arg(guest.root.path()).output()?;
    succeeded(&output);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("Error"), "{output:?}");
    let public = guest.root.text("/run/systemd/network/10-netplan-eth0.network");
    for line in [
        "Address=166.78.10.124/24",
        "Address=166.78.11.7/32",
        "Address=2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64",
        "DNS=72.3.128.241",
        "Gateway=166.78.10.1",
        "Gateway=fe80::def",
    ] {
        assert!(public.lines().any(|present| present.eq_ignore_ascii_case(line)), "{line} in {public}");
    }
    assert!(!public.contains("DHCP=ipv4") && !public.contains("DHCP=yes"), "{public}");
    let private = guest.root.text("/run/systemd/network/10-netplan-eth1.network");
    assert!(private.contains("Destination=10.208.0.0/12\nGateway=10.181.0.1"), "{private}");
    Ok(())
}

#[test]
#[ignore = "needs network-manager and root"]
fn network_manager_reads_its_keyfile_and_says_the_same() -> Result<()> {
    let guest = Guest::new()?;
    succeeded(&guest.network("--network files --handover keyfile --wait 5")?);
    let read = |mac: &str, fields: &str| -> Result<String> {
        let path = guest.root.join(&format!("run/NetworkManager/system-connections/nanova-{mac}.nmconnection"));
        let file = std::fs::File::open(path)?;
        let fields = ["--offline", "--terse", "connection", "modify"].into_iter().chain(fields.split(' '));
        said(Command::new("nmcli").args(fields).stdin(file))
    };
    // Nothing is changed by this, so what comes out is what was understood.
    let public = read("bc764e04cfe5", "connection.autoconnect yes")?;
    for line in [
        "uuid=6e616e6f-7661-8000-8000-bc764e04cfe5",
        "type=ethernet",
        "mac-address=BC:76:4E:04:CF:E5",
        "address2=166.78.11.7/32",
        "dns=72.3.128.241;72.3.128.240;",
        "method=manual",
    ] {
        assert!(public.lines().any(|present| present == line), "{line} in {public}");
    }
    assert!(public.contains("166.78.10.124/24") && public.contains("166.78.10.1\n"), "{public}");
    assert!(public.contains("2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64") && public.contains("fe80::def"), "{public}");
    let private = read("bc764e04d936", "connection.autoconnect yes")?;
    assert!(private.contains("route1=10.208.0.0/12,10.181.0.1") && private.contains("method=ignore"), "{private}");
    Ok(())
}

#[test]
#[ignore = "needs network-manager, dbus, iproute2 and root"]
fn network_manager_takes_the_interfaces_over_that_have_their_addresses() -> Result<()> {
    let guest = Guest::new()?;
    let manager =
        network_manager("$NANOVA --handover keyfile --root / 1>&2; ip -o address show scope global >/run/before");
    let script = format!(
        "{LINKS}{manager}
        nmcli -g NAME,DEVICE connection show --active | grep -v ':lo$' | sort
        ip -o address show scope global | sed 's/ tentative//; s/ valid_lft.*//' >/run/after
        sed -i 's/ tentative//; s/ valid_lft.*//' /run/before; diff /run/before /run/after >&2; nmcli -g ip4.dns device show eth0"
    );
    let shown = succeeded(&guest.shell(&script)?);
    assert_eq!(shown, "nanova-bc764e04cfe5:eth0\nnanova-bc764e04d936:eth1\n72.3.128.241 | 72.3.128.240\n");
    Ok(())
}

#[test]
#[ignore = "needs iproute2, root and systemd"]
fn networkd_takes_over_without_changing_an_address() -> Result<()> {
    let guest = Guest::new()?;
    let networkd = first_of(&["/usr/lib/systemd/systemd-networkd", "/lib/systemd/systemd-networkd"]);
    // With a read-only /sys networkd does not wait for udev, as in a container.
    let script = format!(
        "{LINKS}$NANOVA --handover networkd
        ip -o address >$RUN/before
        mount -o bind,ro /sys /sys 2>/dev/null || mount -t sysfs -o ro sysfs /sys
        mkdir $RUN/real; mount -t tmpfs tmpfs $RUN/real; mkdir -p $RUN/real/systemd/netif $RUN/real/dbus
        cp -r $RUN/systemd/network $RUN/real/systemd/
        chown -R systemd-network $RUN/real/systemd/netif
        mkdir $RUN/monitor; ip -o monitor address >$RUN/changes & monitor=$!
        mount --bind $RUN/real /run
        SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console {networkd} 2>$RUN/real/log & networkd=$!
        for try in $(seq 100); do
            grep -q '^ADMIN_STATE=configured' /run/systemd/netif/links/* 2>/dev/null \\
                && ! grep -L '^ADMIN_STATE=configured' $(grep -l NETWORK_FILE /run/systemd/netif/links/*) | grep -q . && break
            sleep 0.1
        done
        cat /run/systemd/netif/links/*; echo ---; ip -j address; ip -j route; kill $networkd $monitor; cat /run/log >&2"
    );
    let output = guest.shell(&script)?;
    let shown = succeeded(&output);
    let log = String::from_utf8_lossy(&output.stderr);
    for bad in ["Unknown key", "Failed to parse", "Invalid", "ignoring"] {
        let complaints = log.lines().filter(|line| line.contains(".network:") && line.contains(bad)).count();
        assert_eq!(complaints, 0, "{log}");
    }
    assert_eq!(shown.matches("00-nanova-bc764e04").count(), 2, "{shown}\n{log}");
    assert_eq!(shown.matches("ADMIN_STATE=configured").count(), 2, "{shown}\n{log}");
    for address in ["166.78.10.124", "166.78.11.7", "2001:4800:7810:512:e38a:a8b5:ff04:cfe5", "10.181.30.181"] {
        assert!(shown.contains(address), "{address} in {shown}");
    }
    let changes = guest.root.text("/run/changes");
    assert!(!changes.contains("Deleted"), "{changes}");
    Ok(())
}
