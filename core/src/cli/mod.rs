//! The command line: names, options and exit codes that tests, packages and people rely on.
//!
//! Pure: the arguments in, a [`Program`] and its options or a [`UsageError`] out. Each subcommand has a parser of its
//! own, in a file with its options and its page of help. Options that a subcommand takes may stand before or after its
//! other words; `--` ends them.
//!
//! | file | is |
//! |---|---|
//! | here | which subcommand is meant, by the program's name or the first word |
//! | `agent`, `network`, `record`, `xenstore`, `end` | the subcommands |
//! | `common` | options of all of them |
//! | `words` | options, values and operands apart |
//! | `usage`, `help` | what is said to a person |

mod agent;
mod common;
#[cfg(feature = "init")]
mod end;
mod help;
#[cfg(feature = "network")]
mod network;
#[cfg(feature = "recorder")]
mod record;
mod usage;
mod words;
#[cfg(feature = "tools")]
mod xenstore;

pub use agent::{AgentOptions, Called};
pub use common::{Common, LogTarget};
#[cfg(feature = "init")]
pub use end::{End, EndKind};
#[cfg(feature = "network")]
pub use network::NetworkOptions;
#[cfg(feature = "recorder")]
pub use record::RecordOptions;
pub use usage::{OPERANDS_MAX, UsageError};
#[cfg(feature = "tools")]
pub use xenstore::{Operands, Tool, XenstoreCall};

use help::page;
use words::{Asked, Word, Words};

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

const NANOVA: &str = page!(
    "nanova: the guest agent of Xen virtual machines\n\n",
    "commands": "  nanova agent            serve the host's commands from data/host, for ever\n",
    "network": "  nanova network          apply vm-data's hostname and network once\n",
    "report": "  nanova report           publish what toolstacks show of a guest; the agent does, too\n",
    "init": "  nanova init             be the first process (also as init)\n",
    "status": "  nanova status [--json]  one page: what the host says, what is published, and why not\n",
    "recorder": "  nanova record           what agents did last, for cargo nanova-record\n",
    "tools": "  nanova xenstore TOOL …  read and write xenstore\n",
    "\
  nanova --version, nanova COMMAND --help

Options of agent, network, report and xenstore:
  --xenbus PATH           device or socket; default: /dev/xen/xenbus, /proc/xen/xenbus,
                          $XENSTORED_PATH, /run/xenstored/socket, /var/run/xenstored/socket
  --root DIR              the guest's files are below DIR, and no program is run; xenstore, log and
                          PIDFILE are not, nor what --network kernel|both, if given, changes
  -l, --loglevel LEVEL    error, warn, info (default), debug, trace; -q, --quiet: none, and nothing
                          is said where there is no Xen
  -o, --logfile FILE|-|kmsg|syslog
Exit codes: 0 done, 1 failed, 2 usage, 77 not a Xen guest
",
);

#[cfg(feature = "init")]
const INIT: &str = "\
nanova init               (also as init, of an initramfs or of a system)

As the first process: mounts what is not there, loads the modules of Xen's devices, sets up the
network, serves the host's commands, and runs the root file system's own first process or a program
of this image's. The kernel's command line says which: nanova.root=, nanova.exec=, nanova.dhcp= and
more (initramfs/README.md). It takes no options.
";

/// What is called, by a name of its own or as a subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Nothing: show what is asked for, [`CommandLine::page`].
    Help,
    /// Say whether this build works on this machine.
    SelfTest,
    /// Serve commands, or only report, for ever: [`CommandLine::agent`].
    Agent(Called),
    /// Apply the network of vm-data once: [`CommandLine::network`].
    #[cfg(feature = "network")]
    Network,
    /// Do one thing with xenstore, with this tool if the name says which: [`CommandLine::xenstore`].
    #[cfg(feature = "tools")]
    Xenstore(Option<Tool>),
    /// Be the first process, whatever the kernel's command line gave it.
    #[cfg(feature = "init")]
    Init,
    /// Print what the flight recorder has: [`CommandLine::record`].
    #[cfg(feature = "recorder")]
    Record,
    /// End the system: [`CommandLine::end`].
    #[cfg(feature = "init")]
    End(EndKind),
}

