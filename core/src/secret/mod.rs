//! The key exchange and what is encrypted under its key, in constant time and wiped after use.
//!
//! The exchange is a 107-bit Diffie-Hellman, which a laptop breaks in seconds: it hides a password from a casual reader
//! of xenstore and no more (SECURITY.md). It is what the host speaks.

pub mod cipher;
pub mod exchange;
#[cfg(feature = "measured")]
pub mod measured;

pub use cipher::{PASSWORD_MAX, Password};
pub use exchange::{KeyPair, SharedSecret};

/// Does something with secrets, then overwrites the part of the stack that it has used, where hash and cipher routines
/// that know no wiping may have left a password or a key. What is done has a frame of its own (`#[inline(never)]`).
///
/// What it returns is moved out of that part as it is, with the bytes in it that nothing was written to. So that these
/// are few it is small, which is checked when it is built: what has room for a text is written afterwards.
pub fn with_wiped_stack<R>(what: impl FnOnce() -> R) -> R {
    /// The digits of a number fit.
    const RESULT_MAX: usize = 64;
    const { assert!(size_of::<R>() <= RESULT_MAX, "a large result takes what is left on the stack with it") };
    let result = further_down(what);
    wipe_stack();
    result
}

/// Does something in frames that begin below where [`wipe_stack`] begins to overwrite: it has registers to save first.
#[inline(never)]
fn further_down<R>(what: impl FnOnce() -> R) -> R {
    /// More than all registers that a function saves.
    const GAP: usize = 256;
    let gap = core::hint::black_box([0u8; GAP]);
    let result = what();
    core::hint::black_box(&gap);
    result
}

#[inline(never)]
fn wipe_stack() {
    /// More than the deepest of those calls takes (SHA-512-crypt, about 3 KiB in the release binary).
    const DEPTH: usize = 8192;
    let mut stack = [0u8; DEPTH];
    zeroize::Zeroize::zeroize(&mut stack);
    core::hint::black_box(&stack);
}
