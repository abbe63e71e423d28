use super::super::message::tests::{MAC, reply};
use super::*;
use std::collections::BTreeMap;
use std::vec::Vec as List;

pub(in crate::network::dhcp) const OURS: Octets = [10, 0, 0, 5];
pub(in crate::network::dhcp) const SERVER: Octets = [10, 0, 0, 1];
const OTHER: Octets = [10, 0, 0, 2];
const SECOND: u64 = 1000;

/// What a client said: its kind, and the fields that say what it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::network::dhcp) struct Said {
    kind: u8,
    pub(in crate::network::dhcp) exchange: u32,
    used: Octets,
    wanted: Option<Octets>,
    server: Option<Octets>,
    to: Option<Octets>,
}

pub(in crate::network::dhcp) fn said(send: &Send) -> Said {
    let (message, to) = match send {
        Send::Broadcast(packet) => (&packet[28..], None),
        Send::Unicast { message, to, from } => {
            assert_eq!(message[12..16], *from);
            (&message[..], Some(*to))
        }
        Send::Arp(_) => panic!("a message is expected"),
    };
    let mut options = BTreeMap::new();
    let mut rest = &message[240..];
    while let [code, len, tail @ ..] = rest {
        if *code == 255 {
            break;
        }
        options.insert(*code, &tail[..usize::from(*len)]);
        rest = &tail[usize::from(*len)..];
    }
    let octets = |code: u8| options.get(&code).map(|value| Octets::try_from(*value).unwrap());
    Said {
        kind: options[&53][0],
        exchange: u32::from_be_bytes(message[4..8].try_into().unwrap()),
        used: message[12..16].try_into().unwrap(),
        wanted: octets(50),
        server: octets(54),
        to,
    }
}

/// A server's message as it arrives.
pub(in crate::network::dhcp) fn packet(
    kind: u8,
    exchange: u32,
    address: Octets,
    server: Octets,
    seconds: u32,
) -> List<u8> {
    packet_with(kind, exchange, address, &[(3, &server), (51, &seconds.to_be_bytes()), (54, &server)])
}

/// The same with these options and a mask.
pub(in crate::network::dhcp) fn packet_with(
    kind: u8,
    exchange: u32,
    address: Octets,
    options: &[(u8, &[u8])],
) -> List<u8> {
    let options = [&[(1, &[255, 255, 255, 0][..])], options].concat();
    let message = reply(kind, exchange, address, &options, &[], &[]);
    let mut packet = frame::broadcast(SERVER, &[]).to_vec();
    packet[2..4].copy_from_slice(&(message.len() as u16 + 28).to_be_bytes());
    packet[20..24].copy_from_slice(&[0, 67, 0, 68]);
    packet[24..26].copy_from_slice(&(message.len() as u16 + 8).to_be_bytes());
    packet.extend_from_slice(&message);
    packet
}

/// All that a client has to say now, probes apart.
fn messages(client: &mut Client, now: u64) -> List<Said> {
    let mut all = vec![];
    while let Some(send) = client.poll_send("web01", now) {
        if !matches!(send, Send::Arp(_)) {
            all.push(said(&send));
        }
    }
    all
}

/// What it says when its time has come.
fn next(client: &mut Client, now: &mut u64) -> Said {
    loop {
        *now = client.next_at().expect("there is something to wait for").max(*now);
        client.handle_time(*now);
        if let Some(said) = messages(client, *now).pop() {
            return said;
        }
    }
}

/// A client with a lease of so many seconds, from `now` on.
fn bound(now: &mut u64, seconds: u32) -> Client {
    let mut client = Client::new(MAC, 42, None, *now);
    let discover = next(&mut client, now);
    client.handle_packet(&packet(2, discover.exchange, OURS, SERVER, seconds), *now);
    let request = messages(&mut client, *now).pop().unwrap();
    client.handle_packet(&packet(5, request.exchange, OURS, SERVER, seconds), *now);
    assert_eq!((client.state(), client.poll_event()), (State::Bound, Some(Event::Bound)));
    messages(&mut client, *now);
    client
}

