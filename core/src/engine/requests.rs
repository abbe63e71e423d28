//! The requests: those below `data/host` are answered below `data/guest`.
//!
//! * Every request gets one response. Both change in one transaction, so neither is ever lost: an agent that is killed
//!   in between serves the request again, at most once more.
//! * Requests are served in the order in which xenstored lists them, in as many parts as the list takes. (oxenstored
//!   cannot list more than a packet: there, a burst is served in the order in which it came.)
//! * No host removes responses, so the agent does, the oldest first; see `responses.rs` for how long they stay.
//! * A request that cannot be removed is served once and then left alone.
//!
//! The order to call: [`Requests::start`] on a fresh connection, then [`Requests::serve_one`] until it is
//! [`Progress::Idle`] or [`Progress::Waiting`]; each event goes to [`Requests::take_event`], and after the last of
//! several [`Requests::look_again`]. Time is an argument, in milliseconds since any fixed moment.

use crate::account::shadow::{PASSWD, SHADOW};
use crate::commands::Code;
#[cfg(feature = "xapi")]
use crate::commands::Response;
use crate::commands::response::RESPONSE_MAX;
use crate::engine::dispatch::{Dispatched, Dispatcher, log_completed};
use crate::engine::progress::{EventMeaning, Progress, State};
use crate::engine::responses::{GUEST, Responses, Room};
use crate::files::transaction::FileTransaction;
use crate::network::Target;
use crate::platform::{GuestPath, Level, Log, Platform};
use crate::wire::text::Bounded;
use crate::xenstore::path::RELATIVE_MAX;
use crate::xenstore::{Client, Error, Event, Joined, Listing, Path, Refusal, Transaction, Transport, unless_refused};

/// A file in each directory where files are staged: the accounts' and the network's.
fn places() -> impl Iterator<Item = GuestPath<'static>> {
    let accounts = core::iter::once(SHADOW);
    #[cfg(feature = "managers")]
    return accounts.chain(crate::network::managers::registry::places());
    #[cfg(not(feature = "managers"))]
    accounts
}

/// Where the host puts requests.
pub const HOST: Path<'static> = Path::literal("data/host");
/// The token of our watch.
const TOKEN: &str = "nanova";

/// Room for names: a packet's worth.
const NAMES_MAX: usize = 4096;
/// How many requests that cannot be removed are remembered.
const QUARANTINE_MAX: usize = 64;

/// Fingerprints of requests that stay though they were served, or cannot be.
type Quarantine = heapless::Deque<u64, QUARANTINE_MAX>;

/// What became of a response.
enum Delivery {
    /// It is there and its request is gone.
    Answered,
    /// It may be there, and its request stays in the directory.
    Stays,
    /// There is no room for it before this moment.
    Later(u64),
}

/// A request that was run and its response, until both are changed in xenstore.
struct Pending {
    name: heapless::String<RELATIVE_MAX>,
    /// The cursor's number when it was found.
    found_in: u32,
    json: [u8; RESPONSE_MAX],
    json_len: usize,
    /// Whether the connection was lost while it was written: it may be there.
    unsure: bool,
}

impl Pending {
    /// What is written to xenstore.
    fn response(&self) -> &[u8] {
        self.json.get(..self.json_len).unwrap_or_default()
    }
}

/// The names under service.
///
/// # Invariants
/// `names[next..listing.len]` are names that were listed and not looked at; `offset` bytes of the directory's list
/// belong to requests that stay.
struct RequestCursor {
    names: [u8; NAMES_MAX],
    listing: Listing,
    next: usize,
    offset: usize,
    over: bool,
    /// Whether an event named what is listed.
    named: bool,
    /// How often it was restarted, modulo 2^32.
    number: u32,
}

impl RequestCursor {
    const EMPTY: Listing = Listing { len: 0, complete: false };

    fn restart(&mut self) {
        self.number = self.number.wrapping_add(1);
        (self.listing, self.next, self.offset, self.over, self.named) = (Self::EMPTY, 0, 0, false, false);
    }

