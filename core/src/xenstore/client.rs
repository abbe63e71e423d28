//! A xenstore client: one request in flight, its reply matched by order and type.
//!
//! * The request id is sent but never trusted in a reply: Linux 4.11 to 4.15 answer with an id of their own, and a
//!   watch event's is uninitialised memory.
//! * Watch events that arrive before a reply are kept (`events`), not lost.
//! * Whatever the other side sends, the answer is a value or an [`Error`], never a panic.
//!
//! Rules: Xen's `docs/misc/xenstore.txt`; Linux's `drivers/xen/xenbus/xenbus_dev_frontend.c`.

use core::fmt;

use crate::wire::text::{Bounded, number};
use crate::wire::xenstore::{
    DEVICE_REQUEST_MAX, Decoder, MessageType, Oversized, REQUEST_MAX, Refusal, RequestRoom, TooLong, request,
};
use crate::xenstore::events::{Event, Events, NotAnEvent};
use crate::xenstore::path::Path;
use crate::xenstore::permission::Permission;

/// How often a transaction is tried before its EAGAIN is passed on: enough for any real contention, and an end.
const TRANSACTION_TRIES: u32 = 100;
/// How often a long listing is started again because the directory changed meanwhile.
const LISTING_TRIES: u32 = 100;

/// Moves bytes to and from xenstored: a character device or a socket.
pub trait Transport {
    /// Sends one packet whole, as one message. Linux's device reports some refusals as write(2)'s errno:
    /// [`Error::Refused`], as if xenstored had answered so.
    fn send(&mut self, packet: &[u8]) -> Result<(), Error>;
    /// How many bytes of one it takes at the most; a device unless it says otherwise.
    fn longest(&self) -> usize {
        DEVICE_REQUEST_MAX
    }
    /// Waits for bytes and stores at least one of them in `space`, which is never empty (a read of no bytes hangs in
    /// Linux's device). Returns how many; 0 means the other side is gone.
    fn receive(&mut self, space: &mut [u8]) -> Result<usize, Error>;
    /// A request about this path, or about something else, is over: for who records it.
    fn exchanged(&mut self, _kind: MessageType, _transaction: u32, _path: &[u8], _error: Option<Error>) {}
    /// An event is about to be acted on.
    fn heard(&mut self, _event: &Event<'_>) {}
}

/// Why a connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Lost {
    /// The other side closed it.
    Closed,
    /// The system reported this errno.
    Errno(u16),
    /// What arrived is not the xenstore protocol.
    NotXenstore,
    /// The program was told to end while it waited.
    Stopped,
    /// There was no answer in the time that was given.
    Silent,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Closed => f.write_str("closed by the other side"),
            Lost::Errno(errno) => write!(f, "{}", crate::wire::errno::Errno(*errno)),
            Lost::NotXenstore => f.write_str("what arrived is not the xenstore protocol"),
            Lost::Silent => f.write_str("no answer in the time that was given"),
            Lost::Stopped => f.write_str("told to end while waiting for an answer"),
        }
    }
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// xenstored refused it; the connection is fine.
    Refused(Refusal),
    /// It does not fit in a packet, or the answer not in the caller's buffer.
    TooLong,
    /// The connection must be reopened.
    Lost(Lost),
}

impl Error {
    /// Whether xenstored refused for this reason.
    pub fn is(self, reason: Refusal) -> bool {
        self == Error::Refused(reason)
    }
}

impl From<TooLong> for Error {
    fn from(TooLong: TooLong) -> Error {
        Error::TooLong
    }
}

impl From<Oversized> for Error {
    fn from(Oversized: Oversized) -> Error {
        Error::Lost(Lost::NotXenstore)
    }
}

impl From<NotAnEvent> for Error {
    fn from(NotAnEvent: NotAnEvent) -> Error {
        Error::Lost(Lost::NotXenstore)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(refusal) => write!(f, "xenstored answered {refusal}"),
            Error::TooLong => f.write_str("too long for a xenstore packet"),
            Error::Lost(lost) => write!(f, "xenstore connection lost: {lost}"),
        }
    }
}

/// A refusal is an answer like any other here: the node is not there for us.
pub fn unless_refused<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Lost(lost)) => Err(Error::Lost(lost)),
        Err(_) => Ok(None),
    }
}

/// An open transaction, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Transaction(u32);

impl Transaction {
    /// No transaction: the request takes effect by itself.
    pub const NONE: Transaction = Transaction(0);
}

/// How much of a directory [`Client::list`] stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Listing {
    /// Bytes used in the caller's buffer: names, each with a zero byte behind it.
    pub len: usize,
    /// Whether these are all names; otherwise more follow from offset + `len` on.
    pub complete: bool,
}

