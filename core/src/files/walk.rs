//! The way to a directory of the guest's, where somebody else than root may have put links.
//!
//! A symbolic link on the way is followed only if it is root's *and* lies in a directory that root alone can write;
//! below a directory that somebody else can write, none is. Otherwise a user's `~/.ssh -> /root/.ssh` would turn the
//! key that the host injects for him into root's. The walk goes from one open directory to the next, so nobody can
//! exchange one of them meanwhile, and it never leads out of the root that it begins at.
//!
//! A link at the end of a path is followed in the same way, by [`link_target`], for files that are edited where they
//! lie.
//!
//! Refuses: more than [`LINKS_MAX`] links ([`Errno::LOOP`]), a way that is longer than a path may be
//! ([`Errno::NAMETOOLONG`]), anything on it that is no directory ([`Errno::NOTDIR`]).

use crate::platform::{Distrust, FileKind, GUEST_PATH_MAX, LinkTarget};
use crate::wire::errno::Errno;

/// Most links on one way, as many as Linux follows (path_resolution(7)).
pub const LINKS_MAX: u32 = 40;

/// What a walk needs to know of what it has opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What it is; a link itself, not what it leads to.
    pub kind: FileKind,
    /// Device and inode: two directories with the same are one.
    pub id: (u64, u64),
    /// The user id of its owner.
    pub owner: u32,
    /// Whether its mode lets the group or others write. (An access list cannot give more than the group's bits.)
    pub others_write: bool,
}

/// The system calls of a walk.
pub trait Steps {
    /// Something that is open, no link followed.
    type Handle;

    /// Opens the directory that the walk begins at, and that absolute links begin at.
    fn root(&mut self) -> Result<(Self::Handle, Opened), Errno>;
    /// Opens what has this name in a directory; `..` is the directory above.
    fn open(&mut self, directory: &Self::Handle, name: &str) -> Result<(Self::Handle, Opened), Errno>;
    /// Reads where an open link leads. Returns how many bytes that are; as many as there is room for are too many.
    fn read_link(&mut self, link: &Self::Handle, room: &mut [u8]) -> Result<usize, Errno>;
    /// The user whose links are followed beside root's: the one who runs this program, who is root but in tests.
    fn own_user(&mut self) -> u32;
}

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stopped {
    /// A system call failed, or the way is none.
    Errno(Errno),
    /// At a link that is not to be followed: at so many bytes of the path, and why.
    Link(usize, Distrust),
}

impl From<Errno> for Stopped {
    fn from(errno: Errno) -> Stopped {
        Stopped::Errno(errno)
    }
}

impl Stopped {
    /// As an error number alone.
    pub fn errno(self) -> Errno {
        match self {
            Stopped::Errno(errno) => errno,
            Stopped::Link(..) => Errno::LOOP,
        }
    }
}

/// Goes from the root to the directory at `path`, which is relative to it, or empty. Returns what was opened last.
pub fn walk<S: Steps>(steps: &mut S, path: &str) -> Result<S::Handle, Stopped> {
    go(steps, path, None)
}

/// Finds out where the regular file at `path`, which is relative to the root, lies: whatever links lead there.
pub fn link_target<S: Steps>(steps: &mut S, path: &str) -> Result<LinkTarget, Stopped> {
    let mut place = LinkTarget::new();
    go(steps, path, Some(&mut place)).map(|_| place)
}

/// Goes to a directory, or, noting the way that is gone in the end, to a regular file.
#[inline(never)]
fn go<S: Steps>(steps: &mut S, path: &str, mut place: Option<&mut LinkTarget>) -> Result<S::Handle, Stopped> {
    let own_user = steps.own_user();
    let is_own = |found: &Opened| found.owner == 0 || found.owner == own_user;
    let mut way = Way { room: [0; GUEST_PATH_MAX], start: GUEST_PATH_MAX };
    way.put_before(path.as_bytes())?;
    let (mut here, mut found) = steps.root()?;
    let root = found.id;
    let mut distrust = None;
    let mut links = 0;
    // How much of the path itself is left: what a link leads through belongs to the name that was the link's.
    let mut left = path.len();
    loop {
        if distrust.is_none() && !is_own(&found) {
            distrust = Some(Distrust::Directory(found.owner));
        } else if distrust.is_none() && found.others_write {
            distrust = Some(Distrust::OthersWrite);
        }
        let Some(name) = way.next()? else {
            return if place.is_some() { Err(Errno::ISDIR.into()) } else { Ok(here) };
        };
        if name == ".." && found.id == root {
            continue;
        }
        let (next, next_found) = steps.open(&here, name)?;
        if let Some(place) = &mut place {
            note(place, name, next_found.kind)?;
        }
        left = left.min(way.left());
        match next_found.kind {
            FileKind::Directory => (here, found) = (next, next_found),
            FileKind::Symlink => {
                let distrust = if is_own(&next_found) { distrust } else { Some(Distrust::Owner(next_found.owner)) };
                if let Some(why) = distrust {
                    let gone = path.get(..path.len() - left).unwrap_or(path);
                    return Err(Stopped::Link(gone.trim_end_matches('/').len(), why));
                }
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP.into());
                }
                if way.go_on_behind(&mut |room| steps.read_link(&next, room))? {
                    (here, found) = steps.root()?;
                    if let Some(place) = &mut place {
                        place.clear();
                    }
                }
            }
            FileKind::Regular if place.is_some() && way.left() == 0 => return Ok(next),
            FileKind::Regular | FileKind::Other => return Err(Errno::NOTDIR.into()),
        }
    }
}

