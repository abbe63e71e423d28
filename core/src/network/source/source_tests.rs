//! The network as a xenstore in memory holds it.

use super::*;
use crate::network::problems::tests::Lines;
use crate::test_xenstore::FakeXenstore;
use crate::wire::net::Family;
use crate::wire::xenstore::MessageType;
use crate::xenstore::Lost;

/// What is read, in a line an interface, and what was wrong.
fn read(store: FakeXenstore) -> Result<(Network, String, String), Error> {
    let mut network = Network::new();
    let (mut problems, mut log) = (Problems::new(), Lines::default());
    network.read(&mut Client::new(store), &mut log, &mut problems)?;
    let problems = problems.message(&mut log).as_str().to_owned();
    let mut lines = String::new();
    for interface in &network.interfaces {
        lines += &format!("{}", interface.mac);
        interface.addresses.iter().for_each(|address| lines += &format!(" {address}"));
        interface.routes.iter().for_each(|route| lines += &format!(" {}>{}", route.to, route.via));
        interface.dns.iter().for_each(|server| lines += &format!(" dns {server}"));
        for (family, words) in Family::BOTH.into_iter().zip([" no v4", " no v6"]) {
            lines += if interface.speaks_of(family) { "" } else { words };
        }
        lines += "\n";
    }
    Ok((network, lines, problems))
}

fn shown(nodes: &[(&str, &str)]) -> (String, String, bool) {
    let (network, lines, problems) = read(FakeXenstore::with(nodes)).unwrap();
    (lines, problems, network.sound)
}

