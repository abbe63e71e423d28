//! The plan against a kernel in memory.

use super::*;
use crate::network::source::parse::tests::{private, public};
use crate::test_platform::FakePlatform;
use crate::wire::netlink::reply::IFA_F_PERMANENT;

fn link(index: u32, name: &str, interface: &Interface) -> Link {
    let name = name.try_into().unwrap();
    Link { index, name, mac: Some(interface.mac), mtu: 1500, ..Link::default() }
}

fn address(index: u32, text: &str, prefix: u8) -> PresentAddress {
    let address = Prefixed::new(text.parse().unwrap(), prefix).unwrap();
    PresentAddress { index, address, far: address.ip, flags: IFA_F_PERMANENT }
}

fn route(index: u32, to: (&str, u8), via: Option<&str>, protocol: u8) -> PresentRoute {
    let to = Prefixed::new(to.0.parse().unwrap(), to.1).unwrap();
    PresentRoute { index, to, via: via.map(|via| via.parse().unwrap()), metric: 100, table: 254, protocol }
}

/// What is planned, a line a step.
fn planned(platform: &mut FakePlatform, interfaces: &[Interface]) -> String {
    let mut lines = String::new();
    Plan::read(platform, interfaces).unwrap().steps(&mut |step| lines += &format!("{step}\n"));
    lines
}

fn guest() -> (FakePlatform, [Interface; 2]) {
    let interfaces = [public(), private()];
    let mut platform = FakePlatform::with(&[]);
    platform.kernel.links = vec![link(2, "eth0", &interfaces[0]), link(3, "eth1", &interfaces[1])];
    (platform, interfaces)
}

#[test]
fn everything_is_missing_at_first() {
    let (mut platform, mut interfaces) = guest();
    interfaces[1].mtu = Some(1400);
    assert_eq!(
        planned(&mut platform, &interfaces),
        "\
bring eth0 up
add address 166.78.10.124/24 to eth0
add address 2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64 to eth0
add route to 0.0.0.0/0 via 166.78.10.1 to eth0
add route to ::/0 via fe80::def to eth0
set the MTU of eth1 to 1400
bring eth1 up
add address 10.181.30.181/17 to eth1
add route to 10.208.0.0/12 via 10.181.0.1 to eth1
add route to 10.176.0.0/12 via 10.181.0.1 to eth1
"
    );
}

#[test]
fn what_is_there_is_left_whoever_made_it() {
    let (mut platform, interfaces) = guest();
    let kernel = &mut platform.kernel;
    kernel.links.iter_mut().for_each(|link| link.up = true);
    kernel.addresses = vec![
        address(2, "166.78.10.124", 24),
        address(2, "2001:4800:7810:512:e38a:a8b5:ff04:cfe5", 64),
        address(3, "10.181.30.181", 17),
        // Never ours to take: link-local ones, a router's, another interface's.
        address(2, "fe80::1", 64),
        address(2, "169.254.0.9", 16),
        PresentAddress { flags: 0, ..address(2, "2001:db8::9", 64) },
        address(9, "192.0.2.9", 24),
    ];
    kernel.routes = vec![
        route(2, ("0.0.0.0", 0), Some("166.78.10.1"), 16),
        route(2, ("::", 0), Some("fe80::def"), 9),
        route(3, ("10.208.0.0", 12), Some("10.181.0.1"), 3),
        route(3, ("10.176.0.0", 12), Some("10.181.0.1"), 4),
        // The kernel's own, a router's, a routing daemon's, another interface's, another table's, a multicast one.
        route(2, ("166.78.10.0", 24), None, 2),
        route(2, ("::", 0), Some("fe80::1"), 9),
        route(2, ("192.0.2.0", 24), Some("166.78.10.2"), 12),
        route(9, ("192.0.2.0", 24), Some("166.78.10.2"), 4),
        PresentRoute { table: 7, ..route(2, ("192.0.2.0", 24), Some("166.78.10.2"), 4) },
        route(2, ("224.0.0.0", 4), None, 3),
        route(2, ("169.254.169.254", 32), Some("166.78.10.3"), 16),
        // The way to a gateway.
        route(2, ("166.78.10.1", 32), None, 4),
    ];
    assert_eq!(planned(&mut platform, &interfaces), "");
    carry_out(&mut platform, &interfaces, &mut |_, _, _| panic!()).unwrap();
    assert_eq!(platform.kernel.asked, [0_u8; 0], "no request but dumps");
}

