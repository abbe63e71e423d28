//! Requests to the kernel.
//!
//! An address that is there already is made permanent. A route that is there already is an error, EEXIST: it is another
//! one's, and never replaced.

use crate::wire::net::{DEVICE_MAX, Device, Family, Ip, Prefixed, Route};
use crate::wire::netlink::number::{
    AF_INET, AF_INET6, IFA_ADDRESS, IFA_LOCAL, IFF_UP, IFLA_IFNAME, IFLA_MTU, RT_TABLE_MAIN, RTA_DST, RTA_GATEWAY,
    RTA_OIF, RTA_PRIORITY, RTN_UNICAST,
};
use crate::wire::netlink::reply::{PresentAddress, PresentRoute};
use crate::wire::netlink::{ALIGN, HEADER, aligned, kind};

const AF_UNSPEC: u8 = 0;

/// `NLM_F_REQUEST`
const REQUEST: u16 = 1;
/// `NLM_F_REQUEST | NLM_F_ACK`
const CHANGE: u16 = REQUEST | 4;
/// `CHANGE | NLM_F_EXCL | NLM_F_CREATE`
const CREATE: u16 = CHANGE | 0x200 | 0x400;
/// `CHANGE | NLM_F_REPLACE | NLM_F_CREATE`
const MAKE: u16 = CHANGE | 0x100 | 0x400;
/// `NLM_F_ROOT | NLM_F_MATCH`
const DUMP: u16 = REQUEST | 0x100 | 0x200;

const IFLA_EXT_MASK: u16 = 29;
/// `RTEXT_FILTER_SKIP_STATS`: kernels before 4.5 send them all the same.
const SKIP_STATS: u32 = 8;
const IFA_BROADCAST: u16 = 4;
/// `RTPROT_STATIC`
const PROTOCOL: u8 = 4;
const RT_SCOPE_UNIVERSE: u8 = 0;
/// Of a route to neighbours.
const RT_SCOPE_LINK: u8 = 253;
/// In a request to remove a route: of whatever scope.
const RT_SCOPE_NOWHERE: u8 = 255;
/// The metric of our IPv6 routes: better than the 1024 that a router's announcement gets, and no conflict with it.
const METRIC: u32 = 512;
const RTNH_F_ONLINK: u32 = 4;

/// Longer than any request here: the longest, a route of IPv6, has 84 bytes.
const MESSAGE_MAX: usize = 128;

/// A request, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    bytes: heapless::Vec<u8, MESSAGE_MAX>,
}

