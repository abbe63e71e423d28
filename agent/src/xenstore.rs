//! `nanova xenstore …`: the tools of the core on a connection and a terminal.

use core::fmt;

use nanova_core::cli::{Common, XenstoreCall, exit};
use nanova_core::tools::{self, Terminal};
use nanova_core::xenstore::Client;
use rustix::process::Signal;

use crate::errno::errno;
use crate::locate::{Attempt, Candidates};
use crate::output::{Stdout, complain};
use crate::rt::Environment;
use crate::rt::place::Place;
use crate::rt::signals::SignalSet;
use crate::rt::stdio::stdout;
use crate::serve::{denied, not_a_guest, out_of_memory};
use crate::xenbus::Xenbus;

/// Columns left free at the end of a terminal's line.
const MARGIN: usize = 2;

/// Runs a tool; returns the exit code.
// In a frame of its own: inlined, its buffers would be pages of main's stack whatever the program was called to do.
#[inline(never)]
pub(crate) fn run(environment: &Environment, common: &Common<'_>, call: &XenstoreCall<'_>) -> i32 {
    // A reader that has gone away is an error to handle, not a signal to die of.
    let _ = SignalSet::of(&[Signal::PIPE]).block();
    let candidates = Candidates::new(environment, common);
    match candidates.connect() {
        Attempt::Yes(fd, kind, _) => {
            let (Ok(mut place), Ok(mut names)) = (Place::new(), Place::zeros()) else { return out_of_memory() };
            let mut client = place.fill(Client::new(Xenbus::new(fd, kind, None)));
            tools::run(call, &mut client, &mut Stdout::new(), &mut names)
        }
        Attempt::Denied(path, error) => denied(path, error),
        Attempt::NotYet(path, error) => {
            complain(format_args!("cannot open {path}: {}", errno(error)));
            exit::FAILED
        }
        Attempt::Nothing if candidates.hopeless() => not_a_guest(common),
        Attempt::Nothing => {
            complain(format_args!("no xenstore found; name its device or socket with --xenbus PATH"));
            exit::FAILED
        }
    }
}

impl Terminal for Stdout {
    fn put(&mut self, bytes: &[u8]) {
        self.add(bytes);
    }

    fn flush(&mut self) -> bool {
        self.write_out()
    }

    fn complain(&mut self, what: fmt::Arguments<'_>) {
        // What was printed before comes before.
        self.write_out();
        complain(what);
    }

    fn width(&mut self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(stdout()).ok().filter(|size| size.ws_col > 0)?;
        Some(usize::from(size.ws_col).saturating_sub(MARGIN))
    }
}
