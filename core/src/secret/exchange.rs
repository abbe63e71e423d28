//! Diffie-Hellman as nova speaks it: p = 2^107 - 1, g = 5, numbers as decimal text.
//!
//! Everything computed from the private key runs in constant time, the conversion to decimal included. (The shared
//! secret's *length* in digits shows: the derivation hashes it without leading zeros.)
//!
//! Source: OpenStack nova, `nova/virt/xenapi/agent.py`, `SimpleDH`.

use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{U128, const_monty_params};
use subtle::{ConditionallySelectable, ConstantTimeLess};
use zeroize::Zeroize;

const_monty_params!(Prime, U128, "000007ffffffffffffffffffffffffff", "p = 2^107 - 1, a Mersenne prime.");
type Residue = ConstMontyForm<Prime, { U128::LIMBS }>;

const P: u128 = (1 << 107) - 1;
const G: u128 = 5;

/// Digits of p: no number here has more.
pub(super) const DIGITS: usize = 33;
/// Bytes of randomness a private key is made from; more than p has, so that every residue is about equally likely.
pub const RANDOM_LEN: usize = 16;

/// A number as decimal text without leading zeros.
pub struct Decimal {
    digits: [u8; DIGITS],
    start: usize,
}

impl Drop for Decimal {
    fn drop(&mut self) {
        self.digits.zeroize();
    }
}

impl Decimal {
    fn of(number: u128) -> Decimal {
        let digits = digits(number);
        Decimal { start: leading_zeros(&digits), digits }
    }

    /// The digits.
    pub fn as_bytes(&self) -> &[u8] {
        debug_assert!(self.start < DIGITS);
        self.digits.get(self.start..).unwrap_or(&self.digits)
    }

    /// The digits, as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// Converts in constant time: each digit is found by subtracting its power of ten nine times or not.
pub(super) fn digits(mut number: u128) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    let mut power = 10u128.pow(DIGITS as u32 - 1);
    for digit in &mut digits {
        for _ in 0..9 {
            let keep = number.ct_lt(&power);
            number = u128::conditional_select(&number.wrapping_sub(power), &number, keep);
            *digit += 1 - keep.unwrap_u8();
        }
        power /= 10;
    }
    number.zeroize();
    digits
}

/// How many digits are not written. Not in constant time: how long the number is shows.
#[cfg_attr(feature = "measured", inline(never))]
fn leading_zeros(digits: &[u8; DIGITS]) -> usize {
    digits.iter().position(|digit| *digit != b'0').unwrap_or(DIGITS - 1)
}

/// The host's public key cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BadPublicKey;

/// Reads the other side's public key: decimal digits only, from 2 to p - 2. (0, 1 and p - 1 would make the shared
/// secret known to everybody.)
fn public_key(text: &str) -> Result<u128, BadPublicKey> {
    let digits = text.trim_start_matches('0');
    if digits.len() > DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(BadPublicKey);
    }
    // So many digits fit: 10^33 < 2^110.
    match digits.bytes().fold(0, |number: u128, digit| number * 10 + u128::from(digit - b'0')) {
        key @ 2.. if key < P - 1 => Ok(key),
        _ => Err(BadPublicKey),
    }
}

/// Our half of the exchange.
pub struct KeyPair {
    private: U128,
}

impl KeyPair {
    /// Makes a key of random bytes.
    pub fn new(random: [u8; RANDOM_LEN]) -> KeyPair {
        KeyPair { private: U128::from(u128::from_be_bytes(random)) }
    }

    /// g^x mod p, for the host.
    pub fn public(&self) -> Decimal {
        Decimal::of(self.power(G))
    }

    /// The secret shared with the owner of that public key.
    pub fn agree(&self, other: &str) -> Result<SharedSecret, BadPublicKey> {
        public_key(other).map(|other| SharedSecret(Decimal::of(self.power(other))))
    }

    pub(super) fn power(&self, base: u128) -> u128 {
        Residue::new(&U128::from(base)).pow(&self.private).retrieve().into()
    }
}

impl Drop for KeyPair {
    fn drop(&mut self) {
        self.private.zeroize();
    }
}

/// What both sides know after the exchange, as the decimal text that keys are derived from. Wiped when dropped.
pub struct SharedSecret(Decimal);

impl SharedSecret {
    /// The decimal text.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    #[cfg(feature = "measured")]
    pub(super) fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0.digits[self.0.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    /// Computed with Python: pow(5, 0x0123456789abcdef0123456789abcdef, 2**107 - 1) and the same with base
    /// 1234567890123.
    const PRIVATE: u128 = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
    const PUBLIC: &str = "154791513613560069003758019439550";
    const SHARED: &str = "118592650380329103214290332730358";

    #[test]
    fn the_numbers_python_computes() {
        let pair = KeyPair::new(PRIVATE.to_be_bytes());
        assert_eq!(pair.public().as_str(), PUBLIC);
        assert_eq!(pair.agree("1234567890123").unwrap().0.as_str(), SHARED);
    }

    #[test]
    fn keys_that_would_give_the_secret_away_and_texts_that_are_no_keys_are_refused() {
        let pair = KeyPair::new(PRIVATE.to_be_bytes());
        let p = (1u128 << 107) - 1;
        for bad in ["0", "1", "00", "01"]
            .map(String::from)
            .into_iter()
            .chain([p - 1, p, p + 1, u128::MAX].map(|n| n.to_string()))
        {
            assert!(pair.agree(&bad).is_err(), "{bad}");
        }
        for bad in ["", "abc", "-5", "+5", "5.0", "1e3", " 5", "5\n", "0x5", "٣", &"9".repeat(4000)] {
            assert!(pair.agree(bad).is_err(), "{bad}");
        }
        for good in ["2", "0005", &(p - 2).to_string()] {
            assert!(pair.agree(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn the_smallest_and_the_largest_numbers_are_decimal_text_too() {
        for (number, text) in [
            (0, "0"),
            (1, "1"),
            (9, "9"),
            (10, "10"),
            (10_u128.pow(32), "100000000000000000000000000000000"),
            (10_u128.pow(32) - 1, "99999999999999999999999999999999"),
            (P - 1, "162259276829213363391578010288126"),
        ] {
            assert_eq!(Decimal::of(number).as_str(), text);
        }
    }

    proptest! {
        #[test]
        fn decimal_is_what_the_library_prints(number in 0..P) {
            let decimal = Decimal::of(number);
            prop_assert_eq!(decimal.as_str(), number.to_string());
        }

        #[test]
        fn both_sides_agree(a in any::<[u8; 16]>(), b in any::<[u8; 16]>()) {
            let (a, b) = (KeyPair::new(a), KeyPair::new(b));
            if let (Ok(ab), Ok(ba)) = (a.agree(b.public().as_str()), b.agree(a.public().as_str())) {
                prop_assert_eq!(ab.as_bytes(), ba.as_bytes());
            }
        }
    }
}
