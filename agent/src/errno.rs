//! Error numbers: rustix's as the core's.

use nanova_core::wire::errno::Errno;

/// The same number.
pub(crate) fn errno(errno: rustix::io::Errno) -> Errno {
    Errno(errno.raw_os_error() as u16)
}
