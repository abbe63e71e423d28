//! What a guest answers: `{"returncode": "<string>", "message": "<string>"}`.

use serde_json::Value;
use zeroize::Zeroize;

/// An answer. It may hold a secret, and is overwritten when it is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// "0" is success; for keyinit "D0".
    pub(crate) code: String,
    /// The result, or what went wrong.
    pub(crate) message: String,
    /// The node's value as it was.
    pub(crate) text: String,
}

impl Answer {
    /// Reads it. A code that is a number counts as its digits, and a message that is missing as none: guests are
    /// many. Anything else is no answer.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Answer> {
        let mut value: Value = serde_json::from_slice(bytes).ok()?;
        let mut text = |name| match value.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => Some(text),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let message = text("message").unwrap_or_default();
        Some(Answer { code: text("returncode")?, message, text: String::from_utf8_lossy(bytes).into_owned() })
    }

    /// One that this side gives itself.
    pub(crate) fn done(message: impl Into<String>) -> Answer {
        Answer { code: "0".into(), message: message.into(), text: String::new() }
    }

    /// Whether it is a success.
    pub(crate) fn is_success(&self) -> bool {
        matches!(self.code.as_str(), "0" | "D0")
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.message.zeroize();
        self.text.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_two_strings() {
        let answer = Answer::parse(br#"{"returncode": "0", "message": "1.39"}"#).unwrap();
        assert_eq!((answer.is_success(), answer.message.as_str()), (true, "1.39"));
        let refused = Answer::parse(br#"{"returncode": 500}"#).unwrap();
        assert_eq!((refused.is_success(), refused.code.as_str(), refused.message.as_str()), (false, "500", ""));
        assert!(Answer::parse(br#"{"returncode": "D0", "message": "5"}"#).unwrap().is_success());
        for none in [&b""[..], b"{}", b"[]", b"\xff", br#"{"message":"x"}"#] {
            assert_eq!(Answer::parse(none), None);
        }
    }
}
