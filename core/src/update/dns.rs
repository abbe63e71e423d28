//! The addresses of a name: hosts(5), resolv.conf(5), and one question to a name server (RFC 1035).
//!
//! A stub that asks and believes: what an address leads to is checked by its sum. An answer is only taken with the
//! number of its question, and with that question in it (RFC 5452, 9.1).

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

/// Bytes of a packet before its question.
const HEADER: usize = 12;

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

/// Calls `each` with the addresses of a family in the answer to this question. None if the packet answers another
/// one, or is no answer.
pub fn addresses(packet: &[u8], question: &[u8], family: Family, each: &mut dyn FnMut(Ip)) -> Option<()> {
    // An answer (QR) of that number; and an answer without an error (RCODE) repeats the question, in whatever case.
    let (number, asked) = (question.first_chunk::<2>()?, question.get(HEADER..)?);
    let flags = u16::from_be_bytes(*packet.get(2..)?.first_chunk()?);
    if packet.first_chunk() != Some(number) || flags & 0x8000 == 0 {
        return None;
    }
    if flags & 0x000f != 0 {
        return Some(());
    }
    let behind = HEADER + asked.len();
    if !packet.get(HEADER..behind)?.eq_ignore_ascii_case(asked) {
        return None;
    }
    // What is cut or damaged ends the list.
    let _ = records(packet, behind, family, each);
    Some(())
}

/// The addresses in an answer's records, which begin at `at`.
fn records(packet: &[u8], mut at: usize, family: Family, each: &mut dyn FnMut(Ip)) -> Option<()> {
    let number = |at: usize| packet.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
    for _ in 0..number(6)? {
        at = behind_name(packet, at)?;
        let (kind, len) = (number(at)?, usize::from(number(at + 8)?));
        at += 10;
        if (kind, len) == (record_type(family).into(), family.octets()) {
            each(Ip::from_octets(packet.get(at..at + len)?)?);
        }
        at += len;
    }
    Some(())
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

    /// The addresses in an answer; nothing if it is not this question's.
    fn answered(packet: &[u8], question: &[u8], family: Family) -> Option<std::vec::Vec<Ip>> {
        let mut found = std::vec::Vec::new();
        addresses(packet, question, family, &mut |ip| found.push(ip)).map(|()| found)
    }

    fn ips(texts: &[&str]) -> Option<std::vec::Vec<Ip>> {
        Some(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

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
        assert_eq!(answered(&answer, &question, Family::V4), ips(&["192.0.2.7"]));
        let six = query([0x12, 0x34], "www.example.org", Family::V6).unwrap();
        let other_number = query([0x12, 0x35], "www.example.org", Family::V4).unwrap();
        let other_name = query([0x12, 0x34], "wwx.example.org", Family::V4).unwrap();
        for other in [&six, &other_number, &other_name] {
            assert_eq!(answered(&answer, other, Family::V4), None, "{other:?}");
        }
        // The name comes back as the server likes to write it.
        answer[13] = b'W';
        assert_eq!(answered(&answer, &question, Family::V4), ips(&["192.0.2.7"]));
        answer[3] = 0x83;
        assert_eq!(answered(&answer, &question, Family::V4), ips(&[]), "NXDOMAIN");
        for bad in ["", ".", "a..b", &"a".repeat(64), &"a.".repeat(200)] {
            assert_eq!(query([0, 0], bad, Family::V4), None, "{bad}");
        }
    }

    #[test]
    fn addresses_of_the_family_that_is_asked_for_are_found_among_any_records() {
        let questions = Family::BOTH.map(|family| query([9, 9], "a", family).unwrap());
        // An answer with these records: name, kind, value.
        let answer = |question: &[u8], records: &[(&[u8], u8, &[u8])]| {
            let mut packet = question.to_vec();
            (packet[2], packet[7]) = (0x81, records.len() as u8);
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
        let (one, two): (&[u8], &[u8]) = (&[192, 0, 2, 7], &[192, 0, 2, 8]);
        let records = [(long, 28, &six[..]), (pointer, 16, b"text"), (root, 1, one), (root, 1, two)];
        for (question, family, found) in [
            (&questions[0], Family::V4, &["192.0.2.7", "192.0.2.8"][..]),
            (&questions[1], Family::V6, &["2001:db8::7"]),
        ] {
            assert_eq!(answered(&answer(question, &records), question, family), ips(found));
        }
        // What is damaged ends the list.
        let question = &questions[0];
        let whole = answer(question, &records);
        assert_eq!(answered(&whole[..whole.len() - 1], question, Family::V4), ips(&["192.0.2.7"]));
        for records in [&[(root, 1, &six[..])], &[(root, 28, one)], &[(b"\x40", 1, one)], &[][..]] {
            assert_eq!(answered(&answer(question, records), question, Family::V4), ips(&[]), "{records:?}");
        }
        // A question that is none, another number, another question; and a refusal.
        for (at, byte, none) in [(2, 1, true), (0, 8, true), (1, 8, true), (13, b'b', true), (3, 5, false)] {
            let mut packet = whole.clone();
            packet[at] = byte;
            assert_eq!(answered(&packet, question, Family::V4).is_none(), none, "{at}");
        }
        let question = query([1, 2], "a.", Family::V6).unwrap();
        assert_eq!(question, [1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 28, 0, 1]);
        assert!(query([1, 2], &"a".repeat(63), Family::V4).is_some());
    }

    proptest! {
        #[test]
        fn any_packet_ends(mut packet in prop::collection::vec(any::<u8>(), 0..200), plausible in any::<bool>()) {
            let question = query([0, 0], "a", Family::V4).unwrap();
            if plausible && packet.len() > question.len() {
                packet[..question.len()].copy_from_slice(&question);
                packet[2] = 0x81;
            }
            let _ = answered(&packet, &question, Family::V4);
        }
    }
}
