//! The page that outlives the agent: a file in /run, mapped, so that noting something is no system call.

use nanova_core::platform::{GuestPath, Level, Log, Notes};
use nanova_core::wire::errno::Errno;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FallocateFlags, FileType, OFlags, fallocate, fstat, ftruncate};
use rustix::io::Errno as SystemErrno;

use crate::errno::errno;
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
    let stat = fstat(file).map_err(errno)?;
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !regular || stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Errno::PERM);
    }
    // Where /run is full the kernel would say so only when the page is touched, by SIGBUS. What has no fallocate(2) is
    // a ramfs, which is never full.
    match fallocate(file, FallocateFlags::empty(), 0, LEN) {
        Err(SystemErrno::NOTSUP) if stat.st_size < LEN as i64 => ftruncate(file, LEN),
        Err(SystemErrno::NOTSUP) => Ok(()),
        allocated => allocated,
    }
    .map_err(errno)?;
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
