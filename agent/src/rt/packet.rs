//! A packet socket: what comes over any link without a word of IP's rules, as long as there is no address (packet(7)).
//!
//! The kernel itself passes over what is no UDP packet to a DHCP client, nor ARP while that is asked for: nobody is
//! woken for the rest.
//! Layout and values: Linux, `include/uapi/linux/if_packet.h`, `if_ether.h`, `filter.h`.

use core::mem::size_of;

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, sendto, socket_with};

use super::bpf::{Instruction, JUMP_IF_EQUAL, LOAD, Program, RETURN, plain};
use super::syscall::{number, syscall};

/// What is behind the header of a link: `ETH_P_IP`, `ETH_P_ARP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Ipv4 = 0x0800,
    Arp = 0x0806,
}

/// Every protocol (`ETH_P_ALL`).
const ALL: u16 = 3;

/// A link, and for what is sent everybody on it (`struct sockaddr_ll`).
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct LinkAddress {
    family: u16,
    /// In the network's order.
    protocol: u16,
    index: i32,
    hardware: u16,
    packet: u8,
    len: u8,
    address: [u8; 8],
}

impl LinkAddress {
    fn new(protocol: u16, index: u32) -> LinkAddress {
        let (family, address) = (AddressFamily::PACKET.as_raw(), [255, 255, 255, 255, 255, 255, 0, 0]);
        LinkAddress { family, protocol: protocol.to_be(), index: index as i32, len: 6, address, ..Self::default() }
    }
}

// SAFETY: the pointer is that of a `struct sockaddr_ll` of this length, which lives while `f` runs.
unsafe impl SocketAddrArg for LinkAddress {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        f(core::ptr::from_ref(self).cast(), size_of::<LinkAddress>() as SocketAddrLen)
    }
}

/// `BPF_LD | BPF_H | BPF_ABS`, `BPF_LD | BPF_B | BPF_ABS`, `BPF_LDX | BPF_B | BPF_MSH`, `BPF_LD | BPF_H | BPF_IND`,
/// `BPF_JMP | BPF_JSET | BPF_K`
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HEADER_LENGTH: u16 = 0xb1;
const LOAD_HALF_BEHIND: u16 = 0x48;
const JUMP_IF_SET: u16 = 0x45;
/// `SKF_AD_OFF` and `SKF_AD_PROTOCOL`, `SKF_AD_PKTTYPE`, `SKF_AD_VLAN_TAG_PRESENT`, `SKF_AD_VLAN_TAG`
const PROTOCOL_AT: u32 = 0xffff_f000;
const WAY_AT: u32 = 0xffff_f004;
const TAGGED_AT: u32 = 0xffff_f030;
const TAG_AT: u32 = 0xffff_f02c;
/// The bits of a tag that name a VLAN (`VLAN_VID_MASK`).
const VLAN: u32 = 0xfff;
/// `PACKET_OUTGOING`
const OUTGOING: u32 = 4;
/// `IPPROTO_UDP`
const UDP: u32 = 17;
/// The port of a DHCP client.
const PORT: u32 = 68;

/// Which packets come through: to a DHCP client, and those of ARP or not. None of a VLAN: the kernel shows a frame here
/// before it takes the tag for what it is, and with the link that it came over, not the VLAN's (Linux,
/// `net/core/dev.c`, `__netif_receive_skb_core`). A tag that names no VLAN, and only says how urgent a frame is, counts
/// as none.
#[rustfmt::skip]
const fn filter(with_arp: bool) -> [Instruction; 18] {
    const fn jump(code: u16, value: u32, if_true: u8, if_false: u8) -> Instruction {
        Instruction { code, if_true, if_false, value }
    }
    [
        plain(LOAD, WAY_AT),
        jump(JUMP_IF_EQUAL, OUTGOING, 15, 0),
        plain(LOAD, TAGGED_AT),
        jump(JUMP_IF_EQUAL, 0, 2, 0),
        plain(LOAD, TAG_AT),
        jump(JUMP_IF_SET, VLAN, 11, 0),
        plain(LOAD, PROTOCOL_AT),
        jump(JUMP_IF_EQUAL, Protocol::Arp as u32, if with_arp { 8 } else { 9 }, 0),
        jump(JUMP_IF_EQUAL, Protocol::Ipv4 as u32, 0, 8),
        plain(LOAD_BYTE, 9),
        jump(JUMP_IF_EQUAL, UDP, 0, 6),
        plain(LOAD_HALF, 6),
        jump(JUMP_IF_SET, 0x1fff, 4, 0),
        plain(LOAD_HEADER_LENGTH, 0),
        plain(LOAD_HALF_BEHIND, 2),
        jump(JUMP_IF_EQUAL, PORT, 0, 1),
        plain(RETURN, u32::MAX),
        plain(RETURN, 0),
    ]
}

/// Opens one, which does not hear of ARP.
pub(crate) fn open() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // Without a protocol nothing comes before the filter is there.
    let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, None)?;
    hear(&socket, false)?;
    bind(&socket, &LinkAddress::new(ALL, 0))?;
    Ok(socket)
}

/// Has it hear of ARP from now on, or no more.
pub(crate) fn hear(socket: impl AsFd, arp: bool) -> Result<(), Errno> {
    const SOL_SOCKET: usize = 1;
    const ATTACH_FILTER: usize = 26;
    const FILTERS: [[Instruction; 18]; 2] = [filter(false), filter(true)];
    let program = Program::of(&FILTERS[usize::from(arp)]);
    let (fd, address) = (socket.as_fd().as_raw_fd() as usize, core::ptr::from_ref(&program) as usize);
    // SAFETY: setsockopt(2) reads the program, whose instructions are a constant's, and copies it.
    unsafe { syscall(number::SETSOCKOPT, [fd, SOL_SOCKET, ATTACH_FILTER, address, size_of::<Program<'_>>()]) }.map(drop)
}

/// Sends a packet to everybody on a link.
pub(crate) fn send(socket: impl AsFd, index: u32, protocol: Protocol, packet: &[u8]) -> Result<(), Errno> {
    let address = LinkAddress::new(protocol as u16, index);
    sendto(socket, packet, SendFlags::empty(), &address).map(drop)
}

/// A packet that has come: how long it is, over which link, and what it is; `None` if it is neither ARP nor IPv4.
pub(crate) fn receive(socket: impl AsFd, room: &mut [u8]) -> Result<Option<(usize, u32, Protocol)>, Errno> {
    let (len, _, from) = recvfrom(socket, room, RecvFlags::empty())?;
    let Some(from) = from.filter(|from| from.addr_len() as usize >= LINK_LEN) else { return Ok(None) };
    let address = from.as_ptr().cast::<LinkAddress>();
    // SAFETY: the storage of any socket address is larger than this one and aligned for it, and the kernel has written
    // so much of it that both fields are.
    let (protocol, index) = unsafe { ((&raw const (*address).protocol).read(), (&raw const (*address).index).read()) };
    let protocol = match u16::from_be(protocol) {
        0x0800 => Protocol::Ipv4,
        0x0806 => Protocol::Arp,
        _ => return Ok(None),
    };
    Ok(Some((len, index as u32, protocol)))
}

/// How much of an address the kernel fills in: up to the hardware address of Ethernet.
const LINK_LEN: usize = 18;