const FIRST: (&str, &str) = (
    "vm-data/networking/020000000001",
    r#"{"ips":[{"ip":"10.0.0.5","netmask":24}],"gateway":"10.0.0.1","dns":["9.9.9.9"]}"#,
);
const SECOND: (&str, &str) =
    ("vm-data/networking/020000000002", r#"{"ip6s":[{"ip":"2001:db8::5","netmask":64}],"gateway_v6":"fe80::1"}"#);

#[test]
fn a_host_that_says_nothing_leaves_all_to_the_guest() {
    let (network, lines, problems) = read(FakeXenstore::with(&[])).unwrap();
    assert_eq!((network, lines.as_str(), problems.as_str()), (Network::new(), "", ""));
}

#[test]
fn name_and_interfaces_are_read_in_the_order_of_the_directory() {
    let (network, lines, problems) =
        read(FakeXenstore::with(&[SECOND, FIRST, ("vm-data/hostname", "web01\n")])).unwrap();
    assert_eq!(network.hostname.as_deref(), Some("web01"));
    assert_eq!(
        lines,
        "02:00:00:00:00:01 10.0.0.5/24 0.0.0.0/0>10.0.0.1 dns 9.9.9.9\n02:00:00:00:00:02 2001:db8::5/64 ::/0>fe80::1\n"
    );
    assert_eq!((problems.as_str(), network.sound), ("", true));
}

#[test]
fn a_name_that_is_none_is_told_and_an_empty_one_is_not() {
    let (network, _, problems) = read(FakeXenstore::with(&[("vm-data/hostname", "a b")])).unwrap();
    assert_eq!((network.hostname, problems.as_str()), (None, "left out: vm-data/hostname is no host name: a b"));
    let (network, _, problems) = read(FakeXenstore::with(&[("vm-data/hostname", "")])).unwrap();
    assert_eq!((network.hostname, problems.as_str()), (None, ""));
}

#[test]
fn an_interface_that_makes_no_sense_is_left_out_and_told() {
    let (lines, problems, sound) = shown(&[FIRST, ("vm-data/networking/x", "{}"), ("vm-data/networking/y", "")]);
    assert_eq!(lines, "02:00:00:00:00:01 10.0.0.5/24 0.0.0.0/0>10.0.0.1 dns 9.9.9.9\n");
    assert_eq!(
        problems,
        "left out: vm-data/networking/x: no MAC address in its name; vm-data/networking/y: not a JSON object"
    );
    assert!(!sound);
}

#[test]
fn of_too_many_interfaces_the_first_ones_count() {
    let mut store = FakeXenstore::with(&[]);
    for number in 1..=8 {
        store.put(&format!("vm-data/networking/02000000000{number}"), "{}");
    }
    let (network, lines, problems) = read(core::mem::take(&mut store)).unwrap();
    assert_eq!((lines.lines().count(), problems.as_str(), network.sound), (8, "", true));
    let mut store = FakeXenstore::with(&[]);
    for number in 1..=9 {
        store.put(&format!("vm-data/networking/02000000000{number}"), "{}");
    }
    let (network, lines, problems) = read(store).unwrap();
    assert_eq!((lines.lines().count(), network.sound), (8, false));
    assert_eq!(problems, "left out: vm-data/networking/020000000009: too many interfaces");
    // So many that not even their names have room.
    let mut store = FakeXenstore::with(&[]);
    for number in 10..40 {
        store.put(&format!("vm-data/networking/0200000000{number}"), "{}");
    }
    let (network, lines, problems) = read(store).unwrap();
    assert_eq!((lines.lines().count(), network.sound), (8, false));
    assert!(problems.starts_with("left out: vm-data/networking: too many interfaces; "), "{problems}");
}

#[test]
fn an_interface_that_is_removed_meanwhile_is_none() {
    let mut store = FakeXenstore::with(&[FIRST, SECOND]);
    // The name, the list, and then the first value.
    store.meanwhile.push((2, FIRST.0, None));
    let (network, lines, problems) = read(store).unwrap();
    assert_eq!((lines.as_str(), problems.as_str()), ("02:00:00:00:00:02 2001:db8::5/64 ::/0>fe80::1\n", ""));
    assert!(network.sound);
}

#[test]
fn what_may_not_be_read_is_an_error_and_not_a_guest_without_a_network() {
    for (kind, path) in [
        (MessageType::READ, "vm-data/hostname"),
        (MessageType::DIRECTORY, "vm-data/networking"),
        (MessageType::READ, "vm-data/networking"),
    ] {
        let mut store = FakeXenstore::with(&[FIRST]);
        store.refuses.push((kind, path, "EACCES"));
        assert!(matches!(read(store), Err(Error::Refused(_))), "{kind:?} {path}");
    }
    for requests in 0..4 {
        let mut store = FakeXenstore::with(&[FIRST]);
        store.lose = Some((requests, false));
        assert!(matches!(read(store), Err(Error::Lost(Lost::Closed))), "{requests}");
    }
}

#[test]
fn of_twins_the_first_one_counts() {
    let twin = ("vm-data/networking/020000000009", r#"{"mac":"02:00:00:00:00:01"}"#);
    let (lines, problems, sound) = shown(&[FIRST, twin]);
    assert_eq!((lines.lines().count(), problems.as_str(), sound), (2, "", true), "the name of the node is its address");
    let twin = ("vm-data/networking/vif9", r#"{"mac":"02:00:00:00:00:01"}"#);
    let (lines, problems, sound) = shown(&[FIRST, twin, SECOND]);
    assert_eq!(
        lines,
        "02:00:00:00:00:01 10.0.0.5/24 0.0.0.0/0>10.0.0.1 dns 9.9.9.9\n02:00:00:00:00:02 2001:db8::5/64 ::/0>fe80::1\n"
    );
    assert_eq!((problems.as_str(), sound), ("left out: 02:00:00:00:00:01 is there twice; the first one counts", false));
}

/// Keys of the setting of VIF 0, which has the first interface's address.
fn set(keys: &[(&str, &str)], vm_data: &[(&str, &str)]) -> (String, bool) {
    let mut store = FakeXenstore::with(vm_data);
    for (key, value) in keys.iter().chain(&[("mac", "02:00:00:00:00:01")]) {
        store.put(&format!("xenserver/device/vif/0/static-ip-setting/{key}"), value);
    }
    let (network, lines, problems) = read(store).unwrap();
    assert_eq!(problems, "");
    (lines, network.sound)
}

#[test]
fn what_the_toolstack_sets_stands_in_for_its_family_and_leaves_the_other() {
    let v4 = [("enabled", "1"), ("address", "10.0.0.77/16"), ("gateway", "10.0.0.2")];
    let v6 = [("enabled6", "1"), ("address6", "2001:db8::77/64"), ("gateway6", "fe80::7")];
    let both = r#"{"ips":[{"ip":"10.0.0.5","netmask":24}],"gateway":"10.0.0.1","dns":["9.9.9.9"],
        "ip6s":[{"ip":"2001:db8::5","netmask":64}],"gateway_v6":"fe80::1"}"#;
    let vm_data = [(FIRST.0, both)];
    assert_eq!(
        set(&v4, &vm_data).0,
        "02:00:00:00:00:01 2001:db8::5/64 10.0.0.77/16 ::/0>fe80::1 0.0.0.0/0>10.0.0.2 dns 9.9.9.9\n"
    );
    assert_eq!(
        set(&v6, &vm_data).0,
        "02:00:00:00:00:01 10.0.0.5/24 2001:db8::77/64 0.0.0.0/0>10.0.0.1 ::/0>fe80::7 dns 9.9.9.9\n"
    );
    assert_eq!(
        set(&[v4, v6].concat(), &vm_data).0,
        "02:00:00:00:00:01 10.0.0.77/16 2001:db8::77/64 0.0.0.0/0>10.0.0.2 ::/0>fe80::7 dns 9.9.9.9\n"
    );
    // Neither is set, or one makes no sense: all is as vm-data has it.
    for keys in
        [&[("enabled", "0")][..], &[("enabled", "2")], &[("enabled", "1"), ("address", "x")], &[("enabled6", "2")]]
    {
        let lines = set(keys, &vm_data).0;
        assert!(
            lines.starts_with("02:00:00:00:00:01 10.0.0.5/24 2001:db8::5/64 0.0.0.0/0>10.0.0.1 ::/0>fe80::1"),
            "{keys:?}"
        );
    }
}

#[test]
fn an_interface_that_vm_data_does_not_know_is_the_toolstacks_and_its_other_family_the_guests() {
    let v4 = [("enabled", "1"), ("address", "10.0.0.77/16"), ("gateway", "")];
    let v6 = [("enabled6", "1"), ("address6", "2001:db8::77/64")];
    assert_eq!(set(&v4, &[]), ("02:00:00:00:00:01 10.0.0.77/16 no v6\n".to_owned(), true));
    assert_eq!(set(&v6, &[]), ("02:00:00:00:00:01 2001:db8::77/64 no v4\n".to_owned(), true));
    let lines = set(&v6, &[SECOND]).0;
    assert_eq!(lines, "02:00:00:00:00:02 2001:db8::5/64 ::/0>fe80::1\n02:00:00:00:00:01 2001:db8::77/64 no v4\n");
    // No room for one more.
    let names: Vec<String> = (2..10).map(|number| format!("vm-data/networking/02000000000{number}")).collect();
    let full: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "{}")).collect();
    let (lines, sound) = set(&v4, &full);
    assert_eq!((lines.lines().count(), sound), (8, false));
}

