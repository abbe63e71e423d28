//! The command line: names, options and exit codes that tests, packages and people rely on.
//!
//! Pure: the arguments in, an [`Invocation`] or a [`UsageError`] out. Options that a subcommand takes may stand before or
//! after its other words; `--` ends them.

mod options;
mod parse;
mod words;

use core::fmt;

#[cfg(feature = "handover")]
use crate::network::Handover;
use crate::network::Target;
#[cfg(feature = "managers")]
use crate::network::managers::Manager;
#[cfg(feature = "network")]
use crate::network::reset::{Permanence, Wanted};
use crate::platform::Level;

pub use parse::parse;

/// Exit codes.
pub mod exit {
    /// Done.
    pub const DONE: i32 = 0;
    /// Failed; one line on stderr says what and what to do.
    pub const FAILED: i32 = 1;
    /// The command line makes no sense.
    pub const USAGE: i32 = 2;
    /// Not a Xen guest: a service unit counts this as success, so that one image can run anywhere.
    pub const NOT_A_GUEST: i32 = 77;
}

/// Most operands (paths, values, modes) of one call.
pub const OPERANDS_MAX: usize = 64;
/// The operands of a call.
pub type Operands<'a> = heapless::Vec<&'a str, OPERANDS_MAX>;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Show how it is used.
    Help(Topic),
    /// Show the version.
    Version,
    /// Say whether this build works on this machine.
    SelfTest,
    /// Serve commands, or only report, for ever: [`Options::agent`].
    Agent,
    /// Do one thing with xenstore: [`Options::call`].
    Xenstore,
    /// Apply the network of vm-data once: [`Options::network`].
    Network,
    /// Be the first process.
    Init,
    /// End the system: [`Options::end`].
    End,
}

/// How it is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options<'a> {
    /// What every subcommand takes.
    pub common: Common<'a>,
    /// `nanova agent`, `nanova report`.
    pub agent: AgentOptions<'a>,
    /// `nanova network`.
    pub network: NetworkOptions,
    /// `nanova xenstore`, `nanova status`.
    pub call: XenstoreCall<'a>,
    /// `poweroff`, `reboot`, `halt`.
    pub end: End,
}

/// How a system ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// What comes after.
    pub how: EndKind,
    /// At once, without telling the first process.
    pub force: bool,
}

/// What comes after the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EndKind {
    /// Nothing: the power is off.
    #[default]
    PowerOff,
    /// The system, again.
    Reboot,
    /// Nothing: the machine stands still.
    Halt,
}

impl EndKind {
    fn named(name: &str) -> Option<EndKind> {
        Some(match name {
            "poweroff" => EndKind::PowerOff,
            "reboot" => EndKind::Reboot,
            "halt" => EndKind::Halt,
            _ => return None,
        })
    }
}

/// Options of `nanova network`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkOptions {
    /// Whether files are written, the kernel is configured, or both.
    pub network: Target,
    /// The forms in which the network is handed over; at most one of each.
    #[cfg(feature = "handover")]
    pub handover: heapless::Vec<Handover, 4>,
    /// Seconds that the whole may take; for ever if there is no number.
    pub wait: Option<u32>,
    /// The style of the files, instead of detection.
    #[cfg(feature = "managers")]
    pub style: Option<&'static Manager>,
    /// Print what would be done.
    pub dry_run: bool,
}

#[cfg(feature = "network")]
impl NetworkOptions {
    /// What is to be done.
    pub fn wanted(&self) -> Wanted<'_> {
        #[cfg_attr(
            not(feature = "managers"),
            expect(unused_mut, reason = "only a manager's files, or a hand-over, are other wishes")
        )]
        let mut wanted = Wanted::of(self.network, Permanence::Detected);
        #[cfg(feature = "handover")]
        {
            wanted.handover = &self.handover;
            // An initramfs hands over; what it has below /etc is its own.
            if !self.handover.is_empty() {
                wanted.permanence = Permanence::Nothing;
            }
        }
        #[cfg(feature = "managers")]
        if let Some(style) = self.style {
            wanted.permanence = Permanence::As(style);
        }
        wanted
    }
}

/// What help is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The program.
    Nanova,
    /// `nanova agent`.
    Agent,
    /// `nanova xenstore`.
    Xenstore,
    /// `nanova network`.
    Network,
    /// `nanova report`.
    Report,
}

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTarget<'a> {
    /// Standard error.
    Stderr,
    /// The kernel's log.
    Kmsg,
    /// The syslog daemon's socket, /dev/log.
    Syslog,
    /// A file, reopened on SIGHUP.
    File(&'a str),
}

