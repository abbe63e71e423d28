//! What the host sends for a password, and its half of the key exchange: a password that is taken has a length and no
//! control characters, whatever was decrypted.
#![no_main]

use std::sync::LazyLock;

use base64ct::{Base64, Encoding};
use libfuzzer_sys::fuzz_target;
use nanova_core::secret::Password;
use nanova_core::secret::exchange::{KeyPair, SharedSecret};
use nanova_core::wire::json::{Value, members};

static SECRET: LazyLock<SharedSecret> = LazyLock::new(|| {
    let agreed = KeyPair::new([7; 16]).agree("123456789012345678901234567890");
    agreed.unwrap_or_else(|_| panic!("it is a public key"))
});

fuzz_target!(|input: &[u8]| {
    let [choice, rest @ ..] = input else { return };
    // Base64 of any bytes, of whole blocks of them, or any text.
    let text = match choice & 3 {
        0 => Base64::encode_string(rest),
        1 | 2 => Base64::encode_string(&rest[..rest.len() / 16 * 16]),
        _ => String::from_utf8_lossy(rest).into_owned(),
    };
    let mut document = serde_json::json!({ "value": text }).to_string().into_bytes();
    let Ok([Value::Text(text)]) = members(&mut document, ["value"]) else { panic!("it is JSON") };
    match Password::decrypt(&SECRET, text, choice & 4 != 0) {
        Ok(password) => {
            let bytes = password.as_bytes();
            assert!((1..=511).contains(&bytes.len()));
            assert!(bytes.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t'));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if choice & 0xf0 == 0
        && let Ok(text) = std::str::from_utf8(rest)
    {
        let agreed = KeyPair::new([9; 16]).agree(text);
        assert!(agreed.is_err() || !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    }
});