#[test]
fn four_messages_lead_to_an_address() {
    let mut now = 5 * SECOND;
    let mut client = Client::new(MAC, 42, None, now);
    let discover = next(&mut client, &mut now);
    assert_eq!(now, 5 * SECOND, "nothing is waited for");
    let nothing = Said { kind: 1, used: [0; 4], wanted: None, server: None, to: None, ..discover };
    assert_eq!(discover, nothing);
    // What is for another exchange, or no offer, is nothing.
    client.handle_packet(&packet(2, discover.exchange + 1, OURS, SERVER, 120), now);
    client.handle_packet(&packet(5, discover.exchange, OURS, SERVER, 120), now);
    client.handle_packet(&packet(2, discover.exchange, [0; 4], SERVER, 120), now);
    assert_eq!((client.state(), client.address()), (State::Selecting, None));
    client.handle_packet(&packet(2, discover.exchange, OURS, SERVER, 120), now);
    client.handle_packet(&packet(2, discover.exchange, [10, 0, 0, 6], OTHER, 120), now);
    let request = messages(&mut client, now);
    let expected = Said { kind: 3, wanted: Some(OURS), server: Some(SERVER), ..discover };
    assert_eq!(request, [expected]);
    // Neither another server nor another address.
    for (kind, address, server) in [(5, OURS, OTHER), (6, OURS, OTHER), (5, [10, 0, 0, 6], SERVER)] {
        client.handle_packet(&packet(kind, discover.exchange, address, server, 120), now);
        assert_eq!((client.state(), client.poll_event()), (State::Requesting, None));
    }
    client.handle_packet(&packet(5, discover.exchange, OURS, SERVER, 120), now);
    assert_eq!((client.poll_event(), client.poll_event()), (Some(Event::Bound), None));
    let mut interface = Interface::new(MAC);
    assert!(client.configure(&mut interface));
    assert_eq!(interface.addresses[0].to_string(), "10.0.0.5/24");
}

#[test]
fn questions_are_repeated_at_the_pauses_of_the_rfc() {
    let mut now = 0;
    let mut client = Client::new(MAC, 7, None, now);
    let first = next(&mut client, &mut now);
    let mut last = now;
    for pause in [4, 8, 16, 32, 64, 64, 64] {
        assert_eq!(next(&mut client, &mut now).exchange, first.exchange);
        let waited = now - last;
        assert!((pause * SECOND - 1000..=pause * SECOND + 1000).contains(&waited), "{waited} for {pause}");
        last = now;
    }
    // An offer whose server is gone is given up after three questions.
    client.handle_packet(&packet(2, first.exchange, OURS, SERVER, 120), now);
    let kinds: List<u8> = std::iter::repeat_with(|| messages(&mut client, now).pop())
        .map_while(|said| said.map(|said| said.kind))
        .collect();
    assert_eq!(kinds, [3]);
    let kinds: List<u8> = (0..3).map(|_| next(&mut client, &mut now).kind).collect();
    assert_eq!(kinds, [3, 3, 1]);
}

#[test]
fn a_lease_is_renewed_rebound_and_given_up() {
    let mut now = 0;
    let mut client = bound(&mut now, 1000);
    let renew = next(&mut client, &mut now);
    assert_eq!(now, 500 * SECOND);
    let expected = Said { kind: 3, used: OURS, wanted: None, server: None, to: Some(SERVER), ..renew };
    assert_eq!((&renew, client.state()), (&expected, State::Renewing));
    // Half of what is left until any server is asked.
    let mut at = vec![];
    while client.state() == State::Renewing {
        let said = next(&mut client, &mut now);
        at.push((now / SECOND, said.to.is_some()));
    }
    assert_eq!(at, [(687, true), (781, true), (841, true), (875, false)]);
    while client.address().is_some() {
        let said = next(&mut client, &mut now);
        at.push((now / SECOND, said.used == OURS));
    }
    assert_eq!(at[4..], [(937, true), (997, true), (1000, false)]);
    assert_eq!((client.poll_event(), client.state()), (Some(Event::Lost(Loss::Expired)), State::Selecting));
}

