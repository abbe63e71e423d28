//! The whole of a reset on a platform in memory.

use super::*;
use crate::network::managers::registry::named;
use crate::network::source::parse::tests::{private, public};
use crate::test_platform::{FakePlatform, Node};
use crate::wire::errno::Errno;
use crate::wire::net::{Family, Ip, Mac, Prefixed, Route};
use crate::wire::netlink::{Link, PresentAddress};

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

fn wanted(style: &str) -> Wanted<'static> {
    Wanted { target: Target::Both, permanence: Permanence::As(named(style).unwrap()), handover: &[] }
}

fn files(platform: &FakePlatform) -> Vec<&str> {
    let files = platform.nodes.iter().filter(|(_, node)| matches!(node, Node::File { .. }));
    files.map(|(path, _)| path.as_str()).filter(|path| !path.ends_with(".bak~")).collect()
}

type Vec<T> = std::vec::Vec<T>;

#[test]
fn every_style_has_its_files() {
    let cases: [(&str, &[&str]); 9] = [
        ("ifupdown", &["/etc/network/interfaces"]),
        ("netplan", &["/etc/netplan/90-nanova.yaml"]),
        (
            "networkd",
            &[
                "/etc/systemd/network/00-nanova-bc764e04cfe5.network",
                "/etc/systemd/network/00-nanova-bc764e04d936.network",
            ],
        ),
        (
            "keyfile",
            &[
                "/etc/NetworkManager/system-connections/nanova-bc764e04cfe5.nmconnection",
                "/etc/NetworkManager/system-connections/nanova-bc764e04d936.nmconnection",
            ],
        ),
        (
            "ifcfg",
            &[
                "/etc/sysconfig/network-scripts/ifcfg-eth0",
                "/etc/sysconfig/network-scripts/ifcfg-eth1",
                "/etc/sysconfig/network-scripts/route-eth1",
            ],
        ),
        (
            "suse",
            &[
                "/etc/sysconfig/network/ifcfg-eth0",
                "/etc/sysconfig/network/ifcfg-eth1",
                "/etc/sysconfig/network/ifroute-eth0",
                "/etc/sysconfig/network/ifroute-eth1",
            ],
        ),
        ("netifrc", &["/etc/conf.d/net"]),
        ("netctl", &["/etc/netctl/nanova-eth0", "/etc/netctl/nanova-eth1"]),
        ("none", &[]),
    ];
    for (style, own) in cases {
        let (mut platform, mut network) = guest();
        let outcome = apply(&mut platform, &mut network, &wanted(style), Problems::new(), None);
        assert!(outcome.well && outcome.complete, "{}", outcome.problems.as_str());
        let always = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
        let found: Vec<_> = files(&platform).into_iter().filter(|file| !always.contains(file)).collect();
        assert_eq!(found, own, "{}", style);
        assert_eq!(platform.host_name, "web01");
    }
}

/// Files that several interfaces share.
const SHARED: [(&str, &str); 3] = [
    ("ifupdown", "/etc/network/interfaces"),
    ("netplan", "/etc/netplan/90-nanova.yaml"),
    ("netifrc", "/etc/conf.d/net"),
];

