//! The service: requests below `data/host` are answered below `data/guest`.
//!
//! * Every request gets one response. Both change in one transaction, so neither is ever lost: an agent that is killed in
//!   between serves the request again, at most once more.
//! * Requests are served in the order in which xenstored lists them, in as many parts as the list takes. (oxenstored
//!   cannot list more than a packet: there, a burst is served in the order in which it came.)
//! * No host removes responses, so the agent does, the oldest first; see `responses.rs` for how long they stay.
//! * A request that cannot be removed is served once and then left alone.
//!
//! The order to call: [`Service::start`] on a fresh connection, then [`Service::serve_one`] until it is
//! [`Progress::Idle`] or [`Progress::Waiting`], then [`Service::take_events`], and wait when there are none.

use core::fmt;

use crate::commands::reset_network::resetnetwork;
use crate::commands::response::RESPONSE_MAX;
use crate::commands::static_ip;
use crate::commands::{Code, drop_in};
use crate::engine::dispatch::{Agent, Answer};
use crate::engine::responses::{GUEST, Responses, Room};
use crate::network::Target;
use crate::platform::{Clock, Files, Level, Log, Platform};
use crate::report::publisher::LIFE_TOKEN;
use crate::wire::text::Bounded;
use crate::xenstore::path::RELATIVE_MAX;
use crate::xenstore::{Client, Error, Event, Joined, Listing, Path, Refusal, Transaction, Transport, unless_refused};

/// Where the host puts requests.
pub const HOST: Path<'static> = Path::literal("data/host");
/// The token of our watch.
const TOKEN: &str = "nanova";

/// Room for names: a packet's worth.
const NAMES_MAX: usize = 4096;
/// How many requests that cannot be removed are remembered.
const STUCK_MAX: usize = 64;

/// Fingerprints of requests that stay though they were served, or cannot be.
type Stuck = heapless::Deque<u64, STUCK_MAX>;

/// What a call of [`Service::serve_one`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// A request was answered; there may be more.
    Served,
    /// There is nothing left to serve until an event comes.
    Idle,
    /// A response waits for room in xenstore: call again in so many seconds.
    Waiting(u64),
}

/// What became of a response.
enum Outcome {
    /// It is there and its request is gone.
    Answered,
    /// It may be there, and its request stays in the directory.
    Stays,
    /// There is no room for it yet.
    Later(u64),
}

/// A request that was run and its response, until both are changed in xenstore.
struct Pending {
    name: heapless::String<RELATIVE_MAX>,
    /// The round that it was found in.
    round: u32,
    response: heapless::Vec<u8, RESPONSE_MAX>,
}

/// The names under service.
///
/// # Invariants
/// `names[next..listing.len]` are names that were listed and not looked at; `offset` bytes of the directory's list belong
/// to requests that stay.
struct Round {
    names: [u8; NAMES_MAX],
    listing: Listing,
    next: usize,
    offset: usize,
    over: bool,
    /// Which round this is, modulo 2^32.
    number: u32,
}

impl Round {
    const EMPTY: Listing = Listing { len: 0, complete: false };

    fn restart(&mut self) {
        self.number = self.number.wrapping_add(1);
        (self.listing, self.next, self.offset, self.over) = (Self::EMPTY, 0, 0, false);
    }

    /// Has this name be all there is.
    fn restart_with(&mut self, name: &str) {
        let len = name.len() + 1;
        self.restart();
        let Some(room) = self.names.get_mut(..len) else { return };
        room[..len - 1].copy_from_slice(name.as_bytes());
        room[len - 1] = 0;
        self.listing = Listing { len, complete: true };
    }

    fn next_name(&mut self) -> Option<(usize, usize)> {
        let rest = self.names.get(self.next..self.listing.len)?;
        let len = rest.iter().position(|byte| *byte == 0)?;
        let start = self.next;
        self.next += len + 1;
        Some((start, start + len))
    }
}

/// The service.
pub struct Service {
    agent: Agent,
    /// What `resetnetwork` changes.
    network: Target,
    pending: Option<Pending>,
    round: Round,
    responses: Responses,
    stuck: Stuck,
    /// Whether a list longer than a packet can be fetched, as far as is known.
    lists_in_parts: bool,
    /// Whether [`Service::look_around`] is still to be done on this connection.
    new_here: bool,
    /// What happened beside requests.
    pub news: News,
    /// How the host's last `resetnetwork` ended.
    state: State,
}

