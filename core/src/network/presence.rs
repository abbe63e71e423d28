//! Which of the interfaces there are, and which comes first: the kernel's links have the last word.

use core::mem;

use heapless::Vec;

use super::model::{INTERFACES_MAX, Interface, Network};
use super::problems::{Findings, Problems};
use crate::files::sysfs::vif_of;
use crate::platform::{Files, KernelNet, Log};
use crate::wire::errno::Errno;
use crate::wire::net::Device;
use crate::wire::netlink::{Message, Reply};

/// Of how many links the VIF is looked for: a VLAN or a bridge above one has the same MAC address, and comes later.
const LINKS_MAX: usize = 2 * INTERFACES_MAX;

/// A link that has the MAC address of the interface at this place.
type Found = (usize, Device);

impl Network {
    /// Puts the interfaces that there are links for before those that there are none for, and of either the lowest VIF
    /// in front; and leaves out routes to where one leads that comes before: what is listed for a VIF that is gone
    /// takes nothing from one that is there.
    #[inline(never)]
    pub(crate) fn decide<P: KernelNet + Files + Log>(&mut self, platform: &mut P, problems: &mut Problems) {
        let (mut there, mut found) = ([false; INTERFACES_MAX], Vec::<Found, LINKS_MAX>::new());
        // Where the kernel does not tell, the order is xenstore's.
        let _ = links(platform, &self.interfaces, &mut |place, device| {
            note(&mut there, place);
            let _ = found.push((place, device.clone()));
        });
        let several = self.interfaces.len() > 1;
        for (place, device) in found.iter().filter(|_| several) {
            if let (Some(vif), Some(interface)) = (vif_of(platform, device), self.interfaces.get_mut(*place)) {
                interface.vif = Some(vif);
            }
        }
        self.order(there);
        self.without_second_ways(&mut Findings { log: platform, problems });
    }

    /// Sorts the interfaces; those that are alike stay in their order.
    fn order(&mut self, mut there: [bool; INTERFACES_MAX]) {
        let rank = |interface: &Interface, is_there: bool| (!is_there, interface.vif.unwrap_or(u16::MAX));
        for sorted in 1..self.interfaces.len() {
            for pair in (1..=sorted).rev().map(|place| place - 1..=place) {
                let (Some([one, other]), Some([one_there, other_there])) =
                    (self.interfaces.get_mut(pair.clone()), there.get_mut(pair))
                else {
                    break;
                };
                if rank(one, *one_there) <= rank(other, *other_there) {
                    break;
                }
                mem::swap(one, other);
                mem::swap(one_there, other_there);
            }
        }
    }

    fn without_second_ways(&mut self, findings: &mut Findings<'_>) {
        for place in 1..self.interfaces.len() {
            let Some((before, [Interface { mac, routes, .. }, ..])) = self.interfaces.split_at_mut_checked(place)
            else {
                continue;
            };
            routes.retain(|route| {
                let leads_there = |other: &&Interface| other.routes.iter().any(|known| known.to == route.to);
                let first = before.iter().find(leads_there);
                if let Some(Interface { mac: first, .. }) = first {
                    findings.leave_out(format_args!("the route to {route} of {mac}: {first} has one that comes first"));
                }
                first.is_none()
            });
        }
    }
}

/// Calls `each` with the place of an interface, and with each link that has its MAC address.
fn links<N: KernelNet>(
    netlink: &mut N,
    interfaces: &[Interface],
    each: &mut dyn FnMut(usize, &Device),
) -> Result<(), Errno> {
    netlink.ask(&Message::dump_links(1), &mut |reply| {
        if let Reply::Link(link) = reply
            && let Some(place) = interfaces.iter().position(|interface| link.mac == Some(interface.mac))
        {
            each(place, &link.name);
        }
    })
}

fn note(there: &mut [bool; INTERFACES_MAX], place: usize) {
    debug_assert!(place < INTERFACES_MAX);
    if let Some(there) = there.get_mut(place) {
        *there = true;
    }
}

/// Which of the interfaces there is a link for.
pub fn present<N: KernelNet>(netlink: &mut N, interfaces: &[Interface]) -> Result<[bool; INTERFACES_MAX], Errno> {
    let mut there = [false; INTERFACES_MAX];
    links(netlink, interfaces, &mut |place, _| note(&mut there, place))?;
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::problems::tests::Lines;
    use crate::test_platform::FakePlatform;
    use crate::wire::net::{Mac, Prefixed, Route};
    use crate::wire::netlink::Link;

    /// Three interfaces with a default route each, by the last byte of their MAC address; those with a device are
    /// there.
    fn decided(vifs: [Option<u16>; 3], devices: [bool; 3], nodes: &[(&str, &str)]) -> (Vec<u8, 3>, String) {
        let (mut platform, mut network) = (FakePlatform::with(nodes), Network::new());
        for number in 0..3_u8 {
            let mut interface = Interface::new(Mac([2, 0, 0, 0, 0, number]));
            let via = format!("10.0.0.{number}").parse().unwrap();
            interface.vif = vifs[usize::from(number)];
            interface.routes.push(Route { to: Prefixed::everything(via), via }).unwrap();
            if devices[usize::from(number)] {
                let name = format!("eth{number}").as_str().try_into().unwrap();
                let link = Link { index: 2, name, mac: Some(interface.mac), ..Link::default() };
                platform.kernel.links.push(link);
            }
            network.interfaces.push(interface).unwrap();
        }
        let mut problems = Problems::new();
        network.decide(&mut platform, &mut problems);
        let order = network.interfaces.iter().map(|interface| interface.mac.0[5]).collect();
        let routes = network.interfaces.iter().map(|interface| interface.routes.len()).collect::<std::vec::Vec<_>>();
        assert_eq!(routes, [1, 0, 0]);
        (order, problems.message(&mut Lines::default()).as_str().to_owned())
    }

    #[test]
    fn the_lowest_vif_that_is_there_comes_first_and_has_the_default_route() {
        let all = [true; 3];
        assert_eq!(decided([None; 3], all, &[]).0, [0, 1, 2]);
        assert_eq!(decided([Some(2), Some(1), Some(0)], all, &[]).0, [2, 1, 0]);
        assert_eq!(decided([None, Some(1), Some(1)], all, &[]).0, [1, 2, 0]);
        assert_eq!(decided([Some(0), Some(1), Some(2)], [false, true, true], &[]).0, [1, 2, 0]);
        assert_eq!(decided([Some(2), Some(1), Some(0)], [false; 3], &[]).0, [2, 1, 0]);
        // The device's own node has the last word.
        let node = ("/sys/class/net/eth2/device/nodename", "device/vif/0\n");
        let (order, said) = decided([Some(1), Some(2), Some(9)], all, &[node]);
        assert_eq!(order, [2, 0, 1]);
        assert_eq!(
            said,
            "left out: the route to 0.0.0.0/0 via 10.0.0.0 of 02:00:00:00:00:00: 02:00:00:00:00:02 has one that comes \
             first; the route to 0.0.0.0/0 via 10.0.0.1 of 02:00:00:00:00:01: 02:00:00:00:00:02 has one that comes \
             first"
        );
        for other in ["device/vbd/0\n", "device/vif/x\n", ""] {
            assert_eq!(decided([None; 3], all, &[("/sys/class/net/eth2/device/nodename", other)]).0, [0, 1, 2]);
        }
    }
}
