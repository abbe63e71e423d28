//! Password hashes as crypt(3) writes them: `$6$<salt>$<hash>`, SHA-512 with 5000 rounds.
//!
//! glibc, musl, libxcrypt and busybox all verify it. Source: Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512".

use base64ct::{Base64ShaCrypt, Encoding};
use sha_crypt::{BLOCK_SIZE_SHA512, Params, sha512_crypt};

use crate::secret::Password;

/// Random bytes a salt is made from.
pub const SALT_RANDOM_LEN: usize = 12;
/// Characters of a salt.
const SALT_LEN: usize = 16;
/// Characters of a hash.
const HASH_LEN: usize = 86;
const PREFIX: &str = "$6$";
/// Characters of the whole field.
pub const FIELD_LEN: usize = PREFIX.len() + SALT_LEN + 1 + HASH_LEN;

/// The field for a shadow file. `None` cannot happen: all lengths are fixed.
pub fn shadow_field(password: &Password, random: [u8; SALT_RANDOM_LEN]) -> Option<heapless::String<FIELD_LEN>> {
    let mut room = [0; SALT_LEN];
    let salt = Base64ShaCrypt::encode(&random, &mut room).ok()?;
    let digest = digest(password, salt);
    let mut room = [0; HASH_LEN];
    let hash = Base64ShaCrypt::encode(&in_output_order(&digest), &mut room).ok()?;
    let mut field = heapless::String::new();
    for piece in [PREFIX, salt, "$", hash] {
        field.push_str(piece).ok()?;
    }
    Some(field)
}

/// The scheme itself. Not in constant time: in its step 18 it hashes the salt the more often the larger a byte is that
/// it has made of the password.
#[cfg_attr(feature = "measured", inline(never))]
fn digest(password: &Password, salt: &str) -> [u8; BLOCK_SIZE_SHA512] {
    sha512_crypt(password.as_bytes(), salt.as_bytes(), Params::default())
}

/// The order in which the scheme writes the digest's bytes: triples from its three columns of 21, turned by one column
/// from triple to triple, then the last byte.
fn in_output_order(digest: &[u8; BLOCK_SIZE_SHA512]) -> [u8; BLOCK_SIZE_SHA512] {
    const COLUMN: usize = BLOCK_SIZE_SHA512 / 3;
    let mut ordered = *digest;
    let columns = digest.iter().zip(digest.iter().skip(COLUMN)).zip(digest.iter().skip(2 * COLUMN));
    let (triples, _) = ordered.as_chunks_mut::<3>();
    for (turn, (triple, ((first, second), third))) in triples.iter_mut().zip(columns).enumerate() {
        *triple = match turn % 3 {
            0 => [*third, *second, *first],
            1 => [*first, *third, *second],
            _ => [*second, *first, *third],
        };
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_c_librarys_crypt_gives_the_same_field() {
        for (seed, text) in ["a", "Hello world!", "pässwörd", &"x".repeat(200)].into_iter().enumerate() {
            let field = shadow_field(&Password::for_tests(text), [seed as u8 * 77; SALT_RANDOM_LEN]).unwrap();
            assert_eq!(field.len(), FIELD_LEN);
            let salt = &field[..PREFIX.len() + SALT_LEN + 1];
            let perl = Command::new("perl").args(["-e", "print crypt($ARGV[0], $ARGV[1])", text, salt]).output();
            let crypt = String::from_utf8(perl.expect("perl is needed").stdout).unwrap();
            assert_eq!(crypt, field.as_str());
        }
    }
}
