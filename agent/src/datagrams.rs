//! Datagrams to a socket of another program on this machine: the service manager's, syslog's.
//!
//! The receiver is looked up anew for each of them, so it may be started again; one that does not read is not waited
//! for.

use nanova_core::wire::errno::Errno;
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sendto, socket_with};

use crate::errno::errno;

/// Who receives them.
pub(crate) struct Receiver {
    socket: OwnedFd,
    address: SocketAddrUnix,
}

impl Receiver {
    /// A path, or behind an `@` a name in the abstract namespace.
    pub(crate) fn of(name: &[u8]) -> Option<Receiver> {
        let address = match name {
            [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name),
            [b'/', ..] => SocketAddrUnix::new(name),
            _ => return None,
        };
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
        Some(Receiver { socket, address: address.ok()? })
    }

    pub(crate) fn send(&self, text: &str) -> Result<(), Errno> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendto(&self.socket, text.as_bytes(), flags, &self.address).map(drop).map_err(errno)
    }
}
