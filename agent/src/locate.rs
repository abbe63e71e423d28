//! Where xenstore is, and waiting until it is there.
//!
//! The candidates are tried in a fixed order. When none answers, inotify(7) tells when a name appears in the
//! directories they would be in; a candidate that is there but does not answer yet (a socket whose xenstored has not
//! begun to listen, a device without a store) is tried again after a pause that grows. Nothing else is polled.

use nanova_core::cli::Common;
use nanova_core::platform::{Level, Log};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{FileType, OFlags, stat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::errno::errno;
use crate::paths::{self, terminated};
use crate::rt::Environment;
use crate::rt::signals::Signals;
use crate::supervise::Supervisor;
use crate::system::System;
use crate::wait::{running_ms, sleep_until_event};
use crate::xenbus::{ChannelKind, Xenbus};

const DEVICES: [&str; 2] = ["/dev/xen/xenbus", "/proc/xen/xenbus"];
const SOCKETS: [&str; 2] = ["/run/xenstored/socket", "/var/run/xenstored/socket"];
/// How long a candidate that does not answer is left alone, at first and at the most.
const PAUSE_MIN_MS: u64 = 50;
const PAUSE_MAX_MS: u64 = 5_000;

/// The places to look in, in order.
pub(crate) struct Candidates<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) paths: heapless::Vec<&'a str, 5>,
    /// Somebody has named a place.
    named: bool,
}

