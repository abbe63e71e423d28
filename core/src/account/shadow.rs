//! root's line in /etc/shadow.
//!
//! The file is streamed through a small state machine, so it may be of any size; every byte outside of the
//! hash and the day of root's line stays as it was. Two readers agree on the form: shadow(5) and glibc's getspent, which
//! takes the first line of a name. shadow-utils' lock (`/etc/.pwd.lock`, lckpwdf(3)) is held meanwhile.

use core::fmt;

use zeroize::Zeroizing;

use super::hash::{self, FIELD_LEN, SALT_RANDOM_LEN};
use crate::errno::Errno;
use crate::files::{CHUNK, at, replace};
use crate::platform::{FileError, FileKind, GuestPath, Level, Platform};
use crate::secret::Password;

/// The file.
pub const SHADOW: GuestPath<'static> = GuestPath::literal("/etc/shadow");
const LOCK: GuestPath<'static> = GuestPath::literal("/etc/.pwd.lock");

const SECONDS_A_DAY: u64 = 86400;

/// Why root's password was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AccountError {
    /// There is no shadow file.
    NoShadow,
    /// It is not a regular file.
    NotAFile,
    /// It has no line for root.
    NoRoot,
    /// Another program holds the lock.
    Locked,
    /// There is no randomness for a salt.
    NoRandom(Errno),
    /// A system call failed.
    File(FileError<'static>),
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountError::NoShadow => {
                write!(f, "there is no {SHADOW} in this guest; create it (pwconv) to have passwords set")
            }
            AccountError::NotAFile => write!(f, "{SHADOW} is not a regular file"),
            AccountError::NoRoot => write!(f, "{SHADOW} has no line for root; add one to have its password set"),
            AccountError::Locked => write!(f, "another program is changing the accounts ({LOCK} is locked); try again"),
            AccountError::NoRandom(errno) => write!(f, "no randomness for a salt: {errno}"),
            AccountError::File(error) => error.fmt(f),
        }
    }
}

impl From<FileError<'static>> for AccountError {
    fn from(error: FileError<'static>) -> Self {
        AccountError::File(error)
    }
}

/// Makes `password` root's, from today on.
pub fn set_root_password<P: Platform>(platform: &mut P, password: &Password) -> Result<(), AccountError> {
    match platform.kind(SHADOW) {
        Ok(Some(FileKind::Regular)) => {}
        Ok(Some(_)) => return Err(AccountError::NotAFile),
        Ok(None) => return Err(AccountError::NoShadow),
        Err(errno) => return Err(FileError { action: "look at", path: SHADOW, errno }.into()),
    }
    let mut salt = [0; SALT_RANDOM_LEN];
    platform.random(&mut salt).map_err(AccountError::NoRandom)?;
    let field = hash::shadow_field(password, salt).unwrap_or_default();
    let day = platform.unix_time() / SECONDS_A_DAY;

    let _lock = match platform.lock(LOCK) {
        Err(Errno::AGAIN) => return Err(AccountError::Locked),
        lock => at("lock", LOCK, lock)?,
    };
    let mut old = at("open", SHADOW, platform.open(SHADOW))?;
    platform.log(Level::Info, format_args!("staging {SHADOW} (new password for root)"));
    replace(platform, SHADOW, |platform, staged| {
        let mut editor = Editor::new(&field, day);
        let mut chunk = Zeroizing::new([0; CHUNK]);
        loop {
            let len = at("read", SHADOW, platform.read(&mut old, &mut chunk[..]))?;
            let mut sink = |bytes: &[u8]| at("write beside", SHADOW, platform.append(staged, bytes));
            if len == 0 {
                editor.end(&mut sink)?;
                break;
            }
            editor.feed(&chunk[..len], &mut sink)?;
        }
        if !editor.changed() {
            return Err(AccountError::NoRoot);
        }
        at("keep owner, mode and attributes of", SHADOW, platform.take_over(staged, &old))?;
        platform.log(Level::Info, format_args!("updating {SHADOW}"));
        Ok(())
    })
}

/// Where in the file the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the name of a line that so far reads like root's.
    Name(usize),
    /// Anywhere that is copied.
    Copied,
    /// In root's old hash, which is dropped; the new one is written already.
    OldHash,
    /// In the day of root's last change, likewise.
    OldDay,
}

/// Replaces hash and day in root's line, byte by byte, whatever pieces the file comes in.
///
/// # Invariants
/// In [`Place::Name`]`(n)` the first `n` bytes of [`Editor::ROOT`] were read and not yet written.
struct Editor<'a> {
    hash: &'a heapless::String<FIELD_LEN>,
    day: u64,
    place: Place,
    changed: bool,
}

impl<'a> Editor<'a> {
    const ROOT: &'static [u8] = b"root:";
    /// The fields behind the day, for a line that ends before them: no ageing, as adduser leaves it.
    const REST: &'static [u8] = b":0:99999:7:::";

