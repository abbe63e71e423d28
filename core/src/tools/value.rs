//! Values as the xenstore tools show and take them: printable ASCII as it is, the rest as escapes.
//!
//! `\t \n \r \\`, `\000` to `\007` in octal, `\x08` and up in hexadecimal; the form of Debian's xenstore-utils, so that
//! what one prints the other can write.

use core::fmt::{self, Write};

/// Bytes, shown with escapes.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            match byte {
                b'\\' => f.write_str("\\\\"),
                b' '..=b'~' => f.write_char(byte as char),
                b'\t' => f.write_str("\\t"),
                b'\n' => f.write_str("\\n"),
                b'\r' => f.write_str("\\r"),
                0..=7 => write!(f, "\\00{}", u64::from(byte)),
                _ => write!(f, "\\x{:02x}", u32::from(byte)),
            }?;
        }
        Ok(())
    }
}

/// Bytes as they stand in a string of JSON (RFC 8259, 7); of what is no text every byte but ASCII is U+FFFD.
pub struct InJson<'a>(pub &'a [u8]);

impl fmt::Display for InJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut put = |character| match character {
            '"' | '\\' => write!(f, "\\{character}"),
            '\0'..' ' => write!(f, "\\u00{:02x}", u32::from(character)),
            _ => f.write_char(character),
        };
        match core::str::from_utf8(self.0) {
            Ok(text) => text.chars().try_for_each(put),
            Err(_) => {
                self.0.iter().try_for_each(|byte| put(if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' }))
            }
        }
    }
}

/// The bytes that a text with escapes means; `None` when there is no room for them. A backslash before anything else
/// stands for what follows it.
pub fn unescape<'r>(text: &str, room: &'r mut [u8]) -> Option<&'r [u8]> {
    let (mut rest, mut len) = (text.as_bytes(), 0);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let byte = match (byte, after.split_first()) {
            (b'\\', Some((&letter, after))) => {
                rest = after;
                match letter {
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b'x' => number(&mut rest, 16, 2, 0),
                    b'0'..=b'7' => number(&mut rest, 8, 2, letter - b'0'),
                    other => other,
                }
            }
            _ => byte,
        };
        *room.get_mut(len)? = byte;
        len += 1;
    }
    room.get(..len)
}

/// Reads up to `most` digits, after what was read already.
fn number(rest: &mut &[u8], base: u8, most: usize, before: u8) -> u8 {
    let mut number = before;
    for _ in 0..most {
        let Some((digit, after)) = rest.split_first() else { break };
        let Some(digit) = (*digit as char).to_digit(u32::from(base)) else { break };
        number = number.wrapping_mul(base).wrapping_add(digit as u8);
        *rest = after;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn the_forms_of_xenstore_utils() {
        assert_eq!(
            Escaped(b"\xff\xfe\0a\"b\t\n\r\\\x07\x08\x7f").to_string(),
            r#"\xff\xfe\000a"b\t\n\r\\\007\x08\x7f"#
        );
        assert_eq!(unescape(r"\x41\101\n\q\x4\", &mut [0; 16]).unwrap(), b"AA\nq\x04\\");
        assert_eq!(unescape("1234", &mut [0; 3]), None);
    }

    proptest! {
        #[test]
        fn in_json_a_text_is_itself_and_anything_is_json(
            text in any::<String>(),
            bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let read = |bytes: &[u8]| serde_json::from_str::<String>(&format!("\"{}\"", InJson(bytes))).unwrap();
            prop_assert_eq!(read(text.as_bytes()), text);
            let shown = read(&[&bytes[..], b"\xff\"\n"].concat());
            prop_assert!(shown.ends_with("\u{fffd}\"\n"), "{}", shown);
        }

        #[test]
        fn what_is_shown_can_be_written_again(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let shown = Escaped(&bytes).to_string();
            prop_assert!(shown.is_ascii());
            let mut room = [0; 64];
            prop_assert_eq!(unescape(&shown, &mut room).unwrap(), bytes.as_slice());
        }
    }
}
