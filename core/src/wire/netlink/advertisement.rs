//! What routers announce that is no matter of the kernel's: name servers.
//!
//! The kernel checks an advertisement and passes on the options that it has no use for (Linux, `net/ipv6/ndisc.c`,
//! `ndisc_ra_useropt`; `include/uapi/linux/rtnetlink.h`, `struct nduseroptmsg`). Lengths are claims, as in `reply`.

use crate::wire::net::Ip;
use crate::wire::netlink::kind;
use crate::wire::netlink::number::AF_INET6;
use crate::wire::netlink::reply::{split, u16_at, u32_at};

/// Bytes of `struct nduseroptmsg`.
const BODY: usize = 16;
/// `NDISC_ROUTER_ADVERTISEMENT`
const ADVERTISEMENT: u8 = 134;
/// The option that names name servers (RFC 8106, 5.1), and its bytes in front of the addresses.
const NAME_SERVERS: u8 = 25;
const NAME_SERVERS_HEAD: usize = 8;

/// A name server that a router announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameServer {
    /// The number of the link that leads to the router.
    pub index: u32,
    /// Its address.
    pub ip: Ip,
    /// For how many seconds it may be used: for none any more, or, with all bits set, for ever.
    pub seconds: u32,
}

/// Calls `each` with every name server in a datagram.
pub fn for_each_name_server(mut datagram: &[u8], each: &mut dyn FnMut(NameServer)) {
    while let Some((kind, _, body)) = split(&mut datagram) {
        if kind == kind::ADVERTISED {
            let _ = walk_options(body, each);
        }
    }
}

/// `None` where there is nothing more.
fn walk_options(body: &[u8], each: &mut dyn FnMut(NameServer)) -> Option<()> {
    let (len, index) = (u16_at(body, 2)?, u32_at(body, 4)?);
    let mut options = body.get(BODY..)?.get(..usize::from(len))?;
    if (*body.first()?, *body.get(8)?) != (AF_INET6, ADVERTISEMENT) {
        return None;
    }
    loop {
        // Lengths are in units of eight bytes.
        let len = usize::from(*options.get(1)?) * 8;
        let (option, rest) = options.split_at_checked(len).filter(|_| len > 0)?;
        options = rest;
        if *option.first()? == NAME_SERVERS {
            let seconds = u32::from_be_bytes(option.get(4..NAME_SERVERS_HEAD)?.try_into().ok()?);
            for ip in option.get(NAME_SERVERS_HEAD..)?.chunks_exact(16).filter_map(Ip::from_octets) {
                if is_unicast(ip) {
                    each(NameServer { index, ip, seconds });
                }
            }
        }
    }
}

/// Whether packets can be sent to one who has this address.
fn is_unicast(ip: Ip) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && !ip.is_loopback()
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, proptest};

    /// A message of link 3 with these options.
    fn message(options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        bytes.extend([10, 0, options.len() as u8, 0, 3, 0, 0, 0, 134, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(options);
        // The router's address.
        bytes.extend([20, 0, 1, 0]);
        bytes.extend([0xfe; 16]);
        (bytes[0], bytes[4]) = (bytes.len() as u8, 68);
        bytes
    }

    fn announced(datagram: &[u8]) -> Vec<String> {
        let mut all = vec![];
        for_each_name_server(datagram, &mut |NameServer { index, ip, seconds }| {
            all.push(format!("{index} {ip} {seconds}"));
        });
        all
    }

    const FIRST: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53];
    const LOCAL: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

    #[test]
    fn name_servers_and_their_time() {
        let option = [&[25, 5, 0, 0, 0, 0, 0x0e, 0x10][..], &FIRST, &LOCAL].concat();
        let datagram = [message(&option), message(&[31, 1, 0, 0, 0, 0, 0, 0]), message(&option)].concat();
        let all = ["3 2001:db8::53 3600", "3 fe80::1 3600"];
        assert_eq!(announced(&datagram), [all, all].concat());
        let behind = [&[31, 1, 0, 0, 0, 0, 0, 0][..], &option].concat();
        assert_eq!(announced(&message(&behind)), all);
    }

    #[test]
    fn what_is_no_name_server_is_none() {
        let option = |ip: [u8; 16]| [&[25, 3, 0, 0, 0, 0, 0, 9][..], &ip].concat();
        let one = |place: usize| core::array::from_fn(|at| u8::from(at == place));
        assert_eq!(announced(&message(&option(FIRST))).len(), 1);
        for ip in [[0; 16], one(15), [0xff; 16]] {
            assert_eq!(announced(&message(&option(ip))).len(), 0, "{ip:?}");
        }
        // IPv4, no advertisement, another kind of message, options of no length, longer than they are, cut off.
        for (place, value) in [(16, 2), (24, 133), (4, 16), (33, 0), (33, 4), (18, 200), (18, 23)] {
            let mut bytes = message(&option(FIRST));
            bytes[place] = value;
            assert_eq!(announced(&bytes).len(), 0, "{place}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..90)) {
            announced(&bytes);
            announced(&message(&bytes));
        }
    }
}
