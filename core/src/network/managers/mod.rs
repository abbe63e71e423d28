//! The network managers: who reads which files, what they hold, and who has to be told.
//!
//! | file | is |
//! |---|---|
//! | `registry` | which managers there are, and whose files the guest has |
//! | `persistent` | which files say the network: staged together, then replaced |
//! | `conflicts` | which files would undo them |
//! | `names` | /etc/hostname, /etc/hosts, /etc/resolv.conf: ours whoever manages the network |
//! | `ifupdown`, `netplan`, `networkd`, `keyfile`, `ifcfg`, `suse`, `netifrc`, `netctl` | their formats (`shared` is what they share) |

mod conflicts;
pub mod ifcfg;
pub mod ifupdown;
pub mod keyfile;
pub mod names;
pub mod netctl;
pub mod netifrc;
pub mod netplan;
pub mod networkd;
pub mod persistent;
pub mod registry;
pub(crate) mod shared;
pub mod suse;