type String = std::string::String;
type Vec<T> = std::vec::Vec<T>;

#[test]
fn what_ansible_leaves_is_read_where_nova_says_nothing() {
    let key = |name: &str, value: &str| (format!("vm-data/networks/{name}"), value.to_owned());
    let read_keys = |keys: &[(String, String)], more: &[(&str, &str)]| {
        let keys = keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).chain(more.iter().copied());
        shown(&keys.collect::<Vec<_>>())
    };
    let fixed = [
        key("0/type", "static"),
        key("0/mac", "02:00:00:00:00:05"),
        key("0/name", "Pool \"wide\" network"),
        key("0/ip", "10.0.0.5"),
        key("0/prefix", "24"),
        key("0/netmask", "255.255.255.0"),
        key("0/gateway", "10.0.0.1"),
        key("0/type6", "none"),
    ];
    let line = "02:00:00:00:00:05 10.0.0.5/24 0.0.0.0/0>10.0.0.1 no v6\n";
    assert_eq!(read_keys(&fixed, &[]), (line.to_owned(), String::new(), true));
    // nova's directory stands for itself, be it empty.
    assert_eq!(read_keys(&fixed, &[FIRST]).0, "02:00:00:00:00:01 10.0.0.5/24 0.0.0.0/0>10.0.0.1 dns 9.9.9.9\n");
    assert_eq!(read_keys(&fixed, &[("vm-data/networking", "")]), (String::new(), String::new(), true));
    // The other family, DHCP, and a MAC address that the host knows.
    let others = [
        key("1/type", "dhcp"),
        key("1/type6", "static"),
        key("1/ip6", "2001:db8::5"),
        key("1/prefix6", "64"),
        key("1/gateway6", "fe80::1"),
        key("2/type", "dhcp"),
        // Nothing is said of this one, and the last has no type.
        key("3/type", "none"),
        key("3/mac", "02:00:00:00:00:09"),
        key("4/ip", "10.0.4.5/16"),
    ];
    let vifs = [
        ("device/vif/1/mac", "02:00:00:00:00:06"),
        ("device/vif/2/mac", "02:00:00:00:00:07"),
        ("device/vif/4/mac", "02:00:00:00:00:08"),
    ];
    let lines = "02:00:00:00:00:06 2001:db8::5/64 ::/0>fe80::1 no v4\n02:00:00:00:00:07 no v4 no v6\n\
                 02:00:00:00:00:08 10.0.4.5/16 no v6\n";
    assert_eq!(read_keys(&others, &vifs), (lines.to_owned(), String::new(), true));
    // What makes no sense is named, and the rest is read.
    let wrong =
        [key("0/type", "static"), key("0/ip", "10.0.0.\"5"), key("0/gateway", "10.0.0.1"), key("1/type", "dhcp")];
    let (lines, problems, sound) = read_keys(&wrong, &[("device/vif/0/mac", "02:00:00:00:00:06")]);
    assert_eq!((lines.as_str(), sound), ("02:00:00:00:00:06 0.0.0.0/0>10.0.0.1 no v6\n", false));
    assert_eq!(
        problems,
        "left out: vm-data/networks/0: 'ip' makes no sense: 10.0.0.?5; \
         vm-data/networks/1: no MAC address in its name"
    );
}

