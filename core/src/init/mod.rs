//! What the first process of a system decides: the boot options, and which file systems go last.

pub mod boot;
pub mod mounts;

pub use boot::{Boot, OnExit};
