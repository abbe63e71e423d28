//! The kernel's side of the network: one rtnetlink socket for requests, another to hear of links.
//!
//! The kernel answers a request before sendto(2) returns, so waiting for an answer never takes long.

use nanova_core::wire::errno::Errno;
#[cfg(feature = "dhcp")]
use nanova_core::wire::netlink::GROUP_ADVERTISEMENTS;
use nanova_core::wire::netlink::{GROUP_ADDRESSES, GROUP_LINK, Message, Replies, Reply};
use rustix::fd::OwnedFd;
use rustix::io::retry_on_intr;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, bind, sendto, socket_with};

use crate::errno::errno;

/// Room for a datagram: the kernel fills at most this much (`NLMSG_GOODSIZE`) unless a single message is longer.
const DATAGRAM_MAX: usize = 8192;

/// How many datagrams are forgotten at once: whatever comes, others have their turn.
const READS_MAX: u32 = 256;

/// A socket for requests.
pub(crate) struct Netlink(OwnedFd);

impl Netlink {
    /// Opens it.
    pub(crate) fn open() -> Result<Netlink, Errno> {
        open(0, SocketFlags::CLOEXEC).map(Netlink)
    }

    /// Makes one request; what comes in answer to it goes to `each`.
    #[inline(never)]
    pub(crate) fn ask(&self, message: &Message, each: &mut dyn FnMut(&Reply)) -> Result<(), Errno> {
        let kernel = SocketAddrNetlink::new(0, 0);
        retry_on_intr(|| sendto(&self.0, message.as_bytes(), SendFlags::empty(), &kernel)).map_err(errno)?;
        let mut datagram = [0; DATAGRAM_MAX];
        loop {
            let len = retry_on_intr(|| rustix::io::read(&self.0, &mut datagram[..])).map_err(errno)?;
            for reply in Replies::of(datagram.get(..len).unwrap_or_default()) {
                match reply {
                    Reply::Answer(sequence, result) if sequence == message.sequence() => return result,
                    reply => each(&reply),
                }
            }
        }
    }
}

/// A descriptor that becomes readable when a link comes, goes or changes.
pub(crate) fn link_events() -> Result<OwnedFd, Errno> {
    open(GROUP_LINK, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

/// The same, and when an address does.
pub(crate) fn address_events() -> Result<OwnedFd, Errno> {
    open(GROUP_LINK | GROUP_ADDRESSES, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

/// The same, and when a router announces a name server.
#[cfg(feature = "dhcp")]
pub(crate) fn router_events() -> Result<OwnedFd, Errno> {
    open(GROUP_LINK | GROUP_ADVERTISEMENTS, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

/// Forgets what has come, and tells whether anything has. That more came than the socket holds (ENOBUFS) is one thing
/// more that came.
pub(crate) fn drain(events: &OwnedFd) -> bool {
    read(events, &mut |_| {})
}

/// The same, and calls `each` with it.
pub(crate) fn read(events: &OwnedFd, each: &mut dyn FnMut(&[u8])) -> bool {
    let mut datagram = [0; 4096];
    for place in 0..READS_MAX {
        match rustix::io::read(events, &mut datagram[..]) {
            Ok(len) => each(datagram.get(..len).unwrap_or_default()),
            Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::INTR) => {}
            Err(_) => return place > 0,
        }
    }
    true
}

fn open(groups: u32, flags: SocketFlags) -> Result<OwnedFd, Errno> {
    // No protocol is number 0, and that is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None).map_err(errno)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups)).map_err(errno)?;
    Ok(socket)
}
