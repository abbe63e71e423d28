//! The device behind a terminal in raw mode, whose path takes the place of /dev/xen/xenbus.
//!
//! Guarantees: bytes pass unchanged; when the client closes the path, its transactions, watches and unread replies are
//! gone and the next client finds a fresh file. One client at a time: two would share the file, which they do not in
//! Linux.
//!
//! What a terminal cannot do: the boundaries of write(2) are not visible, so bytes that arrive together with a message,
//! before its reply, count as a second message in the same write: a violation, and they are dropped as Linux drops
//! them. The errno of a failed write(2) cannot be given back either; an ERROR packet comes in its place. Time passes
//! between a close and its being noticed (a wake-up of one thread).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::fs::{Mode, OFlags, fcntl_setfl};
use rustix::io::Errno as OsErrno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr};

use super::device::Device;
use super::outbox::{Outbox, lock};
use super::wire::{HEADER, Packet, announced_len};

/// A message above this is no message but rubbish, whose end need not be waited for.
const RUBBISH: usize = 0x1_0000;

/// A path to open in place of /dev/xen/xenbus.
#[derive(Debug)]
pub struct Pty {
    path: PathBuf,
    device: Arc<Mutex<Device>>,
    outbox: Arc<Outbox>,
    over: Arc<AtomicBool>,
    suspended: Arc<Mutex<bool>>,
    pump: Option<JoinHandle<()>>,
}

impl Pty {
    /// Puts a device behind a new terminal.
    pub(super) fn new(device: Device) -> io::Result<Pty> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = PathBuf::from(ptsname(&master, Vec::new())?.into_string().map_err(io::Error::other)?);
        let slave = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut termios = tcgetattr(&slave)?;
        termios.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &termios)?;
        fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
        let closes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        inotify::add_watch(&closes, &path, WatchFlags::OPEN | WatchFlags::CLOSE)?;

        let outbox = device.outbox();
        let (over, suspended) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(false)));
        let device = Arc::new(Mutex::new(device));
        let pump = Pump {
            device: device.clone(),
            outbox: outbox.clone(),
            over: over.clone(),
            suspended: suspended.clone(),
            master,
            slave,
            closes,
            partial: Vec::new(),
            skip: 0,
            unsent: Vec::new(),
        };
        Ok(Pty { path, device, outbox, over, suspended, pump: Some(thread::spawn(move || pump.run())) })
    }

    /// What to open.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the clients did that they must not do; see [`Device::violations`].
    pub fn violations(&self) -> Vec<String> {
        lock(&self.device).violations()
    }

    /// From now on nothing passes, in either direction, until `resume`: the guest is suspended, or (before the first
    /// request) its xenstored is not there yet. In Linux write(2) waits as well, which a terminal's only does when
    /// full. A request that is under way is answered first (`xs_suspend_enter` waits for it).
    pub fn suspend(&self) {
        *lock(&self.suspended) = true;
        self.outbox.ring();
    }

    /// The end of a suspend; see [`Device::resume`].
    pub fn resume(&self) {
        lock(&self.device).resume();
        *lock(&self.suspended) = false;
        self.outbox.ring();
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.outbox.ring();
        if let Some(pump) = self.pump.take() {
            // A panic of it was reported when it happened.
            let _ = pump.join();
        }
    }
}

/// The thread between the terminal and the device.
struct Pump {
    device: Arc<Mutex<Device>>,
    outbox: Arc<Outbox>,
    over: Arc<AtomicBool>,
    suspended: Arc<Mutex<bool>>,
    /// Our end.
    master: OwnedFd,
    /// The client's end, kept open: without it the terminal would hang up when the client closes.
    slave: OwnedFd,
    /// Tells of each open and close of the path.
    closes: OwnedFd,
    /// The beginning of a message.
    partial: Vec<u8>,
    /// How much of a message that was refused is still to come.
    skip: usize,
    /// What the device gave and the terminal did not take yet.
    unsent: Vec<u8>,
}

impl Pump {
    fn run(mut self) {
        while !self.over.load(Ordering::SeqCst) {
            let mut passing = PollFlags::empty();
            if !self.is_suspended() {
                self.send();
                passing = if self.unsent.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
            }
            let mut fds = [
                PollFd::new(&self.master, passing),
                PollFd::new(&self.closes, PollFlags::IN),
                PollFd::from_borrowed_fd(self.outbox.bell(), PollFlags::IN),
            ];
            if poll(&mut fds, None).is_err() {
                continue;
            }
            let [readable, closed, rung] = fds.map(|fd| fd.revents().contains(PollFlags::IN));
            if rung {
                self.outbox.silence();
            }
            // The close comes first: what is readable then was written before it, unless the path is open again.
            if closed {
                self.note_closes();
            }
            // What a client writes after a suspend is not read, even if this poll(2) began before it.
            let suspended = Arc::clone(&self.suspended);
            let suspended = lock(&suspended);
            if readable && !*suspended {
                self.receive();
            }
        }
    }

    fn is_suspended(&self) -> bool {
        *lock(&self.suspended)
    }

    /// From the device to the client, as much as the terminal takes.
    fn send(&mut self) {
        loop {
            if self.unsent.is_empty() {
                let mut chunk = [0; 4096];
                match lock(&self.device).read(&mut chunk, true) {
                    Ok(len) => self.unsent.extend_from_slice(&chunk[..len]),
                    Err(_) => return,
                }
            }
            match rustix::io::write(&self.master, &self.unsent) {
                Ok(len) => drop(self.unsent.drain(..len)),
                Err(OsErrno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// From the client to the device: one chunk, or nothing. True if there was something.
    fn receive(&mut self) -> bool {
        let mut chunk = [0; 8192];
        match rustix::io::read(&self.master, &mut chunk) {
            Ok(len) if len > 0 => {
                self.take(&chunk[..len]);
                true
            }
            _ => false,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.partial.extend_from_slice(&bytes[skipped..]);
        let Some(len) = announced_len(&self.partial) else { return };
        let message = HEADER + len;
        let too_long = message > 4096;
        if self.partial.len() < message && !too_long {
            return;
        }
        let mut written = std::mem::take(&mut self.partial);
        if too_long {
            // The rest of it would be taken for the next message.
            self.skip = if message < RUBBISH { message.saturating_sub(written.len()) } else { 0 };
            written.truncate(HEADER);
        }
        let mut device = lock(&self.device);
        if let Err(errno) = device.write(&written) {
            let word = |at: usize| u32::from_ne_bytes(written[at..at + 4].try_into().expect("four bytes"));
            let request = Packet { kind: word(0), req_id: word(4), tx_id: word(8), payload: Vec::new() };
            device.refuse(&request, errno);
        }
    }

    /// Makes the file a fresh one if the client has closed it.
    fn note_closes(&mut self) {
        let (mut closed, mut open) = (false, false);
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut events = inotify::Reader::new(&self.closes, &mut buffer);
        while let Ok(event) = events.next() {
            open = event.events().contains(ReadFlags::OPEN);
            closed |= !open;
        }
        if !closed {
            return;
        }
        // The last words of the old client, answered to nobody; but if a new one is there, they may be its first.
        while !open && self.receive() {}
        lock(&self.device).reopen();
        (self.partial, self.skip, self.unsent) = (Vec::new(), 0, Vec::new());
        // A terminal that cannot be flushed would have failed before.
        let _ = tcflush(&self.slave, QueueSelector::IFlush);
    }
}

#[cfg(test)]
#[path = "pty_tests.rs"]
mod tests;
