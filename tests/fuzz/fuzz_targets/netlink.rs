//! The kernel's datagrams: whatever lengths are claimed, the walk ends, and what is taken is an address, a route, a
//! link.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::wire::netlink::{Replies, Reply};

fuzz_target!(|input: &[u8]| {
    let mut count = 0;
    for reply in Replies::of(input) {
        count += 1;
        match reply {
            Reply::Link(link) => assert!(!link.name.is_empty() && link.name.len() <= 15),
            Reply::Address(present) => {
                assert!(present.address.prefix <= present.address.ip.family().bits());
                let _ = (present.is_usable(), present.is_permanent(), present.is_temporary());
                let _ = (present.address.network(), present.address.broadcast(), present.address.netmask());
            }
            Reply::Route(route) => {
                assert!(route.to.prefix <= route.to.ip.family().bits() && route.index != 0);
                assert!(!route.to.to_string().is_empty());
            }
            _ => {}
        }
    }
    assert!(count <= input.len() / 16);
});
