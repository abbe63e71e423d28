//! Numbers of processes, as they are shown: of all types of numbers one is enough in the binary.

use rustix::process::Pid;

/// The number of a process.
pub(crate) fn pid_number(process: Pid) -> u64 {
    u64::from(process.as_raw_nonzero().get().unsigned_abs())
}
