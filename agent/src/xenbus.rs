//! The transport: Linux's xenbus device, or xenstored's socket.
//!
//! * One packet is one write(2); the device forgets what comes behind the first packet in a write.
//! * A read is never asked for no bytes; the device would hang.
//! * An answer is waited for in poll(2), and so are signals. (A write may block: the device's while the guest is
//!   suspended, a socket's while xenstored reads nothing.)

use nanova_core::wire::xenstore::{DEVICE_REQUEST_MAX, MessageType, REQUEST_MAX};
use nanova_core::xenstore::{Error, Event, Lost, Refusal, Transport};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use crate::errno::errno;
use crate::record;
use crate::rt::signals::Signals;
use crate::wait::{running_ms, timespec};

/// How long a request may still wait for its answer after the program was told to end.
const GRACE_MS: u64 = 2000;

/// How many descriptors are waited for beside the connection: news of links and of devices, and what a program prints.
pub(crate) const OTHERS: usize = 5;

/// What the connection is to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChannelKind {
    /// A character device.
    Device,
    /// A unix socket.
    Socket,
}

/// Why waiting ended.
pub(crate) enum Wake {
    /// There is something to read.
    Readable,
    /// A signal came.
    Signal,
    /// There is something to read from another descriptor.
    Other,
}

/// An open connection.
pub(crate) struct Xenbus<'a> {
    pub(crate) fd: OwnedFd,
    pub(crate) kind: ChannelKind,
    signals: Option<&'a Signals>,
    /// poll(2) has just said that there is something to read.
    readable: bool,
    /// Until when answers are waited for, by [`running_ms`]; for ever without.
    until: Option<u64>,
    /// When the request was sent, by the recorder's clock.
    sent: u64,
}

impl<'a> Xenbus<'a> {
    pub(crate) fn new(fd: OwnedFd, kind: ChannelKind, signals: Option<&'a Signals>) -> Xenbus<'a> {
        Xenbus { fd, kind, signals, readable: false, until: None, sent: 0 }
    }

    /// From this moment on, by [`running_ms`], an answer that is not there is [`Lost::Silent`]: a device can be open
    /// before its xenstored is there.
    pub(crate) fn answer_until(&mut self, moment: u64) {
        self.until = Some(moment);
    }

    /// Waits, for ever or so long, until there is something to read, here or from one of the others, or a signal has
    /// come.
    pub(crate) fn wait(
        &mut self,
        others: [Option<&OwnedFd>; OTHERS],
        timeout: Option<&Timespec>,
    ) -> Result<Option<Wake>, Errno> {
        let Some(signals) = self.signals else { return Ok(Some(Wake::Readable)) };
        let mut fds = heapless::Vec::<PollFd<'_>, { 2 + OTHERS }>::new();
        for fd in [&self.fd, signals.fd()].into_iter().chain(others.into_iter().flatten()) {
            let _ = fds.push(PollFd::new(fd, PollFlags::IN));
        }
        match poll(&mut fds, timeout) {
            Ok(0) => return Ok(None),
            Err(Errno::INTR) => return Ok(Some(Wake::Signal)),
            result => result?,
        };
        let came = |place: usize| fds.get(place).is_some_and(|fd| !fd.revents().is_empty());
        self.readable |= came(0);
        if came(1) {
            signals.take();
            return Ok(Some(Wake::Signal));
        }
        Ok(Some(if self.readable { Wake::Readable } else { Wake::Other }))
    }

    /// Waits for the answer to a request; once the program was told to end, not for long.
    fn wait_for_answer(&mut self) -> Result<(), Error> {
        while !self.readable {
            let stopping = self.signals.is_some_and(Signals::stop);
            let left = self.until.map(|until| until.saturating_sub(running_ms()));
            let timeout = [stopping.then_some(GRACE_MS), left].into_iter().flatten().min().map(timespec);
            match self.wait([None; OTHERS], timeout.as_ref()).map_err(lost)? {
                Some(Wake::Readable) => return Ok(()),
                Some(_) => {}
                None if stopping => return Err(Error::Lost(Lost::Stopped)),
                None => return Err(Error::Lost(Lost::Silent)),
            }
        }
        Ok(())
    }
}

fn lost(error: Errno) -> Error {
    Error::Lost(Lost::Errno(errno(error).0))
}

/// The device reports a failed WATCH, and some other refusals, as write(2)'s errno. These are not refusals.
fn is_fatal(error: Errno) -> bool {
    matches!(error, Errno::IO | Errno::NODEV | Errno::NXIO | Errno::BADF | Errno::PIPE)
}

impl Transport for Xenbus<'_> {
    fn send(&mut self, packet: &[u8]) -> Result<(), Error> {
        self.sent = record::started();
        let mut done = 0;
        while let Some(rest @ [_, ..]) = packet.get(done..) {
            match rustix::io::write(&self.fd, rest) {
                Ok(len) => done += len,
                Err(Errno::INTR) => {}
                Err(error) if self.kind == ChannelKind::Device && !is_fatal(error) => {
                    let name = errno(error).name().unwrap_or("EINVAL");
                    return Err(Error::Refused(Refusal::named(name)));
                }
                Err(error) => return Err(lost(error)),
            }
        }
        Ok(())
    }

    fn exchanged(&mut self, kind: MessageType, transaction: u32, path: &[u8], error: Option<Error>) {
        record::exchanged(kind, transaction, path, error, self.sent);
    }

    fn heard(&mut self, event: &Event<'_>) {
        record::heard(event);
    }

    fn longest(&self) -> usize {
        if self.kind == ChannelKind::Socket { REQUEST_MAX } else { DEVICE_REQUEST_MAX }
    }

    fn receive(&mut self, space: &mut [u8]) -> Result<usize, Error> {
        loop {
            self.wait_for_answer()?;
            self.readable = false;
            match rustix::io::read(&self.fd, &mut *space) {
                Ok(n) => return Ok(n),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(lost(error)),
            }
        }
    }
}
