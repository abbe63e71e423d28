//! A page of words: of a file that is mapped, so that it outlives the process, or of memory alone.
//!
//! # Invariants
//! The mapping is never unmapped. Words are read and written one by one and in order (volatile): whoever else has the
//! file mapped may change them at any moment, which changes what is read and no more. (Who cuts the file has the next
//! access end the process. It is root's.)

use core::ptr::null_mut;

use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};

/// Words in a page.
const WORDS: usize = 4096 / size_of::<u64>();

/// The page.
pub(crate) struct Page(*mut u64);

impl Page {
    /// Maps the first page of a file, which has one.
    pub(crate) fn of_file(file: BorrowedFd<'_>) -> Result<Page, Errno> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of anybody's.
        let start = unsafe { mmap(null_mut(), 4096, protection, MapFlags::SHARED, file, 0) }?;
        Ok(Page(start.cast()))
    }

    /// A page that nobody else has.
    pub(crate) fn of_memory() -> Result<Page, Errno> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: as in `of_file`.
        let start = unsafe { mmap_anonymous(null_mut(), 4096, protection, MapFlags::PRIVATE) }?;
        Ok(Page(start.cast()))
    }

    /// The word at this place; 0 behind the last.
    pub(crate) fn word(&self, at: usize) -> u64 {
        if at >= WORDS {
            return 0;
        }
        // SAFETY: it is within the page, which is mapped and aligned; any bits are a number.
        unsafe { self.0.add(at).read_volatile() }
    }

    /// Changes a word; nothing happens behind the last.
    pub(crate) fn set_word(&mut self, at: usize, value: u64) {
        if at < WORDS {
            // SAFETY: as in `word`; the page can be written.
            unsafe { self.0.add(at).write_volatile(value) }
        }
    }
}
