//! A DHCP server's message, in its packet or without: what is taken of it makes sense, and of any damage there is less
//! of it, not more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::network::dhcp::frame::message_in;
use nanova_core::network::dhcp::message::{MESSAGE_MAX, Reply};
use nanova_core::network::model::Interface;
use nanova_core::wire::net::Mac;

const MAC: Mac = Mac([0, 0x16, 0x3e, 1, 2, 3]);

/// A message whose options, and the fields that options may go on in, are the input's.
fn message(input: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 240];
    message[..8].copy_from_slice(&[2, 1, 6, 0, 0, 0, 0, 42]);
    message[28..34].copy_from_slice(&MAC.0);
    message[236..].copy_from_slice(&[99, 130, 83, 99]);
    let (address, rest) = input.split_at(input.len().min(4));
    message[16..16 + address.len()].copy_from_slice(address);
    let (fields, options) =
        rest.split_at(if rest.first().is_some_and(|byte| *byte > 200) { rest.len().min(192) } else { 0 });
    message[44..44 + fields.len()].copy_from_slice(fields);
    message.extend_from_slice(options);
    message
}

fuzz_target!(|input: &[u8]| {
    if let Some(inner) = message_in(input) {
        assert!(inner.len() + 28 <= input.len());
    }
    let whole = message(input);
    for bytes in [input, &whole] {
        let Some(reply) = Reply::of(bytes, MAC, 42) else { continue };
        assert!(bytes.len() <= MESSAGE_MAX);
        let times = reply.times();
        assert!(times.renewal <= times.rebinding && times.rebinding <= times.end && times.end > 0);
        let usable = |octets: [u8; 4]| !matches!(octets[0], 0 | 127 | 224..);
        assert!(reply.address().is_none_or(usable) && reply.server().is_none_or(usable));
        for name in [reply.host_name(), reply.domain()].into_iter().flatten() {
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
        }
        let mut interface = Interface::new(MAC);
        reply.configure(&mut interface);
        assert!(interface.addresses.len() <= 1 && interface.addresses.is_empty() == reply.address().is_none());
        assert!(interface.mtu.is_none_or(|mtu| mtu >= 576));
        for (place, route) in interface.routes.iter().enumerate() {
            assert_eq!(route.to.network(), route.to);
            assert!(route.to.prefix > 0 || place + 1 == interface.routes.len(), "the way to everything comes last");
        }
        let again = interface.clone();
        reply.configure(&mut interface);
        assert_eq!(interface, again, "it says the same twice");
    }
});
