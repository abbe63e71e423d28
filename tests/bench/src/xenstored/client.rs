//! A small blocking client: the host's side of a test, or a raw client on the guest's socket.
//!
//! Guarantees: events that arrive between a request and its reply are kept for [`Client::wait_event`]; a reply of
//! another type or with another number than the request's is an error, so the client checks the daemon too. Has no
//! opinion on what it sends: [`Client::raw`] sends anything, and [`Client::send_bytes`] does so without a header of its
//! own.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::wire::{Errno, Packet, PacketReader, op, strings};

/// Why something did not work.
#[derive(Debug)]
pub enum Error {
    /// The daemon said no.
    Refused(Errno),
    /// The socket, or what came over it.
    Transport(io::Error),
}

impl Error {
    /// The daemon's error, if it was the daemon's.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Error::Refused(errno) => Some(*errno),
            Error::Transport(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(errno) => f.write_str(errno.name()),
            Error::Transport(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Transport(error)
    }
}

/// What a client's requests come to.
pub type Result<T> = std::result::Result<T, Error>;

/// A watch event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The changed node; relative if the watch was.
    pub path: String,
    /// The token of the watch.
    pub token: String,
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    reader: PacketReader,
    events: VecDeque<Event>,
    last_id: u32,
    transaction: u32,
}

impl Client {
    /// Connects to a socket of the daemon.
    pub fn connect(path: &Path) -> io::Result<Client> {
        let stream = UnixStream::connect(path)?;
        Ok(Client { stream, reader: PacketReader::default(), events: VecDeque::new(), last_id: 0, transaction: 0 })
    }

    /// The value of a node.
    pub fn read(&mut self, path: &str) -> Result<Vec<u8>> {
        self.request(op::READ, path_payload(path))
    }

