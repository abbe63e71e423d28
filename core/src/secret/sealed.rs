//! Sealed messages: what SEALED.md, beside this file, specifies. Pure: no time, no randomness, both sides' halves.
//!
//! A frame is `counter (8 bytes) || AES-256-CBC of the message || HMAC-SHA256 of all before it`. The code is compared,
//! in constant time, before anything is decrypted, so that what is decrypted is the other side's, padding and all. The
//! IV is the counter, encrypted under the same key (NIST SP 800-38A, appendix C, first method): no counter is used
//! twice with a key, so no IV is either, and sealing needs no randomness that could fail.

use core::fmt;

use aes::Aes256;
use aes::cipher::{Block, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::cipher::{BLOCK, padding};
use super::group::{GROUP, NUMBER_LEN, Number};
use super::kdf::{KEY_LEN, hkdf, hmac};
use crate::wire::sha256::sha256;

/// What the keys are for: derivations for anything else give others.
const INFO: &[u8] = b"nanova sealed 1";
/// Bytes of a counter.
pub const COUNTER_LEN: usize = 8;
/// What a frame has beside the encrypted message.
const FRAME_LEN: usize = COUNTER_LEN + KEY_LEN;
/// How far behind the highest counter one may be.
pub const WINDOW: u64 = 64;

/// The longest message whose frame has at most so many bytes as base64; frames of that length have none left over.
pub const fn longest_message(base64: usize) -> usize {
    // There is a byte of padding at the least.
    (base64 / 4 * 3).saturating_sub(FRAME_LEN) / BLOCK * BLOCK - 1
}

/// How many bytes the frame of a message has.
pub const fn frame_len(message: usize) -> usize {
    FRAME_LEN + (message / BLOCK + 1) * BLOCK
}

/// Keys of one direction. Wiped when dropped.
pub struct Direction {
    cipher: [u8; KEY_LEN],
    code: [u8; KEY_LEN],
}

impl Drop for Direction {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Keys of a session, which both sides have.
pub struct Keys {
    /// Requests are sealed with these.
    pub to_guest: Direction,
    /// Responses are.
    pub to_host: Direction,
}

impl Keys {
    /// Bytes that are no keys.
    pub const NONE: Keys = Keys { to_guest: Direction::NONE, to_host: Direction::NONE };

    /// Makes them none.
    pub fn wipe(&mut self) {
        self.to_guest.wipe();
        self.to_host.wipe();
    }

    /// Derives them from the number that was agreed on and from the whole exchange.
    pub fn derive(&mut self, shared: &Number, host: &Number, guest: &Number) {
        let exchange = sha256(&[GROUP.as_bytes(), host, guest]);
        let Keys { to_guest, to_host } = self;
        let keys = &mut [&mut to_guest.cipher, &mut to_guest.code, &mut to_host.cipher, &mut to_host.code];
        hkdf(&exchange, shared, INFO, keys);
    }
}

/// Why there is no message in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refused {
    /// There are no keys for it.
    NoSession,
    /// It has a length that no frame has.
    NoFrame,
    /// Its code is not the one that this key gives: another session's, or changed on its way.
    WrongCode,
    /// Its counter was seen, or is too far behind.
    Replayed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::NoSession => "no session of sealed requests is there (any more); begin one by keyinit",
            Refused::WrongCode => "the request is not sealed for this session; begin one by keyinit",
            Refused::NoFrame => "the value is no sealed request: base64 of counter, blocks and code is needed",
            Refused::Replayed => "the request's counter was used before, or is too far behind; count on",
        })
    }
}

impl Direction {
    const NONE: Direction = Direction { cipher: [0; KEY_LEN], code: [0; KEY_LEN] };

    fn wipe(&mut self) {
        self.cipher.zeroize();
        self.code.zeroize();
    }

    #[cfg(feature = "measured")]
    pub(super) fn of(cipher: [u8; KEY_LEN], code: [u8; KEY_LEN]) -> Direction {
        Direction { cipher, code }
    }

    #[cfg(feature = "measured")]
    pub(super) fn bytes(&self) -> [[u8; KEY_LEN]; 2] {
        [self.cipher, self.code]
    }

