//! vm-data's hostname and network end up in the kernel; iproute2 judges. Each test has a network namespace of its own.

mod vm_data;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nanova_tests::agent::binary;
use serde_json::Value;
use vm_data::{Guest, LINKS, succeeded};

/// `ip -j` of addresses: device, address and prefix, broadcast.
fn addresses(json: &str) -> Result<Vec<String>> {
    let links: Value = serde_json::from_str(json)?;
    let mut found = Vec::new();
    for link in links.as_array().into_iter().flatten() {
        let name = link["ifname"].as_str().unwrap_or_default();
        for address in link["addr_info"].as_array().into_iter().flatten().filter(|address| address["scope"] == "global")
        {
            let broadcast = address["broadcast"].as_str().unwrap_or("-");
            let ip = address["local"].as_str().unwrap_or_default();
            found.push(format!("{name} {ip}/{} {broadcast}", address["prefixlen"]));
        }
    }
    Ok(found)
}

/// `ip -j` of routes: those through a gateway.
fn routes(json: &str) -> Result<Vec<String>> {
    let routes: Value = serde_json::from_str(json)?;
    let routes = routes.as_array().into_iter().flatten().filter(|route| route["gateway"].is_string());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(routes.map(|route| [&route["dst"], &route["gateway"], &route["dev"]].map(text).join(" ")).collect())
}

const SHOW: &str = "ip -j address; ip -j -4 route; ip -j -6 route; ip -j link; uname -n\n";

