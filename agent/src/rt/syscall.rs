//! The few system calls that rustix leaves to a libc, one instruction each.
//!
//! Numbers and registers: Linux, `arch/x86/entry/syscalls/syscall_64.tbl`, `include/uapi/asm-generic/unistd.h`;
//! syscall(2).

use core::arch::asm;

use rustix::io::Errno;

/// Numbers of the calls made here.
#[cfg(target_arch = "x86_64")]
pub(super) mod number {
    pub(in super::super) const CLOSE: usize = 3;
    #[cfg(feature = "lockdown")]
    pub(in super::super) const SOCKET: usize = 41;
    pub(in super::super) const RT_SIGPROCMASK: usize = 14;
    pub(in super::super) const SETSOCKOPT: usize = 54;
    pub(in super::super) const CLONE: usize = 56;
    pub(in super::super) const EXECVE: usize = 59;
    pub(in super::super) const KILL: usize = 62;
    pub(in super::super) const CLOCK_GETTIME: usize = 228;
    pub(in super::super) const EXIT_GROUP: usize = 231;
    pub(in super::super) const SIGNALFD4: usize = 289;
    pub(in super::super) const SECCOMP: usize = 317;
    pub(in super::super) const CLOSE_RANGE: usize = 436;
    pub(in super::super) const LANDLOCK_CREATE_RULESET: usize = 444;
    pub(in super::super) const LANDLOCK_ADD_RULE: usize = 445;
    pub(in super::super) const LANDLOCK_RESTRICT_SELF: usize = 446;
}

/// Numbers of the calls made here.
#[cfg(target_arch = "aarch64")]
pub(super) mod number {
    pub(in super::super) const CLOSE: usize = 57;
    pub(in super::super) const SIGNALFD4: usize = 74;
    pub(in super::super) const EXIT_GROUP: usize = 94;
    pub(in super::super) const CLOCK_GETTIME: usize = 113;
    pub(in super::super) const KILL: usize = 129;
    pub(in super::super) const RT_SIGPROCMASK: usize = 135;
    pub(in super::super) const SETSOCKOPT: usize = 208;
    pub(in super::super) const CLONE: usize = 220;
    pub(in super::super) const EXECVE: usize = 221;
    #[cfg(feature = "lockdown")]
    pub(in super::super) const SOCKET: usize = 198;
    pub(in super::super) const SECCOMP: usize = 277;
    pub(in super::super) const CLOSE_RANGE: usize = 436;
    pub(in super::super) const LANDLOCK_CREATE_RULESET: usize = 444;
    pub(in super::super) const LANDLOCK_ADD_RULE: usize = 445;
    pub(in super::super) const LANDLOCK_RESTRICT_SELF: usize = 446;
}

/// Enters the kernel.
///
/// # Safety
/// The call with this number and these arguments touches no memory but what the caller may have it touch.
pub(super) unsafe fn syscall(number: usize, arguments: [usize; 5]) -> Result<usize, Errno> {
    let [a, b, c, d, e] = arguments;
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's contract; rcx and r11 are all that the instruction itself overwrites.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            in("r8") e, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller's contract; the instruction overwrites nothing else.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d, in("x4") e,
            options(nostack));
    }
    usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result as i32))
}

/// Ends the process.
pub(crate) fn exit(code: i32) -> ! {
    loop {
        // SAFETY: exit_group(2) touches no memory, and does not return.
        let _ = unsafe { syscall(number::EXIT_GROUP, [code as usize, 0, 0, 0, 0]) };
    }
}
