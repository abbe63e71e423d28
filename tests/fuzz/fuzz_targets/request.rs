//! The value of a node of data/host: what is taken for JSON is JSON, all that is JSON of no more depth is taken, and
//! every value is what another parser reads (serde_json is the judge). Made plain a second time nothing changes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::commands::request::{Request, RequestError};
use nanova_core::wire::json::{DEPTH_MAX, Value, members};
use serde_json::Value as Other;

fn depth(value: &Other) -> usize {
    match value {
        Other::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Other::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn check(value: Value<'_>, other: &Other) {
    match (value, other) {
        (Value::Text(text), Other::String(other)) => {
            assert_eq!(text.to_string(), *other);
            assert!(text.plain().is_none_or(|plain| plain == other));
            let mut room = [0; 64];
            let _ = text.base64(&mut room);
        }
        (Value::Number(text), other @ Other::Number(_)) => {
            assert_eq!(serde_json::from_str::<Other>(text).expect("a number"), *other);
        }
        (Value::Object(text), other @ Other::Object(_)) => {
            assert_eq!(serde_json::from_str::<Other>(text).expect("an object"), *other);
            let mut again = text.as_bytes().to_vec();
            assert!(members(&mut again, []).is_ok());
            assert_eq!(again, text.as_bytes(), "plain is plain");
        }
        (Value::Missing, Other::Null) | (Value::Other, Other::Array(_) | Other::Bool(_)) => {}
        (value, other) => panic!("{value:?} is {other:?}"),
    }
}

fuzz_target!(|input: &[u8]| {
    let other = serde_json::from_slice::<Other>(input).ok();
    let mut document = input.to_vec();
    match members(&mut document, ["name", "value"]) {
        Ok([name, value]) => {
            let other = other.as_ref().expect("what is taken is JSON");
            check(name, &other["name"]);
            check(value, &other["value"]);
        }
        Err(_) => {
            let is_ours = other.as_ref().is_some_and(|other| other.is_object() && depth(other) <= DEPTH_MAX);
            assert!(!is_ours, "what is JSON is taken");
        }
    }
    let mut document = input.to_vec();
    let named = other.as_ref().and_then(|other| other.get("name"));
    match Request::parse(&mut document) {
        Ok(request) => assert_eq!(Some(request.name.to_string().as_str()), named.and_then(Other::as_str)),
        Err(RequestError::NoName) => assert!(named.is_none_or(Other::is_null)),
        Err(RequestError::Malformed) => {}
        Err(RequestError::Sealed(_)) => panic!("nobody has unsealed anything"),
    }
});
