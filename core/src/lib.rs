//! What a Xen guest agent decides, without a system call: no `std`, no heap, no `unsafe`, every buffer with its size in
//! the type. The agent binary implements [`platform`]'s traits and a [`xenstore::Transport`]; all else is here, pure, and
//! tested here.
//!
//! Input of any bytes (from the host, the network or the file system) never panics; what does not fit is an error that
//! is answered. A panic in this crate is a bug.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod account;
pub mod agent;
pub mod cli;
pub mod command;
pub mod edit;
pub mod errno;
pub mod files;
pub mod guest;
pub mod init;
pub mod json;
pub mod netlink;
pub mod network;
pub mod platform;
mod responses;
pub mod secret;
pub mod service;
pub mod text;
pub mod time;
pub mod tools;
pub mod update;
pub mod walk;
pub mod xenstore;

#[cfg(test)]
mod test_platform;