#[test]
fn what_a_shared_file_says_of_an_interface_that_cannot_be_read_stays_and_the_others_are_written() {
    for (style, path) in SHARED {
        let (mut platform, mut network) = guest();
        network.interfaces[0].routes.clear();
        apply(&mut platform, &mut network, &wanted(style), Problems::new(), None);
        let before = platform.text(path).to_owned();
        // The second one cannot be read any more; the first one gets another gateway, twice.
        network.interfaces.truncate(1);
        network.sound = false;
        for via in ["166.78.10.7", "166.78.10.9"] {
            let via: Ip = via.parse().unwrap();
            network.interfaces[0].routes.clear();
            network.interfaces[0].routes.push(Route { to: Prefixed::everything(via), via }).unwrap();
            let outcome = apply(&mut platform, &mut network, &wanted(style), Problems::new(), None);
            assert!(!outcome.complete, "{path}");
            let text = platform.text(path);
            for word in ["10.181.30.181", "10.208.0.0/12", "10.181.0.1", "eth1", "72.3.128.240"] {
                assert_eq!(text.matches(word).count(), before.matches(word).count(), "{word}: {text}");
            }
            let others = ["166.78.10.7", "166.78.10.9"].iter().filter(|via| text.contains(**via)).count();
            assert_eq!((text.contains(&via.to_string()), others), (true, 1), "{text}");
        }
        // What others have written there stays anyway.
        assert_eq!(platform.text("/etc/hostname"), "web01\n");
        // Once all can be read again, it is one part.
        let (_, mut whole) = guest();
        whole.interfaces[0].routes.clear();
        apply(&mut platform, &mut whole, &wanted(style), Problems::new(), None);
        assert_eq!(platform.text(path), before);
        // And an interface that is gone goes.
        network.sound = true;
        apply(&mut platform, &mut network, &wanted(style), Problems::new(), None);
        assert!(!platform.text(path).contains("10.181.30.181"), "{}", platform.text(path));
    }
    // Where each has files of its own, those of the others are written, and the one that may be its stays.
    for (style, path) in [
        ("networkd", "/etc/systemd/network/00-nanova-bc764e04d936.network"),
        ("keyfile", "/etc/NetworkManager/system-connections/nanova-bc764e04d936.nmconnection"),
        ("ifcfg", "/etc/sysconfig/network-scripts/ifcfg-eth1"),
        ("ifcfg", "/etc/sysconfig/network-scripts/ifcfg-eth1:1"),
        ("netctl", "/etc/netctl/nanova-eth1"),
    ] {
        let (mut platform, mut network) = guest();
        platform.put(path, "# Written by nanova\n");
        network.interfaces.truncate(1);
        network.sound = false;
        let count = files(&platform).len();
        apply(&mut platform, &mut network, &wanted(style), Problems::new(), None);
        assert!(files(&platform).len() > count + 2 && files(&platform).contains(&path), "{:?}", files(&platform));
    }
}

#[test]
fn an_interface_none_of_whose_addresses_can_be_read_keeps_its_files_and_its_addresses() {
    for (style, path) in SHARED {
        let (mut platform, mut network) = guest();
        apply(&mut platform, &mut network, &wanted(style), Problems::new(), None);
        let before = platform.text(path).matches("166.78.10.124").count();
        assert_eq!(before, 1);
        network.interfaces[0].addresses.clear();
        network.interfaces[0].is_unread = true;
        network.interfaces[0].dns.truncate(1);
        let address = Prefixed::new("166.78.10.124".parse().unwrap(), 24).unwrap();
        let there = PresentAddress { index: 2, address, far: address.ip, flags: 0x80 };
        platform.kernel.addresses = vec![there];
        platform.kernel.asked.clear();
        apply(&mut platform, &mut network, &wanted(style), Problems::new(), None);
        assert_eq!(platform.text(path).matches("166.78.10.124").count(), before, "{}", platform.text(path));
        assert!(!platform.kernel.asked.contains(&21), "no address goes");
        // Its name server is one all the same.
        assert!(platform.text("/etc/resolv.conf").starts_with("nameserver 72.3.128.241\n"));
    }
}

