//! Values as the xenstore tools show and take them, and what else is written and read back: addresses, permissions,
//! paths, codes, base64 in JSON.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use nanova_core::commands::response::Code;
use nanova_core::platform::GuestPath;
use nanova_core::tools::value::{Escaped, unescape};
use nanova_core::wire::net::{Ip, Mac, Prefixed};
use nanova_core::wire::text::{Bounded, MountField, Printable, digits, number, text_at_start};
use nanova_core::xenstore::{Path, Permission};

fuzz_target!(|input: &[u8]| {
    let shown = Escaped(input).to_string();
    assert!(shown.bytes().all(|byte| matches!(byte, b' '..=b'~')));
    let mut room = vec![0; input.len()];
    assert_eq!(unescape(&shown, &mut room), Some(input), "what one prints the other can write");
    let text = text_at_start(input);
    assert!(input.starts_with(text.as_bytes()));
    let mut room = vec![0; text.len()];
    assert!(unescape(text, &mut room).is_some_and(|bytes| bytes.len() <= text.len()));
    assert!(!Printable(text).to_string().chars().any(char::is_control));
    assert!(MountField(text).to_string().chars().count() <= text.chars().count());
    let bounded = Bounded::<32>::of(format_args!("{text}"));
    assert!(text.len() > 32 || bounded.as_str() == text);

    // The standard library is the judge of addresses.
    let (ours, theirs) = (text.parse::<Ip>(), text.parse::<IpAddr>());
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}");
    if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
        assert_eq!((ours.to_string().parse(), ours.is_multicast()), (Ok(theirs), theirs.is_multicast()));
        assert_eq!((ours.is_unspecified(), ours.is_loopback()), (theirs.is_unspecified(), theirs.is_loopback()));
        for prefix in 0..=128 {
            let Some(prefixed) = Prefixed::new(ours, prefix) else { continue };
            assert!(prefixed.contains(ours) && prefixed.network().contains(ours));
            assert!(prefixed.broadcast().is_none_or(|broadcast| prefixed.contains(broadcast)));
        }
    }
    assert_eq!(number::<u64>(text), text.parse().ok().filter(|_| !text.starts_with('+')));
    assert_eq!(digits(text, 16), u64::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+')));
    if let Some(mac) = Mac::parse(text) {
        assert_eq!((Mac::parse(&mac.to_string()), Mac::parse(&mac.plain().to_string())), (Some(mac), Some(mac)));
    }
    if let Some(permission) = Permission::parse(text) {
        assert_eq!(Permission::parse(&permission.to_string()), Some(permission));
    }
    if let Some(code) = Code::of_number(text) {
        assert_eq!(code.as_str(), text);
    }
    if let Ok(path) = Path::new(text) {
        assert_eq!(path.as_str(), text);
    }
    if let Ok(path) = GuestPath::new(text) {
        let (directory, name) = path.split();
        assert!(directory.starts_with('/') && !name.is_empty() && !name.contains('/') && name != "..");
        assert!(path.parents().all(|parent| text.starts_with(parent.as_str())));
    }
});
