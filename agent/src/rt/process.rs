//! A second process.

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::syscall::{number, syscall};

/// Which of the two this is.
pub(crate) enum Side {
    /// The new process.
    Child,
    /// The old one.
    Parent,
}

/// Splits the process in two.
pub(crate) fn fork() -> Result<Side, Errno> {
    let flags = Signal::CHILD.as_raw() as usize;
    // SAFETY: clone(2) with no flags but the signal is fork(2): the child goes on with a copy of everything. The process has
    // one thread and no libc, so there is no lock that the child would find held for ever.
    let child = unsafe { syscall(number::CLONE, [flags, 0, 0, 0, 0]) }?;
    Ok(Pid::from_raw(child as i32).map_or(Side::Child, |_| Side::Parent))
}
