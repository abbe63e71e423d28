//! The value of `agentupdate`: a URL and a sum, and where a server redirects to. What is taken is taken again when it
//! is written out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::update::request::{Hasher, Order};
use nanova_core::update::url::Url;
use nanova_core::wire::json::members;

fuzz_target!(|input: &[u8]| {
    let mut document = [b"{\"value\":", input, b"}"].concat();
    if let Ok([value]) = members(&mut document, ["value"])
        && let Ok(order) = Order::parse(value)
    {
        let sum = order.sum.to_string();
        assert!(matches!(sum.len(), 32 | 64) && sum.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let mut hasher = Hasher::new(&order.sum);
        hasher.update(input);
        let (matches, got) = hasher.compare(&order.sum);
        assert_eq!(matches, got.to_string() == sum);
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (url, location) = text.split_once('\n').unwrap_or((text, "/elsewhere?a=b"));
    let Ok(url) = Url::parse(url) else { return };
    let again = format!("http://{}{}", url.authority, url.target);
    assert_eq!(Url::parse(&again), Ok(url), "{again}");
    if let Ok(there) = url.redirected(location) {
        let there = Url::parse(&there).expect("a redirection is a URL");
        assert!(!location.starts_with('/') || location.starts_with("//") || there.host == url.host, "the same server");
    }
});
