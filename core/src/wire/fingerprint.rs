//! FNV-1a of 64 bits, to recognise a text again (RFC 9923). No protection against who chooses texts with one
//! fingerprint: whoever keeps fingerprints says what such a pair costs.

/// The fingerprint of no text.
pub const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// The fingerprint of a text.
#[inline(never)]
pub fn fingerprint(text: &[u8]) -> u64 {
    go_on(EMPTY, text)
}

/// The fingerprint of a text that goes on with this piece, from the one of what came before.
#[inline(never)]
pub fn go_on(before: u64, piece: &[u8]) -> u64 {
    piece.iter().fold(before, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_the_fingerprint_that_the_rfc_says_whole_or_in_pieces() {
        assert_eq!(fingerprint(b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(go_on(go_on(EMPTY, b"foo"), b"bar"), fingerprint(b"foobar"));
    }
}