    /// Seals the message that stands in `room` behind the place of the counter, so many bytes of it. Returns how long
    /// the frame is; none if there is no room for it.
    #[inline(never)]
    pub fn seal(&self, counter: u64, room: &mut [u8], message: usize) -> Option<usize> {
        let len = frame_len(message);
        let (head, code) = room.get_mut(..len)?.split_at_mut_checked(len - KEY_LEN)?;
        let (place, blocks) = head.split_at_mut_checked(COUNTER_LEN)?;
        place.copy_from_slice(&counter.to_be_bytes());
        let pad = BLOCK - message % BLOCK;
        blocks.get_mut(message..)?.fill(pad as u8);
        let (cipher, iv) = self.cipher_and_iv(counter);
        let mut cipher = cbc::Encryptor::inner_iv_init(cipher, &iv);
        for block in blocks.chunks_exact_mut(BLOCK) {
            cipher.encrypt_block(<&mut Block<Aes256>>::try_from(block).ok()?);
        }
        code.copy_from_slice(&*hmac(&self.code, &[head]));
        Some(len)
    }

    /// Whether a frame is whole and the other side's, and its counter: nothing is decrypted.
    #[inline(never)]
    pub fn check(&self, frame: &[u8]) -> Result<u64, Refused> {
        let blocks = frame.len().checked_sub(FRAME_LEN).ok_or(Refused::NoFrame)?;
        let parts = frame.split_last_chunk::<KEY_LEN>().filter(|_| blocks > 0 && blocks % BLOCK == 0);
        let (head, code) = parts.ok_or(Refused::NoFrame)?;
        if !bool::from(hmac(&self.code, &[head])[..].ct_eq(code)) {
            return Err(Refused::WrongCode);
        }
        head.first_chunk().map(|counter| u64::from_be_bytes(*counter)).ok_or(Refused::NoFrame)
    }

    /// Decrypts a frame that was checked, in its place; returns the message.
    #[inline(never)]
    pub fn decrypt<'f>(&self, counter: u64, frame: &'f mut [u8]) -> Result<&'f mut [u8], Refused> {
        let end = frame.len().checked_sub(KEY_LEN).ok_or(Refused::NoFrame)?;
        let blocks = frame.get_mut(COUNTER_LEN..end).ok_or(Refused::NoFrame)?;
        let (cipher, iv) = self.cipher_and_iv(counter);
        let mut cipher = cbc::Decryptor::inner_iv_init(cipher, &iv);
        for block in blocks.chunks_exact_mut(BLOCK) {
            cipher.decrypt_block(<&mut Block<Aes256>>::try_from(block).map_err(|_| Refused::NoFrame)?);
        }
        // Who has the key and pads wrongly has a mistake in its program.
        let pad = blocks.last_chunk().and_then(padding).ok_or(Refused::NoFrame)?;
        let message = blocks.len() - pad;
        blocks.get_mut(..message).ok_or(Refused::NoFrame)
    }

    fn cipher_and_iv(&self, counter: u64) -> (Aes256, Block<Aes256>) {
        let cipher = Aes256::new((&self.cipher).into());
        let mut iv = Block::<Aes256>::from(u128::from(counter).to_be_bytes());
        cipher.encrypt_block(&mut iv);
        (cipher, iv)
    }
}

/// Which counters were used: the highest one, and which of those behind it (RFC 4303, appendix A2, has the method).
/// Requests are served in the order of their names' list, which need not be the one that they were sealed in.
pub struct Window {
    highest: u64,
    /// A bit for each counter from the highest down.
    used: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

impl Window {
    /// None was used. (0 never is.)
    pub const fn new() -> Window {
        Window { highest: 0, used: 1 }
    }

    /// Uses a counter, if that is still to be.
    pub fn take(&mut self, counter: u64) -> Result<(), Refused> {
        if let Some(ahead) = counter.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            self.used = u32::try_from(ahead).ok().and_then(|ahead| self.used.checked_shl(ahead)).unwrap_or(0) | 1;
            self.highest = counter;
            return Ok(());
        }
        let bit = self.bit(counter).filter(|bit| self.used & bit == 0).ok_or(Refused::Replayed)?;
        self.used |= bit;
        Ok(())
    }

    /// A counter that was taken is still to be used.
    pub fn give_back(&mut self, counter: u64) {
        self.used &= !self.bit(counter).unwrap_or(0);
    }

    fn bit(&self, counter: u64) -> Option<u64> {
        let behind = self.highest.checked_sub(counter).filter(|behind| *behind < WINDOW)?;
        Some(1 << behind)
    }
}

/// Room for a number of the group as base64.
pub(crate) const NUMBER_BASE64: usize = NUMBER_LEN.div_ceil(3) * 4;

#[cfg(test)]
#[path = "sealed_tests.rs"]
mod tests;
