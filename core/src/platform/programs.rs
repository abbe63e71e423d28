//! Programs of the guest: which are to be trusted, and those that are only told. What a command waits for is an
//! [errand](super::errands).

use super::path::GuestPath;
use crate::wire::errno::Errno;

/// A program of the system and its arguments, the first being its path.
pub type Argv<'a> = &'a [&'a core::ffi::CStr];

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ended {
    /// By itself, with this status.
    Exit(u8),
    /// By this signal.
    Signal(u8),
    /// By us: it took too long.
    Late,
}

/// Programs of the guest.
pub trait Programs {
    /// Whether the agent has given up running any (`--lockdown`).
    fn are_locked(&mut self) -> bool;
    /// Whether there is a program at `path` that root alone can have put there: [`Errno::NOENT`] if there is nothing,
    /// another errno if it is not to be trusted.
    fn is_program(&mut self, path: GuestPath<'_>) -> Result<(), Errno>;
    /// Starts programs, one after the other, and does not wait for them. Those that are not there are left alone, and
    /// so are all where the guest's files are not those of the running system.
    fn start(&mut self, programs: &[Argv<'_>]);
    /// Ends a process at once, if it is one of the guest's.
    fn end_process(&mut self, process: u32);
}
