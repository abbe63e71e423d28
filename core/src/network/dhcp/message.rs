//! Messages of DHCPv4 (RFC 2131, options of RFC 2132).
//!
//! What a server sends is bytes of any kind. A message that is not for this client is none; an option that makes no
//! sense is passed over, and the rest of its message counts. Options may go on in the fields `file` and `sname` (option
//! 52), and one option may come in parts (RFC 3396). A host name or a domain that is no name is no name.

use heapless::{String, Vec};

use super::Octets;
use crate::network::model::{HOSTNAME_MAX, Interface};
use crate::network::source::vm_data::hostname;
use crate::wire::net::{Family, Ip, Mac, Prefixed, Route};

/// Longest message: what an Ethernet packet of the usual size has room for behind the headers of IP and UDP.
pub const MESSAGE_MAX: usize = 1472;
/// Longest request: its fields, and options of which the host name is the longest.
pub const REQUEST_MAX: usize = 400;
/// Below this some relays drop a message (RFC 1542, 2.1).
const REQUEST_MIN: usize = 300;
/// Longest option, all its parts together: 56 routes of the longest kind.
const OPTION_MAX: usize = 512;
/// Longest host name that is sent (HOST_NAME_MAX).
pub const NAME_MAX: usize = 64;

const COOKIE: [u8; 4] = [99, 130, 83, 99];
const CLIENT_HARDWARE: usize = 28;
const SERVER_NAME: core::ops::Range<usize> = 44..108;
const BOOT_FILE: core::ops::Range<usize> = 108..236;
const OPTIONS: usize = 240;

/// The numbers of options, by the names of RFC 2132, RFC 3442 and RFC 4361.
mod code {
    pub(super) const MASK: u8 = 1;
    pub(super) const ROUTERS: u8 = 3;
    pub(super) const NAME_SERVERS: u8 = 6;
    pub(super) const HOST_NAME: u8 = 12;
    pub(super) const DOMAIN: u8 = 15;
    pub(super) const MTU: u8 = 26;
    pub(super) const BROADCAST: u8 = 28;
    pub(super) const REQUESTED_ADDRESS: u8 = 50;
    pub(super) const LEASE_TIME: u8 = 51;
    pub(super) const OVERLOAD: u8 = 52;
    pub(super) const MESSAGE_TYPE: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const WANTED: u8 = 55;
    pub(super) const SIZE_MAX: u8 = 57;
    pub(super) const RENEWAL: u8 = 58;
    pub(super) const REBINDING: u8 = 59;
    pub(super) const CLIENT: u8 = 61;
    pub(super) const CLASSLESS_ROUTES: u8 = 121;
    pub(super) const PAD: u8 = 0;
    pub(super) const END: u8 = 255;
}

/// What a client asks to be told. Classless routes come before routers (RFC 3442).
const WANTED: [u8; 11] = [
    code::MASK,
    code::CLASSLESS_ROUTES,
    code::ROUTERS,
    code::NAME_SERVERS,
    code::HOST_NAME,
    code::DOMAIN,
    code::MTU,
    code::BROADCAST,
    code::LEASE_TIME,
    code::RENEWAL,
    code::REBINDING,
];

/// Kinds of messages that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Who has an address for me?
    Discover = 1,
    /// I take this one, or go on with it.
    Request = 3,
    /// Somebody else has it.
    Decline = 4,
}

/// A message of the client's.
#[derive(Debug)]
pub struct Request<'a> {
    /// What it says.
    pub kind: RequestKind,
    /// The exchange that it belongs to.
    pub exchange: u32,
    /// For how many seconds the client has tried.
    pub seconds: u16,
    /// Who sends it.
    pub mac: Mac,
    /// The address that is in use and to be kept.
    pub used: Option<Octets>,
    /// The address that is wanted, or not wanted.
    pub wanted: Option<Octets>,
    /// The server whose offer this is about.
    pub server: Option<Octets>,
    /// The guest's name; of a longer one than [`NAME_MAX`] nothing is said.
    pub name: &'a str,
}

impl Request<'_> {
    /// Its bytes.
    #[inline(never)]
    pub fn write(&self) -> Vec<u8, REQUEST_MAX> {
        let mut fields = [0; OPTIONS];
        let [a, b, c, d] = self.exchange.to_be_bytes();
        let [high, low] = self.seconds.to_be_bytes();
        // A request over Ethernet, whose addresses have six bytes. Replies may come to the address that is offered.
        fields[..12].copy_from_slice(&[1, 1, 6, 0, a, b, c, d, high, low, 0, 0]);
        fields[12..16].copy_from_slice(&self.used.unwrap_or_default());
        fields[CLIENT_HARDWARE..CLIENT_HARDWARE + 6].copy_from_slice(&self.mac.0);
        fields[236..].copy_from_slice(&COOKIE);
        let mut message = Vec::new();
        let _ = message.extend_from_slice(&fields);
        let mut put = |code: u8, value: &[u8]| {
            let _ = message.extend_from_slice(&[code, value.len() as u8]);
            let _ = message.extend_from_slice(value);
        };
        put(code::MESSAGE_TYPE, &[self.kind as u8]);
        put(code::CLIENT, &self.mac.client_id());
        if let Some(address) = self.wanted {
            put(code::REQUESTED_ADDRESS, &address);
        }
        if let Some(server) = self.server {
            put(code::SERVER, &server);
        }
        if self.kind != RequestKind::Decline {
            put(code::SIZE_MAX, &(MESSAGE_MAX as u16 + 28).to_be_bytes());
            put(code::WANTED, &WANTED);
            if (1..=NAME_MAX).contains(&self.name.len()) {
                put(code::HOST_NAME, self.name.as_bytes());
            }
        }
        let _ = message.push(code::END);
        if message.len() < REQUEST_MIN {
            let _ = message.resize(REQUEST_MIN, code::PAD);
        }
        message
    }
}

