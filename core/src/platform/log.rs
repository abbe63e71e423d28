//! The log: lines that a person reads.

use core::fmt;

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Level {
    /// Something did not work, and a person should know.
    Error,
    /// Something is odd; the agent goes on.
    Warn,
    /// What the agent does.
    Info,
    /// How it does it.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// The names of all, for a person.
    pub const CHOICES: &'static str = "error, warn, info, debug, trace";

    /// The level with this name.
    pub fn named(name: &str) -> Option<Level> {
        Some(match name {
            "error" => Level::Error,
            "warn" | "warning" => Level::Warn,
            "info" => Level::Info,
            "debug" => Level::Debug,
            "trace" => Level::Trace,
            _ => return None,
        })
    }
}

/// Where lines go.
pub trait Log {
    /// Writes one line. Never a secret; any text is fine otherwise.
    fn log(&mut self, level: Level, text: fmt::Arguments<'_>);
    /// The request of this name is run next: for who records more than a log has.
    fn begins(&mut self, _request: &str) {}
    /// A command has completed with this code.
    fn completed(&mut self, _command: &str, _code: &str) {}
}
