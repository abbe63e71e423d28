//! What the first process of a system decides: the boot options, and which file systems go last.

pub mod mounts;
pub mod options;

pub use options::{Boot, OnExit};
