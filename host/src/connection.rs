//! The connection to xenstored: its socket, or Linux's device.
//!
//! Guarantees: on a socket many requests may be under way, their replies told apart by number; on the device one at a
//! time, as a second one would be answered with the first one's bytes (`drivers/xen/xenbus/xenbus_dev_frontend.c`), and
//! its reply is the next one, as some kernels put numbers of their own in it. Events that come in between are kept.
//! Nothing here waits longer than it is told.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nanova_core::wire::xenstore::{
    DEVICE_REQUEST_MAX, Decoder, HEADER_LEN, Header, MessageType, PAYLOAD_MAX, REQUEST_MAX, Refusal, request,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use zeroize::Zeroize;

use crate::fault::Fault;
use crate::interrupt::Interrupt;
use crate::op::{Op, Reply, printable};

/// Where xenstored is, in the order in which it is looked for: xenstored's own sockets cost fewer turns than the
/// device.
const PLACES: [&str; 4] = ["/run/xenstored/socket", "/var/run/xenstored/socket", "/dev/xen/xenbus", "/proc/xen/xenbus"];
/// How many requests may be under way on a socket: enough that neither side waits for the other.
const SOCKET_WINDOW: usize = 64;

/// How long xenstored itself may take for what it does at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a request is told apart by where its reply is used.
pub(crate) type Tag = usize;
/// The tags of what is waited for at once begin here; others' are below.
const AT_ONCE: Tag = Tag::MAX / 2;

/// Something came from xenstored, or did not.
pub(crate) enum Happening {
    /// The reply to the request with this tag.
    Reply(Tag, Reply),
    /// The watch with this token fired.
    Fired(String),
    /// The moment that was waited for has come.
    Late,
    /// Somebody wants an end.
    Interrupted,
}

/// An open connection.
pub(crate) struct Connection {
    file: File,
    place: PathBuf,
    decoder: Box<Decoder>,
    /// How many requests may be under way.
    window: usize,
    last_id: u32,
    /// What is still to be sent.
    queue: VecDeque<(Tag, Op)>,
    /// The bytes of a packet that the socket had no room for.
    rest: Vec<u8>,
    /// What is waited for: number and tag.
    asked: VecDeque<(u32, Tag)>,
    come: VecDeque<Happening>,
    /// Until somebody wanted an end.
    interrupt: Option<Interrupt>,
    verbose: bool,
}

impl Connection {
    /// Opens this place, or the first that is there.
    pub(crate) fn open(place: Option<&Path>, verbose: bool, interrupt: Interrupt) -> Result<Connection, Fault> {
        let named = std::env::var_os("XENSTORED_PATH").map(PathBuf::from);
        let place = match place.map(Path::to_owned).or(named) {
            Some(place) => place,
            None => PLACES.iter().map(PathBuf::from).find(|place| place.exists()).ok_or_else(|| {
                Fault::here(format!(
                    "no xenstored: none of {} is there; is this dom0, and xenstored running? --xenbus names another place",
                    PLACES.join(", ")
                ))
            })?,
        };
        let wrong = |error: io::Error| {
            let advice = match error.kind() {
                io::ErrorKind::PermissionDenied => "; run this as root",
                io::ErrorKind::NotFound => "; is this dom0, and xenstored running?",
                _ => "",
            };
            Fault::here(format!("cannot open {}: {error}{advice}", place.display()))
        };
        let is_socket = place.metadata().map_err(wrong)?.file_type().is_socket();
        let file = if is_socket { socket(&place) } else { OpenOptions::new().read(true).write(true).open(&place) };
        let file = file.map_err(wrong)?;
        let flags = rustix::fs::fcntl_getfl(&file).map_err(|error| wrong(error.into()))?;
        rustix::fs::fcntl_setfl(&file, flags | rustix::fs::OFlags::NONBLOCK).map_err(|error| wrong(error.into()))?;
        Ok(Connection {
            file,
            place,
            decoder: Box::default(),
            window: if is_socket { SOCKET_WINDOW } else { 1 },
            last_id: 0,
            queue: VecDeque::new(),
            rest: Vec::new(),
            asked: VecDeque::new(),
            come: VecDeque::new(),
            interrupt: Some(interrupt),
            verbose,
        })
    }

