//! `poweroff`, `reboot`, `halt`: how a system ends.

use crate::cli::words::{Word, Words};

pub(super) const HELP: &str = "\
poweroff, reboot, halt [options]    (with nanova as the first process)

  -f, --force             at once, without telling the first process
  -p, -n, -w, -d          are taken, as predecessors took them, and change nothing
";

/// How a system ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// What comes after.
    pub how: EndKind,
    /// At once, without telling the first process.
    pub force: bool,
}

/// What comes after the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EndKind {
    /// Nothing: the power is off.
    PowerOff,
    /// The system, again.
    Reboot,
    /// Nothing: the machine stands still.
    Halt,
}

/// Reads the rest of its words.
pub(super) fn parse<'a, I: Iterator<Item = &'a [u8]>>(how: EndKind, words: &mut Words<'a, I>) -> End {
    let mut end = End { how, force: false };
    while let Some(word) = words.next() {
        match word {
            Word::Option("--force" | "f") => end.force = true,
            // What predecessors took, and what changes nothing here.
            Word::Option("p" | "n" | "w" | "d") => {}
            _ => words.refuse(),
        }
    }
    end
}