impl Message {
    fn new(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Message {
        let mut message = Message { bytes: heapless::Vec::new() };
        message.put(&[0; 4]);
        message.put(&kind.to_ne_bytes());
        message.put(&flags.to_ne_bytes());
        message.put(&sequence.to_ne_bytes());
        message.put(&[0; 4]);
        message.put(body);
        message.with_length()
    }

    /// All links there are.
    pub fn dump_links(sequence: u32) -> Message {
        let message = Message::new(kind::GET_LINK, DUMP, sequence, &link(0, 0));
        message.attribute(IFLA_EXT_MASK, &SKIP_STATS.to_ne_bytes())
    }

    /// All addresses there are, of both families.
    pub fn dump_addresses(sequence: u32) -> Message {
        Message::new(kind::GET_ADDRESS, DUMP, sequence, &[0; 8])
    }

    /// All routes there are, of both families.
    pub fn dump_routes(sequence: u32) -> Message {
        Message::new(kind::GET_ROUTE, DUMP, sequence, &[0; 12])
    }

    /// Sets the largest packet of a link.
    pub fn mtu(sequence: u32, index: u32, mtu: u16) -> Message {
        let message = Message::new(kind::SET_LINK, CHANGE, sequence, &link(index, 0));
        message.attribute(IFLA_MTU, &u32::from(mtu).to_ne_bytes())
    }

    /// Takes an address from a link.
    pub fn remove_address(sequence: u32, present: &PresentAddress) -> Message {
        let message = Message::about_address(kind::DELETE_ADDRESS, CHANGE, sequence, present.index, &present.address);
        message.ip(IFA_ADDRESS, present.far)
    }

    fn about_address(kind: u16, flags: u16, sequence: u32, index: u32, address: &Prefixed) -> Message {
        let [a, b, c, d] = index.to_ne_bytes();
        let body = [family(address.ip), address.prefix, 0, RT_SCOPE_UNIVERSE, a, b, c, d];
        Message::new(kind, flags, sequence, &body).ip(IFA_LOCAL, address.ip)
    }

    /// Removes a route of the main table.
    pub fn remove_route(sequence: u32, route: &PresentRoute) -> Message {
        let mut body = [0; 12];
        body[..2].copy_from_slice(&[family(route.to.ip), route.to.prefix]);
        body[4..8].copy_from_slice(&[RT_TABLE_MAIN as u8, route.protocol, RT_SCOPE_NOWHERE, 0]);
        let mut message = Message::new(kind::DELETE_ROUTE, CHANGE, sequence, &body);
        if route.to.prefix != 0 {
            message = message.ip(RTA_DST, route.to.ip);
        }
        if let Some(via) = route.via {
            message = message.ip(RTA_GATEWAY, via);
        }
        let message = message.attribute(RTA_OIF, &route.index.to_ne_bytes());
        message.attribute(RTA_PRIORITY, &route.metric.to_ne_bytes())
    }

    /// Brings a link up.
    pub fn link_up(sequence: u32, index: u32) -> Message {
        Message::new(kind::SET_LINK, CHANGE, sequence, &link(index, IFF_UP))
    }

    /// Takes a link down. It loses its routes with that, and its IPv6 addresses.
    pub fn link_down(sequence: u32, index: u32) -> Message {
        let mut body = link(index, 0);
        body[12..].copy_from_slice(&IFF_UP.to_ne_bytes());
        Message::new(kind::SET_LINK, CHANGE, sequence, &body)
    }

    /// Gives a link another name. Before Linux 6.2 one that is up is `EBUSY`.
    pub fn rename(sequence: u32, index: u32, name: &Device) -> Message {
        let mut terminated = [0; DEVICE_MAX + 1];
        terminated[..name.len()].copy_from_slice(name.as_bytes());
        let message = Message::new(kind::SET_LINK, CHANGE, sequence, &link(index, 0));
        message.attribute(IFLA_IFNAME, &terminated)
    }

    /// Gives a link an address, for good; one that it has for a while stays from now on.
    pub fn address(sequence: u32, index: u32, address: &Prefixed, broadcast: Option<Ip>) -> Message {
        let message = Message::about_address(kind::NEW_ADDRESS, MAKE, sequence, index, address);
        let message = message.ip(IFA_ADDRESS, address.ip);
        match broadcast {
            Some(broadcast) => message.ip(IFA_BROADCAST, broadcast),
            None => message,
        }
    }

    /// Adds a route through a link; to where the gateway is in none of the link's networks if it `is_far`.
    pub fn route(sequence: u32, index: u32, route: &Route, is_far: bool) -> Message {
        let flags = if is_far { RTNH_F_ONLINK } else { 0 };
        let mut body = [0; 12];
        body[..2].copy_from_slice(&[family(route.via), route.to.prefix]);
        let scope = if route.neighbour().is_some() { RT_SCOPE_UNIVERSE } else { RT_SCOPE_LINK };
        body[4..8].copy_from_slice(&[RT_TABLE_MAIN as u8, PROTOCOL, scope, RTN_UNICAST]);
        body[8..].copy_from_slice(&flags.to_ne_bytes());
        let message = Message::new(kind::NEW_ROUTE, CREATE, sequence, &body);
        let message = if route.to.prefix == 0 { message } else { message.ip(RTA_DST, route.to.ip) };
        let message = route.neighbour().into_iter().fold(message, |message, via| message.ip(RTA_GATEWAY, via));
        let message = message.attribute(RTA_OIF, &index.to_ne_bytes());
        if route.via.family() == Family::V4 { message } else { message.attribute(RTA_PRIORITY, &METRIC.to_ne_bytes()) }
    }

    /// The bytes, to be sent as one datagram.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it asks for (`RTM_…`).
    pub fn kind(&self) -> u16 {
        crate::wire::netlink::reply::u32_at(&self.bytes, 4).unwrap_or(0) as u16
    }

    /// Which request this is; the answer has the same number.
    pub fn sequence(&self) -> u32 {
        crate::wire::netlink::reply::u32_at(&self.bytes, 8).unwrap_or(0)
    }

    fn ip(self, kind: u16, ip: Ip) -> Message {
        let (bytes, len) = ip.octets();
        self.attribute(kind, &bytes[..len])
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Message {
        let len = (ALIGN + value.len()) as u16;
        self.put(&len.to_ne_bytes());
        self.put(&kind.to_ne_bytes());
        self.put(value);
        self.with_length()
    }

    /// Adds bytes; always enough room, as the longest request is known.
    fn put(&mut self, bytes: &[u8]) {
        let _ = self.bytes.extend_from_slice(bytes);
    }

    /// Writes the length so far into the header. All that is put in has a multiple of [`ALIGN`] bytes.
    fn with_length(mut self) -> Message {
        debug_assert!(self.bytes.len() >= HEADER && self.bytes.len() == aligned(self.bytes.len()));
        let len = self.bytes.len() as u32;
        if let Some(place) = self.bytes.get_mut(..4) {
            place.copy_from_slice(&len.to_ne_bytes());
        }
        self
    }
}

/// `struct ifinfomsg`; `flags` are set and none else is changed.
fn link(index: u32, flags: u32) -> [u8; 16] {
    let mut body = [0; 16];
    body[0] = AF_UNSPEC;
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..].copy_from_slice(&flags.to_ne_bytes());
    body
}

fn family(ip: Ip) -> u8 {
    match ip.family() {
        Family::V4 => AF_INET,
        Family::V6 => AF_INET6,
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use crate::network::source::parse::tests::public;
    use crate::wire::net::Prefixed;
    use crate::wire::netlink::*;

    #[test]
    fn the_bytes_that_iproute2_sends() {
        // ip link set dev 3 up
        let up = Message::link_up(7, 3);
        let head = [32, 0, 0, 0, 19, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(up.as_bytes(), [&head[..], &[0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]].concat());
        assert_eq!(up.sequence(), 7);

        // ip link set dev 3 down
        let down = Message::link_down(7, 3);
        assert_eq!(down.as_bytes(), [&head[..], &[0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]].concat());

        // ip link set dev 3 name enX0; all of the kernel's room for a name, with zeros.
        let name = Message::rename(7, 3, &"enX0".try_into().unwrap());
        let head = [52, 0, 0, 0, 19, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        let link = [0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 3, 0];
        assert_eq!(name.as_bytes(), [&head[..], &link, b"enX0\0\0\0\0\0\0\0\0\0\0\0\0"].concat());

        // ip address replace 166.78.10.124/24 broadcast 166.78.10.255 dev 3
        let address = Message::address(8, 3, &public().addresses[0], public().broadcast_of(&public().addresses[0]));
        let head = [48, 0, 0, 0, 20, 0, 5, 5, 8, 0, 0, 0, 0, 0, 0, 0, 2, 24, 0, 0, 3, 0, 0, 0];
        let ip = [8, 0, 2, 0, 166, 78, 10, 124, 8, 0, 1, 0, 166, 78, 10, 124, 8, 0, 4, 0, 166, 78, 10, 255];
        assert_eq!(address.as_bytes(), [&head[..], &ip].concat());

        // ip route add default via 166.78.10.1 dev 3 proto static
        let route = Message::route(9, 3, &public().routes[0], false);
        let head = [44, 0, 0, 0, 24, 0, 5, 6, 9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
        let via = [8, 0, 5, 0, 166, 78, 10, 1, 8, 0, 4, 0, 3, 0, 0, 0];
        assert_eq!(route.as_bytes(), [&head[..], &via].concat());
    }

    fn prefixed(ip: &str, prefix: u8) -> Prefixed {
        Prefixed::new(ip.parse().unwrap(), prefix).unwrap()
    }

    /// `fe80::def` and `2001:db8::` as attributes.
    const FE80_DEF: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd, 0xef];
    const DB8: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn what_there_is_is_asked_for_as_iproute2_asks() {
        // ip link; RTEXT_FILTER_SKIP_STATS is our own choice.
        let mut links = [0; 40];
        links[..9].copy_from_slice(&[40, 0, 0, 0, 18, 0, 1, 3, 1]);
        links[32..].copy_from_slice(&[8, 0, 29, 0, 8, 0, 0, 0]);
        assert_eq!(Message::dump_links(1).as_bytes(), links);
        // ip address
        let mut addresses = [0; 24];
        addresses[..9].copy_from_slice(&[24, 0, 0, 0, 22, 0, 1, 3, 2]);
        assert_eq!(Message::dump_addresses(2).as_bytes(), addresses);
        // ip route
        let mut routes = [0; 28];
        routes[..9].copy_from_slice(&[28, 0, 0, 0, 26, 0, 1, 3, 3]);
        assert_eq!(Message::dump_routes(3).as_bytes(), routes);
        assert_eq!(Message::dump_routes(0x01020304).sequence(), 0x01020304);
    }

    #[test]
    fn what_is_changed_and_removed_has_the_bytes_that_iproute2_sends() {
        // ip link set dev 3 mtu 1400
        let head = [40, 0, 0, 0, 19, 0, 5, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0];
        let mtu = [0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 4, 0, 120, 5, 0, 0];
        assert_eq!(Message::mtu(5, 3, 1400).as_bytes(), [&head[..], &mtu].concat());

        // ip address del 10.0.0.5 peer 10.0.0.9/24 dev 3
        let address = prefixed("10.0.0.5", 24);
        let present = PresentAddress { index: 3, address, far: "10.0.0.9".parse().unwrap(), flags: 0 };
        let head = [40, 0, 0, 0, 21, 0, 5, 0, 6, 0, 0, 0, 0, 0, 0, 0, 2, 24, 0, 0, 3, 0, 0, 0];
        let ips = [8, 0, 2, 0, 10, 0, 0, 5, 8, 0, 1, 0, 10, 0, 0, 9];
        assert_eq!(Message::remove_address(6, &present).as_bytes(), [&head[..], &ips].concat());

        // ip route del 10.208.0.0/12 via 10.181.0.1 dev 3 proto dhcp metric 100
        let via = Some("10.181.0.1".parse().unwrap());
        let (to, index, metric, table, protocol) = (prefixed("10.208.0.0", 12), 3, 100, 254, 16);
        let route = PresentRoute { index, to, via, metric, table, protocol };
        let head = [60, 0, 0, 0, 25, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 12, 0, 0, 254, 16, 255, 0, 0, 0, 0, 0];
        let to_via = [8, 0, 1, 0, 10, 208, 0, 0, 8, 0, 5, 0, 10, 181, 0, 1];
        let dev = [8, 0, 4, 0, 3, 0, 0, 0, 8, 0, 6, 0, 100, 0, 0, 0];
        assert_eq!(Message::remove_route(7, &route).as_bytes(), [&head[..], &to_via, &dev].concat());

        // ip -6 route del default dev 3 metric 100
        let route = PresentRoute { to: prefixed("::", 0), via: None, ..route };
        let head = [44, 0, 0, 0, 25, 0, 5, 0, 8, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 254, 16, 255, 0, 0, 0, 0, 0];
        assert_eq!(Message::remove_route(8, &route).as_bytes(), [&head[..], &dev].concat());
    }

    #[test]
    fn what_is_added_in_ipv6_has_the_bytes_that_iproute2_sends() {
        // ip -6 address replace 2001:db8::/32 dev 3
        let head = [64, 0, 0, 0, 20, 0, 5, 5, 8, 0, 0, 0, 0, 0, 0, 0, 10, 32, 0, 0, 3, 0, 0, 0];
        let ip = [&[20, 0, 2, 0][..], &DB8, &[20, 0, 1, 0], &DB8].concat();
        let message = Message::address(8, 3, &prefixed("2001:db8::", 32), None);
        assert_eq!(message.as_bytes(), [&head[..], &ip].concat());

        // ip -6 route add 2001:db8::/32 via fe80::def dev 3 proto static metric 512
        let route = crate::wire::net::Route { to: prefixed("2001:db8::", 32), via: "fe80::def".parse().unwrap() };
        let head = [84, 0, 0, 0, 24, 0, 5, 6, 9, 0, 0, 0, 0, 0, 0, 0, 10, 32, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
        let ips = [&[20, 0, 1, 0][..], &DB8, &[20, 0, 5, 0], &FE80_DEF].concat();
        let dev = [8, 0, 4, 0, 3, 0, 0, 0, 8, 0, 6, 0, 0, 2, 0, 0];
        assert_eq!(Message::route(9, 3, &route, false).as_bytes(), [&head[..], &ips, &dev].concat());
    }

    #[test]
    fn a_far_neighbour_is_said_to_be_on_the_link() {
        let mut interface = public();
        interface.addresses.clear();
        let route = Message::route(9, 3, &interface.routes[0], interface.is_far(interface.routes[0].via));
        assert_eq!(route.as_bytes()[24..28], [4, 0, 0, 0]);
    }

    #[test]
    fn the_longest_request_fits() {
        let mut route = public().routes[1];
        route.to = Prefixed::new("2001:db8::".parse().unwrap(), 32).unwrap();
        let message = Message::route(1, 1, &route, public().is_far(route.via));
        assert_eq!(message.as_bytes().len(), 84);
        assert_eq!(message.as_bytes()[0], 84);
    }
}
