//! DHCP's sockets. What is said when is decided in [`nanova_core::network::dhcp`].
//!
//! A packet socket is open while an answer may come, and closed when none can: between renewals nothing wakes the
//! agent. ARP comes over it while an address is probed for, and at no other time. A server that is known is asked
//! through the kernel's own UDP, which knows the way to it; its answer comes over the packet socket like any other.

use core::fmt::Write;

use nanova_core::network::dhcp::message::MESSAGE_MAX;
use nanova_core::network::dhcp::{Clients, Octets, Send};
use nanova_core::network::reset::{Problems, Wanted};
use nanova_core::network::{DhcpMode, Network};
use nanova_core::platform::{Identity, Level, Log};
use nanova_core::wire::errno::Errno;
use nanova_core::wire::netlink::advertisement::for_each_name_server;
use nanova_core::xenstore::{Client, Error};
use rustix::fd::OwnedFd;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrV4, SocketFlags, SocketType, bind, sendto, socket_with, sockopt,
};

use crate::errno::errno;
use crate::netlink::{self, router_events};
use crate::rt::packet::{self, Protocol};
use crate::rt::place::{Filled, Place};
use crate::system::System;
use crate::wait::{running_ms, timespec, uptime_ms};
use crate::xenbus::{Wake, Xenbus};

/// Room for a packet: a message and the headers around it.
const PACKET_MAX: usize = MESSAGE_MAX + 80;
/// How many packets are taken at once: whatever comes, others have their turn.
const PACKETS_MAX: u32 = 64;
/// How often packets are looked for where they wake nobody.
const LOOK_MS: u64 = 200;
const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;

/// The network that xenstore holds.
type Xenstores = Filled<'static, Network>;

/// The clients and their sockets.
pub(crate) struct Dhcp {
    pub(crate) clients: Filled<'static, Clients>,
    /// What xenstore says; once the clients know, room for what the leases say.
    network: Filled<'static, Network>,
    /// Readable when a link has changed, or a router has named a name server.
    links: OwnedFd,
    packets: Option<OwnedFd>,
    /// Whether ARP comes over it, too.
    hears_arp: bool,
    /// What keeps the kernel from telling a server that nobody listens at our port.
    asking: Option<OwnedFd>,
}

impl Dhcp {
    /// Has the interfaces ask of which this network, which is xenstore's, says nothing. None do where that is not all
    /// that xenstore says.
    #[inline(never)]
    pub(crate) fn begin(mode: DhcpMode, network: Xenstores, system: &mut System<'_>) -> Option<Dhcp> {
        let mut dhcp = Dhcp::prepare(mode, network, system)?;
        dhcp.clients.handle_links(system, uptime_ms());
        dhcp.go_on(system);
        Some(dhcp)
    }

    /// The same for whoever has not read that network.
    pub(crate) fn read_and_begin(
        mode: DhcpMode,
        client: &mut Client<Xenbus<'_>>,
        system: &mut System<'_>,
    ) -> Result<Option<Dhcp>, Error> {
        let Ok(mut network) = Place::holding(Network::new) else {
            system.log(Level::Warn, format_args!("DHCP cannot be asked: not enough memory"));
            return Ok(None);
        };
        network.read(client, system, &mut Problems::new())?;
        Ok(Dhcp::begin(mode, network, system))
    }

    /// Shows who would ask.
    pub(crate) fn show(mode: DhcpMode, network: Xenstores, system: &mut System<'_>, out: &mut dyn Write) {
        if let Some(dhcp) = Dhcp::prepare(mode, network, system) {
            dhcp.clients.show(system, out);
        }
    }

    /// Tells the clients what xenstore says of interfaces.
    fn prepare(mode: DhcpMode, network: Xenstores, system: &mut System<'_>) -> Option<Dhcp> {
        if !network.sound {
            system.log(Level::Warn, format_args!("DHCP is not asked: not all of vm-data could be read"));
            return None;
        }
        let opened = Dhcp::open(mode, network).inspect_err(|errno| {
            system.log(Level::Warn, format_args!("DHCP cannot be asked: {errno}"));
        });
        let mut dhcp = opened.ok()?;
        dhcp.network.interfaces.iter().for_each(|interface| dhcp.clients.handle_interface(interface));
        dhcp.clients.handle_name(system.host_name(), dhcp.network.hostname.is_some());
        Some(dhcp)
    }

    fn open(mode: DhcpMode, network: Xenstores) -> Result<Dhcp, Errno> {
        Ok(Dhcp {
            clients: Place::holding(|| Clients::new(mode)).map_err(errno)?,
            network,
            links: router_events()?,
            packets: None,
            hears_arp: false,
            asking: None,
        })
    }

