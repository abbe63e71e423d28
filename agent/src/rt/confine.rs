//! What a forked child gives up before it reads what nobody vouches for: descriptors, and system calls.
//!
//! The filter looks at the call's number and kills the process for any that is not listed. Values: Linux,
//! `include/uapi/linux/seccomp.h`, `audit.h`.

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;

use super::bpf::{Instruction, JUMP_IF_EQUAL, LOAD, RETURN, plain};
use super::seccomp::install;
use super::syscall::{number, syscall};

/// Most system calls that a filter allows.
const CALLS_MAX: usize = 32;

/// What reading files and writing what is found takes: read, write, close, fstat, exit_group, openat, newfstatat,
/// readlinkat, fstatfs, geteuid, openat2.
#[cfg(target_arch = "x86_64")]
pub(crate) const READING: &[u16] = &[0, 1, 3, 5, 231, 257, 262, 267, 138, 107, 437];
/// The same.
#[cfg(target_arch = "aarch64")]
pub(crate) const READING: &[u16] = &[63, 64, 57, 80, 94, 56, 79, 78, 44, 175, 437];

/// What a download takes besides: socket, connect, sendto, recvfrom, setsockopt, clock_gettime, getrandom.
#[cfg(target_arch = "x86_64")]
pub(crate) const DOWNLOADING: &[u16] = &[0, 1, 3, 5, 231, 257, 262, 267, 107, 437, 41, 42, 44, 45, 54, 228, 318];
/// The same.
#[cfg(target_arch = "aarch64")]
pub(crate) const DOWNLOADING: &[u16] = &[63, 64, 57, 80, 94, 56, 79, 78, 175, 437, 198, 203, 206, 207, 208, 113, 278];

/// Descriptors that are looked at one by one where the kernel (before 5.9) knows no close_range(2): the usual limit.
const DESCRIPTORS_MAX: usize = 1024;

/// Closes every descriptor of a forked child but these.
pub(crate) fn close_all_but(kept: &[&OwnedFd]) {
    let is_kept = |fd: usize| kept.iter().any(|kept| usize::try_from(kept.as_raw_fd()) == Ok(fd));
    let mut first = 0;
    // In order of their numbers, whatever order they were given in.
    let highest = kept.iter().filter_map(|kept| usize::try_from(kept.as_raw_fd()).ok()).max();
    for fd in 0..=highest.unwrap_or(0) {
        if is_kept(fd) {
            close_between(first, fd);
            first = fd + 1;
        }
    }
    close_between(first, usize::MAX);
}

/// Closes the descriptors from `first` on, `end` not among them.
fn close_between(first: usize, end: usize) {
    if first >= end {
        return;
    }
    let last = (end - 1).min(u32::MAX as usize);
    // SAFETY: close_range(2) touches no memory. Whoever owns these descriptors is in the parent, which has its own
    // table of them; the child ends without giving them back.
    if unsafe { syscall(number::CLOSE_RANGE, [first, last, 0, 0, 0]) }.is_err() {
        for fd in first..end.min(DESCRIPTORS_MAX) {
            // SAFETY: as above.
            let _ = unsafe { syscall(number::CLOSE, [fd, 0, 0, 0, 0]) };
        }
    }
}

/// Where `struct seccomp_data` has the call's number and the architecture.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
/// `SECCOMP_RET_KILL_THREAD`: of a process with one thread it is all there is. `SECCOMP_RET_ALLOW`.
const KILL: u32 = 0;
const ALLOW: u32 = 0x7fff_0000;
/// `AUDIT_ARCH_X86_64`, `AUDIT_ARCH_AARCH64`
const ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };

/// From now on this process can make these system calls and no other; any other kills it. It needs no_new_privs.
pub(crate) fn allow_only(calls: &[u16]) -> Result<(), Errno> {
    let mut program = heapless::Vec::<Instruction, { CALLS_MAX + 6 }>::new();
    let kill_unless =
        |value| [Instruction { code: JUMP_IF_EQUAL, if_true: 1, if_false: 0, value }, plain(RETURN, KILL)];
    let count = calls.len();
    let mut fits = program.push(plain(LOAD, ARCHITECTURE_AT)).is_ok()
        && program.extend_from_slice(&kill_unless(ARCHITECTURE)).is_ok()
        && program.push(plain(LOAD, NUMBER_AT)).is_ok();
    for (place, call) in calls.iter().enumerate() {
        // Over those that follow, and over the one that kills.
        let if_true = (count - place) as u8;
        let value = u32::from(*call);
        fits &= program.push(Instruction { code: JUMP_IF_EQUAL, if_true, if_false: 0, value }).is_ok();
    }
    fits &= program.extend_from_slice(&[plain(RETURN, KILL), plain(RETURN, ALLOW)]).is_ok();
    if !fits {
        return Err(Errno::TOOBIG);
    }
    install(&program, 0)
}
