//! Standard output and standard error.

use core::fmt::{self, Write};

use nanova_core::cli::exit;
use nanova_core::wire::text::Bounded;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;

use crate::rt::stdio::{stderr, stdout};

/// Writes all of it.
pub(crate) fn write_all(fd: impl AsFd, bytes: &[u8]) -> Result<(), Errno> {
    let mut done = 0;
    while let Some(rest @ [_, ..]) = bytes.get(done..) {
        match rustix::io::write(&fd, rest) {
            Ok(0) => return Err(Errno::IO),
            Ok(len) => done += len,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Writes as much as can be written without waiting for whoever reads; returns how many bytes that is. A descriptor
/// that would wait is asked first whether it can be written.
///
/// A pipe that poll(2) says can be written has room for PIPE_BUF bytes, which are more than a line, and a socket for
/// three quarters of what it holds. A terminal may have room for one byte: there the descriptor has to be non-blocking.
#[inline(never)]
pub(crate) fn write_now(fd: BorrowedFd<'_>, would_wait: bool, bytes: &[u8]) -> usize {
    const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut done = 0;
    while let Some(rest @ [_, ..]) = bytes.get(done..) {
        if would_wait && poll(&mut [PollFd::new(&fd, PollFlags::OUT)], Some(&NOW)) == Ok(0) {
            break;
        }
        match rustix::io::write(fd, rest) {
            Err(Errno::INTR) => {}
            Ok(0) | Err(_) => break,
            Ok(len) => done += len,
        }
    }
    done
}

/// Prints a text; returns the exit code.
pub(crate) fn print(text: &str) -> i32 {
    match write_all(stdout(), text.as_bytes()) {
        Ok(()) => exit::DONE,
        Err(_) => exit::FAILED,
    }
}

/// One line on standard error. If that is closed there is nobody to tell.
pub(crate) fn complain(what: fmt::Arguments<'_>) {
    let mut line = Bounded::<512>::new();
    let _ = writeln!(line, "nanova: {what}");
    let _ = write_all(stderr(), line.as_str().as_bytes());
}

/// Standard output, collected to few system calls.
pub(crate) struct Stdout {
    buffer: heapless::Vec<u8, 4096>,
    failed: bool,
}

impl Stdout {
    pub(crate) const fn new() -> Stdout {
        Stdout { buffer: heapless::Vec::new(), failed: false }
    }

    /// Adds bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.buffer.capacity()) {
            if self.buffer.extend_from_slice(piece).is_err() {
                self.write_out();
                let _ = self.buffer.extend_from_slice(piece);
            }
        }
    }

    /// Writes what was added; returns whether everything so far could be written.
    pub(crate) fn write_out(&mut self) -> bool {
        self.failed |= write_all(stdout(), &self.buffer).is_err();
        self.buffer.clear();
        !self.failed
    }
}

impl Write for Stdout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.as_bytes());
        Ok(())
    }
}
