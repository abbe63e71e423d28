//! The memory functions that compiled code calls and no libc provides.
//!
//! Written in assembly, because a loop in Rust may be compiled to a call of the very function it is in. x86_64 has
//! string instructions; aarch64 gets byte loops, which is enough for buffers of a few kilobytes.
//!
//! # Safety
//! The contracts are C's (ISO/IEC 9899, `<string.h>`): all ranges are valid, and apart for `memcpy`.

use core::arch::asm;
use core::ffi::c_int;

/// # Safety
/// `src` is readable and `dest` writable for `n` bytes, and they are apart.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(dest: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller's contract; copying upwards is right for ranges that are apart.
    unsafe { copy_upwards(dest, src, n) };
    dest
}

/// # Safety
/// `src` is readable and `dest` writable for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(dest: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    if (dest as usize).wrapping_sub(src as usize) >= n {
        // SAFETY: the caller's contract; `dest` is below `src` or behind its end, so no byte is overwritten before it
        // is read.
        unsafe { copy_upwards(dest, src, n) };
    } else {
        // SAFETY: the caller's contract; `dest` is inside of `src`'s range, so it is copied from the end.
        unsafe { copy_downwards(dest, src, n) };
    }
    dest
}

/// # Safety
/// `dest` is writable for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(dest: *mut u8, value: c_int, n: usize) -> *mut u8 {
    // SAFETY: the caller's contract.
    unsafe { fill(dest, value as u8, n) };
    dest
}

/// # Safety
/// `a` and `b` are readable for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    for i in 0..n {
        // SAFETY: the caller's contract, `i < n`. Volatile, so that the loop is not made a call of this function.
        let (x, y) = unsafe { (a.add(i).read_volatile(), b.add(i).read_volatile()) };
        if x != y {
            return c_int::from(x) - c_int::from(y);
        }
    }
    0
}

/// # Safety
/// `a` and `b` are readable for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    // SAFETY: the same contract.
    unsafe { memcmp(a, b, n) }
}

/// # Safety
/// `text` ends in a zero byte.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut n = 0;
    // SAFETY: the caller's contract: no byte behind the zero is read. Volatile for the reason above.
    while unsafe { text.add(n).read_volatile() } != 0 {
        n += 1;
    }
    n
}

#[cfg(target_arch = "x86_64")]
mod arch {
    use super::asm;

    /// # Safety
    /// As `memmove`, with `dest` not inside of `src`'s range.
    #[inline(always)]
    pub(super) unsafe fn copy_upwards(dest: *mut u8, src: *const u8, n: usize) {
        // SAFETY: the instruction reads and writes just the ranges of the contract; the ABI keeps the direction flag
        // clear.
        unsafe {
            asm!("rep movsb", inout("rcx") n => _, inout("rdi") dest => _, inout("rsi") src => _,
                options(nostack, preserves_flags));
        }
    }

    /// # Safety
    /// As `memmove`.
    #[inline(always)]
    pub(super) unsafe fn copy_downwards(dest: *mut u8, src: *const u8, n: usize) {
        // SAFETY: as above, from the last byte down; the direction flag is cleared again.
        unsafe {
            asm!("std", "rep movsb", "cld", inout("rcx") n => _,
                inout("rdi") dest.wrapping_add(n).wrapping_sub(1) => _,
                inout("rsi") src.wrapping_add(n).wrapping_sub(1) => _, options(nostack));
        }
    }

    /// # Safety
    /// As `memset`.
    #[inline(always)]
    pub(super) unsafe fn fill(dest: *mut u8, value: u8, n: usize) {
        // SAFETY: the instruction writes just the range of the contract.
        unsafe {
            asm!("rep stosb", inout("rcx") n => _, inout("rdi") dest => _, in("al") value,
                options(nostack, preserves_flags));
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    use super::asm;

    /// # Safety
    /// As `memmove`, with `dest` not inside of `src`'s range.
    #[inline(always)]
    pub(super) unsafe fn copy_upwards(dest: *mut u8, src: *const u8, n: usize) {
        // SAFETY: the loop reads and writes just the ranges of the contract.
        unsafe {
            asm!("cbz {n}, 3f", "2:", "ldrb {b:w}, [{s}], #1", "strb {b:w}, [{d}], #1", "subs {n}, {n}, #1",
                "b.ne 2b", "3:",
                n = inout(reg) n => _, d = inout(reg) dest => _, s = inout(reg) src => _, b = out(reg) _,
                options(nostack));
        }
    }

    /// # Safety
    /// As `memmove`.
    #[inline(always)]
    pub(super) unsafe fn copy_downwards(dest: *mut u8, src: *const u8, n: usize) {
        // SAFETY: the loop reads and writes just the ranges of the contract, from the last byte down.
        unsafe {
            asm!("cbz {n}, 3f", "2:", "ldrb {b:w}, [{s}, #-1]!", "strb {b:w}, [{d}, #-1]!", "subs {n}, {n}, #1",
                "b.ne 2b", "3:", n = inout(reg) n => _, d = inout(reg) dest.wrapping_add(n) => _,
                s = inout(reg) src.wrapping_add(n) => _, b = out(reg) _,
                options(nostack));
        }
    }

    /// # Safety
    /// As `memset`.
    #[inline(always)]
    pub(super) unsafe fn fill(dest: *mut u8, value: u8, n: usize) {
        // SAFETY: the loop writes just the range of the contract.
        unsafe {
            asm!("cbz {n}, 3f", "2:", "strb {v:w}, [{d}], #1", "subs {n}, {n}, #1", "b.ne 2b", "3:",
                n = inout(reg) n => _, d = inout(reg) dest => _, v = in(reg) u32::from(value), options(nostack));
        }
    }
}

use arch::{copy_downwards, copy_upwards, fill};
