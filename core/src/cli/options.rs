//! Every option of every subcommand: one row each.

use crate::cli::Tool;

/// Whose words are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// `nanova`, before its subcommand.
    Nanova,
    /// `nanova agent`.
    Agent,
    /// The agent as its predecessor's service files start it.
    NovaAgent,
    /// `nanova report`.
    Report,
    /// The same as its predecessor's service files start it.
    XeDaemon,
    /// `nanova network`.
    Network,
    /// `nanova xenstore`, `nanova status`, `xenstore-read` and so on.
    Xenstore,
    /// `poweroff`, `reboot`, `halt`.
    End,
}

/// What an option means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Help,
    Version,
    SelfTest,
    Xenbus,
    Root,
    LogLevel,
    LogFile,
    Quiet,
    Debug,
    Network,
    Once,
    NoMetrics,
    Interval,
    Wait,
    NoFork,
    NoForkIf,
    PidFile,
    Handover,
    Style,
    DryRun,
    Socket,
    Force,
    /// What predecessors took, and what changes nothing here.
    Nothing,
}

/// A part of a build, which may be left out.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// What every build has.
    Always,
    Commands,
    Handover,
    Init,
    Managers,
    Network,
    Report,
    Status,
    Tools,
}

impl Part {
    /// Whether this build has it.
    pub(super) const fn is_built(self) -> bool {
        match self {
            Part::Always => true,
            Part::Commands => cfg!(feature = "commands"),
            Part::Handover => cfg!(feature = "handover"),
            Part::Init => cfg!(feature = "init"),
            Part::Managers => cfg!(feature = "managers"),
            Part::Network => cfg!(feature = "network"),
            Part::Report => cfg!(feature = "report"),
            Part::Status => cfg!(feature = "status"),
            Part::Tools => cfg!(feature = "tools"),
        }
    }

    /// The name of its feature.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Part::Always => "",
            Part::Commands => "commands",
            Part::Handover => "handover",
            Part::Init => "init",
            Part::Managers => "managers",
            Part::Network => "network",
            Part::Report => "report",
            Part::Status => "status",
            Part::Tools => "tools",
        }
    }
}

impl Program {
    /// The part that it is.
    pub(super) const fn part(self, tool: Option<Tool>) -> Part {
        match self {
            Program::Nanova => Part::Always,
            Program::Agent | Program::NovaAgent => Part::Commands,
            Program::Report | Program::XeDaemon => Part::Report,
            Program::Network => Part::Network,
            Program::Xenstore if matches!(tool, Some(Tool::Status)) => Part::Status,
            Program::Xenstore => Part::Tools,
            Program::End => Part::Init,
        }
    }
}

impl Meaning {
    /// The part that an option is about.
    pub(super) const fn part(self) -> Part {
        match self {
            Meaning::Network => Part::Network,
            Meaning::NoMetrics | Meaning::Interval => Part::Report,
            Meaning::Handover => Part::Handover,
            Meaning::Style => Part::Managers,
            _ => Part::Always,
        }
    }
}

/// Some of the programs: a bit each.
type Programs = u8;

const fn programs(list: &[Program]) -> Programs {
    let (mut bits, mut place) = (0, 0);
    while place < list.len() {
        bits |= 1 << list[place] as u8;
        place += 1;
    }
    bits
}

/// An option under its long name, its letter, or both; and who takes it.
struct Row(&'static str, char, Meaning, Programs);

/// No letter, which no command line can have.
const NONE: char = '\0';

use Meaning as M;
use Program as P;

const ALL: Programs =
    programs(&[P::Nanova, P::Agent, P::NovaAgent, P::Report, P::XeDaemon, P::Network, P::Xenstore, P::End]);
const COMMON: Programs =
    programs(&[P::Nanova, P::Agent, P::NovaAgent, P::Report, P::XeDaemon, P::Network, P::Xenstore]);
const SERVICES: Programs = programs(&[P::Agent, P::NovaAgent, P::Report, P::XeDaemon]);
const NETWORKED: Programs = programs(&[P::Agent, P::NovaAgent, P::Report, P::XeDaemon, P::Network]);
const SERVED: Programs = programs(&[P::Agent, P::NovaAgent, P::XeDaemon]);

const ROWS: [Row; 28] = [
    Row("--help", 'h', M::Help, ALL),
    Row("--version", 'V', M::Version, programs(&[P::Nanova])),
    Row("--self-test", NONE, M::SelfTest, programs(&[P::Nanova])),
    Row("--xenbus", NONE, M::Xenbus, COMMON),
    Row("--root", NONE, M::Root, COMMON),
    Row("--loglevel", 'l', M::LogLevel, COMMON),
    Row("--logfile", 'o', M::LogFile, COMMON),
    Row("--quiet", 'q', M::Quiet, COMMON),
    Row("--network", NONE, M::Network, NETWORKED),
    Row("--wait", NONE, M::Wait, NETWORKED),
    Row("--once", NONE, M::Once, SERVICES),
    Row("--metrics-interval", NONE, M::Interval, SERVICES),
    Row("--no-metrics", NONE, M::NoMetrics, programs(&[P::Agent, P::NovaAgent])),
    Row("--nofork", 'n', M::NoFork, programs(&[P::NovaAgent])),
    Row("--no-fork", NONE, M::NoForkIf, programs(&[P::NovaAgent])),
    Row("", 'p', M::PidFile, SERVED),
    Row("", 'i', M::Interval, programs(&[P::XeDaemon])),
    Row("", 'd', M::Debug, programs(&[P::XeDaemon])),
    // The balloon driver, of which sysfs tells.
    Row("", 'B', M::Nothing, programs(&[P::XeDaemon])),
    Row("--handover", NONE, M::Handover, programs(&[P::Network])),
    Row("--style", NONE, M::Style, programs(&[P::Network])),
    Row("--dry-run", NONE, M::DryRun, programs(&[P::Network])),
    Row("--socket", 's', M::Socket, programs(&[P::Xenstore])),
    Row("--force", 'f', M::Force, programs(&[P::End])),
    Row("", 'p', M::Nothing, programs(&[P::End])),
    Row("", 'n', M::Nothing, programs(&[P::End])),
    Row("", 'w', M::Nothing, programs(&[P::End])),
    Row("", 'd', M::Nothing, programs(&[P::End])),
];

/// What an option means to a program: by its long name, or by its letter if that is empty.
pub(super) fn meaning(program: Program, long: &str, letter: char) -> Option<Meaning> {
    let matches = |row: &&Row| if long.is_empty() { row.1 == letter } else { row.0 == long };
    ROWS.iter().filter(matches).find(|row| row.3 >> program as u8 & 1 == 1).map(|row| row.2)
}
