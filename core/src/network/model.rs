//! The network as the toolstack wants it: addresses, routes, name servers of each interface, bounded.
//!
//! A model has been checked: addresses are addresses, prefixes fit their family, networks have no host bits. What does
//! not fit into it is an error that is reported; nothing is cut.

use heapless::{String, Vec};

use crate::wire::net::{Family, Ip, Mac, Prefixed, Route};

/// Most interfaces of a guest. Xen's own limit without tuning is 8, XenServer's 7.
pub const INTERFACES_MAX: usize = 8;
/// Most addresses of an interface, both families together: about as many as a value in xenstore has room for.
pub const ADDRESSES_MAX: usize = 64;
/// Most routes of an interface, its default routes among them.
pub const ROUTES_MAX: usize = 64;
/// Most name servers of an interface; nova writes up to nine.
pub const DNS_MAX: usize = 16;
/// Longest label that is kept.
pub const LABEL_MAX: usize = 64;
/// Longest host name (RFC 1035, 2.3.4: 255 bytes on the wire).
pub const HOSTNAME_MAX: usize = 253;
/// Longest name that the kernel takes (HOST_NAME_MAX).
const SYSTEM_NAME_MAX: usize = 64;

/// What the toolstack wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The host name, if it names one.
    pub hostname: Option<String<HOSTNAME_MAX>>,
    /// The interfaces: once it is decided which there are, those first, and the lowest VIF in front.
    pub interfaces: Vec<Interface, INTERFACES_MAX>,
    /// Whether these are all that xenstore holds: none was left out.
    pub sound: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Network {
    /// Nothing.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub const fn new() -> Network {
        Network { hostname: None, interfaces: Vec::new(), sound: true }
    }

    /// Nothing, again.
    pub fn clear(&mut self) {
        (self.hostname, self.sound) = (None, true);
        self.interfaces.clear();
    }
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Which one.
    pub mac: Mac,
    /// The number of its VIF, if that is known.
    pub vif: Option<u16>,
    /// What the toolstack calls the network it is in; empty if it says nothing.
    pub label: String<LABEL_MAX>,
    /// Its addresses, those of the toolstack's `ips` first.
    pub addresses: Vec<Prefixed, ADDRESSES_MAX>,
    /// Its routes; those to everything come last.
    pub routes: Vec<Route, ROUTES_MAX>,
    /// Name servers.
    pub dns: Vec<Ip, DNS_MAX>,
    /// The broadcast address that the toolstack names.
    pub broadcast: Option<Ip>,
    /// The largest packet that the network takes; the device's own choice if the toolstack says nothing.
    pub mtu: Option<u16>,
    /// Whether the toolstack says nothing of a family and leaves it to the guest, in the order of [`Family::BOTH`].
    pub left_alone: [bool; 2],
    /// Whether one of its addresses could not be read: what it has now may be that one.
    pub is_unread: bool,
}

impl Interface {
    /// An interface without anything.
    pub const fn new(mac: Mac) -> Interface {
        Interface {
            mac,
            vif: None,
            label: String::new(),
            addresses: Vec::new(),
            routes: Vec::new(),
            dns: Vec::new(),
            broadcast: None,
            mtu: None,
            left_alone: [false; 2],
            is_unread: false,
        }
    }

    /// The addresses of one family.
    pub fn addresses_of(&self, family: Family) -> impl Iterator<Item = &Prefixed> {
        self.addresses.iter().filter(move |address| address.ip.family() == family)
    }

    /// Whether the toolstack says what a family is to have.
    pub fn speaks_of(&self, family: Family) -> bool {
        !self.left_alone[family as usize]
    }

    /// The way to what has no route of its own.
    #[inline(never)]
    pub fn default_route(&self, family: Family) -> Option<&Route> {
        self.routes.iter().find(|route| route.to.prefix == 0 && route.via.family() == family)
    }

    /// The neighbour to send to what has no route of its own.
    #[inline(never)]
    pub fn gateway(&self, family: Family) -> Option<Ip> {
        self.default_route(family)?.neighbour()
    }

    /// The broadcast address that goes with an address of this interface: the toolstack's if it is in that network, and
    /// in no smaller one of another address.
    #[inline(never)]
    pub fn broadcast_of(&self, address: &Prefixed) -> Option<Ip> {
        let usual = address.broadcast()?;
        let is_nearer = |other: &Prefixed, named| other.prefix > address.prefix && other.contains(named);
        let is_its =
            |named: &Ip| address.contains(*named) && !self.addresses.iter().any(|other| is_nearer(other, *named));
        Some(self.broadcast.filter(is_its).unwrap_or(usual))
    }

