//! xenstore: a client over any byte transport. [`crate::wire::xenstore`] turns packets to and from bytes.
//!
//! [`path`] and [`permission`] are the values inside, [`client`] is one request and its reply, with watch events kept
//! on the side.

pub mod client;
pub mod events;
pub mod path;
pub mod permission;

pub use crate::wire::xenstore::Refusal;
pub use client::{Client, Error, Listing, Lost, NUMBERS_MAX, Numbers, Transaction, Transport, unless_refused};
pub use events::Event;
pub use path::{Joined, Path};
pub use permission::{Access, Permission};