#[test]
fn what_is_not_listed_goes_first_and_the_kernel_is_read_again() {
    let (mut platform, interfaces) = guest();
    let kernel = &mut platform.kernel;
    kernel.addresses = vec![address(3, "10.9.9.9", 8), address(3, "10.181.30.181", 16)];
    kernel.routes =
        vec![route(3, ("10.208.0.0", 12), Some("10.181.0.2"), 4), route(3, ("0.0.0.0", 0), Some("10.1.1.1"), 16)];
    let plan = planned(&mut platform, &interfaces);
    assert!(
        plan.starts_with(
            "remove route to 10.208.0.0/12 via 10.181.0.2 from eth1\nremove route to 0.0.0.0/0 via 10.1.1.1 from eth1\n\
             remove address 10.9.9.9/8 from eth1\nremove address 10.181.30.181/16 from eth1\nbring eth0 up\n"
        ),
        "{plan}"
    );
    carry_out(&mut platform, &interfaces, &mut |_, step, errno| panic!("{step}: {errno}")).unwrap();
    assert_eq!(platform.kernel.asked, [25, 25, 21, 21, 19, 20, 20, 24, 24, 19, 20, 24, 24]);
    assert!(platform.kernel.addresses.is_empty() && platform.kernel.routes.is_empty());
}

#[test]
fn more_than_is_removed_at_once_goes_in_rounds() {
    let (mut platform, interfaces) = guest();
    platform.kernel.addresses = (0..200).map(|n| address(2, &format!("10.1.{n}.1"), 24)).collect();
    carry_out(&mut platform, &interfaces, &mut |_, step, errno| panic!("{step}: {errno}")).unwrap();
    assert!(platform.kernel.addresses.is_empty());
}

#[test]
fn what_fails_is_told_once_and_the_rest_is_done() {
    for (kind, failures) in [(20, 3), (24, 4), (19, 2), (21, 1)] {
        let (mut platform, interfaces) = guest();
        platform.kernel.addresses = vec![address(3, "10.9.9.9", 8)];
        platform.kernel.refuses = Some((kind, Errno::PERM));
        let mut failed = 0;
        carry_out(&mut platform, &interfaces, &mut |_, _, _| failed += 1).unwrap();
        assert_eq!(failed, failures, "{kind}");
    }
}

#[test]
fn the_device_itself_is_taken_not_what_is_stacked_on_it() {
    let (mut platform, interfaces) = guest();
    platform.kernel.links =
        [(9, "vlan"), (2, "eth0"), (5, "br0")].map(|(index, name)| link(index, name, &interfaces[0])).into();
    assert_eq!(Plan::read(&mut platform, &interfaces).unwrap().link(0).unwrap().name, "eth0");
}

#[test]
fn a_port_of_a_bridge_leaves_the_addresses_to_it() {
    let (mut platform, interfaces) = guest();
    for (bridge, port) in [(9, 2), (2, 9)] {
        platform.kernel.links = vec![
            Link { master: bridge, ..link(port, "eth0", &interfaces[0]) },
            link(bridge, "br0", &interfaces[0]),
            link(20, "vlan5", &interfaces[0]),
        ];
        platform.kernel.links.sort_by_key(|link| link.index);
        let plan = Plan::read(&mut platform, &interfaces).unwrap();
        assert_eq!((plan.link(0).unwrap().name.as_str(), plan.is_master(0)), ("br0", true));
    }
}

#[test]
fn a_bond_in_a_bridge_is_followed_whatever_the_numbers_are() {
    let (mut platform, interfaces) = guest();
    platform.kernel.links = [(2, "eth0", 4), (3, "br0", 0), (4, "bond0", 3)]
        .map(|(index, name, master)| Link { master, ..link(index, name, &interfaces[0]) })
        .into();
    assert_eq!(Plan::read(&mut platform, &interfaces).unwrap().link(0).unwrap().name, "br0");
}

#[test]
fn an_address_that_would_expire_is_made_one_that_stays() {
    let (mut platform, interfaces) = guest();
    platform.kernel.addresses = vec![PresentAddress { flags: 0, ..address(2, "166.78.10.124", 24) }];
    assert!(planned(&mut platform, &interfaces).contains("\nadd address 166.78.10.124/24 to eth0\n"));
}

