//! Passwords as the host encrypts them: `openssl aes-128-cbc -a -nosalt -pass pass:<shared secret>`.
//!
//! OpenSSL derives key and IV from the pass phrase (EVP_BytesToKey: no salt, one round) with MD5 before version 1.1.0
//! and with SHA-256 since. The message does not say which, and CBC does not say whether the key was right, so both are
//! tried and a result counts only if *everything* about it is right: every byte of the padding, and text without
//! control characters but the tab that is not empty, followed by at most one newline (nova sends one). Noise passes
//! that with a chance of about 2^-30 for a message of one block and far less for longer ones; if both digests pass, the
//! one with nova's newline wins, and if that does not tell them apart either, neither.
//!
//! Bad padding and what is no text are one error. What decrypts to text and is no password is told apart, so that who
//! typed it can mend it; as a key is good for one message, nobody can ask again.

use core::fmt;

use aes::Aes128;
use aes::cipher::{Block, BlockModeDecrypt, KeyIvInit};
use md5::{Digest, Md5};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};
use zeroize::{Zeroize, Zeroizing};

use crate::secret::exchange::SharedSecret;
use crate::wire::json::text::Text;
use crate::wire::sha256::sha256;

/// Longest password, in bytes: the longest that libxcrypt hashes (`CRYPT_MAX_PASSPHRASE_SIZE`) and that PAM asks for
/// (`PAM_MAX_RESP_SIZE`), both 512 with a zero byte.
pub const PASSWORD_MAX: usize = 511;

pub(super) const BLOCK: usize = 16;
/// Password, newline and padding.
const CIPHERTEXT_MAX: usize = 512 + BLOCK;
const BASE64_MAX: usize = CIPHERTEXT_MAX / 3 * 4;

/// Why there is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CipherError {
    /// Not base64.
    NotBase64,
    /// Wrong key, damaged, or no text.
    Invalid,
    /// Its key was derived with MD5, which is not wanted here.
    Md5,
    /// Text without a character.
    Empty,
    /// Longer than [`PASSWORD_MAX`].
    TooLong,
    /// Text with a control character in it that is no tab.
    Control,
}

impl fmt::Display for CipherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CipherError::NotBase64 => "Couldn't decode base64 data",
            CipherError::Invalid => "Invalid password data received",
            CipherError::Md5 => {
                "the password's key was derived with MD5, which /etc/nanova/disable forbids; use OpenSSL 1.1.0 or newer"
            }
            CipherError::Empty => "the password is empty; send one of at least one character",
            CipherError::TooLong => "the password is too long; send one of at most 511 bytes",
            CipherError::Control => "the password has a control character in it; of these only a tab may be",
        })
    }
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
        debug_assert!(self.len <= CIPHERTEXT_MAX);
        // None at all would be refused.
        self.bytes.get(..self.len).unwrap_or_default()
    }

    #[cfg(feature = "measured")]
    pub(super) fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    /// A password out of nothing.
    #[cfg(test)]
    pub(crate) fn for_tests(text: &str) -> Password {
        let mut password = Password { bytes: [0; CIPHERTEXT_MAX], len: text.len(), newline: false };
        password.bytes[..text.len()].copy_from_slice(text.as_bytes());
        password
    }

    /// Decrypts what the host sent as base64; white space in it is passed over, as OpenSSL breaks lines. A key that was
    /// derived with MD5 is taken only if that is wanted.
    // In a frame of its own: so the deepest that holds a secret is no deeper than what is wiped.
    #[inline(never)]
    pub fn decrypt(secret: &SharedSecret, base64: Text<'_>, md5_too: bool) -> Result<Password, CipherError> {
        let mut room = Zeroizing::new([0; BASE64_MAX]);
        let ciphertext = match base64.base64(&mut room[..]) {
            Some(ciphertext) => ciphertext,
            None if len_of(base64) > BASE64_MAX => return Err(CipherError::TooLong),
            None => return Err(CipherError::NotBase64),
        };
        if ciphertext.is_empty() || ciphertext.len() % BLOCK != 0 {
            return Err(CipherError::Invalid);
        }
        let md5 = Password::try_key(&md5_key(secret), ciphertext);
        let sha256 = Password::try_key(&sha256_key(secret), ciphertext);
        match (md5, sha256) {
            (_, Ok(one)) if !md5_too => Ok(one),
            (Ok(_), _) if !md5_too => Err(CipherError::Md5),
            (Ok(one), Ok(other)) if one.newline == other.newline => Err(CipherError::Invalid),
            (Ok(one), Ok(other)) => Ok(if one.newline { one } else { other }),
            (Ok(one), _) | (_, Ok(one)) => Ok(one),
            (Err(CipherError::Invalid), Err(why)) | (Err(why), Err(_)) => Err(why),
        }
    }

    /// The password that a text is: without the newline at its end, if it has one.
    #[cfg(feature = "sealed")]
    pub fn of_text(text: Text<'_>) -> Result<Password, CipherError> {
        let mut password = Password { bytes: [0; CIPHERTEXT_MAX], len: 0, newline: false };
        let copied = text.pieces(&mut |piece| {
            let room = password.bytes.get_mut(password.len..).unwrap_or_default();
            room.get_mut(..piece.len()).ok_or(fmt::Error)?.copy_from_slice(piece.as_bytes());
            password.len += piece.len();
            Ok(())
        });
        copied.map_err(|_| CipherError::TooLong)?;
        password.check_text().map(|()| password)
    }

    fn try_key(key: &KeyIv, ciphertext: &[u8]) -> Result<Password, CipherError> {
        let mut plain = Password { bytes: [0; CIPHERTEXT_MAX], len: 0, newline: false };
        decrypt_blocks(key, ciphertext, &mut plain.bytes);
        plain.find_text(ciphertext.len()).map(|()| plain)
    }

    /// Finds the text in so many decrypted bytes. Not in constant time: whether the padding is right, how long the text
    /// is and what it is made of shows; of all but the last the answer tells, too.
    #[cfg_attr(feature = "measured", inline(never))]
    fn find_text(&mut self, len: usize) -> Result<(), CipherError> {
        let last = self.bytes.get(..len).and_then(<[u8]>::last_chunk);
        self.len = len - last.and_then(padding).ok_or(CipherError::Invalid)?;
        self.check_text()
    }

    /// Whether it is a password, but for the newline at its end, which goes.
    fn check_text(&mut self) -> Result<(), CipherError> {
        if self.as_bytes().ends_with(b"\n") {
            self.newline = true;
            self.len -= 1;
        }
        check(self.as_bytes())
    }
}

