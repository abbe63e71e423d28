//! The root account: its password hash and its line in /etc/shadow.

pub mod hash;
pub mod shadow;

pub use shadow::{AccountError, set_root_password};
