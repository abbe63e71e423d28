//! The three descriptors that a process is started with.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{BorrowedFd, IntoRawFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;

use super::syscall::{number, syscall};

/// Standard output.
pub(crate) fn stdout() -> BorrowedFd<'static> {
    // SAFETY: `ensure_open` has made sure that the descriptor is open, and nothing ever closes it.
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// Standard error.
pub(crate) fn stderr() -> BorrowedFd<'static> {
    // SAFETY: as above.
    unsafe { BorrowedFd::borrow_raw(2) }
}

/// Keeps every descriptor above the three from the programs that are executed later. Those stay open here: one of them
/// may be a lock that whoever started this process has taken for it.
pub(super) fn keep_others_here() {
    /// `CLOSE_RANGE_CLOEXEC` (`include/uapi/linux/close_range.h`).
    const CLOEXEC: usize = 1 << 2;
    /// As many as kernels that lack the call (before 5.11) let a process have unless they are told otherwise.
    const USUAL_MAX: i32 = 1024;
    // SAFETY: close_range(2) with this flag touches no memory and closes nothing.
    if unsafe { syscall(number::CLOSE_RANGE, [3, u32::MAX as usize, CLOEXEC, 0, 0]) }.is_ok() {
        return;
    }
    for number in 3..USUAL_MAX {
        // SAFETY: a number that is not open is answered with an error, and the borrow ends here.
        let _ = rustix::io::fcntl_setfd(unsafe { BorrowedFd::borrow_raw(number) }, FdFlags::CLOEXEC);
    }
}

/// Opens those of the three that are closed, as they are for a first process without a console: otherwise the next file
/// that is opened would take the number, and log lines would go there.
pub(super) fn ensure_open() {
    // SAFETY: this is the process's first act, so nobody owns these numbers. One that is not open is given to poll(2)
    // alone, which is asked just that and answers POLLNVAL; rustix passes the number on and assumes nothing of it. The
    // borrows end before any of them is opened.
    let [stdin, stdout, stderr] = [0, 1, 2].map(|number| unsafe { BorrowedFd::borrow_raw(number) });
    let mut fds = [&stdin, &stdout, &stderr].map(|fd| PollFd::new(fd, PollFlags::empty()));
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut fds, Some(&now)) == Ok(0) {
        return;
    }
    let closed = fds.iter().filter(|fd| fd.revents().contains(PollFlags::NVAL)).count();
    for _ in 0..closed {
        // The lowest free number is taken, which is the closed one. The root directory is there when nothing else is.
        let null = rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty());
        let _ = null.or_else(|_| rustix::fs::open(c"/", OFlags::RDONLY, Mode::empty())).map(IntoRawFd::into_raw_fd);
    }
}
