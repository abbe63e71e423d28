//! The guest's files: how they are found, read, edited and replaced.
//!
//! | file | is |
//! |---|---|
//! | `walk` | the way to a directory, and which links on it are followed |
//! | `place` | where a file lies that links lead to |
//! | `read` | the start of a file, or its lines |
//! | `lines` | what an edit sees of a file, and where it writes |
//! | `replace` | one file put in the place of another |
//! | `in_place` | the same where a file is a mount point |
//! | `transaction` | several files edited as one |
//! | `inject` | a file that the host sends |
//! | `parts` | one that it sends in parts |
//! | `sysfs` | what sysfs says of devices |

#[cfg(any(feature = "commands", feature = "dhcp", feature = "managers"))]
pub(crate) mod in_place;
#[cfg(feature = "inject")]
pub mod inject;
#[cfg(any(feature = "commands", feature = "dhcp", feature = "managers"))]
pub mod lines;
#[cfg(all(feature = "inject", feature = "sealed"))]
pub mod parts;
#[cfg(any(feature = "commands", feature = "dhcp", feature = "managers"))]
pub(crate) mod place;
pub mod read;
#[cfg(any(feature = "commands", feature = "dhcp", feature = "managers"))]
pub mod replace;
#[cfg(any(feature = "network", feature = "report"))]
pub(crate) mod sysfs;
#[cfg(any(feature = "commands", feature = "dhcp", feature = "managers"))]
pub mod transaction;
pub mod walk;

pub(crate) use crate::platform::path::at;
