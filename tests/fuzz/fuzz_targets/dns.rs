//! A name server's packet, and lines of hosts and resolv.conf: an answer is only taken with its question in it, and has
//! no more addresses than it has room for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::update::dns::{addresses, in_hosts, name_server, query};
use nanova_core::wire::net::{Family, Ip};

fuzz_target!(|input: &[u8]| {
    let [choice, rest @ ..] = input else { return };
    let family = if choice & 1 == 0 { Family::V4 } else { Family::V6 };
    let question = query([7, 9], "example.org", family).expect("a name");
    // The answer to this question, whatever follows; or any bytes.
    let mut packet = question.to_vec();
    if choice & 2 == 0 {
        packet[2] = 0x80;
        packet[7] = *choice;
        packet.extend_from_slice(rest);
    } else {
        packet = rest.to_vec();
    }
    let mut found = Vec::new();
    let taken = addresses(&packet, &question, family, &mut |ip| found.push(ip));
    assert!(taken.is_some() || found.is_empty());
    assert!(found.iter().all(|ip| ip.family() == family) && found.len() * 15 <= packet.len());
    if choice & 2 == 0 {
        packet[1] ^= 1;
        assert_eq!(addresses(&packet, &question, family, &mut |_| panic!("another answer")), None);
    }
    let Ok(text) = std::str::from_utf8(rest) else { return };
    for line in text.lines() {
        if let Some(ip) = in_hosts(line, "example.org") {
            assert!(line.to_ascii_lowercase().contains("example.org") && ip.to_string().parse::<Ip>() == Ok(ip));
        }
        assert!(name_server(line).is_none() || line.trim_start().starts_with("nameserver"));
        if let Some(query) = query([0, 0], line, family) {
            assert!(query.len() <= line.len() + 18 && line.len() <= 300);
        }
    }
});