    /// Waits until each has an address, or it is `deadline`, by [`running_ms`], and hands the leases over in these
    /// forms. Returns whether both could be done.
    pub(crate) fn finish(
        &mut self,
        client: &mut Client<Xenbus<'_>>,
        system: &mut System<'_>,
        deadline: u64,
        wanted: &Wanted<'_>,
    ) -> bool {
        let well = loop {
            let left = deadline.saturating_sub(running_ms());
            if self.clients.all_have_an_address() || left == 0 {
                break left > 0;
            }
            let timeout = self.wake_in_ms(uptime_ms()).map_or(left, |wake| wake.min(left));
            let [links, packets] = self.descriptors();
            match client.transport().wait([links, packets, None, None, None], Some(&timespec(timeout))) {
                // Nothing comes over xenstore that was not asked for: it is gone, or the program is to end.
                Ok(Some(Wake::Readable | Wake::Signal)) | Err(_) => break false,
                Ok(_) => self.go_on(system),
            }
        };
        #[cfg(feature = "handover")]
        let well = self.clients.hand_over(system, wanted.handover, &mut self.network) && well;
        #[cfg(not(feature = "handover"))]
        let _ = wanted;
        well
    }

    /// Whether there is any that has no address yet.
    pub(crate) fn lacks_an_address(&self) -> bool {
        !self.clients.all_have_an_address()
    }

    /// What there is to wait for.
    pub(crate) fn descriptors(&self) -> [Option<&OwnedFd>; 2] {
        [Some(&self.links), self.packets.as_ref()]
    }

    /// Whether packets are of interest.
    pub(crate) fn listens(&self) -> bool {
        self.clients.listens()
    }

    /// In how many milliseconds to go on at the latest.
    pub(crate) fn wake_in_ms(&self, now: u64) -> Option<u64> {
        self.clients.next_at().map(|at| at.saturating_sub(now))
    }

    /// The same where packets wake nobody: they are looked for.
    pub(crate) fn look_in_ms(&self, now: u64) -> Option<u64> {
        [self.wake_in_ms(now), self.listens().then_some(LOOK_MS)].into_iter().flatten().min()
    }

    /// Has each ask at once whether its address is still its: the guest may be somewhere else.
    pub(crate) fn ask_again(&mut self, system: &mut System<'_>) {
        self.clients.handle_moved(uptime_ms());
        self.go_on(system);
    }

    /// Takes what has come, says what is to be said, and has the kernel have what the leases say.
    pub(crate) fn go_on(&mut self, system: &mut System<'_>) {
        for mac in core::mem::take(&mut system.given) {
            self.clients.handle_given(mac);
        }
        let now = uptime_ms();
        let clients = &mut self.clients;
        let has_come = netlink::read(&self.links, &mut |datagram| {
            for_each_name_server(datagram, &mut |server| clients.handle_name_server(system, server, now));
        });
        if has_come {
            self.clients.handle_links(system, now);
        }
        self.read_packets(now);
        self.clients.handle_time(now);
        loop {
            self.clients.apply(system, &mut self.network);
            let name = system.host_name();
            let Some((index, send)) = self.clients.poll_send(name.as_str(), now) else { break };
            if let Err(error) = self.send(index, &send) {
                system.log(Level::Warn, format_args!("DHCP: cannot send: {error}"));
            }
        }
        if !self.clients.listens() {
            (self.packets, self.asking, self.hears_arp) = (None, None, false);
        } else if self.hears_arp && !self.clients.probes() {
            // Else it is tried again the next time.
            self.hears_arp = self.hear(false).is_err();
        }
    }

    fn read_packets(&mut self, now: u64) {
        let Some(socket) = &self.packets else { return };
        let mut room = [0; PACKET_MAX];
        for _ in 0..PACKETS_MAX {
            match packet::receive(socket, &mut room) {
                Ok(Some((len, index, protocol))) => {
                    let packet = room.get(..len).unwrap_or_default();
                    self.clients.handle_packet(index, protocol == Protocol::Arp, packet, now);
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                // A link that goes down says so here, too.
                Err(_) => return,
            }
        }
    }

    /// Has ARP come, or no more.
    fn hear(&self, arp: bool) -> Result<(), Errno> {
        self.packets.as_ref().map_or(Ok(()), |socket| packet::hear(socket, arp)).map_err(errno)
    }

    fn send(&mut self, index: u32, what: &Send) -> Result<(), Errno> {
        if !self.hears_arp && matches!(what, Send::Arp(_)) {
            self.hear(true)?;
            self.hears_arp = true;
        }
        let socket = match &mut self.packets {
            Some(socket) => socket,
            none => none.insert(packet::open().map_err(errno)?),
        };
        match what {
            Send::Broadcast(bytes) => packet::send(socket, index, Protocol::Ipv4, bytes).map_err(errno),
            Send::Arp(bytes) => packet::send(socket, index, Protocol::Arp, bytes).map_err(errno),
            Send::Unicast { from, to, message } => {
                let asking = ask(*from, *to, message).map_err(errno)?;
                self.asking = Some(asking);
                Ok(())
            }
        }
    }
}

/// Sends a message from one of our addresses; returns the socket.
fn ask(from: Octets, to: Octets, message: &[u8]) -> Result<OwnedFd, rustix::io::Errno> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(from.into(), CLIENT_PORT))?;
    sendto(&socket, message, SendFlags::DONTWAIT, &SocketAddrV4::new(to.into(), SERVER_PORT))?;
    Ok(socket)
}
