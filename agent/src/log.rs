//! Log lines: `2013-05-26 08:06:29,855 [INFO] Received command …`, as nova-agent's operators know them.
//!
//! One line is one write(2), or one datagram to syslog. In the kernel's log and in syslog's the line carries its level
//! in their form and leaves the time to them. A file is the owner's alone (0600): it tells what the host did.

use core::fmt::{self, Write};

use nanova_core::cli::{Common, LogTarget};
use nanova_core::platform::Level;
use nanova_core::wire::text::Bounded;
use nanova_core::wire::time::Moment;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::process::getpid;

use crate::datagrams::Receiver;
use crate::output::{complain, write_all};
use crate::paths::open;
use crate::pid::pid_number;
use crate::rt::clock::realtime;
use crate::rt::stdio::stderr;

/// Longest line: below what one record of /dev/kmsg takes (976 bytes, `LOG_LINE_MAX` of older kernels).
const LINE_MAX: usize = 900;

/// syslog's facility of system daemons (RFC 3164, 4.1.1: 3, above the three bits of the severity).
const DAEMON: u8 = 3 << 3;

/// The log.
pub(crate) struct LogWriter<'a> {
    level: Option<Level>,
    target: LogTarget<'a>,
    file: Option<OwnedFd>,
    syslog: Option<Receiver>,
    /// Lines of the kernel's log with a priority from here on are not shown on the console by the kernel, so they are
    /// written to standard error, too.
    unseen_from: Option<u8>,
}

impl<'a> LogWriter<'a> {
    /// Opens the log. When the file cannot be opened the lines go to standard error.
    pub(crate) fn open(common: &Common<'a>) -> LogWriter<'a> {
        let mut log =
            LogWriter { level: common.level, target: common.log, file: None, syslog: None, unseen_from: None };
        log.reopen();
        log
    }

    /// Opens the log's file again, after it was moved away.
    pub(crate) fn reopen(&mut self) {
        let (path, flags) = match self.target {
            LogTarget::Stderr => return,
            LogTarget::Syslog => return self.syslog = Receiver::of(b"/dev/log"),
            LogTarget::Kmsg => ("/dev/kmsg", OFlags::empty()),
            LogTarget::File(path) => (path, OFlags::CREATE | OFlags::APPEND),
        };
        match open(path, flags | OFlags::WRONLY | OFlags::NOCTTY, 0o600) {
            Ok(file) => self.file = Some(file),
            Err(errno) => complain(format_args!(
                "cannot open the log {path}: {}; logging {}",
                nanova_core::wire::errno::Errno(errno.raw_os_error() as u16),
                if self.file.is_some() { "to the old one" } else { "to standard error" }
            )),
        }
    }

    /// Has no line be written any more.
    pub(crate) fn silence(&mut self) {
        self.level = None;
    }

    /// Has every line appear on the console, those included that the kernel keeps from it (`quiet`, `loglevel=`).
    pub(crate) fn show_on_console(&mut self, console_loglevel: u8) {
        self.unseen_from = Some(console_loglevel);
    }

    /// Writes a line, if lines of that level are wanted. A log that cannot be written stops nothing.
    pub(crate) fn line(&mut self, level: Level, text: fmt::Arguments<'_>) {
        if self.level.is_none_or(|limit| level > limit) {
            return;
        }
        let mut line = Bounded::<LINE_MAX>::new();
        if let Some(syslog) = &self.syslog {
            let _ = write!(line, "<{}>nanova[{}]: {text}", u64::from(DAEMON | priority(level)), pid_number(getpid()));
            if syslog.send(line.as_str()).is_ok() {
                return;
            }
            // Nobody is there, or does not keep up.
            line = Bounded::new();
        }
        let _ = match (self.target, &self.file) {
            (LogTarget::Kmsg, Some(_)) => write!(line, "<{}>nanova: {text}", u64::from(priority(level))),
            _ => write!(line, "{} [{}] {text}", now(), name(level)),
        };
        let mut bytes = heapless::Vec::<u8, { LINE_MAX + 1 }>::new();
        let _ = bytes.extend_from_slice(line.as_str().as_bytes()).and_then(|()| bytes.extend_from_slice(b"\n"));
        let _ = match &self.file {
            Some(file) => write_all(file, &bytes),
            None => write_all(stderr(), &bytes),
        };
        if self.file.is_some() && self.unseen_from.is_some_and(|from| priority(level) >= from) {
            complain(text);
        }
    }
}

fn now() -> Moment {
    let now = realtime();
    Moment { seconds: now.seconds as u64, millis: (now.nanoseconds / 1_000_000) as u16 }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
        Level::Trace => "TRACE",
    }
}

/// The kernel's number for it (`include/linux/kern_levels.h`).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}
