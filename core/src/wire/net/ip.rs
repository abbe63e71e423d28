//! IP addresses of both families as one number: small, and enough for what a guest is given.
//!
//! `core::net` does the same and more, for five kilobytes of the binary; it is the judge of this file's tests.

use crate::wire::text::{digits, number};
use core::fmt;
use core::str::FromStr;

/// One of the two families of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both, the older one first.
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    /// How many bytes its addresses have.
    pub const fn octets(self) -> usize {
        match self {
            Family::V4 => 4,
            Family::V6 => 16,
        }
    }

    /// How many bits its addresses have: the longest prefix.
    pub const fn bits(self) -> u8 {
        self.octets() as u8 * 8
    }
}

/// An address. IPv4 or IPv6, never one inside of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ip {
    /// The address's first byte is the first one; behind an IPv4 address there are zeros. Bytes, so that lists of
    /// addresses have no gaps.
    bytes: [u8; 16],
    family: Family,
}

/// Not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnIp;

impl Ip {
    /// Its family.
    pub fn family(self) -> Family {
        self.family
    }

    /// Its bits, the first in front.
    pub fn bits(self) -> u128 {
        u128::from_be_bytes(self.bytes)
    }

    /// The address with these bits, the first in front; what an IPv4 address has no room for goes.
    fn of(bits: u128, family: Family) -> Ip {
        let bits = match family {
            Family::V4 => bits >> 96 << 96,
            Family::V6 => bits,
        };
        Ip { bytes: bits.to_be_bytes(), family }
    }

    /// The address of the same family with these bits, the first in front; what an IPv4 address has no room for goes.
    pub fn like(self, bits: u128) -> Ip {
        Ip::of(bits, self.family)
    }

    /// The address that the kernel shows as four or sixteen bytes.
    pub fn from_octets(octets: &[u8]) -> Option<Ip> {
        let family = Family::BOTH.into_iter().find(|family| family.octets() == octets.len())?;
        let mut bytes = [0; 16];
        bytes.get_mut(..octets.len())?.copy_from_slice(octets);
        Some(Ip { bytes, family })
    }

    /// Its bytes: four or sixteen of them count.
    pub fn octets(self) -> ([u8; 16], usize) {
        (self.bytes, self.family.octets())
    }

    /// The address that is none: `0.0.0.0`, `::`.
    pub const fn unspecified(family: Family) -> Ip {
        Ip { bytes: [0; 16], family }
    }

    /// `0.0.0.0`, `::`
    pub fn is_unspecified(self) -> bool {
        self.bits() == 0
    }

    /// `224.0.0.0/4`, `ff00::/8`
    pub fn is_multicast(self) -> bool {
        match self.family {
            Family::V4 => self.bits() >> 124 == 0xe,
            Family::V6 => self.bits() >> 120 == 0xff,
        }
    }

    /// `127.0.0.0/8`, `::1`
    pub fn is_loopback(self) -> bool {
        match self.family {
            Family::V4 => self.bytes[0] == 127,
            Family::V6 => self.bits() == 1,
        }
    }

    /// `169.254.0.0/16`, `fe80::/10`
    pub fn is_link_local(self) -> bool {
        match self.family {
            Family::V4 => self.bytes[..2] == [169, 254],
            Family::V6 => self.is_ipv6_link_local(),
        }
    }

    /// `fe80::/10`
    pub fn is_ipv6_link_local(self) -> bool {
        self.family == Family::V6 && self.bits() >> 118 == 0xfe80 >> 6
    }
}

impl FromStr for Ip {
    type Err = NotAnIp;

    fn from_str(text: &str) -> Result<Ip, NotAnIp> {
        let parsed = match dotted(text) {
            Some(bits) => Some(Ip::of(u128::from(bits) << 96, Family::V4)),
            None => colons(text).map(|bits| Ip::of(bits, Family::V6)),
        };
        parsed.ok_or(NotAnIp)
    }
}

/// Four numbers to 255 without leading zeros, which some readers take for octal.
fn dotted(text: &str) -> Option<u32> {
    let (mut bits, mut count) = (0_u32, 0);
    for part in text.split('.') {
        let plain = part.len() == 1 || !part.starts_with('0');
        bits = bits << 8 | u32::from(number::<u8>(part).filter(|_| plain)?);
        count += 1;
    }
    (count == 4).then_some(bits)
}

/// Eight groups; a run of zeros may be left out once. The last two may be dotted (RFC 4291, 2.2).
fn colons(text: &str) -> Option<u128> {
    let gap = text.as_bytes().windows(2).position(|pair| pair == b"::");
    let Some(gap) = gap else {
        return groups(text).filter(|(_, count)| *count == 8).map(|(bits, _)| bits);
    };
    let (head, head_count) = groups(text.get(..gap)?)?;
    let (tail, tail_count) = groups(text.get(gap + 2..)?)?;
    let dots_in_front = text.get(..gap)?.contains('.');
    if head_count + tail_count > 7 || dots_in_front {
        return None;
    }
    Some(head.checked_shl(128 - 16 * head_count).unwrap_or(0) | tail)
}