fn assert_all_set_up(shown: &str) -> Result<()> {
    let lines: Vec<_> = shown.lines().collect();
    let [all_addresses, ipv4, ipv6, links, name] = lines[..] else { panic!("{shown}") };
    assert_eq!(
        addresses(all_addresses)?,
        [
            "eth0 166.78.10.124/24 166.78.10.255",
            "eth0 166.78.11.7/32 -",
            "eth0 2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64 -",
            "eth1 10.181.30.181/17 10.181.127.255",
        ]
    );
    assert_eq!(routes(ipv4)?, ["default 166.78.10.1 eth0", "10.208.0.0/12 10.181.0.1 eth1"]);
    assert_eq!(routes(ipv6)?, ["default fe80::def eth0"]);
    let links: Value = serde_json::from_str(links)?;
    for link in links.as_array().into_iter().flatten() {
        assert!(link["flags"].as_array().is_some_and(|flags| flags.contains(&"UP".into())), "{link}");
    }
    assert_eq!(name, "web01.example.org");
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn addresses_routes_and_the_host_name_are_there_and_a_second_time_changes_nothing() -> Result<()> {
    let guest = Guest::new()?;
    for times in ["$NANOVA --wait 5\n", "$NANOVA\n$NANOVA --network kernel\n"] {
        assert_all_set_up(&succeeded(&guest.shell(&format!("{LINKS}{times}{SHOW}"))?))?;
    }
    assert_eq!(guest.files(), Vec::<String>::new());
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn interfaces_that_come_late_are_waited_for_and_no_longer() -> Result<()> {
    let guest = Guest::new()?;
    let began = Instant::now();
    let script = format!("(sleep 1; {LINKS}) & $NANOVA --wait 30; wait\n{SHOW}");
    assert_all_set_up(&succeeded(&guest.shell(&script)?))?;
    assert!((Duration::from_secs(1)..Duration::from_secs(10)).contains(&began.elapsed()), "{:?}", began.elapsed());
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn a_mac_that_nothing_carries_is_warned_about_and_the_others_go_on() -> Result<()> {
    let guest = Guest::new()?;
    guest.write("networking/020000000099", r#"{"ips":[{"ip":"192.0.2.1","netmask":"255.255.255.0"}]}"#)?;
    guest.write("networking/020000000098", "not JSON")?;
    let began = Instant::now();
    let output = guest.shell(&format!("{LINKS}$NANOVA --wait 1 --handover klibc\n{SHOW}"))?;
    assert_all_set_up(&succeeded(&output))?;
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("no interface has the MAC address 02:00:00:00:00:99"), "{said}");
    assert!(said.contains("vm-data/networking/020000000098: not a JSON object"), "{said}");
    assert!((Duration::from_secs(1)..Duration::from_secs(8)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(guest.files(), ["run/net-eth0.conf", "run/net-eth1.conf", "run/net6-eth0.conf"]);
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn none_of_the_interfaces_is_a_failure_with_one_line() -> Result<()> {
    let guest = Guest::new()?;
    let output = guest.shell("$NANOVA --wait 0 --handover klibc,networkd")?;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr)?;
    assert!(said.lines().count() == 1 && said.contains("no interface has the MAC address"), "{said}");
    assert_eq!(guest.files(), Vec::<String>::new());
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn a_kernel_without_ipv6_gets_the_rest() -> Result<()> {
    let guest = Guest::new()?;
    let off = "for one in all default; do echo 1 >/proc/sys/net/ipv6/conf/$one/disable_ipv6; done\n";
    let output = guest.shell(&format!("{off}{LINKS}$NANOVA\nip -j address; ip -j -4 route"))?;
    let shown = succeeded(&output);
    let (shown, routed) = shown.split_once('\n').unwrap_or_default();
    assert_eq!(addresses(shown)?.len(), 3);
    assert_eq!(routes(routed)?.len(), 2);
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("cannot add address 2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64 to eth0"), "{said}");
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn a_gateway_outside_of_all_networks_works() -> Result<()> {
    let guest = Guest::bare()?;
    let value = r#"{"ips":[{"ip":"192.0.2.7","netmask":"255.255.255.255"}],"gateway":"198.51.100.1"}"#;
    guest.write("networking/BC764E04CFE5", value)?;
    let shown = succeeded(&guest.shell(&format!("{LINKS}$NANOVA; ip -j route"))?);
    assert_eq!(routes(shown.lines().last().unwrap_or_default())?, ["default 198.51.100.1 eth0"]);
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn the_loopback_comes_up_whatever_xenstore_holds() -> Result<()> {
    let lo = "ip -o link show lo | grep -c '<.*UP.*>' || :\n";
    for (value, options, up) in
        [(None, "", "1"), (Some("not JSON"), "", "1"), (None, "--network files", "0"), (None, "--dry-run", "0")]
    {
        let guest = Guest::bare()?;
        if let Some(value) = value {
            guest.write("networking/BC764E04CFE5", value)?;
        }
        let shown = succeeded(&guest.shell(&format!("$NANOVA {options} >&2 || :\n{lo}"))?);
        assert_eq!(shown.trim(), up, "{value:?} {options}");
    }
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn below_another_root_the_kernel_keeps_its_network_and_its_name_unless_that_is_asked_for() -> Result<()> {
    for asked in [false, true] {
        for command in ["$NANOVA", "$AGENT"] {
            let guest = Guest::new()?;
            let home = guest.xenstored.home();
            guest.xenstored.host().write(&format!("{home}/data/host/1"), r#"{"name":"resetnetwork","value":""}"#)?;
            let plain = format!("$(echo \"{command}\" | sed 's/ --network both//') >&2");
            let command = if asked { format!("{command} >&2") } else { plain };
            let shown = succeeded(&guest.shell(&format!("{LINKS}hostname before\n{command}\n{SHOW}"))?);
            if asked {
                assert_all_set_up(&shown)?;
            } else {
                let lines: Vec<_> = shown.lines().collect();
                assert_eq!((addresses(lines[0])?, lines[4]), (Vec::new(), "before"), "{shown}");
            }
            assert_eq!(guest.root.text("/etc/hostname"), "web01.example.org\n");
        }
    }
    Ok(())
}

/// The lines of initramfs/vm-data.md that a person types, in the section of this heading.
fn typed(heading: &str) -> Result<String> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../initramfs/vm-data.md"))?;
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).context("no such section")?;
    Ok(section.lines().filter(|line| line.starts_with("xenstore-write ")).map(|line| format!("{line}\n")).collect())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn what_the_documentation_has_a_person_type_does_what_it_says() -> Result<()> {
    let public = ["eth0 192.0.2.5/24 192.0.2.255", "eth0 2001:db8::5/64 -"];
    let cases = [
        (
            "Interfaces in nova's form",
            Some("eth1 10.181.30.181/17 10.181.127.255"),
            Some("10.208.0.0/12 10.181.0.1 eth1"),
        ),
        ("Interfaces in Ansible's form", None, None),
    ];
    for (heading, other, route) in cases {
        let guest = Guest::bare()?;
        let home = guest.xenstored.home().to_owned();
        guest.xenstored.host().write(&format!("{home}/device/vif/0/mac"), "bc:76:4e:04:cf:e5")?;
        let host = guest.xenstored.host_socket().display().to_string();
        let write = format!("write() {{ {} xenstore write --xenbus {host} \"$@\"; }}", binary().display());
        // A function of a shell has no dash in its name.
        let typed = format!("{}{}", typed("The name")?, typed(heading)?).replace("xenstore-write ", "write ");
        let shown = succeeded(&guest.shell(&format!("{write}\nD={home}\n{typed}\n{LINKS}$NANOVA >&2\n{SHOW}"))?);
        let lines: Vec<_> = shown.lines().collect();
        let [all_addresses, ipv4, ipv6, _, name] = lines[..] else { panic!("{shown}") };
        assert_eq!(addresses(all_addresses)?, public.into_iter().chain(other).collect::<Vec<_>>(), "{heading}");
        let default = "default 192.0.2.1 eth0";
        assert_eq!(routes(ipv4)?, [default].into_iter().chain(route).collect::<Vec<_>>(), "{heading}");
        assert_eq!((routes(ipv6)?, name), (vec!["default fe80::1 eth0".to_owned()], "web01.example.org"), "{heading}");
    }
    Ok(())
}
