//! Errands: what can take long, or reads what nobody vouches for, done by a child of the agent's while it goes on
//! serving. Of each [`Errand`] one is under way at a time.
//!
//! What is not a program runs confined: without a descriptor but those it needs, without a capability but the one to
//! read files, with as few system calls as it takes. What it finds comes back as a file of bytes, which the agent reads
//! as it reads a stranger's.
//!
//! One that is late is killed. One that cannot be killed, as it waits for a device that does not answer, is abandoned:
//! it is never waited for, and while two of its kind are left nothing more of the kind is begun.

use super::files::Files;
use super::path::GuestPath;
use super::programs::Ended;
use crate::wire::errno::Errno;

/// What an errand is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Errand {
    /// The sizes and UUIDs of volumes.
    Volumes,
    /// A file from a server.
    Download,
    /// A program whose end a command waits for.
    Program,
    /// Programs that are told something, such as network managers, and whose end nobody waits for.
    Telling,
    /// The program that gives new files the labels of their places.
    Labels,
}

/// What has become of errands, as the engine is told.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ErrandNews {
    /// Whether one has ended since that was told last.
    pub ended: bool,
    /// Whether any is under way.
    pub under_way: bool,
    /// Whether programs are.
    pub programs: bool,
}

/// Writes a piece of what an errand found.
pub type Found<'f> = &'f mut dyn FnMut(&[u8]) -> Result<(), Errno>;

/// What an errand does, in the child. It returns whether that was all.
pub type Work<'w, P> = &'w mut dyn FnMut(&mut P, Found<'_>) -> bool;

/// Errands.
pub trait Errands: Files + Sized {
    /// Begins one that runs no program, and may take so many seconds. [`Errno::BUSY`] while one is under way or two are
    /// abandoned; [`Errno::AGAIN`] and [`Errno::NOMEM`] where the guest may have no more processes.
    fn begin(&mut self, errand: Errand, seconds: u32, work: Work<'_, Self>) -> Result<(), Errno>;
    /// Begins [`Errand::Program`]: a program with one argument or none. `input` is its standard input; what it says on
    /// standard error goes nowhere, as it may speak of the input. Errors: as those of [`Errands::begin`].
    fn begin_program(
        &mut self,
        path: GuestPath<'_>,
        argument: Option<&'static core::ffi::CStr>,
        input: &[u8],
        seconds: u32,
    ) -> Result<(), Errno>;
    /// How an errand ended, once: [`Ended::Exit`] of 0 if it did all that it was to do. Nothing while it is under way,
    /// and where there is none.
    fn ended(&mut self, errand: Errand) -> Option<Ended>;
    /// What an errand that has ended found, from the beginning; until the next one of its kind is begun.
    fn found(&mut self, errand: Errand) -> Result<Self::File, Errno>;
    /// What the program that has ended last printed, as far as there was room.
    fn printed(&mut self) -> &[u8];
    /// Ends one at once.
    fn give_up(&mut self, errand: Errand);
}
