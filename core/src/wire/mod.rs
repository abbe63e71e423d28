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

pub mod errno;
pub mod json;
pub mod net;
pub mod netlink;
pub mod text;
pub mod time;
pub mod xenstore;
