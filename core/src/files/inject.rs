//! A file that the host sends, as a whole.

use core::fmt;

use zeroize::Zeroizing;

use super::in_place::complete;
use super::lines::CHUNK;
use super::replace::{back_up, make_parents, replace, warn_of};
use crate::files::at;
use crate::platform::{
    Clock, FileError, FileKind, Files, GuestPath, Level, LinkNotFollowed, Log, STAGED_NAME, UPDATE_NAME, Unsynced,
};
use crate::wire::errno::Errno;

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
            InjectError::Link(link) => write!(f, "{link}; name the path without it"),
        }
    }
}

impl<'a> From<FileError<'a>> for InjectError<'a> {
    fn from(error: FileError<'a>) -> Self {
        InjectError::File(error)
    }
}

/// Writes `contents` to `path`.
///
/// Missing directories above it are made (0755). A new file gets mode 0600 and owner root; an old one keeps its mode,
/// owner and attributes, and what it held stays beside it as `<name>.<unix time>.bak~`. A symbolic link is replaced,
/// not followed. A file that holds these contents already is left alone. Returns what may undo it.
pub fn inject<'a, P: Files + Clock + Log>(
    platform: &mut P,
    path: GuestPath<'a>,
    contents: &[u8],
) -> Result<Option<Unsynced<'a>>, InjectError<'a>> {
    let kind = look(platform, path)?;
    let mut rest = contents;
    let is_same = kind == Some(FileKind::Regular)
        && at("read", path, read_all(platform, path, &mut |bytes| strip(&mut rest, bytes)))?
        && rest.is_empty();
    if is_same {
        platform.log(Level::Info, format_args!("skipping {path} (no changes)"));
        return Ok(None);
    }
    let old = prepare(platform, path, kind)?;
    platform.log(Level::Info, format_args!("staging {path} ({} bytes)", contents.len()));
    replace(platform, path, |platform, staged| {
        at("write beside", path, platform.append(staged, contents))?;
        settle(platform, path, staged, kind, &old)
    })
    .map_err(InjectError::File)
    .inspect(|unsynced| warn_of(platform, unsynced))
}

/// Looks at what is to be replaced.
pub(super) fn look<'a, P: Files + Log>(
    platform: &mut P,
    path: GuestPath<'a>,
) -> Result<Option<FileKind>, InjectError<'a>> {
    let name = path.split().1;
    if name.starts_with(STAGED_NAME) || name == UPDATE_NAME {
        return Err(InjectError::Reserved(path));
    }
    complete(platform);
    let kind = match platform.kind(path) {
        Err(Errno::LOOP) => {
            return Err(match platform.link_not_followed(path) {
                Some((len, why)) => {
                    InjectError::Link(LinkNotFollowed { link: path.as_str().get(..len).unwrap_or_default(), why })
                }
                None => FileError { action: "look at", path, errno: Errno::LOOP }.into(),
            });
        }
        kind => at("look at", path, kind)?,
    };
    match kind {
        Some(FileKind::Directory | FileKind::Other) => Err(InjectError::NotAFile(path)),
        kind => Ok(kind),
    }
}

/// Makes the directories that are missing, or opens the file that is to be replaced.
pub(super) fn prepare<'a, P: Files>(
    platform: &mut P,
    path: GuestPath<'a>,
    kind: Option<FileKind>,
) -> Result<Option<P::File>, FileError<'a>> {
    match kind {
        None => make_parents(platform, path).map(|()| None),
        Some(FileKind::Regular) => at("open", path, platform.open(path)).map(Some),
        Some(_) => Ok(None),
    }
}

/// What a staged file needs before it takes the place of what is there.
pub(super) fn settle<'a, P: Files + Clock + Log>(
    platform: &mut P,
    path: GuestPath<'a>,
    staged: &mut P::Staged,
    kind: Option<FileKind>,
    old: &Option<P::File>,
) -> Result<(), FileError<'a>> {
    if let Some(old) = old {
        at("keep owner, mode and attributes of", path, platform.take_over(staged, old))?;
    }
    if kind.is_some() {
        back_up(platform, path)?;
    }
    platform.log(Level::Info, format_args!("updating {path}"));
    Ok(())
}

