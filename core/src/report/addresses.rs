//! Which addresses the guest's VIFs have, and under which index each is published.
//!
//! * A VIF is known by its node in sysfs (`device/vif/<n>`), not by its interface's name; a virtual function (SR-IOV)
//!   by its MAC address, as nothing else tells.
//! * An address of a bridge, bond, VLAN or macvlan is one of the VIF below it; of several VIFs below, the first.
//! * An address keeps its index as long as it is published. The index tells what kind it is, since toolstacks take the
//!   first in the order of strings for the guest's main one: others count from 0, temporary ones from 800, link-local
//!   ones from 900.
//! * However many other links there are, none of them takes a VIF's place; and however many addresses, none the place
//!   of a VIF's and family's first: of whichever have most the last are left out.
//!
//! Rules: XAPI's `ocaml/xapi/xapi_guest_agent.ml` (an index must be an integer), xen-orchestra's
//! `_extractIpFromVmNetworks.mjs` (the order).

use core::fmt;

use heapless::Vec;

use crate::wire::net::{Device, Family, Ip, Mac};
use crate::wire::netlink::{Link, PresentAddress};

/// Most links that are known at a time, and so most VIFs and links upon them; links whose lower end is in a container's
/// namespace are not looked at.
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

/// The links that there are. Where they are more than [`LINKS_MAX`], those of VIFs: the kernel lists all of them anew
/// for each window of so many, and what is of no VIF makes room for the next ones.
pub struct Links {
    known: Vec<Known, LINKS_MAX>,
    /// How many have been looked at and are of no VIF: those that the kernel lists first of the unknown.
    passed: usize,
    /// How many unknown ones the kernel has listed.
    unknown: usize,
    /// How many of the known were VIFs' when one that was passed was last asked for again.
    of_vifs: usize,
    /// Whether there were more.
    pub cut: bool,
}

