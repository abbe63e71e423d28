//! The requests: those below `data/host` are answered below `data/guest`.
//!
//! * Every request gets one response. The response is written first and then its request removed; what an agent that is
//!   killed in between was about is on the note (`note.rs`), so that the next one runs a command once more at the most,
//!   and does not where its response is there. Where nothing outlives the agent both change in one transaction; so they
//!   do where only the removal makes room for the response.
//! * No command is run while no response can be written: a watch on `data/guest` tells when that is over.
//! * A request that comes alone is read by the name that its event carries: two round trips, READ and WRITE, until the
//!   answer is there. Of several at once, at a start and after an overflow the list is fetched, in as many parts as it
//!   takes, and they are served in its order. (oxenstored cannot list more than a packet: there, a burst is served in
//!   the order in which it came.)
//! * No host removes responses, so the agent does, the oldest first, when there is nothing else to do; see
//!   `responses.rs` for how long they stay.
//! * A request that cannot be removed is served once and then left alone; one that cannot be read is when the host
//!   changes it.
//! * One whose command takes long is answered when its errand has ended; others are served meanwhile, but those that
//!   need an errand, too: they wait for their turn.
//!
//! The order to call: [`Requests::start`] on a fresh connection, then [`Requests::serve_one`] until it is
//! [`Progress::Idle`] or [`Progress::Waiting`]; each event goes to [`Requests::take_event`], and after the last of
//! several [`Requests::look_again`]; when nothing is left to do, [`Requests::tidy`]. Time is an argument, in
//! milliseconds since any fixed moment.

use crate::account::shadow::{PASSWD, SHADOW};
use crate::commands::response::RESPONSE_MAX;
#[cfg(feature = "sealed")]
use crate::commands::sealed;
use crate::commands::{Code, Response};
use crate::engine::delivery::{Delivery, HOST, Pending, commit_in_parts, deliver, is_written, remove_request};
use crate::engine::dispatch::{Dispatched, Dispatcher, log_completed};
use crate::engine::note::{self, Before, Place};
use crate::engine::progress::{EventMeaning, Progress, State};
use crate::engine::responses::{GUEST, Responses, Room, is_there};
use crate::files::transaction::FileTransaction;
use crate::network::Target;
use crate::platform::{GuestPath, Level, Log, Notes, Platform};
use crate::wire::text::Bounded;
#[cfg(feature = "long-commands")]
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

/// The token of our watch.
const TOKEN: &str = "nanova";
/// The token of the watch on `data/guest`.
const GUEST_TOKEN: &str = "nanova-guest";

/// Room for names: a packet's worth.
const NAMES_MAX: usize = 4096;
/// How many requests that are not to be read are remembered.
const KNOWN_MAX: usize = 64;

/// Fingerprints of requests that are not to be read.
#[cfg(feature = "long-commands")]
type Known = heapless::Vec<u64, KNOWN_MAX>;

/// A request that cannot be read.
struct Unreadable {
    /// Its name's fingerprint.
    name: u64,
    /// Whether the host has changed it since: it is to be tried again.
    changed: bool,
}

/// Requests that need errands.
#[cfg(feature = "long-commands")]
struct Long {
    /// The name of the one that an errand is under way for.
    under_way: Option<heapless::String<RELATIVE_MAX>>,
    /// Those that wait for their turn, as far as there is room to know them; others are read again and again.
    waiting: Known,
    /// Whether it is one's turn: they are to be listed.
    list_owed: bool,
}

/// What events have named since [`Requests::look_again`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    /// One request, which the cursor stands on.
    One,
    /// Several, or nothing that they name.
    Several,
}

/// The names under service.
///
/// # Invariants
/// `names[next..listing.len]` are names that were listed and not looked at; `offset` bytes of the directory's list
/// belong to requests that stay.
struct RequestCursor {
    names: heapless::Vec<u8, NAMES_MAX>,
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

    /// All the room for names. (It is made here: an array of zeros would be on the stack before it is in its place.)
    fn room(&mut self) -> &mut [u8] {
        // As much as there is.
        let _ = self.names.resize_default(NAMES_MAX);
        &mut self.names
    }

