//! The processor's counter, for times between two looks at a clock.

/// What counts on, about as often a second as it did before, with no system call: the time stamp counter, which Linux
/// lets processes read (prctl(2), PR_SET_TSC), or aarch64's virtual counter (arch/arm64, `CNTKCTL_EL1.EL0VCTEN`). It
/// says nothing of time by itself, stands still where the guest is suspended, and is another one where it has moved.
pub(super) fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it reads a counter and touches nothing else.
    return unsafe { core::arch::x86_64::_rdtsc() };
    #[cfg(target_arch = "aarch64")]
    {
        let counter;
        // SAFETY: the instruction reads a counter into a register.
        unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) counter, options(nomem, nostack, preserves_flags)) };
        counter
    }
}
