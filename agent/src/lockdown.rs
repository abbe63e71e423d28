//! `--lockdown`: once it has a connection, the agent takes away from itself, for good, what it does not need. What that
//! is `nanova_core::lockdown` says, and `syscalls/` of system calls.
//!
//! Guarantees: afterwards no program is run, by it or by a child, whatever bytes came from the host; an error here ends
//! the agent before it has read anything. Reading files is not limited, and neither are modes and owners of files in a
//! build that sets passwords (Landlock knows nothing of them).

use nanova_core::cli::{AgentOptions, LogTarget};
use nanova_core::lockdown::{Duties, Forbidden};
use nanova_core::network::{DhcpMode, Target};
use nanova_core::platform::{Level, Log};
use nanova_core::wire::errno::Errno;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, OFlags, fstat};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use crate::errno::errno;
use crate::files::LOCKS;
use crate::locate::Candidates;
use crate::output::complain;
use crate::paths::open;
use crate::rt::landlock::{Right, Rules};
use crate::rt::seccomp::{datagrams_alone, lock_down};
use crate::system::System;

/// A step, for the message.
type Failed = (&'static str, Errno);

/// Locks the agent down if that is asked for. Returns whether it may go on; if not, it was said why.
#[inline(never)]
pub(crate) fn begin(system: &mut System<'_>, candidates: &Candidates<'_>, options: &AgentOptions<'_>) -> bool {
    let Some(forbidden) = options.lockdown.filter(|_| !system.locked) else { return true };
    match take_away(system, candidates, options, forbidden) {
        Ok(()) => true,
        Err((what, why)) => {
            complain(format_args!("cannot lock down: {what}: {why}; start without --lockdown"));
            false
        }
    }
}

fn take_away(
    system: &mut System<'_>,
    candidates: &Candidates<'_>,
    options: &AgentOptions<'_>,
    forbidden: Forbidden,
) -> Result<(), Failed> {
    let duties = duties(system, options);
    set_no_new_privs(true).map_err(|error| ("no_new_privs", errno(error)))?;
    match limit_writing(system, candidates, options, duties) {
        Ok(version) => {
            let version = u64::try_from(version).unwrap_or_default();
            system.log(Level::Info, format_args!("locked down: no program is run, Landlock version {version}"));
        }
        Err(Errno::NOSYS | Errno::OPNOTSUPP) => {
            let text = format_args!("locked down: no program is run; this kernel has no Landlock to limit writing");
            system.log(Level::Warn, text);
        }
        Err(why) => return Err(("Landlock", why)),
    }
    let kept = CapabilitySet::from_bits_retain(duties.capabilities());
    let has = rustix::thread::capabilities(None).map_err(|error| ("capabilities", errno(error)))?;
    let kept = has.permitted & kept;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(|error| ("capabilities", errno(error)))?;
    system.locked = true;
    let kill = forbidden == Forbidden::Kills;
    if !candidates.have_socket() {
        datagrams_alone(kill).map_err(|error| ("seccomp", errno(error)))?;
    }
    lock_down(kill).map_err(|error| ("seccomp", errno(error)))
}

/// What the agent is there for.
fn duties(system: &mut System<'_>, options: &AgentOptions<'_>) -> Duties {
    let mut serves = |name| options.commands && is_served(system, name);
    Duties {
        passwords: serves("password"),
        injection: cfg!(feature = "inject") && (serves("injectfile") || serves("file_inject")),
        network: cfg!(feature = "network") && options.commands && options.network != Target::Off,
        dhcp: cfg!(feature = "dhcp") && options.dhcp != DhcpMode::Off,
        volumes: cfg!(feature = "report") && options.reports(),
        hotplug: cfg!(feature = "hotplug") && options.hotplug,
    }
}

#[cfg(feature = "commands")]
fn is_served(system: &mut System<'_>, name: &str) -> bool {
    !nanova_core::commands::disabled::is_disabled(system, name)
}

#[cfg(not(feature = "commands"))]
fn is_served(_: &mut System<'_>, _: &str) -> bool {
    false
}

/// Allows writing where it is needed and nowhere else. Returns the kernel's version of Landlock.
fn limit_writing(
    system: &mut System<'_>,
    candidates: &Candidates<'_>,
    options: &AgentOptions<'_>,
    duties: Duties,
) -> Result<usize, Errno> {
    let rules = Rules::new(candidates.environment.variable("NOTIFY_SOCKET").is_some_and(|name| name.starts_with(b"@")))
        .map_err(errno)?;
    let mut result = Ok(());
    let mut allow = |place: Result<OwnedFd, Errno>, right| {
        let allowed = match place {
            Ok(place) => rules.allow(&place, right).map_err(errno),
            // What is not there, or what nobody or not this user may write, is not written to later either.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ROFS | Errno::ACCES) => Ok(()),
            Err(why) => Err(why),
        };
        result = result.and(allowed);
    };
    duties.writes(system, &mut |system, directory| allow(system.look_at(directory), Right::Change));
    for lock in LOCKS {
        allow(system.open_at(lock, OFlags::WRONLY | OFlags::CREATE), Right::Write);
    }
    let at = |path: &str| open(path, OFlags::PATH, 0).map_err(errno);
    candidates.paths.iter().for_each(|path| allow(at(path), Right::Write));
    match system.log.target {
        LogTarget::File(path) => match at(path) {
            // It is not moved away and made anew, and beside a terminal there are disks.
            Ok(log) if !is_file(&log) => allow(Ok(log), Right::Write),
            _ => allow(at(directory_of(path)), Right::Append),
        },
        LogTarget::Kmsg => allow(at("/dev/kmsg"), Right::Write),
        LogTarget::Stderr | LogTarget::Syslog => {}
    }
    if let Some(path) = options.pidfile {
        allow(at(directory_of(path)), Right::Remove);
    }
    result?;
    let version = rules.version;
    rules.enforce().map_err(errno)?;
    Ok(version)
}

fn is_file(file: &OwnedFd) -> bool {
    fstat(file).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

/// The directory that a file of the command line is in.
fn directory_of(path: &str) -> &str {
    match path.rsplit_once('/') {
        None => ".",
        Some(("", _)) => "/",
        Some((directory, _)) => directory,
    }
}
