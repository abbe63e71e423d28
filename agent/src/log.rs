//! Log lines: `2013-05-26 08:06:29,855 [INFO] Received command …`, as nova-agent's operators know them.
//!
//! One line is one write(2), or one datagram to syslog. In the kernel's log and in syslog's the line carries its level
//! in their form and leaves the time to them. A file is the owner's alone (0600): it tells what the host did.
//!
//! Nothing waits for a reader: a line that cannot be written at once, as to a pipe that nobody empties or a terminal
//! that was stopped, is lost, and before the next one that can be stands how many were.

use core::fmt::{self, Write};

use nanova_core::cli::{Common, LogTarget};
use nanova_core::platform::Level;
use nanova_core::wire::text::Bounded;
use nanova_core::wire::time::Moment;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, OFlags, fstat};
use rustix::process::getpid;

use crate::datagrams::Receiver;
use crate::output::write_now;
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
    pub(crate) target: LogTarget<'a>,
    file: Option<OwnedFd>,
    syslog: Option<Receiver>,
    /// Where standard error leads.
    stderr: StandardError,
    /// How many lines were lost since the last one that was written.
    lost: u64,
    /// Whether of the last one a part was written.
    torn: bool,
    /// Lines of the kernel's log with a priority from here on are not shown on the console by the kernel, so they are
    /// written to standard error, too.
    unseen_from: Option<u8>,
}

impl<'a> LogWriter<'a> {
    /// Opens the log. When the file cannot be opened the lines go to standard error.
    pub(crate) fn open(common: &Common<'a>) -> LogWriter<'a> {
        let mut log = LogWriter {
            level: common.level,
            target: common.log,
            file: None,
            syslog: None,
            stderr: StandardError::new(),
            lost: 0,
            torn: false,
            unseen_from: None,
        };
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
        match open(path, flags | OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK, 0o600) {
            Ok(file) => self.file = Some(file),
            Err(errno) => self.on_stderr(format_args!(
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
        if let Some(syslog) = &self.syslog {
            let id = pid_number(getpid());
            let line =
                Bounded::<LINE_MAX>::of(format_args!("<{}>nanova[{id}]: {text}", u64::from(DAEMON | priority(level))));
            if syslog.send(line.as_str()).is_ok() {
                return;
            }
            // Nobody is there, or does not keep up.
        }
        let lost = self.lost;
        if lost == 0 || self.put(Level::Warn, format_args!("{lost} lines lost: nobody read the log")) {
            self.lost = u64::from(!self.put(level, text));
        } else {
            self.lost += 1;
        }
        if self.file.is_some() && self.unseen_from.is_some_and(|from| priority(level) >= from) {
            // What the console does not take is in the kernel's log.
            self.on_stderr(text);
        }
    }

    /// Writes a line; returns whether it was written.
    #[inline(never)]
    fn put(&mut self, level: Level, text: fmt::Arguments<'_>) -> bool {
        let mut line = Bounded::<LINE_MAX>::new();
        let _ = match (self.target, &self.file) {
            (LogTarget::Kmsg, Some(_)) => write!(line, "<{}>nanova: {text}", u64::from(priority(level))),
            _ => write!(line, "{} [{}] {text}", now(), name(level)),
        };
        let mut bytes = heapless::Vec::<u8, { LINE_MAX + 1 }>::new();
        let _ = bytes.extend_from_slice(line.as_str().as_bytes()).and_then(|()| bytes.extend_from_slice(b"\n"));
        let (to, would_wait) = self.file.as_ref().map_or(self.stderr.get(), |file| (file.as_fd(), false));
        if self.torn && write_now(to, would_wait, b"\n") == 0 {
            return false;
        }
        let written = write_now(to, would_wait, &bytes);
        self.torn = written > 0 && written < bytes.len();
        written == bytes.len()
    }

    /// One line on standard error, if it can be written at once.
    fn on_stderr(&self, text: fmt::Arguments<'_>) {
        let mut line = Bounded::<512>::new();
        let _ = writeln!(line, "nanova: {text}");
        let (to, would_wait) = self.stderr.get();
        write_now(to, would_wait, line.as_str().as_bytes());
    }
}

/// Standard error: opened once more, if it is a pipe or a terminal, so that writing there never waits. O_NONBLOCK
/// belongs to what was opened, and that is shared with whoever started the agent. Where there is no /proc, and for a
/// socket, writing is asked for first, which a terminal may answer wrongly.
struct StandardError {
    own: Option<OwnedFd>,
    /// Whether the one that was inherited can have somebody wait: no file does.
    would_wait: bool,
}

impl StandardError {
    fn new() -> StandardError {
        let kind = fstat(stderr()).map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode));
        let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK;
        let own = match kind {
            FileType::Fifo | FileType::CharacterDevice => open("/proc/self/fd/2", flags, 0).ok(),
            _ => None,
        };
        StandardError { own, would_wait: kind != FileType::RegularFile }
    }

    /// The descriptor to write to, and whether that would wait.
    fn get(&self) -> (BorrowedFd<'_>, bool) {
        self.own.as_ref().map_or((stderr(), self.would_wait), |own| (own.as_fd(), false))
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
