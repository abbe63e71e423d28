use super::super::client::State;
use super::super::client::tests::{OURS, SERVER, packet, packet_with, said};
use super::super::message::tests::MAC;
use super::*;
use crate::test_platform::{FakePlatform, Node};
use crate::wire::net::Prefixed;
use crate::wire::netlink::{PresentAddress, PresentRoute};

const SECOND_MAC: Mac = Mac([0, 0x16, 0x3e, 1, 2, 4]);

fn link(index: u32, mac: Mac, up: bool) -> Link {
    Link {
        index,
        name: Device::try_from(format!("eth{index}").as_str()).unwrap(),
        mac: Some(mac),
        up,
        carrier: up,
        loopback: false,
        mtu: 1500,
        carrier_changes: 0,
        lower: 0,
        lower_elsewhere: false,
        master: 0,
    }
}

/// A guest with these links, all of them VIFs.
fn guest(links: &[Link]) -> FakePlatform {
    let mut platform = FakePlatform::with(&[]);
    for link in links {
        let path = format!("/sys/class/net/{}/device/nodename", link.name);
        platform.put(&path, &format!("device/vif/{}\n", link.index));
    }
    platform.kernel.links = links.to_vec();
    platform
}

/// Clients of a guest whose links were down and are up now.
fn asking(platform: &mut FakePlatform, mode: DhcpMode) -> Clients {
    let mut clients = Clients::new(mode);
    clients.handle_links(platform, 0);
    for link in &mut platform.kernel.links {
        (link.up, link.carrier) = (true, true);
    }
    clients.handle_links(platform, 0);
    clients
}

/// Has the client of a link get an address.
fn bind(clients: &mut Clients, index: u32) {
    let entry = clients.entries.iter_mut().find(|entry| entry.index == index).unwrap();
    let client = entry.client.as_mut().unwrap();
    client.handle_time(0);
    for kind in [2, 5] {
        let exchange = said(&client.poll_send("", 0).unwrap()).exchange;
        client.handle_packet(&packet(kind, exchange, OURS, SERVER, 1000), 0);
    }
    assert_eq!((client.state(), client.address()), (State::Bound, Some(OURS)));
}

#[test]
fn what_the_kernel_says_on_another_link_of_the_guest_is_no_dispute() {
    let mut platform = guest(&[link(2, MAC, false), link(3, SECOND_MAC, false)]);
    let mut clients = asking(&mut platform, DhcpMode::Auto);
    bind(&mut clients, 2);
    clients.handle_packet(2, true, &frame::probe(SECOND_MAC, OURS), 0);
    assert!(clients.entries[0].client.as_ref().unwrap().address().is_some(), "its own kernel has it");
    clients.handle_packet(2, true, &frame::probe(Mac([2, 0, 0, 0, 0, 9]), OURS), 0);
    assert!(clients.entries[0].client.as_ref().unwrap().address().is_none(), "somebody else has it");
}

#[test]
fn an_agent_that_begins_again_goes_on_asking_with_an_address_or_without() {
    let mut platform = guest(&[link(2, MAC, false), link(3, SECOND_MAC, true)]);
    let mut clients = asking(&mut platform, DhcpMode::Auto);
    assert_eq!(clients.entries.len(), 1, "the other one is somebody's");
    let mut again = Clients::new(DhcpMode::Auto);
    again.handle_links(&mut platform, 0);
    assert_eq!(again.entries.len(), 1, "it was brought up, and no server has answered yet");
    assert_eq!(again.entries[0].client.as_ref().unwrap().state(), State::Init);

    bind(&mut clients, 2);
    clients.apply(&mut platform, &mut Network::new());
    let mut again = Clients::new(DhcpMode::Auto);
    again.handle_links(&mut platform, 10_000);
    let client = again.entries[0].client.as_ref().unwrap();
    assert_eq!((client.state(), client.address()), (State::Rebooting, Some(OURS)));
    assert!(again.all_have_an_address() && again.apply(&mut platform, &mut Network::new()));
    let log = platform.logged();
    assert!(log.contains("DHCP: eth2 goes on with 10.0.0.5 from 10.0.0.1 for 1000 s"), "{log}");
    assert_eq!(again.clients().next().and_then(Client::lease), clients.clients().next().and_then(Client::lease));
}

