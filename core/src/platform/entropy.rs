//! Randomness for keys and salts.

use crate::wire::errno::Errno;

/// The system's secure generator.
pub trait Entropy {
    /// Fills `bytes`.
    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Errno>;
}
