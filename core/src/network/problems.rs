//! What is wrong with the network, collected: one sentence each, for the answer and the log.

use core::fmt::{self, Write};

/// Adds a problem: what was left out, or has failed. One sentence each, separated by semicolons.
#[inline(never)]
pub(crate) fn note(problems: &mut dyn Write, text: fmt::Arguments<'_>) {
    // Where there is no more room the text shows it itself.
    let _ = problems.write_fmt(text).and_then(|()| problems.write_str("; "));
}
