//! Paths of xenstore nodes.
//!
//! A [`Path`] has been checked against the grammar of Xen's `docs/misc/xenstore.txt`: components of
//! `[A-Za-z0-9-/_@]`, no empty one, no trailing slash, at most [`RELATIVE_MAX`] bytes (relative to the guest's home) or
//! [`ABSOLUTE_MAX`]. A path that passes can still be refused by xenstored (a shorter limit is configurable there).

use core::fmt;

/// Longest absolute path (`XENSTORE_ABS_PATH_MAX`).
pub const ABSOLUTE_MAX: usize = 3072;
/// Longest relative path (`XENSTORE_REL_PATH_MAX`).
pub const RELATIVE_MAX: usize = 2048;

/// A checked path, relative (to `/local/domain/<own id>`) or absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Path<'a>(&'a str);

/// Not a path that xenstore knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BadPath;

impl<'a> Path<'a> {
    /// Checks a path.
    pub fn new(path: &'a str) -> Result<Path<'a>, BadPath> {
        if is_path(path) { Ok(Path(path)) } else { Err(BadPath) }
    }

    /// A path that is known to be one, checked when the program is compiled.
    pub const fn literal(path: &'static str) -> Path<'static> {
        assert!(is_path(path));
        Path(path)
    }

    /// The path as text.
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

/// The grammar. A loop over bytes, as the compiler can run it.
const fn is_path(path: &str) -> bool {
    let bytes = path.as_bytes();
    let absolute = matches!(bytes, [b'/', ..]);
    if bytes.is_empty() || bytes.len() > if absolute { ABSOLUTE_MAX } else { RELATIVE_MAX } {
        return false;
    }
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            // The root; or a slash with a component behind it.
            b'/' if bytes.len() == 1 => {}
            b'/' if at + 1 == bytes.len() || bytes[at + 1] == b'/' => return false,
            b'/' | b'-' | b'_' | b'@' => {}
            other if other.is_ascii_alphanumeric() => {}
            _ => return false,
        }
        at += 1;
    }
    true
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A path that was put together here: a directory and the name of a child.
pub struct Joined(heapless::String<RELATIVE_MAX>);

impl Joined {
    /// `directory/name`, if that is a path.
    pub fn new(directory: Path<'_>, name: &str) -> Result<Joined, BadPath> {
        let mut joined = heapless::String::new();
        for piece in [directory.0, if directory.0 == "/" { "" } else { "/" }, name] {
            joined.push_str(piece).map_err(|_| BadPath)?;
        }
        Path::new(&joined)?;
        Ok(Joined(joined))
    }

    /// The path.
    pub fn as_path(&self) -> Path<'_> {
        Path(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_of_xenstore_txt() {
        for good in ["/", "name", "data/host/0", "/local/domain/0", "@introduceDomain", "a_b-C/9"] {
            assert!(Path::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a/", "/a/", "a//b", "//", "//a", "a b", "a.b", "a\0", "é", "data/host/{}"] {
            assert_eq!(Path::new(bad), Err(BadPath), "{bad}");
        }
    }

    #[test]
    fn the_length_limits_differ_for_relative_and_absolute_paths() {
        let long = "/".to_owned() + &"a".repeat(ABSOLUTE_MAX - 1);
        assert!(Path::new(&long).is_ok());
        assert!(Path::new(&(long.clone() + "a")).is_err());
        assert!(Path::new(&long[1..=RELATIVE_MAX]).is_ok());
        assert!(Path::new(&long[1..=RELATIVE_MAX + 1]).is_err());
    }

    #[test]
    fn joining_checks_the_name_and_the_length() {
        assert_eq!(Joined::new(Path::literal("data/host"), "x").unwrap().as_path().as_str(), "data/host/x");
        assert_eq!(Joined::new(Path::literal("/"), "x").unwrap().as_path().as_str(), "/x");
        assert!(Joined::new(Path::literal("data"), "").is_err());
        assert!(Joined::new(Path::literal("data"), &"a".repeat(RELATIVE_MAX)).is_err());
    }
}
