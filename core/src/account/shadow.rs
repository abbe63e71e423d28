//! root's password: its hash in /etc/shadow, and in /etc/passwd the `x` that says so.
//!
//! Both files are edited line by line, so they may be of any size; every byte outside of the hash and the day of root's
//! line in shadow, and of its password field in passwd, stays as it was. All readers agree on the form: shadow(5),
//! passwd(5) and glibc's getspent and getpwent, which take the first line of a name. shadow-utils' lock
//! (`/etc/.pwd.lock`, lckpwdf(3)) is held meanwhile.
//!
//! Where root's field in passwd is anything but `x`, libc and PAM never look into shadow: a hash that is there goes on
//! being valid, and with none root needs no password. So it becomes `x`, once the new hash is in shadow; no hash ever
//! goes into the file that all may read. What was there is not kept: an old hash is as good as an old password.
//!
//! Where root's links lead to the files elsewhere they are edited there, and the links stay.
//!
//! Refuses: a shadow file that is missing, is no regular file, or has no line for root; a link of anybody else's.

use core::fmt;
use core::ops::ControlFlow;

use zeroize::Zeroizing;

use crate::account::hash;
use crate::account::hash::SALT_RANDOM_LEN;
use crate::files::at;
use crate::files::lines::{CHUNK, Old, Sink};
use crate::files::place::{Found, find};
use crate::files::transaction::{Backup, FileTransaction, Trouble};
use crate::platform::{Clock, Entropy, FileError, Files, GuestPath, LinkNotFollowed, LinkTarget, Log, Unsynced};
use crate::secret::Password;
use crate::wire::errno::Errno;

/// The file with the hashes.
pub const SHADOW: GuestPath<'static> = GuestPath::literal("/etc/shadow");
/// The file with the accounts.
pub const PASSWD: GuestPath<'static> = GuestPath::literal("/etc/passwd");
const LOCK: GuestPath<'static> = GuestPath::literal("/etc/.pwd.lock");

const SECONDS_A_DAY: u64 = 86400;
/// The mode of a new file, which none of the two is: what is not there is not made.
const PRIVATE: u32 = 0o600;

/// Why root's password was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AccountError {
    /// There is no shadow file.
    NoShadow,
    /// It is not a regular file.
    NotAFile(GuestPath<'static>),
    /// It is a link to a file that is not there.
    Dangling(GuestPath<'static>),
    /// It is a link that somebody else than root can have made.
    Link(LinkNotFollowed<'static>),
    /// It has no line for root.
    NoRoot,
    /// Another program holds the lock.
    Locked,
    /// There is no randomness for a salt.
    NoRandom(Errno),
    /// A fault of ours: there is no hash of the password.
    NoHash,
    /// A system call failed.
    File(FileError<'static>),
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountError::NoShadow => {
                write!(f, "there is no {SHADOW} in this guest; create it (pwconv) to have passwords set")
            }
            AccountError::NotAFile(path) => write!(f, "{path} is not a regular file"),
            AccountError::Dangling(path) => {
                write!(f, "{path} is a link to a file that is not there; is its file system mounted?")
            }
            AccountError::Link(link) => write!(f, "{link}; make it root's, where root alone may write"),
            AccountError::NoRoot => write!(f, "{SHADOW} has no line for root; add one to have its password set"),
            AccountError::Locked => write!(f, "another program is changing the accounts ({LOCK} is locked); try again"),
            AccountError::NoRandom(errno) => write!(f, "no randomness for a salt: {errno}"),
            AccountError::NoHash => f.write_str("the password cannot be hashed"),
            AccountError::File(error) => error.fmt(f),
        }
    }
}

impl From<FileError<'static>> for AccountError {
    fn from(error: FileError<'static>) -> Self {
        AccountError::File(error)
    }
}

