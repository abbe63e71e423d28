//! Which addresses the guest's VIFs have, and under which index each is published.
//!
//! * A VIF is known by its node in sysfs (`device/vif/<n>`), not by its interface's name; a virtual function (SR-IOV)
//!   by its MAC address, as nothing else tells.
//! * An address of a bridge, bond, VLAN or macvlan is one of the VIF below it; of several VIFs below, the first.
//! * An address keeps its index as long as it exists. The index tells what kind it is, since toolstacks take the first
//!   in the order of strings for the guest's main one: others count from 0, temporary ones from 800, link-local ones
//!   from 900.
//!
//! Rules: XAPI's `ocaml/xapi/xapi_guest_agent.ml` (an index must be an integer), xen-orchestra's
//! `_extractIpFromVmNetworks.mjs` (the order).

use core::fmt;

use heapless::Vec;

use crate::wire::net::{Device, Family, Ip, Mac};
use crate::wire::netlink::{Link, PresentAddress};
use crate::wire::text::number;

/// Most links that are looked at; links whose lower end is in a container's namespace are not.
pub const LINKS_MAX: usize = 64;
/// Most addresses that are published: a guest may own a thousand nodes, and the toolstack's keys should stay below 120.
pub const PUBLISHED_MAX: usize = 24;
/// The first index of main, temporary and link-local addresses.
const KINDS: [u16; 3] = [0, 800, 900];
/// How many links may lie upon one another: a VLAN on a bridge on a bond on a VIF.
const DEPTH: usize = 4;

/// A network device that the toolstack has given to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vif {
    /// Whether it is a virtual function of a host's adapter.
    pub virtual_function: bool,
    /// Its number.
    pub number: u16,
}

impl Vif {
    /// Where its addresses are published.
    pub fn directory(self) -> &'static str {
        if self.virtual_function { "xenserver/attr/net-sriov-vf" } else { "attr/vif" }
    }

    /// The VIF whose node in sysfs says `device/vif/0`.
    pub fn of_nodename(text: &[u8]) -> Option<Vif> {
        let number = number(core::str::from_utf8(text.strip_prefix(b"device/vif/")?).ok()?.trim_ascii_end())?;
        Some(Vif { virtual_function: false, number })
    }
}

/// `attr/vif/0`
impl fmt::Display for Vif {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.directory(), u64::from(self.number))
    }
}

/// A link, as far as it matters here.
pub struct Known {
    /// Its name.
    pub name: Device,
    /// Its address.
    pub mac: Option<Mac>,
    /// Whether it is a VIF by itself; not known before somebody has looked.
    pub itself: Option<Option<Vif>>,
    index: u32,
    lower: u32,
    master: u32,
    /// The VIF that its addresses belong to.
    vif: Option<Vif>,
    there: bool,
}

/// The links that there are.
pub struct Links {
    known: Vec<Known, LINKS_MAX>,
    /// Whether there were more.
    pub cut: bool,
}

impl Links {
    /// None.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub(crate) const fn new() -> Links {
        Links { known: Vec::new(), cut: false }
    }

    /// Nothing is there until it is seen again.
    pub fn begin(&mut self) {
        self.cut = false;
        self.known.iter_mut().for_each(|known| known.there = false);
    }

    /// A link is there.
    pub fn take(&mut self, link: &Link) {
        if link.loopback || link.lower_elsewhere {
            return;
        }
        let place = self.known.iter().position(|known| known.index == link.index);
        let itself = place.and_then(|place| self.known.get(place)).and_then(|known| known.itself);
        let known = Known {
            name: link.name.clone(),
            mac: link.mac,
            itself,
            index: link.index,
            lower: link.lower,
            master: link.master,
            vif: None,
            there: true,
        };
        match place.and_then(|place| self.known.get_mut(place)) {
            Some(old) => *old = known,
            None => self.cut |= self.known.push(known).is_err(),
        }
    }

    /// All have been seen: what has not is gone. Returns those that somebody has to look at.
    pub fn end(&mut self) -> impl Iterator<Item = &mut Known> {
        self.known.retain(|known| known.there);
        self.known.iter_mut().filter(|known| known.itself.is_none())
    }

    /// Follows what lies upon what.
    pub fn follow(&mut self) {
        self.known.iter_mut().for_each(|known| known.vif = known.itself.flatten());
        for _ in 0..DEPTH {
            for place in 0..self.known.len() {
                let Some(known) = self.known.get(place) else { return };
                let (index, lower, vif) = (known.index, known.lower, known.vif);
                // A VIF's own number stays its own, whatever it is a port of.
                let found = vif.or_else(|| {
                    let below = self.known.iter().filter(|other| other.index == lower || other.master == index);
                    below.filter_map(|other| other.vif).min()
                });
                if let Some(known) = self.known.get_mut(place) {
                    known.vif = found;
                }
            }
        }
    }

    /// The VIFs that there are links of.
    pub fn vifs(&self) -> impl Iterator<Item = Vif> {
        self.known.iter().filter_map(|known| known.itself.flatten())
    }

    /// The VIF that the addresses of the link with this number belong to.
    pub fn vif_of(&self, index: u32) -> Option<Vif> {
        self.known.iter().find(|known| known.index == index)?.vif
    }
}

