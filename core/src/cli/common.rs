//! What every subcommand takes: where xenstore is, where the guest's files are, and the log.

use crate::cli::usage::UsageError;
use crate::cli::words::{Word, Words};
use crate::network::{DhcpMode, Target};
use crate::platform::Level;

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
    /// Nothing is said of a machine that is no Xen guest.
    pub quiet: bool,
}

impl Default for Common<'_> {
    fn default() -> Self {
        Common {
            xenbus: None,
            sockets_only: false,
            root: "/",
            level: Some(Level::Info),
            log: LogTarget::Stderr,
            quiet: false,
        }
    }
}

impl<'a> Common<'a> {
    /// Takes a word, with its value, if it is one of these options; returns whether it is.
    #[inline(never)]
    pub(super) fn takes<I: Iterator<Item = &'a [u8]>>(&mut self, word: Word<'a>, words: &mut Words<'a, I>) -> bool {
        match word {
            Word::Option("--xenbus") => self.xenbus = Some(words.value()),
            Word::Option("--root") => self.root = words.value(),
            Word::Option("--loglevel" | "l") => self.level = words.choice(Level::CHOICES, Level::named),
            Word::Option("--logfile" | "o") => {
                self.log = match words.value() {
                    "-" => LogTarget::Stderr,
                    "kmsg" => LogTarget::Kmsg,
                    "syslog" => LogTarget::Syslog,
                    path => LogTarget::File(path),
                };
            }
            Word::Option("--quiet" | "q") => (self.level, self.quiet) = (None, true),
            _ => return false,
        }
        true
    }

    /// What of the network changes, where `said` was: of a system that is not the running one its files alone, unless
    /// the kernel's is asked for.
    pub(super) fn target<'w, I>(&self, said: Option<Target>, dhcp: DhcpMode, words: &mut Words<'w, I>) -> Target
    where
        I: Iterator<Item = &'w [u8]>,
    {
        let elsewhere = self.root != "/";
        let target = said.unwrap_or(if elsewhere { Target::Files } else { Target::Both });
        if elsewhere && dhcp != DhcpMode::Off && matches!(target, Target::Files | Target::Off) {
            words.fail(UsageError::Operands("with --root, --dhcp needs --network kernel or both"));
        }
        target
    }
}
