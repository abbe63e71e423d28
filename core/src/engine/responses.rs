//! The responses below `data/guest`, remembered so that they can be removed again: no host ever does, and a domain may
//! own only so much.
//!
//! A response stays for [`KEPT_MS`], longer than any host waits, unless more than [`KEPT_MAX`] pile up. C xenstored has
//! less room than that: the names of a node's children count for its size, so about 53 UUIDs fill `data/guest`. The
//! first refusal tells; from then on so many are too many.
//!
//! No answer waits for what is old: it goes when there is nothing else to do, and an eighth of the room is kept free
//! for what comes. Only in a burst that is larger than that a new response takes the place of the oldest, but not
//! before that has been there for [`READ_MS`], or its host has removed it: the service waits as long, so that a host
//! that looks twice a second, or is busy, has seen it. The log says which one went.

use crate::engine::progress::Progress;
use crate::platform::{Level, Log};
use crate::wire::buffer::forget_start;
use crate::xenstore::{Client, Error, Joined, Path, Transaction, Transport, unless_refused};

/// Where it looks for responses.
pub(crate) const GUEST: Path<'static> = Path::literal("data/guest");
/// How many responses are kept at the most: half of the usual quota of nodes, which the guest's kernel and the requests
/// that wait share.
const KEPT_MAX: usize = 500;
/// How long a response is kept once hosts have had time to read it, unless there are too many: twice the longest time
/// that nova waits (300 s for the first `version`).
const KEPT_MS: u64 = 600_000;
/// How long a response is kept when another one waits for its room: nova looks every half second.
const READ_MS: u64 = 5_000;
/// Room for [`KEPT_MAX`] names of a UUID's length; fewer longer ones.
const ROOM: usize = KEPT_MAX * (36 + ENTRY);
/// Bytes before each name: its length, and when hosts have had time to read it.
const ENTRY: usize = 2 + 4;
/// That is kept in these, which fit four bytes for 13 years.
const TENTH_MS: u64 = 100;

/// Whether there is room for one more response.
#[derive(Clone, Copy)]
pub(crate) enum Room {
    /// There is; names that took so many bytes of the directory's list, each with its zero byte, were removed for it.
    Made(usize),
    /// There will be at this moment.
    Later(u64),
    /// Nothing that this agent wrote is left to be removed.
    Never,
}

/// The names of responses, oldest first.
///
/// # Invariants
/// `bytes[first..]` is a sequence of entries (length as `u16`, time as `u32`, name), `count` of them.
pub(crate) struct Responses {
    bytes: heapless::Vec<u8, ROOM>,
    first: usize,
    count: usize,
    /// How many there is room for, as far as is known.
    most: usize,
}

impl Responses {
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub(crate) const fn new() -> Responses {
        Responses { bytes: heapless::Vec::new(), first: 0, count: 0, most: KEPT_MAX }
    }

