//! Bytes and text as others write and read them: leaves that every part stands on, without traits, without state.
//!
//! | file | is |
//! |---|---|
//! | `xenstore` | packets of the xenstore protocol |
//! | `netlink` | the kernel's messages about links, addresses, routes |
//! | `json` | JSON, strictly |
//! | `net` | addresses, prefixes, routes |
//! | `text` | text of a bounded length, and text that is safe to show |
//! | `time` | a moment as people write it |
//! | `errno` | error numbers as sentences |
//! | `buffer` | buffers that are filled behind what has yet to be looked at |
//! | `fingerprint` | texts as numbers, to recognise them again |
//! | `sha256` | sums |

pub(crate) mod buffer;
pub mod errno;
#[cfg(any(feature = "commands", feature = "report", feature = "recorder"))]
pub mod fingerprint;
#[cfg(feature = "json")]
pub mod json;
#[cfg(any(feature = "network", feature = "report", feature = "update"))]
pub mod net;
#[cfg(any(feature = "network", feature = "report"))]
pub mod netlink;
#[cfg(feature = "commands")]
pub mod sha256;
pub mod text;
pub mod time;
pub mod xenstore;
