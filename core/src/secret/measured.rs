//! What secrets go through, part by part, for who measures how long that takes (tests/benches/constant_time.rs) and who
//! watches whether a secret decides what is done (tests/bench/examples/secrets.rs). No build of the agent has this.
//!
//! With this feature the functions that are *not* in constant time stay functions of their own (`inline(never)`), so
//! that they can be told by name.

use super::cipher::{self, BLOCK, KeyIv};
use super::exchange::{self, BadPublicKey, DIGITS, KeyPair, RANDOM_LEN};
use super::group::{LongKeyPair, Number, PRIVATE_LEN};
use super::host::{HostExchange, HostSession};
use super::kdf::KEY_LEN;
use super::sealed::{Direction, Keys};
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

/// What a private key of ffdhe2048 and that public key agree on.
#[inline(never)]
pub fn agree(private: &[u8; PRIVATE_LEN], public: &Number, shared: &mut Number) -> Result<(), BadPublicKey> {
    LongKeyPair::new(private).agree(public, shared)
}

/// The number that a host has agreed on with this guest, and the keys that a session has: `to_guest`, `to_host`, of
/// each the cipher's and the code's.
pub fn number_of(exchange: &HostExchange, guest: &Number, shared: &mut Number) -> Result<(), BadPublicKey> {
    exchange.pair().agree(guest, shared)
}

/// See [`number_of`].
pub fn keys_of(session: &HostSession) -> [[u8; KEY_LEN]; 4] {
    let Keys { to_guest, to_host } = session.keys();
    let [[a, b], [c, d]] = [to_guest, to_host].map(Direction::bytes);
    [a, b, c, d]
}

/// Keys of one direction that are made of these bytes.
pub fn direction(cipher: [u8; KEY_LEN], code: [u8; KEY_LEN]) -> Direction {
    Direction::of(cipher, code)
}