/// What events told that is not about requests. Whoever acts on it takes it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The guest may have woken up elsewhere.
    pub life: bool,
    /// XAPI has set addresses.
    pub addresses: bool,
}

/// What `data/nanova/state` says: OpenStack's "is the guest ready?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Requests that waited are not served yet.
    Starting,
    /// They are, and the network is as the host wants it.
    Ready,
    /// The host's last `resetnetwork` failed, with this message.
    Failed(Bounded<128>),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Starting => f.write_str("starting"),
            State::Ready => f.write_str("ready"),
            State::Failed(why) => write!(f, "failed: {}", why.as_str()),
        }
    }
}

const STATE: Path<'static> = Path::literal("data/nanova/state");
const VERSION: Path<'static> = Path::literal("data/nanova/version");

impl News {
    fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Fired { token: LIFE_TOKEN, .. } => self.life = true,
            Event::Fired { token: static_ip::TOKEN, path } => self.addresses |= static_ip::is_news(path),
            Event::Fired { .. } => {}
            Event::Overflow => *self = News { life: true, addresses: true },
        }
    }
}

impl Service {
    /// A service that has served nothing; `network` is what `resetnetwork` changes.
    pub const fn new(network: Target) -> Service {
        let round = Round { names: [0; NAMES_MAX], listing: Round::EMPTY, next: 0, offset: 0, over: false, number: 0 };
        Service {
            agent: Agent::new(),
            network,
            pending: None,
            round,
            responses: Responses::new(),
            stuck: heapless::Deque::new(),
            lists_in_parts: true,
            new_here: true,
            news: News { life: false, addresses: false },
            state: State::Ready,
        }
    }

    /// Begins on a fresh connection: watches for requests.
    pub fn start<T: Transport, P: Platform>(&mut self, client: &mut Client<T>, platform: &mut P) -> Result<(), Error> {
        client.watch(HOST, TOKEN)?;
        self.agent.tidy(platform);
        self.new_here = true;
        self.round.restart();
        Ok(())
    }

    /// What can wait until the requests that wait are answered: learns what this xenstored can do, and takes over the
    /// responses that an earlier agent left.
    fn look_around<T: Transport, P: Clock>(&mut self, client: &mut Client<T>, platform: &mut P) -> Result<(), Error> {
        self.new_here = false;
        self.lists_in_parts = client.lists_in_parts(HOST)?;
        self.responses.adopt(client, &mut self.round.names, platform.uptime())?;
        self.round.restart();
        Ok(())
    }

    /// Takes note of the events that came. Returns whether there were any; then [`Service::serve_one`] is to be called.
    ///
    /// An event says to look again, and one look is enough for many. But where a long list cannot be fetched, the events'
    /// paths are all that names the requests of a burst: they are followed one by one, and the list comes last.
    pub fn take_events<T: Transport>(&mut self, client: &mut Client<T>) -> Result<bool, Error> {
        let mut any = false;
        while let Some(event) = client.next_event()? {
            self.news.take(&event);
            if let Event::Fired { token, .. } = event
                && token != TOKEN
            {
                continue;
            }
            any = true;
            if let (false, Some(name)) = (self.lists_in_parts, request_name(event)) {
                self.round.restart_with(name);
                return Ok(true);
            }
        }
        if any {
            self.round.restart();
        }
        Ok(any)
    }

