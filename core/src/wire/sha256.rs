//! SHA-256 (FIPS 180-4) of bytes that come in pieces: the crate's, with its code once in the binary.

use sha2::{Digest, Sha256 as Hasher};

/// Bytes of a sum.
pub const SUM_LEN: usize = 32;
/// A sum.
pub type Sum = [u8; SUM_LEN];

/// What has come so far. Wiped when dropped.
pub struct Sha256(Hasher);

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha256 {
    /// Nothing.
    #[inline(never)]
    pub fn new() -> Sha256 {
        Sha256(Hasher::new())
    }

    /// One more piece.
    #[inline(never)]
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The sum of all pieces; it begins anew.
    #[inline(never)]
    pub fn finish(&mut self) -> Sum {
        self.0.finalize_reset().into()
    }
}

/// The sum of pieces, one behind the other.
#[inline(never)]
pub fn sha256(pieces: &[&[u8]]) -> Sum {
    let mut hash = Sha256::new();
    pieces.iter().for_each(|piece| hash.update(piece));
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_the_standards_example_whole_or_in_pieces() {
        let sum = sha256(&[b"abc"]);
        assert_eq!(sum[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(sha256(&[b"a", b"", b"bc"]), sum);
    }
}