/// Notes that a name was gone to. That of a link is none of the way: what it leads through is.
fn note(place: &mut LinkTarget, name: &str, kind: FileKind) -> Result<(), Errno> {
    if name == ".." {
        while place.pop().is_some_and(|c| c != '/') {}
        return Ok(());
    }
    if kind == FileKind::Symlink {
        return Ok(());
    }
    place.push_str("/").and_then(|()| place.push_str(name)).map_err(|_| Errno::NAMETOOLONG)
}

/// What is still to be gone.
///
/// # Invariants
/// It is the text from `start` to the end of the room; what is left of the path itself ends it.
struct Way {
    room: [u8; GUEST_PATH_MAX],
    start: usize,
}

impl Way {
    /// Puts bytes before what is left.
    fn put_before(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let start = self.start.checked_sub(bytes.len()).ok_or(Errno::NAMETOOLONG)?;
        self.room.get_mut(start..self.start).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(bytes);
        self.start = start;
        Ok(())
    }

    /// How many bytes are left.
    fn left(&self) -> usize {
        GUEST_PATH_MAX - self.start
    }

    /// Takes the next name away. One that is no text can only come from a link; nothing of the guest's is named so.
    fn next(&mut self) -> Result<Option<&str>, Errno> {
        loop {
            let rest = self.room.get(self.start..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(None);
            }
            let len = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            let from = self.start;
            // Behind the last name there is no slash.
            self.start = (from + len + 1).min(GUEST_PATH_MAX);
            let name = self.room.get(from..from + len).unwrap_or_default();
            if !matches!(name, b"" | b".") {
                return core::str::from_utf8(name).map(Some).map_err(|_| Errno::NOENT);
            }
        }
    }

