//! Where a bug is, by what the stack holds: the addresses in it that lead back into the program's code, the nearest
//! first.
//!
//! Frames are not told apart, so an address or two may be left from before; `cargo audit-scope --where` knows which are
//! behind a call, and names functions and lines. Texts with places would take 15 KB, and this does not depend on them.

use core::arch::asm;
use core::fmt::{self, Display, Formatter};

/// How many words of the stack are looked at: fewer than what the kernel puts above a process's first frame, where the
/// auxiliary vector alone has twenty pairs (Linux, `fs/binfmt_elf.c`, `create_elf_tables`).
const WORDS: usize = 48;
/// How many addresses are told.
const ADDRESSES: usize = 8;

// SAFETY: the linker defines both; nothing but their addresses is used.
unsafe extern "C" {
    /// Where the code begins and ends (agent/release.ld).
    static code_begins: u8;
    static code_ends: u8;
}

/// The stack from some frame on.
pub(super) struct Trace(*const usize);

impl Trace {
    /// From the frame of whoever calls this on.
    #[inline(always)]
    pub(super) fn here() -> Trace {
        let top: *const usize;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction copies a register.
        unsafe {
            asm!("mov {}, rsp", out(reg) top, options(nomem, nostack, preserves_flags));
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: the instruction copies a register.
        unsafe {
            asm!("mov {}, sp", out(reg) top, options(nomem, nostack, preserves_flags));
        }
        Trace(top)
    }
}

impl Display for Trace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let code = (&raw const code_begins as usize)..(&raw const code_ends as usize);
        let words = (0..WORDS).map(|place| {
            // SAFETY: the stack pointer is aligned, and above it are at least so many words that can be read, as there
            // is one stack only and the kernel has filled its end. Volatile, as nothing says what is in there.
            unsafe { self.0.add(place).read_volatile() }
        });
        // The program is loaded below 4 GiB.
        words.filter(|word| code.contains(word)).take(ADDRESSES).try_for_each(|word| write!(f, " {:x}", word as u32))
    }
}
