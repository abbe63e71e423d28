//! Why a command line makes no sense.

use core::fmt;

/// Most operands (paths, values, modes) of one call.
pub const OPERANDS_MAX: usize = 64;

/// What is wrong with a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageError<'a> {
    /// No subcommand.
    Nothing,
    /// A subcommand that does not exist.
    Unknown(&'a str),
    /// An option that the subcommand does not take.
    Option(&'a str),
    /// An option that needs a value, or whose value is not one of those it takes.
    Value(&'a str),
    /// An option that takes no value, and has one.
    NoValue(&'a str),
    /// Too many operands.
    TooMany,
    /// The operands do not fit the tool: what it needs.
    Operands(&'static str),
    /// An argument that is no text.
    NotText,
    /// It needs a part that this build was made without.
    NotBuilt(&'static str),
}

impl fmt::Display for UsageError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::Nothing => f.write_str("what shall I do?"),
            UsageError::Unknown(name) => write!(f, "there is no subcommand '{name}'"),
            UsageError::Option(option) => write!(f, "option '{option}' is not known here"),
            UsageError::Value(option) => write!(f, "option '{option}' needs another value"),
            UsageError::NoValue(option) => write!(f, "option '{option}' takes no value"),
            UsageError::TooMany => write!(f, "more than {OPERANDS_MAX} words; split the call"),
            UsageError::Operands(needed) => f.write_str(needed),
            UsageError::NotText => f.write_str("an argument is not UTF-8"),
            UsageError::NotBuilt(part) => write!(f, "this build has no '{part}'"),
        }
    }
}