#[test]
fn a_family_that_the_toolstack_says_nothing_of_is_left_alone() {
    let (mut platform, mut interfaces) = guest();
    interfaces[1].left_alone = [true, false];
    interfaces[1].addresses.clear();
    interfaces[1].routes.clear();
    platform.kernel.addresses = vec![address(3, "10.0.0.77", 24), address(3, "2001:db8::9", 64)];
    platform.kernel.routes = vec![route(3, ("0.0.0.0", 0), Some("10.0.0.1"), 16)];
    let plan = planned(&mut platform, &interfaces);
    assert!(plan.contains("remove address 2001:db8::9/64 from eth1\n") && !plan.contains("10.0.0."), "{plan}");
}

#[test]
fn a_default_route_without_a_gateway_goes() {
    let (mut platform, interfaces) = guest();
    platform.kernel.routes = vec![route(2, ("0.0.0.0", 0), None, 3)];
    assert!(planned(&mut platform, &interfaces).starts_with("remove route to 0.0.0.0/0 from eth0\n"));
}

#[test]
fn the_loopback_is_brought_up() {
    let (mut platform, _) = guest();
    let lo = Link { index: 1, name: "lo".try_into().unwrap(), loopback: true, mtu: 65536, ..Link::default() };
    platform.kernel.links.push(lo);
    assert_eq!(planned(&mut platform, &[]), "bring lo up\n");
}

#[test]
fn what_is_refused_where_ipv6_is_turned_off_is_unwanted_and_nothing_else_is() {
    let (mut platform, interfaces) = guest();
    let mut unwanted = Vec::new();
    Plan::read(&mut platform, &interfaces).unwrap().steps(&mut |step| {
        for (errno, without) in [
            (Errno::ACCES, false),
            (Errno::OPNOTSUPP, false),
            (Errno::AFNOSUPPORT, false),
            (Errno::HOSTUNREACH, false),
            (Errno::HOSTUNREACH, true),
            (Errno::PERM, true),
        ] {
            if step.is_unwanted(errno, without) {
                unwanted.push(format!("{step}: {} {without}", errno.name().unwrap()));
            }
        }
    });
    let address = "add address 2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64 to eth0";
    let route = "add route to ::/0 via fe80::def to eth0";
    let refused = |step| ["EACCES", "EOPNOTSUPP", "EAFNOSUPPORT"].map(|errno| format!("{step}: {errno} false"));
    let wanted = [&refused(address)[..], &refused(route), &[format!("{route}: EHOSTUNREACH true")]].concat();
    assert_eq!(unwanted, wanted);
}

#[test]
fn what_is_gone_already_need_not_be_removed_and_what_is_there_already_is_somebody_elses() {
    for (kind, errno, failures) in [
        (21, Errno::ADDRNOTAVAIL, 0),
        (25, Errno::SRCH, 0),
        (25, Errno::NOENT, 0),
        (25, Errno::EXIST, 1),
        (24, Errno::EXIST, 4),
        (24, Errno::SRCH, 4),
        (20, Errno::NOENT, 3),
    ] {
        let (mut platform, interfaces) = guest();
        platform.kernel.addresses = vec![address(3, "10.9.9.9", 8)];
        platform.kernel.routes = vec![route(2, ("192.0.2.0", 24), Some("166.78.10.2"), 4)];
        platform.kernel.refuses = Some((kind, errno));
        let mut failed = 0;
        carry_out(&mut platform, &interfaces, &mut |_, _, _| failed += 1).unwrap();
        assert_eq!(failed, failures, "{kind} {errno}");
    }
}

#[test]
fn every_change_has_a_number_of_its_own() {
    let (mut platform, interfaces) = guest();
    platform.kernel.addresses = vec![address(3, "10.9.9.9", 8)];
    carry_out(&mut platform, &interfaces, &mut |_, step, errno| panic!("{step}: {errno}")).unwrap();
    let numbers: Vec<u8> = platform.kernel.messages.iter().map(|message| message[8]).collect();
    // One to three are the dumps'.
    assert_eq!(numbers, (4..4 + numbers.len() as u8).collect::<Vec<_>>());
}

