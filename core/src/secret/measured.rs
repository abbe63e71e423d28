//! What secrets go through, part by part, for who measures how long that takes (tests/benches/constant_time.rs) and who
//! watches whether a secret decides what is done (tests/bench/examples/secrets.rs). No build of the agent has this.
//!
//! With this feature the functions that are *not* in constant time stay functions of their own (`inline(never)`), so
//! that they can be told by name.

use super::cipher::{self, BLOCK, KeyIv};
use super::exchange::{self, DIGITS, KeyPair, RANDOM_LEN};
use super::{Password, SharedSecret};

/// `base` to the power of a private key, modulo p.
#[inline(never)]
pub fn power(private: [u8; RANDOM_LEN], base: u128) -> u128 {
    KeyPair::new(private).power(base)
}

/// The digits of a number up to p, leading zeros included.
#[inline(never)]
pub fn digits(number: u128) -> [u8; DIGITS] {
    exchange::digits(number)
}

/// The digits of a shared secret, to be marked.
pub fn digits_of(secret: &mut SharedSecret) -> &mut [u8] {
    secret.as_bytes_mut()
}

/// The bytes of a password, to be marked.
pub fn text_of(password: &mut Password) -> &mut [u8] {
    password.as_bytes_mut()
}

/// Key and IV of a message.
pub struct Key(KeyIv);

impl Key {
    /// Of a key and an IV.
    pub fn of(key_and_iv: [u8; 2 * BLOCK]) -> Key {
        Key(KeyIv::of(key_and_iv))
    }

    /// As OpenSSL derived them up to version 1.0.
    #[inline(never)]
    pub fn md5(secret: &SharedSecret) -> Key {
        Key(cipher::md5_key(secret))
    }

    /// As OpenSSL derives them since.
    #[inline(never)]
    pub fn sha256(secret: &SharedSecret) -> Key {
        Key(cipher::sha256_key(secret))
    }

    /// Decrypts whole blocks.
    #[inline(never)]
    pub fn decrypt(&self, ciphertext: &[u8], plain: &mut [u8]) {
        cipher::decrypt_blocks(&self.0, ciphertext, plain);
    }
}

/// How much of the last block is padding, if it is right.
#[inline(never)]
pub fn padding(last: &[u8; BLOCK]) -> Option<usize> {
    cipher::padding(last)
}
