//! What the host asks: `{"name": "<command>", "value": <argument>}`.

use crate::wire::json;
use crate::wire::json::{Text, Value};

/// A request, borrowing from the packet it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request<'a> {
    /// The command's name, as the host wrote it: any text.
    pub name: Text<'a>,
    /// Its argument.
    pub value: Value<'a>,
}

/// Why a value is not a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RequestError {
    /// Not UTF-8, not JSON, nested too deep, no object, or a name that is no text.
    Malformed,
    /// An object without a name.
    NoName,
}

impl<'a> Request<'a> {
    /// Reads a request, making its JSON plain in place.
    pub fn parse(bytes: &'a mut [u8]) -> Result<Request<'a>, RequestError> {
        match json::members(bytes, ["name", "value"]) {
            Ok([Value::Text(name), value]) => Ok(Request { name, value }),
            Ok([Value::Missing, _]) => Err(RequestError::NoName),
            _ => Err(RequestError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_of_the_first_seed() {
        let mut bytes = br#"{"name":"resetnetwork","value":""}"#.to_vec();
        let request = Request::parse(&mut bytes).unwrap();
        assert_eq!(request.name.plain(), Some("resetnetwork"));
        assert_eq!(request.value, Value::Text(Text::EMPTY));
    }

    #[test]
    fn a_request_without_a_name_and_one_whose_name_is_no_text() {
        let parse = |text: &str| Request::parse(&mut text.as_bytes().to_vec()).map(drop);
        assert_eq!(parse(r#"{"value":""}"#), Err(RequestError::NoName));
        assert_eq!(parse(r#"{"name":null}"#), Err(RequestError::NoName));
        for text in [r#"{"name":5}"#, r#"{"name":["version"]}"#, "[]", "", "version", "{\"name\":\"a\"} {"] {
            assert_eq!(parse(text), Err(RequestError::Malformed), "{text}");
        }
    }
}
