//! Why a command line makes no sense.

use core::fmt;

/// Most operands (paths, values, modes) of one call.
pub const OPERANDS_MAX: usize = 64;

/// What is wrong with a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageError<'a> {
    /// No subcommand.
    Nothing,
    /// A subcommand that does not exist, and the one that may be meant.
    Unknown(&'a str, Option<&'static str>),
    /// An option that the subcommand does not take, and the one that may be meant.
    Option(&'a str, Option<&'static str>),
    /// An option that needs a value.
    LacksValue(&'a str),
    /// An option whose value is not one of those it takes.
    Value {
        /// The option.
        option: &'a str,
        /// Its value.
        value: &'a str,
        /// What it takes.
        choices: &'static str,
    },
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
            UsageError::Unknown(name, meant) => {
                write!(f, "there is no subcommand '{name}'")?;
                write_meant(f, *meant)
            }
            UsageError::Option(option, meant) => {
                write!(f, "option '{option}' is not known here")?;
                write_meant(f, *meant)
            }
            UsageError::LacksValue(option) => write!(f, "option '{option}' needs a value"),
            UsageError::Value { option, value, choices } => {
                write!(f, "'{value}' is no value of '{option}': {choices}")
            }
            UsageError::NoValue(option) => write!(f, "option '{option}' takes no value"),
            UsageError::TooMany => write!(f, "more than {OPERANDS_MAX} words; split the call"),
            UsageError::Operands(needed) => f.write_str(needed),
            UsageError::NotText => f.write_str("an argument is not UTF-8"),
            UsageError::NotBuilt(part) => write!(f, "this build has no '{part}'"),
        }
    }
}

fn write_meant(f: &mut fmt::Formatter<'_>, meant: Option<&str>) -> fmt::Result {
    meant.map_or(Ok(()), |meant| write!(f, "; is '{meant}' meant?"))
}

impl UsageError<'_> {
    /// The same with what may be meant by a word that nobody knows.
    #[inline(never)]
    pub(super) fn with_meant(self) -> Self {
        match self {
            UsageError::Unknown(name, _) => UsageError::Unknown(name, nearest(name, SUBCOMMANDS)),
            UsageError::Option(option, _) => UsageError::Option(option, nearest(option, OPTIONS)),
            other => other,
        }
    }
}

/// What may be meant by a word that is no subcommand, and by one that is no option: what pages of help speak of.
pub(super) const SUBCOMMANDS: &[&str] = &["agent", "network", "report", "record", "init", "status", "xenstore", "help"];
pub(super) const OPTIONS: &[&str] = &[
    "--dhcp",
    "--dry-run",
    "--follow",
    "--force",
    "--handover",
    "--help",
    "--json",
    "--level",
    "--lockdown",
    "--logfile",
    "--loglevel",
    "--metrics-interval",
    "--network",
    "--no-fork",
    "--no-hotplug",
    "--no-metrics",
    "--nofork",
    "--once",
    "--pidfile",
    "--quiet",
    "--root",
    "--socket",
    "--style",
    "--syspython",
    "--version",
    "--wait",
    "--xenbus",
];

/// Most letters in which a word may differ from the one that is meant: half of the shortest.
const SLIPS_MAX: usize = 2;

/// The word that is most like this one, if any is like it.
fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let (mut least, mut nearest) = (SLIPS_MAX + 1, None);
    for known in known {
        let slips = distance(word, known);
        // One that others take is none that is meant.
        if (1..least).contains(&slips) {
            (least, nearest) = (slips, Some(*known));
        }
    }
    nearest
}

/// How many letters are to be put in, left out or changed to make one word of the other (Levenshtein).
fn distance(word: &str, known: &str) -> usize {
    /// Longer than any word of ours.
    const LEN_MAX: usize = 32;
    if known.len() >= LEN_MAX {
        return LEN_MAX;
    }
    // How far what was read of `word` is from each beginning of `known`.
    let mut row: heapless::Vec<usize, LEN_MAX> = (0..=known.len()).collect();
    for (place, letter) in word.bytes().enumerate() {
        let (mut diagonal, mut left) = (place, place + 1);
        let mut cells = row.iter_mut();
        cells.next().into_iter().for_each(|first| *first = left);
        for (cell, other) in cells.zip(known.bytes()) {
            let slips = (diagonal + usize::from(letter != other)).min(*cell + 1).min(left + 1);
            (diagonal, left, *cell) = (*cell, slips, slips);
        }
    }
    row.last().copied().unwrap_or_default()
}
