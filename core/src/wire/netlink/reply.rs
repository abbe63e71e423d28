//! What the kernel answers.
//!
//! Lengths in a datagram are claims: what does not fit into what was received ends the walk. Attributes and messages of
//! unknown kinds are passed over.

use crate::wire::errno::Errno;
use crate::wire::net::{Device, Family, Ip, Mac, Prefixed};
use crate::wire::netlink::number::{
    AF_INET, IFA_ADDRESS, IFA_LOCAL, IFF_UP, IFLA_IFNAME, IFLA_MTU, RTA_DST, RTA_GATEWAY, RTA_OIF, RTA_PRIORITY,
    RTN_UNICAST,
};
use crate::wire::netlink::{ALIGN, HEADER, aligned, kind};

/// `ARPHRD_ETHER`
const ETHERNET: u16 = 1;
const IFF_LOOPBACK: u32 = 8;
const IFF_LOWER_UP: u32 = 0x1_0000;
/// Bytes of `struct ifinfomsg`.
const LINK_BODY: usize = 16;
const IFLA_ADDRESS: u16 = 1;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_CARRIER_CHANGES: u16 = 35;
const IFLA_LINK_NETNSID: u16 = 37;
/// Bytes of `struct ifaddrmsg`.
const ADDRESS_BODY: usize = 8;
const IFA_FLAGS: u16 = 8;
const IFA_F_TEMPORARY: u32 = 1;
const IFA_F_OPTIMISTIC: u32 = 4;
const IFA_F_DADFAILED: u32 = 8;
const IFA_F_TENTATIVE: u32 = 0x40;
pub(crate) const IFA_F_PERMANENT: u32 = 0x80;
/// Bytes of `struct rtmsg`.
const ROUTE_BODY: usize = 12;
const RTA_TABLE: u16 = 15;

/// A link of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: Device,
    /// Its address, if it is Ethernet. Tunnels have none.
    pub mac: Option<Mac>,
    /// Whether it has been brought up.
    pub up: bool,
    /// Whether packets get through: a link that was brought up may take its time.
    pub carrier: bool,
    /// How often that has changed (since Linux 3.15; 0 before).
    pub carrier_changes: u32,
    /// Whether it is the way of a system to itself.
    pub loopback: bool,
    /// The largest packet that it takes.
    pub mtu: u32,
    /// The number of the link that it lies upon (a VLAN's), or 0.
    pub lower: u32,
    /// Whether that one is in another namespace: a container's.
    pub lower_elsewhere: bool,
    /// The number of the link that it is a part of (a bridge's port), or 0.
    pub master: u32,
}

/// An address that a link has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresentAddress {
    /// The link's number.
    pub index: u32,
    /// The address.
    pub address: Prefixed,
    /// The address of the far end (IFA_ADDRESS); the same where there is none.
    pub far: Ip,
    /// `IFA_F_…`
    pub flags: u32,
}

impl PresentAddress {
    /// Whether it stays until somebody removes it; one that a router has announced does not, nor one of DHCP.
    pub fn is_permanent(&self) -> bool {
        self.flags & IFA_F_PERMANENT != 0
    }

    /// Whether it can be used: it is not being looked for on the network, nor was it found there.
    pub fn is_usable(&self) -> bool {
        self.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0 || self.flags & IFA_F_OPTIMISTIC != 0
    }

    /// Whether it is one that changes by the day, to hide its owner (RFC 8981). An IPv4 address that has another one of
    /// its network before it has the same flag.
    pub fn is_temporary(&self) -> bool {
        self.flags & IFA_F_TEMPORARY != 0 && self.address.ip.family() == Family::V6
    }
}

/// A unicast route that there is, through one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresentRoute {
    /// The link's number.
    pub index: u32,
    /// Where to.
    pub to: Prefixed,
    /// Through which neighbour; none if those it leads to are neighbours.
    pub via: Option<Ip>,
    /// The lower, the better.
    pub metric: u32,
    /// Which table it is in.
    pub table: u32,
    /// Who has made it (`RTPROT_`).
    pub protocol: u8,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A link is there.
    Link(Link),
    /// An address is there.
    Address(PresentAddress),
    /// A route is there.
    Route(PresentRoute),
    /// The request with this number is done, or failed.
    Answer(u32, Result<(), Errno>),
    /// Something else.
    Other,
}

