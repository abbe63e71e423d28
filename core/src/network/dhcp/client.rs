//! One interface's lease: what a client says when, from the first question to the end of the lease (RFC 2131, 4.4).
//!
//! Time is an argument, in milliseconds. Nothing here sends or receives: [`Client::handle_packet`],
//! [`Client::handle_arp`] and [`Client::handle_time`] take what has happened, [`Client::poll_send`] and
//! [`Client::poll_event`] say what there is to do, and [`Client::next_at`] when to come back.
//!
//! The first offer is taken. An address is in use at once and its owner is asked for meanwhile; if somebody else has
//! it, it is given back and declined (RFC 5227). Bytes of any kind end in nothing, or in what the server said.
//!
//! # Invariants
//! A lease is used no longer than its server said, and never after its server has taken it back.

use heapless::Vec;

use super::message::{FOR_EVER, MESSAGE_MAX, REQUEST_MAX, Reply, ReplyKind, Request, RequestKind};
use super::{Octets, frame};
use crate::network::model::Interface;
use crate::wire::net::Mac;

/// The pause after the first question; each later one is twice as long, and up to a second more or less (RFC 2131,
/// 4.1).
const PAUSE_MS: u64 = 4_000;
/// Doublings of the pause: up to 64 seconds.
const DOUBLINGS_MAX: u32 = 4;
/// How often a server is asked for what it offered, or for what it gave before, until the client looks for another.
const TRIES_MAX: u32 = 3;
/// The least pause while a lease is renewed (RFC 2131, 4.4.5).
const RENEWAL_PAUSE_MS: u64 = 60_000;
/// The least time from an answer to when the lease is renewed, whatever the server says: else each answer would lead to
/// the next question.
const RENEWAL_LEAST_MS: u64 = 500;
/// How long nothing is asked after an address was declined (RFC 2131, 3.1, 5).
const DECLINED_PAUSE_MS: u64 = 10_000;
/// The first pause after a server said no: again and again it would be a storm.
const NAK_PAUSE_MS: u64 = 1_000;
/// How often the owner of an address is asked for, and the pauses between (RFC 5227, 1.1: PROBE_NUM, PROBE_MIN to
/// PROBE_MAX). After a last pause for an answer (ANNOUNCE_WAIT, ANNOUNCE_INTERVAL) everybody is told whose it is now,
/// who may remember another: ANNOUNCE_NUM times.
const PROBES: u8 = 3;
const PROBE_PAUSE_MS: u64 = 1_000;
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCEMENT_PAUSE_MS: u64 = 2_000;

/// What a client is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is going to ask who has an address.
    Init,
    /// It has asked.
    Selecting,
    /// It has asked for what a server offered.
    Requesting,
    /// It has asked whether the address it had is still its.
    Rebooting,
    /// It has an address.
    Bound,
    /// It has asked the server for more time.
    Renewing,
    /// It has asked any server for more time.
    Rebinding,
    /// It is not to be.
    Stopped,
}

/// What has become of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is one, or it says something else than before.
    Bound,
    /// It says the same, for a longer time.
    Renewed,
    /// There is none any more, and why.
    Lost(Loss),
}

/// Why there is no lease any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// No server gave it more time.
    Expired,
    /// A server took it back.
    Refused,
    /// Somebody else has the address.
    Taken,
}

/// Something to be sent.
#[derive(Debug)]
pub enum Send {
    /// An IPv4 packet to everybody on the link.
    Broadcast(Vec<u8, { frame::PACKET_MAX }>),
    /// A message over UDP, from port 68 of an address of ours to port 67 of a server.
    Unicast {
        /// Ours.
        from: Octets,
        /// The server's.
        to: Octets,
        /// The message.
        message: Vec<u8, REQUEST_MAX>,
    },
    /// An ARP packet to everybody on the link.
    Arp([u8; 28]),
}

/// An address that may be used.
#[derive(Debug)]
struct Lease {
    address: Octets,
    server: Option<Octets>,
    /// Since when it counts.
    since: u64,
    /// When its server is asked for more, when any server is, and when it ends; never, if there is no time.
    times: Option<[u64; 3]>,
    /// The server's message.
    said: Vec<u8, MESSAGE_MAX>,
}

impl Lease {
    /// What a server's message gives that counts since this moment.
    fn of(reply: &Reply<'_>, said: &[u8], since: u64, now: u64) -> Option<Lease> {
        let times = reply.times();
        let at = |seconds: u32| since.saturating_add(u64::from(seconds) * 1000);
        Some(Lease {
            address: reply.address()?,
            server: reply.server(),
            since,
            times: (times.end != FOR_EVER).then(|| {
                let (end, least) = (at(times.end), now + RENEWAL_LEAST_MS);
                [at(times.renewal).max(least).min(end), at(times.rebinding), end]
            }),
            said: Vec::from_slice(said).ok()?,
        })
    }
}

