//! What a guest may use up. The defaults are those of C xenstored (its `domain.c`); dom0 is bound by none of them.
//!
//! One deliberate difference: C xenstored lets a domain have one watch and one transaction more than the number says
//! (it compares before it counts); here the number is the number.

use super::wire::Errno;

/// The limits of a guest.
#[derive(Clone, Debug)]
pub struct Quotas {
    /// Nodes the guest owns, whoever made them; checked when the guest makes one.
    pub nodes: usize,
    /// The size of a node, which must stay below this: 24, 8 for each permission, the value, the names of the children.
    pub node_size: usize,
    /// Permission entries of a node.
    pub permissions: usize,
    /// Watches, over all connections of the guest: its kernel's count too.
    pub watches: usize,
    /// Open transactions, over all connections of the guest.
    pub transactions: usize,
    /// Nodes one transaction may touch.
    pub transaction_nodes: usize,
    /// The length of a path below the domain's home.
    pub path: usize,
    /// Bytes queued for a connection that does not read; further events are dropped, as C xenstored does.
    pub queued: usize,
    /// How too many nodes are refused: ENOSPC in C xenstored, EQUOTA in oxenstored.
    pub nodes_refused_with: Errno,
    /// How too big a node is refused: ENOSPC in C xenstored, E2BIG in oxenstored.
    pub size_refused_with: Errno,
}

impl Default for Quotas {
    fn default() -> Quotas {
        Quotas {
            nodes: 1000,
            node_size: 2048,
            permissions: 5,
            watches: 128,
            transactions: 10,
            transaction_nodes: 1024,
            path: 2048,
            queued: 2560 * 1024,
            nodes_refused_with: Errno::Enospc,
            size_refused_with: Errno::Enospc,
        }
    }
}
