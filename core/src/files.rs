//! Putting a whole file in the place of another: how nanova writes a file of the guest's ([`crate::edit`] does it for several).
//!
//! The new file is written beside the old one, takes over its owner, mode and extended attributes, is made durable and
//! renamed over it. Killed anywhere, the old file or the new one is there; what may be left beside it is removed by the
//! next attempt.

use core::fmt;

use zeroize::Zeroizing;

use crate::edit::Sink;
use crate::errno::Errno;
use crate::platform::{
    Durability, FileError, FileKind, Files, GuestPath, Level, Platform, STAGED_NAME, UPDATE_NAME, Unsynced,
};
use crate::text::Bounded;
use crate::walk::LinkNotFollowed;

/// How many names are tried for a backup before giving up: as many backups of one file in as many seconds.
const BACKUP_TRIES: u64 = 100;
/// Longest file name (NAME_MAX).
const NAME_MAX: usize = 255;
/// Bytes that are read at once.
pub(crate) const CHUNK: usize = 1024;

/// Why a file was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InjectError<'a> {
    /// A system call failed.
    File(FileError<'a>),
    /// The name is that of files in the making.
    Reserved(GuestPath<'a>),
    /// There is something at the path that is neither a regular file nor a symbolic link.
    NotAFile(GuestPath<'a>),
    /// The way there goes through a link that somebody else than root can have made.
    Link(LinkNotFollowed<'a>),
}

impl fmt::Display for InjectError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InjectError::File(error) => error.fmt(f),
            InjectError::Reserved(path) => write!(f, "{path} has a name that is reserved for files in the making"),
            InjectError::NotAFile(path) => write!(f, "{path} is a directory or a device; only files are replaced"),
            InjectError::Link(link) => link.fmt(f),
        }
    }
}

impl<'a> From<FileError<'a>> for InjectError<'a> {
    fn from(error: FileError<'a>) -> Self {
        InjectError::File(error)
    }
}

/// Names the file and the action that an errno belongs to.
pub(crate) fn at<'a, T>(
    action: &'static str,
    path: GuestPath<'a>,
    result: Result<T, Errno>,
) -> Result<T, FileError<'a>> {
    result.map_err(|errno| FileError { action, path, errno })
}

/// Writes `contents` to `path`.
///
/// Missing directories above it are made (0755). A new file gets mode 0600 and owner root; an old one keeps its mode, owner
/// and attributes, and what it held stays beside it as `<name>.<unix time>.bak~`. A symbolic link is replaced, not followed.
/// A file that holds these contents already is left alone. Returns what may undo it.
pub fn inject<'a, P: Platform>(
    platform: &mut P,
    path: GuestPath<'a>,
    contents: &[u8],
) -> Result<Option<Unsynced<'a>>, InjectError<'a>> {
    let name = path.split().1;
    if name.starts_with(STAGED_NAME) || name == UPDATE_NAME {
        return Err(InjectError::Reserved(path));
    }
    let kind = match platform.kind(path) {
        Err(Errno::LOOP) => {
            return Err(match platform.link_not_followed(path) {
                Some((len, why)) => InjectError::Link(LinkNotFollowed { link: &path.as_str()[..len], why }),
                None => FileError { action: "look at", path, errno: Errno::LOOP }.into(),
            });
        }
        kind => at("look at", path, kind)?,
    };
    let old = match kind {
        None => {
            make_parents(platform, path)?;
            None
        }
        Some(FileKind::Regular) => {
            if at("read", path, holds(platform, path, contents))? {
                platform.log(Level::Info, format_args!("skipping {path} (no changes)"));
                return Ok(None);
            }
            Some(at("open", path, platform.open(path))?)
        }
        Some(FileKind::Symlink) => None,
        Some(FileKind::Directory | FileKind::Other) => return Err(InjectError::NotAFile(path)),
    };
    platform.log(Level::Info, format_args!("staging {path} ({} bytes)", contents.len()));
    replace(platform, path, |platform, staged| {
        at("write beside", path, platform.append(staged, contents))?;
        if let Some(old) = &old {
            at("keep owner, mode and attributes of", path, platform.take_over(staged, old))?;
        }
        if kind.is_some() {
            back_up(platform, path)?;
        }
        platform.log(Level::Info, format_args!("updating {path}"));
        Ok(())
    })
    .map_err(InjectError::File)
    .inspect(|unsynced| warn_of(platform, unsynced))
}

