//! From the words of a command line to what was asked for.

use crate::cli::options::{Meaning, Part, Program, meaning};
use crate::cli::words::{Word, Words};
use crate::cli::{EndKind, Invocation, LogTarget, Options, Tool, Topic, UsageError};
use crate::network::Target;
use crate::platform::Level;

/// Whether a part that is needed is built, if any is.
fn needs<'a>(part: Part) -> Result<(), UsageError<'a>> {
    if part.is_built() { Ok(()) } else { Err(UsageError::NotBuilt(part.name())) }
}

/// Where the walk is.
struct Walk<'o, 'a> {
    program: Program,
    tool: Option<Tool>,
    options: &'o mut Options<'a>,
}

/// Reads a command line into `options`; the first argument is the name that the program was called by.
pub fn parse<'a>(
    mut arguments: impl Iterator<Item = &'a [u8]>,
    options: &mut Options<'a>,
) -> Result<Invocation, UsageError<'a>> {
    let called = arguments.next().and_then(|name| core::str::from_utf8(name).ok()).unwrap_or("nanova");
    let called = called.rsplit('/').next().unwrap_or(called);
    if called == "init" {
        needs(Part::Init)?;
        return Ok(Invocation::Init);
    }
    let mut words = Words::new(arguments);
    let mut walk = Walk::by(called, options);
    while let Some(word) = words.next()? {
        let known = match word {
            Word::Operand("init") if walk.program == Program::Nanova => {
                needs(Part::Init)?;
                return Ok(Invocation::Init);
            }
            Word::Operand("help") if walk.program == Program::Nanova => Some(Meaning::Help),
            Word::Operand(operand) => {
                walk.operand(operand)?;
                continue;
            }
            Word::Long(name) => meaning(walk.program, name, '\0'),
            Word::Short(c, option) if walk.tool.is_some_and(|tool| tool.options().contains(c)) => {
                walk.tool_option(c, option, &mut words)?;
                continue;
            }
            Word::Short(c, _) => meaning(walk.program, "", c),
        };
        let (Word::Long(option) | Word::Short(_, option) | Word::Operand(option)) = word;
        match known {
            Some(Meaning::Help) => return Ok(Invocation::Help(walk.topic())),
            Some(Meaning::Version) => return Ok(Invocation::Version),
            Some(Meaning::SelfTest) => return Ok(Invocation::SelfTest),
            Some(known) => walk.option(known, option, &mut words)?,
            None => return Err(UsageError::Option(option)),
        }
    }
    walk.end()
}

impl<'o, 'a> Walk<'o, 'a> {
    /// The beginning: what the name says that the program was called by.
    fn by(called: &str, options: &'o mut Options<'a>) -> Walk<'o, 'a> {
        let tool = called.strip_prefix("xenstore-").and_then(Tool::named);
        let how = EndKind::named(called);
        let program = match called {
            "nova-agent" => Program::NovaAgent,
            "xe-daemon" => Program::XeDaemon,
            "xenstore" => Program::Xenstore,
            _ if tool.is_some() => Program::Xenstore,
            _ if how.is_some() => Program::End,
            _ => Program::Nanova,
        };
        options.agent.background = program == Program::NovaAgent;
        options.end.how = how.unwrap_or(EndKind::PowerOff);
        Walk { program, tool, options }
    }

