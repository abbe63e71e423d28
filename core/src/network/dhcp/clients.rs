//! Which interfaces ask DHCP, and what their leases are to the system: addresses and routes in the kernel, the host
//! name, /etc/resolv.conf.
//!
//! Only a VIF of which the toolstack says nothing gets a client, and only where nobody else seems to be at work, unless
//! that is asked for. What a lease says goes the way that vm-data goes: the plan that is carried out is the same.
//!
//! An interface that asks, and its lease, are noted in /run: a line with the address and since when it counts, in
//! milliseconds since the system began, and the server's message. An agent that takes over, or starts again, goes on
//! with the lease, and takes it away when it ends.

use core::fmt::Write;

use heapless::Vec;

use super::client::{Client, Event, Loss, Send, State};
use super::message::MESSAGE_MAX;
use super::name_servers::NameServers;
use super::{Octets, frame};
use crate::files::lines::Sink;
use crate::files::read::read_start_if_possible;
use crate::files::replace;
use crate::files::sysfs::vif_of;
#[cfg(feature = "handover")]
use crate::network::handover::{HandOver, Handover, hand_over};
#[cfg(feature = "handover")]
use crate::network::model::Placed;
use crate::network::model::{DNS_MAX, INTERFACES_MAX, Interface, Network};
use crate::network::problems::Problems;
use crate::network::reset::{Permanence, Wanted, apply};
use crate::network::{DhcpMode, Target};
use crate::platform::{Clock, Entropy, Files, GuestPath, Identity, KernelNet, Level, Log, Programs};
use crate::wire::errno::Errno;
use crate::wire::net::{Device, Family, Ip, Mac};
use crate::wire::netlink::advertisement::NameServer;
use crate::wire::netlink::{Link, Message, Reply, number};
use crate::wire::text::Bounded;

/// Links that are looked at: more are none of a guest's interfaces.
const LINKS_MAX: usize = 4 * INTERFACES_MAX;
/// Longest note: a message, and a line before it.
const NOTE_MAX: usize = MESSAGE_MAX + 64;
const RESOLV: GuestPath<'static> = GuestPath::literal("/etc/resolv.conf");

/// An interface that asks.
struct Entry {
    mac: Mac,
    index: u32,
    device: Device,
    vif: u16,
    carrier: bool,
    /// How often that has changed.
    carrier_changes: u32,
    /// None until packets get through.
    client: Option<Client>,
    /// Whether it has, or had, an address of a server's: what it has is ours to take away.
    is_ours: bool,
    /// Whether its lease is another one than is noted.
    to_note: bool,
}

/// All of them.
pub struct Clients {
    mode: DhcpMode,
    /// The interfaces of which the toolstack speaks.
    named: Vec<Mac, INTERFACES_MAX>,
    /// Those of which it says that they are to ask.
    left: Vec<Mac, INTERFACES_MAX>,
    /// Whether somebody else names the guest: the toolstack, or whoever has named it since a lease did.
    has_name: bool,
    /// What the guest was called when that was last looked at.
    name: Bounded<64>,
    entries: Vec<Entry, INTERFACES_MAX>,
    /// Those of this guest's own links.
    own: Vec<Mac, LINKS_MAX>,
    /// The name servers that the toolstack names, and those that routers announce.
    told: Vec<Ip, DNS_MAX>,
    announced: NameServers,
}

impl Clients {
    /// None yet.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub const fn new(mode: DhcpMode) -> Clients {
        Clients {
            mode,
            named: Vec::new(),
            left: Vec::new(),
            has_name: false,
            name: Bounded::new(),
            entries: Vec::new(),
            own: Vec::new(),
            told: Vec::new(),
            announced: NameServers::new(),
        }
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether each has an address.
    pub fn all_have_an_address(&self) -> bool {
        self.entries.iter().all(|entry| entry.client.as_ref().and_then(Client::address).is_some())
    }

    /// Whether packets are of interest to any.
    pub fn listens(&self) -> bool {
        self.clients().any(Client::listens)
    }

    /// Whether packets of ARP are.
    pub fn probes(&self) -> bool {
        self.clients().any(Client::probes)
    }

    /// When to call [`Clients::handle_time`] at the latest.
    pub fn next_at(&self) -> Option<u64> {
        self.clients().filter_map(Client::next_at).chain(self.announced.next_at()).min()
    }

    fn clients(&self) -> impl Iterator<Item = &Client> {
        self.entries.iter().filter_map(|entry| entry.client.as_ref())
    }

