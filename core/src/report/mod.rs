//! What the guest is, for the keys that toolstacks read.
//!
//! | file | is |
//! |---|---|
//! | `publisher` | when which key is written |
//! | `writer` | how it is written |
//! | `addresses` | the addresses of VIFs, and the index of each |
//! | `memory`, `volumes` | what /proc tells |
//! | `measure` | how large volumes are, asked by an errand |
//! | `os` | the name and version of the operating system, as XenServer's tools give them |

#[cfg(feature = "report")]
pub mod addresses;
#[cfg(feature = "report")]
mod measure;
#[cfg(feature = "report")]
pub mod memory;
#[cfg(feature = "report")]
pub mod os;
#[cfg(feature = "report")]
pub mod publisher;
#[cfg(not(feature = "report"))]
#[path = "absent.rs"]
pub mod publisher;
#[cfg(feature = "report")]
pub mod volumes;
#[cfg(feature = "report")]
mod writer;