/// What trying all of them came to.
pub(crate) enum Attempt<'a> {
    /// A connection, and the path it was made to.
    Yes(OwnedFd, ChannelKind, &'a str),
    /// Nothing is there.
    Nothing,
    /// Something is there and does not answer; the first one, and why.
    NotYet(&'a str, Errno),
    /// Something is there that this user may not open, and nothing answers. Waiting does not help.
    Denied(&'a str, Errno),
}

/// Why waiting ended.
pub(crate) enum Waited<'a> {
    /// A connection, and the path it was made to.
    Connected(Xenbus<'a>, &'a str),
    /// The program was told to end.
    Stopped,
    /// Time is over; what is there and does not answer, if anything.
    TimedOut(Option<(&'a str, Errno)>),
    /// This user may not open what is there.
    Denied(&'a str, Errno),
}

impl<'a> Candidates<'a> {
    pub(crate) fn new(environment: &'a Environment, common: &Common<'a>) -> Candidates<'a> {
        let mut paths = heapless::Vec::new();
        let mut add = |path| {
            let _ = paths.push(path);
        };
        let variable = environment.variable("XENSTORED_PATH").and_then(|path| core::str::from_utf8(path).ok());
        let variable = variable.filter(|path| !path.is_empty());
        if let Some(path) = common.xenbus {
            add(path);
        } else {
            if !common.sockets_only {
                DEVICES.into_iter().for_each(&mut add);
            }
            variable.into_iter().for_each(&mut add);
            SOCKETS.into_iter().for_each(&mut add);
        }
        Candidates { environment, paths, named: common.xenbus.is_some() || variable.is_some() }
    }

    /// Whether this machine is known not to be a Xen guest: nobody has named a place, sysfs is there and does not know
    /// Xen. Without sysfs nothing is known, and waiting is right.
    pub(crate) fn hopeless(&self) -> bool {
        !self.named
            && paths::exists("/sys/kernel")
            && !paths::exists("/proc/xen")
            && !self.paths.iter().any(|path| paths::exists(path))
            && !xen_in_sysfs()
    }

    /// Whether any is a socket now.
    #[cfg(feature = "lockdown")]
    pub(crate) fn have_socket(&self) -> bool {
        self.paths.iter().any(|path| is_socket(path) == Ok(true))
    }

    /// Tries each.
    pub(crate) fn connect(&self) -> Attempt<'a> {
        let mut not_yet = Attempt::Nothing;
        for &path in &self.paths {
            match open(path) {
                Ok((fd, kind)) => return Attempt::Yes(fd, kind, path),
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                // The first process has nobody to tell, and nothing else to do than to try again.
                Err(error @ (Errno::ACCESS | Errno::PERM)) if !rustix::process::getpid().is_init() => {
                    not_yet = Attempt::Denied(path, error);
                }
                Err(error) => {
                    if let Attempt::Nothing = not_yet {
                        not_yet = Attempt::NotYet(path, error);
                    }
                }
            }
        }
        not_yet
    }

    /// Waits until one of them answers; for ever, or so many seconds.
    pub(crate) fn wait(
        &self,
        system: &mut System<'_>,
        signals: &'a Signals,
        supervisor: &mut dyn Supervisor,
        seconds: Option<u32>,
    ) -> Waited<'a> {
        match self.connect() {
            Attempt::Yes(fd, kind, path) => return Waited::Connected(Xenbus::new(fd, kind, Some(signals)), path),
            Attempt::NotYet(path, error) => {
                let error = errno(error);
                system.log(Level::Warn, format_args!("xenstore does not answer at {path}: {error}; waiting for it"));
            }
            Attempt::Denied(path, error) => return Waited::Denied(path, error),
            Attempt::Nothing => system.log(Level::Warn, format_args!("xenstore is not there yet; waiting for it")),
        }
        let deadline = seconds.map(|seconds| running_ms() + u64::from(seconds) * 1000);
        let names = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok();
        let mut pause = PAUSE_MIN_MS;
        loop {
            // First the watches, then another try: what appears in between is seen by the one or the other.
            if let Some(names) = &names {
                self.paths.iter().for_each(|path| watch_directories(names, path));
            }
            let there = match self.connect() {
                Attempt::Yes(fd, kind, path) => return Waited::Connected(Xenbus::new(fd, kind, Some(signals)), path),
                Attempt::NotYet(path, error) => Some((path, error)),
                Attempt::Denied(path, error) => return Waited::Denied(path, error),
                Attempt::Nothing => None,
            };
            let left = deadline.map(|deadline| deadline.saturating_sub(running_ms()));
            if left == Some(0) {
                return Waited::TimedOut(there);
            }
            // Something that does not answer yet, or a kernel without inotify: only trying again helps.
            let again = there.is_some() || names.is_none();
            let timeout = [again.then_some(pause), left, supervisor.wake_in_ms()].into_iter().flatten().min();
            sleep_until_event(signals, names.as_ref(), timeout);
            supervisor.woke(system, signals);
            if signals.stop() {
                return Waited::Stopped;
            }
            pause = if again { (pause * 2).min(PAUSE_MAX_MS) } else { PAUSE_MIN_MS };
        }
    }
}

fn open(path: &str) -> Result<(OwnedFd, ChannelKind), Errno> {
    // Looked at first: open(2) says of a socket what it is, too (ENXIO), but not to an agent that is locked down, which
    // may write to no file that has come since.
    if !is_socket(path)? {
        return Ok((paths::open(path, OFlags::RDWR | OFlags::NOCTTY, 0)?, ChannelKind::Device));
    }
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path.as_bytes())?)?;
    Ok((socket, ChannelKind::Socket))
}

fn is_socket(path: &str) -> Result<bool, Errno> {
    paths::with_path(path, |path| Ok(FileType::from_raw_mode(stat(path)?.st_mode) == FileType::Socket))
}

fn xen_in_sysfs() -> bool {
    let mut kind = [0; 4];
    let file = paths::open("/sys/hypervisor/type", OFlags::RDONLY, 0);
    file.and_then(|file| rustix::io::read(file, &mut kind[..])).is_ok() && kind.starts_with(b"xen")
}

/// Watches every directory on the way to `path` that is there. The innermost would do, but then its own removal and
/// return would be missed.
pub(crate) fn watch_directories(names: &OwnedFd, path: &str) {
    let here = (!path.starts_with('/')).then_some(".");
    for directory in here.into_iter().chain(path.match_indices('/').filter_map(|(slash, _)| path.get(..slash.max(1)))) {
        let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ATTRIB | WatchFlags::ONLYDIR;
        let mut room = [0; 512];
        let added = terminated(directory, &mut room).and_then(|path| inotify::add_watch(names, path, flags));
        if added.is_err() {
            return;
        }
    }
}
