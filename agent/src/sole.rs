//! One nanova for each task of a system: of two agents each would serve a part of the requests, and two reports would undo
//! each other's addresses.
//!
//! Who does a task holds the lock of fcntl(2) on a file in /run for as long as it lives, so that whatever ends it frees the
//! task, and whoever comes second is told its number. Where the lock cannot be had (no /run, or one that cannot be written)
//! nothing is known of others, and the agent goes on. Below another root, and for the first process, nothing is locked.

use nanova_core::cli::{AgentOptions, Common};
use nanova_core::wire::errno::Errno;
use rustix::event::Timespec;
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, OFlags, fcntl_lock};
use rustix::process::{Flock, FlockType, fcntl_getlk};
use rustix::thread::nanosleep;

use crate::errno::errno;
use crate::output::complain;
use crate::paths::open;

/// The places of a task's lock, the first one whose directory is there (the oldest distributions have no /run).
type Places = [&'static str; 2];
const SERVING: Places = ["/run/nanova.agent.lock", "/var/run/nanova.agent.lock"];
const REPORTING: Places = ["/run/nanova.report.lock", "/var/run/nanova.report.lock"];

/// One that was told to end may take a moment: tried so often, so long between.
const TRIES: u32 = 20;
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// The tasks of this process.
pub(crate) struct Sole {
    locks: [Option<OwnedFd>; 2],
    /// Why one of them is not locked.
    pub(crate) unknown: Option<Errno>,
}

/// Somebody else does it.
pub(crate) struct Taken;

impl Sole {
    /// Takes the tasks that these options ask for. If one is taken, standard error says by whom.
    pub(crate) fn take(common: &Common<'_>, options: &AgentOptions<'_>) -> Result<Sole, Taken> {
        let mut sole = Sole { locks: [None, None], unknown: None };
        if common.root != "/" {
            return Ok(sole);
        }
        let tasks = [(options.commands, SERVING, "agent"), (options.reports(), REPORTING, "report")];
        for (slot, (_, places, name)) in sole.locks.iter_mut().zip(tasks).filter(|(_, (wanted, ..))| *wanted) {
            match lock(places) {
                Ok(Lock::Ours(file)) => *slot = Some(file),
                Ok(Lock::Theirs(process)) => {
                    complain(format_args!("another nanova {name} runs already, process {process}; end it first"));
                    return Err(Taken);
                }
                Err(error) => sole.unknown = Some(errno(error)),
            }
        }
        Ok(sole)
    }
}

enum Lock {
    Ours(OwnedFd),
    /// With the number of the process; 0 if that is not known.
    Theirs(i32),
}

/// Takes a lock, or finds out who has it.
fn lock([usual, old]: Places) -> Result<Lock, rustix::io::Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW;
    let file = match open(usual, flags, 0o600) {
        Err(rustix::io::Errno::NOENT) => open(old, flags, 0o600)?,
        opened => opened?,
    };
    let mut holder = None;
    for _ in 0..TRIES {
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Lock::Ours(file)),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                holder = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?;
                // A signal that shortens the pause does no harm.
                let _ = nanosleep(&PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Lock::Theirs(holder.and_then(|holder| holder.pid).map_or(0, |process| process.as_raw_nonzero().get())))
}