/// Makes `password` root's, from today on. Returns what may undo it.
pub fn set_root_password<P: Files + Clock + Entropy + Log>(
    platform: &mut P,
    password: &Password,
) -> Result<Option<Unsynced<'static>>, AccountError> {
    let mut shadow = LinkTarget::new();
    let shadow = place_of(platform, SHADOW, &mut shadow)?.ok_or(AccountError::NoShadow)?;
    let mut salt = [0; SALT_RANDOM_LEN];
    platform.random(&mut salt).map_err(AccountError::NoRandom)?;
    let hash = hash::shadow_field(password, salt).ok_or(AccountError::NoHash)?;
    set_root_hash(platform, &hash, shadow)
}

/// Puts a hash into root's line of shadow, which lies at this place, with today's date. Returns what may undo it.
// In a frame of its own: what it takes is not above the frames that hold the password.
#[inline(never)]
pub fn set_root_hash<P: Files + Clock + Log>(
    platform: &mut P,
    hash: &str,
    shadow: GuestPath<'_>,
) -> Result<Option<Unsynced<'static>>, AccountError> {
    let day = platform.unix_time() / SECONDS_A_DAY;

    let _lock = match platform.lock(LOCK) {
        Err(Errno::AGAIN) => return Err(AccountError::Locked),
        // Where nobody can take it nobody has it.
        Err(Errno::ROFS) => None,
        lock => Some(at("lock", LOCK, lock)?),
    };
    let mut passwd = LinkTarget::new();
    let passwd = if has_own_password(platform)? {
        let missing = FileError { action: "look at", path: PASSWD, errno: Errno::NOENT };
        Some(place_of(platform, PASSWD, &mut passwd)?.ok_or(missing)?)
    } else {
        None
    };
    let mut files = FileTransaction::default();
    if let Err(error) = edit_both(&mut files, platform, hash, day, shadow, passwd) {
        files.give_up(platform);
        return Err(error);
    }
    let mut result = Ok(None);
    files.commit(platform, &mut |_, trouble| {
        // The paths are ours, of which one was lent to the batch.
        let ours = |path: GuestPath<'_>| if path == shadow { SHADOW } else { PASSWD };
        match *trouble {
            // A field that becomes `x` without a hash in shadow would lock root out.
            Trouble::Failed(FileError { action, path, errno }) => {
                result = Err(FileError { action, path: ours(path), errno }.into());
                ControlFlow::Break(())
            }
            Trouble::Unsynced(Unsynced { path, errno }) => {
                result = Ok(Some(Unsynced { path: ours(path), errno }));
                ControlFlow::Continue(())
            }
        }
    });
    result
}

/// Calls `each` with where the two files lie, as far as that can be told.
#[cfg(feature = "lockdown")]
pub(crate) fn for_each_place<P: Files>(platform: &mut P, each: &mut dyn FnMut(&mut P, GuestPath<'_>)) {
    for path in [SHADOW, PASSWD] {
        let mut room = LinkTarget::new();
        if let Ok(Some(place)) = place_of(platform, path, &mut room) {
            each(platform, place);
        }
    }
}

/// Where a file lies; nothing if there is none.
#[inline(never)]
fn place_of<'r, P: Files>(
    platform: &mut P,
    path: GuestPath<'static>,
    room: &'r mut LinkTarget,
) -> Result<Option<GuestPath<'r>>, AccountError> {
    match find(platform, path, room).map_err(|error| error.of(path))? {
        Found::File(place) => Ok(Some(place)),
        Found::Missing => Ok(None),
        Found::Dangling => Err(AccountError::Dangling(path)),
        // What is said of it is a part of the path.
        Found::Distrusted(LinkNotFollowed { link, why }) => {
            Err(AccountError::Link(LinkNotFollowed { link: path.as_str().get(..link.len()).unwrap_or_default(), why }))
        }
        Found::NotAFile => Err(AccountError::NotAFile(path)),
    }
}

