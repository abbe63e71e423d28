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
/// The number of a copy of what a file held, where no second name can be given to it.
pub const BACKUP_NUMBER: u8 = STAGED_MAX + 1;
/// The number of the copy that a file is overwritten from.
pub const COPY_NUMBER: u8 = STAGED_MAX + 2;
/// The name of a new agent's file that has yet to show that it serves, beside the old one's.
pub const UPDATE_NAME: &str = ".nanova.update";
/// Its number among staged files.
pub const UPDATE_NUMBER: u8 = u8::MAX;

/// Longest path that a link to an edited file leads to.
pub const LINK_TARGET_MAX: usize = 96;
/// Where a link leads to: a path that goes through no link.
pub type LinkTarget = heapless::String<LINK_TARGET_MAX>;

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
    /// The first bytes of a file that the kernel makes anew for whoever reads it, such as its figures. It stays open
    /// for the next time; one such file does.
    fn read_anew(&mut self, path: GuestPath<'_>, room: &mut [u8]) -> Result<usize, Errno>;
    /// Reads the next bytes; 0 at the end.
    fn read(&mut self, file: &mut Self::File, space: &mut [u8]) -> Result<usize, Errno>;
    /// Makes a directory, mode 0755, and makes that durable. It gets the label of its place as a new file does.
    fn make_directory(&mut self, path: GuestPath<'_>) -> Result<(), Errno>;
    /// Gives what is at `path` a second name in the same directory. An existing name is [`Errno::EXIST`]. A mount
    /// point can have none: it is copied ([`BACKUP_NUMBER`]) as a staged file is made, owner, mode and all.
    fn link(&mut self, path: GuestPath<'_>, name: &str) -> Result<(), Errno>;
    /// Gives what is at `path` another name in the same directory, which must be free ([`Errno::EXIST`]).
    fn rename(&mut self, path: GuestPath<'_>, name: &str) -> Result<Durability, Errno>;
    /// Where the symbolic link at `path` leads, if every link is root's as on the way to a directory: to a regular
    /// file, or to none ([`Errno::NOENT`]), to a directory ([`Errno::ISDIR`]) or to anything else ([`Errno::NOTDIR`]).
    fn link_target(&mut self, path: GuestPath<'_>) -> Result<LinkTarget, Errno>;
    /// The link on the way to the directory of `path`, or at `path`, that is not followed, if there is one: at so many
    /// bytes of the path.
    fn link_not_followed(&mut self, path: GuestPath<'_>) -> Option<(usize, Distrust)>;
    /// Calls `each` with every name in the directory at `path`; none if there is no directory.
    fn names(&mut self, path: GuestPath<'_>, each: &mut dyn FnMut(&str)) -> Result<(), Errno>;
    /// Makes an empty file beside `path`, mode 0600, owner root, without an access list. One of this number that an
    /// earlier run left behind is removed first. From the first staged file until the last is published or discarded no
    /// other nanova stages any ([`Errno::AGAIN`] if one does so for too long): their names are the same.
    /// ([`UPDATE_NUMBER`] has one of its own.)
    fn stage(&mut self, path: GuestPath<'_>, number: u8) -> Result<Self::Staged, Errno>;
    /// Makes an empty file in the directory of `path`, as [`Files::stage`] does, but one without a name: it gets that
    /// when it is published, and no other nanova is kept out before. It is kept until it is asked for; the one before
    /// goes. Whatever ends the agent, it is gone. [`Errno::OPNOTSUPP`]: not on this file system.
    fn stage_unnamed(&mut self, path: GuestPath<'_>) -> Result<(), Errno>;
    /// Adds bytes to the file that is kept.
    fn append_kept(&mut self, bytes: &[u8]) -> Result<(), Errno>;
    /// The file that is kept, which then is no more.
    fn kept(&mut self) -> Option<Self::Staged>;
    /// Adds bytes to a staged file.
    fn append(&mut self, staged: &mut Self::Staged, bytes: &[u8]) -> Result<(), Errno>;
    /// Gives a staged file the owner, mode and exactly the extended attributes of another.
    fn take_over(&mut self, staged: &mut Self::Staged, from: &Self::File) -> Result<(), Errno>;
    /// Gives a staged file another mode.
    fn set_mode(&mut self, staged: &mut Self::Staged, mode: u32) -> Result<(), Errno>;
    /// Makes a staged file durable, then puts it in the place of what is at `path`, then makes that durable. Until then
    /// the old file is there, from then on the new one. On failure the staged file is still there; [`Errno::BUSY`] says
    /// that what is at `path` is a mount point. A file that has taken over none gets the label that the guest's policy
    /// has for its place (SELinux), soon after.
    fn publish(&mut self, staged: &mut Self::Staged, path: GuestPath<'_>) -> Result<Durability, Errno>;
    /// Makes a durable staged file the copy ([`COPY_NUMBER`]) that the file at `path` is to be overwritten from,
    /// durably marks that path, and sees that there is room for the bytes. On failure the file at `path` is as it was.
    /// [`Errno::EXIST`]: another path is marked still.
    fn keep_copy(&mut self, staged: &mut Self::Staged, path: GuestPath<'_>) -> Result<(), Errno>;
    /// Overwrites the file at `path` with its copy, makes that durable, and removes copy and mark; without a copy there
    /// was only a mark. On failure copy and mark stay. [`Errno::AGAIN`] while another nanova has files staged.
    fn overwrite(&mut self, path: GuestPath<'_>) -> Result<(), Errno>;
    /// The path that is marked as one that is being overwritten, if there is one.
    fn half_written(&mut self) -> Result<Option<LinkTarget>, Errno>;
    /// Removes what has that name in the directory of `path`.
    fn remove(&mut self, path: GuestPath<'_>, name: &str) -> Result<(), Errno>;
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