#[test]
fn an_answer_gives_more_time_and_tells_only_what_is_new() {
    let mut now = 0;
    let mut client = bound(&mut now, 1000);
    for _ in 0..3 {
        let before = now;
        let renew = next(&mut client, &mut now);
        assert_eq!(now - before, 500 * SECOND);
        // (It was answered a while after it was asked.)
        client.handle_packet(&packet(5, renew.exchange, OURS, SERVER, 1000), now + 70);
        assert_eq!((client.state(), client.poll_event()), (State::Bound, Some(Event::Renewed)));
        assert!(!client.listens());
    }
    let renew = next(&mut client, &mut now);
    client.handle_packet(&packet(5, renew.exchange, [10, 0, 0, 6], SERVER, 1000), now);
    assert_eq!(client.state(), State::Renewing, "another address is none of ours");
    client.handle_packet(&packet(5, renew.exchange, OURS, OTHER, 1000), now);
    assert_eq!(client.poll_event(), Some(Event::Bound), "another router");
}

#[test]
fn the_shortest_lease_is_no_storm() {
    for seconds in 1..4 {
        let mut now = 0;
        let mut client = bound(&mut now, seconds);
        let mut count = 0;
        while now < 20 * SECOND {
            let renew = next(&mut client, &mut now);
            assert_eq!(client.address(), Some(OURS), "it is renewed in time");
            now += 1;
            client.handle_packet(&packet(5, renew.exchange, OURS, SERVER, seconds), now);
            count += 1;
        }
        assert!(count <= 40, "{count} questions in 20 s for {seconds} s");
        // An answer that comes as late as the lease ends is the end of it.
        let renew = next(&mut client, &mut now);
        now += u64::from(seconds) * SECOND - 1;
        client.handle_packet(&packet(5, renew.exchange, OURS, SERVER, seconds), now);
        assert!(client.next_at().unwrap() <= now + 1);
    }
}

#[test]
fn a_lease_for_ever_is_asked_for_once() {
    let mut now = 0;
    let mut client = bound(&mut now, FOR_EVER);
    while let Some(at) = client.next_at() {
        client.handle_time(at);
        assert_eq!(messages(&mut client, at), []);
    }
    assert_eq!((client.state(), client.listens()), (State::Bound, false));
}

#[test]
fn a_server_that_says_no_is_believed_but_not_stormed() {
    let mut now = 0;
    let mut client = bound(&mut now, 1000);
    let renew = next(&mut client, &mut now);
    client.handle_packet(&packet(6, renew.exchange, [0; 4], SERVER, 0), now);
    assert_eq!((client.poll_event(), client.address()), (Some(Event::Lost(Loss::Refused)), None));
    let mut last = now;
    for pause in [1, 2, 4, 8, 16, 32, 64, 64] {
        let discover = next(&mut client, &mut now);
        assert_eq!((discover.kind, now - last), (1, pause * SECOND));
        last = now;
        client.handle_packet(&packet(2, discover.exchange, OURS, SERVER, 100), now);
        client.handle_packet(&packet(6, discover.exchange, [0; 4], SERVER, 0), now);
        messages(&mut client, now);
    }
}

/// A client that goes on with a lease of so many seconds that began at 0.
fn going_on(seconds: u32, now: u64) -> Client {
    let packet = packet(5, 77, OURS, SERVER, seconds);
    Client::new(MAC, 42, Some((0, frame::message_in(&packet).unwrap())), now)
}