/// Whether passwd says something else of root's password than that shadow has it. Whatever bytes are in the file: what
/// people are called need not be UTF-8.
fn has_own_password<P: Files>(platform: &mut P) -> Result<bool, AccountError> {
    let mut file = match platform.open_linked(PASSWD) {
        Err(Errno::NOENT) => return Ok(false),
        file => at("open", PASSWD, file)?,
    };
    let mut chunk = Zeroizing::new([0; CHUNK]);
    // As much of a line as tells.
    let mut start = heapless::Vec::<u8, { b"root:x:".len() }>::new();
    loop {
        let len = at("read", PASSWD, platform.read(&mut file, &mut chunk[..]))?;
        for byte in chunk.iter().take(len) {
            if *byte != b'\n' {
                // What there is no room for does not matter.
                let _ = start.push(*byte);
                continue;
            }
            if start.starts_with(b"root:") {
                return Ok(start != b"root:x:");
            }
            start.clear();
        }
        if len == 0 {
            return Ok(start.starts_with(b"root:") && start != b"root:x:");
        }
    }
}

/// Stages shadow, and passwd behind it if need be, where they lie.
fn edit_both<P: Files + Log>(
    files: &mut FileTransaction<P::Staged>,
    platform: &mut P,
    hash: &str,
    day: u64,
    shadow: GuestPath<'_>,
    passwd: Option<GuestPath<'_>>,
) -> Result<(), AccountError> {
    let mut root = Root::default();
    let edited = files.edit(platform, shadow, PRIVATE, Backup::None, &mut |old, out| {
        new_hash(old, out, &mut root, hash, day);
    });
    edited.map_err(|error| error.of(SHADOW))?;
    root.check(SHADOW)?;
    if let Some(passwd) = passwd {
        let mut root = Root::default();
        let edited =
            files.edit(platform, passwd, PRIVATE, Backup::None, &mut |old, out| in_shadow(old, out, &mut root));
        edited.map_err(|error| error.of(PASSWD))?;
        root.check(PASSWD)?;
    }
    Ok(())
}

/// Finds root's first line, which is the one that counts.
#[derive(Default)]
struct Root {
    /// It was there already.
    found: bool,
    /// The next piece is not the first one of its line.
    in_long_line: bool,
    /// It was ever there; and it was too long to be edited.
    ever_found: bool,
    too_long: bool,
}

impl Root {
    /// What stands behind root's name in its first line; nothing of other lines.
    fn rest<'l>(&mut self, old: Old<'l>) -> Option<&'l [u8]> {
        let (bytes, begins) = match old {
            Old::Line(line) => (line, true),
            Old::Piece(piece) => (piece, !core::mem::replace(&mut self.in_long_line, !piece.ends_with(b"\n"))),
            Old::End => {
                (self.found, self.in_long_line) = (false, false);
                return None;
            }
        };
        let rest = bytes.strip_prefix(b"root:").filter(|_| begins && !self.found)?;
        (self.found, self.ever_found) = (true, true);
        self.too_long |= matches!(old, Old::Piece(_));
        Some(rest).filter(|_| !self.too_long)
    }

    /// Whether it was edited.
    fn check(&self, path: GuestPath<'static>) -> Result<(), AccountError> {
        match (self.ever_found, self.too_long) {
            (true, false) => Ok(()),
            (false, _) if path == SHADOW => Err(AccountError::NoRoot),
            _ => Err(FileError { action: "change root's line of", path, errno: Errno(7) }.into()),
        }
    }
}

/// What a line has from its field of this number on, the colon before it included.
fn from_field(line: &[u8], number: usize) -> Option<&[u8]> {
    let mut colons = line.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(place, _)| place);
    line.get(colons.nth(number.checked_sub(1)?)?..)
}

/// The edit of /etc/shadow.
fn new_hash(old: Old<'_>, out: &mut dyn Sink, root: &mut Root, hash: &str, day: u64) {
    /// The fields behind the day, for a line that ends before them: no ageing, as adduser leaves it.
    const REST: &[u8] = b":0:99999:7:::";
    let Some(rest) = root.rest(old) else { return out.keep(old) };
    write!(out, "root:{hash}:{day}");
    out.bytes(from_field(rest, 2).unwrap_or(REST));
    out.put("\n");
}