/// An address and where it is published: `<directory>/<number>/ipv4/<index>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Whose it is.
    pub vif: Vif,
    /// The address.
    pub ip: Ip,
    /// Its place among the VIF's addresses of its family.
    pub index: u16,
    there: bool,
}

/// Some of them.
pub type PublishedList = Vec<Published, PUBLISHED_MAX>;

/// The addresses that are published.
///
/// # Invariants
/// No two of a VIF and a family have the same index.
pub struct Addresses {
    published: PublishedList,
    /// How many of them were there before.
    old: usize,
    new: PublishedList,
    /// Whether there were more.
    pub cut: bool,
}

impl Addresses {
    /// None.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub(crate) const fn new() -> Addresses {
        Addresses { published: Vec::new(), old: 0, new: Vec::new(), cut: false }
    }

    /// Forgets what is published.
    pub fn clear(&mut self) {
        self.published.clear();
    }

    /// Nothing is there until it is seen again.
    pub fn begin(&mut self) {
        self.cut = false;
        self.new.clear();
        self.published.iter_mut().for_each(|published| published.there = false);
    }

    /// A VIF has an address.
    pub fn take(&mut self, vif: Vif, present: &PresentAddress) {
        let ip = present.address.ip;
        if !present.is_usable() || ip.is_loopback() {
            return;
        }
        if let Some(known) = self.published.iter_mut().find(|known| known.vif == vif && known.ip == ip) {
            known.there = true;
            return;
        }
        let [main, temporary, link_local] = KINDS;
        let index = match (ip.is_link_local(), present.is_temporary()) {
            (true, _) => link_local,
            (false, true) => temporary,
            (false, false) => main,
        };
        // Two links upon one VIF may have one address.
        if !self.new.iter().any(|new| new.vif == vif && new.ip == ip) {
            self.cut |= self.new.push(Published { vif, ip, index, there: true }).is_err();
        }
    }

    /// All have been seen. Returns those that are gone; then [`Addresses::added`] are those that are new.
    pub fn end(&mut self) -> PublishedList {
        let mut gone = PublishedList::new();
        gone.extend(self.published.iter().filter(|known| !known.there).copied());
        self.published.retain(|known| known.there);
        self.old = self.published.len();
        // Should there be too many, those that matter less are left out.
        for kind in KINDS {
            for mut new in self.new.iter().filter(|new| new.index == kind).copied() {
                while self.published.iter().any(|known| known.shares_index(&new)) {
                    new.index += 1;
                }
                self.cut |= self.published.push(new).is_err();
            }
        }
        gone
    }

    /// Those that are new.
    pub fn added(&self) -> &[Published] {
        self.published.get(self.old..).unwrap_or_default()
    }

    /// All.
    pub fn all(&self) -> &[Published] {
        &self.published
    }
}

impl Published {
    fn shares_index(&self, other: &Published) -> bool {
        self.is_beside(other) && self.index == other.index
    }

    /// Whether both are of one VIF and one family.
    pub fn is_beside(&self, other: &Published) -> bool {
        self.vif == other.vif && self.ip.family() == other.ip.family()
    }

    /// The name of its family's directory.
    pub fn family(&self) -> &'static str {
        match self.ip.family() {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        }
    }
}