    /// Whoever wanted an end until now meant another program.
    pub(crate) fn forget_interrupt(&mut self) -> Result<(), Fault> {
        let forgotten = self.interrupt.as_mut().map_or(Ok(()), Interrupt::forget);
        forgotten.map_err(|error| Fault::here(format!("cannot take signals: {error}")))
    }

    /// Longest payload of a request.
    pub(crate) fn payload_max(&self) -> usize {
        if self.window == 1 { DEVICE_REQUEST_MAX - HEADER_LEN } else { PAYLOAD_MAX }
    }

    /// Has a request sent as soon as there is room.
    pub(crate) fn submit(&mut self, tag: Tag, op: Op) {
        self.queue.push_back((tag, op));
    }

    /// One request, and what comes of it.
    pub(crate) fn ask(&mut self, op: Op) -> Result<Reply, Fault> {
        Ok(self.ask_all([op])?.pop().unwrap_or(Err(Refusal::INVAL)))
    }

    /// Many requests; their replies are in the same order. What else comes in between is kept.
    pub(crate) fn ask_all(&mut self, ops: impl IntoIterator<Item = Op>) -> Result<Vec<Reply>, Fault> {
        let mut replies = Vec::new();
        for (tag, op) in ops.into_iter().enumerate() {
            self.submit(AT_ONCE + tag, op);
            replies.push(Err(Refusal::INVAL));
        }
        let mut fired = VecDeque::new();
        let mut left = replies.len();
        while left > 0 {
            match self.next(Some(Instant::now() + PATIENCE))? {
                Happening::Reply(tag, reply) if tag >= AT_ONCE => {
                    left -= 1;
                    if let Some(place) = replies.get_mut(tag - AT_ONCE) {
                        *place = reply;
                    }
                }
                Happening::Late => {
                    let seconds = PATIENCE.as_secs();
                    let place = self.place.display();
                    return Err(Fault::here(format!(
                        "xenstored at {place} does not answer for {seconds} s; does it run?"
                    )));
                }
                Happening::Interrupted => return Err(Fault::Interrupted),
                other => fired.push_back(other),
            }
        }
        fired.append(&mut self.come);
        self.come = fired;
        Ok(replies)
    }

    /// The names of a node's children, however many; none if there is no such node.
    pub(crate) fn list(&mut self, path: &str) -> Result<Vec<String>, Fault> {
        match self.ask(Op::list(path))? {
            Ok(names) => Ok(texts(&names)),
            Err(refusal) if refusal == Refusal::NOENT => Ok(Vec::new()),
            Err(refusal) if refusal == Refusal::TOOBIG => self.list_in_parts(path),
            Err(refusal) => Err(Fault::here(format!("xenstored refuses to list {path}: {refusal}"))),
        }
    }

    /// Anew whenever the list changes between two parts.
    fn list_in_parts(&mut self, path: &str) -> Result<Vec<String>, Fault> {
        let (mut names, mut generation) = (Vec::new(), Vec::new());
        loop {
            let part = self.ask(Op::list_from(path, names.len()))?;
            let part = part.map_err(|refusal| Fault::here(format!("xenstored refuses to list {path}: {refusal}")))?;
            let end = part.iter().position(|byte| *byte == 0).unwrap_or(part.len());
            let (this, more) = (part.get(..end).unwrap_or_default(), part.get(end + 1..).unwrap_or_default());
            if !names.is_empty() && this != generation {
                names.clear();
                continue;
            }
            generation = this.to_vec();
            match more {
                // The end is an empty name.
                [] | [0] => return Ok(texts(&names)),
                [last @ .., 0, 0] => {
                    names.extend_from_slice(last);
                    return Ok(texts(&names));
                }
                more => names.extend_from_slice(more),
            }
        }
    }

