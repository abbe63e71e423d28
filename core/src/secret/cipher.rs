//! Passwords as the host encrypts them: `openssl aes-128-cbc -a -nosalt -pass pass:<shared secret>`.
//!
//! OpenSSL derives key and IV from the pass phrase (EVP_BytesToKey: no salt, one round) with MD5 before version 1.1.0
//! and with SHA-256 since. The message does not say which, and CBC does not say whether the key was right, so both are
//! tried and a result counts only if *everything* about it is right: every byte of the padding, and text without
//! control characters that is not empty, followed by at most one newline (nova sends one). Noise passes that with a
//! chance of about 2^-30 for a message of one block and far less for longer ones; if both digests pass, the one with
//! nova's newline wins, and if that does not tell them apart either, neither.
//!
//! All failures are one error: an oracle that tells bad padding from bad text would serve an attacker only.

use aes::Aes128;
use aes::cipher::{Block, BlockModeDecrypt, KeyIvInit};
use md5::Md5;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};
use zeroize::{Zeroize, Zeroizing};

use crate::secret::exchange::SharedSecret;
use crate::wire::json::Text;

/// Longest password, in bytes; the longest that libxcrypt takes.
pub const PASSWORD_MAX: usize = 511;

const BLOCK: usize = 16;
/// Password, newline and padding.
const CIPHERTEXT_MAX: usize = 512 + BLOCK;
const BASE64_MAX: usize = CIPHERTEXT_MAX / 3 * 4;

/// Why there is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CipherError {
    /// Not base64, or longer than any password.
    NotBase64,
    /// Wrong key, damaged, or not a password.
    Invalid,
}

/// A password in clear. Wiped when dropped; never formatted.
pub struct Password {
    bytes: [u8; CIPHERTEXT_MAX],
    len: usize,
    newline: bool,
}

impl Drop for Password {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl Password {
    /// The password.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// A password out of nothing.
    #[cfg(test)]
    pub(crate) fn for_tests(text: &str) -> Password {
        let mut password = Password { bytes: [0; CIPHERTEXT_MAX], len: text.len(), newline: false };
        password.bytes[..text.len()].copy_from_slice(text.as_bytes());
        password
    }

    /// Decrypts what the host sent as base64; white space in it is passed over, as OpenSSL breaks lines.
    pub fn decrypt(secret: &SharedSecret, base64: Text<'_>) -> Result<Password, CipherError> {
        let mut room = Zeroizing::new([0; BASE64_MAX]);
        let ciphertext = base64.base64(&mut room[..]).ok_or(CipherError::NotBase64)?;
        if ciphertext.is_empty() || ciphertext.len() % BLOCK != 0 || ciphertext.len() > CIPHERTEXT_MAX {
            return Err(CipherError::Invalid);
        }
        let md5 = Password::try_key(&md5_key(secret), ciphertext);
        let sha256 = Password::try_key(&sha256_key(secret), ciphertext);
        match (md5, sha256) {
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (Some(one), Some(other)) if one.newline != other.newline => Ok(if one.newline { one } else { other }),
            _ => Err(CipherError::Invalid),
        }
    }

    fn try_key(key: &KeyIv, ciphertext: &[u8]) -> Option<Password> {
        let mut plain = Password { bytes: [0; CIPHERTEXT_MAX], len: 0, newline: false };
        let mut cipher = cbc::Decryptor::<Aes128>::new((&key.key).into(), (&key.iv).into());
        for (from, to) in ciphertext.chunks_exact(BLOCK).zip(plain.bytes.chunks_exact_mut(BLOCK)) {
            let from: &Block<Aes128> = from.try_into().ok()?;
            let to: &mut Block<Aes128> = to.try_into().ok()?;
            cipher.decrypt_block_b2b(from, to);
        }
        plain.len = ciphertext.len() - padding(plain.bytes[..ciphertext.len()].last_chunk()?)?;
        if plain.as_bytes().ends_with(b"\n") {
            plain.newline = true;
            plain.len -= 1;
        }
        is_password(plain.as_bytes()).then_some(plain)
    }
}

struct KeyIv {
    key: [u8; BLOCK],
    iv: [u8; BLOCK],
}

impl Drop for KeyIv {
    fn drop(&mut self) {
        self.key.zeroize();
        self.iv.zeroize();
    }
}

impl KeyIv {
    fn of(material: [u8; 2 * BLOCK]) -> KeyIv {
        let material = Zeroizing::new(material);
        let mut key_iv = KeyIv { key: [0; BLOCK], iv: [0; BLOCK] };
        key_iv.key.copy_from_slice(&material[..BLOCK]);
        key_iv.iv.copy_from_slice(&material[BLOCK..]);
        key_iv
    }
}

/// MD5 gives 16 bytes a round, so there are two: key = MD5(S), iv = MD5(key || S).
fn md5_key(secret: &SharedSecret) -> KeyIv {
    let mut key: [u8; BLOCK] = Md5::digest(secret.as_bytes()).into();
    let mut iv: [u8; BLOCK] = Md5::new().chain_update(key).chain_update(secret.as_bytes()).finalize().into();
    let mut material = [0; 2 * BLOCK];
    material[..BLOCK].copy_from_slice(&key);
    material[BLOCK..].copy_from_slice(&iv);
    key.zeroize();
    iv.zeroize();
    KeyIv::of(material)
}

/// SHA-256 gives 32 bytes a round: key and IV at once.
fn sha256_key(secret: &SharedSecret) -> KeyIv {
    KeyIv::of(Sha256::digest(secret.as_bytes()).into())
}

/// How much of the last block is PKCS#7 padding, every byte of it checked, in constant time.
fn padding(last: &[u8; BLOCK]) -> Option<usize> {
    let pad = last[BLOCK - 1];
    let mut good = pad.ct_gt(&0) & !pad.ct_gt(&(BLOCK as u8));
    for (place, byte) in last.iter().rev().enumerate() {
        let inside = pad.ct_gt(&(place as u8));
        good &= Choice::conditional_select(&Choice::from(1), &byte.ct_eq(&pad), inside);
    }
    bool::from(good).then_some(usize::from(pad))
}

/// Text that somebody can type: UTF-8, not empty, no control characters, not longer than crypt(3) takes.
fn is_password(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.len() <= PASSWORD_MAX
        && core::str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
#[path = "cipher_tests.rs"]
mod tests;
