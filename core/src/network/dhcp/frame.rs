//! What a message travels in before there is an address: the headers of IPv4 (RFC 791) and UDP (RFC 768), behind those
//! of Ethernet, which are the kernel's. And ARP, which tells whether an address is somebody else's (RFC 826, RFC 5227).
//!
//! Checksums are written and not looked at: a packet that never was on a cable, as one from the host of this guest, may
//! have none yet. The exchange's number and the hardware address are what a message is known by.

use heapless::Vec;

use super::Octets;
use super::message::REQUEST_MAX;
use crate::wire::net::Mac;

/// Bytes of both headers.
const HEADERS: usize = 28;
/// Longest packet that is sent.
pub const PACKET_MAX: usize = HEADERS + REQUEST_MAX;
/// `IPPROTO_UDP`
const UDP: u8 = 17;
/// The ports of a server and of a client.
const PORTS: [u8; 4] = [0, 67, 0, 68];
/// To all on the link.
const EVERYBODY: Octets = [255; 4];

/// A client's message to everybody, from this address.
#[inline(never)]
pub fn broadcast(from: Octets, message: &[u8]) -> Vec<u8, PACKET_MAX> {
    let mut packet = Vec::new();
    let [high, low] = ((HEADERS + message.len()) as u16).to_be_bytes();
    // Version 4, five words of header; not in fragments; 64 hops.
    let mut header = [0x45, 0, high, low, 0, 0, 0x40, 0, 64, UDP, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
    header[12..16].copy_from_slice(&from);
    let sum = !folded(sum(0, &header));
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    let [high, low] = ((8 + message.len()) as u16).to_be_bytes();
    let mut udp = [0, 68, 0, 67, high, low, 0, 0];
    let pseudo = sum_of(&[&from, &EVERYBODY, &[0, UDP, high, low], &udp, message]);
    // Zero would mean that there is none.
    let sum = if pseudo == u16::MAX { pseudo } else { !pseudo };
    udp[6..].copy_from_slice(&sum.to_be_bytes());
    let _ = packet.extend_from_slice(&header);
    let _ = packet.extend_from_slice(&udp);
    let _ = packet.extend_from_slice(message);
    packet
}

fn sum_of(parts: &[&[u8]]) -> u16 {
    folded(parts.iter().fold(0, |total, part| sum(total, part)))
}

/// Adds words of 16 bits; what comes behind a part of odd length must be nothing.
fn sum(total: u32, bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    words.fold(total, u32::wrapping_add)
}

fn folded(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    (once + (once >> 16)) as u16
}

/// The message in a packet of a server's; `None` if it is another packet, or a part of one.
pub fn message_in(packet: &[u8]) -> Option<&[u8]> {
    let [first, _, high, low, _, _, fragment_high, fragment_low, _, protocol, ..] = *packet else { return None };
    let header = usize::from(first & 15) * 4;
    let whole = packet.get(..usize::from(u16::from_be_bytes([high, low])))?;
    let is_whole = u16::from_be_bytes([fragment_high, fragment_low]) & 0x3fff == 0;
    let udp = whole.get(header..).filter(|_| first >> 4 == 4 && header >= 20 && protocol == UDP && is_whole)?;
    let (head, _) = udp.split_first_chunk::<8>()?;
    let len = usize::from(u16::from_be_bytes([head[4], head[5]]));
    udp.get(8..len).filter(|_| head[..4] == PORTS)
}

/// Asks who has an address, without a word of having it oneself.
pub fn probe(mac: Mac, address: Octets) -> [u8; 28] {
    question(mac, [0; 4], address)
}

/// Says that one has an address oneself, in the form of a question for it (RFC 5227, 2.3).
pub fn announcement(mac: Mac, address: Octets) -> [u8; 28] {
    question(mac, address, address)
}

fn question(mac: Mac, from: Octets, address: Octets) -> [u8; 28] {
    let [a, b, c, d, e, f] = mac.0;
    let [s, t, u, v] = from;
    let [w, x, y, z] = address;
    // Ethernet, IPv4, six and four bytes, a question.
    [0, 1, 8, 0, 6, 4, 0, 1, a, b, c, d, e, f, s, t, u, v, 0, 0, 0, 0, 0, 0, w, x, y, z]
}

/// Who sends an ARP packet.
pub fn sender(packet: &[u8]) -> Option<Mac> {
    Some(Mac(packet.get(8..14)?.try_into().ok()?))
}

/// Whether an ARP packet says that somebody else has this address, or is about to take it (RFC 5227, 2.1.1).
pub fn disputes(packet: &[u8], mac: Mac, address: Octets) -> bool {
    let Some(packet) = packet.get(..28).filter(|packet| packet[..7] == [0, 1, 8, 0, 6, 4, 0]) else { return false };
    let (sender, has, asks) = (&packet[8..14], &packet[14..18], &packet[24..28]);
    let is_probe = packet[7] == 1 && has == [0; 4];
    sender != mac.0 && (has == address || is_probe && asks == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([0, 0x16, 0x3e, 1, 2, 3]);

    /// A server's packet around a message.
    fn packet(message: &[u8]) -> std::vec::Vec<u8> {
        let mut packet = broadcast([10, 0, 0, 1], message).to_vec();
        packet[20..24].copy_from_slice(&PORTS);
        packet
    }

    #[test]
    fn the_headers_are_those_that_a_kernel_would_send() {
        let packet = broadcast([0; 4], b"abc");
        let header = [0x45, 0, 0, 31, 0, 0, 0x40, 0, 64, 17, 0x3a, 0xcf, 0, 0, 0, 0, 255, 255, 255, 255];
        assert_eq!(packet[..20], header);
        assert_eq!(packet[20..28], [0, 68, 0, 67, 0, 11, 0x3a, 0xef]);
        assert_eq!(&packet[28..], b"abc");
        // With its checksum in it, a whole sums up to all ones.
        assert_eq!(sum_of(&[&packet[..20]]), 0xffff);
        let pseudo = [255, 255, 255, 255, 0, 17, 0, 11];
        assert_eq!(sum_of(&[&pseudo, &packet[20..]]), 0xffff);
    }

    #[test]
    fn a_message_is_taken_out_of_its_packet_and_of_nothing_else() {
        let good = packet(b"message");
        assert_eq!(message_in(&good), Some(&b"message"[..]));
        let mut padded = good.clone();
        padded.extend_from_slice(&[0; 20]);
        assert_eq!(message_in(&padded), Some(&b"message"[..]));
        for len in 0..good.len() {
            assert_eq!(message_in(&good[..len]), None, "{len}");
        }
        // Another version, a header that is too short or too long, a fragment, TCP, other ports, a wrong length.
        for (place, value) in [(0, 0x65), (0, 0x44), (0, 0x4f), (6, 0x20), (7, 1), (9, 6), (21, 68), (23, 67), (25, 7)]
        {
            let mut bad = good.clone();
            bad[place] = value;
            assert_eq!(message_in(&bad), None, "{place}");
        }
        // That it may not be taken apart is no part.
        let mut whole = good.clone();
        whole[6] = 0x40;
        assert!(message_in(&whole).is_some());
        // Options in front of UDP.
        let mut options = good.clone();
        options[0] = 0x46;
        options[3] += 4;
        options.splice(20..20, [1, 1, 1, 0]);
        assert_eq!(message_in(&options), Some(&b"message"[..]));
    }

    #[test]
    fn an_address_is_somebody_elses_if_he_says_so_or_asks_as_we_do() {
        let (ours, other) = ([10, 0, 0, 5], [10, 0, 0, 6]);
        let theirs = Mac([0, 0x16, 0x3e, 9, 9, 9]);
        assert!(disputes(&probe(theirs, ours), MAC, ours) && disputes(&announcement(theirs, ours), MAC, ours));
        assert!(!disputes(&probe(theirs, other), MAC, ours) && !disputes(&probe(MAC, ours), MAC, ours));
        let mut answer = probe(theirs, [0; 4]);
        (answer[7], answer[17]) = (2, 5);
        answer[14..17].copy_from_slice(&[10, 0, 0]);
        assert!(disputes(&answer, MAC, ours) && !disputes(&answer, MAC, other));
        // Somebody who has another address looks for ours: he wants to speak to us.
        let mut question = answer;
        question[7] = 1;
        question[24..].copy_from_slice(&other);
        assert!(!disputes(&question, MAC, other));
        for (place, value) in [(1, 6), (2, 0), (4, 8), (6, 1)] {
            let mut bad = answer;
            bad[place] = value;
            assert!(!disputes(&bad, MAC, ours), "{place}");
        }
        assert!((0..28).all(|len| !disputes(&answer[..len], MAC, ours)));
    }
}