/// `attr/vif/0/ipv4/0`
impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.vif, self.family(), self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::net::Prefixed;
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    const VIF: Vif = Vif { virtual_function: false, number: 0 };

    fn link(index: u32, lower: u32, master: u32) -> Link {
        Link { index, name: "x".try_into().unwrap(), lower, master, ..Link::default() }
    }

    fn present(ip: &str, flags: u32) -> PresentAddress {
        let ip: Ip = ip.parse().unwrap();
        PresentAddress { index: 1, address: Prefixed::new(ip, 24).unwrap(), far: ip, flags }
    }

    fn update(addresses: &mut Addresses, there: &[(&str, u32)]) -> (Vec<String, 24>, Vec<String, 24>) {
        addresses.begin();
        there.iter().for_each(|(ip, flags)| addresses.take(VIF, &present(ip, *flags)));
        let show = |list: &[Published]| {
            list.iter().map(|one| format!("{}/{}={}", one.family(), one.index, one.ip)).collect::<Vec<String, 24>>()
        };
        (show(&addresses.end()), show(addresses.added()))
    }

    type String = std::string::String;

    #[test]
    fn a_vif_is_told_by_its_node() {
        assert_eq!(Vif::of_nodename(b"device/vif/3\n"), Some(Vif { virtual_function: false, number: 3 }));
        for other in [&b"device/vbd/51712\n"[..], b"device/vif/", b"device/vif/x\n", b"device/vif/-1", b"\xff"] {
            assert_eq!(Vif::of_nodename(other), None);
        }
    }

    #[test]
    fn an_address_keeps_its_index_and_a_free_one_is_used_again() {
        let mut addresses = Addresses::new();
        let (gone, added) = update(&mut addresses, &[("10.0.0.1", 0), ("10.0.0.2", 0), ("10.0.0.3", 0)]);
        assert!(gone.is_empty());
        assert_eq!(added, ["ipv4/0=10.0.0.1", "ipv4/1=10.0.0.2", "ipv4/2=10.0.0.3"]);
        let (gone, added) = update(&mut addresses, &[("10.0.0.3", 0), ("10.0.0.2", 0)]);
        assert_eq!((gone.as_slice(), added.len()), (&["ipv4/0=10.0.0.1".to_owned()][..], 0));
        let (gone, added) = update(&mut addresses, &[("10.0.0.9", 0), ("10.0.0.2", 0), ("10.0.0.3", 0)]);
        assert_eq!((gone.len(), added.as_slice()), (0, &["ipv4/0=10.0.0.9".to_owned()][..]));
    }

    #[test]
    fn the_main_address_is_the_first_in_the_order_of_strings() {
        let mut addresses = Addresses::new();
        let there =
            [("fe80::1", 0x80), ("2001:db8::aa", 1), ("2001:db8::1", 0x80), ("169.254.1.1", 0), ("10.0.0.1", 0)];
        let (_, mut added) = update(&mut addresses, &there);
        added.sort();
        let expected = [
            "ipv4/0=10.0.0.1",
            "ipv4/900=169.254.1.1",
            "ipv6/0=2001:db8::1",
            "ipv6/800=2001:db8::aa",
            "ipv6/900=fe80::1",
        ];
        assert_eq!(added, expected);
        // An IPv4 address beside another one of its network is no temporary one.
        assert_eq!(update(&mut Addresses::new(), &[("10.0.0.2", 1)]).1, ["ipv4/0=10.0.0.2"]);
    }

    #[test]
    fn what_cannot_be_used_is_not_published() {
        let there = [("2001:db8::1", 0x40), ("2001:db8::2", 0x48), ("127.0.0.1", 0x80), ("2001:db8::3", 0x44)];
        assert_eq!(update(&mut Addresses::new(), &there).1, ["ipv6/0=2001:db8::3"]);
    }

    #[test]
    fn bridges_bonds_and_vlans_belong_to_the_vif_below() {
        let mut links = Links::new();
        links.begin();
        // VIF 0 and 1 in bond 4; a VLAN 5 on it; a bridge 6 with the VLAN and a container's veth; a tunnel 7 alone.
        for one in [link(2, 0, 4), link(3, 0, 4), link(4, 0, 0), link(5, 4, 6), link(6, 0, 0), link(7, 0, 0)] {
            links.take(&one);
        }
        links.take(&Link { lower_elsewhere: true, ..link(8, 2, 6) });
        for known in links.end() {
            let number = match known.index {
                2 => Some(0),
                3 => Some(1),
                _ => None,
            };
            known.itself = Some(number.map(|number| Vif { virtual_function: false, number }));
        }
        links.follow();
        let vifs: Vec<Option<u16>, 8> = (2..9).map(|index| links.vif_of(index).map(|vif| vif.number)).collect();
        assert_eq!(vifs, [Some(0), Some(1), Some(0), Some(0), Some(0), None, None]);
    }

    #[test]
    fn links_that_lie_upon_one_another_in_a_ring_end() {
        let mut links = Links::new();
        links.begin();
        [link(2, 3, 3), link(3, 2, 2)].iter().for_each(|link| links.take(link));
        links.end().for_each(|known| known.itself = Some(None));
        links.follow();
        assert_eq!(links.vif_of(2), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_and_goes_indices_are_stable_and_unique(
            rounds in prop::collection::vec(prop::collection::btree_set(0_u8..40, 0..40), 1..8),
        ) {
            let mut addresses = Addresses::new();
            let mut before: Vec<Published, 24> = Vec::new();
            for round in rounds {
                let texts: std::vec::Vec<String> = round.iter().map(|n| format!("10.0.0.{n}")).collect();
                let there: std::vec::Vec<(&str, u32)> = texts.iter().map(|ip| (ip.as_str(), 0)).collect();
                update(&mut addresses, &there);
                for (place, one) in addresses.all().iter().enumerate() {
                    prop_assert!(texts.contains(&one.ip.to_string()));
                    prop_assert!(!addresses.all()[..place].iter().any(|other| other.shares_index(one)));
                    if let Some(old) = before.iter().find(|old| old.ip == one.ip) {
                        prop_assert_eq!(old.index, one.index);
                    }
                }
                prop_assert_eq!(addresses.cut, texts.len() > PUBLISHED_MAX);
                prop_assert_eq!(addresses.all().len(), texts.len().min(PUBLISHED_MAX));
                before = addresses.all().iter().copied().collect();
            }
        }
    }
}
