//! A string of plain JSON (`super`): what it says, piece by piece, or as base64.

use core::fmt;

use base64ct::{Base64, Encoding};

use crate::wire::text::digits;

/// A string whose remaining escapes are still in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Text<'a>(pub(super) &'a str);

impl<'a> Text<'a> {
    /// The empty text.
    pub const EMPTY: Text<'static> = Text("");

    /// What stands between the quotes in plain JSON.
    pub(crate) fn of(inner: &'a str) -> Text<'a> {
        Text(inner)
    }

    /// The text, if it holds none of the characters that are still escaped.
    pub fn plain(&self) -> Option<&'a str> {
        (!self.0.contains('\\')).then_some(self.0)
    }

    /// Decodes the text as base64 (strictly, with padding), white space in it passed over: OpenSSL and old hosts break
    /// lines. `None` when it is not base64 or longer than `room`.
    pub fn base64<'r>(&self, room: &'r mut [u8]) -> Option<&'r [u8]> {
        let mut len = 0;
        let copied = self.pieces(&mut |piece| {
            for byte in piece.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
                *room.get_mut(len).ok_or(fmt::Error)? = byte;
                len += 1;
            }
            Ok(())
        });
        copied.ok()?;
        Base64::decode_in_place(room.get_mut(..len)?).ok()
    }

    /// Calls `each` with the text's characters, piece by piece.
    pub fn pieces(&self, each: &mut dyn FnMut(&str) -> fmt::Result) -> fmt::Result {
        let mut rest = self.0;
        while let Some((before, escape)) = rest.split_once('\\') {
            each(before)?;
            // What is left of escapes; they were checked.
            let (c, len) = match escape.as_bytes().first() {
                Some(b'b') => ('\u{8}', 1),
                Some(b'f') => ('\u{c}', 1),
                Some(b'n') => ('\n', 1),
                Some(b'r') => ('\r', 1),
                Some(b't') => ('\t', 1),
                Some(b'u') => {
                    let code = escape.get(1..5).and_then(|text| digits(text, 16));
                    (code.and_then(|code| char::from_u32(code as u32)).unwrap_or_default(), 5)
                }
                Some(byte) => (char::from(*byte), 1),
                None => break,
            };
            each(c.encode_utf8(&mut [0; 4]))?;
            rest = escape.get(len..).unwrap_or_default();
        }
        each(rest)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces(&mut |piece| f.write_str(piece))
    }
}
