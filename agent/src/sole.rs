//! One nanova for each task of a system: of two agents each would serve a part of the requests, and two reports would
//! undo each other's addresses.
//!
//! Who does a task holds the lock of fcntl(2) on a file in /run for as long as it lives, so that whatever ends it frees
//! the task, and whoever comes second is told its number. Where the lock cannot be had (no /run, or one that cannot be
//! written) nothing is known of others, and the agent goes on. Below another root, and for the first process, nothing
//! is locked.

use nanova_core::cli::{AgentOptions, Common};
use nanova_core::wire::errno::Errno;
use rustix::event::Timespec;
use rustix::fs::{FlockOperation, OFlags, fcntl_lock};
use rustix::process::{Flock, FlockType, fcntl_getlk};
use rustix::thread::nanosleep;

use crate::errno::errno;
use crate::output::complain;
use crate::paths::open;
use crate::pid::pid_number;

/// The locks of the two tasks.
const SERVING: &str = "/run/nanova.agent.lock";
const REPORTING: &str = "/run/nanova.report.lock";

/// One that was told to end may take a moment: tried so often, so long between.
const TRIES: u32 = 20;
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Somebody else does it.
pub(crate) struct Taken;

/// Takes the tasks that these options ask for, for the rest of this process's life. If one is taken, standard error
/// says by whom. Returns why it cannot be told, if so.
pub(crate) fn take(common: &Common<'_>, options: &AgentOptions<'_>) -> Result<Option<Errno>, Taken> {
    if common.root != "/" {
        return Ok(None);
    }
    let mut unknown = None;
    for (wanted, path, name) in [(options.commands, SERVING, "agent"), (options.reports(), REPORTING, "report")] {
        if !wanted {
            continue;
        }
        match lock(path) {
            Ok(None) => {}
            Ok(Some(process)) => {
                complain(format_args!("another nanova {name} runs already, process {process}; end it first"));
                return Err(Taken);
            }
            Err(error) => unknown = Some(errno(error)),
        }
    }
    Ok(unknown)
}

/// Takes a lock; or returns the number of the process that has it, 0 if that is not known.
fn lock(path: &str) -> Result<Option<u64>, rustix::io::Errno> {
    let file = open(path, OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW, 0o600)?;
    let mut holder = None;
    for _ in 0..TRIES {
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                // Open as long as the process lives: closing it would give the lock back.
                core::mem::forget(file);
                return Ok(None);
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                holder = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?;
                // A signal that shortens the pause does no harm.
                let _ = nanosleep(&PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(holder.and_then(|holder| holder.pid).map_or(0, pid_number)))
}
