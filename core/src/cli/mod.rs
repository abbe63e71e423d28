//! The command line: names, options and exit codes that tests, packages and people rely on.
//!
//! Pure: the arguments in, an [`Invocation`] or a [`UsageError`] out. Options that a subcommand takes may stand before or
//! after its other words; `--` ends them.

mod words;

use core::fmt;

use crate::network::style::Style;
use crate::platform::Level;
use words::{Word, Words};

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
#[expect(clippy::large_enum_variant, reason = "one value in a program, and no heap to put a part of it on")]
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation<'a> {
    /// Show how it is used.
    Help(Topic),
    /// Show the version.
    Version,
    /// Say whether this build works on this machine.
    SelfTest,
    /// Serve commands for ever.
    Agent(Common<'a>, AgentOptions<'a>),
    /// Do one thing with xenstore.
    Xenstore(Common<'a>, XenstoreCall<'a>),
    /// Apply the network of vm-data once.
    Network(Common<'a>, NetworkOptions),
    /// Be the first process.
    Init,
    /// End the system.
    End(End),
}

/// How a system ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// What comes after.
    pub how: EndKind,
    /// At once, without telling the first process.
    pub force: bool,
}

/// What comes after the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EndKind {
    /// Nothing: the power is off.
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

/// For which network manager of the real root an initramfs leaves its network behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Handover {
    /// klibc's `/run/net-<device>.conf` and `/run/net6-<device>.conf`.
    Klibc,
    /// `/run/systemd/network/`.
    Networkd,
    /// `/run/NetworkManager/system-connections/`.
    Keyfile,
    /// `/run/netplan/`.
    Netplan,
}

impl Handover {
    fn named(name: &str) -> Option<Handover> {
        Some(match name {
            "klibc" => Handover::Klibc,
            "networkd" => Handover::Networkd,
            "keyfile" => Handover::Keyfile,
            "netplan" => Handover::Netplan,
            _ => return None,
        })
    }
}

/// Options of `nanova network`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkOptions {
    /// Whether files are written, the kernel is configured, or both.
    pub network: Network,
    /// The forms in which the network is handed over; at most one of each.
    pub handover: heapless::Vec<Handover, 4>,
    /// Seconds that the whole may take; for ever if there is no number.
    pub wait: Option<u32>,
    /// The style of the files, instead of detection.
    pub style: Option<Style>,
    /// Print what would be done.
    pub dry_run: bool,
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

/// What of the network the agent manages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Network {
    /// Configuration files.
    Files,
    /// The kernel's addresses and routes.
    Kernel,
    /// Both.
    Both,
    /// Nothing.
    Off,
}

impl Network {
    /// The choice with this name.
    pub fn named(name: &str) -> Option<Network> {
        Some(match name {
            "files" => Network::Files,
            "kernel" => Network::Kernel,
            "both" => Network::Both,
            "off" => Network::Off,
            _ => return None,
        })
    }
}

/// Options of `nanova agent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentOptions<'a> {
    /// What `resetnetwork` changes.
    pub network: Network,
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
    /// Where the background process leaves its id.
    pub pidfile: Option<&'a str>,
}

impl AgentOptions<'_> {
    /// Those of `nanova report`.
    const REPORT: Self = AgentOptions { commands: false, ..Self::DEFAULT };
    const DEFAULT: Self = AgentOptions {
        network: Network::Both,
        once: false,
        commands: true,
        metrics: true,
        metrics_interval: 60,
        wait: None,
        background: false,
        pidfile: None,
    };
}

impl Default for AgentOptions<'_> {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// An operation of the xenstore tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Print values.
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// A subcommand that does not exist, or not in this build.
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
}

