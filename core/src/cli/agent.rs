//! `nanova agent` and `nanova report`, and their predecessors' names: `nova-agent`, `xe-daemon`.

use crate::cli::common::Common;
use crate::cli::help::page;
use crate::cli::usage::UsageError;
use crate::cli::words::{Word, Words};
#[cfg(feature = "lockdown")]
use crate::lockdown::Forbidden;
use crate::network::{DhcpMode, Target};
use crate::platform::Level;

/// As whom it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// `nanova agent`.
    Agent,
    /// The same by its predecessor's service files.
    NovaAgent,
    /// `nanova report`.
    Report,
    /// The same by its predecessor's service files.
    XeDaemon,
}

impl Called {
    /// What it shows when it is asked for help.
    pub(super) fn help(self) -> &'static str {
        match self {
            Called::Agent | Called::NovaAgent => AGENT,
            Called::Report | Called::XeDaemon => REPORT,
        }
    }
}

const AGENT: &str = page!(
    "\
nanova agent [options]    (also as nova-agent)

  --once                  serve what is pending, then exit
  --wait SECONDS          for xenstore to appear; default: for ever
",
    "network": "  --network files|kernel|both|off  what resetnetwork changes\n",
    "dhcp": "  --dhcp auto|always|off  VIFs that xenstore says nothing of ask DHCP; default: off\n",
    "report": "  --no-metrics            publish nothing about the guest
  --metrics-interval SECONDS  between looks at memory, each tenth at volumes; default 60, 0: never
",
    "hotplug": "  --no-hotplug            set no processor online that is added, nor memory\n",
    "lockdown": "  --lockdown[=kill]       run no program, and keep no right that is not needed\n",
    "  -p PIDFILE              where to leave the process's number
As nova-agent it goes to the background, but for -n, --nofork, --no-fork [WORD]; it knows
--level, --pidfile and --logfile as its predecessors do, ignores -S, --syspython and
the path of a configuration, and resets the network first where the last word is resetnetwork.
SIGTERM ends it, SIGHUP reopens the log file.
",
);

const REPORT: &str = page!(
    "\
nanova report [options]   (also as xe-daemon, with -p PIDFILE, -i SECONDS)

  --once                  publish once, then exit
  --wait SECONDS          for xenstore to appear; default: for ever
  --metrics-interval SECONDS  between looks at memory, each tenth at volumes; default 60, 0: never
",
    "lockdown": "  --lockdown[=kill]       run no program, and keep no right that is not needed\n",
);

/// Options of `nanova agent` and `nanova report`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentOptions<'a> {
    /// What `resetnetwork` changes.
    pub network: Target,
    /// When interfaces ask DHCP.
    pub dhcp: DhcpMode,
    /// Serve what is pending, then exit.
    pub once: bool,
    /// Serve the host's commands.
    pub commands: bool,
    /// Publish what toolstacks want to know of the guest.
    pub metrics: bool,
    /// Seconds between looks at memory, of which every tenth is one at volumes, too; 0: never.
    pub metrics_interval: u32,
    /// Seconds to wait for xenstore to appear; for ever if there is no number.
    pub wait: Option<u32>,
    /// Go to the background, as nova-agent's old service files expect.
    pub background: bool,
    /// Where the process leaves its number.
    pub pidfile: Option<&'a str>,
    /// Reset the network before anything else.
    pub reset_network: bool,
    /// Set processors and memory online that are added.
    pub hotplug: bool,
    /// Give up what is not needed, and what becomes of whatever needs it all the same.
    #[cfg(feature = "lockdown")]
    pub lockdown: Option<Forbidden>,
}

impl AgentOptions<'_> {
    /// Whether a report is asked for: not where only what is pending is served.
    pub fn reports(&self) -> bool {
        self.metrics && !(self.once && self.commands)
    }
}

impl Default for AgentOptions<'_> {
    fn default() -> Self {
        AgentOptions {
            network: Target::Both,
            dhcp: DhcpMode::Off,
            once: false,
            commands: true,
            metrics: true,
            metrics_interval: 60,
            wait: None,
            background: false,
            pidfile: None,
            reset_network: false,
            hotplug: true,
            #[cfg(feature = "lockdown")]
            lockdown: None,
        }
    }
}

/// Reads the rest of its words.
pub(super) fn parse<'a, I: Iterator<Item = &'a [u8]>>(
    called: Called,
    common: &mut Common<'a>,
    words: &mut Words<'a, I>,
) -> AgentOptions<'a> {
    use Called::{Agent, NovaAgent, XeDaemon};
    let commands = matches!(called, Agent | NovaAgent);
    let mut options = AgentOptions { commands, background: called == NovaAgent, ..AgentOptions::default() };
    let mut network = None;
    while let Some(word) = words.next() {
        if common.takes(word, words) {
            continue;
        }
        match (word, called) {
            (Word::Option("--once"), _) => options.once = true,
            (Word::Option("--wait"), _) => options.wait = Some(words.number()),
            (Word::Option("--network"), _) if cfg!(feature = "network") => {
                network = words.choice(Target::CHOICES, Target::named);
            }
            (Word::Option("--network"), _) => words.fail(UsageError::NotBuilt("network")),
            (Word::Option("--dhcp"), Agent) if cfg!(feature = "dhcp") => {
                options.dhcp = words.choice(DhcpMode::CHOICES, DhcpMode::named).unwrap_or_default();
            }
            (Word::Option("--dhcp"), Agent) => words.fail(UsageError::NotBuilt("dhcp")),
            (Word::Option("--metrics-interval" | "--no-metrics"), Agent | NovaAgent) if !cfg!(feature = "report") => {
                words.fail(UsageError::NotBuilt("report"));
            }
            (Word::Option("--metrics-interval"), _) | (Word::Option("i"), XeDaemon) => {
                options.metrics_interval = words.number();
            }
            (Word::Option("--no-metrics"), Agent | NovaAgent) => options.metrics = false,
            (Word::Option("--no-hotplug"), _) => options.hotplug = false,
            #[cfg(feature = "lockdown")]
            (Word::Option("--lockdown"), _) => {
                options.lockdown = match words.value_behind_equals() {
                    None => Some(Forbidden::Fails),
                    Some("kill") => Some(Forbidden::Kills),
                    Some(other) => {
                        words.refuse_value(other, "kill");
                        None
                    }
                };
            }
            #[cfg(not(feature = "lockdown"))]
            (Word::Option("--lockdown"), _) => words.fail(UsageError::NotBuilt("lockdown")),
            (Word::Option("p"), Agent | NovaAgent | XeDaemon) | (Word::Option("--pidfile"), NovaAgent) => {
                options.pidfile = Some(words.value());
            }
            (Word::Option("--nofork" | "n"), NovaAgent) => options.background = false,
            // What Python's bool makes of a word: true, unless it is empty. The first versions took none.
            (Word::Option("--no-fork"), NovaAgent) => options.background = words.value_if_any() == Some(""),
            (Word::Option("--level"), NovaAgent) => common.level = words.choice(Level::CHOICES, Level::named),
            // Whose Python it is that runs the older one.
            (Word::Option("S" | "--syspython"), NovaAgent) => {}
            // Old service files end in the path of nova-agent.py, and what that takes.
            (Word::Operand(word), NovaAgent) => options.reset_network = word == "resetnetwork",
            (Word::Option("d"), XeDaemon) => common.level = Some(Level::Debug),
            // The balloon driver, of which sysfs tells.
            (Word::Option("B"), XeDaemon) => {}
            _ => words.refuse(),
        }
    }
    options.network = common.target(network, options.dhcp, words);
    options
}
