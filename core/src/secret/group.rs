//! Diffie-Hellman over the group ffdhe2048 (RFC 7919, appendix A.1): a safe prime of 2048 bits, generator 2.
//!
//! Private keys have 256 bits, more than the 225 that section 5.2 asks for. The other side's key is taken from 2 to p -
//! 2 only (section 5.1): the others would make the shared number known to everybody. Numbers are 256 bytes, the most
//! significant first, leading zeros included, so that the length of none says anything of it.
//!
//! What is computed from a private key takes the same steps whatever that is: for each bit a square, a product, and a
//! choice between the two. (crypto-bigint's own power, which looks at four bits at a time, takes three quarters of the
//! time and 9 KiB of stack in the place of two.)

use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
use crypto_bigint::{Choice, CtSelect, Limb, U256, U2048, const_monty_params};
use zeroize::Zeroize;

use super::exchange::BadPublicKey;

const_monty_params!(
    Prime2048,
    U2048,
    "ffffffffffffffffadf85458a2bb4a9aafdc5620273d3cf1d8b9c583ce2d3695\
     a9e13641146433fbcc939dce249b3ef97d2fe363630c75d8f681b202aec4617a\
     d3df1ed5d5fd65612433f51f5f066ed0856365553ded1af3b557135e7f57c935\
     984f0c70e0e68b77e2a689daf3efe8721df158a136ade73530acca4f483a797a\
     bc0ab182b324fb61d108a94bb2c8e3fbb96adab760d7f4681d4f42a3de394df4\
     ae56ede76372bb190b07a7c8ee0a6d709e02fce1cdf7e2ecc03404cd28342f61\
     9172fe9ce98583ff8e4f1232eef28183c3fe3b1b4c6fad733bb5fcbc2ec22005\
     c58ef1837d1683b2c6f34a26c1b2effa886b423861285c97ffffffffffffffff",
    "The prime of ffdhe2048."
);
type Residue = ConstMontyForm<Prime2048, { U2048::LIMBS }>;

/// What the group is called.
pub const GROUP: &str = "ffdhe2048";
/// Bytes of a number of this group.
pub const NUMBER_LEN: usize = 256;
const GENERATOR: u8 = 2;
/// Bytes of a private key.
pub const PRIVATE_LEN: usize = 32;

/// A number of this group.
pub type Number = [u8; NUMBER_LEN];

/// One side's half of the exchange. Wiped when dropped.
pub struct LongKeyPair {
    private: U256,
}

impl LongKeyPair {
    /// A key of these random bytes.
    pub fn new(random: &[u8; PRIVATE_LEN]) -> LongKeyPair {
        LongKeyPair { private: U256::from_be_slice(random) }
    }

    /// 2 to the power of the private key, for the other side.
    pub fn public(&self, number: &mut Number) {
        self.power(&U2048::from_u8(GENERATOR), number);
    }

    /// The number that only the owner of that public key can compute, too.
    pub fn agree(&self, other: &Number, shared: &mut Number) -> Result<(), BadPublicKey> {
        let (other, least) = (U2048::from_be_slice(other), U2048::from_u8(2));
        // Everybody may know how long comparing a public key takes.
        if other < least || other > Prime2048::PARAMS.modulus().wrapping_sub(&least) {
            return Err(BadPublicKey);
        }
        self.power(&other, shared);
        Ok(())
    }

    /// `base` to the power of the private key, modulo p.
    #[inline(never)]
    fn power(&self, base: &U2048, number: &mut Number) {
        let (base, mut power) = (Residue::new(base), Residue::ONE);
        for limb in self.private.as_limbs().iter().rev() {
            for bit in (0..Limb::BITS).rev() {
                power = power.mul(&power);
                let is_set = Choice::from_u8_lsb((limb.0 >> bit) as u8);
                power = Residue::ct_select(&power, &power.mul(&base), is_set);
            }
        }
        number.copy_from_slice(power.retrieve().to_be_bytes().as_ref());
    }
}

impl Drop for LongKeyPair {
    fn drop(&mut self) {
        self.private.zeroize();
    }
}