/// Logs what may undo a change.
pub(crate) fn warn_of<P: Platform>(platform: &mut P, unsynced: &Option<Unsynced<'_>>) {
    if let Some(unsynced) = unsynced {
        platform.log(Level::Warn, format_args!("{unsynced}"));
    }
}

/// Writes a file of our own: what `text` gives, in place of whatever was at `path`, without a backup. Missing directories
/// above it are made. For files that nobody else writes and that can be made again: whether they survive a crash is no matter.
pub fn write<'a, F: Files>(
    files: &mut F,
    path: GuestPath<'a>,
    mode: u32,
    text: &mut dyn FnMut(&mut dyn Sink),
) -> Result<(), FileError<'a>> {
    make_parents(files, path)?;
    replace(files, path, |files, staged| {
        let mut pieces = Pieces { files, staged, waiting: Chunk::new(), result: Ok(()) };
        text(&mut pieces);
        pieces.send();
        at("write beside", path, pieces.result)?;
        at("set the mode of", path, files.set_mode(staged, mode))
    })
    .map(drop)
}

/// Bytes on their way into a file, collected so that they take few system calls; wiped when they go.
pub(crate) struct Chunk {
    bytes: Zeroizing<[u8; CHUNK]>,
    len: usize,
}

impl Chunk {
    pub(crate) fn new() -> Chunk {
        Chunk { bytes: Zeroizing::new([0; CHUNK]), len: 0 }
    }

    /// Adds as many of the bytes as there is room for; returns the others.
    pub(crate) fn add<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let room = &mut self.bytes[self.len..];
        let (now, later) = bytes.split_at(bytes.len().min(room.len()));
        room[..now.len()].copy_from_slice(now);
        self.len += now.len();
        later
    }

    /// Takes all of it out.
    pub(crate) fn take(&mut self) -> &[u8] {
        &self.bytes[..core::mem::take(&mut self.len)]
    }
}

/// Text on its way into a staged file.
struct Pieces<'a, F: Files> {
    files: &'a mut F,
    staged: &'a mut F::Staged,
    waiting: Chunk,
    result: Result<(), Errno>,
}

impl<F: Files> Pieces<'_, F> {
    fn send(&mut self) {
        let waiting = self.waiting.take();
        // What has failed once is given up as a whole; the caller is told.
        if self.result.is_ok() {
            self.result = self.files.append(self.staged, waiting);
        }
    }
}

impl<F: Files> Sink for Pieces<'_, F> {
    fn bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.waiting.add(bytes);
            if !bytes.is_empty() {
                self.send();
            }
        }
    }
}

/// Stages a file beside `path`, has it filled, and publishes it; or removes it again when something fails. Returns what may
/// undo it.
pub(crate) fn replace<'a, P: Files, E: From<FileError<'a>>>(
    platform: &mut P,
    path: GuestPath<'a>,
    fill: impl FnOnce(&mut P, &mut P::Staged) -> Result<(), E>,
) -> Result<Option<Unsynced<'a>>, E> {
    let mut staged = at("make a file beside", path, platform.stage(path, 0))?;
    let filled = fill(platform, &mut staged);
    let result = filled.and_then(|()| Ok(at("replace", path, platform.publish(&mut staged, path))?));
    if result.is_err() {
        platform.discard(&mut staged);
    }
    result.map(|durability| unsynced(path, durability))
}

/// What may undo a change of what is at `path`.
pub(crate) fn unsynced(path: GuestPath<'_>, durability: Durability) -> Option<Unsynced<'_>> {
    match durability {
        Durability::Synced => None,
        Durability::Unsynced(errno) => Some(Unsynced { path, errno }),
    }
}

pub(crate) fn make_parents<'a, P: Files>(platform: &mut P, path: GuestPath<'a>) -> Result<(), FileError<'a>> {
    for parent in path.parents() {
        match platform.kind(parent) {
            Ok(Some(_)) => {}
            Ok(None) => at("make directory", parent, platform.make_directory(parent))?,
            Err(errno) => return Err(FileError { action: "look at", path: parent, errno }),
        }
    }
    Ok(())
}

/// Whether the file holds exactly these bytes.
fn holds<P: Files>(platform: &mut P, path: GuestPath<'_>, contents: &[u8]) -> Result<bool, Errno> {
    let mut file = platform.open(path)?;
    let mut chunk = Zeroizing::new([0; CHUNK]);
    let mut rest = contents;
    loop {
        let len = platform.read(&mut file, &mut chunk[..])?;
        if len == 0 {
            return Ok(rest.is_empty());
        }
        match rest.strip_prefix(&chunk[..len]) {
            Some(after) => rest = after,
            None => return Ok(false),
        }
    }
}

