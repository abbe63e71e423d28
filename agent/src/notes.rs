//! The page that outlives the agent: a file in /run, mapped, so that noting something is no system call.

use nanova_core::platform::{GuestPath, Level, Log, Notes};
use nanova_core::wire::errno::Errno;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;

use crate::errno::errno;
use crate::files::reserve;
use crate::rt::page::Page;
use crate::system::System;

/// The file: the agent's alone. /run is empty after a boot.
const FILE: GuestPath<'static> = GuestPath::literal("/run/nanova.note");
const LEN: u64 = 4096;

impl System<'_> {
    /// Opens the page; where there is no /run, or it cannot be written, the page is the process's alone. Returns
    /// whether there is one.
    pub(crate) fn open_notes(&mut self) -> bool {
        let lasting = self.open_at(FILE, OFlags::RDWR | OFlags::CREATE).and_then(|file| map(&file));
        if let Err(error) = &lasting
            && *error != Errno::NOENT
        {
            self.log(Level::Warn, format_args!("what is noted does not outlive this agent: {FILE}: {error}"));
        }
        self.notes_outlive = lasting.is_ok();
        self.notes = lasting.or_else(|_| Page::of_memory().map_err(errno)).ok();
        self.notes.is_some()
    }
}

/// Maps the file, if it is what an agent has made; [`Errno::PERM`] if not.
fn map(file: &OwnedFd) -> Result<Page, Errno> {
    reserve(file, LEN)?;
    Page::of_file(file.as_fd()).map_err(errno)
}

impl Notes for System<'_> {
    fn word(&mut self, at: usize) -> u64 {
        self.notes.as_ref().map_or(0, |page| page.word(at))
    }

    fn set_word(&mut self, at: usize, value: u64) {
        if let Some(page) = &mut self.notes {
            page.set_word(at, value);
        }
    }

    fn outlives(&self) -> bool {
        self.notes_outlive
    }
}