    fn clients_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.entries.iter_mut().filter_map(|entry| entry.client.as_mut())
    }

    fn retain(&mut self, stays: &mut dyn FnMut(&Entry) -> bool) {
        self.entries.retain(stays);
    }

    /// The toolstack speaks of an interface now.
    pub fn handle_given(&mut self, mac: Mac) {
        self.retain(&mut |entry| entry.mac != mac);
        if !self.named.contains(&mac) {
            // More than there is room for are more than a guest has.
            let _ = self.named.push(mac);
        }
    }

    /// The toolstack speaks of an interface: of its IPv4, or that it is left to the guest.
    pub fn handle_interface(&mut self, interface: &Interface) {
        // resolv.conf(5) is of three, and has them all before any other.
        let _ = interface.dns.iter().try_for_each(|server| self.told.push(*server));
        if interface.speaks_of(Family::V4) {
            self.handle_given(interface.mac);
        } else {
            // More than there is room for are more than a guest has.
            let _ = self.left.push(interface.mac);
        }
    }

    /// The guest is called so, and the toolstack has named it, or not.
    pub fn handle_name(&mut self, name: Bounded<64>, has_name: bool) {
        (self.name, self.has_name) = (name, has_name);
    }

    /// The guest may be somewhere else: each asks at once whether its address is still its.
    pub fn handle_moved(&mut self, now: u64) {
        self.clients_mut().for_each(|client| client.ask_again(now));
    }

    /// Time has passed.
    pub fn handle_time(&mut self, now: u64) {
        self.clients_mut().for_each(|client| client.handle_time(now));
        self.announced.handle_time(now);
    }

    /// A router announces a name server. Of links that do not ask it is somebody else's matter.
    pub fn handle_name_server<P: Log>(&mut self, platform: &mut P, server: NameServer, now: u64) {
        if let Some(entry) = self.entries.iter().find(|entry| entry.index == server.index)
            && !self.announced.handle(server, now)
        {
            let text = format_args!("DHCP: there is no room for {}, a name server of {}", server.ip, entry.device);
            platform.log(Level::Debug, text);
        }
    }

    /// A packet of IPv4, or of ARP, has come on a link.
    pub fn handle_packet(&mut self, index: u32, is_arp: bool, packet: &[u8], now: u64) {
        // With two links in one net, the kernel answers on each for the addresses of both (`arp_ignore`).
        if is_arp && frame::sender(packet).is_some_and(|sender| self.own.contains(&sender)) {
            return;
        }
        let entry = self.entries.iter_mut().find(|entry| entry.index == index);
        let Some(client) = entry.and_then(|entry| entry.client.as_mut()) else { return };
        if is_arp { client.handle_arp(packet, now) } else { client.handle_packet(packet, now) }
    }

    /// Something to be sent, and on which link.
    pub fn poll_send(&mut self, name: &str, now: u64) -> Option<(u32, Send)> {
        // What a system is called that has no name.
        let name = if matches!(name, "(none)" | "localhost") { "" } else { name };
        let mut entries = self.entries.iter_mut();
        entries.find_map(|entry| Some((entry.index, entry.client.as_mut()?.poll_send(name, now)?)))
    }

    /// Shows which links would ask.
    pub fn show<P: KernelNet + Files + Log>(&self, platform: &mut P, out: &mut dyn Write) {
        let (links, with_address) = match links(platform) {
            Ok(links) => links,
            Err(errno) => return say_lost(platform, errno),
        };
        for link in &links {
            if self.asks(platform, link, with_address.contains(&link.index)).is_some() {
                let _ = writeln!(out, "ask DHCP on {}", link.name);
            }
        }
    }

    /// Links may have come, gone or changed.
    #[inline(never)]
    pub fn handle_links<P: KernelNet + Files + Log + Entropy>(&mut self, platform: &mut P, now: u64) {
        let (links, with_address) = match links(platform) {
            Ok(links) => links,
            Err(errno) => return say_lost(platform, errno),
        };
        self.own.clear();
        for mac in links.iter().filter_map(|link| link.mac) {
            let _ = self.own.push(mac);
        }
        self.retain(&mut |entry| links.iter().any(|link| (link.index, link.mac) == (entry.index, Some(entry.mac))));
        self.announced.keep(|index| self.entries.iter().any(|entry| entry.index == index));
        for link in &links {
            if self.entries.iter().all(|entry| entry.index != link.index) {
                self.take_up(platform, link, with_address.contains(&link.index));
            }
            if let Some(entry) = self.entries.iter_mut().find(|entry| entry.index == link.index) {
                entry.device = link.name.clone();
                entry.look(platform, link, now);
            }
        }
    }

    /// The address and the number of a VIF that is to ask; none if the link is none.
    fn asks<P: Files + Log>(&self, platform: &mut P, link: &Link, has_address: bool) -> Option<(Mac, u16)> {
        let mac = link.mac.filter(|mac| !self.named.contains(mac))?;
        let vif = vif_of(platform, &link.name)?;
        let is_untouched = !link.up && !has_address;
        let asks = match self.mode {
            DhcpMode::Off => false,
            DhcpMode::Always => true,
            DhcpMode::Auto => is_untouched || self.left.contains(&mac) || read_note(platform, mac, &mut []).is_some(),
        };
        asks.then_some((mac, vif))
    }

    /// Has a link ask, if it is one to ask.
    fn take_up<P: KernelNet + Files + Log>(&mut self, platform: &mut P, link: &Link, has_address: bool) {
        let Some((mac, vif)) = self.asks(platform, link, has_address) else { return };
        if !link.up
            && let Err(errno) = platform.ask(&Message::link_up(3, link.index), &mut |_| {})
        {
            let text = format_args!("DHCP: cannot bring {} up: {errno}", link.name);
            return platform.log(Level::Warn, text);
        }
        let (index, device) = (link.index, link.name.clone());
        let entry = Entry {
            mac,
            index,
            device,
            vif,
            carrier: false,
            carrier_changes: 0,
            client: None,
            is_ours: false,
            to_note: false,
        };
        let is_new = read_note(platform, mac, &mut []).is_none();
        match self.entries.push(entry) {
            Err(_) => platform.log(Level::Warn, format_args!("DHCP: {} is one interface too many", link.name)),
            // An agent that begins again knows by this who brought the link up.
            Ok(()) if is_new => self.entries.last().into_iter().for_each(|entry| entry.note(platform)),
            Ok(()) => {}
        }
    }

    /// Tells what has become of leases, and has the kernel have it. `network` is room for that. Returns whether
    /// anything has.
    #[inline(never)]
    pub fn apply<P: Files + Clock + Log + Identity + Programs + KernelNet>(
        &mut self,
        platform: &mut P,
        network: &mut Network,
    ) -> bool {
        let mut news = false;
        for entry in &mut self.entries {
            while let Some(event) = entry.client.as_mut().and_then(Client::poll_event) {
                news |= event != Event::Renewed;
                (entry.is_ours, entry.to_note) = (true, true);
                entry.tell(platform, event);
            }
        }
        let is_said = self.announced.take_change();
        if news || is_said {
            self.carry_out(platform, network, news);
            self.write_resolv(platform, network, is_said);
        }
        // Last: files take longer than the kernel, and an address is of use at once.
        for entry in &mut self.entries {
            if core::mem::take(&mut entry.to_note) {
                entry.note(platform);
            }
        }
        news || is_said
    }

    /// Makes a network of the leases and, if there is news of them, has the kernel have it.
    fn carry_out<P: Files + Clock + Log + Identity + Programs + KernelNet>(
        &mut self,
        platform: &mut P,
        network: &mut Network,
        news: bool,
    ) {
        // A later `resetnetwork` may have named it.
        self.has_name |= platform.host_name().as_str() != self.name.as_str();
        self.fill(platform, network);
        if !news {
            return;
        }
        let wanted = Wanted::of(Target::Kernel, Permanence::Nothing);
        let outcome = apply(platform, network, &wanted, Problems::new(), None);
        if !outcome.problems.as_str().is_empty() {
            platform.log(Level::Warn, format_args!("DHCP: {}", outcome.problems.as_str()));
        }
        platform.log(Level::Info, format_args!("{}", outcome.line.as_str()));
        self.name = platform.host_name();
    }

    /// Makes a network of the leases.
    fn fill<P: KernelNet + Log>(&mut self, platform: &mut P, network: &mut Network) {
        network.clear();
        let others = default_routes(platform);
        for entry in self.entries.iter().filter(|entry| entry.is_ours) {
            let mut interface = Interface::new(entry.mac);
            interface.vif = Some(entry.vif);
            let Some(client) = &entry.client else { continue };
            if !client.configure(&mut interface) {
                let text = format_args!("DHCP: the server of {} says more than there is room for", entry.device);
                platform.log(Level::Warn, text);
            }
            // What the toolstack has said, or an administrator, comes first.
            if others.iter().any(|index| self.entries.iter().all(|entry| entry.index != *index)) {
                interface.routes.retain(|route| route.to.prefix != 0);
            }
            if let (false, None, Some(reply)) = (self.has_name, &network.hostname, client.reply()) {
                network.hostname = reply.host_name();
            }
            let _ = network.interfaces.push(interface);
        }
    }

    /// Hands the leases over to the real root, which goes on with DHCP. `network` is room for that. What cannot be
    /// written is logged; returns whether all could be.
    #[cfg(feature = "handover")]
    pub fn hand_over<P: Files + Log>(&self, platform: &mut P, styles: &[Handover], network: &mut Network) -> bool {
        let (mut well, mut problems) = (true, Problems::new());
        for style in styles {
            network.clear();
            let mut leases = Vec::<u32, INTERFACES_MAX>::new();
            let mut devices = Vec::<&str, INTERFACES_MAX>::new();
            for entry in &self.entries {
                let Some(client) = &entry.client else { continue };
                let Some(reply) = client.reply() else { continue };
                let mut interface = Interface::new(entry.mac);
                interface.vif = Some(entry.vif);
                // klibc's readers want the addresses; the others ask for their own, and are told to.
                if *style == Handover::Klibc {
                    client.configure(&mut interface);
                } else {
                    interface.left_alone = [true; 2];
                }
                let _ = network.interfaces.push(interface);
                let _ = leases.push(reply.times().end);
                let _ = devices.push(&entry.device);
            }
            let placed = network.interfaces.iter().zip(&devices);
            let placed = placed.map(|(interface, device)| Placed { interface, device: Some(device) });
            let interfaces = &placed.collect::<Vec<_, INTERFACES_MAX>>();
            let what = HandOver { style: *style, network, interfaces, leases: Some(&leases) };
            well &= interfaces.is_empty() || hand_over(platform, &what, &mut problems);
        }
        let said = problems.message(platform);
        if !said.as_str().is_empty() {
            platform.log(Level::Warn, format_args!("DHCP: {}", said.as_str()));
        }
        well
    }

    /// Writes resolv.conf(5), with what the toolstack says in front; `is_said` if what routers say has changed.
    fn write_resolv<P: Files + Log>(&self, platform: &mut P, network: &Network, is_said: bool) {
        let domain = self.clients().filter_map(|client| client.reply()?.domain()).next();
        // Those of others stay where no server has any to say.
        let mut given = network.interfaces.iter().flat_map(|interface| &interface.dns);
        if given.next().is_none() && self.announced.iter().next().is_none() && !is_said {
            return;
        }
        let mut text = |out: &mut dyn Sink| {
            out.put("# Written by nanova from what DHCP servers and routers said.\n");
            if let Some(domain) = &domain {
                writeln!(out, "search {domain}");
            }
            let given = network.interfaces.iter().flat_map(|interface| &interface.dns);
            for server in self.told.iter().chain(given) {
                writeln!(out, "nameserver {server}");
            }
            for (index, server) in self.announced.iter() {
                write!(out, "nameserver {server}");
                let entry = self.entries.iter().find(|entry| entry.index == index && server.is_ipv6_link_local());
                // Whose address is of one link only is known by that (RFC 4007, 11).
                entry.iter().for_each(|entry| write!(out, "%{}", entry.device));
                out.put("\n");
            }
        };
        if let Err(error) = replace::write(platform, RESOLV, 0o644, &mut text) {
            platform.log(Level::Warn, format_args!("DHCP: {error}"));
        }
    }
}