/// Groups of up to four hexadecimal digits, and how many.
fn groups(text: &str) -> Option<(u128, u32)> {
    let (mut bits, mut count) = (0_u128, 0);
    if text.is_empty() {
        return Some((0, 0));
    }
    let mut parts = text.split(':').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none()
            && let Some(last) = dotted(part)
        {
            bits = bits << 32 | u128::from(last);
            count += 2;
        } else {
            bits = bits << 16 | u128::from(digits(part, 16).filter(|_| part.len() <= 4)?);
            count += 1;
        }
        if count > 8 {
            return None;
        }
    }
    Some((bits, count))
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.family == Family::V4 {
            let [a, b, c, d, ..] = self.bytes.map(u64::from);
            return write!(f, "{a}.{b}.{c}.{d}");
        }
        let group = |at: usize| (self.bits() >> (112 - 16 * at)) as u32 & 0xffff;
        // The first of the longest runs of zeros is left out, if it is longer than one (RFC 5952, 4.2).
        let run = |from: usize| (from..8).take_while(|at| group(*at) == 0).count();
        let (mut start, mut len) = (8, 1);
        for at in 0..8 {
            if run(at) > len {
                (start, len) = (at, run(at));
            }
        }
        let mut at = 0;
        while at < 8 {
            if at == start {
                f.write_str("::")?;
                at += len;
                continue;
            }
            let colon = if at == 0 || at == start + len { "" } else { ":" };
            write!(f, "{colon}{:x}", group(at))?;
            at += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn agrees(text: &str) {
        let (ours, theirs) = (text.parse::<Ip>(), text.parse::<IpAddr>());
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}");
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            let octets = match theirs {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            let (bytes, len) = ours.octets();
            assert_eq!(bytes[..len], octets, "{text}");
            assert_eq!(
                (ours.family() == Family::V4, ours.is_multicast(), ours.is_loopback(), ours.is_unspecified()),
                (theirs.is_ipv4(), theirs.is_multicast(), theirs.is_loopback(), theirs.is_unspecified()),
                "{text}"
            );
            assert_eq!(Ip::from_octets(&octets), Some(ours));
            let link_local = match theirs {
                IpAddr::V4(ip) => ip.is_link_local(),
                IpAddr::V6(ip) => ip.is_unicast_link_local(),
            };
            assert_eq!(ours.is_link_local(), link_local, "{text}");
            assert_eq!(ours.is_ipv6_link_local(), link_local && theirs.is_ipv6(), "{text}");
        }
    }

    #[test]
    fn the_standard_library_agrees_on_what_is_an_address() {
        let texts = [
            "1.2.3.4",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "128.0.0.1",
            "169.254.9.9",
            "169.253.0.1",
            "168.254.0.1",
            "ff00::",
            "feff::1",
            "::2",
            "1::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "1:2:3:4:5:6:7:1.2.3.4",
            "1:2:3:4:5:1.2.3.4",
            "::1:2:3:4:5:6:1.2.3.4",
            "::1:2:3:4:5:1.2.3.4",
            "1:2:3:4:5:6:7:8:9:a",
            "00001::",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "01.2.3.4",
            "1.2.3.",
            "",
            "+1.2.3.4",
            "::",
            "::1",
            "1::",
            "fe80::def",
            "2001:4800:7810:0512:e38a:a8b5:ff04:cfe5",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1::2::3",
            ":::",
            ":1",
            "1:",
            "12345::",
            "g::",
            "::ffff:1.2.3.4",
            "64:ff9b::1.2.3.4",
            "1.2.3.4::",
            "::1.2.3.4:5",
            "1:2:3:4:5:6:1.2.3.4",
            "ff02::1",
            "+1::",
            "1:2:3:4:5:6:7:8::",
            "::1:2:3:4:5:6:7:8",
            "fe80::1%eth0",
            " ::1",
            "1.2.3.4 ",
        ];
        texts.into_iter().for_each(agrees);
    }

    #[test]
    fn so_many_bytes_are_an_address_and_so_many_bits_are_its() {
        for len in [0, 1, 3, 5, 15, 17] {
            assert_eq!(Ip::from_octets(&vec![1; len]), None, "{len}");
        }
        assert_eq!((Family::V4.bits(), Family::V6.bits()), (32, 128));
        let four: Ip = "1.2.3.4".parse().unwrap();
        assert_eq!(four.like(u128::MAX).to_string(), "255.255.255.255");
        assert_eq!(four.like(u128::MAX), "255.255.255.255".parse().unwrap());
        assert_eq!(four.bits(), 0x0102_0304 << 96);
        assert_eq!(
            [Ip::unspecified(Family::V4), Ip::unspecified(Family::V6)].map(|ip| ip.to_string()),
            ["0.0.0.0", "::"]
        );
    }

    #[test]
    fn link_local_is_the_tenth_bit_in() {
        for (text, local) in [("fe80::1", true), ("febf::1", true), ("fec0::1", false), ("254.128.0.1", false)] {
            assert_eq!(text.parse::<Ip>().unwrap().is_ipv6_link_local(), local, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_what_the_standard_library_shows(
            bits in any::<u128>(),
            zeros in any::<u128>(),
            four in any::<u32>(),
        ) {
            // Addresses with runs of zeros, too; those that hold an IPv4 address are shown differently, and read the
            // same.
            let keep = (0..8).fold(0, |keep, at| keep | (if zeros >> at & 1 == 1 { 0xffff } else { 0 }) << (16 * at));
            for bits in [bits, bits & keep] {
                let theirs = Ipv6Addr::from(bits);
                let ours: Ip = theirs.to_string().parse().unwrap();
                prop_assert_eq!(ours.bits(), bits);
                if theirs.to_ipv4_mapped().is_none() {
                    prop_assert_eq!(ours.to_string(), theirs.to_string());
                }
            }
            let theirs = Ipv4Addr::from(four);
            let ours: Ip = theirs.to_string().parse().unwrap();
            prop_assert_eq!(ours.to_string(), theirs.to_string());
        }

        #[test]
        fn any_text_is_an_answer(text in "[0-9a-f:.]{0,24}") {
            agrees(&text);
        }
    }
}
