//! Watch events that arrived while something else was waited for.
//!
//! An event only says "look again", so two equal ones in a row are one. The room is bounded: when it is used up, what
//! does not fit is dropped and the reader is told so with [`Event::Overflow`], which means "look at everything again".

use crate::wire::buffer::forget_start;

/// Bytes of room for events: those of some 800 requests with UUIDs, as many as a guest's quota of nodes allows. Only
/// what is used takes memory.
const ROOM: usize = 48 * 1024;
/// Each event is kept behind its length.
const LENGTH: usize = 2;

/// What a watch reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'a> {
    /// The node at `path`, or something below it, may have changed.
    Fired {
        /// As the watch was registered: relative if it was relative.
        path: &'a str,
        /// The token of the watch.
        token: &'a str,
    },
    /// Events were dropped: any watch may have fired.
    Overflow,
}

impl<'a> Event<'a> {
    /// Reads the payload of a watch event: `path\0token\0`, perhaps with more behind it.
    fn parse(payload: &'a [u8]) -> Option<Event<'a>> {
        let mut fields = core::str::from_utf8(payload).ok()?.split('\0');
        let (path, token) = (fields.next()?, fields.next()?);
        fields.next()?; // the token is terminated, too
        (!path.is_empty()).then_some(Event::Fired { path, token })
    }
}

/// A payload that is not an event.
pub(super) struct NotAnEvent;

/// The queue.
///
/// # Invariants
/// `bytes` is a sequence of (little-endian length, payload), each payload readable by [`Event::parse`]; the first
/// `taken` bytes are the event last returned.
pub(super) struct Events {
    bytes: heapless::Vec<u8, ROOM>,
    taken: usize,
    last: usize,
    overflow: bool,
}

impl Events {
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub(super) const fn new() -> Events {
        Events { bytes: heapless::Vec::new(), taken: 0, last: 0, overflow: false }
    }

    /// Keeps an event.
    pub(super) fn push(&mut self, payload: &[u8]) -> Result<(), NotAnEvent> {
        Event::parse(payload).ok_or(NotAnEvent)?;
        self.forget_taken();
        if self.bytes.get(self.last..).is_some_and(|last| last.get(LENGTH..) == Some(payload)) {
            return Ok(());
        }
        if self.bytes.capacity() - self.bytes.len() < LENGTH + payload.len() {
            self.overflow = true;
            return Ok(());
        }
        self.last = self.bytes.len();
        let length = (payload.len() as u16).to_le_bytes();
        let kept = self.bytes.extend_from_slice(&length).and_then(|()| self.bytes.extend_from_slice(payload));
        self.overflow |= kept.is_err();
        Ok(())
    }

    /// The oldest event; after the last one, whether some were dropped.
    pub(super) fn pop(&mut self) -> Option<Event<'_>> {
        self.forget_taken();
        let Some((length, rest)) = self.bytes.split_first_chunk::<LENGTH>() else {
            return core::mem::take(&mut self.overflow).then_some(Event::Overflow);
        };
        let length = u16::from_le_bytes(*length) as usize;
        self.taken = LENGTH + length;
        rest.get(..length).and_then(Event::parse)
    }

    fn forget_taken(&mut self) {
        let rest = self.bytes.len().saturating_sub(self.taken);
        forget_start(&mut self.bytes, self.taken);
        self.bytes.truncate(rest);
        self.last = self.last.saturating_sub(self.taken);
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(events: &mut Events) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some(event) = events.pop() {
            seen.push(match event {
                Event::Fired { path, token } => format!("{path}={token}"),
                Event::Overflow => "overflow".into(),
            });
        }
        seen
    }

    #[test]
    fn events_come_out_in_order_and_equal_neighbours_are_one() {
        let mut events = Events::new();
        for payload in [&b"a\0t\0"[..], b"a\0t\0", b"b\0t\0", b"a\0t\0"] {
            assert!(events.push(payload).is_ok());
        }
        assert_eq!(events.pop(), Some(Event::Fired { path: "a", token: "t" }));
        // Equal to the last one that is still queued, then to one already taken.
        assert!(events.push(b"a\0t\0").is_ok());
        assert_eq!(drain(&mut events), ["b=t", "a=t"]);
        assert!(events.push(b"a\0t\0").is_ok());
        assert_eq!(drain(&mut events), ["a=t"]);
    }

    #[test]
    fn the_extra_field_of_some_watches_is_passed_over() {
        let mut events = Events::new();
        assert!(events.push(b"data/host/1\0token\0extra\0").is_ok());
        assert_eq!(drain(&mut events), ["data/host/1=token"]);
    }

    #[test]
    fn a_full_queue_says_that_it_overflowed_and_only_once() {
        let mut events = Events::new();
        for i in 0..10_000 {
            assert!(events.push(format!("data/host/{i}\0t\0").as_bytes()).is_ok());
        }
        let seen = drain(&mut events);
        assert_eq!(seen[0], "data/host/0=t");
        assert_eq!(seen.iter().filter(|event| *event == "overflow").count(), 1);
        assert_eq!(seen.last().unwrap(), "overflow");
        assert!(events.pop().is_none());
    }

    #[test]
    fn as_many_events_are_kept_as_there_is_room_for_and_room_comes_back() {
        let payload = |n: usize| format!("data/host/{n:05}\0tok\0");
        // Twenty bytes each, and two for their length: 49,152 bytes of room take 2234.
        let mut events = Events::new();
        (0..2234).for_each(|n| assert!(events.push(payload(n).as_bytes()).is_ok()));
        assert_eq!(drain(&mut events).len(), 2234);
        for n in 0..2235 {
            assert!(events.push(payload(n).as_bytes()).is_ok());
        }
        let seen = drain(&mut events);
        assert_eq!((seen.len(), seen[2233].as_str(), seen[2234].as_str()), (2235, "data/host/02233=tok", "overflow"));
        // One that is taken makes room for another one.
        (0..2234).for_each(|n| assert!(events.push(payload(n).as_bytes()).is_ok()));
        assert_eq!(events.pop(), Some(Event::Fired { path: "data/host/00000", token: "tok" }));
        assert!(events.push(payload(9999).as_bytes()).is_ok());
        let seen = drain(&mut events);
        assert_eq!((seen.len(), seen[2233].as_str()), (2234, "data/host/09999=tok"));
    }

    #[test]
    fn noise_is_no_event() {
        let mut events = Events::new();
        for noise in [&b""[..], b"path", b"path\0token", b"\0token\0", b"\xff\0token\0"] {
            assert!(events.push(noise).is_err());
        }
        assert!(events.pop().is_none());
    }
}