/// Decrypts whole blocks, as many as there is room for.
pub(super) fn decrypt_blocks(key: &KeyIv, ciphertext: &[u8], plain: &mut [u8]) {
    let mut cipher = cbc::Decryptor::<Aes128>::new((&key.key).into(), (&key.iv).into());
    for (from, to) in ciphertext.chunks_exact(BLOCK).zip(plain.chunks_exact_mut(BLOCK)) {
        if let (Ok(from), Ok(to)) = (<&Block<Aes128>>::try_from(from), <&mut Block<Aes128>>::try_from(to)) {
            cipher.decrypt_block_b2b(from, to);
        }
    }
}

/// How long a base64 text is without its white space.
fn len_of(base64: Text<'_>) -> usize {
    let mut len = 0;
    // What is called back never fails.
    let _ = base64.pieces(&mut |piece| {
        len += piece.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
        Ok(())
    });
    len
}

pub(super) struct KeyIv {
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
    #[cfg(feature = "host")]
    pub(super) fn parts(&self) -> (&[u8; BLOCK], &[u8; BLOCK]) {
        (&self.key, &self.iv)
    }

    pub(super) fn of(material: [u8; 2 * BLOCK]) -> KeyIv {
        let material = Zeroizing::new(material);
        let mut key_iv = KeyIv { key: [0; BLOCK], iv: [0; BLOCK] };
        key_iv.key.copy_from_slice(&material[..BLOCK]);
        key_iv.iv.copy_from_slice(&material[BLOCK..]);
        key_iv
    }
}

/// MD5 gives 16 bytes a round, so there are two: key = MD5(S), iv = MD5(key || S).
pub(super) fn md5_key(secret: &SharedSecret) -> KeyIv {
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
pub(super) fn sha256_key(secret: &SharedSecret) -> KeyIv {
    KeyIv::of(sha256(&[secret.as_bytes()]))
}

/// How much of the last block is PKCS#7 padding, every byte of it checked, in constant time.
pub(super) fn padding(last: &[u8; BLOCK]) -> Option<usize> {
    let pad = last[BLOCK - 1];
    let mut good = pad.ct_gt(&0) & !pad.ct_gt(&(BLOCK as u8));
    for (place, byte) in last.iter().rev().enumerate() {
        let inside = pad.ct_gt(&(place as u8));
        good &= Choice::conditional_select(&Choice::from(1), &byte.ct_eq(&pad), inside);
    }
    bool::from(good).then_some(usize::from(pad))
}

/// Whether this is text that somebody can type where a password is asked for: UTF-8, not empty, not longer than
/// crypt(3) takes. Of control characters a terminal hands on the tab (termios(3)); a newline ends what is typed, and a
/// zero byte what crypt(3) reads.
fn check(bytes: &[u8]) -> Result<(), CipherError> {
    let Ok(text) = core::str::from_utf8(bytes) else { return Err(CipherError::Invalid) };
    if text.is_empty() {
        return Err(CipherError::Empty);
    }
    if text.len() > PASSWORD_MAX {
        return Err(CipherError::TooLong);
    }
    if text.chars().any(|c| c.is_control() && c != '\t') { Err(CipherError::Control) } else { Ok(()) }
}

#[cfg(test)]
#[path = "cipher_tests.rs"]
mod tests;