#[test]
fn each_step_asks_the_kernel_for_just_that() {
    let (mut platform, mut interfaces) = guest();
    interfaces[0].addresses.truncate(1);
    interfaces[0].routes.truncate(1);
    interfaces[0].routes[0].via = "192.0.2.1".parse().unwrap();
    interfaces[0].broadcast = Some("166.78.10.254".parse().unwrap());
    interfaces[0].mtu = Some(1400);
    platform.kernel.addresses = vec![address(2, "10.9.9.9", 8)];
    platform.kernel.routes = vec![route(2, ("198.51.100.0", 24), Some("166.78.10.2"), 4)];
    carry_out(&mut platform, &interfaces[..1], &mut |_, step, errno| panic!("{step}: {errno}")).unwrap();
    let asked = &platform.kernel.messages;
    let has = |place: usize, bytes: &[u8]| asked[place].windows(bytes.len()).any(|window| window == bytes);
    assert_eq!(asked.iter().map(|message| message[4]).collect::<Vec<_>>(), [25, 21, 19, 19, 20, 24]);
    // That route, that address; its link: 2; 1400; up; the toolstack's broadcast; a gateway that is said to be on the
    // link.
    assert!(has(0, &[198, 51, 100, 0]) && has(0, &[166, 78, 10, 2]) && has(1, &[10, 9, 9, 9]));
    for place in [2, 3] {
        assert_eq!(asked[place][20..24], [2, 0, 0, 0]);
    }
    assert!(has(2, &[0x78, 5, 0, 0]) && asked[2][24] == 0 && asked[3][24] == 1);
    assert!(asked[4][20] == 2 && has(4, &[166, 78, 10, 254]));
    assert!(has(5, &[192, 0, 2, 1]) && asked[5][24..28] == [4, 0, 0, 0]);
}

#[test]
fn a_kernel_that_does_not_tell_is_changed_by_nothing() {
    let (mut platform, interfaces) = guest();
    platform.kernel.silent = Some(Errno::IO);
    assert_eq!(carry_out(&mut platform, &interfaces, &mut |_, _, _| panic!()).map(drop), Err(Errno::IO));
    assert!(platform.kernel.asked.is_empty());
}

#[test]
fn what_stays_of_the_guests_own_does_so_for_one_reason_at_a_time() {
    let stays = |change: &dyn Fn(&mut crate::test_platform::FakeKernel)| {
        let (mut platform, interfaces) = guest();
        change(&mut platform.kernel);
        !planned(&mut platform, &interfaces).contains("remove")
    };
    let with_route =
        |route: PresentRoute| move |kernel: &mut crate::test_platform::FakeKernel| kernel.routes = vec![route];
    let to = ("192.0.2.0", 24);
    for (protocol, is_static) in [(2, false), (3, true), (4, true), (9, false), (12, false), (16, true)] {
        assert_eq!(stays(&with_route(route(2, to, Some("166.78.10.2"), protocol))), !is_static, "{protocol}");
    }
    assert!(stays(&with_route(route(9, to, Some("166.78.10.2"), 4))), "another link's");
    assert!(stays(&with_route(PresentRoute { table: 255, ..route(2, to, None, 4) })), "another table's");
    assert!(!stays(&with_route(route(2, to, None, 4))));
    assert!(stays(&with_route(route(2, ("166.78.10.0", 30), None, 4))), "the way to a gateway");
    assert!(!stays(&with_route(route(2, ("166.78.10.0", 30), Some("166.78.10.2"), 4))), "that is no neighbour's");
    assert!(!stays(&with_route(route(2, ("166.78.10.8", 30), None, 4))), "no gateway there");
    assert!(stays(&with_route(route(2, ("169.254.0.0", 16), None, 4))));
    assert!(stays(&with_route(route(2, ("239.0.0.0", 8), None, 4))));
    assert!(!stays(&with_route(route(2, ("0.0.0.0", 0), Some("166.78.10.9"), 4))));
    // The one that is wanted, by another neighbour.
    assert!(!stays(&with_route(route(2, ("0.0.0.0", 0), Some("166.78.10.9"), 16))));
    let with_address =
        |address: PresentAddress| move |kernel: &mut crate::test_platform::FakeKernel| kernel.addresses = vec![address];
    assert!(!stays(&with_address(address(2, "192.0.2.9", 24))));
    assert!(!stays(&with_address(PresentAddress { flags: 0, ..address(2, "192.0.2.9", 24) })), "DHCP's");
    assert!(!stays(&with_address(address(2, "2001:db8::9", 64))));
    assert!(stays(&with_address(PresentAddress { flags: 0, ..address(2, "2001:db8::9", 64) })), "a router's");
    assert!(stays(&with_address(address(2, "fe80::9", 64))) && stays(&with_address(address(2, "169.254.3.3", 16))));
    assert!(stays(&with_address(address(9, "192.0.2.9", 24))));
}

#[test]
fn so_many_bits_are_set_as_there_are_things() {
    assert_eq!([0, 1, 5, 63, 64].map(ones), [0, 1, 31, u64::MAX >> 1, u64::MAX]);
}

type Vec<T> = std::vec::Vec<T>;