impl Links {
    /// None.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub(crate) const fn new() -> Links {
        Links { known: Vec::new(), passed: 0, unknown: 0, of_vifs: 0, cut: false }
    }

    /// Nothing is there until it is seen again: in as many lists as [`Links::wants_more`] asks for.
    pub fn begin(&mut self) {
        (self.passed, self.of_vifs) = (0, 0);
        self.begin_list();
    }

    fn begin_list(&mut self) {
        (self.unknown, self.cut) = (0, false);
        self.known.iter_mut().for_each(|known| known.there = false);
    }

    /// A link is there.
    pub fn take(&mut self, link: &Link) {
        if link.loopback || link.lower_elsewhere {
            return;
        }
        let place = self.known.iter().position(|known| known.index == link.index);
        let passed = place.is_none() && self.is_passed();
        if passed && !self.is_upon_a_vif(link) {
            return;
        }
        let old = place.and_then(|place| self.known.get(place));
        let known = Known {
            name: link.name.clone(),
            mac: link.mac,
            itself: old.and_then(|old| old.itself),
            index: link.index,
            lower: link.lower,
            master: link.master,
            // As it was when all were followed, which they will be again.
            vif: old.and_then(|old| old.vif),
            there: true,
        };
        if let Some(old) = place.and_then(|place| self.known.get_mut(place)) {
            *old = known;
        } else if self.known.push(known).is_err() {
            self.cut = true;
        } else if passed {
            // It is unknown no more.
            (self.unknown, self.passed) = (self.unknown - 1, self.passed - 1);
        }
    }

    /// Whether the next unknown link has been looked at already.
    fn is_passed(&mut self) -> bool {
        self.unknown += 1;
        self.unknown <= self.passed
    }

    /// Whether a link is upon one that is known to be a VIF's.
    fn is_upon_a_vif(&self, link: &Link) -> bool {
        let mut vifs = self.known.iter().filter(|known| known.vif.is_some());
        vifs.any(|known| known.index == link.lower || known.master == link.index)
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

    /// Whether the kernel has to list all once more: there was no room for some, and now there is; or more VIFs are
    /// known, and one that was passed may be upon those.
    pub fn wants_more(&mut self) -> bool {
        let (before, passed) = (self.known.len(), self.passed);
        if self.cut {
            self.known.retain(|known| known.vif.is_some());
        }
        self.passed += before - self.known.len();
        let of_vifs = self.known.iter().filter(|known| known.vif.is_some()).count();
        let more = self.passed > passed || passed > 0 && of_vifs > self.of_vifs;
        if more {
            self.of_vifs = of_vifs;
            self.begin_list();
        }
        more
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

/// Some of them; there is room for the one too many that decides which is left out.
pub type PublishedList = Vec<Published, { PUBLISHED_MAX + 1 }>;

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
            self.cut |= add(&mut self.new, Published { vif, ip, index, there: true }).is_some();
        }
    }

    /// All have been seen. Returns those that are gone; then [`Addresses::added`] are those that are new.
    pub fn end(&mut self) -> PublishedList {
        let mut gone = PublishedList::new();
        gone.extend(self.published.iter().filter(|known| !known.there).copied());
        self.published.retain(|known| known.there);
        self.old = self.published.len();
        for kind in KINDS {
            for mut new in self.new.iter().filter(|new| new.index == kind).copied() {
                while self.published.iter().any(|known| known.shares_index(&new)) {
                    new.index += 1;
                }
                let Some((place, left_out)) = add(&mut self.published, new) else { continue };
                self.cut = true;
                if place < self.old {
                    self.old -= 1;
                    // It was published, so there is room for it.
                    let _ = gone.push(left_out);
                }
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

/// Adds one. If that is one too many, returns the one that is left out for it and where it was, which may be the new
/// one itself: of the VIF and family that have most, the last of those whose kind matters least.
fn add(list: &mut PublishedList, new: Published) -> Option<(usize, Published)> {
    // There is room: nothing but this adds.
    let _ = list.push(new);
    if list.len() <= PUBLISHED_MAX {
        return None;
    }
    let rank = |one: &Published| {
        let beside = list.iter().filter(|other| other.is_beside(one)).count();
        (beside, KINDS.iter().filter(|first| one.index >= **first).count())
    };
    // Of several that are the same the last: none goes for one that matters no more.
    let (place, _) = list.iter().enumerate().max_by_key(|(_, one)| rank(one))?;
    Some((place, list.remove(place)))
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

    fn update(addresses: &mut Addresses, there: &[(&str, u32)]) -> (Vec<String, 25>, Vec<String, 25>) {
        addresses.begin();
        there.iter().for_each(|(ip, flags)| addresses.take(VIF, &present(ip, *flags)));
        let show = |list: &[Published]| {
            list.iter().map(|one| format!("{}/{}={}", one.family(), one.index, one.ip)).collect::<Vec<String, 25>>()
        };
        (show(&addresses.end()), show(addresses.added()))
    }

    type String = std::string::String;

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
    fn however_many_links_there_are_none_takes_a_vifs_place() {
        // 300 of no VIF, VIFs late among them, and upon one of these a bridge, and VLANs upon that.
        let (mut links, mut all) = (Links::new(), std::vec::Vec::new());
        (2..302).for_each(|index| all.push(link(index, 0, 0)));
        all.splice(1..1, [link(500, 501, 0), link(501, 0, 0), link(502, 500, 0)]);
        all.splice(200..200, [link(600, 0, 501), link(601, 0, 0)]);
        all.push(link(602, 0, 0));
        for round in 0..2 {
            links.begin();
            let (mut lists, mut looks) = (0, 0);
            loop {
                all.iter().for_each(|link| links.take(link));
                for known in links.end() {
                    looks += 1;
                    let vif = Vif { virtual_function: false, number: known.index as u16 };
                    known.itself = Some((600..700).contains(&known.index).then_some(vif));
                }
                links.follow();
                lists += 1;
                if !links.wants_more() {
                    break;
                }
            }
            assert!(lists < 12 && looks < 320, "{lists} {looks}");
            let vifs: std::vec::Vec<_> =
                all.iter().filter_map(|one| Some((one.index, links.vif_of(one.index)?.number))).collect();
            assert_eq!(vifs, [(500, 600), (501, 600), (502, 600), (600, 600), (601, 601), (602, 602)], "{round}");
            assert!(!links.cut);
        }
        // Of more VIFs than there is room for as many are known as there is, and that is said.
        let mut links = Links::new();
        links.begin();
        loop {
            (1..200).for_each(|index| links.take(&link(index, 0, 0)));
            links.end().for_each(|known| known.itself = Some(Some(VIF)));
            links.follow();
            if !links.wants_more() {
                break;
            }
        }
        assert!(links.cut && links.vifs().count() == LINKS_MAX);
    }

    #[test]
    fn of_whichever_have_most_addresses_the_last_are_left_out() {
        let vif = |number| Vif { virtual_function: false, number };
        let mut addresses = Addresses::new();
        let update = |addresses: &mut Addresses, there: &[(u16, &str)]| {
            addresses.begin();
            there.iter().for_each(|(number, ip)| addresses.take(vif(*number), &present(ip, 0x80)));
            let show = |list: &[Published]| list.iter().map(Published::to_string).collect::<std::vec::Vec<_>>();
            (show(&addresses.end()), show(addresses.added()))
        };
        let many: std::vec::Vec<String> = (1..=30).map(|n| format!("10.0.0.{n}")).collect();
        let mut there: std::vec::Vec<(u16, &str)> = many.iter().map(|ip| (0, ip.as_str())).collect();
        assert_eq!(update(&mut addresses, &there).1.len(), PUBLISHED_MAX);
        // Those of others come when all room is taken, and take it from the last of those.
        there.extend([(1, "10.1.0.5"), (0, "2001:db8::5"), (0, "fe80::5")]);
        let (gone, added) = update(&mut addresses, &there);
        assert_eq!(gone, ["attr/vif/0/ipv4/23", "attr/vif/0/ipv4/22", "attr/vif/0/ipv4/21"]);
        assert_eq!(added, ["attr/vif/1/ipv4/0", "attr/vif/0/ipv6/0", "attr/vif/0/ipv6/900"]);
        // Nothing goes to and fro.
        assert_eq!(update(&mut addresses, &there), (vec![], vec![]));
        // All at once is the same, in whatever order.
        there.reverse();
        let mut anew = Addresses::new();
        let (gone, added) = update(&mut anew, &there);
        assert_eq!((gone.len(), added.len()), (0, PUBLISHED_MAX));
        assert!(added.contains(&"attr/vif/1/ipv4/0".to_owned()) && added.contains(&"attr/vif/0/ipv6/0".to_owned()));
        // Of one VIF and family those go first that matter least.
        let mut addresses = Addresses::new();
        let local: std::vec::Vec<String> = (1..=24).map(|n| format!("fe80::{n:x}")).collect();
        let mut there: std::vec::Vec<(u16, &str)> = local.iter().map(|ip| (0, ip.as_str())).collect();
        update(&mut addresses, &there);
        there.push((0, "2001:db8::1"));
        assert_eq!(
            update(&mut addresses, &there),
            (vec!["attr/vif/0/ipv6/923".to_owned()], vec!["attr/vif/0/ipv6/0".to_owned()])
        );
        assert_eq!(update(&mut addresses, &there), (vec![], vec![]));
        // Where two have as many, none of one goes for one of the other that matters no more.
        let many: std::vec::Vec<String> = (1..=24).map(|n| format!("10.0.0.{n}")).collect();
        let mut there: std::vec::Vec<(u16, &str)> =
            many.iter().enumerate().map(|(n, ip)| (u16::from(n >= 12) + u16::from(n >= 23), ip.as_str())).collect();
        let mut addresses = Addresses::new();
        assert_eq!(update(&mut addresses, &there).1.len(), PUBLISHED_MAX);
        there.push((1, "10.1.0.1"));
        assert_eq!(update(&mut addresses, &there), (vec![], vec![]));
        assert!(addresses.cut);
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
