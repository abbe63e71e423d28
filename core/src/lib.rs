//! What a Xen guest agent decides, without a system call: no `std`, no heap, no `unsafe`, every buffer with its size in
//! the type. The agent binary implements [`platform`]'s traits and a [`xenstore::Transport`]; all else is here, pure, and
//! tested here.
//!
//! Input of any bytes (from the host, the network or the file system) never panics; what does not fit is an error that
//! is answered. A panic in this crate is a bug.
//!
//! Leaves first; no module imports one that stands below it:
//!
//! | module | is |
//! |---|---|
//! | [`wire`] | bytes and text of others: packets, JSON, addresses, errors |
//! | [`platform`] | what is needed done, as small traits |
//! | [`xenstore`] | a client of xenstored |
//! | [`files`] | the guest's files: found, read, edited, replaced |
//! | [`secret`] | the key exchange and what is sent under its key |
//! | [`account`] | root's password |
//! | [`network`] | the network of the host: read, planned, written |
//! | [`report`] | what toolstacks see of the guest |
//! | [`update`] | a new agent in the place of the old one |
//! | [`commands`] | what the host asks for, one file a family |
//! | [`engine`] | requests in, responses out |
//! | [`boot`] | what a first process is told |
//! | [`cli`] | what a person types |
//! | [`tools`] | the xenstore command-line tools |

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod account;
pub mod boot;
pub mod cli;
pub mod commands;
pub mod engine;
pub mod files;
pub mod network;
pub mod platform;
pub mod report;
pub mod secret;
pub mod tools;
pub mod update;
pub mod wire;
pub mod xenstore;

#[cfg(test)]
mod test_platform;
