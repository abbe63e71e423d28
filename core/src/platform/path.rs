//! Paths of the guest's files, and what is said of them: checked names, kinds, and the sentences for what failed.
//!
//! A [`GuestPath`] is absolute and plain. It says nothing about what is there, and an implementation may put a root
//! before it.

use core::fmt;

use crate::wire::errno::Errno;

/// Longest path of a file, one less than Linux's PATH_MAX, which counts the zero byte.
pub const GUEST_PATH_MAX: usize = 4095;

/// The path of a file in the guest: absolute, without `.`, `..`, empty components or control characters. It says
/// nothing about what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GuestPath<'a>(&'a str);

/// Why a text is not the path of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PathError {
    /// It does not begin with a slash.
    NotAbsolute,
    /// It has a component `.` or `..`, or an empty one, or ends in a slash.
    NotPlain,
    /// It has a control character in it.
    NotText,
    /// It is longer than the system allows.
    TooLong,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathError::NotAbsolute => "the path must be absolute",
            PathError::NotPlain => "the path must name a file, without '.', '..' or empty components",
            PathError::NotText => "the path must be text without control characters",
            PathError::TooLong => "the path is too long",
        })
    }
}

impl<'a> GuestPath<'a> {
    /// Checks a path.
    pub fn new(path: &'a str) -> Result<GuestPath<'a>, PathError> {
        check(path).map(|()| GuestPath(path))
    }

    /// A path that is known to be one, checked when the program is compiled.
    pub const fn literal(path: &'static str) -> GuestPath<'static> {
        assert!(check(path).is_ok());
        GuestPath(path)
    }

    /// The path as text.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// The directory (`/` for what is directly below it) and the name in it.
    pub fn split(&self) -> (&'a str, &'a str) {
        match self.0.rsplit_once('/') {
            Some(("", name)) => ("/", name),
            Some(parts) => parts,
            // Every path begins with one.
            None => ("/", ""),
        }
    }

    /// The directories above the file, outermost first, the root left out.
    pub fn parents(&self) -> impl Iterator<Item = GuestPath<'a>> {
        let path = self.0;
        path.match_indices('/').skip(1).filter_map(move |(slash, _)| path.get(..slash).map(GuestPath))
    }
}

/// What is wrong with a path. A loop over bytes, as the compiler can run it.
const fn check(path: &str) -> Result<(), PathError> {
    let bytes = path.as_bytes();
    if !matches!(bytes, [b'/', ..]) {
        return Err(PathError::NotAbsolute);
    }
    if bytes.len() > GUEST_PATH_MAX {
        return Err(PathError::TooLong);
    }
    // How far the component has come, and whether it is of dots alone.
    let (mut at, mut len, mut dots, mut plain) = (1, 0, true, true);
    while at <= bytes.len() {
        if at == bytes.len() || bytes[at] == b'/' {
            plain = plain && len > 0 && !(dots && len <= 2);
            (len, dots) = (0, true);
        } else {
            // U+0080 to U+009F are control characters, too: 0xc2 and a byte of that number.
            let is_second = at > 1 && bytes[at - 1] == 0xc2;
            if bytes[at].is_ascii_control() || is_second && bytes[at] <= 0x9f {
                return Err(PathError::NotText);
            }
            (len, dots) = (len + 1, dots && bytes[at] == b'.');
        }
        at += 1;
    }
    if plain { Ok(()) } else { Err(PathError::NotPlain) }
}

impl fmt::Display for GuestPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What a name in a directory is. Symbolic links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a pipe, a socket.
    Other,
}

/// Why a link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Distrust {
    /// It belongs to this user, who is not root.
    Owner(u32),
    /// It lies in, or below, a directory that this user owns, who is not root.
    Directory(u32),
    /// It lies in, or below, a directory of root's that the group or others may write.
    OthersWrite,
}

/// A link that was not followed, as a sentence for the host and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LinkNotFollowed<'a> {
    /// The path as far as the link.
    pub link: &'a str,
    /// Whose fault it is.
    pub why: Distrust,
}

