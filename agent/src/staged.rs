//! A file of the guest's that is not in its place yet, as the system has it.

use core::ffi::CStr;

use nanova_core::platform::{STAGED_NAME as STAGED, UPDATE_NAME, UPDATE_NUMBER};
use nanova_core::wire::text::Bounded;
use rustix::fd::OwnedFd;

use crate::paths::terminated;

/// A new file and the directory it is in.
pub(crate) struct Staged {
    pub(crate) directory: OwnedFd,
    pub(crate) file: OwnedFd,
    pub(crate) name: StagedName,
    /// Whether it is counted in [`System::staged`].
    pub(crate) counted: bool,
    /// Whether the name is still this file's.
    pub(crate) there: bool,
    /// Whether it has no other file's label.
    pub(crate) is_new: bool,
    /// Whether it has yet to get its name.
    pub(crate) unnamed: bool,
}

/// Its name: [`STAGED`], with a number unless that is 0; or [`UPDATE_NAME`].
pub(crate) struct StagedName([u8; 17]);

impl StagedName {
    pub(crate) fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

pub(crate) fn staged_name(number: u8) -> StagedName {
    let name = match number {
        0 => Bounded::<16>::of(format_args!("{STAGED}")),
        UPDATE_NUMBER => Bounded::of(format_args!("{UPDATE_NAME}")),
        number => Bounded::of(format_args!("{STAGED}.{}", u64::from(number))),
    };
    let mut room = [0; 17];
    let _ = terminated(name.as_str(), &mut room);
    StagedName(room)
}