/// The edit of /etc/passwd.
fn in_shadow(old: Old<'_>, out: &mut dyn Sink, root: &mut Root) {
    let Some(rest) = root.rest(old) else { return out.keep(old) };
    out.put("root:x");
    out.bytes(from_field(rest, 1).unwrap_or(b""));
    out.put("\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Distrust;
    use crate::test_platform::{FakePlatform, Node};

    const ROOTS: &str = "root:x:0:0:root:/root:/bin/bash\n";

    /// The files after a change of root's password, the hash replaced by `HASH`; what failed.
    fn changed(shadow: &str, passwd: &str) -> (Result<(), AccountError>, String, String) {
        let mut platform = FakePlatform::with(&[("/etc/shadow", shadow), ("/etc/passwd", passwd)]);
        let result = set_root_password(&mut platform, &Password::for_tests("pw"));
        let hash = hash::shadow_field(&Password::for_tests("pw"), [0x5a; SALT_RANDOM_LEN]).unwrap();
        let kept = platform.nodes.keys().filter(|path| path.ends_with(".bak~")).count();
        assert_eq!(kept, 0, "an old hash is not kept");
        let shadow = platform.text("/etc/shadow").replace(hash.as_str(), "HASH");
        (result.map(|unsynced| assert_eq!(unsynced, None)), shadow, platform.text("/etc/passwd").to_owned())
    }

    #[test]
    fn only_hash_and_day_of_roots_first_line_change() {
        let long = format!("long:{}\n", "y".repeat(3000));
        let cases = [
            ("root:*:1:0:99999:7:::\nbin:*:1:::::\n", "root:HASH:19675:0:99999:7:::\nbin:*:1:::::\n"),
            ("bin:!:1::::::\nroot:$6$old$x:1:2:3:4:5:6:7\n", "bin:!:1::::::\nroot:HASH:19675:2:3:4:5:6:7\n"),
            ("roo:a:1:\nrooted:b:2:\nroot::3:\nroot:c:4:\n", "roo:a:1:\nrooted:b:2:\nroot:HASH:19675:\nroot:c:4:\n"),
            ("xroot:a:1:\nroot:b:2:", "xroot:a:1:\nroot:HASH:19675:"),
            ("root:x\n", "root:HASH:19675:0:99999:7:::\n"),
            ("root:", "root:HASH:19675:0:99999:7:::"),
            ("root:x:5", "root:HASH:19675:0:99999:7:::"),
            ("\n\nroot:!:9:::\n", "\n\nroot:HASH:19675:::\n"),
            (&format!("{long}root:*:1:\n{long}"), &format!("{long}root:HASH:19675:\n{long}")),
        ];
        for (before, after) in cases {
            assert_eq!(changed(before, ROOTS), (Ok(()), after.to_owned(), ROOTS.to_owned()), "{before:?}");
        }
    }

    #[test]
    fn where_roots_first_line_is_too_long_no_later_one_is_taken_for_it() {
        let long = format!("root::{}\n", "y".repeat(2000));
        let error = |path| AccountError::File(FileError { action: "change root's line of", path, errno: Errno(7) });
        let two = format!("{long}root:*:1:\n");
        assert_eq!(changed(&two, ROOTS), (Err(error(SHADOW)), two.clone(), ROOTS.to_owned()));
        let shadow = "root:*:1:\n";
        let two = format!("{long}root:*:0:0::/root:/bin/sh\n");
        assert_eq!(changed(shadow, &two), (Err(error(PASSWD)), shadow.to_owned(), two.clone()));
        // Its name in the middle of a long line is nobody's.
        let other = format!("{}root:{}\nroot:*:1:\n", "y".repeat(1024), "y".repeat(2000));
        assert_eq!(changed(&other, ROOTS).0, Ok(()));
    }

    #[test]
    fn a_file_without_root_stays_and_is_told() {
        for file in ["", "root", "roo", "bin:*:1:\n", "roots:x:1:\n", "a\nroot"] {
            assert_eq!(changed(file, ROOTS), (Err(AccountError::NoRoot), file.to_owned(), ROOTS.to_owned()));
        }
    }

    #[test]
    fn a_password_of_passwds_own_goes() {
        let cases = [
            ("root::0:0:root:/root:/bin/sh\nbin::1:1::/:\n", "root:x:0:0:root:/root:/bin/sh\nbin::1:1::/:\n"),
            ("bin:x:1:1::/:\nroot:$1$old:0:0::/root:", "bin:x:1:1::/:\nroot:x:0:0::/root:"),
            ("root:*:0:0:root:/root:/bin/sh\nroot:y:0:0\n", "root:x:0:0:root:/root:/bin/sh\nroot:y:0:0\n"),
            ("root:xy:0:0:root:/root:/bin/sh\n", "root:x:0:0:root:/root:/bin/sh\n"),
            ("toor:x\nroot", "toor:x\nroot"),
            // Nothing to be said of root, or not by us.
            ("", ""),
            ("rooted::0:0\n", "rooted::0:0\n"),
            ("root:x:0:0:root:/root:/bin/sh", "root:x:0:0:root:/root:/bin/sh"),
        ];
        for (before, after) in cases {
            let (result, shadow, passwd) = changed("root:*:1:::::\n", before);
            let expected = (Ok(()), "root:HASH:19675:::::\n".to_owned(), after.to_owned());
            assert_eq!((result, shadow, passwd), expected, "{before:?}");
        }
    }

    #[test]
    fn a_name_that_is_no_text_hides_no_password() {
        let mut platform = FakePlatform::with(&[("/etc/shadow", "root:*:1:\n"), ("/etc/passwd", "")]);
        let passwd = |own: &str| [b"b\xf6n:x:1:1\nroot:", own.as_bytes(), b":0:0:r\xf6\xf6t:/root:/bin/sh\n"].concat();
        platform.nodes.insert("/etc/passwd".to_owned(), Node::File { contents: passwd(""), mode: 0o644 });
        assert_eq!(set_root_password(&mut platform, &Password::for_tests("pw")), Ok(None));
        assert_eq!(platform.nodes["/etc/passwd"], Node::File { contents: passwd("x"), mode: 0o644 });
    }

    #[test]
    fn a_line_of_roots_that_is_too_long_to_be_changed_is_an_error() {
        let long = format!("root::0:0:{}:/root:/bin/sh\n", "y".repeat(2000));
        let (result, shadow, passwd) = changed("root:*:1:\n", &long);
        assert!(matches!(result, Err(AccountError::File(FileError { path: PASSWD, .. }))), "{result:?}");
        assert_eq!((shadow.as_str(), passwd), ("root:*:1:\n", long));
    }

    #[test]
    fn passwd_changes_only_when_shadow_has() {
        for operation in 0..60 {
            let mut platform = FakePlatform::with(&[("/etc/shadow", "root:*:1:\n"), ("/etc/passwd", "root:old:0:0\n")]);
            platform.fail = Some((operation, Errno::IO));
            let result = set_root_password(&mut platform, &Password::for_tests("pw"));
            let shadow_is_new = platform.text("/etc/shadow") != "root:*:1:\n";
            let passwd_is_new = platform.text("/etc/passwd") == "root:x:0:0\n";
            assert!(shadow_is_new || !passwd_is_new, "operation {operation}: root is locked out");
            assert_eq!(result.is_ok(), passwd_is_new, "operation {operation}");
        }
    }

    #[test]
    fn what_may_not_last_is_done_and_told() {
        let mut platform = FakePlatform::with(&[("/etc/shadow", "root:*:1:\n"), ("/etc/passwd", ROOTS)]);
        platform.unsynced = Some(Errno::IO);
        let result = set_root_password(&mut platform, &Password::for_tests("pw"));
        assert_eq!(result, Ok(Some(Unsynced { path: SHADOW, errno: Errno::IO })));
        assert!(platform.text("/etc/shadow").starts_with("root:$6$"));
    }

    #[test]
    fn files_that_links_lead_to_are_changed_where_they_lie() {
        let mut platform = FakePlatform::with(&[("/state/shadow", "root:*:1:\n"), ("/state/passwd", "root::0:0\n")]);
        platform.nodes.insert("/etc/shadow".to_owned(), Node::Symlink("/state/shadow"));
        platform.nodes.insert("/etc/passwd".to_owned(), Node::Symlink("/state/passwd"));
        platform.unsynced = Some(Errno::IO);
        let result = set_root_password(&mut platform, &Password::for_tests("pw"));
        assert_eq!(result, Ok(Some(Unsynced { path: PASSWD, errno: Errno::IO })));
        assert!(platform.text("/state/shadow").starts_with("root:$6$"));
        assert_eq!(platform.text("/state/passwd"), "root:x:0:0\n");
        assert_eq!(platform.nodes["/etc/shadow"], Node::Symlink("/state/shadow"));
        assert_eq!(platform.nodes["/etc/passwd"], Node::Symlink("/state/passwd"));
        // A lock that nobody can take is nobody's: /etc is read-only.
        platform.put("/state/shadow", "root:*:1:\n");
        platform.fail = Some((3, Errno::ROFS));
        assert!(set_root_password(&mut platform, &Password::for_tests("pw")).is_ok());
        assert!(platform.fail.is_none() && platform.text("/state/shadow").starts_with("root:$6$"));
    }

    #[test]
    fn links_that_lead_to_no_file_or_are_not_roots_are_told_apart() {
        let cases = [
            (Node::Symlink("/gone"), None, AccountError::Dangling(SHADOW)),
            (Node::Symlink("/etc"), None, AccountError::NotAFile(SHADOW)),
            (Node::Device, None, AccountError::NotAFile(SHADOW)),
            (
                Node::Symlink("/etc/passwd"),
                Some(("/etc/shadow", Distrust::Owner(7))),
                AccountError::Link(LinkNotFollowed { link: "/etc/shadow", why: Distrust::Owner(7) }),
            ),
            (
                Node::Device,
                Some(("/etc", Distrust::OthersWrite)),
                AccountError::Link(LinkNotFollowed { link: "/etc", why: Distrust::OthersWrite }),
            ),
        ];
        for (node, distrusted, error) in cases {
            let mut platform = FakePlatform::with(&[("/etc/passwd", ROOTS)]);
            platform.nodes.insert("/etc/shadow".to_owned(), node);
            platform.distrusted = distrusted;
            assert_eq!(set_root_password(&mut platform, &Password::for_tests("pw")), Err(error));
        }
        assert_eq!(
            AccountError::Link(LinkNotFollowed { link: "/etc/shadow", why: Distrust::Owner(7) }).to_string(),
            "/etc/shadow is a symbolic link of user 7: it is not followed; make it root's, where root alone may write"
        );
    }

    #[test]
    fn a_passwd_that_cannot_be_replaced_is_an_error() {
        let mut platform = FakePlatform::with(&[("/etc/shadow", "root:*:1:\n"), ("/etc/passwd", "root::0:0\n")]);
        platform.nodes.insert("/etc/passwd".to_owned(), Node::Symlink("/etc/elsewhere"));
        platform.put("/etc/elsewhere", "root::0:0\n");
        platform.distrusted = Some(("/etc/passwd", Distrust::Owner(7)));
        let result = set_root_password(&mut platform, &Password::for_tests("pw"));
        assert!(matches!(result, Err(AccountError::Link(_))), "{result:?}");
        assert_eq!(platform.text("/etc/shadow"), "root:*:1:\n");
    }
}
