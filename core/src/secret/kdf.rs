//! HMAC-SHA256 (RFC 2104) and HKDF with it (RFC 5869), for keys of 32 bytes: a few lines over the hash that is here
//! anyway, where crates for it would be three more to be read.

use zeroize::Zeroizing;

use crate::wire::sha256::{SUM_LEN, Sha256};

/// Bytes of a key, and of a code.
pub(super) const KEY_LEN: usize = SUM_LEN;
/// Bytes that SHA-256 takes at a time.
const BLOCK: usize = 64;

/// Bytes that are a key, wiped when dropped.
pub(super) type Secret = Zeroizing<[u8; KEY_LEN]>;

/// The code of these pieces, one behind the other, under this key.
#[inline(never)]
pub(super) fn hmac(key: &[u8; KEY_LEN], pieces: &[&[u8]]) -> Secret {
    let inner = hash(key, 0x36, pieces);
    hash(key, 0x5c, &[&*inner])
}

#[inline(never)]
fn hash(key: &[u8; KEY_LEN], pad: u8, pieces: &[&[u8]]) -> Secret {
    let mut block = Zeroizing::new([pad; BLOCK]);
    block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    let mut hash = Sha256::new();
    hash.update(&block[..]);
    pieces.iter().for_each(|piece| hash.update(piece));
    Zeroizing::new(hash.finish())
}

/// Derives these keys from a number that is secret: `salt` and `info` say from what and for what.
pub(super) fn hkdf(salt: &[u8; KEY_LEN], number: &[u8], info: &[u8], keys: &mut [&mut [u8; KEY_LEN]]) {
    let prk = hmac(salt, &[number]);
    let mut last = Secret::default();
    for (count, key) in (1_u8..).zip(keys) {
        let before = if count == 1 { &[][..] } else { &last[..] };
        let next = hmac(&prk, &[before, info, &[count]]);
        key.copy_from_slice(&*next);
        last = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// A key that is shorter than 32 bytes is one with zeros behind it.
    fn key(bytes: &[u8]) -> [u8; KEY_LEN] {
        let mut key = [0; KEY_LEN];
        key[..bytes.len()].copy_from_slice(bytes);
        key
    }

    #[test]
    fn the_codes_of_rfc_4231() {
        let code = hmac(&key(&[0x0b; 20]), &[b"Hi ", b"", b"There"]);
        assert_eq!(code[..], hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"));
        let code = hmac(&key(b"Jefe"), &[b"what do ya want for nothing?"]);
        assert_eq!(code[..], hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
        let code = hmac(&key(&[0xaa; 20]), &[&[0xdd; 50]]);
        assert_eq!(code[..], hex("773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"));
    }

    #[test]
    fn the_keys_of_rfc_5869() {
        let (mut first, mut second) = ([0; KEY_LEN], [0; KEY_LEN]);
        let salt = key(&hex("000102030405060708090a0b0c"));
        hkdf(&salt, &[0x0b; 22], &hex("f0f1f2f3f4f5f6f7f8f9"), &mut [&mut first, &mut second]);
        let okm = hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
        assert_eq!([first.as_slice(), &second[..10]].concat(), okm);
        // Without a salt there are 32 zero bytes, and here no info.
        hkdf(&[0; KEY_LEN], &[0x0b; 22], b"", &mut [&mut first, &mut second]);
        let okm = hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
        assert_eq!([first.as_slice(), &second[..10]].concat(), okm);
    }
}
