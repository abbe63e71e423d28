use super::*;
use std::vec::Vec as List;

pub(in crate::network::dhcp) const MAC: Mac = Mac([0, 0x16, 0x3e, 1, 2, 3]);

/// A server's message of these options; whatever is in `file` and `name` goes there.
pub(in crate::network::dhcp) fn reply(
    kind: u8,
    exchange: u32,
    address: Octets,
    options: &[(u8, &[u8])],
    file: &[(u8, &[u8])],
    name: &[(u8, &[u8])],
) -> List<u8> {
    let mut bytes = vec![0; OPTIONS];
    bytes[..4].copy_from_slice(&[2, 1, 6, 0]);
    bytes[4..8].copy_from_slice(&exchange.to_be_bytes());
    bytes[16..20].copy_from_slice(&address);
    bytes[28..34].copy_from_slice(&MAC.0);
    bytes[236..240].copy_from_slice(&COOKIE);
    let encoded = |options: &[(u8, &[u8])]| {
        let mut bytes = vec![];
        for (code, value) in options {
            bytes.extend_from_slice(&[*code, value.len() as u8]);
            bytes.extend_from_slice(value);
        }
        bytes.push(255);
        bytes
    };
    for (place, options) in [(108, file), (44, name)] {
        let text = encoded(options);
        bytes[place..place + text.len()].copy_from_slice(&text);
    }
    bytes.extend_from_slice(&encoded(&[&[(53, &[kind][..])], options].concat()));
    bytes
}

fn ack(options: &[(u8, &[u8])]) -> List<u8> {
    reply(5, 7, [10, 0, 0, 5], options, &[], &[])
}

fn configured(bytes: &[u8]) -> (Interface, bool) {
    let mut interface = Interface::new(MAC);
    interface.vif = Some(3);
    let whole = Reply::of(bytes, MAC, 7).unwrap().configure(&mut interface);
    (interface, whole)
}

fn routes(interface: &Interface) -> List<String> {
    interface.routes.iter().map(|route| route.to_string()).collect()
}

use std::string::String;

#[test]
fn a_request_has_the_bytes_of_rfc_2131() {
    let request = Request {
        kind: RequestKind::Request,
        exchange: 0x0102_0304,
        seconds: 9,
        mac: MAC,
        used: None,
        wanted: Some([10, 0, 0, 5]),
        server: Some([10, 0, 0, 1]),
        name: "web01",
    };
    let bytes = request.write();
    assert_eq!(bytes[..12], [1, 1, 6, 0, 1, 2, 3, 4, 0, 9, 0, 0]);
    assert_eq!((&bytes[12..16], &bytes[28..34]), (&[0; 4][..], &MAC.0[..]));
    let options = [
        &[99, 130, 83, 99, 53, 1, 3][..],
        &[61, 15, 255, 0x3e, 1, 2, 3, 0, 3, 0, 1, 0, 0x16, 0x3e, 1, 2, 3],
        &[50, 4, 10, 0, 0, 5, 54, 4, 10, 0, 0, 1, 57, 2, 0x05, 0xdc],
        &[55, 11, 1, 121, 3, 6, 12, 15, 26, 28, 51, 58, 59],
        b"\x0c\x05web01\xff",
    ]
    .concat();
    assert_eq!(bytes[236..236 + options.len()], options);
    assert_eq!(bytes.len(), REQUEST_MIN);
    assert!(bytes[236 + options.len()..].iter().all(|byte| *byte == 0));
    // The longest name fits, and a longer one is none; nobody is asked for anything with what is declined.
    let name = "a".repeat(64);
    let long = Request { used: Some([10, 0, 0, 5]), name: &name, ..request };
    let bytes = long.write();
    assert!(bytes.ends_with(b"aaa\xff") && bytes.len() < REQUEST_MAX && bytes[12..16] == [10, 0, 0, 5]);
    let name = "a".repeat(65);
    assert!(!Request { name: &name, ..request }.write().windows(3).any(|three| three == b"aaa"));
    let decline = Request { kind: RequestKind::Decline, ..request }.write();
    assert!(decline[236..].windows(2).all(|two| two != [55, 11]) && decline[242] == 4);
}

#[test]
fn a_reply_is_read_only_if_it_is_for_us() {
    let bytes = ack(&[]);
    let kind = |bytes: &[u8]| Reply::of(bytes, MAC, 7).map(|reply| reply.kind);
    assert_eq!(kind(&bytes), Some(ReplyKind::Ack));
    assert_eq!(kind(&reply(2, 7, [0; 4], &[], &[], &[])), Some(ReplyKind::Offer));
    assert_eq!(kind(&reply(6, 7, [0; 4], &[], &[], &[])), Some(ReplyKind::Nak));
    assert_eq!(kind(&reply(1, 7, [0; 4], &[], &[], &[])), None);
    for place in [0, 1, 2, 7, 28, 33, 236, 239] {
        let mut other = bytes.clone();
        other[place] ^= 1;
        assert_eq!(kind(&other), None, "{place}");
    }
    for len in 0..bytes.len() - 1 {
        assert_eq!(kind(&bytes[..len]), None, "{len}");
    }
    for (len, kind_of_it) in [(MESSAGE_MAX, Some(ReplyKind::Ack)), (MESSAGE_MAX + 1, None)] {
        let mut long = bytes.clone();
        long.resize(len, 0);
        assert_eq!(kind(&long), kind_of_it, "{len}");
    }
    // Without an end, as some send it.
    assert!(kind(&bytes[..bytes.len() - 1]).is_some());
}