/// Subcommands that this build was made without, each with its part.
const NO_SUBCOMMANDS: &[(&str, &str)] = &[
    #[cfg(not(feature = "commands"))]
    ("agent", "commands"),
    #[cfg(not(feature = "report"))]
    ("report", "report"),
    #[cfg(not(feature = "network"))]
    ("network", "network"),
    #[cfg(not(feature = "init"))]
    ("init", "init"),
    #[cfg(not(feature = "status"))]
    ("status", "status"),
    #[cfg(not(feature = "recorder"))]
    ("record", "recorder"),
    #[cfg(not(feature = "tools"))]
    ("xenstore", "tools"),
];
/// The same of names that the program is called by; those of the tools begin with `xenstore`.
const NO_NAMES: &[(&str, &str)] = &[
    #[cfg(not(feature = "commands"))]
    ("nova-agent", "commands"),
    #[cfg(not(feature = "report"))]
    ("xe-daemon", "report"),
    #[cfg(not(feature = "init"))]
    ("init", "init"),
    #[cfg(not(feature = "init"))]
    ("poweroff", "init"),
    #[cfg(not(feature = "init"))]
    ("reboot", "init"),
    #[cfg(not(feature = "init"))]
    ("halt", "init"),
    #[cfg(not(feature = "tools"))]
    ("xenstore", "tools"),
];

/// Fails if a name is one of those that are left out.
fn check_built(left_out: &[(&str, &'static str)], name: &str) -> Result<(), UsageError<'static>> {
    let part = left_out.iter().find(|(known, _)| *known == name);
    part.map_or(Ok(()), |(_, part)| Err(UsageError::NotBuilt(part)))
}

impl Program {
    /// What the program is by its own name; nothing special under most.
    fn named(name: &str) -> Option<Program> {
        Some(match name {
            "nova-agent" => Program::Agent(Called::NovaAgent),
            "xe-daemon" => Program::Agent(Called::XeDaemon),
            #[cfg(feature = "tools")]
            "xenstore" => Program::Xenstore(None),
            #[cfg(feature = "init")]
            "init" => Program::Init,
            #[cfg(feature = "init")]
            "poweroff" => Program::End(EndKind::PowerOff),
            #[cfg(feature = "init")]
            "reboot" => Program::End(EndKind::Reboot),
            #[cfg(feature = "init")]
            "halt" => Program::End(EndKind::Halt),
            #[cfg(feature = "tools")]
            _ => Program::Xenstore(Some(Tool::named(name.strip_prefix("xenstore-")?)?)),
            #[cfg(not(feature = "tools"))]
            _ => return None,
        })
    }

    /// What it is by its first word.
    fn subcommand<'a>(word: &'a str) -> Result<Program, UsageError<'a>> {
        check_built(NO_SUBCOMMANDS, word)?;
        Ok(match word {
            "agent" => Program::Agent(Called::Agent),
            "report" => Program::Agent(Called::Report),
            #[cfg(feature = "network")]
            "network" => Program::Network,
            #[cfg(feature = "init")]
            "init" => Program::Init,
            #[cfg(feature = "tools")]
            "xenstore" => Program::Xenstore(None),
            #[cfg(feature = "recorder")]
            "record" => Program::Record,
            #[cfg(feature = "status")]
            "status" => Program::Xenstore(Some(Tool::Status)),
            _ => return Err(UsageError::Unknown(word, None)),
        })
    }

    /// Its page of help.
    fn help(self) -> &'static str {
        match self {
            Program::Agent(called) => called.help(),
            #[cfg(feature = "network")]
            Program::Network => network::HELP,
            #[cfg(feature = "recorder")]
            Program::Record => record::HELP,
            #[cfg(feature = "tools")]
            Program::Xenstore(Some(Tool::Status)) => xenstore::STATUS,
            #[cfg(feature = "tools")]
            Program::Xenstore(_) => xenstore::HELP,
            #[cfg(feature = "init")]
            Program::Init => INIT,
            #[cfg(feature = "init")]
            Program::End(_) => end::HELP,
            _ => NANOVA,
        }
    }
}

/// A command line, as far as it was read. First [`CommandLine::program`] is asked for, then the options of that; what
/// all take is in [`CommandLine::common`] when these are read.
pub struct CommandLine<'a, I> {
    called: &'a str,
    words: Words<'a, I>,
    /// What is called, once that is known.
    program: Program,
    /// Options that every subcommand takes.
    pub common: Common<'a>,
}

/// The options of a subcommand; nothing if its help is asked for, or the version.
type Parsed<'a, T> = Result<Option<T>, UsageError<'a>>;

