//! Ctrl-C and SIGTERM, as a descriptor that poll(2) waits for: what waits in a guest is taken back before the end.

use std::io;
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

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
