//! xenstore: the wire protocol and a client for it over any byte transport.
//!
//! [`wire`] turns packets to and from bytes, [`path`] and [`permission`] are the values inside, [`client`] is one
//! request and its reply, with watch events kept on the side.

pub mod client;
pub mod events;
pub mod path;
pub mod permission;
pub mod wire;

pub use client::{Client, Error, Listing, Lost, Transaction, Transport, unless_refused};
pub use events::Event;
pub use path::{Joined, Path};
pub use permission::{Access, Permission};
pub use wire::Refusal;
