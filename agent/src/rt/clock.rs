//! The system's clocks, by plain system calls.
//!
//! rustix would call the kernel's page of code that needs no system call (the vDSO): finding it there takes 2 KB of our
//! own, and the agent looks at a clock a few times a request.

use super::syscall::{number, syscall};

/// A moment: seconds and nanoseconds.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: i64,
}

/// Time since 1970, in UTC.
pub(crate) fn realtime() -> Time {
    const CLOCK_REALTIME: usize = 0;
    read(CLOCK_REALTIME)
}

/// Time since the system began, without that in which it was suspended; never goes back.
pub(crate) fn while_running() -> Time {
    const CLOCK_MONOTONIC: usize = 1;
    read(CLOCK_MONOTONIC)
}

/// Time since the system began, in which it was suspended among it; never goes back.
pub(crate) fn since_boot() -> Time {
    const CLOCK_BOOTTIME: usize = 7;
    let time = read(CLOCK_BOOTTIME);
    #[cfg(feature = "recorder")]
    super::recorder::set_now(time.seconds as u64 * 1_000_000 + time.nanoseconds as u64 / 1000);
    time
}

fn read(clock: usize) -> Time {
    let mut time = Time::default();
    let place = core::ptr::from_mut(&mut time) as usize;
    // SAFETY: clock_gettime(2) writes a `struct timespec`, which is what `Time` is on 64-bit machines, to the given
    // place. It fails for unknown clocks only; the time is 0 then.
    let _ = unsafe { syscall(number::CLOCK_GETTIME, [clock, place, 0, 0, 0]) };
    time
}