    /// Takes over what lies below `data/guest` from an earlier agent, and removes what is too much of it. In the midst
    /// of a burst it is not known which of them this agent has just written: all are given the time to be read. After
    /// it those are the last that go.
    pub(crate) fn adopt<T: Transport, P: Log>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
        names: &mut [u8],
        in_burst: bool,
        now: u64,
    ) -> Result<(), Error> {
        let (mut offset, mut first) = (0, true);
        let read = if in_burst && self.count > 0 { now + READ_MS } else { now - now % TENTH_MS };
        loop {
            let listing = match client.list(Transaction::NONE, GUEST, offset, names) {
                // What is remembered from an earlier connection is better than nothing.
                Err(Error::Refused(_)) => return Ok(()),
                listing => listing?,
            };
            if core::mem::take(&mut first) {
                (self.first, self.count) = (0, 0);
                self.bytes.clear();
            }
            let names = names.get(..listing.len).unwrap_or_default();
            for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
                let Ok(name) = core::str::from_utf8(name) else { continue };
                // What is removed stood before this name in the list.
                let room = self.make_room(client, platform, name, now)?;
                let removed = if let Room::Made(removed) = room { removed } else { 0 };
                self.add_read(name, read);
                offset = (offset + name.len() + 1).saturating_sub(removed);
            }
            if listing.complete || listing.len == 0 {
                return Ok(());
            }
        }
    }

    /// Removes what is too much, so that a response of this name can be added.
    pub(crate) fn make_room<T: Transport, P: Log>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
        name: &str,
        now: u64,
    ) -> Result<Room, Error> {
        let mut removed = 0;
        while self.count >= KEPT_MAX || ROOM - (self.bytes.len() - self.first) < ENTRY + name.len() {
            match self.remove_oldest(client, platform, name, now)? {
                Room::Made(more) => removed += more,
                other => return Ok(other),
            }
        }
        Ok(Room::Made(removed))
    }

    /// Another connection, perhaps to another host: nothing is known of its room.
    pub(crate) fn forget_room(&mut self) {
        self.most = KEPT_MAX;
    }

    /// A response was refused for want of room: so many as there are now are all that there is room for. (Of fewer than
    /// eight no eighth is kept free: somebody else may have taken the room, for a while.)
    pub(crate) fn learn_room(&mut self) {
        self.most = self.count;
    }

    /// Removes one response that is too old, or that takes the room that is kept free: [`Progress::Served`]. Says when
    /// there will be one, if that is to be awaited.
    pub(crate) fn tidy<T: Transport>(&mut self, client: &mut Client<T>, now: u64) -> Result<Progress, Error> {
        let Some((read, oldest)) = self.oldest() else { return Ok(Progress::Idle) };
        let is_crowded = self.count > self.most - self.most / 8;
        if now.saturating_sub(read) > KEPT_MS || is_crowded && now >= read {
            self.drop_oldest(client, "")?;
        } else if !is_crowded {
            return Ok(Progress::Idle);
        } else if is_there(client, oldest)? {
            return Ok(Progress::Waiting(read));
        } else {
            self.forget_oldest();
        }
        Ok(Progress::Served)
    }

    /// Removes the oldest response, because there is no room for one of this name; if hosts have had time to read it.
    pub(crate) fn remove_oldest<T: Transport, P: Log>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
        name: &str,
        now: u64,
    ) -> Result<Room, Error> {
        let Some((read, oldest)) = self.oldest() else { return Ok(Room::Never) };
        if now < read {
            if is_there(client, oldest)? {
                return Ok(Room::Later(read));
            }
            // Its host has.
            self.forget_oldest();
            return Ok(Room::Made(0));
        }
        if oldest != name {
            let seconds = (now - read + READ_MS) / 1000;
            let text = format_args!("no room for the answer to {name}: that to {oldest} goes, after {seconds} s");
            platform.log(Level::Info, text);
        }
        self.drop_oldest(client, name)
    }

    fn drop_oldest<T: Transport>(&mut self, client: &mut Client<T>, name: &str) -> Result<Room, Error> {
        let Some((_, oldest)) = self.oldest() else { return Ok(Room::Never) };
        let len = oldest.len();
        // A response that will be overwritten under its old name is not the oldest any more.
        let removed = oldest != name && remove(client, oldest)?;
        self.forget_oldest();
        Ok(Room::Made(if removed { len + 1 } else { 0 }))
    }

    fn forget_oldest(&mut self) {
        let len = self.oldest().map_or(0, |(_, oldest)| ENTRY + oldest.len());
        self.first = (self.first + len).min(self.bytes.len());
        self.count = self.count.saturating_sub(1);
    }

    /// Remembers a response that was written now.
    pub(crate) fn add(&mut self, name: &str, now: u64) {
        self.add_read(name, now + READ_MS);
    }

    /// Remembers a response that hosts have had time to read at this moment.
    fn add_read(&mut self, name: &str, read: u64) {
        if self.bytes.capacity() - self.bytes.len() < ENTRY + name.len() {
            forget_start(&mut self.bytes, self.first);
            self.bytes.truncate(self.bytes.len() - self.first);
            self.first = 0;
        }
        if self.bytes.capacity() - self.bytes.len() < ENTRY + name.len() {
            return;
        }
        let (len, time) = ((name.len() as u16).to_le_bytes(), (read.div_ceil(TENTH_MS) as u32).to_le_bytes());
        let pieces = [&len[..], &time, name.as_bytes()];
        if pieces.into_iter().all(|piece| self.bytes.extend_from_slice(piece).is_ok()) {
            self.count += 1;
            // More than was known of.
            self.most = self.most.max(self.count);
        }
    }

    fn oldest(&self) -> Option<(u64, &str)> {
        let (len, rest) = self.bytes.get(self.first..)?.split_first_chunk::<2>()?;
        let (time, rest) = rest.split_first_chunk::<4>()?;
        let name = rest.get(..usize::from(u16::from_le_bytes(*len)))?;
        Some((u64::from(u32::from_le_bytes(*time)) * TENTH_MS, core::str::from_utf8(name).unwrap_or_default()))
    }
}

/// Whether there is any response of this name.
pub(crate) fn is_there<T: Transport>(client: &mut Client<T>, name: &str) -> Result<bool, Error> {
    let Ok(response) = Joined::new(GUEST, name) else { return Ok(false) };
    Ok(unless_refused(client.read(Transaction::NONE, response.as_path()))?.is_some())
}

/// Removes a response. Returns whether it was there and is gone; one that may not be removed is nothing to stop for.
fn remove<T: Transport>(client: &mut Client<T>, name: &str) -> Result<bool, Error> {
    let Ok(path) = Joined::new(GUEST, name) else { return Ok(false) };
    match client.rm(Transaction::NONE, path.as_path()) {
        Err(Error::Lost(lost)) => Err(Error::Lost(lost)),
        result => Ok(result.is_ok()),
    }
}
