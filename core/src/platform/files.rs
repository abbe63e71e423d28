//! The guest's files: as few operations as replacing a file safely takes.

use super::path::{Distrust, FileKind, GuestPath};
use crate::wire::errno::Errno;

/// What is known of a change of names that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Durability {
    /// It is on the disk.
    Synced,
    /// It is in force, but the directory could not be synced, so that a crash may undo it.
    Unsynced(Errno),
}

/// The name of a file that is not in its place yet. Where several are written at once, a dot and a number follow.
pub const STAGED_NAME: &str = ".nanova.new";
/// Most files that are staged at once.
pub const STAGED_MAX: u8 = 32;
/// The name of a new agent's file that has yet to show that it serves, beside the old one's.
pub const UPDATE_NAME: &str = ".nanova.update";
/// Its number among staged files.
pub const UPDATE_NUMBER: u8 = u8::MAX;

/// The guest's files, as few operations as replacing a file safely takes.
///
/// The way to the directory of a path goes through links of root's alone ([`crate::files::walk`]); one that is not
/// followed is [`Errno::LOOP`], and [`Files::link_not_followed`] tells whose it is.
pub trait Files {
    /// An open file.
    type File;
    /// A new file beside the one it will replace, under a name of its own.
    type Staged;
    /// A lock that is held until it is dropped.
    type Lock;

    /// What is at `path`; nothing if a directory above it is missing, too.
    fn kind(&mut self, path: GuestPath<'_>) -> Result<Option<FileKind>, Errno>;
    /// Whether there is something at `path`, wherever symbolic links lead below the root: for what is only a sign.
    fn exists(&mut self, path: GuestPath<'_>) -> Result<bool, Errno>;
    /// Where the symbolic link at `path` leads: as much of it as `room` holds. EINVAL answers what is none.
    fn read_link(&mut self, path: GuestPath<'_>, room: &mut [u8]) -> Result<usize, Errno>;
    /// Opens the regular file at `path` for reading.
    fn open(&mut self, path: GuestPath<'_>) -> Result<Self::File, Errno>;
    /// The same, wherever symbolic links lead below the root: for what is only read. Much below /etc is a link, on some
    /// distributions all of it.
    fn open_linked(&mut self, path: GuestPath<'_>) -> Result<Self::File, Errno>;
    /// Reads the next bytes; 0 at the end.
    fn read(&mut self, file: &mut Self::File, space: &mut [u8]) -> Result<usize, Errno>;
    /// Makes a directory, mode 0755, and makes that durable.
    fn make_directory(&mut self, path: GuestPath<'_>) -> Result<(), Errno>;
    /// Gives what is at `path` a second name in the same directory. An existing name is [`Errno::EXIST`].
    fn link(&mut self, path: GuestPath<'_>, name: &str) -> Result<(), Errno>;
    /// Gives what is at `path` another name in the same directory, which must be free ([`Errno::EXIST`]).
    fn rename(&mut self, path: GuestPath<'_>, name: &str) -> Result<Durability, Errno>;
    /// The link on the way to the directory of `path` that is not followed, if there is one: at so many bytes of the
    /// path.
    fn link_not_followed(&mut self, path: GuestPath<'_>) -> Option<(usize, Distrust)>;
    /// Calls `each` with every name in the directory at `path`; none if there is no directory.
    fn names(&mut self, path: GuestPath<'_>, each: &mut dyn FnMut(&str)) -> Result<(), Errno>;
    /// Makes an empty file beside `path`, mode 0600, owner root, without an access list. One of this number that an
    /// earlier run left behind is removed first. From the first staged file until the last is published or discarded no
    /// other nanova stages any ([`Errno::AGAIN`] if one does so for too long): their names are the same.
    /// ([`UPDATE_NUMBER`] has one of its own.)
    fn stage(&mut self, path: GuestPath<'_>, number: u8) -> Result<Self::Staged, Errno>;
    /// Adds bytes to a staged file.
    fn append(&mut self, staged: &mut Self::Staged, bytes: &[u8]) -> Result<(), Errno>;
    /// Gives a staged file the owner, mode and exactly the extended attributes of another.
    fn take_over(&mut self, staged: &mut Self::Staged, from: &Self::File) -> Result<(), Errno>;
    /// Gives a staged file another mode.
    fn set_mode(&mut self, staged: &mut Self::Staged, mode: u32) -> Result<(), Errno>;
    /// Makes a staged file durable, then puts it in the place of what is at `path`, then makes that durable. Until then
    /// the old file is there, from then on the new one. On failure the staged file is still there.
    fn publish(&mut self, staged: &mut Self::Staged, path: GuestPath<'_>) -> Result<Durability, Errno>;
    /// Makes a staged file durable, and one that nothing can be added to, so that it can be run.
    fn seal(&mut self, staged: &mut Self::Staged) -> Result<(), Errno>;
    /// Gives what is at `path` a second name in the same directory; what had that name goes.
    fn replace_link(&mut self, path: GuestPath<'_>, name: &str) -> Result<(), Errno>;
    /// Puts what has that name in the same directory in the place of what is at `path`, then makes that durable.
    fn replace_with(&mut self, path: GuestPath<'_>, name: &str) -> Result<Durability, Errno>;
    /// Removes a staged file, and wipes nothing but the name.
    fn discard(&mut self, staged: &mut Self::Staged);
    /// Removes the staged file of this number that an earlier run, killed in between, left beside `path`. Returns
    /// whether there was one; not while another nanova has files staged.
    fn tidy(&mut self, path: GuestPath<'_>, number: u8) -> bool;
    /// How many bytes the file system that is mounted at `path` has, and how many of them are free for all; any path.
    fn space(&mut self, path: &str) -> Option<(u64, u64)>;
    /// Takes the write lock on the file at `path`, which is made if need be. [`Errno::AGAIN`] when somebody else holds
    /// it for too long.
    fn lock(&mut self, path: GuestPath<'_>) -> Result<Self::Lock, Errno>;
}