#[test]
fn a_vif_has_the_number_that_the_host_gives_it() {
    let vifs = [("device/vif/0/mac", "02:00:00:00:00:02"), ("device/vif/7/mac", "02:00:00:00:00:01")];
    let (network, ..) = read(FakeXenstore::with(&[&vifs[..], &[FIRST, SECOND]].concat())).unwrap();
    assert_eq!(network.interfaces.iter().map(|interface| interface.vif).collect::<Vec<_>>(), [Some(7), Some(0)]);
    // One alone has nothing to be compared with.
    let (network, ..) = read(FakeXenstore::with(&[&vifs[..], &[FIRST]].concat())).unwrap();
    assert_eq!(network.interfaces[0].vif, None);
}

#[test]
fn a_name_that_is_none_matters_where_nothing_else_was_asked_for() {
    let complete = |nodes: &[(&str, &str)]| {
        let (mut problems, mut log, mut network) = (Problems::new(), Lines::default(), Network::new());
        network.read(&mut Client::new(FakeXenstore::with(nodes)), &mut log, &mut problems).unwrap();
        problems.is_complete()
    };
    assert!(!complete(&[("vm-data/hostname", "x..y")]));
    assert!(complete(&[("vm-data/hostname", "x..y"), FIRST]));
    assert!(complete(&[("vm-data/hostname", "x.y")]) && complete(&[("vm-data/hostname", " ")]));
}