/// An interface's client.
#[derive(Debug)]
pub struct Client {
    mac: Mac,
    state: State,
    /// Numbers that others cannot guess (xorshift64*).
    random: u64,
    exchange: u32,
    /// When it began to look for an address, or for more time.
    began: u64,
    /// When it asked what an answer is to: from then on times count.
    asked: u64,
    tries: u32,
    refusals: u32,
    /// When the state goes on by itself.
    at: Option<u64>,
    /// The address that is asked for, and whose offer it is.
    offer: Option<(Octets, Option<Octets>)>,
    lease: Option<Lease>,
    to_send: Option<RequestKind>,
    event: Option<Event>,
    /// How many probes and, behind them, announcements are left, and when the next one is.
    probes: u8,
    probe_at: Option<u64>,
    to_probe: bool,
}

impl Client {
    /// One that begins now; `random` are bits that others cannot guess. With a lease of a client before it, as
    /// [`Client::lease`] says it, it goes on: the address is in use, and it asks at once whether it is still its.
    pub fn new(mac: Mac, random: u64, before: Option<(u64, &[u8])>, now: u64) -> Client {
        let mut client = Client {
            mac,
            state: State::Init,
            random: random | 1,
            exchange: 0,
            began: now,
            asked: now,
            tries: 0,
            refusals: 0,
            at: Some(now),
            offer: None,
            lease: None,
            to_send: None,
            event: None,
            probes: 0,
            probe_at: None,
            to_probe: false,
        };
        if let Some((since, said)) = before {
            client.take_up(since, said, now);
        }
        client
    }

    /// Whose it is.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// What it is about.
    pub fn state(&self) -> State {
        self.state
    }

    /// The address that may be used.
    pub fn address(&self) -> Option<Octets> {
        self.lease.as_ref().map(|lease| lease.address)
    }