impl Entry {
    /// Packets get through, or not.
    fn look<P: Files + Log + Entropy>(&mut self, platform: &mut P, link: &Link, now: u64) {
        // While netfront is without its backend, as in a guest that is restored, the kernel tells of no change
        // (net/core/link_watch.c: of no device that is detached); when it tells, the carrier is back.
        let is_back = (self.carrier, self.carrier_changes) != (true, link.carrier_changes);
        (self.carrier, self.carrier_changes) = (link.carrier, link.carrier_changes);
        match &mut self.client {
            None if link.carrier => {
                let mut random = [0; 8];
                if let Err(errno) = platform.random(&mut random) {
                    platform.log(Level::Warn, format_args!("DHCP: no random numbers: {errno}"));
                    random = now.to_ne_bytes();
                }
                let mut room = [0; NOTE_MAX];
                let before = noted(platform, self.mac, &mut room);
                self.client = Some(Client::new(self.mac, u64::from_ne_bytes(random), before, now));
                platform.log(Level::Info, format_args!("DHCP: {} asks for an address", self.device));
            }
            // It may be plugged into something else.
            Some(client) if link.carrier && is_back => client.ask_again(now),
            _ => {}
        }
    }

    fn tell<P: Log>(&self, platform: &mut P, event: Event) {
        let device = &self.device;
        let why = match event {
            Event::Renewed => return,
            Event::Bound => return self.tell_bound(platform),
            Event::Lost(Loss::Expired) => "no server gave it more time",
            Event::Lost(Loss::Refused) => "a server has taken it back",
            Event::Lost(Loss::Taken) => "somebody else on the link has it",
        };
        platform.log(Level::Warn, format_args!("DHCP: {device} has no address any more: {why}"));
    }