/// The messages of a datagram.
pub struct Replies<'a>(&'a [u8]);

impl<'a> Replies<'a> {
    /// Takes a datagram apart.
    pub fn of(datagram: &'a [u8]) -> Replies<'a> {
        Replies(datagram)
    }
}

/// Takes the first message off a datagram: its kind, its number, and what is in it.
pub(super) fn split<'a>(datagram: &mut &'a [u8]) -> Option<(u16, u32, &'a [u8])> {
    let len = u32_at(datagram, 0)? as usize;
    let message = (u16_at(datagram, 4)?, u32_at(datagram, 8)?, datagram.get(HEADER..len)?);
    *datagram = datagram.get(aligned(len)..).unwrap_or_default();
    Some(message)
}

impl Iterator for Replies<'_> {
    type Item = Reply;

    fn next(&mut self) -> Option<Reply> {
        let (kind, sequence, body) = split(&mut self.0)?;
        Some(match kind {
            // Both begin with an errno, negative, or 0.
            kind::ERROR | kind::DONE => {
                let code = u32_at(body, 0).unwrap_or(0) as i32;
                let errno = u16::try_from(code.unsigned_abs()).unwrap_or(u16::MAX);
                Reply::Answer(sequence, if code == 0 { Ok(()) } else { Err(Errno(errno)) })
            }
            kind::NEW_LINK => link(body).map_or(Reply::Other, Reply::Link),
            kind::NEW_ADDRESS => address(body).map_or(Reply::Other, Reply::Address),
            kind::NEW_ROUTE => route(body).map_or(Reply::Other, Reply::Route),
            _ => Reply::Other,
        })
    }
}

/// Calls `each` with kind and value of every attribute behind the first `skip` bytes.
fn attributes<'a>(body: &'a [u8], skip: usize, each: &mut dyn FnMut(u16, &'a [u8])) {
    let mut rest = body.get(skip..).unwrap_or_default();
    while let (Some(len), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let Some(value) = rest.get(ALIGN..usize::from(len)) else { break };
        each(kind, value);
        rest = rest.get(aligned(usize::from(len))..).unwrap_or_default();
    }
}

/// A link that has a name.
fn link(body: &[u8]) -> Option<Link> {
    let (ethernet, flags) = (u16_at(body, 2)? == ETHERNET, u32_at(body, 8)?);
    let (up, carrier) = (flags & IFF_UP != 0, flags & IFF_LOWER_UP != 0);
    let loopback = flags & IFF_LOOPBACK != 0;
    let mut link = Link { index: u32_at(body, 4)?, up, carrier, loopback, ..Link::default() };
    attributes(body, LINK_BODY, &mut |kind, value| match kind {
        IFLA_ADDRESS if ethernet => link.mac = value.try_into().ok().map(Mac),
        IFLA_MTU => link.mtu = u32_at(value, 0).unwrap_or(0),
        IFLA_LINK => link.lower = u32_at(value, 0).unwrap_or(0),
        IFLA_MASTER => link.master = u32_at(value, 0).unwrap_or(0),
        IFLA_CARRIER_CHANGES => link.carrier_changes = u32_at(value, 0).unwrap_or(0),
        IFLA_LINK_NETNSID => link.lower_elsewhere = true,
        IFLA_IFNAME => {
            let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
            link.name = core::str::from_utf8(name).ok().and_then(|name| name.try_into().ok()).unwrap_or_default();
        }
        _ => {}
    });
    (!link.name.is_empty()).then_some(link)
}