    /// Has this name be all there is.
    fn restart_with(&mut self, name: &str) {
        let len = name.len() + 1;
        self.restart();
        let Some(room) = self.names.get_mut(..len) else { return };
        room[..len - 1].copy_from_slice(name.as_bytes());
        room[len - 1] = 0;
        self.listing = Listing { len, complete: true };
        self.named = true;
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
pub struct Requests {
    dispatcher: Dispatcher,
    /// What `resetnetwork` changes.
    network: Target,
    pending: Option<Pending>,
    cursor: RequestCursor,
    responses: Responses,
    quarantined: Quarantine,
    /// Whether a list longer than a packet can be fetched, as far as is known.
    lists_in_parts: bool,
    /// Whether the last list was too long to be fetched: there are requests that nothing has named.
    list_owed: bool,
    /// Whether [`Requests::look_around`] is still to be done on this connection.
    new_here: bool,
    /// How the host's last `resetnetwork` ended.
    state: State,
}

const STATE: Path<'static> = Path::literal("data/nanova/state");
const VERSION: Path<'static> = Path::literal("data/nanova/version");

impl Requests {
    /// A service that has served nothing; `network` is what `resetnetwork` changes.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub const fn new(network: Target) -> Requests {
        let cursor = RequestCursor {
            names: [0; NAMES_MAX],
            listing: RequestCursor::EMPTY,
            next: 0,
            offset: 0,
            over: false,
            named: false,
            number: 0,
        };
        Requests {
            dispatcher: Dispatcher::new(),
            network,
            pending: None,
            cursor,
            responses: Responses::new(),
            quarantined: heapless::Deque::new(),
            lists_in_parts: true,
            list_owed: false,
            new_here: true,
            state: State::Ready,
        }
    }

    /// Begins on a fresh connection: watches for requests.
    pub fn start<T: Transport, P: Platform>(&mut self, client: &mut Client<T>, platform: &mut P) -> Result<(), Error> {
        client.watch(HOST, TOKEN)?;
        // What an agent that was killed has left beside files.
        FileTransaction::<P::Staged>::tidy(platform, places(), &[SHADOW, PASSWD]);
        self.new_here = true;
        self.cursor.restart();
        Ok(())
    }

    /// What can wait until the requests that wait are answered: learns what this xenstored can do, and takes over the
    /// responses that an earlier agent left.
    fn look_around<T: Transport>(&mut self, client: &mut Client<T>, now: u64) -> Result<(), Error> {
        self.new_here = false;
        self.lists_in_parts = client.lists_in_parts(HOST)?;
        self.responses.adopt(client, &mut self.cursor.names, now)?;
        self.cursor.restart();
        Ok(())
    }

    /// Takes note of an event, and says what it means for requests.
    ///
    /// An event says to look again, and one look is enough for many. But where a long list cannot be fetched, the
    /// events' paths are all that names the requests of a burst: they are followed one by one, and the list comes last.
    pub fn take_event(&mut self, event: Event<'_>) -> EventMeaning {
        if let Event::Fired { token, .. } = event
            && token != TOKEN
        {
            return EventMeaning::NoneOfOurs;
        }
        match request_name(event).filter(|_| !self.lists_in_parts) {
            Some(name) => {
                self.cursor.restart_with(name);
                EventMeaning::Named
            }
            None => EventMeaning::LookAgain,
        }
    }

    /// There may be requests that were not there before.
    pub fn look_again(&mut self) {
        self.cursor.restart();
    }

    /// Answers the next request.
    #[inline(never)]
    pub fn serve_one<T: Transport, P: Platform>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
        now: u64,
    ) -> Result<Progress, Error> {
        loop {
            if let Some(mut pending) = self.pending.take() {
                match self.answer(&pending, client, platform, now) {
                    Ok(Delivery::Answered) => return Ok(Progress::Served),
                    Ok(Delivery::Stays) => {
                        // When it is met again it is passed over as one that is known.
                        if pending.found_in == self.cursor.number {
                            self.cursor.offset += pending.name.len() + 1;
                        }
                        quarantine(&mut self.quarantined, &pending.name);
                    }
                    Ok(Delivery::Later(moment)) => {
                        self.pending = Some(pending);
                        return Ok(Progress::Waiting(moment));
                    }
                    // The command has been run: on the next connection only its response is still to be written, if it
                    // is not there already.
                    Err(error) => {
                        pending.unsure = true;
                        self.pending = Some(pending);
                        return Err(error);
                    }
                }
            } else if self.cursor.over && self.new_here {
                self.look_around(client, now)?;
            } else if self.cursor.over {
                self.responses.settle();
                return Ok(Progress::Idle);
            } else if let Some((start, end)) = self.cursor.next_name() {
                self.run(start, end, client, platform)?;
            } else {
                self.list_more(client)?;
            }
        }
    }