/// Has a file read, piece by piece, as long as that says to go on. Returns whether that was to its end.
pub(super) fn read_all<P: Files>(
    platform: &mut P,
    path: GuestPath<'_>,
    each: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<bool, Errno> {
    let mut file = platform.open(path)?;
    let mut chunk = Zeroizing::new([0; CHUNK]);
    loop {
        let len = platform.read(&mut file, &mut chunk[..])?;
        if len == 0 {
            return Ok(true);
        }
        if !each(chunk.get(..len).unwrap_or_default()) {
            return Ok(false);
        }
    }
}

/// Takes these bytes from the beginning of others, if they are there.
fn strip(rest: &mut &[u8], bytes: &[u8]) -> bool {
    let after = rest.strip_prefix(bytes);
    *rest = after.unwrap_or(rest);
    after.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_platform::FakePlatform;

    const FILE: GuestPath<'static> = GuestPath::literal("/etc/file");

    #[test]
    fn a_file_of_any_length_that_holds_this_already_is_left_alone_and_no_other() {
        for piece in [100, usize::MAX] {
            for len in [0, 1, 1023, 1024, 1025, 3000] {
                let contents = "x".repeat(len);
                let old = [contents.clone(), format!("{contents}y"), format!("y{contents}")];
                for (place, old) in old.iter().chain(contents.get(1..).map(str::to_owned).iter()).enumerate() {
                    let mut platform = FakePlatform::with(&[("/etc/file", old)]);
                    platform.piece = piece;
                    assert_eq!(inject(&mut platform, FILE, contents.as_bytes()), Ok(None));
                    assert_eq!(platform.text("/etc/file"), contents);
                    let skipped = platform.logged() == "skipping /etc/file (no changes)";
                    assert_eq!((skipped, platform.nodes.len() == 2), (place == 0, place == 0), "{len} {place}");
                }
            }
        }
    }

    #[test]
    fn whatever_keeps_it_from_being_written_is_named() {
        let mut actions = std::vec::Vec::new();
        for operation in 0.. {
            let mut platform = FakePlatform::with(&[("/etc/file", "old")]);
            platform.fail = Some((operation, Errno::IO));
            match inject(&mut platform, FILE, b"new") {
                Ok(unsynced) if platform.fail.is_some() => {
                    assert_eq!(unsynced, None);
                    break;
                }
                // How many backups there are is no matter.
                Ok(_) => continue,
                Err(InjectError::File(error)) => actions.push(error.action),
                Err(error) => panic!("{error}"),
            }
            assert_eq!(platform.text("/etc/file"), "old");
        }
        let wanted = [
            "look at",
            "read",
            "read",
            "open",
            "make a file beside",
            "write beside",
            "keep owner, mode and attributes of",
            "back up",
            "replace",
        ];
        assert_eq!(actions, wanted);
        let mut platform = FakePlatform::with(&[]);
        platform.fail = Some((0, Errno::LOOP));
        let error = FileError { action: "look at", path: FILE, errno: Errno::LOOP };
        assert_eq!(inject(&mut platform, FILE, b""), Err(InjectError::File(error)));
    }

    #[test]
    fn what_may_not_last_is_returned_and_logged() {
        let mut platform = FakePlatform::with(&[]);
        platform.unsynced = Some(Errno::IO);
        let unsynced = inject(&mut platform, FILE, b"x").unwrap();
        assert_eq!(unsynced, Some(Unsynced { path: FILE, errno: Errno::IO }));
        assert!(platform.logged().contains("staging /etc/file (1 bytes)"));
        assert!(platform.logged().contains("done, but /etc/file may not survive a crash"));
    }
}
