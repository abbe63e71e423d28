//! What an agent is asked, as JSON: `{"name": …, "value": …}`.
//!
//! Guarantees: it may hold a secret, so it is overwritten when it is dropped, and room for all is made at once: nothing
//! grows and leaves a copy behind.

use zeroize::Zeroizing;

/// A request.
pub(crate) struct Request(Zeroizing<Vec<u8>>);

impl Request {
    /// A command whose argument is this text.
    pub(crate) fn text(name: &str, value: &str) -> Request {
        Request::of(name, &quoted(value))
    }

    /// A command whose argument is JSON.
    pub(crate) fn json(name: &str, value: &str) -> Request {
        Request::of(name, value.as_bytes())
    }

    /// A command whose argument somebody typed: an object as it is, anything else as text.
    pub(crate) fn of_typed(name: &str, value: &str) -> Request {
        match serde_json::from_str::<serde_json::Value>(value) {
            Ok(json) if json.is_object() => Request::json(name, value),
            _ => Request::text(name, value),
        }
    }

    /// One that is JSON as a whole.
    pub(crate) fn whole(bytes: &[u8]) -> Request {
        Request(Zeroizing::new(bytes.to_vec()))
    }

    fn of(name: &str, value: &[u8]) -> Request {
        Request(Zeroizing::new([br#"{"name":"#, &quoted(name)[..], br#","value":"#, value, b"}"].concat()))
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A text as JSON.
fn quoted(text: &str) -> Zeroizing<Vec<u8>> {
    /// `\u0000`
    const ESCAPED_MAX: usize = 6;
    let mut json = Zeroizing::new(Vec::with_capacity(text.len() * ESCAPED_MAX + 2));
    // Writing to memory fails nowhere.
    let _ = serde_json::to_writer(&mut *json, text);
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_json_whatever_its_texts_are() {
        assert_eq!(Request::text("version", "agent").bytes(), br#"{"name":"version","value":"agent"}"#);
        assert_eq!(Request::json("x", r#"{"a":1}"#).bytes(), br#"{"name":"x","value":{"a":1}}"#);
        let request = Request::text("a\"b", "\0\x1f\\ö");
        let value: serde_json::Value = serde_json::from_slice(request.bytes()).unwrap();
        assert_eq!((value["name"].as_str(), value["value"].as_str()), (Some("a\"b"), Some("\0\x1f\\ö")));
    }
}