    /// Whether a new agent lies ready to be executed, and the response that says so is written.
    pub fn update_is_ready(&self) -> bool {
        self.dispatcher.update_is_ready() && self.pending.is_none()
    }

    /// Applies the addresses that XAPI has set, if it has; returns the answer.
    #[cfg(feature = "xapi")]
    pub fn set_addresses<T: Transport, P: Platform>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
    ) -> Result<Option<Response>, Error> {
        self.dispatcher.set_addresses(client, platform, self.network)
    }

    /// The new agent is being executed, or cannot be.
    pub fn forget_update(&mut self) {
        self.dispatcher.forget_update();
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

    fn list_more<T: Transport>(&mut self, client: &mut Client<T>) -> Result<(), Error> {
        let cursor = &mut self.cursor;
        if cursor.listing.complete {
            cursor.over = true;
            // Events name requests; but those that waited before can only be listed, once the host has taken some back.
            if core::mem::take(&mut cursor.named) && core::mem::take(&mut self.list_owed) {
                cursor.restart();
            }
            return Ok(());
        }
        cursor.listing = match client.list(Transaction::NONE, HOST, cursor.offset, &mut cursor.names) {
            // Not there; or too much of it for this xenstored to be listed, until events name the requests or the host
            // takes some back.
            Err(error) if error.is(Refusal::NOENT) => Listing { len: 0, complete: true },
            Err(error) if error.is(Refusal::NOSYS) => {
                (self.lists_in_parts, self.list_owed) = (false, true);
                Listing { len: 0, complete: true }
            }
            listing => listing?,
        };
        cursor.next = 0;
        cursor.over = cursor.listing.len == 0;
        Ok(())
    }

    /// Reads a request and runs it. What cannot be read stays, and is left alone from then on.
    #[inline(never)]
    fn run<T: Transport, P: Platform>(
        &mut self,
        start: usize,
        end: usize,
        client: &mut Client<T>,
        platform: &mut P,
    ) -> Result<(), Error> {
        let name = core::str::from_utf8(&self.cursor.names[start..end]).unwrap_or_default();
        let request = Joined::new(HOST, name);
        let (Ok(request), false) = (request, self.quarantined.iter().any(|known| *known == fingerprint(name))) else {
            self.cursor.offset += end - start + 1;
            return Ok(());
        };
        match client.read(Transaction::NONE, request.as_path()) {
            Ok(value) => {
                let step = self.dispatcher.handle::<T, P>(value, platform);
                client.wipe();
                let response = match step {
                    Dispatched::Answered(response) => response,
                    Dispatched::OverXenstore(name, run) => {
                        let response = self.dispatcher.run(run, client, platform, self.network)?;
                        // What the guest is, is how its network was last set.
                        self.state = match response.code {
                            Code::Done => State::Ready,
                            _ => State::Failed(Bounded::of(format_args!("{}", response.message.as_str()))),
                        };
                        log_completed(name, &response, platform);
                        response
                    }
                };
                // The name fits: it is a part of the request's path.
                let name = name.try_into().unwrap_or_default();
                let (found_in, json) = (self.cursor.number, [0; RESPONSE_MAX]);
                let pending = self.pending.insert(Pending { name, found_in, json, json_len: 0, unsure: false });
                pending.json_len = response.to_json(&mut pending.json).len();
                Ok(())
            }
            // The host has given up and removed it.
            Err(error) if error.is(Refusal::NOENT) => Ok(()),
            Err(Error::Refused(refusal)) => {
                platform.log(Level::Warn, format_args!("request {name} cannot be read: {refusal}"));
                self.cursor.offset += end - start + 1;
                quarantine(&mut self.quarantined, name);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Has a response take its request's place, and makes room for it if need be.
    #[inline(never)]
    fn answer<T: Transport, P: Log>(
        &mut self,
        pending: &Pending,
        client: &mut Client<T>,
        platform: &mut P,
        now: u64,
    ) -> Result<Delivery, Error> {
        let name = &*pending.name;
        if pending.unsure && is_written(client, pending)? {
            self.responses.add(name, now);
            return remove_request(client, name);
        }
        let mut room = self.responses.make_room(client, name, now)?;
        let mut emptied = false;
        loop {
            let error = match room {
                Room::Later(moment) => return Ok(Delivery::Later(moment)),
                Room::Made(_) | Room::Never => match commit(client, pending) {
                    Ok(()) => {
                        self.responses.add(name, now);
                        return Ok(Delivery::Answered);
                    }
                    Err(error) => error,
                },
            };
            match (error, room) {
                (Error::Refused(refusal), _) if refusal.is_quota() && self.new_here => {
                    self.look_around(client, now)?;
                    room = self.responses.make_room(client, name, now)?;
                }
                (Error::Lost(lost), _) => return Err(Error::Lost(lost)),
                (Error::Refused(refusal), Room::Made(_)) if refusal.is_quota() => {
                    platform.log(Level::Debug, format_args!("no room for responses ({refusal}): removing an old one"));
                    room = self.responses.remove_oldest(client, name, now)?;
                }
                // Nothing is known that could go, but it is responses that take the room, or somebody else does: all of
                // them are older than this one.
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

/// Whether a response is there: the last that was heard of it was that its connection was lost.
fn is_written<T: Transport>(client: &mut Client<T>, pending: &Pending) -> Result<bool, Error> {
    let Ok(response) = Joined::new(GUEST, &pending.name) else { return Ok(false) };
    let there = unless_refused(client.read(Transaction::NONE, response.as_path()))?;
    Ok(there.is_some_and(|there| there == pending.response()))
}

/// Removes a request whose response is there: it must not be run again.
fn remove_request<T: Transport>(client: &mut Client<T>, name: &str) -> Result<Delivery, Error> {
    let Ok(request) = Joined::new(HOST, name) else { return Ok(Delivery::Stays) };
    match client.rm(Transaction::NONE, request.as_path()) {
        Err(error) if error.is(Refusal::NOENT) => Ok(Delivery::Answered),
        Err(Error::Lost(lost)) => Err(Error::Lost(lost)),
        removed => Ok(if removed.is_ok() { Delivery::Answered } else { Delivery::Stays }),
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
        match client.write(transaction, response.as_path(), pending.response()) {
            // Writing makes what is missing. What is not there is the transaction: the guest was suspended since it
            // began.
            Err(error) if error.is(Refusal::NOENT) => Err(Error::Refused(Refusal::AGAIN)),
            written => written,
        }
    })
}

/// What can still be done when the transaction is refused: each half by itself, and never the command again.
fn commit_in_parts<T: Transport>(client: &mut Client<T>, pending: &Pending) -> Result<Delivery, Error> {
    if let Ok(response) = Joined::new(GUEST, &pending.name) {
        unless_refused(client.write(Transaction::NONE, response.as_path(), pending.response()))?;
    }
    remove_request(client, &pending.name)
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

fn quarantine(quarantined: &mut Quarantine, name: &str) {
    if quarantined.is_full() {
        quarantined.pop_front();
    }
    // There is room: it was made.
    let _ = quarantined.push_back(fingerprint(name));
}

/// FNV-1a, to recognise a name again. Two names with one fingerprint cost one of them its answer, and only in a
/// directory where the host has made requests that its guest may not remove.
fn fingerprint(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
