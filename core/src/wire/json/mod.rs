//! JSON from the host, made plain in place.
//!
//! [`members`] reads a whole document once and answers three questions: is it strict
//! JSON (RFC 8259) and nested at most [`DEPTH_MAX`] deep, so that no parser can be driven down the stack; where exactly
//! does a value begin and end, so that a number of any size stays text; and what do its escapes mean, surrogate pairs
//! included. Escapes that need not be are replaced by their characters in place and white space goes, so that
//! afterwards equal strings are equal bytes and what walks on sees only `\" \\ \b \f \n \r \t` and `\u00XX`.

pub mod text;
pub(crate) mod walk;

use core::fmt::Write;
use core::ops::Range;

pub use crate::wire::json::text::Text;

/// How deep arrays and objects may be nested. vm-data needs 4.
pub const DEPTH_MAX: usize = 8;

/// Not JSON, or nested too deep, or no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Malformed;

/// A value of a member: JSON text that has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Value<'a> {
    /// The member is missing, or null.
    Missing,
    /// A string.
    Text(Text<'a>),
    /// A number, as it was written.
    Number(&'a str),
    /// An object, as plain JSON text.
    Object(&'a str),
    /// An array or a truth value.
    Other,
}

impl<'a> Value<'a> {
    /// What plain JSON text is.
    pub(crate) fn of(text: &'a str) -> Value<'a> {
        if let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            return Value::Text(Text::of(inner));
        }
        match text.as_bytes() {
            [b'{', ..] => Value::Object(text),
            [b'-' | b'0'..=b'9', ..] => Value::Number(text),
            [b'n', ..] => Value::Missing,
            _ => Value::Other,
        }
    }
}

/// Where a member has its value, as plain JSON text; nowhere if it is missing.
pub type Place = Option<Range<usize>>;

/// Makes the object in `document` plain and returns the values of the members named `keys`. When a name occurs twice
/// the last one counts, as in Python.
pub fn members<'a, const N: usize>(document: &'a mut [u8], keys: [&str; N]) -> Result<[Value<'a>; N], Malformed> {
    let places = locate(document, keys)?;
    let document: &'a [u8] = document;
    Ok(places.map(|place| at(document, &place)))
}

/// The value at a place.
pub fn at<'a>(document: &'a [u8], place: &Place) -> Value<'a> {
    let text = place.clone().and_then(|place| core::str::from_utf8(document.get(place)?).ok());
    text.map_or(Value::Missing, Value::of)
}

/// As [`members`], but returns where the values are, so that one can be changed in its place.
pub fn locate<const N: usize>(document: &mut [u8], keys: [&str; N]) -> Result<[Place; N], Malformed> {
    core::str::from_utf8(document).map_err(|_| Malformed)?;
    let mut found = [const { None }; N];
    let mut pass = Pass { bytes: document, read: 0, written: 0 };
    pass.space();
    if pass.peek() != Some(b'{') {
        return Err(Malformed);
    }
    pass.value(1, &mut |document, key, value| {
        let key = document.get(key);
        for (place, _) in found.iter_mut().zip(keys).filter(|(_, known)| key == Some(known.as_bytes())) {
            *place = Some(value.clone());
        }
    })?;
    pass.space();
    if pass.peek().is_some() { Err(Malformed) } else { Ok(found) }
}

/// Receives the document so far, and where a member of the outermost object has its name and its value.
type Note<'n> = &'n mut dyn FnMut(&[u8], Range<usize>, Range<usize>);

/// One pass over a document, written back plain over itself.
///
/// # Invariants
/// `written <= read <= bytes.len()`: a plain form is never longer than what it was made from, so what is written never
/// reaches what has not been read. `bytes[..written]` and `bytes[read..]` are UTF-8.
struct Pass<'a> {
    bytes: &'a mut [u8],
    read: usize,
    written: usize,
}

