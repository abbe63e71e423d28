//! Decryption judged by the openssl command, and by damage.

use super::*;
use crate::secret::KeyPair;
use crate::wire::json::{Value, members};
use base64ct::{Base64, Encoding};
use std::io::Write;
use std::process::{Command, Stdio};

/// A secret whose decimal text the tests know.
fn secret() -> (SharedSecret, String) {
    let pair = KeyPair::new([7; 16]);
    let shared = pair.agree("1234567890123456789").unwrap();
    let text = String::from_utf8(shared.as_bytes().to_vec()).unwrap();
    (shared, text)
}

/// What nova's dom0 does, with the real program.
fn openssl(digest: &str, pass: &str, plain: &[u8], extra: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args(["enc", "-aes-128-cbc", "-a", "-nosalt", "-md", digest, "-pass", &format!("pass:{pass}")])
        .args(extra)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the openssl command is needed");
    child.stdin.take().unwrap().write_all(plain).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

fn decrypt(base64: &str) -> Result<Vec<u8>, CipherError> {
    decrypt_with(base64, true)
}

fn decrypt_with(base64: &str, md5_too: bool) -> Result<Vec<u8>, CipherError> {
    let mut document = format!("{{\"value\":\"{}\"}}", base64.replace('\n', "\\n")).into_bytes();
    let Ok([Value::Text(text)]) = members(&mut document, ["value"]) else { panic!("not a text: {base64}") };
    Password::decrypt(&secret().0, text, md5_too).map(|password| password.as_bytes().to_vec())
}

fn encode(bytes: &[u8]) -> String {
    let mut room = [0; 2048];
    Base64::encode(bytes, &mut room).unwrap().to_owned()
}

#[test]
fn both_digests_of_the_real_openssl_are_recognised() {
    let (_, pass) = secret();
    for digest in ["md5", "sha256"] {
        for password in [
            "a",
            "tab\there",
            "correct horse",
            "exactly15bytes!",
            "sixteen bytes ok",
            "pässwörd ☃",
            &"x".repeat(PASSWORD_MAX),
        ] {
            for newline in ["\n", ""] {
                let base64 = openssl(digest, &pass, format!("{password}{newline}").as_bytes(), &["-A"]);
                assert_eq!(decrypt(&base64).unwrap(), password.as_bytes(), "{digest} {newline:?}");
            }
        }
    }
}

#[test]
fn base64_in_lines_is_read_too() {
    let (_, pass) = secret();
    let base64 = openssl("sha256", &pass, &[b'p'; 200], &[]);
    assert!(base64.matches('\n').count() > 2);
    assert_eq!(decrypt(&base64).unwrap(), [b'p'; 200]);
}

#[test]
fn what_is_no_password_is_refused_and_told_apart() {
    let (_, pass) = secret();
    let cases = [
        (&b"\n"[..], CipherError::Empty),
        (b"", CipherError::Empty),
        (b"two\nlines\n", CipherError::Control),
        (b"nul\0\n", CipherError::Control),
        (b"c1 \xc2\x85\n", CipherError::Control),
        (b"pass\n\n", CipherError::Control),
        (b"\xff\xfe\n", CipherError::Invalid),
        (&[b'x'; PASSWORD_MAX + 1], CipherError::TooLong),
        (&[b'x'; PASSWORD_MAX + 17], CipherError::TooLong),
        (&[b'x'; 2000], CipherError::TooLong),
    ];
    for (plain, why) in cases {
        for digest in ["md5", "sha256"] {
            let base64 = openssl(digest, &pass, plain, &["-A"]);
            assert_eq!(decrypt(&base64), Err(why), "{plain:?}");
        }
    }
}

#[test]
fn a_key_of_md5_is_taken_only_where_it_is_wanted() {
    let (_, pass) = secret();
    for (digest, refused) in [("md5", Err(CipherError::Md5)), ("sha256", Ok(b"password".to_vec()))] {
        let base64 = openssl(digest, &pass, b"password\n", &["-A"]);
        assert_eq!((decrypt(&base64), decrypt_with(&base64, false)), (Ok(b"password".to_vec()), refused));
    }
    assert_eq!(decrypt_with(&openssl("sha256", &pass, b"a\x07", &["-A"]), false), Err(CipherError::Control));
}

#[test]
fn what_is_no_ciphertext_is_refused() {
    assert_eq!(decrypt("!!!!"), Err(CipherError::NotBase64));
    assert_eq!(decrypt("QUJD="), Err(CipherError::NotBase64));
    assert_eq!(decrypt(&"A".repeat(BASE64_MAX)), Err(CipherError::Invalid));
    assert_eq!(decrypt(&"A".repeat(BASE64_MAX - 1)), Err(CipherError::NotBase64));
    assert_eq!(decrypt(&"A".repeat(BASE64_MAX + 4)), Err(CipherError::TooLong));
    assert_eq!(decrypt(""), Err(CipherError::Invalid));
    assert_eq!(decrypt(&encode(&[1; 15])), Err(CipherError::Invalid));
}

#[test]
fn what_is_wrong_is_a_sentence_that_says_what_to_send() {
    assert_eq!(
        CipherError::TooLong.to_string(),
        format!("the password is too long; send one of at most {PASSWORD_MAX} bytes")
    );
    assert!(CipherError::Empty.to_string().starts_with("the password is empty; "));
    assert!(CipherError::Control.to_string().contains("only a tab"));
    assert!(CipherError::Md5.to_string().contains("OpenSSL"));
    // As earlier agents said it.
    assert_eq!(CipherError::NotBase64.to_string(), "Couldn't decode base64 data");
    assert_eq!(CipherError::Invalid.to_string(), "Invalid password data received");
}

#[test]
fn a_wrong_key_or_any_damaged_byte_never_becomes_a_password() {
    let (_, pass) = secret();
    let base64 = openssl("md5", &format!("{pass}1"), b"password\n", &["-A"]);
    assert_eq!(decrypt(&base64), Err(CipherError::Invalid));

    // Damage in the last block but one turns up in the clear text of the last as the same bits: 16 bytes of noise
    // before it give it away. Bits that make another valid text of a *single* block cannot be told from a password by
    // anybody.
    let base64 = openssl("md5", &pass, b"a password of some length, three blocks\n", &["-A"]);
    let bytes = Base64::decode(base64.trim(), &mut [0; 64]).unwrap().to_vec();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert_eq!(decrypt(&encode(&damaged)), Err(CipherError::Invalid), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn noise_never_becomes_a_password() {
    // A generator of its own, so that a failure can be repeated.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for blocks in [1, 2] {
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..blocks * 2).flat_map(|_| noise().to_le_bytes()).collect();
            assert_eq!(decrypt(&encode(&bytes)), Err(CipherError::Invalid));
        }
    }
}

#[test]
fn every_byte_of_the_padding_is_checked() {
    assert_eq!(padding(&[16; 16]), Some(16));
    assert_eq!(padding(b"0123456789abcde\x01"), Some(1));
    assert_eq!(padding(b"0123456789abc\x03\x03\x03"), Some(3));
    for bad in [*b"0123456789abcd\x03\x03", *b"0123456789abc\x02\x03\x03", [0; 16], [17; 16]] {
        assert_eq!(padding(&bad), None);
    }
    for wrong in 0..15 {
        let mut block = [16; 16];
        block[wrong] = 15;
        assert_eq!(padding(&block), None);
    }
}
