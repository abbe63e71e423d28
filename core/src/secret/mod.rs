//! Key exchanges and what is encrypted under their keys, in constant time and wiped after use.
//!
//! | file | is |
//! |---|---|
//! | `exchange`, `cipher` | what nova speaks: a 107-bit Diffie-Hellman, which a laptop breaks in seconds, and a
//! password under its key |
//! | `group`, `kdf`, `sealed` | sealed requests, as SEALED.md specifies them |
//! | `host` | the host's side of those |
//!
//! The first hides a password from a casual reader of xenstore and no more; the second hides all that the host asks
//! from whoever reads along. Neither tells a host from somebody else who may write requests (SECURITY.md).

pub mod cipher;
#[cfg(feature = "host")]
pub mod encrypt;
pub mod exchange;
#[cfg(feature = "sealed")]
pub mod group;
#[cfg(any(feature = "sealed-host", all(test, feature = "sealed")))]
pub mod host;
#[cfg(feature = "sealed")]
mod kdf;
#[cfg(feature = "measured")]
pub mod measured;
#[cfg(feature = "sealed")]
pub mod sealed;

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
