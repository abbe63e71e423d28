//! DHCPv4: an address for an interface of which the toolstack says nothing (RFC 2131).
//!
//! | file | is |
//! |---|---|
//! | `message` | what client and server say to each other, from and to bytes |
//! | `frame` | what it travels in before there is an address: IPv4 and UDP; and ARP, to see whose an address is |
//! | `client` | when what is said: one interface's states, with the time as an argument |
//! | `name_servers` | those that routers announce |
//! | `clients` | which interfaces have one, and what their leases are to the system |
//!
//! A library's wire format was tried: none at hand knows classless routes, overloaded fields and options in parts, so
//! the walk over options would be here all the same, and the rest of a message is eight fields.

pub mod client;
pub mod clients;
pub mod frame;
pub mod message;
mod name_servers;

pub use client::{Client, Event, Send};
pub use clients::Clients;

/// An IPv4 address as it travels.
pub type Octets = [u8; 4];
