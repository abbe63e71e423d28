//! What a Xen guest agent decides, without a system call: no `std`, no heap, no `unsafe`, every buffer with its size in
//! the type. The agent binary implements [`platform`]'s traits and a [`xenstore::Transport`]; all else is here, pure,
//! and tested here.
//!
//! Input of any bytes (from the host, the network or the file system) never panics; what does not fit is an error that
//! is answered. A panic in this crate is a bug.
//!
//! Each part is a feature, on by default; core/README.md has the table. Leaves first; no module imports one that stands
//! below it:
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
//! | [`hotplug`] | processors and memory that are added |
//! | [`update`] | a new agent in the place of the old one |
//! | [`commands`] | what the host asks for, one file a family |
//! | [`record`] | what the flight recorder has kept |
//! | [`engine`] | requests in, responses out |
//! | [`boot`] | what a first process is told |
//! | [`lockdown`] | what an agent keeps that gives up all it does not need |
//! | [`cli`] | what a person types |
//! | [`tools`] | the xenstore command-line tools |

#![cfg_attr(not(any(test, feature = "test-support")), no_std)]
#![forbid(unsafe_code)]
// Small things that several parts share are unused in a build with few of them; the linker drops them.
#![cfg_attr(
    not(all(feature = "xapi", feature = "handover", feature = "update", feature = "drop-in", feature = "status")),
    allow(dead_code)
)]

#[cfg(feature = "commands")]
pub mod account;
#[cfg(feature = "init")]
pub mod boot;
pub mod cli;
#[cfg(feature = "commands")]
pub mod commands;
pub mod engine;
pub mod files;
#[cfg(feature = "hotplug")]
pub mod hotplug;
#[cfg(feature = "lockdown")]
pub mod lockdown;
pub mod network;
pub mod platform;
pub mod record;
pub mod report;
#[cfg(feature = "commands")]
pub mod secret;
#[cfg(feature = "tools")]
pub mod tools;
#[cfg(feature = "update")]
pub mod update;
pub mod wire;
pub mod xenstore;

// What tests stand on, and the fuzz targets (`tests/fuzz`).
#[cfg(any(test, feature = "test-support"))]
pub mod test_platform;
#[cfg(any(test, feature = "test-support"))]
pub mod test_xenstore;
