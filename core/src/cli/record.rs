//! `nanova record`: what the flight recorder has kept.

use crate::cli::common::Common;
use crate::cli::words::{Word, Words};

pub(super) const HELP: &str = "\
nanova record [options]: print what agents did last, for `cargo nanova-record`

  -f, --follow            go on with what comes
      --root DIR          of the guest below DIR
";

/// Options of `nanova record`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordOptions {
    /// Go on for ever.
    pub follow: bool,
}

/// Reads the rest of its words.
pub(super) fn parse<'a, I: Iterator<Item = &'a [u8]>>(
    common: &mut Common<'a>,
    words: &mut Words<'a, I>,
) -> RecordOptions {
    let mut options = RecordOptions::default();
    while let Some(word) = words.next() {
        match word {
            Word::Option("--follow" | "f") => options.follow = true,
            word if common.takes(word, words) => {}
            _ => words.refuse(),
        }
    }
    options
}