    fn new(hash: &'a heapless::String<FIELD_LEN>, day: u64) -> Editor<'a> {
        Editor { hash, day, place: Place::Name(0), changed: false }
    }

    fn changed(&self) -> bool {
        self.changed
    }

    fn feed<E>(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            match self.place {
                Place::Copied => {
                    let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |newline| newline + 1);
                    sink(&rest[..end])?;
                    if rest[end - 1] == b'\n' && !self.changed {
                        self.place = Place::Name(0);
                    }
                    rest = &rest[end..];
                    continue;
                }
                Place::Name(matched) if byte == Self::ROOT[matched] => {
                    self.place = Place::Name(matched + 1);
                    if matched + 1 == Self::ROOT.len() {
                        self.begin(sink)?;
                    }
                }
                Place::Name(matched) => {
                    sink(&Self::ROOT[..matched])?;
                    self.place = Place::Copied;
                    continue;
                }
                Place::OldHash if byte == b':' => self.place = Place::OldDay,
                Place::OldDay if byte == b':' => {
                    sink(b":")?;
                    self.place = Place::Copied;
                }
                Place::OldHash | Place::OldDay if byte == b'\n' => {
                    sink(Self::REST)?;
                    sink(b"\n")?;
                    self.place = Place::Copied;
                }
                Place::OldHash | Place::OldDay => {}
            }
            rest = after;
        }
        Ok(())
    }

    /// Says that there are no more bytes.
    fn end<E>(&mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        match self.place {
            Place::Name(matched) => sink(&Self::ROOT[..matched]),
            Place::OldHash | Place::OldDay => sink(Self::REST),
            Place::Copied => Ok(()),
        }
    }

    /// Writes what is new; the old hash and day are to be passed over.
    fn begin<E>(&mut self, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let day = crate::text::Bounded::<20>::of(format_args!("{}", self.day));
        for piece in [Self::ROOT, self.hash.as_bytes(), b":", day.as_str().as_bytes()] {
            sink(piece)?;
        }
        self.place = Place::OldHash;
        self.changed = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, any, prop, prop_assert_eq, prop_oneof, proptest};

    fn edit(file: &str, pieces: &[usize]) -> (String, bool) {
        let hash = "HASH".try_into().unwrap();
        let mut editor = Editor::new(&hash, 19000);
        let mut out = Vec::new();
        let mut sink = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok::<(), ()>(())
        };
        let (mut rest, mut sizes) = (file.as_bytes(), pieces.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            editor.feed(piece, &mut sink).unwrap();
            rest = after;
        }
        editor.end(&mut sink).unwrap();
        let changed = editor.changed();
        (String::from_utf8(out).unwrap(), changed)
    }

    #[test]
    fn only_hash_and_day_of_roots_first_line_change() {
        let cases = [
            ("root:*:1:0:99999:7:::\nbin:*:1:::::\n", "root:HASH:19000:0:99999:7:::\nbin:*:1:::::\n"),
            ("bin:!:1::::::\nroot:$6$old$x:1:2:3:4:5:6:7\n", "bin:!:1::::::\nroot:HASH:19000:2:3:4:5:6:7\n"),
            ("roo:a:1:\nrooted:b:2:\nroot::3:\nroot:c:4:\n", "roo:a:1:\nrooted:b:2:\nroot:HASH:19000:\nroot:c:4:\n"),
            ("xroot:a:1:\nroot:b:2:", "xroot:a:1:\nroot:HASH:19000:"),
            ("root:x\n", "root:HASH:19000:0:99999:7:::\n"),
            ("root:", "root:HASH:19000:0:99999:7:::"),
            ("root:x:5", "root:HASH:19000:0:99999:7:::"),
            ("\n\nroot:!:9:::\n", "\n\nroot:HASH:19000:::\n"),
        ];
        for (before, after) in cases {
            for pieces in [[1], [2], [3], [1000]] {
                assert_eq!(edit(before, &pieces), (after.to_owned(), true), "{before:?}");
            }
        }
    }

    #[test]
    fn a_file_without_root_is_copied_and_says_so() {
        for file in ["", "root", "roo", "bin:*:1:\n", "roots:x:1:\n", "a\nroot"] {
            assert_eq!(edit(file, &[1]), (file.to_owned(), false));
        }
    }

    proptest! {
        #[test]
        fn the_pieces_make_no_difference(
            lines in prop::collection::vec(prop_oneof![Just("root:x:1:::".to_owned()), "[rot:a]{0,8}", any::<String>()], 0..6),
            pieces in prop::collection::vec(1usize..7, 1..10),
        ) {
            let file = lines.join("\n");
            prop_assert_eq!(edit(&file, &pieces), edit(&file, &[file.len().max(1)]));
        }
    }
}
