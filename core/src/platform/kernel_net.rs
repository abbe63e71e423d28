//! The kernel's side of the network, over rtnetlink.

use crate::wire::errno::Errno;
use crate::wire::netlink::{Message, Reply};

/// The kernel's side of the network.
pub trait KernelNet {
    /// Makes one request; what comes in answer to it goes to `each`.
    fn ask(&mut self, message: &Message, each: &mut dyn FnMut(&Reply)) -> Result<(), Errno>;
}
