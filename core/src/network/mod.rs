//! The network as the toolstack wants it, and what is made of it.
//!
//! | file | is |
//! |---|---|
//! | `model` | addresses, routes, name servers of each interface, bounded |
//! | `source/` | where it comes from: vm-data, and what XAPI sets over it |
//! | `dhcp/` | a lease, where the toolstack says nothing |
//! | `presence` | which of the interfaces there are |
//! | `plan` | what of the kernel differs, and the requests that change it |
//! | `managers/` | which files below /etc say it, for each network manager |
//! | `handover/` | which files below /run carry it to the real root |
//! | `reset` | all of it: kernel, names and files |
//! | `target` | whether the kernel is changed, or files, or both; when DHCP is asked |
//! | `problems` | what was wrong, collected |

#[cfg(feature = "dhcp")]
pub mod dhcp;
#[cfg(feature = "handover")]
pub mod handover;
#[cfg(feature = "managers")]
pub mod managers;
#[cfg(feature = "network")]
pub mod model;
#[cfg(feature = "network")]
pub mod plan;
#[cfg(feature = "network")]
pub mod presence;
#[cfg(feature = "network")]
pub mod problems;
#[cfg(feature = "network")]
pub mod reset;
#[cfg(feature = "network")]
pub mod source;
pub mod target;

#[cfg(feature = "handover")]
pub use handover::Handover;
#[cfg(feature = "network")]
pub use model::{Interface, Network, Placed};
pub use target::{DhcpMode, Target};
