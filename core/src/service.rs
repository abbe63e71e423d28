//! The service: requests below `data/host` are answered below `data/guest`.
//!
//! * Every request gets one response. Both change in one transaction, so neither is ever lost: an agent that is killed in
//!   between serves the request again, at most once more.
//! * Requests are served in the order in which xenstored lists them, in as many parts as the list takes.
//! * No host removes responses, so the agent does, the oldest first ([`Responses`]).
//! * A request that cannot be removed is served once and then left alone.
//!
//! The order to call: [`Service::start`] on a fresh connection, then [`Service::serve_one`] until it is
//! [`Progress::Idle`], then wait for events and hand them to [`Service::handle_event`].

use crate::agent::Agent;
use crate::command::response::RESPONSE_MAX;
use crate::platform::{Level, Platform};
use crate::responses::Responses;
use crate::xenstore::{Client, Error, Event, Joined, Listing, Path, Transaction, Transport};

/// Where the host puts requests.
pub const HOST: Path<'static> = Path::literal("data/host");
/// Where it looks for responses.
pub const GUEST: Path<'static> = Path::literal("data/guest");
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
}

/// What became of a name in the listing.
enum Outcome {
    /// The request was answered, or was gone already.
    Gone,
    /// It stays in the directory: it may not be read, or not be removed.
    Stays,
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
}

impl Round {
    const EMPTY: Listing = Listing { len: 0, complete: false };

    fn restart(&mut self) {
        (self.listing, self.next, self.offset, self.over) = (Self::EMPTY, 0, 0, false);
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
    round: Round,
    responses: Responses,
    stuck: Stuck,
}

impl Default for Service {
    fn default() -> Self {
        Self::new()
    }
}

impl Service {
    /// A service that has served nothing.
    pub const fn new() -> Service {
        let round = Round { names: [0; NAMES_MAX], listing: Round::EMPTY, next: 0, offset: 0, over: false };
        Service { agent: Agent::new(), round, responses: Responses::new(), stuck: heapless::Deque::new() }
    }

    /// Begins on a fresh connection: watches for requests, and takes over the responses that an earlier agent left.
    pub fn start<T: Transport, P: Platform>(&mut self, client: &mut Client<T>, platform: &mut P) -> Result<(), Error> {
        client.watch(HOST, TOKEN)?;
        self.agent.tidy(platform);
        let now = platform.uptime();
        self.responses.adopt(client, &mut self.round.names, now)?;
        self.round.restart();
        Ok(())
    }

    /// Takes note of an event; [`Service::serve_one`] then looks again.
    pub fn handle_event(&mut self, event: Event<'_>) {
        match event {
            Event::Fired { token: TOKEN, .. } | Event::Overflow => self.round.restart(),
            Event::Fired { .. } => {}
        }
    }

    /// Answers the next request.
    pub fn serve_one<T: Transport, P: Platform>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
    ) -> Result<Progress, Error> {
        while !self.round.over {
            let Some((start, end)) = self.round.next_name() else {
                self.list_more(client)?;
                continue;
            };
            match self.serve(start, end, client, platform)? {
                Outcome::Gone => return Ok(Progress::Served),
                Outcome::Stays => self.round.offset += end - start + 1,
            }
        }
        Ok(Progress::Idle)
    }

    fn list_more<T: Transport>(&mut self, client: &mut Client<T>) -> Result<(), Error> {
        let round = &mut self.round;
        if round.listing.complete {
            round.over = true;
            return Ok(());
        }
        round.listing = match client.list(Transaction::NONE, HOST, round.offset, &mut round.names) {
            Err(error) if error.is("ENOENT") => Listing { len: 0, complete: true },
            listing => listing?,
        };
        round.next = 0;
        round.over = round.listing.len == 0;
        Ok(())
    }

    fn serve<T: Transport, P: Platform>(
        &mut self,
        start: usize,
        end: usize,
        client: &mut Client<T>,
        platform: &mut P,
    ) -> Result<Outcome, Error> {
        let name = core::str::from_utf8(&self.round.names[start..end]).unwrap_or_default();
        let Ok(request) = Joined::new(HOST, name) else { return Ok(Outcome::Stays) };
        if self.stuck.iter().any(|stuck| *stuck == fingerprint(name)) {
            return Ok(Outcome::Stays);
        }
        let response = match client.read(Transaction::NONE, request.as_path()) {
            Ok(value) => self.agent.handle(value, platform),
            Err(error) if error.is("ENOENT") => return Ok(Outcome::Gone),
            Err(Error::Refused(refusal)) => {
                platform.log(Level::Warn, format_args!("request {name} cannot be read: {refusal}"));
                remember(&mut self.stuck, name);
                return Ok(Outcome::Stays);
            }
            Err(error) => return Err(error),
        };
        client.wipe();
        let mut room = [0; RESPONSE_MAX];
        let json = response.to_json(&mut room);
        let mut outcome = answer(client, &request, name, json);
        while matches!(&outcome, Err(Error::Refused(refusal)) if refusal.is_quota()) && !self.responses.is_empty() {
            platform.log(Level::Warn, format_args!("this domain's xenstore quota is used up: removing old responses"));
            self.responses.remove_older_half(client)?;
            outcome = answer(client, &request, name, json);
        }
        match outcome {
            Ok(()) => {
                self.responses.keep(client, name, platform.uptime())?;
                Ok(Outcome::Gone)
            }
            Err(Error::Lost(lost)) => Err(Error::Lost(lost)),
            Err(error) => {
                platform.log(Level::Error, format_args!("request {name} cannot be answered as it should: {error}"));
                answer_in_parts(client, &request, name, json, &mut self.stuck)
            }
        }
    }
}

/// What can still be done when the transaction is refused: each half by itself, and never the command again.
fn answer_in_parts<T: Transport>(
    client: &mut Client<T>,
    request: &Joined,
    name: &str,
    json: &[u8],
    stuck: &mut Stuck,
) -> Result<Outcome, Error> {
    if let Ok(response) = Joined::new(GUEST, name) {
        unless_lost(client.write(Transaction::NONE, response.as_path(), json))?;
    }
    if unless_lost(client.rm(Transaction::NONE, request.as_path()))? {
        return Ok(Outcome::Gone);
    }
    remember(stuck, name);
    Ok(Outcome::Stays)
}

/// Removes the request and writes its response, both or neither.
fn answer<T: Transport>(client: &mut Client<T>, request: &Joined, name: &str, json: &[u8]) -> Result<(), Error> {
    let response = Joined::new(GUEST, name).map_err(|_| Error::TooLong)?;
    client.transaction(|client, transaction| {
        match client.rm(transaction, request.as_path()) {
            // The host has given up and removed it, with its directory.
            Err(error) if error.is("ENOENT") => {}
            removed => removed?,
        }
        client.write(transaction, response.as_path(), json)
    })
}

/// Whether it was done; a refusal is no error here.
fn unless_lost(result: Result<(), Error>) -> Result<bool, Error> {
    match result {
        Err(Error::Lost(lost)) => Err(Error::Lost(lost)),
        result => Ok(result.is_ok()),
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

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