#[test]
fn what_a_server_usually_says() {
    let (interface, whole) = configured(&ack(&[
        (1, &[255, 255, 255, 0]),
        (3, &[10, 0, 0, 1, 10, 0, 0, 2]),
        (6, &[10, 0, 0, 53, 9, 9, 9, 9, 10, 0, 0, 53]),
        (26, &[0x05, 0x78]),
        (28, &[10, 0, 0, 200]),
    ]));
    assert!(whole);
    assert_eq!(interface.addresses[0].to_string(), "10.0.0.5/24");
    assert_eq!(routes(&interface), ["0.0.0.0/0 via 10.0.0.1"]);
    assert_eq!(interface.dns.iter().map(|ip| ip.to_string()).collect::<List<_>>(), ["10.0.0.53", "9.9.9.9"]);
    assert_eq!((interface.mtu, interface.vif), (Some(1400), Some(3)));
    assert_eq!(interface.broadcast_of(&interface.addresses[0]).unwrap().to_string(), "10.0.0.200");
    assert!(interface.speaks_of(Family::V4) && !interface.speaks_of(Family::V6));
}

#[test]
fn classless_routes_stand_for_the_routers() {
    let value = [24, 192, 168, 7, 10, 0, 0, 9, 0, 10, 0, 0, 8, 12, 172, 31, 0, 0, 0, 0, 32, 1, 2, 3, 4, 10, 0, 0, 9];
    let (interface, whole) = configured(&ack(&[(3, &[10, 0, 0, 1]), (121, &value)]));
    assert!(whole);
    let expected =
        ["192.168.7.0/24 via 10.0.0.9", "172.16.0.0/12", "1.2.3.4/32 via 10.0.0.9", "0.0.0.0/0 via 10.0.0.8"];
    assert_eq!(routes(&interface), expected);
    // Bits behind the prefix are nobody's.
    let (interface, _) = configured(&ack(&[(121, &[20, 172, 16, 255, 10, 0, 0, 9])]));
    assert_eq!(routes(&interface), ["172.16.240.0/20 via 10.0.0.9"]);
    // Without one to everything there is none.
    let (interface, _) = configured(&ack(&[(3, &[10, 0, 0, 1]), (121, &value[..8])]));
    assert_eq!(routes(&interface), ["192.168.7.0/24 via 10.0.0.9"]);
    // Those that make no sense do not count, and nothing of them does.
    for bad in [&value[..11], &[33, 1, 2, 3, 4, 5, 10, 0, 0, 9], &[255], &[]] {
        let (interface, _) = configured(&ack(&[(3, &[10, 0, 0, 1]), (121, bad)]));
        assert_eq!(routes(&interface), ["0.0.0.0/0 via 10.0.0.1"], "{bad:?}");
    }
}

#[test]
fn an_option_comes_in_parts_and_goes_on_in_other_fields() {
    let many: List<u8> = (0..40).flat_map(|n| [24, 172, 16, n, 10, 0, 0, 9]).collect();
    let (first, rest) = many.split_at(255);
    let (interface, whole) = configured(&ack(&[(121, first), (121, rest)]));
    assert!(whole);
    assert_eq!((interface.routes.len(), routes(&interface)[39].as_str()), (40, "172.16.39.0/24 via 10.0.0.9"));

    let file: [(u8, &[u8]); 2] = [(3, &[10, 0, 0, 1]), (6, &[10, 0, 0, 53])];
    let name: [(u8, &[u8]); 1] = [(6, &[9, 9, 9, 9])];
    for (overload, routers, servers) in [(0, 0, 0), (1, 1, 1), (2, 0, 1), (3, 1, 2)] {
        let bytes = reply(5, 7, [10, 0, 0, 5], &[(52, &[overload])], &file, &name);
        let (interface, _) = configured(&bytes);
        assert_eq!((interface.routes.len(), interface.dns.len()), (routers, servers), "{overload}");
    }
}

