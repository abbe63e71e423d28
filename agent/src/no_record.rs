//! The flight recorder of a build without one: nothing is recorded.

use core::fmt;

use nanova_core::engine::Action;
use nanova_core::platform::Level;
#[cfg(feature = "errands")]
use nanova_core::platform::{Ended, Errand};
use nanova_core::wire::errno::Errno;
use nanova_core::wire::xenstore::MessageType;
use nanova_core::xenstore::{Error, Event};

/// What was done with a thing that has a name.
pub(crate) enum Done {
    Staged,
    Published,
    Mounted,
    Loaded,
    Connected,
}

pub(crate) fn started() -> u64 {
    0
}

pub(crate) fn exchanged(_: MessageType, _: u32, _: &[u8], _: Option<Error>, _: u64) {}
pub(crate) fn heard(_: &Event<'_>) {}
pub(crate) fn acts(_: &Action) {}
pub(crate) fn line(_: Level, _: fmt::Arguments<'_>) {}
pub(crate) fn request(_: &str) {}
pub(crate) fn completed(_: &str, _: &str) {}
#[cfg(feature = "errands")]
pub(crate) fn errand_begun(_: Errand, _: u32) {}
#[cfg(feature = "errands")]
pub(crate) fn errand_ended(_: Errand, _: Ended) {}
pub(crate) fn asked_kernel(_: u16, _: Result<(), Errno>) {}
pub(crate) fn done(_: Done, _: &[u8], _: u16) {}
pub(crate) fn signal(_: u32) {}