impl fmt::Display for UsageError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::Nothing => f.write_str("what shall I do?"),
            UsageError::Unknown(name) => write!(f, "there is no '{name}' in this build"),
            UsageError::Option(option) => write!(f, "option '{option}' is not known here"),
            UsageError::Value(option) => write!(f, "option '{option}' needs another value"),
            UsageError::TooMany => write!(f, "more than {OPERANDS_MAX} words; split the call"),
            UsageError::Operands(Tool::Write) => f.write_str("write needs pairs of a path and a value"),
            UsageError::Operands(Tool::Chmod) => f.write_str("chmod needs a path and modes such as n0 r7"),
            UsageError::Operands(_) => f.write_str("a path is needed"),
            UsageError::NotText => f.write_str("an argument is not UTF-8"),
        }
    }
}

/// Reads a command line; the first argument is the name that the program was called by.
pub fn parse<'a>(mut arguments: impl Iterator<Item = &'a [u8]>) -> Result<Invocation<'a>, UsageError<'a>> {
    let called = arguments.next().and_then(|name| core::str::from_utf8(name).ok()).unwrap_or("nanova");
    let called = called.rsplit('/').next().unwrap_or(called);
    let mut words = Words::new(arguments);
    let common = Common::default();
    if called == "nova-agent" {
        let options = AgentOptions { background: true, ..AgentOptions::default() };
        return parse_agent(words, common, options, As::NovaAgent);
    }
    if called == "xe-daemon" {
        return parse_agent(words, common, AgentOptions::REPORT, As::XeDaemon);
    }
    if let Some(tool) = called.strip_prefix("xenstore-").and_then(Tool::named) {
        return parse_xenstore(words, common, Some(tool));
    }
    if called == "xenstore" {
        return parse_xenstore(words, common, None);
    }
    if called == "init" {
        return Ok(Invocation::Init);
    }
    if let Some(how) = EndKind::named(called) {
        return parse_end(words, how);
    }
    parse_subcommand(&mut words, common).and_then(|subcommand| match subcommand {
        Subcommand::Init => Ok(Invocation::Init),
        Subcommand::Network(common) => parse_network(words, common),
        Subcommand::Help => Ok(Invocation::Help(Topic::Nanova)),
        Subcommand::Version => Ok(Invocation::Version),
        Subcommand::SelfTest => Ok(Invocation::SelfTest),
        Subcommand::Agent(common) => parse_agent(words, common, AgentOptions::default(), As::Agent),
        Subcommand::Report(common) => parse_agent(words, common, AgentOptions::REPORT, As::Agent),
        Subcommand::Xenstore(common) => parse_xenstore(words, common, None),
        Subcommand::Status(common) => parse_xenstore(words, common, Some(Tool::Status)),
    })
}