    /// Answers the next request.
    pub fn serve_one<T: Transport, P: Platform>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
    ) -> Result<Progress, Error> {
        loop {
            if let Some(pending) = self.pending.take() {
                match self.answer(&pending, client, platform) {
                    Ok(Outcome::Answered) => return Ok(Progress::Served),
                    Ok(Outcome::Stays) => {
                        // In a later round it is passed over as one that is known.
                        if pending.round == self.round.number {
                            self.round.offset += pending.name.len() + 1;
                        }
                        remember(&mut self.stuck, &pending.name);
                    }
                    Ok(Outcome::Later(seconds)) => {
                        self.pending = Some(pending);
                        return Ok(Progress::Waiting(seconds));
                    }
                    // The command has been run: on the next connection only its response is still to be written.
                    Err(error) => {
                        self.pending = Some(pending);
                        return Err(error);
                    }
                }
            } else if self.round.over && self.new_here {
                self.look_around(client, platform)?;
            } else if self.round.over {
                self.responses.settle();
                return Ok(Progress::Idle);
            } else if let Some((start, end)) = self.round.next_name() {
                self.run(start, end, client, platform)?;
            } else {
                self.list_more(client)?;
            }
        }
    }

    /// Whether a new agent waits to be executed, and the response that says so is written.
    pub fn is_updated(&self) -> bool {
        self.agent.is_updated() && self.pending.is_none()
    }

    /// The caller has taken note of the update, and tries to execute it.
    pub fn forget_update(&mut self) {
        self.agent.forget_update();
    }

    /// What the guest is, now that nothing waits.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Tells the host what the guest is; where it may not be told, nothing happens.
    #[inline(never)]
    pub fn tell<T: Transport>(client: &mut Client<T>, state: &State) -> Result<(), Error> {
        unless_refused(client.write(Transaction::NONE, VERSION, env!("CARGO_PKG_VERSION").as_bytes()))?;
        let text = Bounded::<160>::of(format_args!("{state}"));
        unless_refused(client.write(Transaction::NONE, STATE, text.as_str().as_bytes())).map(|_| ())
    }

    /// Whether the host may have addresses set: it is the same command under another name.
    pub fn may_set_addresses<P: Files + Log>(platform: &mut P) -> bool {
        !drop_in::is_disabled(platform, "resetnetwork")
    }

    /// Applies the addresses that XAPI has set, and answers.
    pub fn set_addresses<T: Transport, P: Platform>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
    ) -> Result<(), Error> {
        self.news.addresses = false;
        if !Service::may_set_addresses(platform) {
            return Ok(());
        }
        if let Some(response) = static_ip::apply(client, platform, self.network)? {
            self.agent.completed("static-ip-setting", &response, platform);
        }
        Ok(())
    }

    fn list_more<T: Transport>(&mut self, client: &mut Client<T>) -> Result<(), Error> {
        let round = &mut self.round;
        if round.listing.complete {
            round.over = true;
            return Ok(());
        }
        round.listing = match client.list(Transaction::NONE, HOST, round.offset, &mut round.names) {
            // Not there; or too much of it for this xenstored to be listed, until events name the requests or the host
            // takes some back.
            Err(error) if error.is(Refusal::NOENT) => Listing { len: 0, complete: true },
            Err(error) if error.is(Refusal::NOSYS) => {
                self.lists_in_parts = false;
                Listing { len: 0, complete: true }
            }
            listing => listing?,
        };
        round.next = 0;
        round.over = round.listing.len == 0;
        Ok(())
    }

    /// Reads a request and runs it. What cannot be read stays, and is left alone from then on.
    fn run<T: Transport, P: Platform>(
        &mut self,
        start: usize,
        end: usize,
        client: &mut Client<T>,
        platform: &mut P,
    ) -> Result<(), Error> {
        let name = core::str::from_utf8(&self.round.names[start..end]).unwrap_or_default();
        let request = Joined::new(HOST, name);
        let (Ok(request), false) = (request, self.stuck.iter().any(|stuck| *stuck == fingerprint(name))) else {
            self.round.offset += end - start + 1;
            return Ok(());
        };
        match client.read(Transaction::NONE, request.as_path()) {
            Ok(value) => {
                let answer = self.agent.handle(value, platform);
                client.wipe();
                let response = match answer {
                    Answer::Ready(response) => response,
                    Answer::NeedsNetwork => {
                        let response = resetnetwork(client, platform, self.network)?;
                        self.state = match response.code {
                            Code::Done => State::Ready,
                            _ => State::Failed(Bounded::of(format_args!("{}", response.message.as_str()))),
                        };
                        self.agent.completed("resetnetwork", &response, platform);
                        response
                    }
                };
                let mut room = [0; RESPONSE_MAX];
                let response = heapless::Vec::from_slice(response.to_json(&mut room)).unwrap_or_default();
                let round = self.round.number;
                self.pending = name.try_into().ok().map(|name| Pending { name, round, response });
                Ok(())
            }
            // The host has given up and removed it.
            Err(error) if error.is(Refusal::NOENT) => Ok(()),
            Err(Error::Refused(refusal)) => {
                platform.log(Level::Warn, format_args!("request {name} cannot be read: {refusal}"));
                self.round.offset += end - start + 1;
                remember(&mut self.stuck, name);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Has a response take its request's place, and makes room for it if need be.
    fn answer<T: Transport, P: Platform>(
        &mut self,
        pending: &Pending,
        client: &mut Client<T>,
        platform: &mut P,
    ) -> Result<Outcome, Error> {
        let (name, now) = (&*pending.name, platform.uptime());
        let mut room = self.responses.make_room(client, name, now)?;
        let mut emptied = false;
        loop {
            let error = match room {
                Room::Later(seconds) => return Ok(Outcome::Later(seconds)),
                Room::Made(_) | Room::Never => match commit(client, pending) {
                    Ok(()) => {
                        self.responses.add(name, now);
                        return Ok(Outcome::Answered);
                    }
                    Err(error) => error,
                },
            };
            match (error, room) {
                (Error::Refused(refusal), _) if refusal.is_quota() && self.new_here => {
                    self.look_around(client, platform)?;
                    room = self.responses.make_room(client, name, now)?;
                }
                (Error::Lost(lost), _) => return Err(Error::Lost(lost)),
                (Error::Refused(refusal), Room::Made(_)) if refusal.is_quota() => {
                    platform.log(Level::Debug, format_args!("no room for responses ({refusal}): removing an old one"));
                    room = self.responses.remove_oldest(client, name, now)?;
                }
                // Nothing is known that could go, but it is responses that take the room, or somebody else does: all of them
                // are older than this one.
                (Error::Refused(refusal), Room::Never) if refusal.is_quota() && !emptied => {
                    platform.log(Level::Warn, format_args!("no room for responses ({refusal}): removing all old ones"));
                    unless_refused(client.rm(Transaction::NONE, GUEST))?;
                    emptied = true;
                }
                (error, _) => {
                    platform.log(Level::Error, format_args!("request {name} cannot be answered as it should: {error}"));
                    return commit_in_parts(client, pending);
                }
            }
        }
    }
}

/// Removes the request and writes its response, both or neither.
fn commit<T: Transport>(client: &mut Client<T>, pending: &Pending) -> Result<(), Error> {
    let request = Joined::new(HOST, &pending.name).map_err(|_| Error::TooLong)?;
    let response = Joined::new(GUEST, &pending.name).map_err(|_| Error::TooLong)?;
    client.transaction(|client, transaction| {
        match client.rm(transaction, request.as_path()) {
            // The host has given up and removed it, with its directory.
            Err(error) if error.is(Refusal::NOENT) => {}
            removed => removed?,
        }
        match client.write(transaction, response.as_path(), &pending.response) {
            // Writing makes what is missing. What is not there is the transaction: the guest was suspended since it began.
            Err(error) if error.is(Refusal::NOENT) => Err(Error::Refused(Refusal::AGAIN)),
            written => written,
        }
    })
}

/// What can still be done when the transaction is refused: each half by itself, and never the command again.
fn commit_in_parts<T: Transport>(client: &mut Client<T>, pending: &Pending) -> Result<Outcome, Error> {
    if let Ok(response) = Joined::new(GUEST, &pending.name) {
        unless_refused(client.write(Transaction::NONE, response.as_path(), &pending.response))?;
    }
    let removed = match Joined::new(HOST, &pending.name) {
        Ok(request) => unless_refused(client.rm(Transaction::NONE, request.as_path()))?.is_some(),
        Err(_) => false,
    };
    Ok(if removed { Outcome::Answered } else { Outcome::Stays })
}

/// The name of the request that an event speaks of.
fn request_name(event: Event<'_>) -> Option<&str> {
    match event {
        Event::Fired { path, .. } => {
            path.strip_prefix(HOST.as_str())?.strip_prefix('/').filter(|name| !name.contains('/'))
        }
        Event::Overflow => None,
    }
}

fn remember(stuck: &mut Stuck, name: &str) {
    if stuck.is_full() {
        stuck.pop_front();
    }
    let _ = stuck.push_back(fingerprint(name));
}

/// FNV-1a, to recognise a name again. Two names with one fingerprint cost one of them its answer, and only in a directory
/// where the host has made requests that its guest may not remove.
fn fingerprint(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
