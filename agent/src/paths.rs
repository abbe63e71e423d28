//! Paths and names as system calls take them. One way for all, as each of rustix's own conversions has its own code.

use core::ffi::CStr;

use rustix::fd::OwnedFd;
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

/// Room for any path (Linux's PATH_MAX).
const PATH_MAX: usize = 4096;
/// Room for a short one, as nearly all are: little of the stack, and little to be cleared.
const SHORT_MAX: usize = 256;

/// A text with a zero byte behind it, in `room`. One that has such a byte in it names nothing.
#[inline(never)]
pub(crate) fn terminated<'r>(text: &str, room: &'r mut [u8]) -> Result<&'r CStr, Errno> {
    let (start, end) = room.split_at_mut_checked(text.len()).ok_or(Errno::NAMETOOLONG)?;
    start.copy_from_slice(text.as_bytes());
    *end.first_mut().ok_or(Errno::NAMETOOLONG)? = 0;
    let name = CStr::from_bytes_until_nul(room).map_err(|_| Errno::INVAL)?;
    if name.count_bytes() == text.len() { Ok(name) } else { Err(Errno::INVAL) }
}

/// Makes a call with a path, which has a zero byte behind it there.
pub(crate) fn with_path<T>(path: &str, mut call: impl FnMut(&CStr) -> Result<T, Errno>) -> Result<T, Errno> {
    if path.len() < SHORT_MAX { call(terminated(path, &mut [0; SHORT_MAX])?) } else { with_long_path(path, &mut call) }
}

#[inline(never)]
fn with_long_path<T>(path: &str, call: &mut dyn FnMut(&CStr) -> Result<T, Errno>) -> Result<T, Errno> {
    call(terminated(path, &mut [0; PATH_MAX])?)
}

/// Opens a file by its path, not for programs that are executed.
#[inline(never)]
pub(crate) fn open(path: &str, flags: OFlags, mode: u16) -> Result<OwnedFd, Errno> {
    let mode = Mode::from_raw_mode(mode.into());
    with_path(path, |path| rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, mode))
}

/// A descriptor that gives nothing and takes what is written to nowhere: /dev/null. Where there is none, as in a bare
/// chroot, the root directory, which gives and takes nothing but errors.
pub(crate) fn nowhere() -> Result<OwnedFd, Errno> {
    open("/dev/null", OFlags::RDWR, 0).or_else(|_| open("/", OFlags::RDONLY | OFlags::DIRECTORY, 0))
}

/// Whether there is something.
pub(crate) fn exists(path: &str) -> bool {
    with_path(path, |path| rustix::fs::access(path, Access::EXISTS)).is_ok()
}

/// Removes a file.
pub(crate) fn remove(path: &str) -> Result<(), Errno> {
    with_path(path, |path| rustix::fs::unlinkat(CWD, path, AtFlags::empty()))
}
