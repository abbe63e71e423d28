//! How far files are that go in parts: a line of standard error, on a terminal and nowhere else.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};

/// How wide the bar is.
const WIDTH: u64 = 40;

/// Counts bytes. Who shows it clears it.
#[derive(Default)]
pub(crate) struct Progress {
    total: u64,
    done: Cell<u64>,
    /// What stands there, in percent.
    shown: Cell<Option<u64>>,
    is_terminal: bool,
}

impl Progress {
    /// Of so many bytes in all; shown if standard error is a terminal.
    pub(crate) fn of(total: u64) -> Progress {
        Progress { total, is_terminal: io::stderr().is_terminal(), ..Progress::default() }
    }

    /// So many more are there.
    pub(crate) fn add(&self, bytes: usize) {
        self.at(self.done.get() + bytes as u64);
    }

    /// So many are not there any more.
    pub(crate) fn take(&self, bytes: usize) {
        self.at(self.done.get().saturating_sub(bytes as u64));
    }

    fn at(&self, done: u64) {
        self.done.set(done);
        let percent = (done * 100).checked_div(self.total);
        if self.is_terminal && percent != self.shown.replace(percent) {
            // Nobody is hurt by a bar that is not seen.
            let _ = write!(io::stderr().lock(), "\r{}", bar(percent.unwrap_or_default()));
        }
    }

    /// Nothing stands there: somebody else writes a line.
    pub(crate) fn clear(&self) {
        if self.shown.take().is_some() && self.is_terminal {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

fn bar(percent: u64) -> String {
    let filled = (percent.min(100) * WIDTH / 100) as usize;
    format!("[{:<width$}] {percent:3} %", "#".repeat(filled), width = WIDTH as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_one_width() {
        assert_eq!(bar(50).matches('#').count(), 20);
        for percent in [0, 1, 99, 100] {
            assert_eq!(bar(percent).len(), bar(50).len());
        }
    }

    #[test]
    fn what_goes_again_is_not_counted_twice() {
        let progress = Progress { total: 100, ..Progress::default() };
        progress.add(60);
        progress.take(60);
        progress.add(10);
        assert_eq!((progress.done.get(), progress.shown.get()), (10, None));
    }
}
