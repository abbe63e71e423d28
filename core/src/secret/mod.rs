//! The key exchange and what is encrypted under its key, in constant time and wiped after use.
//!
//! The exchange is a 107-bit Diffie-Hellman, which a laptop breaks in seconds: it hides a password from a casual reader
//! of xenstore and no more (SECURITY.md). It is what the host speaks.

pub mod cipher;
pub mod exchange;

pub use cipher::{PASSWORD_MAX, Password};
pub use exchange::{KeyPair, SharedSecret};

/// Overwrites the part of the stack that the functions called before have used, where hash and cipher routines that
/// know no wiping may have left a password or a key.
#[inline(never)]
pub fn wipe_stack() {
    /// More than the deepest of those calls takes (SHA-512-crypt, about 3 KiB in the release binary).
    const DEPTH: usize = 8192;
    let mut stack = [0u8; DEPTH];
    zeroize::Zeroize::zeroize(&mut stack);
    core::hint::black_box(&stack);
}