#[test]
fn a_renewal_is_noted_and_changes_nothing_else() {
    let mut platform = guest(&[link(2, MAC, false)]);
    let mut clients = asking(&mut platform, DhcpMode::Auto);
    bind(&mut clients, 2);
    clients.apply(&mut platform, &mut Network::new());
    let client = clients.entries[0].client.as_mut().unwrap();
    client.handle_time(500_000);
    let mut sent = std::iter::from_fn(|| client.poll_send("", 500_000));
    let renew = said(&sent.find(|send| !matches!(send, Send::Arp(_))).unwrap());
    client.handle_packet(&packet(5, renew.exchange, OURS, SERVER, 1000), 500_000);
    changes(&mut platform);
    assert!(!clients.apply(&mut platform, &mut Network::new()));
    assert!(changes(&mut platform).is_empty());
    let mut room = [0; NOTE_MAX];
    assert_eq!(noted(&mut platform, MAC, &mut room).map(|(since, _)| since), Some(500_000));
    // A note of any bytes is none, or one of something else.
    for note in ["", "10.0.0.5\n", "10.0.0.5 x\n", "10.0.0.5 0", "10.0.0.5 0\nabc"] {
        platform.put("/run/nanova-00163e010203.lease", note);
        let mut again = Clients::new(DhcpMode::Auto);
        again.handle_links(&mut platform, 0);
        assert_eq!(again.clients().map(Client::state).collect::<std::vec::Vec<_>>(), [State::Init], "{note}");
    }
}

#[test]
fn a_carrier_that_went_and_came_unseen_has_it_asked_again() {
    let mut platform = guest(&[link(2, MAC, false)]);
    let mut clients = Clients::new(DhcpMode::Auto);
    let state = |clients: &Clients| clients.clients().next().map(Client::state);
    clients.handle_links(&mut platform, 0);
    assert_eq!(state(&clients), None, "no packet gets through yet");
    let up = Link { carrier_changes: 1, ..link(2, MAC, true) };
    platform.kernel.links[0] = up.clone();
    clients.handle_links(&mut platform, 0);
    clients.handle_time(0);
    assert_eq!(state(&clients), Some(State::Selecting));
    // The link is told of for another reason.
    clients.handle_links(&mut platform, 1);
    assert_eq!(state(&clients), Some(State::Selecting));
    platform.kernel.links[0] = Link { carrier_changes: 3, ..up };
    clients.handle_links(&mut platform, 2);
    assert_eq!(state(&clients), Some(State::Init));
}

#[test]
fn what_the_toolstack_leaves_to_the_guest_asks_and_what_it_speaks_of_does_not() {
    for (left_alone, asks) in [([true, false], true), ([false, true], false)] {
        // Up already, as its other family was set.
        let mut platform = guest(&[link(2, MAC, true)]);
        let mut clients = Clients::new(DhcpMode::Auto);
        clients.handle_interface(&Interface { left_alone, ..Interface::new(MAC) });
        clients.handle_links(&mut platform, 0);
        assert_eq!(!clients.is_empty(), asks, "{left_alone:?}");
        let mut shown = std::string::String::new();
        clients.show(&mut platform, &mut shown);
        assert_eq!(shown, if asks { "ask DHCP on eth2\n" } else { "" });
    }
}

/// Has the first client get an address with these options, and the system have it.
fn lease(platform: &mut FakePlatform, clients: &mut Clients, options: &[(u8, &[u8])]) {
    let client = clients.entries[0].client.as_mut().unwrap();
    client.handle_time(0);
    for kind in [2, 5] {
        let exchange = said(&client.poll_send("", 0).unwrap()).exchange;
        let options = [&[(54, &SERVER[..])], options].concat();
        client.handle_packet(&packet_with(kind, exchange, OURS, &options), 0);
    }
    assert!(clients.apply(platform, &mut Network::new()));
}

/// The types of the requests that changed the kernel since it was last asked about.
fn changes(platform: &mut FakePlatform) -> std::vec::Vec<u8> {
    core::mem::take(&mut platform.kernel.asked)
}

const LINK: u8 = 19;
const NEW_ADDRESS: u8 = 20;
const NEW_ROUTE: u8 = 24;
const DELETE_ADDRESS: u8 = 21;