#[test]
fn a_lease_of_another_agents_is_in_use_at_once_and_asked_about_at_once() {
    let mut now = 30 * SECOND;
    let mut client = going_on(100, now);
    assert_eq!((client.poll_event(), client.address()), (Some(Event::Bound), Some(OURS)));
    let reboot = messages(&mut client, now).pop().unwrap();
    let expected = Said { kind: 3, used: [0; 4], wanted: Some(OURS), server: None, to: None, ..reboot };
    assert_eq!((&reboot, client.state()), (&expected, State::Rebooting));
    client.handle_packet(&packet(5, reboot.exchange, OURS, SERVER, 100), now);
    assert_eq!((client.poll_event(), client.address()), (Some(Event::Bound), Some(OURS)));
    assert_eq!(client.lease().map(|(since, _)| since), Some(now));

    // A server that knows nothing of it.
    let mut client = going_on(100, now);
    let reboot = messages(&mut client, now).pop().unwrap();
    client.handle_packet(&packet(6, reboot.exchange, [0; 4], SERVER, 0), now);
    assert_eq!((client.poll_event(), client.state()), (Some(Event::Lost(Loss::Refused)), State::Init));

    // No server: it is renewed when its time has come, and ends when it has to.
    let mut client = going_on(100, now);
    messages(&mut client, now);
    assert_eq!(client.poll_event(), Some(Event::Bound));
    let mut unicast = None;
    while client.address().is_some() {
        let said = next(&mut client, &mut now);
        unicast = unicast.or(said.to.map(|to| (now, to)));
    }
    assert_eq!((now, client.poll_event()), (100 * SECOND, Some(Event::Lost(Loss::Expired))));
    assert!(unicast.is_some_and(|(at, to)| at >= 50 * SECOND && to == SERVER), "{unicast:?}");
}

#[test]
fn a_lease_that_is_over_is_said_to_be_before_anything_is_asked() {
    for now in [100 * SECOND, 5000 * SECOND] {
        let mut client = going_on(100, now);
        client.handle_time(now);
        assert_eq!((client.poll_event(), client.address()), (Some(Event::Lost(Loss::Expired)), None));
        assert_eq!(messages(&mut client, now).pop().map(|said| said.kind), Some(1));
    }
    // What makes no sense is no lease: of a time to come, another interface's, cut off.
    let packet = packet(5, 77, OURS, SERVER, 100);
    let message = frame::message_in(&packet).unwrap();
    let other = Mac([0, 0x16, 0x3e, 9, 9, 9]);
    for (mac, since, said) in [(MAC, 8, message), (other, 0, message), (MAC, 0, &message[..239]), (MAC, 0, b"")] {
        let mut client = Client::new(mac, 42, Some((since, said)), 7);
        assert_eq!((client.poll_event(), client.address(), client.state()), (None, None, State::Init));
    }
}

#[test]
fn somewhere_else_a_guest_asks_at_once_and_keeps_its_address_meanwhile() {
    let mut now = 0;
    let mut client = bound(&mut now, 1000);
    client.ask_again(now);
    let reboot = messages(&mut client, now).pop().unwrap();
    assert_eq!((reboot.wanted, client.address()), (Some(OURS), Some(OURS)));
    // Nobody answers: it is its until its time is over.
    while client.state() == State::Rebooting {
        now = client.next_at().unwrap();
        client.handle_time(now);
        messages(&mut client, now);
    }
    assert_eq!((client.state(), client.poll_event()), (State::Bound, None));
    assert_eq!(client.next_at(), Some(500 * SECOND));
    client.ask_again(now);
    let reboot = messages(&mut client, now).pop().unwrap();
    client.handle_packet(&packet(5, reboot.exchange, OURS, SERVER, 1000), now);
    assert_eq!(client.poll_event(), Some(Event::Bound), "the link may have lost its routes");
    client.ask_again(now);
    let reboot = messages(&mut client, now).pop().unwrap();
    client.handle_packet(&packet(6, reboot.exchange, [0; 4], OTHER, 0), now);
    assert_eq!(client.poll_event(), Some(Event::Lost(Loss::Refused)), "any server there may say no");
    client.stop();
    client.ask_again(now);
    assert_eq!((client.next_at(), messages(&mut client, now)), (None, vec![]));
}

