//! What there is to change in the kernel, so that it has what the toolstack wants: computed first, then printed or
//! done.
//!
//! Of an interface of ours an address that is not listed goes, and so does a static route, of the families that the
//! toolstack speaks of; while one of its own addresses could not be read, no address goes. What stays, always:
//! link-local addresses, IPv6 addresses and routes that a router announced, routes that the kernel or a routing daemon
//! made, and all that belongs to other interfaces. A route, or an address that stays, is not touched if it is there
//! already, whoever made it and with whatever metric; so the same plan, done, is empty the next time. An address that
//! would expire is made one that stays.
//!
//! Where an interface is the port of a bridge or bond that has its MAC address, that one gets the addresses.
//!
//! Nothing waits for duplicate address detection: a route's gateway is reached through the network of an address, and
//! that is there from the moment the address is. (Linux, net/ipv6/addrconf.c, `inet6_addr_add`.)
//!
//! # Invariants
//! `absent_addresses` and `absent_routes` have a bit for each address and route of the interface at the same place.

use core::fmt;

use heapless::Vec;

use crate::network::model::{ADDRESSES_MAX, INTERFACES_MAX, Interface, ROUTES_MAX};
use crate::platform::KernelNet;
use crate::wire::errno::Errno;
use crate::wire::net::{Family, Prefixed, Route};
use crate::wire::netlink::{Link, Message, PresentAddress, PresentRoute, Reply, number};

/// How many things are removed at once; more are removed in rounds.
const REMOVALS_MAX: usize = 64;
/// Who makes static routes: `RTPROT_BOOT` (ip route), `RTPROT_STATIC`, `RTPROT_DHCP`.
const STATIC_PROTOCOLS: [u8; 3] = [3, 4, 16];

const _: () = assert!(ADDRESSES_MAX <= 64 && ROUTES_MAX <= 64);

/// An interface and its link.
struct PlannedInterface {
    link: Option<Link>,
    /// Whether that is a bridge or bond of which the interface is a part.
    is_master: bool,
    absent_addresses: u64,
    absent_routes: u64,
}

/// Something that is there and should not be.
#[derive(Clone, Copy)]
enum Removal {
    Address(PresentAddress),
    Route(PresentRoute),
}

/// One change.
pub enum Step<'a> {
    /// A static route goes.
    RemoveRoute(&'a Link, PresentRoute),
    /// An address goes.
    RemoveAddress(&'a Link, PresentAddress),
    /// A link comes up.
    Up(&'a Link),
    /// A link takes packets of another size.
    Mtu(&'a Link, u16),
    /// An address comes.
    AddAddress(&'a Link, &'a Interface, &'a Prefixed),
    /// A route comes.
    AddRoute(&'a Link, &'a Interface, &'a Route),
}

impl Step<'_> {
    /// The request that does it.
    pub fn message(&self, sequence: u32) -> Message {
        match self {
            Step::RemoveRoute(_, route) => Message::remove_route(sequence, route),
            Step::RemoveAddress(_, present) => Message::remove_address(sequence, present),
            Step::Up(link) => Message::link_up(sequence, link.index),
            Step::Mtu(link, mtu) => Message::mtu(sequence, link.index, *mtu),
            Step::AddAddress(link, interface, address) => {
                Message::address(sequence, link.index, address, interface.broadcast_of(address))
            }
            Step::AddRoute(link, interface, route) => {
                Message::route(sequence, link.index, route, interface.is_far(route.via))
            }
        }
    }

    /// Whether a refusal means that a link has no IPv6, or is to have none: the guest's owner has turned it off. Its
    /// routes are refused for that or, as there is no address (`without`), for their gateway.
    pub fn is_unwanted(&self, errno: Errno, without: bool) -> bool {
        let refused = matches!(errno, Errno::ACCES | Errno::OPNOTSUPP | Errno::AFNOSUPPORT);
        match self {
            Step::AddAddress(_, _, address) => address.ip.family() == Family::V6 && refused,
            Step::AddRoute(_, _, route) => {
                route.via.family() == Family::V6 && (refused || without && errno == Errno::HOSTUNREACH)
            }
            _ => false,
        }
    }

    /// Whether the network is not what it should be without it. A route of its own that a part of it needs is told.
    pub fn matters(&self) -> bool {
        match self {
            Step::Mtu(..) => false,
            Step::AddRoute(_, _, route) => route.to.prefix == 0,
            _ => true,
        }
    }

    fn is_removal(&self) -> bool {
        matches!(self, Step::RemoveRoute(..) | Step::RemoveAddress(..))
    }

    /// Whether a refusal means that it is done already.
    fn is_done_with(&self, errno: Errno) -> bool {
        match self {
            Step::RemoveRoute(..) | Step::RemoveAddress(..) => {
                matches!(errno, Errno::SRCH | Errno::ADDRNOTAVAIL | Errno::NOENT)
            }
            // A route that is there is somebody else's, or it would be known.
            Step::Up(_) | Step::Mtu(..) | Step::AddAddress(..) | Step::AddRoute(..) => false,
        }
    }
}

/// `add address 10.0.0.5/24 to eth0`
impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::RemoveRoute(link, PresentRoute { to, via: None, .. }) => {
                write!(f, "remove route to {to} from {}", link.name)
            }
            Step::RemoveRoute(link, PresentRoute { to, via: Some(via), .. }) => {
                write!(f, "remove route to {to} via {via} from {}", link.name)
            }
            Step::RemoveAddress(link, present) => write!(f, "remove address {} from {}", present.address, link.name),
            Step::Up(link) => write!(f, "bring {} up", link.name),
            Step::Mtu(link, mtu) => write!(f, "set the MTU of {} to {}", link.name, u64::from(*mtu)),
            Step::AddAddress(link, _, address) => write!(f, "add address {address} to {}", link.name),
            Step::AddRoute(link, _, route) => write!(f, "add route to {route} to {}", link.name),
        }
    }
}

/// The changes that are left to make.
pub struct Plan<'a> {
    interfaces: &'a [Interface],
    places: Vec<PlannedInterface, INTERFACES_MAX>,
    loopback: Option<Link>,
    removals: Vec<Removal, REMOVALS_MAX>,
}

