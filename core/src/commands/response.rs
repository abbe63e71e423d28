//! What the host is told: `{"returncode": "<string>", "message": "<string>"}`.
//!
//! The return code is always a JSON string: nova's dom0 plugin compares it with strings. The whole value stays below
//! what a guest may store in a node (2048 bytes with permissions, in both xenstoreds); a longer message is shortened,
//! and shows it.

use core::fmt;

#[cfg(any(feature = "sealed", feature = "recorder"))]
use base64ct::{Base64, Encoding};
use serde::Serialize;

use crate::platform::Unsynced;
use crate::wire::text::Bounded;

/// Longest message.
pub const MESSAGE_MAX: usize = 512;
/// Longest response, as JSON.
pub const RESPONSE_MAX: usize = 1900;

/// The outcome of a command, as the protocol spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Code {
    /// Done.
    Done,
    /// Done, for `keyinit`.
    KeyReady,
    /// There is no such command.
    NotFound,
    /// Not done; the message says why.
    Failed,
    /// What a site's own command says: up to four digits, zeros behind them.
    Site([u8; 4]),
}

impl Code {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        match self {
            Code::Done => "0",
            Code::KeyReady => "D0",
            Code::NotFound => "404",
            Code::Failed => "500",
            Code::Site(digits) => core::str::from_utf8(digits).unwrap_or_default().trim_end_matches('\0'),
        }
    }

    /// The code of up to four digits.
    pub fn of_number(text: &str) -> Option<Code> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if text == "0" {
            return Some(Code::Done);
        }
        let mut digits = [0; 4];
        digits.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Code::Site(digits))
    }
}

/// One response to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Response {
    /// The outcome.
    pub code: Code,
    /// A value, or a sentence that says whose fault it is and what to do. Never a secret.
    pub message: Bounded<MESSAGE_MAX>,
}

/// Room for a response's JSON.
pub type Json = heapless::Vec<u8, RESPONSE_MAX>;

/// What stands around a message in base64.
#[cfg(any(feature = "sealed", feature = "recorder"))]
pub const START: [u8; 29] = *br#"{"returncode":"0","message":""#;
/// See [`START`].
#[cfg(any(feature = "sealed", feature = "recorder"))]
pub const END: &[u8] = br#""}"#;

#[derive(Serialize)]
struct Fields<'a> {
    returncode: &'a str,
    message: &'a str,
}

impl Response {
    /// A response.
    pub fn new(code: Code, message: fmt::Arguments<'_>) -> Response {
        Response { code, message: Bounded::of(message) }
    }

    /// Success, and what may undo it.
    pub fn done_and(unsynced: Option<Unsynced<'_>>) -> Response {
        match unsynced {
            None => Response::done(),
            Some(unsynced) => Response::new(Code::Done, format_args!("{unsynced}")),
        }
    }

    /// Success without a value.
    pub fn done() -> Response {
        Response { code: Code::Done, message: Bounded::new() }
    }

    /// A failure.
    #[inline(never)]
    pub fn failed(message: fmt::Arguments<'_>) -> Response {
        Response::new(Code::Failed, message)
    }

    /// Writes success as JSON, with base64 of these bytes for its message. What does not fit is not written.
    #[cfg(any(feature = "sealed", feature = "recorder"))]
    #[inline(never)]
    pub fn write_base64(bytes: &[u8], json: &mut Json) {
        // Whatever was there is overwritten.
        let _ = json.resize_default(RESPONSE_MAX);
        let room = json.get_mut(START.len()..).unwrap_or_default();
        let len = Base64::encode(bytes, room).map_or(0, str::len);
        if let Some(start) = json.first_chunk_mut() {
            *start = START;
        }
        json.truncate(START.len() + len);
        let _ = json.extend_from_slice(END);
    }

    /// The response as JSON, its message shortened until it has `most` bytes.
    pub fn to_json(&self, most: usize, json: &mut Json) {
        let mut message = self.message.clone();
        loop {
            // All the room there is.
            let _ = json.resize_default(most.min(RESPONSE_MAX));
            let value = Fields { returncode: self.code.as_str(), message: message.as_str() };
            match serde_json_core::to_slice(&value, json) {
                Ok(len) => return json.truncate(len),
                Err(_) => message.shorten(message.as_str().len() * 3 / 4),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    /// Written over another one, which leaves nothing of itself.
    fn json(response: &Response) -> String {
        let mut json = heapless::Vec::from_slice(b"what was there before").unwrap();
        response.to_json(RESPONSE_MAX, &mut json);
        String::from_utf8(json.to_vec()).unwrap()
    }

    #[test]
    fn the_bytes_that_the_host_reads() {
        assert_eq!(json(&Response::done()), r#"{"returncode":"0","message":""}"#);
        let unknown = Response::new(Code::NotFound, format_args!("No such agent command '{}'", "\"\\\n\x01é"));
        assert_eq!(json(&unknown), r#"{"returncode":"404","message":"No such agent command '\"\\\n\u0001é'"}"#);
    }

    #[test]
    fn a_message_that_does_not_fit_is_shortened_and_shows_it() {
        let long = "\u{1}".repeat(4096);
        let text = json(&Response::failed(format_args!("{long}")));
        assert!(text.ends_with(r#"\u0001..."}"#), "{text}");
        // From 512 bytes on, of which each but the mark takes six: three quarters are 384, and of these 288.
        let shortened = format!(r#"{{"returncode":"500","message":"{}..."}}"#, r"\u0001".repeat(285));
        assert_eq!(text, shortened);
    }

    #[test]
    fn a_code_is_up_to_four_digits() {
        for (text, shown) in [("0", "0"), ("1", "1"), ("42", "42"), ("9999", "9999"), ("0000", "0000")] {
            assert_eq!(Code::of_number(text).map(|code| code.as_str().to_owned()).as_deref(), Some(shown));
        }
        for bad in ["", "12345", "-1", "4a", " 1"] {
            assert_eq!(Code::of_number(bad), None, "{bad}");
        }
        assert_eq!((Code::of_number("0"), Code::KeyReady.as_str()), (Some(Code::Done), "D0"));
    }

    #[test]
    fn what_may_undo_a_change_is_said_with_its_success() {
        let path = crate::platform::GuestPath::literal("/etc/motd");
        let unsynced = Unsynced { path, errno: crate::wire::errno::Errno::IO };
        let response = Response::done_and(Some(unsynced));
        assert_eq!((response.code, response.message.as_str()), (Code::Done, unsynced.to_string().as_str()));
        assert!(response.message.as_str().contains("/etc/motd"));
        assert_eq!(Response::done_and(None), Response::done());
    }

    proptest! {
        #[test]
        fn any_message_is_json_that_a_real_parser_reads(message in any::<String>()) {
            let response = Response::failed(format_args!("{message}"));
            let parsed: serde_json::Value = serde_json::from_str(&json(&response)).unwrap();
            prop_assert_eq!(&parsed["returncode"], "500");
            let shown = parsed["message"].as_str().unwrap();
            let beginning = shown.strip_suffix("...");
            prop_assert!(shown == message || beginning.is_some_and(|beginning| message.starts_with(beginning)));
        }
    }
}