/// Gives the present file a second name, so that it outlives being replaced.
pub(crate) fn back_up<'a, P: Platform>(platform: &mut P, path: GuestPath<'a>) -> Result<(), FileError<'a>> {
    let (stamp, ()) =
        at("back up", path, stamped(platform, path, "", &mut |platform, name| platform.link(path, name)))?;
    platform.log(Level::Info, format_args!("backing up {path} ({stamp}.bak~)"));
    Ok(())
}

/// Gives the present file another name, hidden from programs that read whole directories. Returns what may undo it.
pub(crate) fn move_aside<'a, P: Platform>(
    platform: &mut P,
    path: GuestPath<'a>,
) -> Result<Option<Unsynced<'a>>, FileError<'a>> {
    let moved = stamped(platform, path, ".", &mut |platform, name| platform.rename(path, name));
    let (stamp, durability) = at("move aside", path, moved)?;
    platform.log(Level::Info, format_args!("moving aside {path} ({stamp}.bak~)"));
    Ok(unsynced(path, durability))
}

/// Tries names with the time in them until one is free; returns that time. They end as no reader of configuration
/// directories takes: ifcfg, NetworkManager and run-parts all pass over a tilde.
fn stamped<P: Platform, T>(
    platform: &mut P,
    path: GuestPath<'_>,
    start: &str,
    give: &mut dyn FnMut(&mut P, &str) -> Result<T, Errno>,
) -> Result<(u64, T), Errno> {
    let (_, name) = path.split();
    let now = platform.unix_time();
    for stamp in now..now + BACKUP_TRIES {
        let stamped = Bounded::<{ NAME_MAX + 1 }>::of(format_args!("{start}{name}.{stamp}.bak~"));
        match give(platform, stamped.as_str()) {
            Ok(given) => return Ok((stamp, given)),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EXIST)
}

/// The start of a file; nothing if there is none.
#[inline(never)]
pub(crate) fn read_start<'a, F: Files>(
    files: &mut F,
    path: GuestPath<'a>,
    room: &mut [u8],
) -> Result<Option<usize>, FileError<'a>> {
    let mut file = match files.open_linked(path) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        file => at("open", path, file)?,
    };
    let mut filled = 0;
    while filled < room.len() {
        match at("read", path, files.read(&mut file, &mut room[filled..]))? {
            0 => break,
            len => filled += len,
        }
    }
    Ok(Some(filled))
}

/// The start of a file that is only told about: one that cannot be read is left out, and the log says so.
pub(crate) fn read_start_if_possible<P: Platform>(
    platform: &mut P,
    path: GuestPath<'_>,
    room: &mut [u8],
) -> Option<usize> {
    read_start(platform, path, room).unwrap_or_else(|error| {
        platform.log(Level::Warn, format_args!("{error}; left out"));
        None
    })
}

/// Calls `each` with every line of a file. A line that is no text, or longer than a kilobyte, is passed over.
#[inline(never)]
pub fn for_each_line<F: Files>(files: &mut F, path: GuestPath<'_>, each: &mut dyn FnMut(&str)) -> Result<(), Errno> {
    let mut file = files.open_linked(path)?;
    let (mut room, mut filled, mut too_long) = ([0; 1024], 0, false);
    loop {
        let len = files.read(&mut file, &mut room[filled..])?;
        filled += len;
        let (mut start, text) = (0, &room[..filled]);
        // The last line need not end in a newline.
        while let Some(newline) = text[start..]
            .iter()
            .position(|byte| *byte == b'\n')
            .or((len == 0 && start < filled).then_some(filled - start))
        {
            if let (Ok(line), false) = (core::str::from_utf8(&text[start..start + newline]), too_long) {
                each(line);
            }
            (start, too_long) = (filled.min(start + newline + 1), false);
        }
        if len == 0 {
            return Ok(());
        }
        room.copy_within(start..filled, 0);
        filled -= start;
        if filled == room.len() {
            (filled, too_long) = (0, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_platform::FakePlatform;

    #[test]
    fn lines_too_long_are_passed_over_and_no_others() {
        let text = format!("a\n{}\nb\n{}\n\nc\nunfinished", "x".repeat(1024), "y".repeat(5000));
        let mut platform = FakePlatform::with(&[("/f", &text)]);
        let mut lines = std::vec::Vec::new();
        for_each_line(&mut platform, GuestPath::literal("/f"), &mut |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["a", "b", "", "c", "unfinished"]);
    }
}