impl fmt::Display for LinkNotFollowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whose, user) = match self.why {
            Distrust::Owner(user) => ("of user", Some(user)),
            Distrust::Directory(user) => ("below a directory of user", Some(user)),
            Distrust::OthersWrite => ("below a directory that others may write", None),
        };
        write!(f, "{} is a symbolic link {whose}", self.link)?;
        user.map_or(Ok(()), |user| write!(f, " {}", u64::from(user)))?;
        f.write_str(": it is not followed")
    }
}

/// A file operation that failed, as a sentence for the host and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FileError<'a> {
    /// What was tried: "read", "replace".
    pub action: &'static str,
    /// On what.
    pub path: GuestPath<'a>,
    /// What the system said.
    pub errno: Errno,
}

impl fmt::Display for FileError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.action, self.path, self.errno)
    }
}

impl FileError<'_> {
    /// The same, of the path that the file was asked for by.
    pub(crate) fn of(self, path: GuestPath<'_>) -> FileError<'_> {
        FileError { action: self.action, path, errno: self.errno }
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

/// A change of a file that is in force and may not last, as a sentence for the host and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unsynced<'a> {
    /// The file.
    pub path: GuestPath<'a>,
    /// What the system said when its directory was to be synced.
    pub errno: Errno,
}

impl fmt::Display for Unsynced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unsynced { path, errno } = self;
        write!(f, "done, but {path} may not survive a crash: its directory cannot be synced: {errno}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_and_plain() {
        for good in ["/a", "/etc/motd", "/a b/ö", "/...", "/a.b/..c"] {
            assert!(GuestPath::new(good).is_ok(), "{good}");
        }
        let bad = [
            ("", PathError::NotAbsolute),
            ("etc/motd", PathError::NotAbsolute),
            ("/", PathError::NotPlain),
            ("/etc/", PathError::NotPlain),
            ("/etc//motd", PathError::NotPlain),
            ("/etc/../root", PathError::NotPlain),
            ("/./a", PathError::NotPlain),
            ("/..", PathError::NotPlain),
            ("/a\nb", PathError::NotText),
            ("/a\0b", PathError::NotText),
        ];
        for (path, why) in bad {
            assert_eq!(GuestPath::new(path), Err(why), "{path:?}");
        }
        assert_eq!(GuestPath::new(&"/a".repeat(2048)), Err(PathError::TooLong));
        assert!(GuestPath::new(&format!("/{}", "a".repeat(GUEST_PATH_MAX - 1))).is_ok());
    }

    #[test]
    fn what_is_wrong_is_a_sentence() {
        let why = [PathError::NotAbsolute, PathError::NotPlain, PathError::NotText, PathError::TooLong];
        assert_eq!(
            why.map(|why| why.to_string()),
            [
                "the path must be absolute",
                "the path must name a file, without '.', '..' or empty components",
                "the path must be text without control characters",
                "the path is too long",
            ]
        );
        let path = GuestPath::literal("/a/b");
        assert_eq!(
            FileError { action: "read", path, errno: Errno::IO }.to_string(),
            "cannot read /a/b: input/output error (EIO)"
        );
        assert_eq!(
            at("read", path, Err::<(), _>(Errno::IO)),
            Err(FileError { action: "read", path, errno: Errno::IO })
        );
        assert_eq!(
            Unsynced { path, errno: Errno::IO }.to_string(),
            "done, but /a/b may not survive a crash: its directory cannot be synced: input/output error (EIO)"
        );
        for (why, whose) in [
            (Distrust::Owner(1000), "of user 1000"),
            (Distrust::Directory(7), "below a directory of user 7"),
            (Distrust::OthersWrite, "below a directory that others may write"),
        ] {
            let said = LinkNotFollowed { link: "/a", why }.to_string();
            assert_eq!(said, format!("/a is a symbolic link {whose}: it is not followed"));
        }
    }

    #[test]
    fn a_path_falls_into_directory_and_name_and_parents() {
        let path = GuestPath::new("/a/b/c").unwrap();
        assert_eq!(path.split(), ("/a/b", "c"));
        assert_eq!(GuestPath::new("/c").unwrap().split(), ("/", "c"));
        let parents: Vec<_> = path.parents().map(|parent| parent.0).collect();
        assert_eq!(parents, ["/a", "/a/b"]);
        assert_eq!(GuestPath::new("/c").unwrap().parents().count(), 0);
    }
}