    /// Puts where a link leads before what is left. Returns whether that is an absolute path.
    // In a frame of its own: links are few, and the room is large.
    #[inline(never)]
    fn go_on_behind(&mut self, read: &mut dyn FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<bool, Errno> {
        let mut room = [0; GUEST_PATH_MAX];
        let len = read(&mut room)?;
        let to = room.get(..len).filter(|to| to.len() < room.len()).ok_or(Errno::NAMETOOLONG)?;
        if self.start < GUEST_PATH_MAX {
            self.put_before(b"/")?;
        }
        self.put_before(to)?;
        Ok(to.first() == Some(&b'/'))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::string::String;

    use super::*;
    use crate::platform::{Distrust, FileKind, GUEST_PATH_MAX, LINK_TARGET_MAX, LinkNotFollowed};

    /// What is at an absolute path: owner, whether others may write, and where it leads if it is a link.
    #[derive(Default)]
    struct Tree {
        nodes: BTreeMap<String, (u32, bool, Option<String>)>,
        /// Who runs this program.
        user: u32,
    }

    impl Tree {
        fn of(nodes: &[(&str, u32, bool, Option<&str>)]) -> Tree {
            let mut tree = Tree::default();
            for (path, owner, others_write, leads) in nodes {
                tree.nodes.insert((*path).into(), (*owner, *others_write, leads.map(Into::into)));
            }
            tree
        }

        fn found(&self, path: &str) -> Result<(String, Opened), Errno> {
            let (place, (owner, others_write, leads)) = self
                .nodes
                .iter()
                .enumerate()
                .find(|(_, (known, _))| *known == path)
                .map(|(n, (_, node))| (n, node))
                .ok_or(Errno::NOENT)?;
            let kind = match leads {
                Some(_) => FileKind::Symlink,
                None if path.ends_with(".file") => FileKind::Regular,
                None if path.ends_with(".pipe") => FileKind::Other,
                None => FileKind::Directory,
            };
            let found = Opened { kind, id: (1, place as u64), owner: *owner, others_write: *others_write };
            Ok((path.into(), found))
        }
    }

    impl Steps for Tree {
        type Handle = String;

        fn root(&mut self) -> Result<(String, Opened), Errno> {
            self.found("/")
        }

        fn open(&mut self, directory: &String, name: &str) -> Result<(String, Opened), Errno> {
            let above = directory.trim_end_matches('/');
            if name == ".." {
                let (above, _) = above.rsplit_once('/').unwrap();
                return self.found(if above.is_empty() { "/" } else { above });
            }
            self.found(&format!("{above}/{name}"))
        }

        fn read_link(&mut self, link: &String, room: &mut [u8]) -> Result<usize, Errno> {
            let to = self.nodes[link].2.as_ref().unwrap();
            let len = to.len().min(room.len());
            room[..len].copy_from_slice(&to.as_bytes()[..len]);
            Ok(len)
        }

        fn own_user(&mut self) -> u32 {
            self.user
        }
    }

    fn guest() -> Tree {
        Tree::of(&[
            ("/", 0, false, None),
            ("/var", 0, false, None),
            ("/var/run", 0, false, Some("../run//./")),
            ("/run", 0, false, None),
            ("/run/x", 0, false, None),
            ("/home", 0, false, None),
            ("/home/u", 1000, false, None),
            ("/home/u/.ssh", 1000, false, Some("/root/.ssh")),
            ("/home/u/roots", 0, false, Some("/run")),
            ("/home/u/real", 1000, false, None),
            ("/home/u/real/roots", 0, false, Some("/run")),
            ("/tmp", 0, true, None),
            ("/tmp/roots", 0, false, Some("/run")),
            ("/root", 0, false, None),
            ("/root/.ssh", 0, false, None),
            ("/theirs", 1000, false, Some("/run")),
            ("/out", 0, false, Some("../../../run")),
            ("/over", 0, false, Some("/var/run")),
            ("/round", 0, false, Some("round")),
            ("/users", 0, false, Some("/home/u")),
            ("/empty", 0, false, Some("")),
            ("/etc", 0, false, Some("state/etc")),
            ("/state", 0, false, None),
            ("/state/etc", 0, false, None),
            ("/state/etc/one", 0, false, Some(".././/one.file")),
            ("/state/etc/two", 0, false, Some("/etc/three")),
            ("/state/etc/three", 0, false, Some("../../../var/run/x/../../state/one.file/")),
            ("/state/etc/here.file", 0, false, None),
            ("/state/etc/theirs", 1000, false, Some("here.file")),
            ("/state/etc/through", 0, false, Some("/home/u/link")),
            ("/state/etc/users", 0, false, Some("/home/u/own.file")),
            ("/state/etc/none", 0, false, Some("gone.file")),
            ("/state/etc/directory", 0, false, Some("/run")),
            ("/state/etc/pipe", 0, false, Some("a.pipe")),
            ("/state/etc/a.pipe", 0, false, None),
            ("/state/etc/below", 0, false, Some("here.file/x")),
            ("/state/one.file", 0, false, None),
            ("/home/u/own.file", 1000, false, None),
            ("/home/u/link", 0, false, Some("own.file")),
            ("/é", 0, false, None),
            ("/é/through", 0, false, Some("/home/u/.ssh/a/much/longer/way/than/the/path")),
        ])
    }

    #[test]
    fn roots_links_where_root_alone_may_write_are_followed() {
        let ways = [
            ("", "/"),
            ("var", "/var"),
            ("var/run", "/run"),
            ("var/run/x", "/run/x"),
            ("over/x", "/run/x"),
            ("out/x", "/run/x"),
            ("home/u/real", "/home/u/real"),
            ("users/real", "/home/u/real"),
        ];
        for (path, end) in ways {
            assert_eq!(walk(&mut guest(), path), Ok(end.into()), "{path}");
        }
    }

    #[test]
    fn a_file_that_roots_links_lead_to_has_a_place_without_links() {
        let places = [
            ("etc/one", "/state/one.file"),
            ("etc/two", "/state/one.file"),
            ("etc/here.file", "/state/etc/here.file"),
            ("etc/users", "/home/u/own.file"),
        ];
        for (path, place) in places {
            assert_eq!(link_target(&mut guest(), path).as_deref(), Ok(place), "{path}");
        }
        let none = [
            ("etc/theirs", Stopped::Link(10, Distrust::Owner(1000))),
            ("etc/through", Stopped::Link(11, Distrust::Directory(1000))),
            ("etc/none", Stopped::Errno(Errno::NOENT)),
            ("etc/directory", Stopped::Errno(Errno::ISDIR)),
            ("etc/pipe", Stopped::Errno(Errno::NOTDIR)),
            ("etc/below", Stopped::Errno(Errno::NOTDIR)),
            ("round", Stopped::Errno(Errno::LOOP)),
        ];
        for (path, stopped) in none {
            assert_eq!(link_target(&mut guest(), path), Err(stopped), "{path}");
        }
        // As long as there is room for, and one byte more.
        for (len, fits) in [(LINK_TARGET_MAX - 1, true), (LINK_TARGET_MAX, false)] {
            let name = format!("{}.file", "x".repeat(len - 5));
            let path = format!("/{name}");
            let mut tree = Tree::of(&[("/", 0, false, None), ("/l", 0, false, Some(&name)), (&path, 0, false, None)]);
            let wanted = if fits { Ok(path.as_str()) } else { Err(&Stopped::Errno(Errno::NAMETOOLONG)) };
            assert_eq!(link_target(&mut tree, "l").as_deref(), wanted.map_err(|why| *why).as_ref().copied());
        }
    }

    #[test]
    fn nobody_elses_links_are_followed_and_none_where_somebody_else_may_write() {
        let ways = [
            ("home/u/.ssh", Stopped::Link(11, Distrust::Owner(1000))),
            ("home/u/.ssh/deeper", Stopped::Link(11, Distrust::Owner(1000))),
            ("home/u//roots//", Stopped::Link(13, Distrust::Directory(1000))),
            ("home/u/real/roots/x", Stopped::Link(17, Distrust::Directory(1000))),
            ("tmp/roots", Stopped::Link(9, Distrust::OthersWrite)),
            ("theirs/x", Stopped::Link(6, Distrust::Owner(1000))),
            // Through a link of root's into somebody else's directory: the path as far as that link.
            ("users/.ssh", Stopped::Link(10, Distrust::Owner(1000))),
            // Through the text of a link: the path as far as that link, whatever its text.
            ("é/through/deeper", Stopped::Link(10, Distrust::Owner(1000))),
            ("round", Stopped::Errno(Errno::LOOP)),
            ("nothing/x", Stopped::Errno(Errno::NOENT)),
        ];
        for (path, stopped) in ways {
            assert_eq!(walk(&mut guest(), path), Err(stopped), "{path}");
        }
    }

    #[test]
    fn who_runs_it_follows_his_own_links_and_roots() {
        let mut guest = guest();
        guest.user = 1000;
        assert_eq!(walk(&mut guest, "home/u/.ssh"), Ok("/root/.ssh".into()));
        assert_eq!(walk(&mut guest, "home/u/real/roots"), Ok("/run".into()));
        assert_eq!(walk(&mut guest, "var/run/x"), Ok("/run/x".into()));
        guest.user = 1001;
        assert_eq!(walk(&mut guest, "var/run/x"), Ok("/run/x".into()));
        assert_eq!(walk(&mut guest, "theirs/x"), Err(Stopped::Link(6, Distrust::Owner(1000))));
    }

    #[test]
    fn forty_links_are_followed_and_one_more_is_not() {
        for (links, end) in [(40, Ok("/end".into())), (41, Err(Stopped::Errno(Errno::LOOP)))] {
            let names: std::vec::Vec<(String, String)> = (1..=links)
                .map(|n| (format!("/l{n}"), if n == links { "end".into() } else { format!("l{}", n + 1) }))
                .collect();
            let mut nodes: std::vec::Vec<_> =
                names.iter().map(|(path, to)| (path.as_str(), 0, false, Some(to.as_str()))).collect();
            nodes.extend([("/", 0, false, None), ("/end", 0, false, None)]);
            assert_eq!(walk(&mut Tree::of(&nodes), "l1"), end, "{links}");
        }
    }

    #[test]
    fn why_a_walk_has_stopped_is_an_error_number_as_well() {
        assert_eq!(Stopped::from(Errno::NOENT).errno(), Errno::NOENT);
        assert_eq!(Stopped::Link(3, Distrust::OthersWrite).errno(), Errno::LOOP);
    }

    #[test]
    fn the_sentence_names_link_and_owner() {
        let said = LinkNotFollowed { link: "/home/u/.ssh", why: Distrust::Owner(1000) }.to_string();
        assert_eq!(said, "/home/u/.ssh is a symbolic link of user 1000: it is not followed");
    }

    #[test]
    fn a_way_that_grows_too_long_ends() {
        let long = "a/".repeat(1500);
        let mut tree = Tree::of(&[("/", 0, false, None), ("/l", 0, false, Some(&(long.clone() + "x")))]);
        let path = format!("l/{long}");
        assert_eq!(walk(&mut tree, &path), Err(Stopped::Errno(Errno::NAMETOOLONG)));
        let longer = "a".repeat(GUEST_PATH_MAX);
        let mut tree = Tree::of(&[("/", 0, false, None), ("/l", 0, false, Some(&longer))]);
        assert_eq!(walk(&mut tree, "l"), Err(Stopped::Errno(Errno::NAMETOOLONG)));
        assert_eq!(walk(&mut tree, &"a".repeat(GUEST_PATH_MAX + 1)), Err(Stopped::Errno(Errno::NAMETOOLONG)));
    }
}
