//! rtnetlink: the few requests that set up an interface, and what the kernel answers, to and from bytes.
//!
//! [`message`] builds requests; their fields can only be what they should be. [`reply`] takes datagrams apart; on any
//! bytes it ends, and never panics. Integers are in the machine's own byte order, as the kernel has it.
//!
//! Rules: Linux, `include/uapi/linux/{netlink,rtnetlink,if_link,if_addr}.h`; netlink(7), rtnetlink(7).

pub mod advertisement;
pub mod message;
pub mod reply;

pub use message::Message;
pub use reply::{Link, PresentAddress, PresentRoute, Replies, Reply};

/// The multicast group that hears of links coming, changing and going (`RTMGRP_LINK`).
pub const GROUP_LINK: u32 = 1;
/// Those that hear of addresses, of both families (`RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR`).
pub const GROUP_ADDRESSES: u32 = 0x10 | 0x100;
/// The one that hears of what routers announce and the kernel has no use for (`RTNLGRP_ND_USEROPT`, as a bit).
pub const GROUP_ADVERTISEMENTS: u32 = 1 << 19;

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Messages and attributes begin at multiples of this (`NLMSG_ALIGNTO`, `RTA_ALIGNTO`).
const ALIGN: usize = 4;

/// Numbers of message types.
mod kind {
    pub(crate) const ERROR: u16 = 2;
    pub(crate) const DONE: u16 = 3;
    pub(crate) const NEW_LINK: u16 = 16;
    pub(crate) const GET_LINK: u16 = 18;
    pub(crate) const SET_LINK: u16 = 19;
    pub(crate) const NEW_ADDRESS: u16 = 20;
    pub(crate) const DELETE_ADDRESS: u16 = 21;
    pub(crate) const GET_ADDRESS: u16 = 22;
    pub(crate) const NEW_ROUTE: u16 = 24;
    pub(crate) const DELETE_ROUTE: u16 = 25;
    pub(crate) const GET_ROUTE: u16 = 26;
    pub(crate) const ADVERTISED: u16 = 68;
}

/// Numbers that stand in requests and in answers, by the kernel's names.
pub(crate) mod number {
    pub(crate) const AF_INET: u8 = 2;
    pub(crate) const AF_INET6: u8 = 10;
    pub(crate) const IFF_UP: u32 = 1;
    pub(crate) const IFLA_IFNAME: u16 = 3;
    pub(crate) const IFLA_MTU: u16 = 4;
    pub(crate) const IFA_ADDRESS: u16 = 1;
    pub(crate) const IFA_LOCAL: u16 = 2;
    pub(crate) const RTA_DST: u16 = 1;
    pub(crate) const RTA_OIF: u16 = 4;
    pub(crate) const RTA_GATEWAY: u16 = 5;
    pub(crate) const RTA_PRIORITY: u16 = 6;
    pub(crate) const RTN_UNICAST: u8 = 1;
    pub(crate) const RT_TABLE_MAIN: u32 = 254;
}

/// Where the next message or attribute begins after one of this length.
const fn aligned(len: usize) -> usize {
    len.saturating_add(ALIGN - 1) & !(ALIGN - 1)
}