#[test]
fn a_lease_ends_in_time_while_it_is_asked_whether_it_is_still_one() {
    for asked in [99 * SECOND, 85 * SECOND, 100 * SECOND, 5000 * SECOND] {
        let mut client = bound(&mut 0, 100);
        let mut now = asked;
        client.ask_again(now);
        while client.address().is_some() {
            let at = client.next_at().unwrap();
            assert!(at <= now.max(100 * SECOND), "asked at {asked}: in use until {at}");
            now = at.max(now);
            client.handle_time(now);
        }
        assert_eq!((client.poll_event(), client.state()), (Some(Event::Lost(Loss::Expired)), State::Selecting));
    }
}

#[test]
fn an_address_that_is_taken_is_given_back_and_declined() {
    let mut now = 0;
    let mut client = Client::new(MAC, 42, None, now);
    let discover = next(&mut client, &mut now);
    client.handle_packet(&packet(2, discover.exchange, OURS, SERVER, 100), now);
    messages(&mut client, now);
    client.handle_packet(&packet(5, discover.exchange, OURS, SERVER, 100), now);
    assert_eq!(client.poll_event(), Some(Event::Bound), "it is in use at once");
    let mut said = vec![];
    loop {
        while let Some(send) = client.poll_send("", now) {
            let Send::Arp(packet) = send else { panic!("{send:?}") };
            said.push((now, packet));
        }
        if !client.listens() {
            break;
        }
        now = client.next_at().unwrap();
        client.handle_time(now);
    }
    let (probe, announcement) = (frame::probe(MAC, OURS), frame::announcement(MAC, OURS));
    let (times, packets): (std::vec::Vec<_>, std::vec::Vec<_>) = said.into_iter().unzip();
    assert_eq!(packets, [probe, probe, probe, announcement, announcement]);
    let pauses: std::vec::Vec<_> = times.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(times[0] == 0 && pauses[..2].iter().all(|pause| (1000..2000).contains(pause)), "{times:?}");
    assert_eq!(pauses[2..], [2 * SECOND; 2], "an answer may come, and somebody may not have heard");

    let other = Mac([2, 0, 0, 0, 0, 9]);
    client.handle_arp(&frame::probe(other, OURS), now);
    assert_eq!(client.address(), Some(OURS), "it was asked for long enough");
    client.ask_again(now);
    let reboot = messages(&mut client, now).pop().unwrap();
    client.handle_packet(&packet(5, reboot.exchange, OURS, SERVER, 100), now);
    client.handle_arp(&frame::probe(other, OTHER), now);
    assert_eq!(client.address(), Some(OURS), "another address is no matter");
    client.handle_arp(&frame::probe(other, OURS), now);
    assert_eq!((client.poll_event(), client.address()), (Some(Event::Lost(Loss::Taken)), None));
    let decline = messages(&mut client, now).pop().unwrap();
    let expected = Said { kind: 4, used: [0; 4], wanted: Some(OURS), server: Some(SERVER), to: None, ..decline };
    assert_eq!(decline, expected);
    let last = now;
    assert_eq!(next(&mut client, &mut now).kind, 1);
    assert_eq!(now - last, 10 * SECOND);
}

/// Numbers of a schedule.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A server that keeps to the rules: what it gave to whom until when.
struct Server {
    ip: Octets,
    /// The last number of the address that it gives.
    host: u8,
    until: u64,
    is_there: bool,
}

impl Server {
    /// Its answer.
    fn answer(&mut self, said: &Said, now: u64, seconds: u32, dice: &mut Dice) -> Option<List<u8>> {
        let net = [self.ip[0], self.ip[1], self.ip[2]];
        let given = [net[0], net[1], net[2], self.host];
        match said.kind {
            1 => Some(packet(2, said.exchange, given, self.ip, seconds)),
            3 if said.server.is_some_and(|server| server != self.ip) => None,
            3 => {
                let wanted = said.wanted.unwrap_or(said.used);
                if wanted != given {
                    // Only one who is in its own net is told, as any server would.
                    return said.to.is_none().then(|| packet(6, said.exchange, [0; 4], self.ip, 0));
                }
                self.until = now + u64::from(seconds) * SECOND;
                Some(packet(5, said.exchange, given, self.ip, seconds))
            }
            4 => {
                self.host = 10 + dice.below(200) as u8;
                None
            }
            _ => panic!("{said:?}"),
        }
    }
}