#[test]
fn a_lease_is_what_the_kernel_and_the_files_have_until_it_is_lost() {
    let mut platform = guest(&[link(2, MAC, false)]);
    let mut clients = asking(&mut platform, DhcpMode::Auto);
    assert_eq!(changes(&mut platform), [LINK]);
    let options = [(3, &SERVER[..]), (6, &[9, 9, 9, 9]), (12, b"given"), (15, b"example.org")];
    lease(&mut platform, &mut clients, &options);
    assert_eq!(changes(&mut platform), [NEW_ADDRESS, NEW_ROUTE]);
    assert_eq!(platform.host_name, "given");
    assert!(
        platform
            .text("/etc/resolv.conf")
            .ends_with("DHCP servers and routers said.\nsearch example.org\nnameserver 9.9.9.9\n")
    );
    let Some(Node::File { contents, .. }) = platform.nodes.get("/run/nanova-00163e010203.lease") else { panic!() };
    assert!(contents.starts_with(b"10.0.0.5 0\n\x02\x01\x06"));
    assert!(!clients.apply(&mut platform, &mut Network::new()), "once");

    platform.kernel.addresses.push(PresentAddress {
        index: 2,
        address: Prefixed::new("10.0.0.5".parse().unwrap(), 24).unwrap(),
        far: "10.0.0.5".parse().unwrap(),
        flags: 0x80,
    });
    clients.handle_packet(2, true, &frame::probe(Mac([2, 0, 0, 0, 0, 9]), OURS), 0);
    assert!(clients.apply(&mut platform, &mut Network::new()));
    assert_eq!(changes(&mut platform), [DELETE_ADDRESS]);
    assert_eq!(platform.text("/run/nanova-00163e010203.lease"), "");
    assert!(
        platform.text("/etc/resolv.conf").contains("9.9.9.9"),
        "what was said of names stays until another says more"
    );
}

#[test]
fn the_default_route_of_somebody_else_comes_first() {
    let mut platform = guest(&[link(2, MAC, false)]);
    let mut clients = asking(&mut platform, DhcpMode::Auto);
    let via = "192.0.2.1".parse().unwrap();
    platform.kernel.routes.push(PresentRoute {
        index: 9,
        to: Prefixed::everything(via),
        via: Some(via),
        metric: 0,
        table: number::RT_TABLE_MAIN,
        protocol: 4,
    });
    changes(&mut platform);
    lease(&mut platform, &mut clients, &[(3, &SERVER)]);
    assert_eq!(changes(&mut platform), [NEW_ADDRESS]);
}

#[test]
fn a_lease_names_only_a_guest_that_nobody_else_names() {
    for (has_name, renamed, name) in [(true, "", "guest"), (false, "", "given"), (false, "web01", "web01")] {
        let mut platform = guest(&[link(2, MAC, false)]);
        platform.host_name = "guest".to_owned();
        let mut clients = asking(&mut platform, DhcpMode::Auto);
        clients.handle_name(platform.host_name(), has_name);
        // `resetnetwork` meanwhile.
        if !renamed.is_empty() {
            platform.host_name = renamed.to_owned();
        }
        lease(&mut platform, &mut clients, &[(12, b"given")]);
        assert_eq!(platform.host_name, name, "{has_name} {renamed}");
    }
}

/// The name servers of resolv.conf.
fn name_servers(platform: &FakePlatform) -> std::vec::Vec<&str> {
    platform.text("/etc/resolv.conf").lines().filter_map(|line| line.strip_prefix("nameserver ")).collect()
}

#[test]
fn what_routers_name_is_behind_what_servers_and_the_toolstack_say_for_its_time() {
    let mut platform = guest(&[link(2, MAC, false)]);
    let mut clients = asking(&mut platform, DhcpMode::Auto);
    let mut told = Interface::new(SECOND_MAC);
    let _ = told.dns.push("192.0.2.53".parse().unwrap());
    clients.handle_interface(&told);
    let announce = |clients: &mut Clients, platform: &mut FakePlatform, index, ip: &str, seconds| {
        clients.handle_name_server(platform, NameServer { index, ip: ip.parse().unwrap(), seconds }, 0);
        clients.apply(platform, &mut Network::new())
    };
    assert!(!announce(&mut clients, &mut platform, 9, "2001:db8::9", 60), "nobody asks there");
    assert!(announce(&mut clients, &mut platform, 2, "2001:db8::53", 60));
    assert_eq!(name_servers(&platform), ["192.0.2.53", "2001:db8::53"]);
    lease(&mut platform, &mut clients, &[(6, &[9, 9, 9, 9])]);
    changes(&mut platform);
    assert!(announce(&mut clients, &mut platform, 2, "fe80::1", 30));
    assert!(changes(&mut platform).is_empty(), "the kernel has what it had");
    assert!(!announce(&mut clients, &mut platform, 2, "fe80::1", 30), "nothing is new");
    assert_eq!(name_servers(&platform), ["192.0.2.53", "9.9.9.9", "2001:db8::53", "fe80::1%eth2"]);
    assert_eq!(clients.next_at().filter(|at| *at >= 20_000), None, "it probes for its address");
    clients.handle_time(30_000);
    assert!(clients.apply(&mut platform, &mut Network::new()));
    assert_eq!(name_servers(&platform), ["192.0.2.53", "9.9.9.9", "2001:db8::53"]);
    // The link is gone, and what was said on it.
    platform.kernel.links.clear();
    clients.handle_links(&mut platform, 31_000);
    assert!(clients.apply(&mut platform, &mut Network::new()));
    assert_eq!(name_servers(&platform), ["192.0.2.53"]);
}