    /// Whether the kernel must be told that a neighbour is on this link, as no address of the interface says so. (With
    /// an address in a network that begins with 0, as 64.0.0.1/1 is, comes no route to that network: Linux,
    /// net/ipv4/fib_frontend.c, `fib_add_ifaddr`.)
    #[inline(never)]
    pub fn is_far(&self, via: Ip) -> bool {
        let is_routed = |address: &Prefixed| via.family() == Family::V6 || address.network().ip.bits() >> 120 != 0;
        let says_so = |address: &Prefixed| address.contains(via) && is_routed(address);
        !via.is_unspecified() && !via.is_ipv6_link_local() && !self.addresses.iter().any(says_so)
    }
}

impl Interface {
    /// Whether a route is what a manager's own word for a gateway says: it leads everywhere, through a neighbour.
    pub(crate) fn is_plain_gateway(&self, route: &Route) -> bool {
        route.to.prefix == 0 && route.neighbour().is_some() && !self.is_far(route.via)
    }
}

/// An interface and the device that carries it, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// What it should be.
    pub interface: &'a Interface,
    /// The device's name; none before udev has given names.
    pub device: Option<&'a str>,
}

/// What the kernel can be called: the name, or its first label where it is longer than the kernel takes.
pub fn system_name(name: &str) -> &str {
    if name.len() > SYSTEM_NAME_MAX { first_label(name) } else { name }
}

/// The name up to its first dot.
pub fn first_label(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// Whether a device's name can stand in a file name and in a shell's file.
pub fn is_plain(device: &str) -> bool {
    !device.is_empty()
        && !device.starts_with('.')
        && device.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixed(ip: &str, prefix: u8) -> Prefixed {
        Prefixed::new(ip.parse().unwrap(), prefix).unwrap()
    }

    #[test]
    fn a_neighbour_outside_of_all_networks_is_far() {
        let mut interface = Interface::new(Mac([2, 0, 0, 0, 0, 1]));
        interface.addresses.push(prefixed("10.0.0.5", 24)).unwrap();
        let is_far = |interface: &Interface, ip: &str| interface.is_far(ip.parse().unwrap());
        let far = |ip: &str| is_far(&interface, ip);
        assert!(!far("10.0.0.1") && far("10.0.1.1") && !far("fe80::1") && far("2001:db8::1"));
        assert!(!far("0.0.0.0") && !far("::"), "what is on the link");
        interface.addresses.extend([prefixed("64.0.0.5", 1), prefixed("::5", 0)]);
        assert!(is_far(&interface, "64.0.0.1") && !is_far(&interface, "2001:db8::1"));
    }

    #[test]
    fn what_the_toolstack_says_of_a_family_and_what_follows() {
        let mut interface = Interface::new(Mac([2, 0, 0, 0, 0, 1]));
        interface.addresses.extend([prefixed("10.0.0.5", 24), prefixed("2001:db8::5", 64), prefixed("10.1.0.5", 31)]);
        let count = |family| interface.addresses_of(family).count();
        assert_eq!((count(Family::V4), count(Family::V6)), (2, 1));
        assert!(interface.speaks_of(Family::V4) && interface.speaks_of(Family::V6));
        interface.left_alone = [false, true];
        assert!(interface.speaks_of(Family::V4) && !interface.speaks_of(Family::V6));
        let via = |ip: &str| ip.parse::<Ip>().unwrap();
        assert_eq!(interface.gateway(Family::V4), None);
        for (to, prefix, gateway) in [("10.9.0.0", 16, "10.0.0.9"), ("::", 0, "fe80::1"), ("0.0.0.0", 0, "10.0.0.1")] {
            interface.routes.push(Route { to: prefixed(to, prefix), via: via(gateway) }).unwrap();
        }
        assert_eq!(interface.gateway(Family::V4), Some(via("10.0.0.1")));
        assert_eq!(interface.gateway(Family::V6), Some(via("fe80::1")));
        let broadcast = |interface: &Interface, place: usize| interface.broadcast_of(&interface.addresses[place]);
        assert_eq!(broadcast(&interface, 0), Some(via("10.0.0.255")));
        assert_eq!((broadcast(&interface, 1), broadcast(&interface, 2)), (None, None));
        interface.broadcast = Some(via("10.0.0.127"));
        assert_eq!(broadcast(&interface, 0), Some(via("10.0.0.127")));
        interface.broadcast = Some(via("10.0.1.255"));
        assert_eq!(broadcast(&interface, 0), Some(via("10.0.0.255")), "that is in no network of it");
        interface.broadcast = Some(via("10.0.0.127"));
        interface.addresses.push(prefixed("10.0.9.9", 8)).unwrap();
        assert_eq!(
            (broadcast(&interface, 0), broadcast(&interface, 3)),
            (interface.broadcast, Some(via("10.255.255.255")))
        );
        let mut network = Network::default();
        network.interfaces.push(interface).unwrap();
        (network.hostname, network.sound) = (Some("x".try_into().unwrap()), false);
        network.clear();
        assert_eq!(network, Network::new());
    }

    #[test]
    fn names_that_a_shell_would_act_on_are_none() {
        for good in ["eth0", "enX0", "ens3.100", "wan_1"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", ".", "..", "a'b", "$(reboot)", "a;b", "eth0:1", "a b", "é"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
