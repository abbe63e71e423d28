//! What the host asks: `{"name": "<command>", "value": <argument>}`.

use core::fmt;

use crate::commands::response::Code;
#[cfg(feature = "sealed")]
use crate::commands::sealed::NO_SESSION;
#[cfg(feature = "sealed")]
use crate::secret::sealed::Refused;
use crate::wire::json;
use crate::wire::json::{Place, Text, Value};

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
    /// A sealed request that cannot be opened.
    #[cfg(feature = "sealed")]
    Sealed(Refused),
}

impl RequestError {
    /// What it is answered with.
    pub fn code(self) -> Code {
        match self {
            #[cfg(feature = "sealed")]
            RequestError::Sealed(Refused::NoSession | Refused::WrongCode) => NO_SESSION,
            _ => Code::Failed,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Malformed => f.write_str("Request is malformed"),
            RequestError::NoName => f.write_str("Request is missing 'name' key"),
            #[cfg(feature = "sealed")]
            RequestError::Sealed(why) => why.fmt(f),
        }
    }
}

impl<'a> Request<'a> {
    /// Reads a request, making its JSON plain in place.
    pub fn parse(bytes: &'a mut [u8]) -> Result<Request<'a>, RequestError> {
        let located = Located::of(bytes)?;
        located.request(bytes)
    }
}

/// Where name and value of a request are, in bytes that were made plain.
#[derive(Debug)]
pub struct Located([Place; 2]);

impl Located {
    /// Looks for them, making the request's JSON plain in place.
    pub fn of(bytes: &mut [u8]) -> Result<Located, RequestError> {
        json::locate(bytes, ["name", "value"]).map(Located).map_err(|_| RequestError::Malformed)
    }

    /// The request in these bytes.
    pub fn request<'a>(&self, bytes: &'a [u8]) -> Result<Request<'a>, RequestError> {
        let [name, value] = &self.0;
        match json::at(bytes, name) {
            Value::Text(name) => Ok(Request { name, value: json::at(bytes, value) }),
            Value::Missing => Err(RequestError::NoName),
            _ => Err(RequestError::Malformed),
        }
    }

    /// What stands between the quotes of the value, to be changed in its place; none if that is no text.
    #[cfg(feature = "sealed")]
    pub fn text_mut<'a>(&self, bytes: &'a mut [u8]) -> Option<&'a mut [u8]> {
        match bytes.get_mut(self.0[1].clone()?)? {
            [b'"', text @ .., b'"'] => Some(text),
            _ => None,
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