    /// What the server said when it gave the address.
    pub fn reply(&self) -> Option<Reply<'_>> {
        read(&self.lease.as_ref()?.said, self.mac)
    }

    /// What another client needs to go on with the lease: since when it counts, and the server's message.
    pub fn lease(&self) -> Option<(u64, &[u8])> {
        self.lease.as_ref().map(|lease| (lease.since, &lease.said[..]))
    }

    /// Gives an interface what the lease says, or nothing. Returns whether it had room for all of it.
    pub fn configure(&self, interface: &mut Interface) -> bool {
        match self.reply() {
            Some(reply) => reply.configure(interface),
            None => {
                let Interface { mac, vif, .. } = *interface;
                *interface = Interface { vif, left_alone: [false, true], ..Interface::new(mac) };
                true
            }
        }
    }

    /// Whether packets are of interest to it.
    pub fn listens(&self) -> bool {
        !matches!(self.state, State::Init | State::Bound | State::Stopped) || self.probes()
    }

    /// Whether packets of ARP are.
    pub fn probes(&self) -> bool {
        self.probe_at.is_some()
    }

    /// When to call [`Client::handle_time`] at the latest.
    pub fn next_at(&self) -> Option<u64> {
        [self.at, self.probe_at].into_iter().flatten().min()
    }

    /// Ends it, as somebody else says what the interface has.
    pub fn stop(&mut self) {
        (self.state, self.at, self.probe_at, self.lease) = (State::Stopped, None, None, None);
        (self.to_send, self.to_probe, self.event) = (None, false, None);
    }

    /// Has it ask at once whether its address is still its: the guest may be somewhere else now.
    pub fn ask_again(&mut self, now: u64) {
        match (self.state, self.address()) {
            (State::Stopped, _) => {}
            (_, Some(address)) => self.reboot(address, now),
            (_, None) => self.begin(now),
        }
    }

    /// Time has passed.
    #[inline(never)]
    pub fn handle_time(&mut self, now: u64) {
        if self.probe_at.is_some_and(|at| at <= now) {
            self.probe(now);
        }
        if self.at.is_none_or(|at| now < at) {
            return;
        }
        match self.state {
            State::Init => self.discover(now),
            State::Selecting => self.ask(RequestKind::Discover, now),
            State::Requesting if self.tries < TRIES_MAX => self.ask(RequestKind::Request, now),
            State::Rebooting if self.tries < TRIES_MAX && self.end().is_none_or(|end| now < end) => {
                self.ask(RequestKind::Request, now)
            }
            // Nobody said no: what is in use stays in use for its time (RFC 2131, 3.2, 3).
            State::Rebooting | State::Bound | State::Renewing | State::Rebinding if self.lease.is_some() => {
                self.go_on_with_lease(now);
            }
            State::Requesting | State::Rebooting | State::Bound | State::Renewing | State::Rebinding => self.begin(now),
            State::Stopped => self.at = None,
        }
    }

    /// A packet of IPv4 has come.
    #[inline(never)]
    pub fn handle_packet(&mut self, packet: &[u8], now: u64) {
        let Some(message) = frame::message_in(packet) else { return };
        let Some(reply) = Reply::of(message, self.mac, self.exchange) else { return };
        if !self.is_from_chosen(&reply) {
            return;
        }
        match (self.state, reply.kind) {
            (State::Selecting, ReplyKind::Offer) => {
                if let (Some(address), Some(server)) = (reply.address(), reply.server()) {
                    self.offer = Some((address, Some(server)));
                    (self.state, self.tries) = (State::Requesting, 0);
                    self.ask(RequestKind::Request, now);
                }
            }
            (State::Requesting | State::Rebooting | State::Renewing | State::Rebinding, ReplyKind::Ack) => {
                let wanted = self.offer.map(|(address, _)| address).or(self.address());
                if reply.address() == wanted {
                    self.bind(reply, message, now);
                }
            }
            (State::Requesting | State::Rebooting | State::Renewing | State::Rebinding, ReplyKind::Nak) => {
                self.refused(now);
            }
            _ => {}
        }
    }

    /// A packet of ARP has come.
    pub fn handle_arp(&mut self, packet: &[u8], now: u64) {
        let Some(address) = self.address().filter(|_| self.probes()) else { return };
        if frame::disputes(packet, self.mac, address) {
            let server = self.lease.as_ref().and_then(|lease| lease.server);
            self.lose(Loss::Taken);
            // Said before anything else is: with the number of the exchange that gave the address.
            (self.offer, self.to_send) = (Some((address, server)), Some(RequestKind::Decline));
            (self.state, self.at) = (State::Init, Some(now + DECLINED_PAUSE_MS));
        }
    }

    /// Something to be sent, if there is anything; `name` is the guest's.
    #[inline(never)]
    pub fn poll_send(&mut self, name: &str, now: u64) -> Option<Send> {
        if core::mem::take(&mut self.to_probe) {
            let say = if self.probes < ANNOUNCEMENTS { frame::announcement } else { frame::probe };
            return Some(Send::Arp(say(self.mac, self.address()?)));
        }
        let kind = self.to_send.take()?;
        let used = self.address().filter(|_| matches!(self.state, State::Renewing | State::Rebinding));
        // There is none while any address would do, or one is in use.
        let (wanted, server) = self.offer.map_or((None, None), |(address, server)| (Some(address), server));
        let seconds = (now.saturating_sub(self.began) / 1000).min(u64::from(u16::MAX)) as u16;
        let message =
            Request { kind, exchange: self.exchange, seconds, mac: self.mac, used, wanted, server, name }.write();
        if kind == RequestKind::Decline {
            self.offer = None;
        }
        let its_server = self.lease.as_ref().and_then(|lease| lease.server);
        if let (State::Renewing, Some(from), Some(to)) = (self.state, used, its_server) {
            return Some(Send::Unicast { from, to, message });
        }
        Some(Send::Broadcast(frame::broadcast(used.unwrap_or_default(), &message)))
    }

    /// What has become of the lease, once.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    fn next_random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    /// Begins to look for an address.
    fn begin(&mut self, now: u64) {
        (self.state, self.at, self.offer, self.began) = (State::Init, Some(now), None, now);
    }

    fn discover(&mut self, now: u64) {
        self.exchange = self.next_random() as u32;
        (self.state, self.tries, self.offer) = (State::Selecting, 0, None);
        self.ask(RequestKind::Discover, now);
    }

    /// Goes on with a lease. One of a time that is yet to come is none.
    fn take_up(&mut self, since: u64, said: &[u8], now: u64) {
        let reply = read(said, self.mac).filter(|_| since <= now);
        let Some(lease) = reply.and_then(|reply| Lease::of(&reply, said, since, now)) else { return };
        let address = lease.address;
        (self.lease, self.event) = (Some(lease), Some(Event::Bound));
        // If it is over, that is what time says first.
        self.reboot(address, now);
    }

    /// Asks for an address that it had.
    fn reboot(&mut self, address: Octets, now: u64) {
        self.exchange = self.next_random() as u32;
        (self.offer, self.began) = (Some((address, None)), now);
        (self.state, self.tries) = (State::Rebooting, 0);
        self.ask(RequestKind::Request, now);
    }

    /// Asks, and asks again after a while if nobody answers.
    fn ask(&mut self, kind: RequestKind, now: u64) {
        let pause = PAUSE_MS << self.tries.min(DOUBLINGS_MAX);
        let jitter = self.next_random() % 2001;
        // A late answer may be to the first question.
        if self.tries == 0 {
            self.asked = now;
        }
        self.tries = self.tries.saturating_add(1);
        // What is in use meanwhile is no longer in use than it may be.
        let again = now + pause - 1000 + jitter;
        (self.to_send, self.at) = (Some(kind), Some(self.end().map_or(again, |end| again.min(end))));
    }

    /// Whether a reply is from the server whose offer was taken, or from any if none was.
    fn is_from_chosen(&self, reply: &Reply<'_>) -> bool {
        match self.offer {
            Some((_, Some(server))) => reply.server() == Some(server),
            _ => true,
        }
    }

    #[inline(never)]
    fn bind(&mut self, reply: Reply<'_>, message: &[u8], now: u64) {
        // From when it was asked for: the server counts from later on.
        let Some(lease) = Lease::of(&reply, message, self.asked, now) else { return };
        let address = lease.address;
        let is_new = self.address() != Some(address);
        let is_elsewhere = self.state == State::Rebooting;
        let says_more = is_new || self.lease.as_ref().is_none_or(|before| !says_the_same(&before.said, message));
        self.at = lease.times.map(|[renewal, ..]| renewal);
        (self.state, self.offer, self.lease, self.refusals) = (State::Bound, None, Some(lease), 0);
        // Where it was asked again, the link may have lost its routes meanwhile.
        self.event = Some(if says_more || is_elsewhere { Event::Bound } else { Event::Renewed });
        if is_new || is_elsewhere {
            self.probes = PROBES + ANNOUNCEMENTS;
            self.probe(now);
        }
    }

    /// A server said no.
    fn refused(&mut self, now: u64) {
        self.lose(Loss::Refused);
        self.begin(now);
        self.at = Some(now + (NAK_PAUSE_MS << self.refusals.min(6)));
        self.refusals = self.refusals.saturating_add(1);
    }

    fn lose(&mut self, why: Loss) {
        (self.probe_at, self.to_probe) = (None, false);
        if self.lease.take().is_some() {
            self.event = Some(Event::Lost(why));
        }
    }

    /// When the lease ends, if there is one that does.
    fn end(&self) -> Option<u64> {
        self.lease.as_ref()?.times.map(|[_, _, end]| end)
    }

    /// Has a lease, and asks for more time if it is time for that.
    fn go_on_with_lease(&mut self, now: u64) {
        self.offer = None;
        let Some([renewal, rebinding, end]) = self.lease.as_ref().and_then(|lease| lease.times) else {
            (self.state, self.at) = (State::Bound, None);
            return;
        };
        if end <= now {
            self.lose(Loss::Expired);
            self.begin(now);
            return self.discover(now);
        }
        if now < renewal {
            (self.state, self.at) = (State::Bound, Some(renewal));
            return;
        }
        let (state, until) = if now < rebinding { (State::Renewing, rebinding) } else { (State::Rebinding, end) };
        if self.state == State::Bound || self.state == State::Rebooting {
            self.began = now;
        }
        // A number for each question, so that the time of an answer counts from its own.
        self.exchange = self.next_random() as u32;
        // Half of the time that is left, but no storm (RFC 2131, 4.4.5).
        let again = now + ((until - now) / 2).max(RENEWAL_PAUSE_MS);
        (self.state, self.to_send, self.asked) = (state, Some(RequestKind::Request), now);
        self.at = Some(again.min(until));
    }

    /// Asks whose the address is or, where nobody else has said that it is his, says whose.
    fn probe(&mut self, now: u64) {
        self.probes = self.probes.saturating_sub(1);
        self.to_probe = true;
        let jitter = self.next_random() % PROBE_PAUSE_MS;
        self.probe_at = match self.probes {
            0 => None,
            1..=ANNOUNCEMENTS => Some(now + ANNOUNCEMENT_PAUSE_MS),
            _ => Some(now + PROBE_PAUSE_MS + jitter),
        };
    }
}

/// A message of whichever exchange.
fn read(said: &[u8], mac: Mac) -> Option<Reply<'_>> {
    Reply::of(said, mac, u32::from_be_bytes(said.get(4..8)?.try_into().ok()?))
}

/// Whether two messages about an address say the same: in all that follows the fields of their way.
fn says_the_same(before: &[u8], now: &[u8]) -> bool {
    before.get(44..) == now.get(44..)
}

#[cfg(test)]
#[path = "client_tests.rs"]
pub(super) mod tests;
