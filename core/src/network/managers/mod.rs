//! The network managers: who reads which files, what they hold, and who has to be told.
//!
//! | file | is |
//! |---|---|
//! | `manager` | what a manager is to nanova |
//! | `registry` | which managers there are, and whose files the guest has |
//! | `persistent` | their files: staged together, then replaced |
//! | `conflicts` | files that would undo them are moved aside |
//! | `names` | /etc/hostname, /etc/hosts, /etc/resolv.conf: ours whoever manages the network |
//! | `ifupdown`, `netplan`, `networkd`, `keyfile` | one manager each |
//! | `ifcfg`, `suse`, `netifrc`, `netctl`, `none` | the same (`shared`: what several share) |

mod conflicts;
#[cfg(feature = "style-ifcfg")]
mod ifcfg;
#[cfg(feature = "style-ifupdown")]
mod ifupdown;
#[cfg(feature = "style-keyfile")]
pub(crate) mod keyfile;
pub mod manager;
pub mod names;
#[cfg(feature = "style-netctl")]
mod netctl;
#[cfg(feature = "style-netifrc")]
mod netifrc;
#[cfg(feature = "style-netplan")]
pub(crate) mod netplan;
#[cfg(feature = "style-networkd")]
pub(crate) mod networkd;
pub mod none;
pub mod persistent;
pub mod registry;
mod shared;
#[cfg(feature = "style-suse")]
mod suse;

pub use manager::{Manager, PersistentConfig};

#[cfg(test)]
mod styles_tests;