#[test]
fn whatever_fails_while_files_are_staged_replaces_none() {
    let (mut before, mut network) = guest();
    apply(&mut before, &mut network, &Wanted { target: Target::Kernel, ..wanted("ifcfg") }, Problems::new(), None);
    let before = before.nodes;
    let mut failures = 0;
    // Before them a look for each DHCP client.
    for operation in 7..18 {
        let (mut platform, mut network) = guest();
        platform.fail = Some((operation, Errno::NOSPC));
        let outcome = apply(&mut platform, &mut network, &wanted("ifcfg"), Problems::new(), None);
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
    let (mut platform, mut network) = guest();
    let mut shown = std::string::String::new();
    apply(&mut platform, &mut network, &wanted("ifupdown"), Problems::new(), Some(&mut shown));
    assert!(shown.contains("add address 166.78.10.124/24 to eth0\n"), "{shown}");
    assert!(shown.contains("write /etc/network/interfaces:\n# nanova: begin"), "{shown}");
    assert_eq!(files(&platform), ["/etc/hosts"]);
    assert_eq!((platform.host_name.as_str(), platform.kernel.asked.len()), ("", 0));
}

#[test]
fn a_family_that_is_left_to_the_guest_is_automatic_in_files() {
    let cases: [(&str, &str, [&str; 2]); 8] = [
        ("ifupdown", "/etc/network/interfaces", ["iface eth0 inet dhcp\n", "iface eth0 inet6 auto\n"]),
        ("netplan", "/etc/netplan/90-nanova.yaml", ["dhcp4: true\n", "accept-ra: true\n"]),
        ("networkd", "/etc/systemd/network/00-nanova-bc764e04cfe5.network", ["DHCP=ipv4\n", "IPv6AcceptRA=yes\n"]),
        (
            "keyfile",
            "/etc/NetworkManager/system-connections/nanova-bc764e04cfe5.nmconnection",
            ["[ipv4]\nmethod=auto\n", "[ipv6]\nmethod=auto\n"],
        ),
        ("ifcfg", "/etc/sysconfig/network-scripts/ifcfg-eth0", ["BOOTPROTO=dhcp\n", "IPV6_AUTOCONF=yes\n"]),
        ("suse", "/etc/sysconfig/network/ifcfg-eth0", ["BOOTPROTO='dhcp4'\n", "BOOTPROTO='static'\n"]),
        ("netifrc", "/etc/conf.d/net", ["dhcp\n", "config_eth0=\"166.78.10.124/24"]),
        ("netctl", "/etc/netctl/nanova-eth0", ["IP=dhcp\n", "IP6=stateless\n"]),
    ];
    for (style, path, words) in cases {
        for (family, wanted_words) in Family::BOTH.into_iter().zip(words) {
            let (mut platform, mut network) = guest();
            let interface = &mut network.interfaces[0];
            interface.left_alone[family as usize] = true;
            interface.addresses.retain(|address| address.ip.family() != family);
            interface.routes.retain(|route| route.via.family() != family);
            let outcome = apply(&mut platform, &mut network, &wanted(style), Problems::new(), None);
            assert!(outcome.complete && platform.text(path).contains(wanted_words), "{}", platform.text(path));
        }
    }
}

#[test]
fn the_files_of_a_part_of_a_bridge_stay_where_they_are() {
    let (mut platform, mut network) = guest();
    let path = "/etc/sysconfig/network-scripts/ifcfg-eth0";
    platform.put(path, "# Written by nanova from vm-data\nDEVICE=eth0\nBRIDGE=br0\n");
    let port = platform.kernel.links[0].index;
    let bridge = Link { index: 77, name: "br0".try_into().unwrap(), ..platform.kernel.links[0].clone() };
    platform.kernel.links.push(bridge);
    platform.kernel.links.iter_mut().find(|link| link.index == port).unwrap().master = 77;
    let outcome = apply(&mut platform, &mut network, &wanted("ifcfg"), Problems::new(), None);
    assert!(outcome.complete && platform.text(path).contains("BRIDGE=br0"), "{}", platform.logged());
    assert!(platform.logged().contains("bc:76:4e:04:cf:e5 is a part of br0, whose files are left alone"));
}

#[test]
fn a_dhcp_client_of_ours_is_ended_and_no_other_process() {
    let (mut platform, mut network) = guest();
    for (path, text) in [
        ("/run/dhclient.eth0.pid", "101\n"),
        ("/proc/101/comm", "dhclient\n"),
        ("/run/udhcpc.eth1.pid", "102\n"),
        ("/proc/102/comm", "somebody\n"),
        ("/run/dhcpcd/eth1.pid", "104\n"),
        ("/proc/104/comm", "dhcpcd\n"),
        ("/run/dhclient.eth7.pid", "103\n"),
        ("/proc/103/comm", "dhclient\n"),
    ] {
        platform.put(path, text);
    }
    apply(&mut platform, &mut network, &wanted("none"), Problems::new(), None);
    assert_eq!(platform.ended, [101, 104]);
    network.interfaces[0].is_unread = true;
    apply(&mut platform, &mut network, &wanted("none"), Problems::new(), None);
    assert_eq!(platform.ended, [101, 104, 104], "its address may be the one that could not be read");
}

#[test]
fn what_others_wrote_about_our_interfaces_is_moved_aside_or_told() {
    let moved = |style: &str, path: &str, text: &str| {
        let (mut platform, mut network) = guest();
        platform.put(path, text);
        let outcome = apply(&mut platform, &mut network, &wanted(style), Problems::new(), None);
        let (directory, name) = path.rsplit_once('/').unwrap();
        let aside = platform.nodes.contains_key(&format!("{directory}/.{name}.1700000000.bak~"));
        assert_eq!(platform.nodes.contains_key(path), !aside);
        assert_eq!((outcome.well, outcome.complete), (true, outcome.problems.as_str().is_empty()));
        (aside, outcome.problems.as_str().to_owned())
    };
    let stays = (false, String::new());
    let goes = (true, String::new());
    let told = |path: &str| (false, format!("{path} speaks of our interfaces, too: divide it"));
    let path = "/etc/network/interfaces.d/50-cloud-init";
    assert_eq!(moved("ifupdown", path, "auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp"), goes);
    assert_eq!(moved("ifupdown", path, "iface eth0:1 inet static\n address 192.0.2.9\n"), goes);
    assert_eq!(moved("ifupdown", path, "iface tun0 inet manual\n"), stays);
    assert_eq!(moved("ifupdown", path, "iface tun0 inet manual\niface eth1 inet dhcp\n"), told(path));
    let path = "/etc/netplan/50-cloud-init.yaml";
    assert_eq!(moved("netplan", path, "network:\n  ethernets:\n    eth0: {dhcp4: true}\n"), goes);
    assert_eq!(moved("netplan", path, "network:\n  ethernets:\n    eth0: {}\n    eth9: {}\n"), told(path));
    assert_eq!(moved("netplan", path, "network:\n  ethernets:\n    eth9: {}\n"), stays);
    let path = "/etc/sysconfig/network-scripts/ifcfg-eth0:1";
    assert_eq!(moved("ifcfg", path, "DEVICE=eth0:1\nIPADDR=192.0.2.9\n"), goes);
}

#[test]
fn what_will_be_moved_aside_is_shown_and_stays() {
    let (mut platform, mut network) = guest();
    let path = "/etc/netplan/50-cloud-init.yaml";
    platform.put(path, "network:\n  ethernets:\n    eth0: {dhcp4: true}\n");
    let mut shown = std::string::String::new();
    apply(&mut platform, &mut network, &wanted("netplan"), Problems::new(), Some(&mut shown));
    assert!(shown.ends_with(&format!("move aside {path}\n")), "{shown}");
    assert!(platform.nodes.contains_key(path));
}

#[test]
fn an_interface_that_is_not_there_takes_no_route_and_no_name_from_one_that_is() {
    let (mut platform, mut network) = guest();
    let mut gone = public();
    gone.mac = Mac([0xbc, 0x76, 0x4e, 0, 0, 1]);
    gone.addresses[0].ip = "166.78.10.4".parse().unwrap();
    network.interfaces.insert(0, gone).unwrap();
    let outcome = apply(&mut platform, &mut network, &wanted("ifupdown"), Problems::new(), None);
    assert_eq!(outcome.line.as_str().matches(" via ").count(), 2, "{}", outcome.line.as_str());
    assert!(platform.text("/etc/network/interfaces").contains("gateway 166.78.10.1\n"));
    assert!(platform.text("/etc/hosts").contains("166.78.10.124\tweb01"), "{}", platform.text("/etc/hosts"));
}

#[test]
fn network_manager_is_told_to_read_and_to_use_the_profiles() {
    let (mut platform, mut network) = guest();
    apply(&mut platform, &mut network, &wanted("keyfile"), Problems::new(), None);
    assert_eq!(
        platform.started,
        [
            "/usr/bin/nmcli connection reload",
            "/usr/bin/nmcli --wait 0 connection up uuid 6e616e6f-7661-8000-8000-bc764e04cfe5",
            "/usr/bin/nmcli --wait 0 connection up uuid 6e616e6f-7661-8000-8000-bc764e04d936",
        ]
    );
}

#[test]
fn an_agent_that_is_locked_down_says_who_was_not_told() {
    let (mut platform, mut network) = guest();
    platform.locked = true;
    platform.put("/usr/bin/nmcli", "");
    let outcome = apply(&mut platform, &mut network, &wanted("keyfile"), Problems::new(), None);
    let problems = outcome.problems.as_str();
    assert!(problems.contains("left out: /usr/bin/nmcli is not told, as nanova runs with --lockdown"), "{problems}");
    assert!(platform.started.is_empty() && outcome.complete);
}

#[test]
fn the_manager_is_told_only_of_changes() {
    let (mut platform, mut network) = guest();
    // At last nothing else happens than that the file of an interface that is gone is moved aside.
    for (interfaces, told) in [(2, 1), (2, 1), (1, 2)] {
        network.interfaces.truncate(interfaces);
        apply(&mut platform, &mut network, &wanted("networkd"), Problems::new(), None);
        assert_eq!(platform.started.len(), told);
    }
}

const KERNEL: Wanted<'static> = Wanted::of(Target::Kernel, Permanence::Nothing);

/// What came of it: whether there is a network, whether nothing failed, what there is, what went wrong.
fn outcome(platform: &mut FakePlatform, network: &mut Network, wanted: &Wanted<'_>) -> (bool, bool, String, String) {
    let outcome = apply(platform, network, wanted, Problems::new(), None);
    (outcome.well, outcome.complete, outcome.line.as_str().to_owned(), outcome.problems.as_str().to_owned())
}

type String = std::string::String;

const PUBLIC: &str = "eth0 166.78.10.124/24 2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64 via 166.78.10.1 via fe80::def";

#[test]
fn what_there_is_now_is_told_in_a_line() {
    let (mut platform, mut network) = guest();
    let line = format!("network: web01 {PUBLIC} eth1 10.181.30.181/17");
    assert_eq!(outcome(&mut platform, &mut network, &KERNEL), (true, true, line, String::new()));
    let mut network = Network::new();
    let nothing = "network: xenstore holds no interfaces".to_owned();
    assert_eq!(outcome(&mut platform, &mut network, &KERNEL), (true, true, nothing.clone(), String::new()));
    network.sound = false;
    assert_eq!(outcome(&mut platform, &mut network, &KERNEL), (false, false, nothing, String::new()));
    // Files are for devices that may be none yet.
    let (mut platform, mut network) = guest();
    platform.kernel.links.clear();
    network.hostname = None;
    network.interfaces.truncate(1);
    let line = format!("network: {}", PUBLIC.replace("eth0", "bc:76:4e:04:cf:e5"));
    let files = Wanted::of(Target::Files, Permanence::Nothing);
    assert_eq!(outcome(&mut platform, &mut network, &files), (true, true, line, String::new()));
}

#[test]
fn an_interface_that_is_not_there_is_told_and_is_no_network() {
    let (mut platform, mut network) = guest();
    platform.kernel.links.truncate(1);
    let line = format!("network: web01 {PUBLIC}");
    let why = "left out: no interface has the MAC address bc:76:4e:04:d9:36".to_owned();
    assert_eq!(outcome(&mut platform, &mut network, &KERNEL), (true, true, line, why.clone()));
    assert_eq!(platform.logged(), format!("network: {why}"));
    let (mut platform, mut network) = guest();
    platform.kernel.links.clear();
    let (well, complete, line, _) = outcome(&mut platform, &mut network, &KERNEL);
    assert_eq!((well, complete, line.as_str()), (false, false, "network: web01"));
}

#[test]
fn an_interface_that_has_none_of_its_addresses_is_no_network() {
    for (kind, problem) in [(20, "cannot add address 166.78.10.124/24 to eth0: "), (19, "cannot bring eth0 up: ")] {
        let (mut platform, mut network) = guest();
        network.interfaces.truncate(1);
        platform.kernel.links.iter_mut().for_each(|link| link.up = false);
        platform.kernel.refuses = Some((kind, Errno::PERM));
        let (well, complete, line, problems) = outcome(&mut platform, &mut network, &KERNEL);
        assert_eq!((well, complete, line.as_str()), (false, false, "network: web01"));
        assert!(problems.starts_with(problem), "{problems}");
    }
    // With one of them it is one, but not all that was wanted.
    let (mut platform, mut network) = guest();
    network.interfaces.truncate(1);
    platform.kernel.refuses_family = Some((10, Errno::PERM));
    let (well, complete, line, problems) = outcome(&mut platform, &mut network, &KERNEL);
    assert_eq!((well, complete, line.starts_with(&format!("network: web01 {PUBLIC}"))), (true, false, true));
    assert_eq!(problems.matches("cannot add ").count(), 2, "{problems}");
    // Routes that are refused take none away.
    let (mut platform, mut network) = guest();
    platform.kernel.refuses = Some((24, Errno::PERM));
    let (well, complete, line, _) = outcome(&mut platform, &mut network, &KERNEL);
    assert_eq!((well, complete, line.ends_with("eth1 10.181.30.181/17")), (true, false, true));
}

#[test]
fn a_guest_whose_owner_has_turned_ipv6_off_is_well_all_the_same() {
    for errno in [Errno::ACCES, Errno::OPNOTSUPP, Errno::AFNOSUPPORT] {
        let (mut platform, mut network) = guest();
        platform.kernel.refuses_family = Some((10, errno));
        let (well, complete, _, problems) = outcome(&mut platform, &mut network, &KERNEL);
        assert_eq!((well, complete), (true, true), "{problems}");
        assert_eq!(problems.matches("; is IPv6 turned off here?").count(), 2, "{problems}");
        assert_eq!(platform.logged(), format!("network: {problems}"));
    }
    let (mut platform, mut network) = guest();
    platform.kernel.refuses_family = Some((10, Errno::HOSTUNREACH));
    assert!(!outcome(&mut platform, &mut network, &KERNEL).1, "that may be a wrong gateway");
}

#[test]
fn a_name_that_cannot_be_set_is_told_and_the_rest_is_done() {
    let (mut platform, mut network) = guest();
    // Before it a look at the node of each device.
    platform.fail = Some((2, Errno::PERM));
    let (well, complete, _, problems) = outcome(&mut platform, &mut network, &KERNEL);
    assert_eq!((well, complete), (true, false));
    assert_eq!(problems, "cannot set the host name: operation not permitted (EPERM)");
    assert!(!platform.kernel.asked.is_empty());
    // Files alone change nothing of the running system.
    let (mut platform, mut network) = guest();
    apply(&mut platform, &mut network, &Wanted { target: Target::Files, ..wanted("ifupdown") }, Problems::new(), None);
    assert_eq!((platform.host_name.as_str(), platform.kernel.asked.len()), ("", 0));
    assert_eq!(platform.text("/etc/hostname"), "web01\n");
    // And the kernel alone no file.
    let (mut platform, mut network) = guest();
    apply(&mut platform, &mut network, &Wanted { target: Target::Kernel, ..wanted("ifupdown") }, Problems::new(), None);
    assert_eq!((platform.host_name.as_str(), files(&platform)), ("web01", vec!["/etc/hosts"]));
}

#[test]
fn a_kernel_that_does_not_tell_of_links_is_a_failure_unless_only_files_are_wanted() {
    for (target, is_well) in [(Target::Kernel, false), (Target::Files, true)] {
        let (mut platform, mut network) = guest();
        platform.kernel.silent = Some(Errno::IO);
        let (well, complete, _, problems) =
            outcome(&mut platform, &mut network, &Wanted::of(target, Permanence::Nothing));
        assert_eq!((well, complete), (is_well, is_well), "{problems}");
        let why = "cannot talk to the kernel about links: input/output error (EIO)";
        assert!(problems.contains(why), "{problems}");
    }
}

#[test]
fn what_cannot_be_told_of_the_guest_is_told_and_no_file_is_written() {
    let (mut platform, mut network) = guest();
    network.hostname = None;
    // The first look at the devices' nodes, for DHCP clients' numbers, four an interface, then for the distribution.
    platform.fail = Some((10, Errno::IO));
    let wanted = Wanted::of(Target::Both, Permanence::Detected);
    let (well, complete, _, problems) = outcome(&mut platform, &mut network, &wanted);
    assert_eq!((well, complete), (false, false));
    assert!(problems.starts_with("cannot tell which files this guest has: "), "{problems}");
    assert_eq!(files(&platform), ["/etc/hosts"]);
}

#[test]
fn a_reset_reads_the_network_anew_and_applies_it() {
    use crate::test_xenstore::FakeXenstore;
    let (mut platform, mut network) = guest();
    let value = crate::network::source::parse::tests::PRIVATE;
    let store = FakeXenstore::with(&[("vm-data/networking/BC764E04D936", value), ("vm-data/hostname", "db")]);
    let mut client = Client::new(store);
    let (complete, problems) = reset(&mut client, &mut platform, &mut network, Target::Kernel).unwrap();
    assert_eq!((complete, problems.as_str(), network.interfaces.len()), (true, "", 1));
    assert_eq!(platform.host_name, "db");
    client.transport().put("vm-data/hostname", "no name");
    let (complete, problems) = reset(&mut client, &mut platform, &mut network, Target::Kernel).unwrap();
    assert_eq!((complete, problems.as_str()), (true, "left out: vm-data/hostname is no host name: no name"));
    let asked = client.transport().asked.len();
    let (complete, problems) = reset(&mut client, &mut platform, &mut network, Target::Off).unwrap();
    assert_eq!((complete, client.transport().asked.len()), (false, asked));
    assert!(problems.as_str().contains("--network off"));
    client.transport().lose = Some((0, false));
    assert!(reset(&mut client, &mut platform, &mut network, Target::Kernel).is_err());
}

#[test]
fn an_initramfs_leaves_behind_what_the_kernel_has_and_no_part_of_a_bridge() {
    use crate::network::Handover;
    let (mut platform, mut network) = guest();
    let styles = [Handover::Networkd, Handover::Klibc];
    let wanted = Wanted { handover: &styles, ..KERNEL };
    let both = Wanted { target: Target::Both, ..wanted };
    apply(&mut platform, &mut network, &wanted, Problems::new(), None);
    assert_eq!(files(&platform), ["/etc/hosts"], "no files were wanted");
    let outcome = apply(&mut platform, &mut network, &both, Problems::new(), None);
    assert!(outcome.complete);
    let handed = |platform: &FakePlatform| files(platform).into_iter().filter(|path| path.starts_with("/run/")).count();
    assert_eq!(handed(&platform), 5);
    // Nothing where it is only shown, and of a bridge's port nothing either.
    let (mut platform, mut network) = guest();
    apply(&mut platform, &mut network, &both, Problems::new(), Some(&mut String::new()));
    assert_eq!(handed(&platform), 0);
    platform.kernel.links.push(Link { index: 9, name: "br0".try_into().unwrap(), ..platform.kernel.links[1].clone() });
    platform.kernel.links[1].master = 9;
    apply(&mut platform, &mut network, &both, Problems::new(), None);
    assert_eq!(handed(&platform), 3);
    // What cannot be written there is a failure.
    let (mut platform, mut network) = guest();
    platform.nodes.insert("/run".to_owned(), Node::Directory);
    let operations = (0..30).map(|operation| {
        let (mut platform, mut network) = guest();
        platform.fail = Some((operation, Errno::NOSPC));
        apply(&mut platform, &mut network, &both, Problems::new(), None).complete
    });
    assert!(operations.filter(|complete| !complete).count() > 10);
    apply(&mut platform, &mut network, &both, Problems::new(), None);
    assert_eq!(handed(&platform), 5);
}