    fn restart(&mut self) {
        self.number = self.number.wrapping_add(1);
        (self.listing, self.next, self.offset, self.over, self.named) = (Self::EMPTY, 0, 0, false, false);
    }

    /// Has this name be all there is.
    fn restart_with(&mut self, name: &str) {
        self.restart();
        let Some((place, [end, ..])) = self.room().split_at_mut_checked(name.len()) else { return };
        place.copy_from_slice(name.as_bytes());
        *end = 0;
        self.listing = Listing { len: name.len() + 1, complete: true };
        self.named = true;
    }

    /// Whether this name is all there is.
    fn is_at(&self, name: &str) -> bool {
        self.names.get(..self.listing.len).and_then(|names| names.strip_suffix(b"\0")) == Some(name.as_bytes())
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
    pending: Pending,
    cursor: RequestCursor,
    heard: Heard,
    /// The fingerprint of the request that was answered last: its removal is an event, too.
    removed: u64,
    responses: Responses,
    unreadable: heapless::Vec<Unreadable, KNOWN_MAX>,
    /// Whether the note of earlier agents was read.
    note_read: bool,
    /// Whether no response can be written, so that no command is to be run; and whether that may have changed.
    mute: bool,
    guest_changed: bool,
    #[cfg(feature = "long-commands")]
    long: Long,
    /// Whether a list longer than a packet can be fetched, as far as is known.
    lists_in_parts: bool,
    /// Whether there may be requests that nothing has named: the last list was too long to be fetched, an event named
    /// none, or that of a removal stands for a new request of that name, too.
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
        Requests {
            dispatcher: Dispatcher::new(),
            network,
            pending: Pending::none(),
            cursor: RequestCursor {
                names: heapless::Vec::new(),
                listing: RequestCursor::EMPTY,
                next: 0,
                offset: 0,
                over: false,
                named: false,
                number: 0,
            },
            heard: Heard::Nothing,
            removed: 0,
            responses: Responses::new(),
            unreadable: heapless::Vec::new(),
            note_read: false,
            mute: false,
            guest_changed: false,
            #[cfg(feature = "long-commands")]
            long: Long { under_way: None, waiting: heapless::Vec::new(), list_owed: false },
            lists_in_parts: true,
            list_owed: false,
            new_here: true,
            state: State::Ready,
        }
    }

    /// Begins on a fresh connection: watches for requests.
    pub fn start<T: Transport, P: Platform>(&mut self, client: &mut Client<T>, platform: &mut P) -> Result<(), Error> {
        client.watch(HOST, TOKEN)?;
        if !core::mem::replace(&mut self.note_read, true) {
            note::begin(platform);
            #[cfg(feature = "update")]
            crate::update::tidy(platform);
        }
        self.mute = false;
        self.look_at_guest(client, platform)?;
        // What an agent that was killed has left beside files.
        FileTransaction::<P::Staged>::tidy(platform, places(), &[SHADOW, PASSWD]);
        self.new_here = true;
        self.responses.forget_room();
        self.cursor.restart();
        Ok(())
    }

    /// Looks whether responses can be written. MKDIR of a directory that there is changes nothing, and is refused to
    /// who may not write there (C xenstored's `do_mkdir`, oxenstored's `Store.mkdir`).
    fn look_at_guest<T: Transport, P: Log>(&mut self, client: &mut Client<T>, platform: &mut P) -> Result<(), Error> {
        self.guest_changed = false;
        match client.mkdir(Transaction::NONE, GUEST) {
            Err(Error::Refused(refusal)) if !refusal.is_quota() => {
                if !core::mem::replace(&mut self.mute, true) {
                    let text =
                        format_args!("data/guest cannot be written: {refusal}; no command is run until it can be");
                    platform.log(Level::Error, text);
                    unless_refused(client.watch(GUEST, GUEST_TOKEN))?;
                }
            }
            Err(Error::Lost(lost)) => return Err(Error::Lost(lost)),
            _ => {
                if core::mem::take(&mut self.mute) {
                    platform.log(Level::Info, format_args!("data/guest can be written: commands are run"));
                    unless_refused(client.unwatch(GUEST, GUEST_TOKEN))?;
                    self.cursor.restart();
                }
            }
        }
        Ok(())
    }

