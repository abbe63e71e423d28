//! A second process, and becoming another program.

use core::ffi::CStr;

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::syscall::{number, syscall};

/// Which of the two this is.
pub(crate) enum Side {
    /// The new process.
    Child,
    /// The old one.
    Parent(Pid),
}

/// Splits the process in two.
pub(crate) fn fork() -> Result<Side, Errno> {
    clone(0)
}

/// Splits the process in two, of which the new one has mounts of its own: what it mounts and moves is its alone, as far
/// as they were private.
#[cfg(all(feature = "init", feature = "handover"))]
pub(crate) fn fork_with_mounts() -> Result<Side, Errno> {
    /// `CLONE_NEWNS` (`include/uapi/linux/sched.h`).
    const NEW_MOUNTS: usize = 0x2_0000;
    clone(NEW_MOUNTS)
}

fn clone(flags: usize) -> Result<Side, Errno> {
    let flags = flags | Signal::CHILD.as_raw() as usize;
    // SAFETY: clone(2) without CLONE_VM and CLONE_FILES is like fork(2): the child goes on with a copy of everything.
    // The process has one thread and no libc, so there is no lock that the child would find held for ever.
    let child = unsafe { syscall(number::CLONE, [flags, 0, 0, 0, 0]) }?;
    let child = Pid::from_raw(child as i32);
    #[cfg(feature = "recorder")]
    if child.is_none() {
        super::recorder::forget();
    }
    Ok(child.map_or(Side::Child, Side::Parent))
}

/// Where programs look for others if nobody says anything else.
pub(crate) const PATH: &CStr = c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Most arguments, and most variables, of a program.
pub(crate) const WORDS_MAX: usize = 128;

/// Becomes another program. Returns only if that fails, such as for more than [`WORDS_MAX`] words (`E2BIG`).
pub(crate) fn execute(path: &CStr, arguments: &[&CStr], environment: &[&CStr]) -> Errno {
    if arguments.len().max(environment.len()) > WORDS_MAX {
        return Errno::TOOBIG;
    }
    let addresses = |words: &[&CStr]| {
        let mut addresses = [core::ptr::null(); WORDS_MAX + 1];
        for (address, word) in addresses.iter_mut().zip(words) {
            *address = word.as_ptr();
        }
        addresses
    };
    let (arguments, environment) = (addresses(arguments), addresses(environment));
    let words = [path.as_ptr() as usize, arguments.as_ptr() as usize, environment.as_ptr() as usize, 0, 0];
    // SAFETY: execve(2) reads the path and the two lists; each is an array of addresses of terminated strings and ends
    // in a null, and all live until the call returns, if it does.
    match unsafe { syscall(number::EXECVE, words) } {
        Ok(_) => Errno::NOEXEC,
        Err(errno) => errno,
    }
}

/// Sends a signal to every process but this one and the first.
pub(crate) fn signal_all(signal: Signal) -> Result<(), Errno> {
    const ALL: usize = -1_isize as usize;
    // SAFETY: kill(2) touches no memory.
    unsafe { syscall(number::KILL, [ALL, signal.as_raw() as usize, 0, 0, 0]) }.map(drop)
}
