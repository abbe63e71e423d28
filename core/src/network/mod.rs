//! The network as the toolstack wants it, and what is made of it.
//!
//! | file | is |
//! |---|---|
//! | `model` | addresses, routes, name servers of each interface, bounded |
//! | `source/` | where it comes from: vm-data, and what XAPI sets over it |
//! | `presence` | which of the interfaces there are |
//! | `plan` | what of the kernel differs, and the requests that change it |
//! | `managers/` | which files below /etc say it, for each network manager |
//! | `handover/` | which files below /run carry it to the real root |
//! | `reset` | all of it: kernel, names and files |
//! | `target` | whether the kernel is changed, or files, or both |
//! | `problems` | what was wrong, collected |

pub mod handover;
pub mod managers;
pub mod model;
pub mod plan;
pub mod presence;
pub mod problems;
pub mod reset;
pub mod source;
pub mod target;

pub use handover::Handover;
pub use model::{Interface, Network, Placed};
pub use target::Target;