    /// What happens next, until this moment; what is to be sent is sent meanwhile. That somebody wants an end is told
    /// once.
    pub(crate) fn next(&mut self, until: Option<Instant>) -> Result<Happening, Fault> {
        loop {
            self.send()?;
            if let Some(happening) = self.come.pop_front() {
                return Ok(happening);
            }
            let left = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => return Ok(Happening::Late),
                left => left,
            };
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let write = if self.rest.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            let mut ready = vec![PollFd::new(&self.file, PollFlags::IN | write)];
            ready.extend(self.interrupt.as_ref().map(|interrupt| PollFd::new(interrupt, PollFlags::IN)));
            match poll(&mut ready, left.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(self.lost(&error.into())),
            }
            let stopped = ready.get(1).is_some_and(|fd| !fd.revents().is_empty());
            if stopped {
                self.interrupt = None;
                return Ok(Happening::Interrupted);
            }
            self.receive()?;
        }
    }

    /// Sends what there is room for.
    fn send(&mut self) -> Result<(), Fault> {
        loop {
            if !self.rest.is_empty() {
                match self.file.write(&self.rest) {
                    Ok(written) if written == self.rest.len() => self.rest.zeroize(),
                    Ok(written) => self.rest.drain(..written).for_each(drop),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // The device has no packet for a watch that is refused, but this.
                    Err(error) if self.window == 1 => self.refused_by_the_device(&error)?,
                    Err(error) => return Err(self.lost(&error)),
                }
                continue;
            }
            if self.asked.len() >= self.window {
                return Ok(());
            }
            let Some((tag, op)) = self.queue.pop_front() else { return Ok(()) };
            self.pack(tag, &op);
        }
    }

    fn pack(&mut self, tag: Tag, op: &Op) {
        self.last_id = self.last_id.wrapping_add(1);
        if self.verbose {
            eprintln!("> {} {op}", self.last_id);
        }
        let mut room = [0; REQUEST_MAX];
        match request(&mut room, op.kind, self.last_id, 0, &[op.path.as_bytes(), b"\0", &op.rest]) {
            Ok(packet) if packet.len() <= HEADER_LEN + self.payload_max() => {
                self.rest.zeroize();
                self.rest.extend_from_slice(packet);
                self.asked.push_back((self.last_id, tag));
            }
            _ => self.come.push_back(Happening::Reply(tag, Err(Refusal::TOOBIG))),
        }
        room.zeroize();
    }

    /// write(2) of a request failed.
    fn refused_by_the_device(&mut self, error: &io::Error) -> Result<(), Fault> {
        self.rest.zeroize();
        match (self.asked.pop_back(), error.raw_os_error()) {
            (Some((_, tag)), Some(_)) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.come.push_back(Happening::Reply(tag, Err(Refusal::INVAL)));
                Ok(())
            }
            _ => Err(self.lost(error)),
        }
    }

    fn receive(&mut self) -> Result<(), Fault> {
        match self.file.read(self.decoder.space()) {
            Ok(0) => return Err(self.lost(&io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => self.decoder.received(read),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(self.lost(&error)),
        }
        loop {
            let packet = self.decoder.next_packet();
            match packet.map_err(|_| Fault::here(format!("what {} sends is not xenstore", self.place.display())))? {
                None => return Ok(()),
                Some(header) => self.take(header),
            }
        }
    }

    /// Keeps what has come.
    fn take(&mut self, header: Header) {
        let payload = self.decoder.payload().to_vec();
        if header.kind == MessageType::WATCH_EVENT {
            let mut words = texts(&payload).into_iter();
            if let (Some(path), Some(token)) = (words.next(), words.next()) {
                self.tell(|| format!("< WATCH_EVENT {} {}", printable(path.as_bytes()), printable(token.as_bytes())));
                self.come.push_back(Happening::Fired(token));
            }
            return;
        }
        let mine = |(id, _): &(u32, Tag)| self.window == 1 || *id == header.request_id;
        let Some((id, tag)) = self.asked.iter().position(mine).and_then(|place| self.asked.remove(place)) else {
            return;
        };
        let reply = if header.kind == MessageType::ERROR { Err(Refusal::parse(&payload)) } else { Ok(payload) };
        self.tell(|| match &reply {
            Ok(payload) => format!("< {id} ({} bytes)", payload.len()),
            Err(refusal) => format!("< {id} {refusal}"),
        });
        self.come.push_back(Happening::Reply(tag, reply));
    }

    fn tell(&self, line: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{}", line());
        }
    }

    fn lost(&self, error: &io::Error) -> Fault {
        Fault::here(format!("xenstored at {} is gone: {error}", self.place.display()))
    }
}

fn socket(place: &Path) -> io::Result<File> {
    Ok(File::from(OwnedFd::from(UnixStream::connect(place)?)))
}

/// The texts of a payload, each ended by a zero byte.
pub(crate) fn texts(payload: &[u8]) -> Vec<String> {
    let words = payload.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}