/// Kinds of messages that a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// You could have this address.
    Offer,
    /// You have it.
    Ack,
    /// You have it not.
    Nak,
}

/// How long an address may be used, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When its server is asked for more.
    pub renewal: u32,
    /// When any server is.
    pub rebinding: u32,
    /// When it ends.
    pub end: u32,
}

/// A lease that never ends.
pub const FOR_EVER: u32 = u32::MAX;
/// How long a lease is of which the server does not say.
const USUAL_SECONDS: u32 = 3600;

/// A server's message to this client, in this exchange.
#[derive(Clone, Copy)]
pub struct Reply<'a> {
    bytes: &'a [u8],
    /// What it says.
    pub kind: ReplyKind,
}

impl<'a> Reply<'a> {
    /// Reads a message; `None` if it is not for this client, or longer than it was told to be (RFC 2132, 9.10).
    pub fn of(bytes: &'a [u8], mac: Mac, exchange: u32) -> Option<Reply<'a>> {
        let at = |place: core::ops::Range<usize>| bytes.get(place);
        let is_ours = bytes.len() <= MESSAGE_MAX
            && at(0..3)? == [2, 1, 6]
            && at(4..8)? == exchange.to_be_bytes()
            && at(CLIENT_HARDWARE..CLIENT_HARDWARE + 6)? == mac.0
            && at(236..OPTIONS)? == COOKIE;
        let reply = Reply { bytes: is_ours.then_some(bytes)?, kind: ReplyKind::Nak };
        let kind = match reply.option(code::MESSAGE_TYPE)?[..] {
            [2] => ReplyKind::Offer,
            [5] => ReplyKind::Ack,
            [6] => ReplyKind::Nak,
            _ => return None,
        };
        Some(Reply { kind, ..reply })
    }

    /// The address that is offered or given; `None` if no host can have it.
    pub fn address(&self) -> Option<Octets> {
        host(self.bytes.get(16..20)?)
    }

    /// Which server speaks.
    pub fn server(&self) -> Option<Octets> {
        host(&self.option(code::SERVER)?)
    }

    /// How long the address may be used. Times that contradict each other, or are none, are the usual parts of the
    /// whole (RFC 2131, 4.4.5).
    pub fn times(&self) -> Times {
        let seconds = |code| Some(u32::from_be_bytes(self.option(code)?[..].try_into().ok()?));
        let end = seconds(code::LEASE_TIME).filter(|seconds| *seconds > 0).unwrap_or(USUAL_SECONDS);
        let rebinding = seconds(code::REBINDING).filter(|seconds| (1..end).contains(seconds)).unwrap_or(end - end / 8);
        let renewal = seconds(code::RENEWAL).filter(|seconds| (1..rebinding).contains(seconds));
        Times { renewal: renewal.unwrap_or((end / 2).min(rebinding)), rebinding, end }
    }

    /// The guest's name.
    pub fn host_name(&self) -> Option<String<HOSTNAME_MAX>> {
        self.name(code::HOST_NAME)
    }

    /// Where names without a domain are looked up.
    pub fn domain(&self) -> Option<String<HOSTNAME_MAX>> {
        self.name(code::DOMAIN)
    }

    fn name(&self, code: u8) -> Option<String<HOSTNAME_MAX>> {
        let value = self.option(code)?;
        // Some servers send the zero byte of their own language.
        let len = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
        hostname(&value[..len])
    }

    /// Gives an interface what the message says. Returns whether it had room for all of it.
    #[inline(never)]
    pub fn configure(&self, interface: &mut Interface) -> bool {
        let Interface { mac, vif, .. } = *interface;
        *interface = Interface { vif, left_alone: [false, true], ..Interface::new(mac) };
        let Some(address) = self.address() else { return true };
        let prefix = self.option(code::MASK).and_then(|mask| prefix_of(&mask));
        let prefix = prefix.unwrap_or_else(|| usual_prefix(address));
        let _ = interface.addresses.push(Prefixed { ip: ip(address), prefix });
        interface.broadcast = self.option(code::BROADCAST).and_then(|value| Ip::from_octets(as_octets(&value)?));
        // RFC 2132, 5.1: at least 68; with less than 576 not every packet of IPv4 would come (RFC 791, 3.1).
        let mtu = self.option(code::MTU).and_then(|value| Some(u16::from_be_bytes(value[..].try_into().ok()?)));
        interface.mtu = mtu.filter(|mtu| *mtu >= 576);
        let mut has_room = true;
        let servers = self.option(code::NAME_SERVERS).unwrap_or_default();
        for server in hosts(&servers) {
            if !interface.dns.contains(&server) {
                has_room &= interface.dns.push(server).is_ok();
            }
        }
        has_room & self.routes(interface)
    }

    /// Classless routes, and no routers if there are any (RFC 3442); else the first router.
    fn routes(&self, interface: &mut Interface) -> bool {
        let classless = self.option(code::CLASSLESS_ROUTES).unwrap_or_default();
        let mut has_room = true;
        let mut everything = None;
        if walk_routes(&classless, &mut |_| {}).is_some() && !classless.is_empty() {
            let mut take = |route: Route| {
                if interface.routes.iter().any(|known| known.to == route.to) {
                } else if route.to.prefix == 0 {
                    everything.get_or_insert(route);
                } else {
                    has_room &= interface.routes.push(route).is_ok();
                }
            };
            let _ = walk_routes(&classless, &mut take);
        } else {
            let routers = self.option(code::ROUTERS).unwrap_or_default();
            everything = hosts(&routers).next().map(|via| Route { to: Prefixed::everything(via), via });
        }
        // Those to everything come last.
        everything.is_none_or(|route| interface.routes.push(route).is_ok()) && has_room
    }

    /// All parts of an option. One that is longer than any that makes sense is passed over.
    fn option(&self, code: u8) -> Option<Vec<u8, OPTION_MAX>> {
        let options = self.bytes.get(OPTIONS..)?;
        let mut overload = 0;
        walk_options(options, &mut |found, value| {
            if let (code::OVERLOAD, [value]) = (found, value) {
                overload = *value;
            }
        });
        let file = self.bytes.get(BOOT_FILE).filter(|_| overload & 1 != 0);
        let name = self.bytes.get(SERVER_NAME).filter(|_| overload & 2 != 0);
        let (mut all, mut is_there, mut has_room) = (Vec::new(), false, true);
        for area in [Some(options), file, name].into_iter().flatten() {
            walk_options(area, &mut |found, value| {
                if found == code {
                    is_there = true;
                    has_room &= all.extend_from_slice(value).is_ok();
                }
            });
        }
        (is_there && has_room).then_some(all)
    }
}

/// Calls `each` with every option of a field, up to its end or to one that is cut off.
fn walk_options(mut area: &[u8], each: &mut dyn FnMut(u8, &[u8])) {
    loop {
        area = match *area {
            [code::PAD, ref rest @ ..] => rest,
            [code::END, ..] | [] | [_] => return,
            [code, len, ref rest @ ..] => {
                let Some((value, rest)) = rest.split_at_checked(usize::from(len)) else { return };
                each(code, value);
                rest
            }
        };
    }
}

/// Calls `each` with every classless route; `None` if they make no sense (RFC 3442): the number of bits, as many bytes
/// as they are in, and the router.
fn walk_routes(mut value: &[u8], each: &mut dyn FnMut(Route)) -> Option<()> {
    while let [prefix, rest @ ..] = value {
        let mut to = [0; 4];
        let (bytes, rest) = rest.split_at_checked(usize::from(prefix.div_ceil(8)))?;
        to.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let (via, rest) = rest.split_first_chunk::<4>()?;
        each(Route { to: Prefixed::new(ip(to), *prefix)?.network(), via: ip(*via) });
        value = rest;
    }
    Some(())
}

fn ip(octets: Octets) -> Ip {
    Ip::from_octets(&octets).unwrap_or(Ip::unspecified(Family::V4))
}

fn as_octets(value: &[u8]) -> Option<&[u8]> {
    (value.len() == 4).then_some(value)
}

/// An address that a host can have.
fn host(value: &[u8]) -> Option<Octets> {
    let octets: Octets = value.try_into().ok()?;
    let first = octets[0];
    (first != 0 && first != 127 && first < 224).then_some(octets)
}

/// Addresses of hosts in a list of them.
fn hosts(value: &[u8]) -> impl Iterator<Item = Ip> {
    value.chunks_exact(4).filter_map(host).map(ip)
}

/// The size of the network that a mask means; `None` if it means none.
fn prefix_of(mask: &[u8]) -> Option<u8> {
    let bits = u32::from_be_bytes(mask.try_into().ok()?);
    let prefix = bits.leading_ones();
    (prefix > 0 && prefix + bits.trailing_zeros() == 32 || prefix == 32).then_some(prefix as u8)
}

/// The size of a network of which nobody says it: that of its class (RFC 950, 2.1).
fn usual_prefix(address: Octets) -> u8 {
    match address[0] {
        0..128 => 8,
        128..192 => 16,
        _ => 24,
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
pub(super) mod tests;
