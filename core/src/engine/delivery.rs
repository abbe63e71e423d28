//! The way of a response into xenstore, and of its request out of it.
//!
//! The response is written first and its request removed behind it; the note (`note.rs`) says how far that is. Where
//! nothing outlives the agent, and where only the removal makes room for the response, both change in one transaction.
//!
//! What is rare stands by itself (`inline(never)`): paths are large, and those of all ways at once would be 12 KB of
//! stack for each answer.

use crate::commands::response::Json;
use crate::engine::note;
use crate::engine::responses::{GUEST, Responses};
use crate::platform::Notes;
use crate::xenstore::path::RELATIVE_MAX;
use crate::xenstore::{Client, Error, Joined, Path, Refusal, Transaction, Transport, unless_refused};

/// Where the host puts requests.
pub(crate) const HOST: Path<'static> = Path::literal("data/host");

/// What became of a response.
pub(crate) enum Delivery {
    /// It is there and its request is gone.
    Answered,
    /// It may be there, and its request stays in the directory.
    Stays,
    /// There is no room for it before this moment.
    Later(u64),
    /// No response can be written.
    Refused,
}

/// A request that was run and its response, until both are changed in xenstore; or none. It stays where it is, as it is
/// large.
pub(crate) struct Pending {
    /// Whether there is one. What follows is of no meaning otherwise.
    pub(crate) is_there: bool,
    pub(crate) name: heapless::String<RELATIVE_MAX>,
    /// The cursor's number when it was found.
    pub(crate) found_in: u32,
    pub(crate) json: Json,
    /// Whether the connection was lost while it was written: it may be there.
    pub(crate) unsure: bool,
}

impl Pending {
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub(crate) const fn none() -> Pending {
        Pending { is_there: false, name: heapless::String::new(), found_in: 0, json: Json::new(), unsure: false }
    }

    /// The request of this name has a response, which is then to be written to `json`.
    pub(crate) fn put(&mut self, name: &str, found_in: u32) -> &mut Json {
        (self.is_there, self.found_in, self.unsure) = (true, found_in, false);
        self.name.clear();
        // It fits: it is a part of the request's path.
        let _ = self.name.push_str(name);
        &mut self.json
    }
}

/// Whether a response is there: the last that was heard of it was that its connection was lost.
#[inline(never)]
pub(crate) fn is_written<T: Transport>(client: &mut Client<T>, pending: &Pending) -> Result<bool, Error> {
    let Ok(response) = Joined::new(GUEST, &pending.name) else { return Ok(false) };
    let there = unless_refused(client.read(Transaction::NONE, response.as_path()))?;
    Ok(there.is_some_and(|there| *there == *pending.json))
}

/// Removes a request whose response is there: it must not be run again.
pub(crate) fn remove_request<T: Transport>(client: &mut Client<T>, name: &str) -> Result<Delivery, Error> {
    let Ok(request) = Joined::new(HOST, name) else { return Ok(Delivery::Stays) };
    match client.rm(Transaction::NONE, request.as_path()) {
        Err(error) if error.is(Refusal::NOENT) => Ok(Delivery::Answered),
        Err(Error::Lost(lost)) => Err(Error::Lost(lost)),
        removed => Ok(if removed.is_ok() { Delivery::Answered } else { Delivery::Stays }),
    }
}

/// Writes a response, then removes its request. Where there is no room for both, the others hear of it.
pub(crate) fn deliver<T: Transport, P: Notes>(
    client: &mut Client<T>,
    platform: &mut P,
    pending: &Pending,
    others: &mut Responses,
) -> Result<Delivery, Error> {
    let response = Joined::new(GUEST, &pending.name).map_err(|_| Error::TooLong)?;
    if platform.outlives() {
        match client.write(Transaction::NONE, response.as_path(), &pending.json) {
            // The request's own room may be what it takes.
            Err(Error::Refused(refusal)) if refusal.is_quota() => others.learn_room(),
            Err(error) => return Err(error),
            Ok(()) => {
                note::written(platform, &pending.name);
                return remove_request(client, &pending.name);
            }
        }
    }
    commit(client, pending).map(|()| Delivery::Answered)
}

/// Removes the request and writes its response, both or neither.
#[inline(never)]
fn commit<T: Transport>(client: &mut Client<T>, pending: &Pending) -> Result<(), Error> {
    let request = Joined::new(HOST, &pending.name).map_err(|_| Error::TooLong)?;
    let response = Joined::new(GUEST, &pending.name).map_err(|_| Error::TooLong)?;
    client.transaction(|client, transaction| {
        match client.rm(transaction, request.as_path()) {
            // The host has given up and removed it, with its directory.
            Err(error) if error.is(Refusal::NOENT) => {}
            removed => removed?,
        }
        match client.write(transaction, response.as_path(), &pending.json) {
            // Writing makes what is missing. What is not there is the transaction: the guest was suspended since it
            // began.
            Err(error) if error.is(Refusal::NOENT) => Err(Error::Refused(Refusal::AGAIN)),
            written => written,
        }
    })
}

/// What can still be done when the transaction is refused: each half by itself, and never the command again.
#[inline(never)]
pub(crate) fn commit_in_parts<T: Transport>(client: &mut Client<T>, pending: &Pending) -> Result<Delivery, Error> {
    if let Ok(response) = Joined::new(GUEST, &pending.name) {
        unless_refused(client.write(Transaction::NONE, response.as_path(), &pending.json))?;
    }
    remove_request(client, &pending.name)
}
