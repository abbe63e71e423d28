//! What the guest is, for the keys that toolstacks read.
//!
//! | file | is |
//! |---|---|
//! | `publisher` | when which key is written |
//! | `writer` | how it is written |
//! | `addresses` | the addresses of VIFs, and the index of each |
//! | `memory`, `volumes` | what /proc tells |
//! | `os` | the name and version of the operating system, as XenServer's tools give them |

pub mod addresses;
pub mod memory;
pub mod os;
pub mod publisher;
pub mod volumes;
mod writer;