#[test]
fn what_has_no_room_is_told() {
    let many: List<u8> = (0..70).flat_map(|n| [16, 172, n, 10, 0, 0, 9]).collect();
    let (interface, whole) = configured(&ack(&[(121, &many[..252]), (121, &many[252..])]));
    assert_eq!((interface.routes.len(), whole), (64, false));
    let servers: List<u8> = (1..=17).flat_map(|n| [9, 9, 9, n]).collect();
    let (interface, whole) = configured(&ack(&[(6, &servers)]));
    assert_eq!((interface.dns.len(), whole), (16, false));
    // Longer than any that makes sense: as if it were not there.
    let (interface, whole) =
        configured(&ack(&[(121, &[24; 255]), (121, &[24; 255]), (121, &[24; 255]), (3, &[10, 0, 0, 1])]));
    assert_eq!((routes(&interface), whole), (vec!["0.0.0.0/0 via 10.0.0.1".to_owned()], true));
}

#[test]
fn what_makes_no_sense_is_passed_over() {
    for (address, mask, network) in [
        ([10, 0, 0, 5], &[255, 255, 0, 0][..], "10.0.0.5/16"),
        ([10, 0, 0, 5], &[255, 255, 255, 255], "10.0.0.5/32"),
        ([10, 0, 0, 5], &[255, 0, 255, 0], "10.0.0.5/8"),
        ([172, 16, 0, 5], &[0; 4], "172.16.0.5/16"),
        ([192, 168, 0, 5], &[255, 255, 255], "192.168.0.5/24"),
    ] {
        let (interface, _) = configured(&reply(5, 7, address, &[(1, mask)], &[], &[]));
        assert_eq!(interface.addresses[0].to_string(), network);
    }
    for address in [[0; 4], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
        let bytes = reply(5, 7, address, &[(54, &address)], &[], &[]);
        let reply = Reply::of(&bytes, MAC, 7).unwrap();
        assert_eq!((reply.address(), reply.server()), (None, None));
        assert!(configured(&bytes).0.addresses.is_empty());
    }
    let (interface, whole) =
        configured(&ack(&[(3, &[0; 4]), (6, &[255; 4]), (26, &[0, 67]), (28, &[1, 2]), (26, &[5])]));
    assert!(whole && interface.routes.is_empty() && interface.dns.is_empty());
    assert_eq!((interface.mtu, interface.broadcast), (None, None));
}

#[test]
fn times_are_those_of_the_server_or_the_usual_parts() {
    let times = |options: &[(u8, &[u8])]| {
        let times = Reply::of(&ack(options), MAC, 7).unwrap().times();
        (times.renewal, times.rebinding, times.end)
    };
    let seconds = u32::to_be_bytes;
    assert_eq!(times(&[]), (1800, 3150, 3600));
    assert_eq!(times(&[(51, &seconds(0))]), (1800, 3150, 3600));
    assert_eq!(times(&[(51, &seconds(120))]), (60, 105, 120));
    assert_eq!(times(&[(51, &seconds(120)), (58, &seconds(10)), (59, &seconds(20))]), (10, 20, 120));
    assert_eq!(times(&[(51, &seconds(120)), (58, &seconds(30)), (59, &seconds(20))]), (20, 20, 120));
    assert_eq!(times(&[(51, &seconds(120)), (59, &seconds(500))]), (60, 105, 120));
    assert_eq!(times(&[(51, &seconds(120)), (58, &seconds(0)), (59, &seconds(0))]), (60, 105, 120));
    assert_eq!(times(&[(51, &seconds(120)), (58, &seconds(0)), (59, &seconds(120))]), (60, 105, 120));
    assert_eq!(times(&[(51, &seconds(FOR_EVER))]).2, FOR_EVER);
}

#[test]
fn names_are_names() {
    let names = |host: &[u8], domain: &[u8]| {
        let bytes = ack(&[(12, host), (15, domain)]);
        let reply = Reply::of(&bytes, MAC, 7).unwrap();
        (reply.host_name().map(|name| name.to_string()), reply.domain().map(|name| name.to_string()))
    };
    assert_eq!(names(b"web01\0", b"example.org"), (Some("web01".to_owned()), Some("example.org".to_owned())));
    assert_eq!(names(b"$(reboot)", b"a\nnameserver 6.6.6.6"), (None, None));
    assert_eq!(names(b"", b"\0"), (None, None));
}

proptest::proptest! {
    #[test]
    fn bytes_of_any_kind_are_read_to_their_end(
        options in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600),
        overload in 0..4_u8,
    ) {
        let mut bytes = reply(5, 7, [10, 0, 0, 5], &[(52, &[overload])], &[], &[]);
        bytes.pop();
        bytes.extend_from_slice(&options);
        let (file, rest) = options.split_at(options.len().min(128));
        bytes[108..108 + file.len()].copy_from_slice(file);
        bytes[44..44 + rest.len().min(64)].copy_from_slice(&rest[..rest.len().min(64)]);
        if let Some(reply) = Reply::of(&bytes, MAC, 7) {
            let times = reply.times();
            assert!(times.renewal <= times.rebinding && times.rebinding <= times.end);
            let _ = (reply.host_name(), reply.domain(), reply.server());
            let mut interface = Interface::new(MAC);
            reply.configure(&mut interface);
            assert_eq!(interface.addresses.len(), 1);
        }
    }
}