/// Two servers in turn, packets that are lost, late, doubled and garbage, moves to another network, a neighbour who has
/// the address: what is in use is always what a server gave, for no longer than it gave it, and where one is there for
/// long enough there is an address.
#[test]
fn ten_thousand_schedules_end_with_an_address() {
    for seed in 0..10_000 {
        schedule(seed);
    }
}

fn schedule(seed: u64) {
    let mut dice = Dice(seed);
    let mut servers = [
        Server { ip: [10, 0, 0, 1], host: 5, until: 0, is_there: true },
        Server { ip: [10, 9, 9, 1], host: 7, until: 0, is_there: false },
    ];
    let seconds = [20, 120, 1000, 86_400][dice.below(4) as usize];
    let losses = dice.below(60);
    let mut now = 0;
    let mut client = Client::new(MAC, seed, None, now);
    let mut on_the_way: List<(u64, List<u8>)> = vec![];
    let (mut sent, mut calm_from) = (0, u64::MAX);
    let mut used_until = None;
    for step in 0..400 {
        let is_calm = step >= 150;
        if is_calm && calm_from == u64::MAX {
            (servers[0].is_there, servers[1].is_there, calm_from) = (true, false, now);
            // Of a lease that another server gave for long it would hear nothing by itself.
            client.ask_again(now);
        }
        while let Some(send) = client.poll_send("web01", now) {
            sent += 1;
            if matches!(send, Send::Arp(_)) {
                continue;
            }
            let said = said(&send);
            for server in &mut servers {
                let reached = server.is_there && said.to.is_none_or(|to| to == server.ip);
                if !reached || !is_calm && dice.below(100) < losses {
                    continue;
                }
                let Some(answer) = server.answer(&said, now, seconds, &mut dice) else { continue };
                let delay = if is_calm { 2 } else { dice.below(9000) };
                for _ in 0..1 + u64::from(dice.below(10) == 0) {
                    on_the_way.push((now + delay, answer.clone()));
                }
            }
        }
        while let Some(event) = client.poll_event() {
            match event {
                Event::Bound | Event::Renewed => assert!(client.address().is_some(), "seed {seed}"),
                Event::Lost(_) => assert_eq!(client.address(), None, "seed {seed}"),
            }
        }
        // No longer than a server said, from when it was asked.
        if let Some(address) = client.address() {
            let server = servers.iter().find(|server| server.ip[..3] == address[..3]).expect("a server's own net");
            used_until = Some(server.until);
            assert!(server.until >= now, "seed {seed}: {address:?} until {}, now {now}", server.until);
        }
        on_the_way.sort_by_key(|(at, _)| *at);
        let arrival = on_the_way.first().map(|(at, _)| *at);
        let Some(at) = [arrival, client.next_at()].into_iter().flatten().min() else { break };
        assert!(at >= now || client.next_at() <= Some(now), "seed {seed}");
        now = at.max(now);
        if is_calm && now > calm_from + 400 * SECOND {
            break;
        }
        if arrival == Some(at) {
            let (_, packet) = on_the_way.remove(0);
            client.handle_packet(&packet, now);
        }
        client.handle_time(now);
        if is_calm {
            continue;
        }
        match dice.below(40) {
            0 => {
                servers.iter_mut().for_each(|server| server.is_there = dice.below(2) == 0);
            }
            1 => client.ask_again(now),
            2 => {
                let mut garbage = packet(2 + 3 * dice.below(2) as u8, dice.below(9) as u32, OURS, SERVER, 9);
                let len = garbage.len() as u64;
                for _ in 0..dice.below(30) {
                    garbage[dice.below(len) as usize] = dice.below(256) as u8;
                }
                garbage.truncate(dice.below(len) as usize);
                client.handle_packet(&garbage, now);
                client.handle_arp(&garbage, now);
            }
            // Another agent takes over.
            4 => {
                let lease = client.lease().map(|(since, said)| (since, said.to_vec()));
                let before = lease.as_ref().map(|(since, said)| (*since, &said[..]));
                client = Client::new(MAC, dice.below(1000), before, now);
            }
            3 if client.address().is_some() => {
                let address = client.address().unwrap();
                client.handle_arp(&frame::probe(Mac([2; 6]), address), now);
            }
            _ => {}
        }
    }
    assert!(client.address().is_some_and(|address| address[..3] == [10, 0, 0]), "seed {seed}: {:?}", client.state());
    assert!(used_until.is_some() && sent < 600, "seed {seed}: {sent} packets");
}