    /// What can wait until the requests that wait are answered: learns what this xenstored can do, and takes over the
    /// responses that an earlier agent left.
    fn look_around<T: Transport, P: Log + Notes>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
        now: u64,
    ) -> Result<(), Error> {
        self.new_here = false;
        // All that there are were looked at.
        if self.cursor.over && self.lists_in_parts {
            note::forget_answered(platform);
        }
        self.lists_in_parts = client.lists_in_parts(HOST)?;
        let in_burst = !self.cursor.over;
        self.responses.adopt(client, platform, self.cursor.room(), in_burst, now)?;
        self.cursor.restart();
        Ok(())
    }

    /// Takes note of an event, and says what it means for requests.
    ///
    /// A request that comes alone is the next one; for several a list is less work. But where a long list cannot be
    /// fetched, the events' paths are all that names the requests of a burst: they are followed one by one, and the
    /// list comes last.
    pub fn take_event(&mut self, event: Event<'_>) -> EventMeaning {
        match event {
            Event::Fired { token: TOKEN, .. } => {}
            Event::Fired { token: GUEST_TOKEN, .. } => {
                self.guest_changed = true;
                self.heard = Heard::Several;
                return EventMeaning::LookAgain;
            }
            Event::Fired { .. } => return EventMeaning::NoneOfOurs,
            Event::Overflow => self.guest_changed = true,
        }
        let Some(name) = request_name(event) else {
            self.heard = Heard::Several;
            // An event behind it that names a request comes before the list, but not in its place: where a guest wakes
            // up, its watch fires once for all that were written before it was there.
            self.list_owed = true;
            return EventMeaning::LookAgain;
        };
        let fingerprint = note::fingerprint(name);
        self.unreadable.iter_mut().filter(|known| known.name == fingerprint).for_each(|known| known.changed = true);
        if !self.lists_in_parts {
            self.cursor.restart_with(name);
            return EventMeaning::Named;
        }
        match self.heard {
            _ if fingerprint == self.removed => self.list_owed = true,
            Heard::Nothing => {
                self.cursor.restart_with(name);
                self.heard = Heard::One;
            }
            Heard::One if self.cursor.is_at(name) => {}
            _ => self.heard = Heard::Several,
        }
        EventMeaning::LookAgain
    }

    /// There may be requests that were not there before: the one that events have named, or any.
    pub fn look_again(&mut self) {
        if core::mem::replace(&mut self.heard, Heard::Nothing) != Heard::One {
            self.cursor.restart();
        }
    }

    /// Answers the next request.
    #[inline(never)]
    pub fn serve_one<T: Transport, P: Platform>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
        now: u64,
    ) -> Result<Progress, Error> {
        if self.mute && self.guest_changed {
            self.look_at_guest(client, platform)?;
        }
        if self.mute {
            return Ok(Progress::Idle);
        }
        loop {
            #[cfg(feature = "long-commands")]
            self.take_long(false, platform);
            if self.pending.is_there {
                match self.answer(client, platform, now) {
                    Ok(Delivery::Answered) => {
                        self.pending.is_there = false;
                        note::over(platform, &self.pending.name);
                        self.removed = note::fingerprint(&self.pending.name);
                        return Ok(Progress::Served);
                    }
                    Ok(Delivery::Stays) => {
                        self.pending.is_there = false;
                        // When it is met again it is passed over as one that is known.
                        if self.pending.found_in == self.cursor.number {
                            self.cursor.offset += self.pending.name.len() + 1;
                        }
                        note::stays(platform, &self.pending.name);
                        note::over(platform, &self.pending.name);
                    }
                    Ok(Delivery::Refused) => return Ok(Progress::Idle),
                    Ok(Delivery::Later(moment)) => return Ok(Progress::Waiting(moment)),
                    // The command has been run: on the next connection only its response is still to be written, if it
                    // is not there already.
                    Err(error) => {
                        self.pending.unsure = true;
                        return Err(error);
                    }
                }
            } else if self.cursor.over && self.new_here {
                self.look_around(client, platform, now)?;
            } else if self.cursor.over && self.takes_turn() {
                self.cursor.restart();
            } else if self.cursor.over {
                return Ok(Progress::Idle);
            } else if let Some((start, end)) = self.cursor.next_name() {
                if !self.run(start, end, client, platform)? {
                    return Ok(Progress::Held);
                }
            } else {
                self.list_more(client)?;
            }
        }
    }

    /// Removes an old response, if there is one to be removed ([`Progress::Served`]) or will be
    /// ([`Progress::Waiting`]). For when there is nothing else to do.
    pub fn tidy<T: Transport>(&mut self, client: &mut Client<T>, now: u64) -> Result<Progress, Error> {
        if self.mute { Ok(Progress::Idle) } else { self.responses.tidy(client, now) }
    }

    /// Forgets a key that was not used in time. Returns when to ask again, if there is one.
    pub fn forget_unused(&mut self, now: u64) -> Option<u64> {
        self.dispatcher.forget_unused(now)
    }

    /// When what a command has begun is to be given up if no other goes on with it.
    pub fn give_up_at(&self) -> Option<u64> {
        self.dispatcher.give_up_at()
    }

    /// Gives that up, if it is time.
    pub fn give_up_silent<P: Platform>(&mut self, platform: &mut P, now: u64) {
        self.dispatcher.give_up_silent(platform, now);
    }

    /// Whether a command waits for its errand.
    pub fn is_under_way(&self) -> bool {
        #[cfg(feature = "long-commands")]
        return self.long.under_way.is_some();
        #[cfg(not(feature = "long-commands"))]
        false
    }

    /// Whether those that wait for an errand are to be listed.
    fn takes_turn(&mut self) -> bool {
        #[cfg(feature = "long-commands")]
        return core::mem::take(&mut self.long.list_owed);
        #[cfg(not(feature = "long-commands"))]
        false
    }

    /// Answers the command that is under way, if it has ended; if `ending`, it is ended. Nothing else is served.
    #[cfg_attr(not(feature = "long-commands"), expect(unused_variables, reason = "none is under way"))]
    pub fn finish<T: Transport, P: Platform>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
        ending: bool,
        now: u64,
    ) -> Result<(), Error> {
        #[cfg(feature = "long-commands")]
        self.take_long(ending, platform);
        // If there is no room for it there is no more time to wait for any.
        if core::mem::take(&mut self.pending.is_there)
            && let Delivery::Answered | Delivery::Stays = self.answer(client, platform, now)?
        {
            note::over(platform, &self.pending.name);
        }
        Ok(())
    }

    /// Takes the response of the command that is under way, if there is one.
    #[cfg(feature = "long-commands")]
    fn take_long<P: Platform>(&mut self, ending: bool, platform: &mut P) {
        if !self.pending.is_there
            && self.long.under_way.is_some()
            && let Some(response) = self.dispatcher.go_on(ending, platform)
            && let Some(name) = self.long.under_way.take()
        {
            // The list that it was found in may be over.
            let found_in = self.cursor.number.wrapping_sub(1);
            self.dispatcher.write(&response, self.pending.put(&name, found_in));
            self.long.list_owed |= !self.long.waiting.is_empty();
            self.long.waiting.clear();
        }
    }

    /// Whether a new agent lies ready to be executed, and the response that says so is written.
    pub fn update_is_ready(&self) -> bool {
        self.dispatcher.update_is_ready() && !self.pending.is_there
    }

    /// Resets the network, though the host has not asked for it.
    #[cfg(feature = "network")]
    #[inline(never)]
    pub fn reset_network<T: Transport, P: Platform>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
    ) -> Result<(), Error> {
        let response = self.dispatcher.reset_network(client, platform, self.network)?;
        self.state = state_after(&response);
        log_completed("resetnetwork", &response, platform);
        Ok(())
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
            // What was not named comes after what was; where lists have no parts, once the host has taken some back.
            if core::mem::take(&mut cursor.named) && core::mem::take(&mut self.list_owed) {
                cursor.restart();
            }
            return Ok(());
        }
        cursor.listing = match client.list(Transaction::NONE, HOST, cursor.offset, cursor.room()) {
            // Not there; or too much of it for this xenstored to be listed, until events name the requests or the host
            // takes some back.
            Err(error) if error.is(Refusal::NOENT) => Listing { len: 0, complete: true },
            Err(error) if error.is(Refusal::NOSYS) => {
                (self.lists_in_parts, self.list_owed) = (false, true);
                Listing { len: 0, complete: true }
            }
            listing => {
                self.list_owed = false;
                listing?
            }
        };
        cursor.next = 0;
        cursor.over = cursor.listing.len == 0;
        Ok(())
    }

    /// Reads a request and runs it. What cannot be read stays, and is left alone from then on. Returns whether others
    /// can be looked for.
    #[inline(never)]
    fn run<T: Transport, P: Platform>(
        &mut self,
        start: usize,
        end: usize,
        client: &mut Client<T>,
        platform: &mut P,
    ) -> Result<bool, Error> {
        let name =
            self.cursor.names.get(start..end).and_then(|name| core::str::from_utf8(name).ok()).unwrap_or_default();
        let request = Joined::new(HOST, name);
        let (Ok(request), false) = (request, self.is_known(name, platform)) else {
            self.cursor.offset += end - start + 1;
            return Ok(true);
        };
        let before = note::before(platform, name);
        if before == Before::Answered || before != Before::Nothing && is_there(client, name)? {
            // It was this that the earlier agent had yet to do.
            if let Delivery::Stays = remove_request(client, name)? {
                note::stays(platform, name);
                self.cursor.offset += end - start + 1;
            }
            note::over(platform, name);
            return Ok(true);
        }
        match client.read(Transaction::NONE, request.as_path()) {
            Ok(_) if before == Before::TooOften => {
                let response = Response::failed(format_args!("this command ended the agent each time: not run again"));
                platform.log(Level::Error, format_args!("request {name}: {}", response.message.as_str()));
                response.to_json(RESPONSE_MAX, self.pending.put(name, self.cursor.number));
                Ok(true)
            }
            Ok(value) => {
                if before == Before::Begun {
                    platform
                        .log(Level::Warn, format_args!("request {name} was under way when an agent ended: once more"));
                }
                note::run(platform, Place::Run, name);
                platform.begins(name);
                let step = self.dispatcher.handle::<T, P>(value, platform);
                client.wipe();
                let response = match step {
                    #[cfg(feature = "sealed")]
                    Dispatched::Answered(response) if before == Before::Begun => sealed::begun_before(response),
                    Dispatched::Answered(response) => response,
                    Dispatched::OverXenstore(name, run) => {
                        let response = self.dispatcher.run(run, client, platform, self.network)?;
                        self.state = state_after(&response);
                        log_completed(name, &response, platform);
                        response
                    }
                    #[cfg(feature = "long-commands")]
                    Dispatched::Begun => {
                        // The name fits: it is a part of the request's path.
                        self.long.under_way = name.try_into().ok();
                        note::is_errand(platform);
                        self.cursor.offset += end - start + 1;
                        return Ok(true);
                    }
                    #[cfg(feature = "long-commands")]
                    Dispatched::Later if self.cursor.named && !self.lists_in_parts => {
                        // The list cannot be had, so that nothing would tell of it later.
                        self.cursor.next = start;
                        note::not_run(platform);
                        return Ok(false);
                    }
                    #[cfg(feature = "long-commands")]
                    Dispatched::Later => {
                        note::not_run(platform);
                        remember(&mut self.long.waiting, name);
                        self.cursor.offset += end - start + 1;
                        return Ok(true);
                    }
                };
                self.dispatcher.write(&response, self.pending.put(name, self.cursor.number));
                Ok(true)
            }
            // The host has given up and removed it.
            Err(error) if error.is(Refusal::NOENT) => Ok(true),
            Err(Error::Refused(refusal)) => {
                let fingerprint = note::fingerprint(name);
                if let Some(known) = self.unreadable.iter_mut().find(|known| known.name == fingerprint) {
                    known.changed = false;
                } else {
                    // Once: a host that writes a request and then takes it away from its guest changes it twice.
                    platform.log(Level::Warn, format_args!("request {name} cannot be read: {refusal}"));
                    if self.unreadable.is_full() {
                        self.unreadable.remove(0);
                    }
                    // There is room: it was made.
                    let _ = self.unreadable.push(Unreadable { name: fingerprint, changed: false });
                }
                self.cursor.offset += end - start + 1;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a request is not to be read: it cannot be, was served and stays, or waits for an errand.
    fn is_known<P: Notes>(&self, name: &str, platform: &mut P) -> bool {
        #[cfg(feature = "long-commands")]
        if self.long.under_way.as_deref() == Some(name) || is_remembered(&self.long.waiting, name) {
            return true;
        }
        let fingerprint = note::fingerprint(name);
        self.unreadable.iter().any(|known| known.name == fingerprint && !known.changed)
            || note::does_stay(platform, name)
    }

    /// Has the response that is pending take its request's place, and makes room for it if need be.
    #[inline(never)]
    fn answer<T: Transport, P: Log + Notes>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
        now: u64,
    ) -> Result<Delivery, Error> {
        if self.pending.unsure && is_written(client, &self.pending)? {
            self.responses.add(&self.pending.name, now);
            return remove_request(client, &self.pending.name);
        }
        let mut room = self.responses.make_room(client, platform, &self.pending.name, now)?;
        let mut emptied = false;
        loop {
            let error = match room {
                Room::Later(moment) => return Ok(Delivery::Later(moment)),
                Room::Made(_) | Room::Never => match deliver(client, platform, &self.pending, &mut self.responses) {
                    Ok(delivery) => {
                        self.responses.add(&self.pending.name, now);
                        return Ok(delivery);
                    }
                    Err(error) => error,
                },
            };
            match (error, room) {
                (Error::Refused(refusal), _) if refusal.is_quota() && self.new_here => {
                    self.look_around(client, platform, now)?;
                    room = self.responses.make_room(client, platform, &self.pending.name, now)?;
                }
                (Error::Lost(lost), _) => return Err(Error::Lost(lost)),
                (Error::Refused(refusal), Room::Made(_)) if refusal.is_quota() => {
                    room = self.responses.remove_oldest(client, platform, &self.pending.name, now)?;
                }
                // Nothing is known that could go, but it is responses that take the room, or somebody else does: all of
                // them are older than this one.
                (Error::Refused(refusal), Room::Never) if refusal.is_quota() && !emptied => {
                    platform.log(Level::Warn, format_args!("no room for responses ({refusal}): removing all old ones"));
                    unless_refused(client.rm(Transaction::NONE, GUEST))?;
                    emptied = true;
                }
                (error, _) => {
                    self.look_at_guest(client, platform)?;
                    if self.mute {
                        return Ok(Delivery::Refused);
                    }
                    let name = &self.pending.name;
                    platform.log(Level::Error, format_args!("request {name} cannot be answered as it should: {error}"));
                    return commit_in_parts(client, &self.pending);
                }
            }
        }
    }
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

#[cfg(feature = "long-commands")]
fn remember(names: &mut Known, name: &str) {
    if names.is_full() {
        names.remove(0);
    }
    // There is room: it was made.
    let _ = names.push(note::fingerprint(name));
}

#[cfg(feature = "long-commands")]
fn is_remembered(names: &Known, name: &str) -> bool {
    names.contains(&note::fingerprint(name))
}

/// What the guest is, is how its network was last set.
fn state_after(response: &Response) -> State {
    match response.code {
        Code::Done => State::Ready,
        _ => State::Failed(Bounded::of(format_args!("{}", response.message.as_str()))),
    }
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