/// Most children that are named by numbers: a guest has up to eight devices of a kind, with tuning some more.
pub const NUMBERS_MAX: usize = 32;

/// Children that are named by numbers.
pub struct Numbers {
    /// The numbers, in xenstored's order.
    pub known: heapless::Vec<u16, NUMBERS_MAX>,
    /// Whether these are all.
    pub complete: bool,
}

/// What is done in a transaction.
type Body<'b, C> = &'b mut dyn FnMut(&mut C, Transaction) -> Result<(), Error>;

/// A connection to xenstored.
pub struct Client<T> {
    transport: T,
    request: RequestRoom,
    decoder: Decoder,
    events: Events,
    request_id: u32,
}

impl<T: Transport> Client<T> {
    /// A client over a fresh connection.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub const fn new(transport: T) -> Client<T> {
        Client { transport, request: [0; REQUEST_MAX], decoder: Decoder::new(), events: Events::new(), request_id: 0 }
    }

    /// The transport, for waiting on it.
    pub fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    /// The value of a node, valid until the next call. It may be empty and hold any bytes.
    pub fn read(&mut self, transaction: Transaction, path: Path<'_>) -> Result<&mut [u8], Error> {
        self.about(MessageType::READ, transaction, path)
    }

    /// The text of a node, without white space around it, valid until the next call. None where there is no such node,
    /// or none that may be read, or no text.
    #[inline(never)]
    pub fn text(&mut self, path: fmt::Arguments<'_>) -> Result<Option<&str>, Error> {
        let path = Bounded::<128>::of(path);
        let Ok(path) = Path::new(path.as_str()) else { return Ok(None) };
        let value = unless_refused(self.read(Transaction::NONE, path))?;
        Ok(value.and_then(|value| core::str::from_utf8(value).ok()).map(str::trim_ascii))
    }

    /// The children that are named by numbers, as devices are; none where they may not be listed.
    #[inline(never)]
    pub fn numbers(&mut self, path: Path<'_>) -> Result<Numbers, Error> {
        let mut names = [0; NUMBERS_MAX * 6];
        let listed = unless_refused(self.list(Transaction::NONE, path, 0, &mut names))?;
        let listed = listed.unwrap_or(Listing { len: 0, complete: true });
        let mut numbers = Numbers { known: heapless::Vec::new(), complete: listed.complete };
        let names = names.get(..listed.len).unwrap_or_default();
        let names = names.split(|byte| *byte == 0).filter_map(|name| core::str::from_utf8(name).ok());
        for number in names.filter_map(number) {
            numbers.complete &= numbers.known.push(number).is_ok();
        }
        Ok(numbers)
    }

    /// Writes a value; missing parents are made.
    pub fn write(&mut self, transaction: Transaction, path: Path<'_>, value: &[u8]) -> Result<(), Error> {
        self.exchange(MessageType::WRITE, transaction, &[path.as_str().as_bytes(), b"\0", value]).map(drop)
    }

    /// Makes an empty node, unless it is there.
    pub fn mkdir(&mut self, transaction: Transaction, path: Path<'_>) -> Result<(), Error> {
        self.about(MessageType::MKDIR, transaction, path).map(drop)
    }

    /// Removes a node and all below it. A missing node is no error as long as its parent exists.
    pub fn rm(&mut self, transaction: Transaction, path: Path<'_>) -> Result<(), Error> {
        self.about(MessageType::RM, transaction, path).map(drop)
    }

    /// The permissions of a node, owner first.
    pub fn permissions(
        &mut self,
        transaction: Transaction,
        path: Path<'_>,
    ) -> Result<impl Iterator<Item = Permission>, Error> {
        let payload = self.about(MessageType::GET_PERMS, transaction, path)?;
        let text = core::str::from_utf8(payload).map_err(|_| Error::Lost(Lost::NotXenstore))?;
        Ok(text.split_terminator('\0').filter_map(Permission::parse))
    }

    /// Replaces the permissions of a node, owner first; at most 16 entries.
    pub fn set_permissions(
        &mut self,
        transaction: Transaction,
        path: Path<'_>,
        permissions: &[Permission],
    ) -> Result<(), Error> {
        use fmt::Write;
        let mut entries = heapless::String::<{ 16 * (Permission::TEXT_MAX + 1) }>::new();
        for permission in permissions {
            write!(entries, "{permission}\0").map_err(|_| Error::TooLong)?;
        }
        let pieces = [path.as_str().as_bytes(), b"\0", entries.as_bytes()];
        self.exchange(MessageType::SET_PERMS, transaction, &pieces).map(drop)
    }

    /// Watches a node and all below it. The first event comes at once.
    pub fn watch(&mut self, path: Path<'_>, token: &str) -> Result<(), Error> {
        self.exchange(
            MessageType::WATCH,
            Transaction::NONE,
            &[path.as_str().as_bytes(), b"\0", token.as_bytes(), b"\0"],
        )
        .map(drop)
    }

    /// Ends a watch.
    pub fn unwatch(&mut self, path: Path<'_>, token: &str) -> Result<(), Error> {
        self.exchange(
            MessageType::UNWATCH,
            Transaction::NONE,
            &[path.as_str().as_bytes(), b"\0", token.as_bytes(), b"\0"],
        )
        .map(drop)
    }

    /// The home of a domain, such as `/local/domain/7`, valid until the next call.
    pub fn domain_path(&mut self, domain: u32) -> Result<&str, Error> {
        use fmt::Write;
        let mut text = heapless::String::<11>::new();
        write!(text, "{domain}\0").map_err(|_| Error::TooLong)?;
        let payload = self.exchange(MessageType::GET_DOMAIN_PATH, Transaction::NONE, &[text.as_bytes()])?;
        terminated(payload).ok_or(Error::Lost(Lost::NotXenstore))
    }

    /// The names of a node's children, from byte `offset` of the whole list on: as many whole names as `names` takes.
    ///
    /// A list that is longer than a packet is fetched in parts (DIRECTORY_PART); when the directory changes in between,
    /// from the start again, so that what is returned was there at one moment.
    pub fn list(
        &mut self,
        transaction: Transaction,
        path: Path<'_>,
        offset: usize,
        names: &mut [u8],
    ) -> Result<Listing, Error> {
        match self.about(MessageType::DIRECTORY, transaction, path) {
            Ok(payload) => Ok(copy_names(payload.get(offset..).unwrap_or_default(), names)),
            Err(error) if error.is(Refusal::TOOBIG) => self.list_parts(transaction, path, offset, names),
            Err(error) => Err(error),
        }
    }

    fn list_parts(
        &mut self,
        transaction: Transaction,
        path: Path<'_>,
        offset: usize,
        names: &mut [u8],
    ) -> Result<Listing, Error> {
        use fmt::Write;
        let mut generation = heapless::String::<24>::new();
        let (mut len, mut tries) = (0, 0);
        loop {
            let mut position = heapless::String::<24>::new();
            write!(position, "{}\0", offset + len).map_err(|_| Error::TooLong)?;
            let pieces = [path.as_str().as_bytes(), b"\0", position.as_bytes()];
            let payload = self.exchange(MessageType::DIRECTORY_PART, transaction, &pieces)?;
            let (now, part) = split_terminated(payload).ok_or(Error::Lost(Lost::NotXenstore))?;
            if len > 0 && now != generation {
                tries += 1;
                if tries == LISTING_TRIES {
                    return Err(Error::Refused(Refusal::AGAIN));
                }
                len = 0;
                continue;
            }
            generation = now.try_into().map_err(|_| Error::Lost(Lost::NotXenstore))?;
            // An empty name marks the end of the list.
            let (part, last) = match part {
                [] | [0] => (&[][..], true),
                [part @ .., 0] if part.ends_with(b"\0") => (part, true),
                part => (part, false),
            };
            let copied = copy_names(part, names.get_mut(len..).unwrap_or_default());
            len += copied.len;
            if last || !copied.complete {
                return Ok(Listing { len, complete: last && copied.complete });
            }
        }
    }

    /// Whether lists that are longer than a packet can be fetched: oxenstored (4.17) has no DIRECTORY_PART.
    pub fn lists_in_parts(&mut self, path: Path<'_>) -> Result<bool, Error> {
        match self.exchange(MessageType::DIRECTORY_PART, Transaction::NONE, &[path.as_str().as_bytes(), b"\x000\0"]) {
            Err(Error::Refused(Refusal::NOSYS)) => Ok(false),
            answer => unless_refused(answer).map(|_| true),
        }
    }

    /// Runs `body` in a transaction and commits it; from the start again when another one got in between (EAGAIN).
    /// When `body` fails, the transaction is aborted and its error returned, unless that is EAGAIN, too.
    pub fn transaction(
        &mut self,
        mut body: impl FnMut(&mut Self, Transaction) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.transact(&mut body)
    }

    /// The same, once in the binary.
    fn transact(&mut self, body: Body<'_, Self>) -> Result<(), Error> {
        for _ in 0..TRANSACTION_TRIES {
            let payload = self.exchange(MessageType::TRANSACTION_START, Transaction::NONE, &[b"\0"])?;
            let id = terminated(payload).and_then(number).ok_or(Error::Lost(Lost::NotXenstore))?;
            let transaction = Transaction(id);
            match body(self, transaction) {
                Ok(()) => match self.exchange(MessageType::TRANSACTION_END, transaction, &[b"T\0"]) {
                    Ok(_) => return Ok(()),
                    Err(error) if error.is(Refusal::AGAIN) => continue,
                    Err(error) => return Err(error),
                },
                Err(Error::Lost(lost)) => return Err(Error::Lost(lost)),
                Err(error) => {
                    // Refused when there is nothing to abort any more.
                    if let Err(Error::Lost(lost)) = self.exchange(MessageType::TRANSACTION_END, transaction, &[b"F\0"])
                    {
                        return Err(Error::Lost(lost));
                    }
                    if !error.is(Refusal::AGAIN) {
                        return Err(error);
                    }
                }
            }
        }
        Err(Error::Refused(Refusal::AGAIN))
    }

    /// Reads what has arrived, waiting for it if need be, and keeps the events in it. For a transport that is readable
    /// while no request is under way.
    pub fn receive_events(&mut self) -> Result<(), Error> {
        self.receive()?;
        self.keep_events()
    }

    /// The oldest watch event not yet returned.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, Error> {
        self.keep_events()?;
        let event = self.events.pop();
        if let Some(event) = &event {
            self.transport.heard(event);
        }
        Ok(event)
    }

    /// Overwrites the packet buffer, except for what has not been looked at yet: it may have carried a secret.
    pub fn wipe(&mut self) {
        self.decoder.wipe();
    }

    /// A request that is nothing but a path.
    #[inline(never)]
    fn about(&mut self, kind: MessageType, transaction: Transaction, path: Path<'_>) -> Result<&mut [u8], Error> {
        self.exchange(kind, transaction, &[path.as_str().as_bytes(), b"\0"])
    }

    /// One request and its reply's payload.
    fn exchange(&mut self, kind: MessageType, transaction: Transaction, pieces: &[&[u8]]) -> Result<&mut [u8], Error> {
        let asked = self.ask(kind, transaction, pieces);
        let about = pieces.first().copied().unwrap_or_default();
        // The end of a path is a piece of its own.
        let about = about.strip_suffix(b"\0").unwrap_or(about);
        self.transport.exchanged(kind, transaction.0, about, asked.err());
        asked?;
        Ok(self.decoder.payload())
    }

    /// The same; the payload is where the last packet's is.
    fn ask(&mut self, kind: MessageType, transaction: Transaction, pieces: &[&[u8]]) -> Result<(), Error> {
        self.keep_events()?;
        self.request_id = self.request_id.wrapping_add(1);
        let packet = request(&mut self.request, kind, self.request_id, transaction.0, pieces)?;
        if packet.len() > self.transport.longest() {
            return Err(Error::TooLong);
        }
        self.transport.send(packet)?;
        loop {
            match self.decoder.next_packet()? {
                None => self.receive()?,
                Some(header) if header.kind == kind => return Ok(()),
                Some(header) if header.kind == MessageType::WATCH_EVENT => self.events.push(self.decoder.payload())?,
                Some(header) if header.kind == MessageType::ERROR => {
                    return Err(Error::Refused(Refusal::parse(self.decoder.payload())));
                }
                Some(_) => return Err(Error::Lost(Lost::NotXenstore)),
            }
        }
    }

    fn receive(&mut self) -> Result<(), Error> {
        match self.transport.receive(self.decoder.space())? {
            0 => Err(Error::Lost(Lost::Closed)),
            n => {
                self.decoder.received(n);
                Ok(())
            }
        }
    }

    fn keep_events(&mut self) -> Result<(), Error> {
        while let Some(header) = self.decoder.next_packet()? {
            match header.kind {
                MessageType::WATCH_EVENT => self.events.push(self.decoder.payload())?,
                _ => return Err(Error::Lost(Lost::NotXenstore)),
            }
        }
        Ok(())
    }
}

/// Text up to the zero byte that ends it.
fn terminated(payload: &[u8]) -> Option<&str> {
    split_terminated(payload).map(|(text, _)| text)
}

fn split_terminated(payload: &[u8]) -> Option<(&str, &[u8])> {
    let mut parts = payload.splitn(2, |byte| *byte == 0);
    let text = core::str::from_utf8(parts.next()?).ok()?;
    Some((text, parts.next()?))
}

/// Copies as many whole names (each ends with a zero byte) as there is room for.
fn copy_names(list: &[u8], room: &mut [u8]) -> Listing {
    let fits = list.get(..room.len()).unwrap_or(list);
    let len = fits.iter().rposition(|byte| *byte == 0).map_or(0, |end| end + 1);
    for (place, byte) in room.iter_mut().zip(fits).take(len) {
        *place = *byte;
    }
    Listing { len, complete: len == list.len() }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