    /// A word that is no option: a subcommand, a tool, or something for it.
    fn operand(&mut self, operand: &'a str) -> Result<(), UsageError<'a>> {
        match self.program {
            Program::Nanova => {
                self.program = match operand {
                    "agent" => Program::Agent,
                    "report" => Program::Report,
                    "network" => Program::Network,
                    "xenstore" | "status" => Program::Xenstore,
                    _ => return Err(UsageError::Unknown(operand)),
                };
                self.tool = (operand == "status").then_some(Tool::Status);
            }
            Program::Xenstore if self.tool.is_none() => {
                self.tool = Some(Tool::named(operand).ok_or(UsageError::Unknown(operand))?);
            }
            Program::Xenstore => self.options.call.operands.push(operand).map_err(|_| UsageError::TooMany)?,
            // Old service files end in the path of nova-agent.py.
            Program::NovaAgent => {}
            _ => return Err(UsageError::Option(operand)),
        }
        Ok(())
    }

    fn option<I: Iterator<Item = &'a [u8]>>(
        &mut self,
        meaning: Meaning,
        option: &'a str,
        words: &mut Words<'a, I>,
    ) -> Result<(), UsageError<'a>> {
        let wrong = UsageError::Value(option);
        needs(meaning.part())?;
        match meaning {
            Meaning::Xenbus => self.options.common.xenbus = Some(words.value(option)?),
            Meaning::Root => self.options.common.root = words.value(option)?,
            Meaning::LogLevel => self.options.common.level = Some(Level::named(words.value(option)?).ok_or(wrong)?),
            Meaning::LogFile => {
                self.options.common.log = match words.value(option)? {
                    "-" => LogTarget::Stderr,
                    "kmsg" => LogTarget::Kmsg,
                    "syslog" => LogTarget::Syslog,
                    path => LogTarget::File(path),
                };
            }
            Meaning::Quiet => self.options.common.level = None,
            Meaning::Debug => self.options.common.level = Some(Level::Debug),
            Meaning::Network => {
                let network = Target::named(words.value(option)?).ok_or(wrong)?;
                if self.program == Program::Network && network == Target::Off {
                    return Err(wrong);
                }
                (self.options.agent.network, self.options.network.network) = (network, network);
            }
            Meaning::Wait => {
                let seconds = Some(words.number(option)?);
                (self.options.agent.wait, self.options.network.wait) = (seconds, seconds);
            }
            Meaning::Once => self.options.agent.once = true,
            Meaning::NoMetrics => self.options.agent.metrics = false,
            Meaning::Interval => self.options.agent.metrics_interval = words.number(option)?,
            Meaning::NoFork => self.options.agent.background = false,
            Meaning::NoForkIf => self.options.agent.background = words.value(option)? != "true",
            Meaning::PidFile => self.options.agent.pidfile = Some(words.value(option)?),
            #[cfg(feature = "handover")]
            Meaning::Handover => {
                for name in words.value(option)?.split(',') {
                    let style = crate::network::Handover::named(name).ok_or(wrong)?;
                    if !self.options.network.handover.contains(&style) {
                        self.options.network.handover.push(style).map_err(|_| wrong)?;
                    }
                }
            }
            #[cfg(feature = "managers")]
            Meaning::Style => {
                let style = crate::network::managers::registry::named(words.value(option)?);
                self.options.network.style = Some(style.ok_or(wrong)?);
            }
            Meaning::DryRun => self.options.network.dry_run = true,
            Meaning::Socket => self.options.common.sockets_only = true,
            Meaning::Force => self.options.end.force = true,
            // What is not built was refused, and what needs no value is done.
            _ => {}
        }
        Ok(())
    }

    /// A letter that only some of the tools take; which was checked.
    fn tool_option<I: Iterator<Item = &'a [u8]>>(
        &mut self,
        letter: char,
        option: &'a str,
        words: &mut Words<'a, I>,
    ) -> Result<(), UsageError<'a>> {
        let call = &mut self.options.call;
        match letter {
            'p' if self.tool == Some(Tool::Ls) => call.permissions = true,
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

    fn topic(&self) -> Topic {
        match self.program {
            Program::Nanova | Program::End => Topic::Nanova,
            Program::Agent | Program::NovaAgent => Topic::Agent,
            Program::Report | Program::XeDaemon => Topic::Report,
            Program::Network => Topic::Network,
            Program::Xenstore => Topic::Xenstore,
        }
    }

    /// What was asked for, once all is read.
    fn end(self) -> Result<Invocation, UsageError<'a>> {
        needs(self.program.part(self.tool))?;
        let call = &mut self.options.call;
        Ok(match self.program {
            Program::Nanova => return Err(UsageError::Nothing),
            Program::Agent | Program::NovaAgent => Invocation::Agent,
            Program::Report | Program::XeDaemon => {
                self.options.agent.commands = false;
                Invocation::Agent
            }
            Program::Network => Invocation::Network,
            Program::Xenstore => {
                call.tool = self.tool.ok_or(UsageError::Nothing)?;
                let enough = match (call.tool, call.operands.len()) {
                    (Tool::Ls, _) | (Tool::Status, 0) => true,
                    (Tool::Status, _) => false,
                    (Tool::Write, operands) => operands > 0 && operands % 2 == 0,
                    (Tool::Chmod, operands) => operands > 1,
                    (_, operands) => operands > 0,
                };
                if !enough {
                    return Err(UsageError::Operands(call.tool));
                }
                Invocation::Xenstore
            }
            Program::End => Invocation::End,
        })
    }
}