    fn tell_bound<P: Log>(&self, platform: &mut P) {
        let Some(client) = &self.client else { return };
        let (Some(reply), Some(address)) = (client.reply(), client.address()) else { return };
        let (device, seconds, address) = (&self.device, u64::from(reply.times().end), dotted(address));
        let server = dotted(reply.server().unwrap_or_default());
        // It was another agent's.
        let has = if client.state() == State::Rebooting { "goes on with" } else { "has" };
        platform.log(Level::Info, format_args!("DHCP: {device} {has} {address} from {server} for {seconds} s"));
    }

    /// Notes the lease; an empty note is none.
    fn note<P: Files + Log>(&self, platform: &mut P) {
        let path = note_of(self.mac);
        let Ok(path) = GuestPath::new(path.as_str()) else { return };
        let lease = self.client.as_ref().and_then(|client| Some((dotted(client.address()?), client.lease()?)));
        let mut text = |out: &mut dyn Sink| {
            if let Some((address, (since, said))) = lease {
                writeln!(out, "{address} {since}");
                out.bytes(said);
            }
        };
        if let Err(error) = replace::write(platform, path, 0o644, &mut text) {
            platform.log(Level::Debug, format_args!("DHCP: {error}"));
        }
    }
}

/// Ethernet links, and the numbers of those that have an IPv4 address.
type Links = (Vec<Link, LINKS_MAX>, Vec<u32, LINKS_MAX>);