fn address(body: &[u8]) -> Option<PresentAddress> {
    let (prefix, index) = (*body.get(1)?, u32_at(body, 4)?);
    let mut flags = u32::from(*body.get(2)?);
    // Of the two, IFA_LOCAL is the link's own where there is one: the other is then that of the far end.
    let (mut local, mut other) = (None, None);
    attributes(body, ADDRESS_BODY, &mut |kind, value| match kind {
        IFA_LOCAL => local = Ip::from_octets(value),
        IFA_ADDRESS => other = Ip::from_octets(value),
        IFA_FLAGS => flags = u32_at(value, 0).unwrap_or(flags),
        _ => {}
    });
    let address = Prefixed::new(local.or(other)?, prefix)?;
    Some(PresentAddress { index, address, far: other.unwrap_or(address.ip), flags })
}

/// A unicast route through one link and at most one gateway.
fn route(body: &[u8]) -> Option<PresentRoute> {
    let family = if *body.first()? == AF_INET { Family::V4 } else { Family::V6 };
    let (prefix, mut table, protocol, kind) = (*body.get(1)?, u32::from(*body.get(4)?), *body.get(5)?, *body.get(7)?);
    let (mut to, mut index, mut via, mut metric) = (None, 0, None, 0);
    attributes(body, ROUTE_BODY, &mut |kind, value| match kind {
        RTA_DST => to = Ip::from_octets(value),
        RTA_OIF => index = u32_at(value, 0).unwrap_or(0),
        RTA_GATEWAY => via = Ip::from_octets(value),
        RTA_PRIORITY => metric = u32_at(value, 0).unwrap_or(0),
        RTA_TABLE => table = u32_at(value, 0).unwrap_or(table),
        _ => {}
    });
    let to = Prefixed::new(to.unwrap_or(Ip::unspecified(family)), prefix)?;
    (kind == RTN_UNICAST && index != 0).then_some(PresentRoute { index, to, via, metric, table, protocol })
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use crate::wire::errno::Errno;
    use crate::wire::net::{Mac, Prefixed};
    use crate::wire::netlink::*;
    use proptest::prelude::{any, prop, prop_assert, proptest};

    /// A link with these attributes, as the kernel would send it.
    fn new_link(hardware: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes.extend([0, 0]);
        bytes.extend(hardware.to_le_bytes());
        bytes.extend([2, 0, 0, 0, 0x43, 0x10, 1, 0, 0, 0, 0, 0]);
        for (kind, value) in attributes {
            bytes.extend((4 + value.len() as u16).to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(*value);
            bytes.resize(aligned(bytes.len()), 0);
        }
        let len = bytes.len() as u32;
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes[4] = 16;
        bytes
    }

    #[test]
    fn a_dump_of_links_and_its_end() {
        let mac = [0xbc, 0x76, 0x4e, 0x04, 0xcf, 0xe5];
        let mut datagram = new_link(1, &[(3, b"eth0\0"), (13, &[0]), (1, &mac)]);
        datagram.extend(new_link(65534, &[(3, b"tun0\0")]));
        datagram.extend([20, 0, 0, 0, 3, 0, 2, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let link = |name: &str, mac| {
            let name = name.try_into().unwrap();
            Reply::Link(Link { index: 2, name, mac, up: true, carrier: true, ..Link::default() })
        };
        let replies: Vec<_> = Replies::of(&datagram).collect();
        assert_eq!(replies, [link("eth0", Some(Mac(mac))), link("tun0", None), Reply::Answer(9, Ok(()))]);
    }

    #[test]
    fn an_error_carries_its_number_and_no_error_is_done() {
        let answer = |code: i32| {
            let mut bytes = vec![36, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
            bytes.extend(code.to_le_bytes());
            bytes.resize(36, 0);
            Replies::of(&bytes).next()
        };
        assert_eq!(answer(0), Some(Reply::Answer(5, Ok(()))));
        assert_eq!(answer(-17), Some(Reply::Answer(5, Err(Errno::EXIST))));
        assert_eq!(answer(i32::MIN), Some(Reply::Answer(5, Err(Errno(u16::MAX)))));
    }

    #[test]
    fn names_that_are_none_make_no_link() {
        for name in [&b"\0"[..], b"a-name-too-long-for-any", b"\xff\0"] {
            assert_eq!(Replies::of(&new_link(1, &[(3, name)])).next(), Some(Reply::Other));
        }
        assert_eq!(Replies::of(&new_link(1, &[])).next(), Some(Reply::Other));
        // Infiniband's addresses have 20 bytes.
        let Some(Reply::Link(link)) = Replies::of(&new_link(1, &[(3, b"ib0\0"), (1, &[0; 20])])).next() else {
            panic!()
        };
        assert_eq!(link.mac, None);
    }

    /// A message with these attributes, as the kernel would send it.
    fn message(kind: u8, body: &[u8], attributes: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes.extend(body);
        for (kind, value) in attributes {
            bytes.extend([4 + value.len() as u8, 0, *kind, 0]);
            bytes.extend(*value);
            bytes.resize(aligned(bytes.len()), 0);
        }
        (bytes[0], bytes[4]) = (bytes.len() as u8, kind);
        bytes
    }

    fn one(kind: u8, body: &[u8], attributes: &[(u8, &[u8])]) -> Option<Reply> {
        let mut replies = Replies::of(&message(kind, body, attributes)).collect::<Vec<_>>();
        assert_eq!(replies.len(), 1);
        replies.pop()
    }

    #[test]
    fn what_a_link_lies_upon_and_is_a_part_of() {
        // Ethernet, number 7, loopback and not up.
        let body = [0, 0, 1, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0];
        let numbers: [(u8, &[u8]); 4] =
            [(4, &[0x78, 5, 0, 0]), (5, &[2, 1, 0, 0]), (10, &[9, 0, 0, 0]), (35, &[3, 1, 0, 0])];
        let attributes = [&[(3, &b"eth0.5\0"[..])][..], &numbers, &[(37, &[0; 4])]].concat();
        let link = Link {
            index: 7,
            name: "eth0.5".try_into().unwrap(),
            mac: None,
            up: false,
            carrier: false,
            carrier_changes: 259,
            loopback: true,
            mtu: 1400,
            lower: 258,
            lower_elsewhere: true,
            master: 9,
        };
        assert_eq!(one(16, &body, &attributes), Some(Reply::Link(link)));
        let Some(Reply::Link(plain)) = one(16, &body, &attributes[..1]) else { panic!() };
        assert_eq!((plain.mtu, plain.lower, plain.lower_elsewhere, plain.master), (0, 0, false, 0));
        assert_eq!(plain.carrier_changes, 0);
    }

    #[test]
    fn an_address_its_far_end_and_its_flags() {
        let address = |body: &[u8; 8], attributes: &[(u8, &[u8])]| match one(20, body, attributes) {
            Some(Reply::Address(PresentAddress { index, address, far, flags })) => {
                format!("{index} {address} {far} {flags:#x}")
            }
            other => format!("{other:?}"),
        };
        let body = [2, 24, 0x80, 0, 3, 1, 0, 0];
        let local: (u8, &[u8]) = (2, &[10, 0, 0, 5]);
        let far: (u8, &[u8]) = (1, &[10, 0, 0, 9]);
        assert_eq!(address(&body, &[local, far]), "259 10.0.0.5/24 10.0.0.9 0x80");
        assert_eq!(address(&body, &[far, local]), "259 10.0.0.5/24 10.0.0.9 0x80");
        assert_eq!(address(&body, &[local]), "259 10.0.0.5/24 10.0.0.5 0x80");
        assert_eq!(address(&body, &[far]), "259 10.0.0.9/24 10.0.0.9 0x80");
        // There are more flags than a byte has room for.
        assert_eq!(address(&body, &[local, (8, &[0x40, 1, 0, 0])]), "259 10.0.0.5/24 10.0.0.5 0x140");
        let six = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(address(&[10, 64, 0, 0, 3, 0, 0, 0], &[(1, &six)]), "3 fe80::1/64 fe80::1 0x0");
        for (body, attributes) in [(body, &[][..]), ([2, 33, 0, 0, 3, 0, 0, 0], &[local]), (body, &[(2, &[1, 2, 3])])] {
            assert_eq!(address(&body, attributes), "Some(Other)");
        }
    }

    #[test]
    fn what_the_flags_of_an_address_mean() {
        let [four, six] = ["10.0.0.5", "2001:db8::5"].map(|ip| ip.parse().unwrap());
        let present = |far, flags| PresentAddress { index: 1, address: Prefixed::new(far, 24).unwrap(), far, flags };
        let usable = |flags| present(six, flags).is_usable();
        assert!(usable(0) && usable(0x80) && !usable(0x40) && !usable(8) && !usable(0xc8) && usable(0x44) && usable(4));
        let permanent = |flags| present(six, flags).is_permanent();
        assert!(permanent(0x80) && permanent(0x81) && !permanent(0) && !permanent(0x7f));
        assert!(present(six, 0x81).is_temporary() && !present(six, 0x80).is_temporary());
        assert!(!present(four, 0x81).is_temporary());
    }

    #[test]
    fn a_route_through_one_link_and_no_other() {
        let route = |body: &[u8; 12], attributes: &[(u8, &[u8])]| match one(24, body, attributes) {
            Some(Reply::Route(PresentRoute { index, to, via, metric, table, protocol })) => {
                format!(
                    "{index} {to} {} {metric} {table} {protocol}",
                    via.map(|via| via.to_string()).unwrap_or_default()
                )
            }
            other => format!("{other:?}"),
        };
        let body = [2, 12, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
        let all: [(u8, &[u8]); 5] = [
            (1, &[10, 208, 0, 0]),
            (5, &[10, 181, 0, 1]),
            (4, &[3, 1, 0, 0]),
            (6, &[0, 2, 0, 0]),
            (15, &[0xe8, 3, 0, 0]),
        ];
        assert_eq!(route(&body, &all), "259 10.208.0.0/12 10.181.0.1 512 1000 4");
        assert_eq!(route(&body, &all[..3]), "259 10.208.0.0/12 10.181.0.1 0 254 4");
        // Default routes name no destination.
        assert_eq!(route(&[2, 0, 0, 0, 254, 16, 0, 1, 0, 0, 0, 0], &all[2..3]), "259 0.0.0.0/0  0 254 16");
        assert_eq!(route(&[10, 0, 0, 0, 255, 9, 0, 1, 0, 0, 0, 0], &all[2..3]), "259 ::/0  0 255 9");
        // Through several links, a broadcast, more bits than there are.
        assert_eq!(route(&body, &all[..2]), "Some(Other)");
        assert_eq!(route(&[2, 12, 0, 0, 254, 4, 0, 3, 0, 0, 0, 0], &all), "Some(Other)");
        assert_eq!(route(&[2, 33, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0], &all), "Some(Other)");
        assert_eq!(one(99, &body, &all), Some(Reply::Other));
    }

    #[test]
    fn lengths_are_claims_and_what_does_not_fit_ends_the_walk() {
        let whole = message(20, &[2, 24, 0, 0, 3, 0, 0, 0], &[(2, &[10, 0, 0, 5])]);
        assert_eq!(Replies::of(&[&whole[..], &whole].concat()).count(), 2);
        assert_eq!(Replies::of(&[&whole[..], &whole[..31]].concat()).count(), 1);
        for len in [0, 15, 33] {
            let mut bytes = whole.clone();
            bytes[0] = len;
            assert_eq!(Replies::of(&bytes).count(), 0, "{len}");
        }
        // An attribute that is longer than its message is none; one of an odd length is filled up.
        let mut bytes = whole.clone();
        bytes[24] = 9;
        assert_eq!(Replies::of(&bytes).next(), Some(Reply::Other));
        let odd = message(20, &[2, 24, 0, 0, 3, 0, 0, 0], &[(99, &[1]), (2, &[10, 0, 0, 5])]);
        assert!(matches!(Replies::of(&odd).next(), Some(Reply::Address(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Replies::of(&bytes).count() <= bytes.len() / HEADER);
        }

        #[test]
        fn any_damage_to_a_link_ends(at in 0_usize..60, byte in any::<u8>()) {
            let mut bytes = new_link(1, &[(3, b"eth0\0"), (1, &[2; 6]), (5, &[0; 8])]);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            prop_assert!(Replies::of(&bytes).count() <= 4);
        }
    }
}
