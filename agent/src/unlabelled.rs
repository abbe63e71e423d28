//! What is new and has no label of its own yet ([`crate::labels`]): while restorecon is run on some, others wait here.

use core::ffi::CStr;

/// Room for paths that wait, and how many of them there may be.
const PATHS_ROOM: usize = 1536;
pub(crate) const PATHS_MAX: usize = 40;

/// Paths of what is new, each with its zero byte.
pub(crate) struct Unlabelled(heapless::Vec<u8, PATHS_ROOM>);

impl Unlabelled {
    pub(crate) const fn new() -> Unlabelled {
        Unlabelled(heapless::Vec::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds one. Returns whether there was room.
    pub(crate) fn add(&mut self, path: &str) -> bool {
        let (len, count) = (self.0.len(), self.paths().count());
        let fits =
            count < PATHS_MAX && [path.as_bytes(), b"\0"].iter().all(|part| self.0.extend_from_slice(part).is_ok());
        if !fits {
            self.0.truncate(len);
        }
        fits
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &CStr> {
        self.0.split_inclusive(|byte| *byte == 0).filter_map(|path| CStr::from_bytes_with_nul(path).ok())
    }
}