/// Options of every subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Common<'a> {
    /// The device or socket to use instead of looking for one.
    pub xenbus: Option<&'a str>,
    /// Look for sockets only.
    pub sockets_only: bool,
    /// Read and write the guest's files below this directory.
    pub root: &'a str,
    /// Lines up to this level are written; none if there is no level.
    pub level: Option<Level>,
    /// Where they go.
    pub log: LogTarget<'a>,
}

impl Default for Common<'_> {
    fn default() -> Self {
        Common { xenbus: None, sockets_only: false, root: "/", level: Some(Level::Info), log: LogTarget::Stderr }
    }
}

/// Options of `nanova agent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentOptions<'a> {
    /// What `resetnetwork` changes.
    pub network: Target,
    /// Serve what is pending, then exit.
    pub once: bool,
    /// Serve the host's commands.
    pub commands: bool,
    /// Publish what toolstacks want to know of the guest.
    pub metrics: bool,
    /// Seconds between looks at memory and volumes; 0: never.
    pub metrics_interval: u32,
    /// Seconds to wait for xenstore to appear; for ever if there is no number.
    pub wait: Option<u32>,
    /// Go to the background, as nova-agent's old service files expect.
    pub background: bool,
    /// Where the process leaves its number.
    pub pidfile: Option<&'a str>,
}

impl AgentOptions<'_> {
    const DEFAULT: Self = AgentOptions {
        network: Target::Both,
        once: false,
        commands: true,
        metrics: true,
        metrics_interval: 60,
        wait: None,
        background: false,
        pidfile: None,
    };

    /// Whether a report is asked for: not where only what is pending is served.
    pub fn reports(&self) -> bool {
        self.metrics && !(self.once && self.commands)
    }
}

impl Default for AgentOptions<'_> {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// An operation of the xenstore tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Print values.
    #[default]
    Read,
    /// Write values.
    Write,
    /// Print a tree.
    Ls,
    /// Print the names of children.
    List,
    /// Say whether nodes are there.
    Exists,
    /// Remove nodes.
    Rm,
    /// Make nodes.
    Mkdir,
    /// Change permissions.
    Chmod,
    /// Print events.
    Watch,
    /// Print one page about the guest: `nanova status`.
    Status,
}

impl Tool {
    /// The tools, by name.
    pub const ALL: [(&'static str, Tool); 9] = [
        ("read", Tool::Read),
        ("write", Tool::Write),
        ("ls", Tool::Ls),
        ("list", Tool::List),
        ("exists", Tool::Exists),
        ("rm", Tool::Rm),
        ("mkdir", Tool::Mkdir),
        ("chmod", Tool::Chmod),
        ("watch", Tool::Watch),
    ];

    fn named(name: &str) -> Option<Tool> {
        Tool::ALL.iter().find(|(known, _)| *known == name).map(|(_, tool)| *tool)
    }

    /// Which short options the tool takes, besides those that all take.
    const fn options(self) -> &'static str {
        match self {
            Tool::Read => "pR",
            Tool::Write => "R",
            Tool::Ls => "fp",
            Tool::List => "p",
            Tool::Rm => "t",
            Tool::Chmod => "ru",
            Tool::Watch => "n",
            Tool::Exists | Tool::Mkdir | Tool::Status => "",
        }
    }
}

/// A call of one of the xenstore tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XenstoreCall<'a> {
    /// The operation.
    pub tool: Tool,
    /// Paths, values, modes.
    pub operands: Operands<'a>,
    /// `read -p`, `list -p`: print the path before what belongs to it.
    pub prefix: bool,
    /// `read -R`, `write -R`: values as they are, without escapes.
    pub raw: bool,
    /// `ls -f`: print whole paths.
    pub full: bool,
    /// `ls -p`: print permissions, too.
    pub permissions: bool,
    /// `rm -t`: remove parents that have become empty.
    pub tidy: bool,
    /// `chmod -r`: all below, too.
    pub recursive: bool,
    /// `chmod -u`: all above, too.
    pub upwards: bool,
    /// `watch -n`: how many events.
    pub events: Option<u32>,
}

/// Why a command line makes no sense.
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
    /// Too many operands.
    TooMany,
    /// The operands do not fit the tool.
    Operands(Tool),
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
            UsageError::TooMany => write!(f, "more than {OPERANDS_MAX} words; split the call"),
            UsageError::Operands(Tool::Write) => f.write_str("write needs pairs of a path and a value"),
            UsageError::Operands(Tool::Chmod) => f.write_str("chmod needs a path and modes such as n0 r7"),
            UsageError::Operands(_) => f.write_str("a path is needed"),
            UsageError::NotText => f.write_str("an argument is not UTF-8"),
            UsageError::NotBuilt(part) => write!(f, "this build has no '{part}'"),
        }
    }
}

#[cfg(test)]
mod tests;