    /// The value of a node, as text; None if there is no such node.
    pub fn get(&mut self, path: &str) -> Result<Option<String>> {
        match self.read(path) {
            Ok(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
            Err(Error::Refused(Errno::Enoent)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a node, and makes it and its parents if need be.
    pub fn write(&mut self, path: &str, value: impl AsRef<[u8]>) -> Result<()> {
        self.request(op::WRITE, [path_payload(path).as_slice(), value.as_ref()].concat()).map(drop)
    }

    /// Makes a node, unless it is there.
    pub fn mkdir(&mut self, path: &str) -> Result<()> {
        self.request(op::MKDIR, path_payload(path)).map(drop)
    }

    /// Removes a node and all below it.
    pub fn rm(&mut self, path: &str) -> Result<()> {
        self.request(op::RM, path_payload(path)).map(drop)
    }

    /// The names of a node's children, however many there are.
    pub fn list(&mut self, path: &str) -> Result<Vec<String>> {
        match self.request(op::DIRECTORY, path_payload(path)) {
            Ok(children) => Ok(texts(&children)),
            Err(Error::Refused(Errno::E2big)) => self.list_in_parts(path),
            Err(error) => Err(error),
        }
    }

    /// The permissions of a node, in one string: `n7 r0`.
    pub fn perms(&mut self, path: &str) -> Result<String> {
        self.request(op::GET_PERMS, path_payload(path)).map(|perms| texts(&perms).join(" "))
    }

    /// Sets the permissions of a node, given as `n7 r0`.
    pub fn set_perms(&mut self, path: &str, perms: &str) -> Result<()> {
        let perms: String = perms.split_whitespace().flat_map(|perm| [perm, "\0"]).collect();
        self.request(op::SET_PERMS, [path_payload(path), perms.into_bytes()].concat()).map(drop)
    }

    /// Watches a node and all below it.
    pub fn watch(&mut self, path: &str, token: &str) -> Result<()> {
        self.request(op::WATCH, format!("{path}\0{token}\0").into_bytes()).map(drop)
    }

    /// Watches no more.
    pub fn unwatch(&mut self, path: &str, token: &str) -> Result<()> {
        self.request(op::UNWATCH, format!("{path}\0{token}\0").into_bytes()).map(drop)
    }

    /// The next event; None if none comes in time.
    pub fn wait_event(&mut self, timeout: Duration) -> Result<Option<Event>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.receive() {
                Ok(None) => {}
                Ok(Some(packet)) => return Err(surprise(&format!("a reply nobody asked for: {packet:?}"))),
                Err(Error::Transport(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Begins a transaction; what follows is part of it until `commit` or `abort`.
    pub fn begin(&mut self) -> Result<u32> {
        let id = self.request(op::TRANSACTION_START, vec![0])?;
        let id = texts(&id).first().and_then(|id| id.parse().ok()).ok_or_else(|| surprise("no transaction id"))?;
        self.transaction = id;
        Ok(id)
    }

    /// Ends the transaction and keeps its changes; EAGAIN if there was a conflict.
    pub fn commit(&mut self) -> Result<()> {
        self.end(b"T\0")
    }

    /// Ends the transaction and forgets its changes.
    pub fn abort(&mut self) -> Result<()> {
        self.end(b"F\0")
    }

    /// Runs a closure in a transaction, again and again until it commits without a conflict.
    pub fn transaction<T>(&mut self, mut body: impl FnMut(&mut Client) -> Result<T>) -> Result<T> {
        loop {
            self.begin()?;
            let result = match body(self) {
                Ok(result) => result,
                Err(error) => {
                    self.abort()?;
                    return Err(error);
                }
            };
            match self.commit() {
                Ok(()) => return Ok(result),
                Err(Error::Refused(Errno::Eagain)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends any packet, and gives back its reply's type and payload as they came.
    pub fn raw(&mut self, kind: u32, transaction: u32, payload: &[u8]) -> Result<(u32, Vec<u8>)> {
        self.last_id = self.last_id.wrapping_add(1);
        let request = Packet { kind, req_id: self.last_id, tx_id: transaction, payload: payload.to_vec() };
        self.stream.write_all(&request.to_bytes())?;
        self.stream.set_read_timeout(None)?;
        loop {
            if let Some(reply) = self.receive()? {
                let matches = (reply.req_id, reply.tx_id) == (self.last_id, transaction);
                if matches && (reply.kind == kind || reply.kind == op::ERROR) {
                    return Ok((reply.kind, reply.payload));
                }
                return Err(surprise(&format!("{reply:?} is no reply to {request:?}")));
            }
        }
    }

    /// Sends bytes as they are, without waiting for anything.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    fn request(&mut self, kind: u32, payload: Vec<u8>) -> Result<Vec<u8>> {
        // Watches have nothing to do with transactions.
        let transaction = if matches!(kind, op::WATCH | op::UNWATCH) { 0 } else { self.transaction };
        match self.raw(kind, transaction, &payload)? {
            (op::ERROR, name) => Err(Error::Refused(Errno::from_payload(&name))),
            (_, payload) => Ok(payload),
        }
    }

    fn end(&mut self, how: &[u8]) -> Result<()> {
        let result = self.request(op::TRANSACTION_END, how.to_vec()).map(drop);
        self.transaction = 0;
        result
    }

    /// Starts anew whenever the directory changed between two parts.
    fn list_in_parts(&mut self, path: &str) -> Result<Vec<String>> {
        let mut generation = None;
        let mut children = Vec::new();
        loop {
            let payload = format!("{path}\0{}\0", children.len()).into_bytes();
            let part = self.request(op::DIRECTORY_PART, payload)?;
            let end = part.iter().position(|byte| *byte == 0).ok_or_else(|| surprise("no generation"))?;
            let (this, names) = (part[..end].to_vec(), &part[end + 1..]);
            if generation.get_or_insert_with(|| this.clone()) != &this {
                generation = None;
                children.clear();
                continue;
            }
            // The end is marked by an empty name: two NULs in a row, or one alone.
            match names {
                [0] => return Ok(texts(&children)),
                [names @ .., 0, 0] => {
                    children.extend_from_slice(names);
                    children.push(0);
                    return Ok(texts(&children));
                }
                _ => children.extend_from_slice(names),
            }
        }
    }

    /// A reply; None when it was an event, which is kept.
    fn receive(&mut self) -> Result<Option<Packet>> {
        let packet = self.reader.next(&mut self.stream)?;
        let packet = packet.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        if packet.kind != op::WATCH_EVENT {
            return Ok(Some(packet));
        }
        match texts(&packet.payload).as_slice() {
            [path, token] => self.events.push_back(Event { path: path.clone(), token: token.clone() }),
            _ => return Err(surprise("an event without its two strings")),
        }
        Ok(None)
    }
}

fn path_payload(path: &str) -> Vec<u8> {
    format!("{path}\0").into_bytes()
}

fn texts(payload: &[u8]) -> Vec<String> {
    strings(payload).into_iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

fn surprise(what: &str) -> Error {
    Error::Transport(io::Error::new(io::ErrorKind::InvalidData, what))
}
