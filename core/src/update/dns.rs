//! The address of a name: hosts(5), resolv.conf(5), and one question to a name server (RFC 1035).
//!
//! A stub that asks and believes: what an address leads to is checked by its sum. An answer is only taken with the
//! number of its question.

use core::str::FromStr;

use heapless::Vec;

use crate::wire::net::{Family, Ip};

/// The address that a line of /etc/hosts gives a name.
pub fn in_hosts(line: &str, name: &str) -> Option<Ip> {
    let mut words = line.split('#').next()?.split_ascii_whitespace();
    let ip = Ip::from_str(words.next()?).ok()?;
    words.any(|word| word.eq_ignore_ascii_case(name)).then_some(ip)
}

/// The name server that a line of /etc/resolv.conf names.
pub fn name_server(line: &str) -> Option<Ip> {
    let mut words = line.split_ascii_whitespace();
    (words.next() == Some("nameserver")).then(|| Ip::from_str(words.next()?).ok())?
}

/// A (RFC 1035, 3.2.2) or AAAA (RFC 3596, 2.1).
fn record_type(family: Family) -> u8 {
    match family {
        Family::V4 => 1,
        Family::V6 => 28,
    }
}

/// A question for the addresses of a name in one family.
pub fn query(id: [u8; 2], name: &str, family: Family) -> Option<Vec<u8, 300>> {
    let mut packet = Vec::new();
    // One question, recursion wanted.
    packet.extend_from_slice(&[id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        let len = u8::try_from(label.len()).ok().filter(|len| (1..64).contains(len))?;
        packet.push(len).ok()?;
        packet.extend_from_slice(label.as_bytes()).ok()?;
    }
    packet.extend_from_slice(&[0, 0, record_type(family), 0, 1]).ok()?;
    Some(packet)
}

/// The first address of a family in the answer to the question of this number.
pub fn address(packet: &[u8], id: [u8; 2], family: Family) -> Option<Ip> {
    let number = |at: usize| packet.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
    // An answer (QR), without an error (RCODE).
    if packet.first_chunk() != Some(&id) || number(2)? & 0x800f != 0x8000 {
        return None;
    }
    let mut at = 12;
    for _ in 0..number(4)? {
        at = behind_name(packet, at)? + 4;
    }
    for _ in 0..number(6)? {
        at = behind_name(packet, at)?;
        let (kind, len) = (number(at)?, usize::from(number(at + 8)?));
        at += 10;
        if (kind, len) == (record_type(family).into(), family.octets()) {
            return Ip::from_octets(packet.get(at..at + len)?);
        }
        at += len;
    }
    None
}

/// Where a name ends that begins at `at`: with an empty label, or a pointer to the rest of it.
fn behind_name(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *packet.get(at)? {
            0 => return Some(at + 1),
            len @ 1..64 => at += 1 + usize::from(len),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, proptest};

    #[test]
    fn lines_of_hosts_and_resolv_conf() {
        let ip = |text: &str| Some(text.parse::<Ip>().unwrap());
        assert_eq!(in_hosts("192.0.2.1\tweb.example.org Web # here", "web"), ip("192.0.2.1"));
        assert_eq!(in_hosts("192.0.2.1 other # web", "web"), None);
        assert_eq!(name_server("nameserver 2001:db8::53 "), ip("2001:db8::53"));
        assert_eq!(
            (name_server("search example.org"), name_server("# nameserver 192.0.2.1"), name_server("nameserver x")),
            (None, None, None)
        );
    }

    #[test]
    fn a_question_and_an_answer_with_an_alias() {
        let question = query([0x12, 0x34], "www.example.org", Family::V4).unwrap();
        let mut expected = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3];
        expected.extend(b"www\x07example\x03org\x00\x00\x01\x00\x01");
        assert_eq!(question.as_slice(), expected);
        let mut answer = expected.clone();
        answer[2..4].copy_from_slice(&[0x81, 0x80]);
        answer[7] = 2;
        // www is an alias of a, whose address follows.
        answer.extend(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01a\xc0\x10");
        answer.extend(b"\xc0\x2d\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07");
        assert_eq!(address(&answer, [0x12, 0x34], Family::V4), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(
            (address(&answer, [0x12, 0x35], Family::V4), address(&answer, [0x12, 0x34], Family::V6)),
            (None, None)
        );
        answer[3] = 0x83;
        assert_eq!(address(&answer, [0x12, 0x34], Family::V4), None, "NXDOMAIN");
        for bad in ["", ".", "a..b", &"a".repeat(64), &"a.".repeat(200)] {
            assert_eq!(query([0, 0], bad, Family::V4), None, "{bad}");
        }
    }

    #[test]
    fn the_address_that_is_asked_for_is_found_behind_any_others() {
        // An answer to no question, with these records: name, kind, value.
        let answer = |records: &[(&[u8], u8, &[u8])]| {
            let mut packet = vec![9, 9, 0x80, 0, 0, 0, 0, records.len() as u8, 0, 0, 0, 0];
            for (name, kind, value) in records {
                packet.extend(*name);
                packet.extend([0, *kind, 0, 1, 0, 0, 0, 60, 0, value.len() as u8]);
                packet.extend(*value);
            }
            packet
        };
        let six = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        let (root, long, pointer): (&[u8], &[u8], &[u8]) =
            (b"\0", &[&[63][..], &[b'x'; 63], b"\0"].concat(), b"\xff\0");
        let both = answer(&[(long, 28, &six), (pointer, 16, b"text"), (root, 1, &[192, 0, 2, 7]), (root, 1, &[0; 4])]);
        assert_eq!(address(&both, [9, 9], Family::V4), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(address(&both, [9, 9], Family::V6), Some("2001:db8::7".parse().unwrap()));
        for bad in [
            answer(&[(root, 1, &six)]),
            answer(&[(root, 28, &[192, 0, 2, 7])]),
            answer(&[(b"\x40", 1, &[192, 0, 2, 7])]),
            answer(&[]),
            both[..both.len() - 20].to_vec(),
        ] {
            assert_eq!(address(&bad, [9, 9], Family::V4), None, "{bad:?}");
        }
        // A question that is none, a refusal, and another one's.
        for (at, byte) in [(2, 0), (3, 5), (0, 8), (1, 8)] {
            let mut packet = both.clone();
            packet[at] = byte;
            assert_eq!(address(&packet, [9, 9], Family::V4), None, "{at}");
        }
        let question = query([1, 2], "a.", Family::V6).unwrap();
        assert_eq!(question, [1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 28, 0, 1]);
        assert!(query([1, 2], &"a".repeat(63), Family::V4).is_some());
    }

    proptest! {
        #[test]
        fn any_packet_ends(mut packet in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(head) = packet.get_mut(..8) {
                head[..4].copy_from_slice(&[0, 0, 0x80, 0]);
            }
            let _ = address(&packet, [0, 0], Family::V4);
        }
    }
}
