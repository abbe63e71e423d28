//! Ctrl-C and SIGTERM, as a descriptor that poll(2) waits for: what waits in a guest is taken back before the end.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// Readable from the first signal on.
pub(crate) struct Interrupt(UnixStream);

impl Interrupt {
    /// Takes these signals from now on.
    pub(crate) fn new() -> io::Result<Interrupt> {
        let (told, tells) = UnixStream::pair()?;
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            pipe::register(signal, tells.try_clone()?)?;
        }
        Ok(Interrupt(told))
    }
}

impl Interrupt {
    /// What came until now was somebody else's: an editor has its own use for Ctrl-C, and its signals come here, too.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        self.0.set_nonblocking(true)?;
        match self.0.read(&mut [0; 256]) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    #[test]
    fn a_signal_is_heard_until_it_is_forgotten() {
        let mut interrupt = Interrupt::new().unwrap();
        let is_heard = |interrupt: &Interrupt| {
            let none = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut [PollFd::new(interrupt, PollFlags::IN)], Some(&none)).unwrap() == 1
        };
        for _ in 0..2 {
            assert!(!is_heard(&interrupt));
            signal_hook::low_level::raise(SIGINT).unwrap();
            signal_hook::low_level::raise(SIGHUP).unwrap();
            assert!(is_heard(&interrupt));
            interrupt.forget().unwrap();
        }
        interrupt.forget().unwrap();
    }
}
