//! Addresses and routes, as every part of the program means them.

use core::fmt;

use heapless::String;

pub mod ip;

pub use ip::{Family, Ip};

/// Longest name of a device (IFNAMSIZ less the zero byte).
pub const DEVICE_MAX: usize = 15;

/// The name of a network device.
pub type Device = String<DEVICE_MAX>;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Twelve hex digits of any case; colons, dashes and dots between them are passed over.
    pub fn parse(text: &str) -> Option<Mac> {
        let mut mac = [0; 6];
        let mut digits = 0;
        for c in text.chars().filter(|c| !matches!(c, ':' | '-' | '.')) {
            let byte = mac.get_mut(digits / 2)?;
            *byte = *byte << 4 | c.to_digit(16)? as u8;
            digits += 1;
        }
        (digits == 12).then_some(Mac(mac))
    }

    /// The address without colons, for file names.
    pub fn plain(self) -> BareMac {
        BareMac(self)
    }

    /// What a DHCP client calls itself: always the same for an interface, whatever the system is (RFC 4361, 6.1: what
    /// tells interfaces apart, here a part of the address; the identity is that of the hardware: RFC 8415, 11.4,
    /// DUID-LL).
    pub fn client_id(self) -> [u8; 15] {
        let [a, b, c, d, e, f] = self.0;
        [255, c, d, e, f, 0, 3, 0, 1, a, b, c, d, e, f]
    }

    fn write(self, f: &mut fmt::Formatter<'_>, between: &str) -> fmt::Result {
        for (place, byte) in self.0.map(u32::from).iter().enumerate() {
            write!(f, "{}{byte:02x}", if place == 0 { "" } else { between })?;
        }
        Ok(())
    }
}

/// `bc:76:4e:04:cf:e5`
impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, ":")
    }
}

/// Shows an Ethernet address as `bc764e04cfe5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BareMac(Mac);

impl fmt::Display for BareMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, "")
    }
}

/// An address with the size of its network, or a network.
///
/// # Invariants
/// `prefix` is at most 32 for IPv4 and 128 for IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Prefixed {
    /// The address.
    pub ip: Ip,
    /// How many leading bits name the network.
    pub prefix: u8,
}

impl Prefixed {
    /// An address in a network; `None` if its family has no such prefix.
    pub fn new(ip: Ip, prefix: u8) -> Option<Prefixed> {
        (prefix <= ip.family().bits()).then_some(Prefixed { ip, prefix })
    }

    /// All addresses of a family.
    pub fn everything(like: Ip) -> Prefixed {
        Prefixed { ip: like.like(0), prefix: 0 }
    }

    /// Whether an address is in this network.
    #[inline(never)]
    pub fn contains(&self, ip: Ip) -> bool {
        self.ip.family() == ip.family() && (self.ip.bits() ^ ip.bits()) & self.mask() == 0
    }

    /// The network: no bit set behind the prefix.
    #[inline(never)]
    pub fn network(&self) -> Prefixed {
        Prefixed { ip: self.ip.like(self.ip.bits() & self.mask()), prefix: self.prefix }
    }

    /// The address to reach all of an IPv4 network with. None with fewer than two host bits (RFC 3021), and in IPv6.
    #[inline(never)]
    pub fn broadcast(&self) -> Option<Ip> {
        let has_one = self.ip.family() == Family::V4 && self.prefix < 31;
        has_one.then(|| self.ip.like(self.ip.bits() | !self.mask()))
    }

    /// The mask as an address: `255.255.255.0`.
    #[inline(never)]
    pub fn netmask(&self) -> Ip {
        self.ip.like(self.mask())
    }

    /// The leading bits set, the first bit of either family's addresses in front.
    #[inline(never)]
    fn mask(&self) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0)
    }
}

/// `10.0.0.1/8`
impl fmt::Display for Prefixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, u64::from(self.prefix))
    }
}

/// A way to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Route {
    /// Where to.
    pub to: Prefixed,
    /// Through which neighbour; the unspecified address if those it leads to are neighbours themselves.
    pub via: Ip,
}

impl Route {
    /// Through which neighbour, if it is not on the link.
    pub fn neighbour(&self) -> Option<Ip> {
        Some(self.via).filter(|via| !via.is_unspecified())
    }
}

/// `10.0.0.0/8 via 10.1.0.1`, or what it leads to alone.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to.fmt(f)?;
        self.neighbour().map_or(Ok(()), |via| write!(f, " via {via}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixed(ip: &str, prefix: u8) -> Prefixed {
        Prefixed::new(ip.parse().unwrap(), prefix).unwrap()
    }

    #[test]
    fn an_ethernet_address_in_all_spellings() {
        let mac = Mac([0xbc, 0x76, 0x4e, 0x04, 0xcf, 0xe5]);
        for text in ["BC764E04CFE5", "bc:76:4e:04:cf:e5", "BC-76-4E-04-CF-E5", "bc76.4e04.cfe5"] {
            assert_eq!(Mac::parse(text), Some(mac), "{text}");
        }
        for bad in ["", "BC764E04CFE", "BC764E04CFE50", "BC764E04CFEG", "BC764E04CFE50011"] {
            assert_eq!(Mac::parse(bad), None, "{bad}");
        }
        assert_eq!((mac.to_string().as_str(), mac.plain().to_string().as_str()), ("bc:76:4e:04:cf:e5", "bc764e04cfe5"));
    }

    #[test]
    fn what_follows_from_a_prefix() {
        let address = prefixed("10.181.30.181", 17);
        assert_eq!(address.netmask().to_string(), "255.255.128.0");
        assert_eq!(address.broadcast().unwrap().to_string(), "10.181.127.255");
        assert_eq!(address.network().to_string(), "10.181.0.0/17");
        assert!(address.contains("10.181.0.1".parse().unwrap()) && !address.contains("10.181.128.1".parse().unwrap()));
        assert!(!address.contains("::1".parse().unwrap()));
        assert_eq!(prefixed("10.0.0.1", 0).netmask().to_string(), "0.0.0.0");
        assert_eq!(prefixed("10.0.0.1", 32).netmask().to_string(), "255.255.255.255");
        assert_eq!((prefixed("10.0.0.1", 31).broadcast(), prefixed("fe80::1", 64).broadcast()), (None, None));
        assert_eq!(prefixed("fe80::1:2", 64).network().to_string(), "fe80::/64");
        assert_eq!(Prefixed::new("10.0.0.1".parse().unwrap(), 33), None);
    }
}