/// What stands before the subcommand's own words.
enum Subcommand<'a> {
    Help,
    SelfTest,
    Version,
    Init,
    Agent(Common<'a>),
    Report(Common<'a>),
    Status(Common<'a>),
    Network(Common<'a>),
    Xenstore(Common<'a>),
}

fn parse_subcommand<'a, I: Iterator<Item = &'a [u8]>>(
    words: &mut Words<'a, I>,
    mut common: Common<'a>,
) -> Result<Subcommand<'a>, UsageError<'a>> {
    while let Some(word) = words.next()? {
        match word {
            Word::Operand("agent") => return Ok(Subcommand::Agent(common)),
            Word::Operand("report") => return Ok(Subcommand::Report(common)),
            Word::Operand("status") => return Ok(Subcommand::Status(common)),
            Word::Operand("xenstore") => return Ok(Subcommand::Xenstore(common)),
            Word::Operand("network") => return Ok(Subcommand::Network(common)),
            Word::Operand("init") => return Ok(Subcommand::Init),
            Word::Operand("help") | Word::Long("--help") | Word::Short('h', _) => {
                return Ok(Subcommand::Help);
            }
            Word::Long("--version") | Word::Short('V', _) => return Ok(Subcommand::Version),
            Word::Long("--self-test") => return Ok(Subcommand::SelfTest),
            Word::Operand(name) => return Err(UsageError::Unknown(name)),
            option => parse_common(words, option, &mut common)?,
        }
    }
    Err(UsageError::Nothing)
}

/// An option that all subcommands take.
fn parse_common<'a, I: Iterator<Item = &'a [u8]>>(
    words: &mut Words<'a, I>,
    word: Word<'a>,
    common: &mut Common<'a>,
) -> Result<(), UsageError<'a>> {
    match word {
        Word::Long(option @ "--xenbus") => common.xenbus = Some(words.value(option)?),
        Word::Long(option @ "--root") => common.root = words.value(option)?,
        Word::Long(option @ "--loglevel") | Word::Short('l', option) => {
            common.level = Some(Level::named(words.value(option)?).ok_or(UsageError::Value(option))?);
        }
        Word::Long(option @ "--logfile") | Word::Short('o', option) => {
            common.log = match words.value(option)? {
                "-" => LogTarget::Stderr,
                "kmsg" => LogTarget::Kmsg,
                "syslog" => LogTarget::Syslog,
                path => LogTarget::File(path),
            };
        }
        Word::Long("--quiet") | Word::Short('q', _) => common.level = None,
        Word::Long(option) | Word::Short(_, option) | Word::Operand(option) => return Err(UsageError::Option(option)),
    }
    Ok(())
}

/// What the service was called as: its predecessors had options of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    Agent,
    NovaAgent,
    XeDaemon,
}

fn parse_agent<'a, I: Iterator<Item = &'a [u8]>>(
    mut words: Words<'a, I>,
    mut common: Common<'a>,
    mut options: AgentOptions<'a>,
    called: As,
) -> Result<Invocation<'a>, UsageError<'a>> {
    while let Some(word) = words.next()? {
        match word {
            Word::Long("--help") | Word::Short('h', _) if options.commands => {
                return Ok(Invocation::Help(Topic::Agent));
            }
            Word::Long("--help") | Word::Short('h', _) => return Ok(Invocation::Help(Topic::Report)),
            Word::Long(option @ "--network") => {
                options.network = Network::named(words.value(option)?).ok_or(UsageError::Value(option))?;
            }
            Word::Long("--once") => options.once = true,
            Word::Long("--no-metrics") if options.commands => options.metrics = false,
            Word::Long(option @ "--metrics-interval") => options.metrics_interval = words.number(option)?,
            Word::Long(option @ "--wait") => options.wait = Some(words.number(option)?),
            Word::Long("--nofork") | Word::Short('n', _) if called == As::NovaAgent => options.background = false,
            Word::Long(option @ "--no-fork") if called == As::NovaAgent => {
                options.background = words.value(option)? != "true"
            }
            Word::Short('p', option) if called != As::Agent => options.pidfile = Some(words.value(option)?),
            // Old service files end in the path of nova-agent.py.
            Word::Operand(_) if called == As::NovaAgent => {}
            Word::Short('i', option) if called == As::XeDaemon => options.metrics_interval = words.number(option)?,
            // More in the log; and the balloon driver, of which sysfs tells.
            Word::Short('d', _) if called == As::XeDaemon => common.level = Some(Level::Debug),
            Word::Short('B', _) if called == As::XeDaemon => {}
            option => parse_common(&mut words, option, &mut common)?,
        }
    }
    Ok(Invocation::Agent(common, options))
}

fn parse_network<'a, I: Iterator<Item = &'a [u8]>>(
    mut words: Words<'a, I>,
    mut common: Common<'a>,
) -> Result<Invocation<'a>, UsageError<'a>> {
    let mut options = NetworkOptions {
        network: Network::Both,
        handover: heapless::Vec::new(),
        wait: None,
        style: None,
        dry_run: false,
    };
    while let Some(word) = words.next()? {
        match word {
            Word::Long("--help") | Word::Short('h', _) => return Ok(Invocation::Help(Topic::Network)),
            Word::Long(option @ "--network") => {
                options.network = match Network::named(words.value(option)?) {
                    Some(Network::Off) | None => return Err(UsageError::Value(option)),
                    Some(network) => network,
                };
            }
            Word::Long(option @ "--handover") => {
                for name in words.value(option)?.split(',') {
                    let style = Handover::named(name).ok_or(UsageError::Value(option))?;
                    if !options.handover.contains(&style) {
                        options.handover.push(style).map_err(|_| UsageError::Value(option))?;
                    }
                }
            }
            Word::Long(option @ "--wait") => options.wait = Some(words.number(option)?),
            Word::Long(option @ "--style") => {
                options.style = Some(Style::named(words.value(option)?).ok_or(UsageError::Value(option))?);
            }
            Word::Long("--dry-run") => options.dry_run = true,
            option => parse_common(&mut words, option, &mut common)?,
        }
    }
    Ok(Invocation::Network(common, options))
}

/// `poweroff`, `reboot`, `halt`: `-f` for at once; what else their predecessors took (`-p`, `-n`, `-w`, `-d`) changes nothing.
fn parse_end<'a, I: Iterator<Item = &'a [u8]>>(
    mut words: Words<'a, I>,
    how: EndKind,
) -> Result<Invocation<'a>, UsageError<'a>> {
    let mut end = End { how, force: false };
    while let Some(word) = words.next()? {
        match word {
            Word::Long("--help") | Word::Short('h', _) => return Ok(Invocation::Help(Topic::Nanova)),
            Word::Long("--force") | Word::Short('f', _) => end.force = true,
            Word::Short('p' | 'n' | 'w' | 'd', _) => {}
            Word::Long(option) | Word::Short(_, option) | Word::Operand(option) => {
                return Err(UsageError::Option(option));
            }
        }
    }
    Ok(Invocation::End(end))
}

fn parse_xenstore<'a, I: Iterator<Item = &'a [u8]>>(
    mut words: Words<'a, I>,
    mut common: Common<'a>,
    mut tool: Option<Tool>,
) -> Result<Invocation<'a>, UsageError<'a>> {
    let mut call = XenstoreCall {
        tool: Tool::Read,
        operands: Operands::new(),
        prefix: false,
        raw: false,
        full: false,
        permissions: false,
        tidy: false,
        recursive: false,
        upwards: false,
        events: None,
    };
    while let Some(word) = words.next()? {
        match word {
            Word::Long("--help") | Word::Short('h', _) => return Ok(Invocation::Help(Topic::Xenstore)),
            Word::Long("--socket") | Word::Short('s', _) => common.sockets_only = true,
            Word::Short(c, option) if tool.is_some_and(|tool| tool.options().contains(c)) => {
                parse_tool_option(&mut words, c, option, &mut call, tool)?;
            }
            Word::Operand(name) if tool.is_none() => tool = Some(Tool::named(name).ok_or(UsageError::Unknown(name))?),
            Word::Operand(operand) => call.operands.push(operand).map_err(|_| UsageError::TooMany)?,
            option => parse_common(&mut words, option, &mut common)?,
        }
    }
    call.tool = tool.ok_or(UsageError::Nothing)?;
    let enough = match (call.tool, call.operands.len()) {
        (Tool::Ls, _) | (Tool::Status, 0) => true,
        (Tool::Status, _) => false,
        (Tool::Write, operands) => operands > 0 && operands % 2 == 0,
        (Tool::Chmod, operands) => operands > 1,
        (_, operands) => operands > 0,
    };
    if enough { Ok(Invocation::Xenstore(common, call)) } else { Err(UsageError::Operands(call.tool)) }
}

/// A short option that only some of the tools take; which was checked.
fn parse_tool_option<'a, I: Iterator<Item = &'a [u8]>>(
    words: &mut Words<'a, I>,
    c: char,
    option: &'a str,
    call: &mut XenstoreCall<'a>,
    tool: Option<Tool>,
) -> Result<(), UsageError<'a>> {
    match c {
        'p' if tool == Some(Tool::Ls) => call.permissions = true,
        'p' => call.prefix = true,
        'R' => call.raw = true,
        'f' => call.full = true,
        't' => call.tidy = true,
        'r' => call.recursive = true,
        'u' => call.upwards = true,
        'n' => call.events = Some(words.number(option)?),
        _ => return Err(UsageError::Option(option)),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
