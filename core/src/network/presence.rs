//! Which of the interfaces there are: the kernel's links have the last word.

use core::fmt::Write;

use heapless::Vec;

use super::model::{INTERFACES_MAX, Interface, Network, ROUTES_MAX};
use super::problems::note;
use crate::platform::KernelNet;
use crate::wire::errno::Errno;
use crate::wire::net::Prefixed;
use crate::wire::netlink::{Message, Reply};

impl Network {
    /// Puts the interfaces that there are links for before those that there are none for, and leaves out routes to
    /// where another one leads that comes before: what is listed for a VIF that is gone takes nothing from one that is
    /// there.
    #[inline(never)]
    pub(crate) fn decide<N: KernelNet>(&mut self, netlink: &mut N, problems: &mut dyn Write) {
        // Where the kernel does not tell, the order is xenstore's.
        let there = present(netlink, &self.interfaces).unwrap_or_default();
        let places = (0..self.interfaces.len()).filter(|place| there.get(*place) == Some(&true));
        for (front, place) in places.enumerate() {
            self.interfaces.swap(front, place);
        }
        let mut destinations = Vec::<Prefixed, { INTERFACES_MAX * ROUTES_MAX }>::new();
        for interface in &mut self.interfaces {
            interface.routes.retain(|route| {
                let new = !destinations.contains(&route.to);
                if new {
                    let _ = destinations.push(route.to);
                } else {
                    note(
                        problems,
                        format_args!("the route to {} via {} is left out: there is one", route.to, route.via),
                    );
                }
                new
            });
        }
    }
}

/// Which of the interfaces there is a link for.
pub fn present<N: KernelNet>(netlink: &mut N, interfaces: &[Interface]) -> Result<[bool; INTERFACES_MAX], Errno> {
    let mut there = [false; INTERFACES_MAX];
    netlink.ask(&Message::dump_links(1), &mut |reply| {
        let Reply::Link(link) = reply else { return };
        for (there, interface) in there.iter_mut().zip(interfaces) {
            *there |= link.mac == Some(interface.mac);
        }
    })?;
    Ok(there)
}