impl<'a> Plan<'a> {
    /// Asks the kernel what there is, and compares.
    #[inline(never)]
    pub fn read<N: KernelNet + ?Sized>(netlink: &mut N, interfaces: &'a [Interface]) -> Result<Plan<'a>, Errno> {
        let mut plan = Plan { interfaces, places: Vec::new(), loopback: None, removals: Vec::new() };
        for interface in interfaces {
            let (absent_addresses, absent_routes) = (ones(interface.addresses.len()), ones(interface.routes.len()));
            let _ =
                plan.places.push(PlannedInterface { link: None, is_master: false, absent_addresses, absent_routes });
        }
        let mut take = |request| {
            netlink.ask(&request, &mut |reply| match reply {
                Reply::Link(link) => plan.take_link(link),
                Reply::Address(address) => plan.take_address(address),
                Reply::Route(route) => plan.take_route(route),
                _ => {}
            })?;
            Ok(plan.places.iter().any(|place| place.is_master))
        };
        // What an interface is a part of may be a part of something itself.
        if take(Message::dump_links(1))? {
            take(Message::dump_links(1))?;
        }
        take(Message::dump_addresses(2))?;
        take(Message::dump_routes(3))?;
        Ok(plan)
    }

    /// The link that carries the interface at this place.
    pub fn link(&self, place: usize) -> Option<&Link> {
        self.places.get(place)?.link.as_ref()
    }

    /// Whether the interface at this place is but a part of that link.
    pub fn is_master(&self, place: usize) -> bool {
        self.places.get(place).is_some_and(|place| place.is_master)
    }

    /// Of several links with an interface's address (a VLAN or a bridge above it has the same one) the one that was
    /// there first carries it, unless it is a part of another one.
    fn take_link(&mut self, link: &Link) {
        if link.loopback {
            self.loopback = Some(link.clone());
        }
        for (place, interface) in self.places.iter_mut().zip(self.interfaces) {
            if link.mac != Some(interface.mac) {
                continue;
            }
            let is_master = place.link.as_ref().is_some_and(|present| present.master == link.index);
            let is_port = place.link.as_ref().is_some_and(|present| present.index == link.master);
            if is_master || !is_port && place.link.as_ref().is_none_or(|present| link.index < present.index) {
                place.link = Some(link.clone());
            }
            place.is_master |= is_master || is_port;
        }
    }

    /// The place of the interface that the link of this number carries.
    fn place_of(&mut self, index: u32) -> Option<(&mut PlannedInterface, &'a Interface)> {
        let mut pairs = self.places.iter_mut().zip(self.interfaces);
        pairs.find(|(place, _)| place.link.as_ref().is_some_and(|link| link.index == index))
    }

    fn take_address(&mut self, present: &PresentAddress) {
        let Some((place, interface)) = self.place_of(present.index) else { return };
        match interface.addresses.iter().position(|address| *address == present.address) {
            Some(wanted) if present.is_permanent() => place.absent_addresses &= !(1 << wanted),
            Some(_) => {}
            None if !interface.speaks_of(present.address.ip.family()) || interface.is_unread => {}
            None if present.address.ip.is_link_local() => {}
            None if !present.is_permanent() && present.address.ip.family() == Family::V6 => {}
            // One that finds no room is found again in the next round.
            None => drop(self.removals.push(Removal::Address(*present))),
        }
    }

    fn take_route(&mut self, present: &PresentRoute) {
        if present.table != number::RT_TABLE_MAIN {
            return;
        }
        let Some((place, interface)) = self.place_of(present.index) else { return };
        let same = |route: &Route| route.to == present.to && route.neighbour() == present.via;
        if let Some(wanted) = interface.routes.iter().position(same) {
            place.absent_routes &= !(1 << wanted);
            return;
        }
        let near = present.via.is_none() && present.to.prefix != 0;
        let leads_to_gateway = near && interface.routes.iter().any(|route| present.to.contains(route.via));
        let kept = present.to.prefix != 0 && (present.to.ip.is_link_local() || present.to.ip.is_multicast())
            || !interface.speaks_of(present.to.ip.family());
        if STATIC_PROTOCOLS.contains(&present.protocol) && !leads_to_gateway && !kept {
            // As above.
            let _ = self.removals.push(Removal::Route(*present));
        }
    }

    /// Every change, in the order in which they are to be made: routes go before addresses and come after them.
    pub fn steps(&self, each: &mut dyn FnMut(&Step<'_>)) {
        let link_of =
            |index| self.places.iter().filter_map(|place| place.link.as_ref()).find(|link| link.index == index);
        for removal in &self.removals {
            if let Removal::Route(route) = removal
                && let Some(link) = link_of(route.index)
            {
                each(&Step::RemoveRoute(link, *route));
            }
        }
        for removal in &self.removals {
            if let Removal::Address(present) = removal
                && let Some(link) = link_of(present.index)
            {
                each(&Step::RemoveAddress(link, *present));
            }
        }
        for link in self.loopback.iter().filter(|link| !link.up) {
            each(&Step::Up(link));
        }
        for (place, interface) in self.places.iter().zip(self.interfaces) {
            if let Some(link) = &place.link {
                additions(place, link, interface, each);
            }
        }
    }
}

fn additions(place: &PlannedInterface, link: &Link, interface: &Interface, each: &mut dyn FnMut(&Step<'_>)) {
    if let Some(mtu) = interface.mtu
        && link.mtu != u32::from(mtu)
    {
        each(&Step::Mtu(link, mtu));
    }
    if !link.up {
        each(&Step::Up(link));
    }
    for (number, address) in interface.addresses.iter().enumerate() {
        if place.absent_addresses >> number & 1 == 1 {
            each(&Step::AddAddress(link, interface, address));
        }
    }
    for (number, route) in interface.routes.iter().enumerate() {
        if place.absent_routes >> number & 1 == 1 {
            each(&Step::AddRoute(link, interface, route));
        }
    }
}

/// So many bits set.
fn ones(count: usize) -> u64 {
    u64::MAX.checked_shr(64 - count as u32).unwrap_or(0)
}

/// How often the kernel is read at most: a round that removed something is followed by another one.
const ROUNDS_MAX: u32 = 8;

/// Makes the changes. `failed` is called, with the kernel, for each that could not be made; the others are made all the
/// same. Returns the plan as it was last read.
///
/// What goes, goes first, and then the kernel is read again: with the first address of a network it may have removed
/// the others, and with the last one all routes.
pub fn carry_out<'a, N: KernelNet + ?Sized>(
    netlink: &mut N,
    interfaces: &'a [Interface],
    failed: &mut dyn FnMut(&mut N, &Step<'_>, Errno),
) -> Result<Plan<'a>, Errno> {
    let mut sequence = 3;
    let mut round = 1;
    loop {
        let plan = Plan::read(netlink, interfaces)?;
        let mut removed = false;
        plan.steps(&mut |step| {
            if step.is_removal() && round < ROUNDS_MAX {
                sequence += 1;
                removed |= netlink.ask(&step.message(sequence), &mut |_| {}).is_ok();
            }
        });
        round += 1;
        if removed {
            continue;
        }
        plan.steps(&mut |step| {
            sequence += 1;
            match netlink.ask(&step.message(sequence), &mut |_| {}) {
                Err(errno) if !step.is_done_with(errno) => failed(netlink, step, errno),
                _ => {}
            }
        });
        return Ok(plan);
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
