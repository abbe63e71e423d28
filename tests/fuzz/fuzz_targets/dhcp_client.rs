//! A DHCP client against servers that say anything at any time: it never says more than a few packets at once, never
//! waits for what is over, holds no address longer than its lease, and what it sends is a message.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use nanova_core::network::dhcp::client::{Client, Event, Send, State};
use nanova_core::network::dhcp::{Octets, frame};
use nanova_core::network::model::Interface;
use nanova_core::wire::net::Mac;

const MAC: Mac = Mac([0, 0x16, 0x3e, 1, 2, 3]);
const ADDRESSES: [Octets; 4] = [[10, 0, 0, 5], [10, 0, 0, 6], [0, 0, 0, 0], [192, 0, 2, 1]];

#[derive(Arbitrary, Debug)]
enum Happens<'a> {
    /// A server's message: kind, which address, which server, seconds, whether it is of this exchange, more options.
    Reply(u8, u8, u8, u32, bool, &'a [u8]),
    /// Somebody's ARP: whose address, whether he asks.
    Arp(u8, bool),
    /// Any packet.
    Packet(&'a [u8]),
    /// So many milliseconds.
    Time(u32),
    /// All that is waited for.
    Due,
    /// The guest has moved.
    Moved,
    /// Somebody else says what the interface has.
    Stop,
}

/// A server's packet.
fn packet(kind: u8, exchange: u32, address: Octets, server: Octets, seconds: u32, more: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 240];
    message[..4].copy_from_slice(&[2, 1, 6, 0]);
    message[4..8].copy_from_slice(&exchange.to_be_bytes());
    message[16..20].copy_from_slice(&address);
    message[28..34].copy_from_slice(&MAC.0);
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    message.extend([53, 1, kind, 1, 4, 255, 255, 255, 0, 54, 4]);
    message.extend(server);
    message.extend([51, 4]);
    message.extend(seconds.to_be_bytes());
    message.extend_from_slice(&more[..more.len().min(1000)]);
    message.push(255);
    let mut packet = frame::broadcast(server, &[]).to_vec();
    packet[2..4].copy_from_slice(&(message.len() as u16 + 28).to_be_bytes());
    packet[20..24].copy_from_slice(&[0, 67, 0, 68]);
    packet[24..26].copy_from_slice(&(message.len() as u16 + 8).to_be_bytes());
    packet.extend(message);
    packet
}

struct World {
    client: Client,
    now: u64,
    exchange: u32,
    has: Option<Octets>,
}

impl World {
    /// Takes what the client says.
    fn listen(&mut self) {
        let mut said = 0;
        while let Some(send) = self.client.poll_send("web01", self.now) {
            said += 1;
            assert!(said <= 3, "it says too much at once");
            let message = match &send {
                Send::Broadcast(packet) => &packet[28..],
                Send::Unicast { message, from, .. } => {
                    assert_eq!(Some(*from), self.client.address(), "it speaks from an address that it has");
                    &message[..]
                }
                Send::Arp(packet) => {
                    assert_eq!(packet[24..28], self.client.address().expect("it probes what it has"));
                    continue;
                }
            };
            assert!((300..=400).contains(&message.len()) && message[0] == 1 && message[28..34] == MAC.0);
            self.exchange = u32::from_be_bytes(message[4..8].try_into().expect("four bytes"));
        }
        while let Some(event) = self.client.poll_event() {
            let address = self.client.address();
            let has = !matches!(event, Event::Lost(_));
            assert_eq!(has, address.is_some(), "{event:?} {:?}", self.client.state());
        }
        self.has = self.client.address();
        let mut interface = Interface::new(MAC);
        self.client.configure(&mut interface);
        assert_eq!(interface.addresses.is_empty(), self.has.is_none());
        assert_eq!(self.client.reply().is_some(), self.has.is_some(), "what a lease said is kept whole");
        if self.client.state() == State::Stopped {
            assert_eq!((self.has, self.client.next_at()), (None, None));
        } else if self.client.next_at().is_none() {
            assert_eq!(self.client.state(), State::Bound, "only a lease that never ends waits for nothing");
        }
    }

    fn happens(&mut self, happens: Happens<'_>) {
        let World { client, now, exchange, .. } = self;
        match happens {
            Happens::Reply(kind, address, server, seconds, is_ours, more) => {
                let [address, server] = [address, server].map(|which| ADDRESSES[usize::from(which % 4)]);
                let exchange = if is_ours { *exchange } else { exchange.wrapping_add(1) };
                client.handle_packet(&packet(kind % 8, exchange, address, server, seconds, more), *now);
            }
            Happens::Arp(address, asks) => {
                let address = ADDRESSES[usize::from(address % 4)];
                let say = if asks { frame::probe } else { frame::announcement };
                client.handle_arp(&say(Mac([2, 0, 0, 9, 9, 9]), address), *now);
            }
            Happens::Packet(packet) => {
                client.handle_packet(packet, *now);
                client.handle_arp(packet, *now);
            }
            Happens::Time(ms) => {
                *now += u64::from(ms);
                client.handle_time(*now);
            }
            Happens::Due => {
                if let Some(at) = client.next_at() {
                    *now = at.max(*now);
                    client.handle_time(*now);
                    assert!(
                        client.next_at().is_none_or(|next| next > *now || client.state() == State::Init),
                        "it waits for what is over"
                    );
                }
            }
            Happens::Moved => client.ask_again(*now),
            Happens::Stop => client.stop(),
        }
    }
}

/// What a client before this one has left: since when it counts, which address, seconds, any bytes behind that or
/// instead of it.
#[derive(Arbitrary, Debug)]
struct Before<'a>(u32, u8, u32, &'a [u8], bool);

fuzz_target!(|input: (u64, Option<Before<'_>>, Vec<Happens<'_>>)| {
    let (random, before, all) = input;
    let said = before.map(|Before(since, address, seconds, bytes, is_whole)| {
        let address = ADDRESSES[usize::from(address % 4)];
        let packet = packet(5, 1, address, ADDRESSES[3], seconds, bytes);
        (u64::from(since % 2_000_000), if is_whole { packet[28..].to_vec() } else { bytes.to_vec() })
    });
    let before = said.as_ref().map(|(since, said)| (*since, &said[..]));
    let client = Client::new(MAC, random, before, 1_000_000);
    let mut world = World { client, now: 1_000_000, exchange: 0, has: None };
    for happens in all.into_iter().take(64) {
        world.happens(happens);
        world.listen();
    }
    // With nobody to answer no address lasts longer than its lease.
    if random % 16 == 0 {
        let end = world.now + 1000 * u64::from(u32::MAX);
        for _ in 0..200 {
            world.happens(Happens::Due);
        }
        world.listen();
        assert!(world.has.is_none() || world.client.next_at().is_none() || world.now <= end);
    }
});