fn links<P: KernelNet>(platform: &mut P) -> Result<Links, Errno> {
    let (mut links, mut with_address) = (Vec::new(), Vec::new());
    platform.ask(&Message::dump_links(1), &mut |reply| {
        if let Reply::Link(link) = reply
            && link.mac.is_some()
        {
            let _ = links.push(link.clone());
        }
    })?;
    platform.ask(&Message::dump_addresses(2), &mut |reply| {
        if let Reply::Address(present) = reply
            && present.address.ip.family() == Family::V4
        {
            let _ = with_address.push(present.index);
        }
    })?;
    Ok((links, with_address))
}

fn say_lost<P: Log>(platform: &mut P, errno: Errno) {
    platform.log(Level::Warn, format_args!("DHCP: cannot ask the kernel for links: {errno}"));
}

fn note_of(mac: Mac) -> Bounded<64> {
    Bounded::of(format_args!("/run/nanova-{}.lease", mac.plain()))
}

/// Reads the start of the note, if there is one: the interface is one that asks.
fn read_note<P: Files + Log>(platform: &mut P, mac: Mac, room: &mut [u8]) -> Option<usize> {
    read_start_if_possible(platform, GuestPath::new(note_of(mac).as_str()).ok()?, room)
}

/// The lease that is noted: since when it counts, and the server's message.
fn noted<'r, P: Files + Log>(platform: &mut P, mac: Mac, room: &'r mut [u8; NOTE_MAX]) -> Option<(u64, &'r [u8])> {
    let len = read_note(platform, mac, room)?;
    let note = room.get(..len)?;
    let (line, said) = note.split_at_checked(note.iter().position(|byte| *byte == b'\n')?)?;
    let (_, since) = core::str::from_utf8(line).ok()?.split_once(' ')?;
    Some((since.parse().ok()?, said.get(1..)?))
}

fn dotted(octets: Octets) -> Ip {
    Ip::from_octets(&octets).unwrap_or(Ip::unspecified(Family::V4))
}

/// The links of IPv4's ways to everything.
fn default_routes<P: KernelNet + Log>(platform: &mut P) -> Vec<u32, LINKS_MAX> {
    let mut links = Vec::new();
    let result: Result<(), Errno> = platform.ask(&Message::dump_routes(3), &mut |reply| {
        if let Reply::Route(route) = reply
            && route.to.prefix == 0
            && route.to.ip.family() == Family::V4
            && route.table == number::RT_TABLE_MAIN
        {
            let _ = links.push(route.index);
        }
    });
    if let Err(errno) = result {
        platform.log(Level::Warn, format_args!("DHCP: cannot ask the kernel for routes: {errno}"));
    }
    links
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
