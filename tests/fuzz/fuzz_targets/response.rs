//! What the host is told: whatever the message is, valid JSON within its bound, with the message or the beginning of
//! it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::commands::response::{Code, MESSAGE_MAX, Response};

fuzz_target!(|input: (&str, &str, u8)| {
    let (number, text, code) = input;
    let code = match (Code::of_number(number), code % 5) {
        (Some(code), _) => code,
        (None, 0) => Code::Done,
        (None, 1) => Code::KeyReady,
        (None, 2) => Code::NotFound,
        (None, _) => Code::Failed,
    };
    let response = Response::new(code, format_args!("{text}"));
    let mut json = Default::default();
    response.to_json(nanova_core::commands::response::RESPONSE_MAX, &mut json);
    let told: serde_json::Value = serde_json::from_slice(&json).expect("a response is JSON");
    assert_eq!(told["returncode"], code.as_str());
    let message = told["message"].as_str().expect("the message is a string");
    assert!(message.len() <= MESSAGE_MAX);
    let begins = message.strip_suffix("...").is_some_and(|start| text.starts_with(start));
    assert!(message == text || begins, "{message:?} of {text:?}");
    assert_eq!(told.as_object().map(|members| members.len()), Some(2));
});
