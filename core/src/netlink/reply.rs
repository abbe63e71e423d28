//! What the kernel answers.
//!
//! Lengths in a datagram are claims: what does not fit into what was received ends the walk. Attributes and messages of
//! unknown kinds are passed over.

use super::{ALIGN, HEADER, aligned, kind};
use crate::errno::Errno;
use crate::network::{Device, Mac};

/// `ARPHRD_ETHER`
const ETHERNET: u16 = 1;
/// Bytes of `struct ifinfomsg`.
const LINK_BODY: usize = 16;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;

/// A link of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: Device,
    /// Its address, if it is Ethernet. Tunnels have none.
    pub mac: Option<Mac>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A link is there.
    Link(Link),
    /// The request with this number is done, or failed.
    Answer(u32, Result<(), Errno>),
    /// Something else.
    Other,
}

/// The messages of a datagram.
pub struct Replies<'a>(&'a [u8]);

impl<'a> Replies<'a> {
    /// Takes a datagram apart.
    pub fn of(datagram: &'a [u8]) -> Replies<'a> {
        Replies(datagram)
    }
}

impl Iterator for Replies<'_> {
    type Item = Reply;

    fn next(&mut self) -> Option<Reply> {
        let len = u32_at(self.0, 0)? as usize;
        let body = self.0.get(HEADER..len)?;
        let (kind, sequence) = (u16_at(self.0, 4)?, u32_at(self.0, 8)?);
        self.0 = self.0.get(aligned(len)..).unwrap_or_default();
        Some(match kind {
            // Both begin with an errno, negative, or 0.
            kind::ERROR | kind::DONE => {
                let code = u32_at(body, 0).unwrap_or(0) as i32;
                let errno = u16::try_from(code.unsigned_abs()).unwrap_or(u16::MAX);
                Reply::Answer(sequence, if code == 0 { Ok(()) } else { Err(Errno(errno)) })
            }
            kind::NEW_LINK => link(body).map_or(Reply::Other, Reply::Link),
            _ => Reply::Other,
        })
    }
}

/// A link that has a name.
fn link(body: &[u8]) -> Option<Link> {
    let ethernet = u16_at(body, 2)? == ETHERNET;
    let mut link = Link { index: u32_at(body, 4)?, name: Device::new(), mac: None };
    let mut rest = body.get(LINK_BODY..)?;
    while let (Some(len), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let Some(value) = rest.get(ALIGN..usize::from(len)) else { break };
        match kind {
            IFLA_ADDRESS if ethernet => link.mac = value.try_into().ok().map(Mac),
            IFLA_IFNAME => {
                let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
                link.name = core::str::from_utf8(name).ok().and_then(|name| name.try_into().ok())?;
            }
            _ => {}
        }
        rest = rest.get(aligned(usize::from(len))..).unwrap_or_default();
    }
    (!link.name.is_empty()).then_some(link)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert, proptest};

    /// A link with these attributes, as the kernel would send it.
    fn new_link(hardware: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes.extend([0, 0]);
        bytes.extend(hardware.to_le_bytes());
        bytes.extend([2, 0, 0, 0, 0x43, 0x10, 1, 0, 0, 0, 0, 0]);
        for (kind, value) in attributes {
            bytes.extend((4 + value.len() as u16).to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(*value);
            bytes.resize(aligned(bytes.len()), 0);
        }
        let len = bytes.len() as u32;
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes[4] = 16;
        bytes
    }

    #[test]
    fn a_dump_of_links_and_its_end() {
        let mac = [0xbc, 0x76, 0x4e, 0x04, 0xcf, 0xe5];
        let mut datagram = new_link(1, &[(3, b"eth0\0"), (13, &[0]), (1, &mac)]);
        datagram.extend(new_link(65534, &[(3, b"tun0\0")]));
        datagram.extend([20, 0, 0, 0, 3, 0, 2, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let link = |name: &str, mac| Reply::Link(Link { index: 2, name: name.try_into().unwrap(), mac });
        let replies: Vec<_> = Replies::of(&datagram).collect();
        assert_eq!(replies, [link("eth0", Some(Mac(mac))), link("tun0", None), Reply::Answer(9, Ok(()))]);
    }

    #[test]
    fn an_error_carries_its_number_and_no_error_is_done() {
        let answer = |code: i32| {
            let mut bytes = vec![36, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
            bytes.extend(code.to_le_bytes());
            bytes.resize(36, 0);
            Replies::of(&bytes).next()
        };
        assert_eq!(answer(0), Some(Reply::Answer(5, Ok(()))));
        assert_eq!(answer(-17), Some(Reply::Answer(5, Err(Errno::EXIST))));
        assert_eq!(answer(i32::MIN), Some(Reply::Answer(5, Err(Errno(u16::MAX)))));
    }

    #[test]
    fn names_that_are_none_make_no_link() {
        for name in [&b"\0"[..], b"a-name-too-long-for-any", b"\xff\0"] {
            assert_eq!(Replies::of(&new_link(1, &[(3, name)])).next(), Some(Reply::Other));
        }
        assert_eq!(Replies::of(&new_link(1, &[])).next(), Some(Reply::Other));
        // Infiniband's addresses have 20 bytes.
        let Some(Reply::Link(link)) = Replies::of(&new_link(1, &[(3, b"ib0\0"), (1, &[0; 20])])).next() else {
            panic!()
        };
        assert_eq!(link.mac, None);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Replies::of(&bytes).count() <= bytes.len() / HEADER);
        }

        #[test]
        fn any_damage_to_a_link_ends(at in 0_usize..60, byte in any::<u8>()) {
            let mut bytes = new_link(1, &[(3, b"eth0\0"), (1, &[2; 6]), (5, &[0; 8])]);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            prop_assert!(Replies::of(&bytes).count() <= 4);
        }
    }
}
