//! Walking through JSON text that [`crate::wire::json::json`] has made plain: strict, without white space, few escapes
//! left.
//!
//! A typed parser would want to know a value's type beforehand; here a netmask is a number for one host and a string
//! for the next. (serde-json-core writes the responses.) On other text than plain JSON the pieces are some pieces of
//! it; nothing panics.

/// The elements of an array, or the members of an object as they stand.
#[derive(Clone, Copy)]
pub(crate) struct Pieces<'a>(&'a str);

impl<'a> Pieces<'a> {
    /// The pieces between the brackets of `text`; none if it is no array and no object.
    pub(crate) fn of(text: &'a str) -> Pieces<'a> {
        let inner = |open, close| text.strip_prefix(open)?.strip_suffix(close);
        Pieces(inner('[', ']').or_else(|| inner('{', '}')).unwrap_or_default())
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
        for (at, byte) in self.0.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' if depth == 0 => {
                    let piece = self.0.get(..at);
                    self.0 = self.0.get(at + 1..).unwrap_or_default();
                    return piece;
                }
                _ => {}
            }
        }
        Some(core::mem::take(&mut self.0))
    }
}

/// The value of the member with one of these names; of the last such member.
pub(crate) fn member<'a>(object: &'a str, names: &[&str]) -> Option<&'a str> {
    let mut found = None;
    for piece in Pieces::of(object) {
        // A name with an escape in it is none of those that are looked for.
        if let Some((name, value)) = piece.strip_prefix('"').and_then(|piece| piece.split_once('"'))
            && names.contains(&name)
        {
            found = value.strip_prefix(':');
        }
    }
    found.filter(|value| *value != "null")
}

/// The text of a string without escapes, or of a number; none if it is empty.
pub(crate) fn scalar(value: &str) -> Option<&str> {
    let text = value.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(value);
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert, proptest};

    #[test]
    fn arrays_and_objects_fall_into_their_pieces() {
        let pieces: Vec<_> = Pieces::of(r#"["a,]\",",{"b":[1,2]},3]"#).collect();
        assert_eq!(pieces, [r#""a,]\",""#, r#"{"b":[1,2]}"#, "3"]);
        assert_eq!(Pieces::of("[]").count() + Pieces::of("{}").count() + Pieces::of("1").count(), 0);
    }

    #[test]
    fn members_by_name() {
        let object = r#"{"a":{"b":1},"b":null,"c":"x","c":"y","d":""}"#;
        assert_eq!(member(object, &["b"]), None);
        assert_eq!(member(object, &["z", "c"]).and_then(scalar), Some("y"));
        assert_eq!(member(object, &["d"]).and_then(scalar), None);
        assert_eq!(scalar("64"), Some("64"));
    }

    #[test]
    fn a_comma_inside_of_anything_divides_nothing() {
        let pieces = |text| Pieces::of(text).collect::<Vec<_>>();
        assert_eq!(
            pieces(r#"{"a":[1,[2,3],4],"b":"x,y","c":"\\","d":"\",\""}"#),
            [r#""a":[1,[2,3],4]"#, r#""b":"x,y""#, r#""c":"\\""#, r#""d":"\",\"""#,]
        );
        assert_eq!(pieces(r#"[{"a":{"b":1,"c":2}},"[",","]"#), [r#"{"a":{"b":1,"c":2}}"#, r#""[""#, r#"",""#]);
        assert_eq!(pieces("[1}"), [""; 0]);
        assert_eq!(pieces("[1]]"), ["1]"]);
        assert_eq!((member(r#"{"a":1,"a":null}"#, &["a"]), member(r#"{"b":1}"#, &["a"])), (None, None));
        assert_eq!(member(r#"{"a":1,"b":2}"#, &["a", "b"]), Some("2"), "the last one counts");
        assert_eq!((scalar("\"x\""), scalar("\"\""), scalar(""), scalar("\"x")), (Some("x"), None, None, Some("\"x")));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}", json in r#"[\[\]{},:"\\a]{0,40}"#) {
            for text in [text, json] {
                let len: usize = Pieces::of(&text).map(str::len).sum();
                prop_assert!(len <= text.len());
                let _ = member(&text, &["a"]).and_then(scalar);
            }
        }
    }
}
