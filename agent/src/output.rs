//! Standard output and standard error.

use core::fmt::{self, Write};

use nanova_core::cli::exit;
use nanova_core::wire::text::Bounded;
use rustix::fd::AsFd;
use rustix::io::Errno;

use crate::rt::stdio::{stderr, stdout};

/// Writes all of it.
pub(crate) fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(&fd, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
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
