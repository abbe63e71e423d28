//! The host's half: a password encrypted as nova's dom0 plugin does it, by `openssl aes-128-cbc -A -a -nosalt`.

use aes::Aes128;
use aes::cipher::{Block, BlockModeEncrypt, KeyIvInit};
use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::cipher::{BLOCK, KeyIv, PASSWORD_MAX, md5_key, sha256_key};
use super::exchange::SharedSecret;

/// Password, newline and padding.
const PLAIN_MAX: usize = (PASSWORD_MAX + 1) / BLOCK * BLOCK + BLOCK;
/// Longest base64 of it.
pub const ENCRYPTED_MAX: usize = PLAIN_MAX.div_ceil(3) * 4;

/// The digest that key and IV are derived with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Derivation {
    /// OpenSSL's before 1.1.0, the only one that agents before nanova know.
    Md5,
    /// OpenSSL's since.
    Sha256,
}

/// Encrypts a password and the newline that nova has behind it; the result is base64 without line breaks. `None` when
/// it is longer than [`PASSWORD_MAX`] bytes. What is in clear meanwhile is wiped.
pub fn encrypt<'r>(
    secret: &SharedSecret,
    password: &[u8],
    derivation: Derivation,
    room: &'r mut [u8; ENCRYPTED_MAX],
) -> Option<&'r str> {
    let mut plain = Zeroizing::new([0; PLAIN_MAX]);
    if password.len() > PASSWORD_MAX {
        return None;
    }
    let len = password.len() + 1;
    let padding = BLOCK - len % BLOCK;
    // PKCS#7: each byte says how many there are.
    let plain = plain.get_mut(..len + padding)?;
    plain.fill(padding as u8);
    plain.get_mut(..password.len())?.copy_from_slice(password);
    *plain.get_mut(password.len())? = b'\n';
    let key = match derivation {
        Derivation::Md5 => md5_key(secret),
        Derivation::Sha256 => sha256_key(secret),
    };
    encrypt_blocks(&key, plain);
    Base64::encode(plain, room).ok()
}

/// Encrypts whole blocks in place.
fn encrypt_blocks(key: &KeyIv, blocks: &mut [u8]) {
    let (key, iv) = key.parts();
    let mut cipher = cbc::Encryptor::<Aes128>::new(key.into(), iv.into());
    for block in blocks.chunks_exact_mut(BLOCK) {
        if let Ok(block) = <&mut Block<Aes128>>::try_from(block) {
            cipher.encrypt_block(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{KeyPair, Password};
    use crate::wire::json::{Value, members};
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn secret() -> SharedSecret {
        KeyPair::new([7; 16]).agree("1234567890123456789").unwrap()
    }

    fn openssl(digest: &str, base64: &str) -> Vec<u8> {
        let pass = format!("pass:{}", String::from_utf8(secret().as_bytes().to_vec()).unwrap());
        let mut child = Command::new("openssl")
            .args(["enc", "-d", "-aes-128-cbc", "-A", "-a", "-nosalt", "-md", digest, "-pass", &pass])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the openssl command is needed");
        child.stdin.take().unwrap().write_all(base64.as_bytes()).unwrap();
        child.wait_with_output().unwrap().stdout
    }

    #[test]
    fn openssl_and_the_agents_own_reader_get_the_password_back() {
        for (derivation, digest) in [(Derivation::Md5, "md5"), (Derivation::Sha256, "sha256")] {
            for password in ["a", "exactly15bytes!", "exactly14byte!", "pässwörd ☃", &"x".repeat(PASSWORD_MAX)] {
                let mut room = [0; ENCRYPTED_MAX];
                let base64 = encrypt(&secret(), password.as_bytes(), derivation, &mut room).unwrap();
                assert_eq!(openssl(digest, base64), format!("{password}\n").as_bytes());
                let mut document = format!("{{\"value\":\"{base64}\"}}").into_bytes();
                let Ok([Value::Text(text)]) = members(&mut document, ["value"]) else { panic!("{base64}") };
                let read = Password::decrypt(&secret(), text, true);
                assert_eq!(read.ok().unwrap().as_bytes(), password.as_bytes());
            }
        }
        let long = [b'x'; PASSWORD_MAX + 1];
        assert_eq!(encrypt(&secret(), &long, Derivation::Md5, &mut [0; ENCRYPTED_MAX]), None);
    }
}
