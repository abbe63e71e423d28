//! What went wrong, whose fault it is, and the exit code that says so.

use std::fmt;

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The command line makes no sense.
    Usage(String),
    /// Something on this side, or in xenstored.
    Here(String),
    /// The guest said no, or cannot.
    Guest(String),
    /// The guest did not answer in time.
    Silent(String),
    /// The guest went away while it was waited for.
    Gone(String),
    /// A signal ended the wait.
    Interrupted,
}

impl Fault {
    /// On this side.
    pub(crate) fn here(text: impl Into<String>) -> Fault {
        Fault::Here(text.into())
    }

    /// The exit code: larger is worse.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Fault::Here(_) | Fault::Guest(_) => 1,
            Fault::Usage(_) => 2,
            Fault::Silent(_) | Fault::Gone(_) => 3,
            // As a shell counts a program that SIGINT has ended.
            Fault::Interrupted => 130,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Usage(text) | Fault::Here(text) | Fault::Guest(text) | Fault::Silent(text) | Fault::Gone(text) => {
                f.write_str(text)
            }
            Fault::Interrupted => f.write_str("interrupted; what was asked is taken back"),
        }
    }
}

impl std::error::Error for Fault {}
