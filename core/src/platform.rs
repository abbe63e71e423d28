//! What the core needs done: the traits that the agent binary implements, and tests imitate.
//!
//! The core decides *what* and in *which order*; an implementation makes one system call or a few for each method and
//! decides nothing. Paths come checked ([`GuestPath`]) and are the guest's: an implementation may put a root before them.

use core::fmt;

use crate::errno::Errno;
use crate::netlink::{Message, Reply};
use crate::network::Ip;
use crate::text::Bounded;
use crate::walk::Distrust;

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Level {
    /// Something did not work, and a person should know.
    Error,
    /// Something is odd; the agent goes on.
    Warn,
    /// What the agent does.
    Info,
    /// How it does it.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// The level with this name.
    pub fn named(name: &str) -> Option<Level> {
        Some(match name {
            "error" => Level::Error,
            "warn" | "warning" => Level::Warn,
            "info" => Level::Info,
            "debug" => Level::Debug,
            "trace" => Level::Trace,
            _ => return None,
        })
    }
}

/// The kernel's side of the network.
pub trait Netlink {
    /// Makes one request; what comes in answer to it goes to `each`.
    fn ask(&mut self, message: &Message, each: &mut dyn FnMut(&Reply)) -> Result<(), Errno>;
    /// Gives the system its name.
    fn set_host_name(&mut self, name: &str) -> Result<(), Errno>;
    /// Starts programs, one after the other, and does not wait for them. Those that are not there are left alone, and so are
    /// all where the guest's files are not those of the running system.
    fn start(&mut self, programs: &[Program<'_>]);
    /// Ends a process at once, if it is one of the guest's.
    fn end_process(&mut self, process: u32);
}

/// A program of the system and its arguments, the first being its path.
pub type Program<'a> = &'a [&'a core::ffi::CStr];

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ended {
    /// By itself, with this status.
    Exit(u8),
    /// By this signal.
    Signal(u8),
    /// By us: it took too long.
    Late,
}

/// Programs of the guest that are waited for.
pub trait Programs {
    /// Whether there is a program at `path` that root alone can have put there: [`Errno::NOENT`] if there is nothing, another
    /// errno if it is not to be trusted.
    fn is_program(&mut self, path: GuestPath<'_>) -> Result<(), Errno>;
    /// Runs it, with one argument or none, for so many seconds at the most. `input` is its standard input; what it prints goes to `output` as far as there
    /// is room. Returns how it ended and how much it printed.
    fn run(
        &mut self,
        path: GuestPath<'_>,
        argument: Option<&'static core::ffi::CStr>,
        input: &[u8],
        output: &mut [u8],
        seconds: u32,
    ) -> Result<(Ended, usize), Errno>;
}

/// A connection to a server, and the agent's own file: what an update takes.
pub trait Download {
    /// A connection.
    type Connection;

    /// Connects, or gives up after so many seconds, as does every later call that waits as long for nothing.
    fn connect(&mut self, ip: Ip, port: u16, seconds: u32) -> Result<Self::Connection, Errno>;
    /// The address of a name, from /etc/hosts or the name servers of /etc/resolv.conf; none is asked from a moment of
    /// [`Platform::uptime`] on.
    fn resolve(&mut self, name: &str, deadline: u64) -> Option<Ip>;
    /// Sends all of it.
    fn send(&mut self, connection: &mut Self::Connection, bytes: &[u8]) -> Result<(), Errno>;
    /// Receives some; 0 at the end.
    fn receive(&mut self, connection: &mut Self::Connection, space: &mut [u8]) -> Result<usize, Errno>;
    /// Where the running agent's file is, uncut. [`Errno::PERM`] for the first process, which is a part of its image, below
    /// another root, and for a path of 200 bytes or more.
    fn own_path(&mut self) -> Result<Bounded<256>, Errno>;
}

/// Time, entropy, the log, the guest's files, its programs and its network.
pub trait Platform: Files + Netlink + Programs + Download {
    /// Seconds since 1970 in UTC, for file names and the shadow file's day.
    fn unix_time(&mut self) -> u64;
    /// Seconds since some fixed moment; never goes back.
    fn uptime(&mut self) -> u64;
    /// The system's name, as uname(2) has it.
    fn host_name(&mut self) -> Bounded<64>;
    /// The kernel's version, as uname(2) has it.
    fn kernel_release(&mut self) -> Bounded<64>;
    /// Fills `bytes` from the system's secure generator.
    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Errno>;
    /// Writes one line to the log. Never a secret; any text is fine otherwise.
    fn log(&mut self, level: Level, text: fmt::Arguments<'_>);
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
/// The way to the directory of a path goes through links of root's alone ([`crate::walk`]); one that is not followed is
/// [`Errno::LOOP`], and [`Files::link_not_followed`] tells whose it is.
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
    /// The link on the way to the directory of `path` that is not followed, if there is one: at so many bytes of the path.
    fn link_not_followed(&mut self, path: GuestPath<'_>) -> Option<(usize, Distrust)>;
    /// Calls `each` with every name in the directory at `path`; none if there is no directory.
    fn names(&mut self, path: GuestPath<'_>, each: &mut dyn FnMut(&str)) -> Result<(), Errno>;
    /// Makes an empty file beside `path`, mode 0600, owner root, without an access list. One of this number that an earlier run left behind is
    /// removed first. From the first staged file until the last is published or discarded no other nanova stages any
    /// ([`Errno::AGAIN`] if one does so for too long): their names are the same. ([`UPDATE_NUMBER`] has one of its own.)
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
    /// Removes the staged file of this number that an earlier run, killed in between, left beside `path`. Returns whether
    /// there was one; not while another nanova has files staged.
    fn tidy(&mut self, path: GuestPath<'_>, number: u8) -> bool;
    /// How many bytes the file system that is mounted at `path` has, and how many of them are free for all; any path.
    fn space(&mut self, path: &str) -> Option<(u64, u64)>;
    /// Takes the write lock on the file at `path`, which is made if need be. [`Errno::AGAIN`] when somebody else holds it
    /// for too long.
    fn lock(&mut self, path: GuestPath<'_>) -> Result<Self::Lock, Errno>;
}

/// Longest path of a file, one less than Linux's PATH_MAX, which counts the zero byte.
pub const GUEST_PATH_MAX: usize = 4095;

/// The path of a file in the guest: absolute, without `.`, `..`, empty components or control characters. It says nothing
/// about what is there.
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
        let Some(body) = path.strip_prefix('/') else { return Err(PathError::NotAbsolute) };
        if path.len() > GUEST_PATH_MAX {
            return Err(PathError::TooLong);
        }
        if path.chars().any(char::is_control) {
            return Err(PathError::NotText);
        }
        if body.split('/').any(|component| matches!(component, "" | "." | "..")) {
            return Err(PathError::NotPlain);
        }
        Ok(GuestPath(path))
    }

    /// A path that is known to be one, checked when the program is compiled.
    pub const fn literal(path: &'static str) -> GuestPath<'static> {
        assert!(path.len() > 1 && path.as_bytes()[0] == b'/');
        GuestPath(path)
    }

    /// The path as text.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// The directory (`/` for what is directly below it) and the name in it.
    pub fn split(&self) -> (&'a str, &'a str) {
        let slash = self.0.rfind('/').unwrap_or(0);
        (&self.0[..slash.max(1)], &self.0[slash + 1..])
    }

    /// The directories above the file, outermost first, the root left out.
    pub fn parents(&self) -> impl Iterator<Item = GuestPath<'a>> {
        let path = self.0;
        path.match_indices('/').skip(1).map(move |(slash, _)| GuestPath(&path[..slash]))
    }
}

impl fmt::Display for GuestPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
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
