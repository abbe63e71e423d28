//! A password from a person's terminal, which does not show it, or from standard input.
//!
//! Guarantees: the terminal shows again what is typed, however it ends. What was read is overwritten when it is
//! dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::fault::Fault;
use crate::interrupt::Interrupt;

/// More than any password has.
const LINE_MAX: usize = 4096;

/// Asks twice, and takes it if it is the same.
pub(crate) fn ask() -> Result<Zeroizing<Vec<u8>>, Fault> {
    let wrong =
        |error| Fault::here(format!("cannot ask for the password: {error}; --stdin takes it without a terminal"));
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(wrong)?;
    let interrupt = Interrupt::new().map_err(wrong)?;
    let hidden = Hidden::new(&terminal).map_err(wrong)?;
    let first = line_of(&terminal, &interrupt, "New password for root: ")?;
    let second = line_of(&terminal, &interrupt, "Once more: ")?;
    drop(hidden);
    if *first == *second { Ok(first) } else { Err(Fault::here("the two are not the same; nothing was changed")) }
}

/// The first line of standard input.
pub(crate) fn standard_input() -> Result<Zeroizing<Vec<u8>>, Fault> {
    read_line(&mut io::stdin().lock())
        .map_err(|error| Fault::here(format!("cannot read the password from standard input: {error}")))
}

/// A terminal that shows nothing, until this is dropped.
struct Hidden<'t> {
    terminal: &'t File,
    before: Termios,
}

impl Hidden<'_> {
    fn new(terminal: &File) -> io::Result<Hidden<'_>> {
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes -= LocalModes::ECHO;
        // What ends or stops it is SIGINT alone, which is waited for; 0 is no character here (termios(3)).
        for key in [SpecialCodeIndex::VQUIT, SpecialCodeIndex::VSUSP] {
            hidden.special_codes[key] = 0;
        }
        tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        Ok(Hidden { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // Without it there is nothing more to be done.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

fn line_of(mut terminal: &File, interrupt: &Interrupt, prompt: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let wrong = |error: io::Error| match error.kind() {
        ErrorKind::Interrupted => Fault::Interrupted,
        _ => Fault::here(format!("cannot read the password: {error}")),
    };
    terminal.write_all(prompt.as_bytes()).map_err(wrong)?;
    let line = read_line(&mut Asked { terminal, interrupt }).map_err(wrong);
    // The one that was typed is not shown; what comes next, if only an error, begins a line.
    terminal.write_all(b"\n").map_err(wrong)?;
    line
}

/// A person who is asked, and may want an end at any letter.
struct Asked<'a> {
    terminal: &'a File,
    interrupt: &'a Interrupt,
}

impl Read for Asked<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut ready = [PollFd::new(self.terminal, PollFlags::IN), PollFd::new(self.interrupt, PollFlags::IN)];
        while let Err(rustix::io::Errno::INTR) = poll(&mut ready, None) {}
        if !ready[1].revents().is_empty() {
            return Err(ErrorKind::Interrupted.into());
        }
        self.terminal.read(bytes)
    }
}

/// A line without its end, byte by byte: what follows is somebody else's, and no buffer keeps a copy.
fn read_line(from: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for all, so that it never moves and leaves a copy behind.
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_MAX));
    let mut byte = [0];
    while line.len() < LINE_MAX && from.read(&mut byte)? == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_with_its_newline() {
        let read = |text: &str| read_line(&mut text.as_bytes()).unwrap().to_vec();
        assert_eq!(read("secret\nmore"), b"secret");
        assert_eq!(read("secret\r\n"), b"secret");
        assert_eq!(read("secret"), b"secret");
        assert_eq!(read(""), b"");
    }
}
