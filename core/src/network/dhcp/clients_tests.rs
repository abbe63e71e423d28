use super::super::client::State;
use super::super::client::tests::{OURS, SERVER, packet, said};
use super::super::message::tests::MAC;
use super::*;
use crate::test_platform::FakePlatform;

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
    clients.entries[0].tell(&mut platform, Event::Bound);
    let mut again = Clients::new(DhcpMode::Auto);
    again.handle_links(&mut platform, 0);
    assert_eq!(again.entries[0].client.as_ref().unwrap().state(), State::Rebooting);
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
    }
}
