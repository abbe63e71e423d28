//! The responses below `data/guest`, remembered so that they can be removed again: no host ever does, and a domain may own
//! about 1000 nodes.
//!
//! A response stays for [`KEPT_SECONDS`], longer than any host waits, unless more than [`KEPT_MAX`] pile up; then the oldest
//! go first. Removal happens when a response is added, so an idle agent does nothing.

use crate::service::GUEST;
use crate::xenstore::{Client, Error, Joined, Transaction, Transport};

/// How many responses are kept at the most: half of the usual quota of nodes, which the guest's kernel and the requests that
/// wait share.
const KEPT_MAX: usize = 500;
/// How long a response is kept, unless there are too many: twice the longest time that nova waits (300 s for the first
/// `version`).
const KEPT_SECONDS: u64 = 600;
/// Room for [`KEPT_MAX`] names of a UUID's length; fewer longer ones.
const ROOM: usize = KEPT_MAX * (36 + ENTRY);
/// Bytes before each name: its length and when it was written.
const ENTRY: usize = 2 + 4;

/// The names of responses, oldest first.
///
/// # Invariants
/// `bytes[first..]` is a sequence of entries (length as `u16`, time as `u32`, name), `count` of them.
pub(crate) struct Responses {
    bytes: heapless::Vec<u8, ROOM>,
    first: usize,
    count: usize,
}

impl Responses {
    pub(crate) const fn new() -> Responses {
        Responses { bytes: heapless::Vec::new(), first: 0, count: 0 }
    }

    /// Takes over what lies below `data/guest` from an earlier agent, and removes what is too much of it.
    pub(crate) fn adopt<T: Transport>(
        &mut self,
        client: &mut Client<T>,
        names: &mut [u8],
        now: u64,
    ) -> Result<(), Error> {
        (self.first, self.count) = (0, 0);
        self.bytes.clear();
        let mut offset = 0;
        loop {
            let listing = match client.list(Transaction::NONE, GUEST, offset, names) {
                Err(Error::Refused(_)) => return Ok(()),
                listing => listing?,
            };
            for name in names[..listing.len].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
                let Ok(name) = core::str::from_utf8(name) else { continue };
                // What is removed stood before this name in the list.
                let removed = self.keep(client, name, now)?;
                offset = (offset + name.len() + 1).saturating_sub(removed);
            }
            if listing.complete || listing.len == 0 {
                return Ok(());
            }
        }
    }

    /// Remembers a response, and removes those that are too old or too many. Returns how many bytes their names, each with
    /// a zero byte, took in the directory's list.
    pub(crate) fn keep<T: Transport>(&mut self, client: &mut Client<T>, name: &str, now: u64) -> Result<usize, Error> {
        let mut removed = 0;
        while let Some((written, oldest)) = self.oldest() {
            let crowded = self.count >= KEPT_MAX || ROOM - (self.bytes.len() - self.first) < ENTRY + name.len();
            if !crowded && now.saturating_sub(written) <= KEPT_SECONDS {
                break;
            }
            removed += oldest.len() + 1;
            // A response that was overwritten under its old name is not the oldest any more.
            if oldest != name {
                remove(client, oldest)?;
            }
            self.forget_oldest();
        }
        if self.bytes.capacity() - self.bytes.len() < ENTRY + name.len() {
            self.bytes.copy_within(self.first.., 0);
            self.bytes.truncate(self.bytes.len() - self.first);
            self.first = 0;
        }
        let (len, time) = ((name.len() as u16).to_le_bytes(), (now as u32).to_le_bytes());
        let pieces = [&len[..], &time, name.as_bytes()];
        if pieces.into_iter().all(|piece| self.bytes.extend_from_slice(piece).is_ok()) {
            self.count += 1;
        }
        Ok(removed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Removes the older half of what is remembered, at least one.
    pub(crate) fn remove_older_half<T: Transport>(&mut self, client: &mut Client<T>) -> Result<(), Error> {
        for _ in 0..self.count.div_ceil(2) {
            if let Some((_, oldest)) = self.oldest() {
                remove(client, oldest)?;
            }
            self.forget_oldest();
        }
        Ok(())
    }

    fn oldest(&self) -> Option<(u64, &str)> {
        let (len, rest) = self.bytes.get(self.first..)?.split_first_chunk::<2>()?;
        let (time, rest) = rest.split_first_chunk::<4>()?;
        let name = rest.get(..usize::from(u16::from_le_bytes(*len)))?;
        Some((u64::from(u32::from_le_bytes(*time)), core::str::from_utf8(name).unwrap_or_default()))
    }

    fn forget_oldest(&mut self) {
        let len = self.oldest().map_or(0, |(_, name)| name.len());
        self.first = (self.first + ENTRY + len).min(self.bytes.len());
        self.count = self.count.saturating_sub(1);
    }
}

/// Removes a response. One that is gone, or may not be removed, is nothing to stop for.
fn remove<T: Transport>(client: &mut Client<T>, name: &str) -> Result<(), Error> {
    let Ok(path) = Joined::new(GUEST, name) else { return Ok(()) };
    match client.rm(Transaction::NONE, path.as_path()) {
        Err(Error::Lost(lost)) => Err(Error::Lost(lost)),
        _ => Ok(()),
    }
}
