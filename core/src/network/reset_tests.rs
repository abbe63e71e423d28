//! The whole of a reset on a platform in memory.

use super::*;
use crate::errno::Errno;
use crate::netlink::Link;
use crate::network::parse::tests::{private, public};
use crate::test_platform::{FakePlatform, Node};

fn guest() -> (FakePlatform, Network) {
    let mut platform = FakePlatform::with(&[("/etc/hosts", "127.0.0.1 localhost\n")]);
    let mut network = Network::new();
    network.hostname = Some("web01".try_into().unwrap());
    for (index, interface) in [(2, public()), (3, private())] {
        let name = format!("eth{}", index - 2).as_str().try_into().unwrap();
        let link = Link { index, name, mac: Some(interface.mac), up: true, mtu: 1500, ..Link::default() };
        platform.kernel.links.push(link);
        network.interfaces.push(interface).unwrap();
    }
    (platform, network)
}

fn wanted(style: Style) -> Wanted<'static> {
    Wanted { target: Target::Both, permanence: Permanence::As(style), handover: &[] }
}

fn files(platform: &FakePlatform) -> Vec<&str> {
    let files = platform.nodes.iter().filter(|(_, node)| matches!(node, Node::File { .. }));
    files.map(|(path, _)| path.as_str()).filter(|path| !path.ends_with(".bak~")).collect()
}

type Vec<T> = std::vec::Vec<T>;

#[test]
fn every_style_has_its_files() {
    let cases: [(Style, &[&str]); 9] = [
        (Style::Ifupdown, &["/etc/network/interfaces"]),
        (Style::Netplan, &["/etc/netplan/90-nanova.yaml"]),
        (
            Style::Networkd,
            &[
                "/etc/systemd/network/00-nanova-bc764e04cfe5.network",
                "/etc/systemd/network/00-nanova-bc764e04d936.network",
            ],
        ),
        (
            Style::Keyfile,
            &[
                "/etc/NetworkManager/system-connections/nanova-bc764e04cfe5.nmconnection",
                "/etc/NetworkManager/system-connections/nanova-bc764e04d936.nmconnection",
            ],
        ),
        (
            Style::Ifcfg,
            &[
                "/etc/sysconfig/network-scripts/ifcfg-eth0",
                "/etc/sysconfig/network-scripts/ifcfg-eth1",
                "/etc/sysconfig/network-scripts/route-eth1",
            ],
        ),
        (
            Style::Suse,
            &[
                "/etc/sysconfig/network/ifcfg-eth0",
                "/etc/sysconfig/network/ifcfg-eth1",
                "/etc/sysconfig/network/ifroute-eth0",
                "/etc/sysconfig/network/ifroute-eth1",
            ],
        ),
        (Style::Netifrc, &["/etc/conf.d/net"]),
        (Style::Netctl, &["/etc/netctl/nanova-eth0", "/etc/netctl/nanova-eth1"]),
        (Style::None, &[]),
    ];
    for (style, own) in cases {
        let (mut platform, network) = guest();
        let outcome = apply(&mut platform, &network, &wanted(style), Line::new(), None);
        assert!(outcome.well && outcome.complete, "{}", outcome.problems.as_str());
        let always = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
        let found: Vec<_> = files(&platform).into_iter().filter(|file| !always.contains(file)).collect();
        assert_eq!(found, own, "{}", style.name());
        assert_eq!(platform.host_name, "web01");
    }
}

#[test]
fn whatever_fails_while_files_are_staged_replaces_none() {
    let (mut before, network) = guest();
    apply(&mut before, &network, &Wanted { target: Target::Kernel, ..wanted(Style::Ifcfg) }, Line::new(), None);
    let before = before.nodes;
    let mut failures = 0;
    for operation in 1..12 {
        let (mut platform, network) = guest();
        platform.fail = Some((operation, Errno::NOSPC));
        let outcome = apply(&mut platform, &network, &wanted(Style::Ifcfg), Line::new(), None);
        if outcome.complete {
            // A look at a place that only some distributions have.
            continue;
        }
        failures += 1;
        assert!(outcome.problems.as_str().contains("(ENOSPC)"), "{}", outcome.problems.as_str());
        let left: Vec<_> = platform.nodes.iter().filter(|(_, node)| matches!(node, Node::File { .. })).collect();
        let wanted: Vec<_> = before.iter().filter(|(_, node)| matches!(node, Node::File { .. })).collect();
        assert_eq!(left, wanted, "{operation}");
    }
    assert!(failures >= 7, "{failures}");
}

#[test]
fn what_is_shown_is_not_done() {
    let (mut platform, network) = guest();
    let mut shown = std::string::String::new();
    apply(&mut platform, &network, &wanted(Style::Ifupdown), Line::new(), Some(&mut shown));
    assert!(shown.contains("add address 166.78.10.124/24 to eth0\n"), "{shown}");
    assert!(shown.contains("write /etc/network/interfaces:\n# nanova: begin"), "{shown}");
    assert_eq!(files(&platform), ["/etc/hosts"]);
    assert_eq!((platform.host_name.as_str(), platform.kernel.asked.len()), ("", 0));
}

#[test]
fn the_manager_is_told_only_of_changes() {
    let (mut platform, mut network) = guest();
    // At last nothing else happens than that the file of an interface that is gone is moved aside.
    for (interfaces, told) in [(2, 1), (2, 1), (1, 2)] {
        network.interfaces.truncate(interfaces);
        apply(&mut platform, &network, &wanted(Style::Networkd), Line::new(), None);
        assert_eq!(platform.started.len(), told);
    }
}
