//! What came of setting the network: what is wrong with it, collected, one sentence each, for the answer and the log.

use core::fmt::{self, Write};

/// Adds a problem: what was left out, or has failed. One sentence each, separated by semicolons.
#[inline(never)]
pub(crate) fn note(problems: &mut dyn Write, text: fmt::Arguments<'_>) {
    // Where there is no more room the text shows it itself.
    let _ = problems.write_fmt(text).and_then(|()| problems.write_str("; "));
}

/// What came of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilesOutcome {
    /// Whether all of them are written.
    pub written: bool,
    /// Whether nothing is left that would undo them.
    pub undisturbed: bool,
}