#[test]
fn a_request_says_for_how_long_it_was_tried_and_from_which_address() {
    let mut now = 0;
    let mut client = Client::new(MAC, 7, None, now);
    let seconds = |send: &Send| match send {
        Send::Broadcast(packet) => u16::from_be_bytes([packet[36], packet[37]]),
        other => panic!("{other:?}"),
    };
    let mut tries = vec![];
    while tries.len() < 3 {
        now = client.next_at().unwrap();
        client.handle_time(now);
        let send = client.poll_send("", now).unwrap();
        tries.push((now / SECOND, u64::from(seconds(&send))));
        assert!(matches!(&send, Send::Broadcast(packet) if packet[12..16] == [0; 4]));
    }
    assert!(tries.iter().all(|(at, said)| at == said) && tries[2].0 > 8, "{tries:?}");

    // Whoever has an address speaks from it, though to everybody.
    let mut client = bound(&mut now, 1000);
    while client.state() != State::Rebinding {
        now = client.next_at().unwrap();
        client.handle_time(now);
        if client.state() != State::Rebinding {
            messages(&mut client, now);
        }
    }
    let send = client.poll_send("", now).unwrap();
    assert!(matches!(&send, Send::Broadcast(packet) if packet[12..16] == OURS), "{send:?}");
}

#[test]
fn exchanges_of_two_clients_and_of_one_are_not_the_same() {
    let exchange = |random| next(&mut Client::new(MAC, random, None, 0), &mut 0).exchange;
    assert_ne!(exchange(1), exchange(3));
    let mut now = 0;
    let mut client = bound(&mut now, 1000);
    let first = next(&mut client, &mut now).exchange;
    assert_ne!(first, next(&mut client, &mut now).exchange);
}

#[test]
fn after_an_address_was_given_a_refusal_counts_as_the_first() {
    let mut now = 0;
    let mut client = bound(&mut now, 1000);
    for pause in [1, 2, 1] {
        client.ask_again(now);
        let asked = messages(&mut client, now).pop().unwrap_or_else(|| next(&mut client, &mut now));
        if asked.kind == 1 {
            client.handle_packet(&packet(2, asked.exchange, OURS, SERVER, 1000), now);
        }
        messages(&mut client, now);
        client.handle_packet(&packet(6, asked.exchange, [0; 4], SERVER, 0), now);
        assert_eq!(client.next_at(), Some(now + pause * SECOND));
        if pause == 2 {
            let discover = next(&mut client, &mut now);
            client.handle_packet(&packet(2, discover.exchange, OURS, SERVER, 1000), now);
            messages(&mut client, now);
            client.handle_packet(&packet(5, discover.exchange, OURS, SERVER, 1000), now);
            assert_eq!(client.state(), State::Bound);
        }
    }
}

#[test]
fn at_its_very_end_a_lease_is_over_whatever_is_asked_then() {
    let mut now = 0;
    let mut client = bound(&mut now, 100);
    client.ask_again(99_500);
    messages(&mut client, 99_500);
    client.handle_time(99_999);
    assert_eq!(client.address(), Some(OURS));
    client.handle_time(100_000);
    assert_eq!((client.address(), client.poll_event()), (None, Some(Event::Lost(Loss::Expired))));
    // An interface without a lease has nothing, and its IPv6 is the kernel's still.
    let mut interface = Interface::new(MAC);
    (interface.vif, interface.mtu) = (Some(3), Some(1400));
    assert!(client.configure(&mut interface));
    assert_eq!(interface, Interface { vif: Some(3), left_alone: [false, true], ..Interface::new(MAC) });
}