impl Pass<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.read).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.read += 1;
        }
    }

    fn emit(&mut self, bytes: &[u8]) {
        debug_assert!(self.written + bytes.len() <= self.read);
        let room = self.bytes.get_mut(self.written..).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(bytes) {
            *place = *byte;
        }
        self.written += bytes.len();
    }

    /// Copies the next byte.
    fn copy(&mut self) -> Result<u8, Malformed> {
        let byte = self.peek().ok_or(Malformed)?;
        self.read += 1;
        self.emit(&[byte]);
        Ok(byte)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Malformed> {
        if self.copy()? == wanted { Ok(()) } else { Err(Malformed) }
    }

    fn value(&mut self, depth: usize, note: Note<'_>) -> Result<(), Malformed> {
        match self.peek().ok_or(Malformed)? {
            b'{' | b'[' if depth > DEPTH_MAX => Err(Malformed),
            b'{' => self.object(depth, note),
            b'[' => self.array(depth, note),
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => Err(Malformed),
        }
    }

    fn object(&mut self, depth: usize, note: Note<'_>) -> Result<(), Malformed> {
        self.sequence(b'{', b'}', |pass| {
            let key = pass.written + 1;
            pass.string()?;
            let key = key..pass.written - 1;
            pass.space();
            pass.expect(b':')?;
            pass.space();
            let value = pass.written;
            pass.value(depth + 1, note)?;
            if depth == 1 {
                note(pass.bytes, key, value..pass.written);
            }
            Ok(())
        })
    }

    fn array(&mut self, depth: usize, note: Note<'_>) -> Result<(), Malformed> {
        self.sequence(b'[', b']', |pass| pass.value(depth + 1, note))
    }

    /// `open element , element … close`, or nothing between.
    fn sequence(
        &mut self,
        open: u8,
        close: u8,
        mut element: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.expect(open)?;
        self.space();
        if self.peek() == Some(close) {
            return self.copy().map(drop);
        }
        loop {
            self.space();
            element(self)?;
            self.space();
            match self.copy()? {
                b',' => {}
                byte if byte == close => return Ok(()),
                _ => return Err(Malformed),
            }
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Malformed> {
        word.iter().try_for_each(|byte| self.expect(*byte))
    }

    fn number(&mut self) -> Result<(), Malformed> {
        if self.peek() == Some(b'-') {
            self.copy()?;
        }
        if self.peek() == Some(b'0') {
            self.copy()?;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.copy()?;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.copy()?;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.copy()?;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        if !self.copy()?.is_ascii_digit() {
            return Err(Malformed);
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.copy()?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), Malformed> {
        self.expect(b'"')?;
        loop {
            match self.peek().ok_or(Malformed)? {
                b'"' => return self.copy().map(drop),
                b'\\' => self.escape()?,
                0..0x20 => return Err(Malformed),
                _ => drop(self.copy()?),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        self.read += 1;
        let letter = self.peek().ok_or(Malformed)?;
        self.read += 1;
        match letter {
            b'/' => self.emit(b"/"),
            b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => self.emit(&[b'\\', letter]),
            b'u' => {
                let c = self.code_point()?;
                self.character(c);
            }
            _ => return Err(Malformed),
        }
        Ok(())
    }

    /// What follows `\u`: four digits, or a surrogate pair.
    fn code_point(&mut self) -> Result<char, Malformed> {
        let first = self.hex4()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(Malformed);
        }
        if self.bytes.get(self.read..self.read + 2) != Some(b"\\u") {
            return Err(Malformed);
        }
        self.read += 2;
        let second = self.hex4()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(Malformed);
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(Malformed)
    }

    fn hex4(&mut self) -> Result<u32, Malformed> {
        let digits = self.bytes.get(self.read..self.read + 4).ok_or(Malformed)?;
        let mut number = 0;
        for digit in digits {
            number = number << 4 | (*digit as char).to_digit(16).ok_or(Malformed)?;
        }
        self.read += 4;
        Ok(number)
    }

    /// The shortest form of a character; none is longer than the `\uXXXX` it came from.
    fn character(&mut self, c: char) {
        let mut form = heapless::String::<6>::new();
        let _ = match c {
            '"' | '\\' => write!(form, "\\{c}"),
            '\n' => form.write_str("\\n"),
            '\0'..' ' => write!(form, "\\u{:04x}", c as u32),
            c => form.write_char(c),
        };
        self.emit(form.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    fn value(document: &str) -> Result<String, Malformed> {
        let mut bytes = document.as_bytes().to_vec();
        members(&mut bytes, ["value"]).map(|[value]| match value {
            Value::Text(text) => format!("text {text}"),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn every_shape_of_a_value() {
        assert_eq!(value(r#"{"value":"v"}"#).unwrap(), "text v");
        assert_eq!(value(r#" { "name" : 1 , "value" : "v" } "#).unwrap(), "text v");
        assert_eq!(
            value(r#"{"value":162259276829213363391578010288126}"#).unwrap(),
            r#"Number("162259276829213363391578010288126")"#
        );
        assert_eq!(value(r#"{"value":{"a" : [1, true, {}]}}"#).unwrap(), r#"Object("{\"a\":[1,true,{}]}")"#);
        for missing in ["{}", r#"{"value":null}"#, r#"{"Value":1}"#, r#"{"a":{"value":1}}"#] {
            assert_eq!(value(missing).unwrap(), "Missing", "{missing}");
        }
        for other in [r#"{"value":[]}"#, r#"{"value":true}"#] {
            assert_eq!(value(other).unwrap(), "Other");
        }
        assert_eq!(value(r#"{"value":1,"value":"last"}"#).unwrap(), "text last");
    }

    #[test]
    fn escapes_mean_their_characters_in_names_and_values() {
        assert_eq!(
            value(r#"{"v\u0061lue":"\/tmp\/\u00e9\ud83d\ude00\n\"\\\u0022\u005c\u000a"}"#).unwrap(),
            "text /tmp/é😀\n\"\\\"\\\n"
        );
        assert_eq!(value(r#"{"value":"\u0000\b\f\t\r"}"#).unwrap(), "text \0\u{8}\u{c}\t\r");
    }

    #[test]
    fn numbers_of_every_form_stay_as_they_were_written() {
        for number in ["0", "-0", "10", "-10", "0.5", "-1.25", "1e5", "1E+5", "1.5e-05", "0e0", "123456789012345678901"]
        {
            assert_eq!(value(&format!(r#"{{"value":{number}}}"#)), Ok(format!("Number({number:?})")));
            assert_eq!(value(&format!(r#"{{"a":[{number},{number}],"value":[{number}]}}"#)), Ok("Other".to_owned()));
        }
        for bad in ["-", "00", "-01", "1.e5", "1.", "1e", "1e+", "1ee5", "1.5.5", "0x1", "1 2", "--1", "e5"] {
            assert_eq!(value(&format!(r#"{{"value":{bad}}}"#)), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn white_space_may_be_anywhere_between_and_goes() {
        let document =
            "\t{\r\n\"value\" : { \"a\" : [ 1 , \t2 ] ,\n\"b\" : { } , \"c\":[ ] , \"d d\":\" \" } , \"x\" : true }\r";
        assert_eq!(value(document), Ok(r#"Object("{\"a\":[1,2],\"b\":{},\"c\":[],\"d d\":\" \"}")"#.to_owned()));
        assert_eq!(value("\u{b}{}"), Err(Malformed));
    }

    #[test]
    fn a_pair_of_surrogates_is_one_character_and_anything_else_is_none() {
        for (escaped, character) in [
            (r"\ud800\udc00", "\u{10000}"),
            (r"\udbff\udfff", "\u{10ffff}"),
            (r"\uD83D\uDE00x", "\u{1f600}x"),
            (r"\ud7ff\ue000", "\u{d7ff}\u{e000}"),
            (r"\u007f\u0020\u001f", "\u{7f} \u{1f}"),
        ] {
            assert_eq!(value(&format!(r#"{{"value":"{escaped}"}}"#)), Ok(format!("text {character}")), "{escaped}");
        }
        for bad in [
            r"\ud800",
            r"\ud800x",
            r"\ud800\u0041",
            r"\ud800\ue000",
            r"\ud800\udbff",
            r"\udc00",
            r"\udfff",
            r"\ud800\n",
        ] {
            assert_eq!(value(&format!(r#"{{"value":"{bad}"}}"#)), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn what_stays_escaped_is_known_and_no_plain_text() {
        let text = |escaped: &str| -> (Option<String>, String) {
            let mut bytes = format!(r#"{{"value":"{escaped}"}}"#).into_bytes();
            let Ok([Value::Text(text)]) = members(&mut bytes, ["value"]) else { panic!("{escaped}") };
            (text.plain().map(str::to_owned), text.0.to_owned())
        };
        let plain = |text: &str| (Some(text.to_owned()), text.to_owned());
        assert_eq!(text(r"\u0041\/\u00e9"), plain("A/é"));
        assert_eq!(text(""), plain(""));
        assert_eq!(text(r"\u000a\n\u0009\u0022\u005c\u0000\u001F"), (None, r#"\n\n\u0009\"\\\u0000\u001f"#.to_owned()));
    }

    #[test]
    fn base64_is_strict_but_for_the_breaks_of_lines() {
        let decoded = |text: &str, room: usize| -> Option<String> {
            let mut bytes = format!(r#"{{"value":"{text}"}}"#).into_bytes();
            let Ok([Value::Text(text)]) = members(&mut bytes, ["value"]) else { panic!("{text}") };
            text.base64(&mut vec![0; room]).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        assert_eq!(decoded("", 0).as_deref(), Some(""));
        assert_eq!(decoded("aGVsbG8=", 8).as_deref(), Some("hello"));
        assert_eq!(decoded(r"aGVs\nbG8= \t\r\n", 8).as_deref(), Some("hello"));
        // As long as it is written it has to fit.
        assert_eq!(decoded("aGVsbG8=", 7), None);
        for bad in ["aGVsbG8", "aGVsbG8==", "aGVsb=8=", "aGVsbG9=x", "*", r"aGVs\u0000bG8=", "aGVsbG-="] {
            assert_eq!(decoded(bad, 64), None, "{bad}");
        }
    }

    #[test]
    fn what_is_not_strict_json_is_refused() {
        let bad = [
            "",
            " ",
            "null",
            "[]",
            "\"value\"",
            "1",
            "{",
            "}",
            "{}{}",
            "{} x",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{a:1}"#,
            r#"{'a':1}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":+1}"#,
            r#"{"a":1e}"#,
            r#"{"a":tru}"#,
            r#"{"a":nulL}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":"\u+123"}"#,
            r#"{"a":"\ud83d"}"#,
            r#"{"a":"\ud83d\u0041"}"#,
            r#"{"a":"\ude00"}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":"b}"#,
            r#"{"a":[1 2]}"#,
            r#"{"a":NaN}"#,
        ];
        for document in bad {
            assert_eq!(value(document), Err(Malformed), "{document}");
        }
        assert!(members(&mut b"{\"a\":\"\xff\"}".to_vec(), ["a"]).is_err());
    }

    #[test]
    fn nesting_ends_at_the_limit_and_not_at_the_end_of_the_stack() {
        let nested = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(value(&nested(DEPTH_MAX)).is_ok());
        assert!(value(&nested(DEPTH_MAX + 1)).is_err());
        assert!(value(&nested(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn a_string_escaped_in_any_way_comes_back(
            text in any::<String>(),
            how in prop::collection::vec(0u8..3, 1..32),
        ) {
            let mut document = String::from("{\"value\":\"");
            for (c, how) in text.chars().zip(how.iter().cycle()) {
                match (how, c) {
                    (0, _) | (_, '"' | '\\' | '\0'..' ') => {
                        let mut units = [0; 2];
                        for unit in c.encode_utf16(&mut units) {
                            document += &format!("\\u{unit:04X}");
                        }
                    }
                    (1, '/') => document += "\\/",
                    _ => document.push(c),
                }
            }
            document += "\"}";
            prop_assert_eq!(value(&document), Ok(format!("text {text}")));
        }

        #[test]
        fn any_bytes_are_an_answer_and_never_a_panic(mut noise in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = members(&mut noise, ["name", "value"]);
        }

        #[test]
        fn almost_json_is_an_answer_and_never_a_panic(pieces in prop::collection::vec(0usize..17, 0..60)) {
            const PIECES: [&str; 17] = [
                "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "00e9", "\\ud83d", "\\ude00", "name", "1", "-", "null",
                " ",
            ];
            let mut document: Vec<u8> = pieces.iter().flat_map(|piece| PIECES[*piece].bytes()).collect();
            let _ = members(&mut document, ["name", "value"]);
        }
    }
}
