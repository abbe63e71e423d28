//! The kernel's side of the network, over rtnetlink.

use crate::wire::errno::Errno;
use crate::wire::net::Mac;
use crate::wire::netlink::{Message, Reply};

/// The kernel's side of the network.
pub trait KernelNet {
    /// Makes one request; what comes in answer to it goes to `each`.
    fn ask(&mut self, message: &Message, each: &mut dyn FnMut(&Reply)) -> Result<(), Errno>;

    /// The toolstack says now what the interface with this address has: whoever asks DHCP for it here is to stop.
    fn is_given(&mut self, _mac: Mac) {}
}