impl<'a, I: Iterator<Item = &'a [u8]>> CommandLine<'a, I> {
    /// One that was not read yet; the first argument is the name that the program was called by.
    pub fn new(mut arguments: I) -> CommandLine<'a, I> {
        let called = arguments.next().and_then(|name| core::str::from_utf8(name).ok()).unwrap_or_default();
        let called = called.rsplit('/').next().unwrap_or(called);
        CommandLine { called, words: Words::new(arguments), program: Program::Help, common: Common::default() }
    }

    /// What the program ends with, having come to this code: the tools of xenstore-utils know but one failure, and so
    /// do ours under their names.
    pub fn exit_code(&self, code: i32) -> i32 {
        if self.called.starts_with("xenstore") { code.min(exit::FAILED) } else { code }
    }

    /// What is called; or what help is about, with `true`.
    pub fn program(&mut self) -> Result<(Program, bool), UsageError<'a>> {
        let (program, help) = self.find_program().map_err(|error| error.with_meant())?;
        self.program = program;
        Ok((program, help))
    }

    #[inline(never)]
    fn find_program(&mut self) -> Result<(Program, bool), UsageError<'a>> {
        let called = self.called;
        check_built(NO_NAMES, if called.starts_with("xenstore-") { "xenstore" } else { called })?;
        if let Some(program) = Program::named(called) {
            return Ok((program, false));
        }
        while let Some(word) = self.words.next() {
            match word {
                Word::Operand("help") => return Ok((self.help_is_about()?, true)),
                Word::Operand(name) => return self.subcommand(name),
                Word::Option("--self-test") => return Ok((Program::SelfTest, false)),
                _ if self.common.takes(word, &mut self.words) => {}
                _ => self.words.refuse(),
            }
        }
        if self.words.end()?.is_some() { Ok((Program::Help, true)) } else { Err(UsageError::Nothing) }
    }

    /// The subcommand of this name. The first process takes whatever the kernel gives it; who types its name may ask
    /// what it is.
    fn subcommand(&mut self, name: &'a str) -> Result<(Program, bool), UsageError<'a>> {
        let program = Program::subcommand(name)?;
        #[cfg(feature = "init")]
        if program == Program::Init && self.words.next().is_none() {
            return Ok((program, self.words.end()?.is_some()));
        }
        Ok((program, false))
    }

    /// Whose page of help says how it is called rightly.
    pub fn page_name(&self) -> &'static str {
        match self.program {
            Program::Agent(Called::Agent) => "nanova agent",
            Program::Agent(Called::NovaAgent) => "nova-agent",
            Program::Agent(Called::Report) => "nanova report",
            Program::Agent(Called::XeDaemon) => "xe-daemon",
            #[cfg(feature = "network")]
            Program::Network => "nanova network",
            #[cfg(feature = "tools")]
            Program::Xenstore(Some(Tool::Status)) => "nanova status",
            #[cfg(feature = "tools")]
            Program::Xenstore(_) => "nanova xenstore",
            #[cfg(feature = "recorder")]
            Program::Record => "nanova record",
            _ => "nanova",
        }
    }

    /// What is asked for instead of anything to be done, if all words made sense.
    #[inline(never)]
    fn check(&self) -> Result<Option<Asked>, UsageError<'a>> {
        self.words.end().map_err(UsageError::with_meant)
    }

    /// What is shown where nothing is to be done: the version, if that was asked for, or the program's page of help.
    pub fn page(&self, program: Program) -> &'static str {
        match self.words.end() {
            Ok(Some(Asked::Version)) => concat!("nanova ", env!("CARGO_PKG_VERSION"), "\n"),
            _ => program.help(),
        }
    }

    /// `nanova help`, `nanova help COMMAND`.
    fn help_is_about(&mut self) -> Result<Program, UsageError<'a>> {
        match self.words.next() {
            Some(Word::Operand(name)) => Program::subcommand(name),
            _ => Ok(Program::Help),
        }
    }

    /// Options of `nanova agent`, `nanova report`.
    pub fn agent(&mut self, called: Called) -> Parsed<'a, AgentOptions<'a>> {
        let options = agent::parse(called, &mut self.common, &mut self.words);
        self.check().map(|asked| asked.is_none().then_some(options))
    }

    /// Options of `nanova network`.
    #[cfg(feature = "network")]
    pub fn network(&mut self) -> Parsed<'a, NetworkOptions> {
        let options = network::parse(&mut self.common, &mut self.words);
        self.check().map(|asked| asked.is_none().then_some(options))
    }

    /// Options of `nanova xenstore`, `nanova status`.
    #[cfg(feature = "tools")]
    pub fn xenstore(&mut self, tool: Option<Tool>) -> Parsed<'a, XenstoreCall<'a>> {
        let call = xenstore::parse(tool, &mut self.common, &mut self.words);
        self.check().map(|asked| asked.is_none().then_some(call))
    }

    /// Options of `nanova record`.
    #[cfg(feature = "recorder")]
    pub fn record(&mut self) -> Parsed<'a, RecordOptions> {
        let options = record::parse(&mut self.common, &mut self.words);
        self.check().map(|asked| asked.is_none().then_some(options))
    }

    /// Options of `poweroff`, `reboot`, `halt`.
    #[cfg(feature = "init")]
    pub fn end(&mut self, how: EndKind) -> Parsed<'a, End> {
        let end = end::parse(how, &mut self.words);
        self.check().map(|asked| asked.is_none().then_some(end))
    }
}

#[cfg(test)]
mod tests;
