//! Putting a whole file in the place of another: how nanova writes every file of the guest's.
//!
//! The new file is written beside the old one, takes over its owner, mode and extended attributes, is made durable and
//! renamed over it. Killed anywhere, the old file or the new one is there; what may be left beside it is removed by the
//! next attempt. ([`super::transaction`] does it for several files at once.)

use super::in_place::publish;
use super::lines::{Chunk, Sink};
use crate::files::at;
use crate::platform::{Clock, Durability, FileError, Files, GuestPath, Level, Log, Unsynced};
use crate::wire::errno::Errno;
use crate::wire::text::{Bounded, number};

/// How many names are tried for a backup before giving up: as many backups of one file in as many seconds.
const BACKUP_TRIES: u64 = 100;
/// Longest file name (NAME_MAX).
const NAME_MAX: usize = 255;
/// How many backups of one file stay: the newest.
const KEPT: usize = 10;

/// Stages a file beside `path`, has it filled, and publishes it; or removes it again when something fails. Returns what
/// may undo it.
pub(crate) fn replace<'a, P: Files, E: From<FileError<'a>>>(
    platform: &mut P,
    path: GuestPath<'a>,
    fill: impl FnOnce(&mut P, &mut P::Staged) -> Result<(), E>,
) -> Result<Option<Unsynced<'a>>, E> {
    let mut staged = at("make a file beside", path, platform.stage(path, 0))?;
    let filled = fill(platform, &mut staged);
    let result = filled.and_then(|()| Ok(at("replace", path, publish(platform, &mut staged, path))?));
    if result.is_err() {
        platform.discard(&mut staged);
    }
    result.map(|durability| unsynced(path, durability))
}

/// Writes a file of our own: what `text` gives, in place of whatever was at `path`, without a backup. Missing
/// directories above it are made. For files that nobody else writes and that can be made again: whether they survive a
/// crash is no matter.
pub fn write<'a, F: Files>(
    files: &mut F,
    path: GuestPath<'a>,
    mode: u32,
    text: &mut dyn FnMut(&mut dyn Sink),
) -> Result<(), FileError<'a>> {
    make_parents(files, path)?;
    replace(files, path, |files, staged| {
        let mut pieces = StagedText { files, staged, waiting: Chunk::new(), result: Ok(()) };
        text(&mut pieces);
        pieces.send();
        at("write beside", path, pieces.result)?;
        at("set the mode of", path, files.set_mode(staged, mode))
    })
    .map(drop)
}

/// Text on its way into a staged file.
struct StagedText<'a, F: Files> {
    files: &'a mut F,
    staged: &'a mut F::Staged,
    waiting: Chunk,
    result: Result<(), Errno>,
}

impl<F: Files> StagedText<'_, F> {
    fn send(&mut self) {
        let waiting = self.waiting.take();
        // What has failed once is given up as a whole; the caller is told.
        if self.result.is_ok() {
            self.result = self.files.append(self.staged, waiting);
        }
    }
}

impl<F: Files> Sink for StagedText<'_, F> {
    fn bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.waiting.add(bytes);
            if !bytes.is_empty() {
                self.send();
            }
        }
    }
}

/// What may undo a change of what is at `path`.
pub(crate) fn unsynced(path: GuestPath<'_>, durability: Durability) -> Option<Unsynced<'_>> {
    match durability {
        Durability::Synced => None,
        Durability::Unsynced(errno) => Some(Unsynced { path, errno }),
    }
}

/// Logs what may undo a change.
pub(crate) fn warn_of<P: Log>(platform: &mut P, unsynced: &Option<Unsynced<'_>>) {
    if let Some(unsynced) = unsynced {
        platform.log(Level::Warn, format_args!("{unsynced}"));
    }
}

/// Makes the directories above a file that are not there.
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

/// Gives the present file a second name, so that it outlives being replaced.
pub(crate) fn back_up<'a, P: Files + Clock + Log>(platform: &mut P, path: GuestPath<'a>) -> Result<(), FileError<'a>> {
    let (stamp, ()) =
        at("back up", path, stamped(platform, path, "", &mut |platform, name| platform.link(path, name)))?;
    platform.log(Level::Info, format_args!("backing up {path} ({stamp}.bak~)"));
    keep_newest(platform, path, "", stamp);
    Ok(())
}

/// Gives the present file another name, hidden from programs that read whole directories. Returns what may undo it.
pub(crate) fn move_aside<'a, P: Files + Clock + Log>(
    platform: &mut P,
    path: GuestPath<'a>,
) -> Result<Option<Unsynced<'a>>, FileError<'a>> {
    let moved = stamped(platform, path, ".", &mut |platform, name| platform.rename(path, name));
    let (stamp, durability) = at("move aside", path, moved)?;
    platform.log(Level::Info, format_args!("moving aside {path} ({stamp}.bak~)"));
    keep_newest(platform, path, ".", stamp);
    Ok(unsynced(path, durability))
}

/// Removes the oldest backups of a file until no more than [`KEPT`] are left, never the one that was just made. One
/// that cannot be removed is told, and stays.
#[inline(never)]
fn keep_newest<P: Files + Log>(platform: &mut P, path: GuestPath<'_>, start: &str, made: u64) {
    let (directory, name) = path.split();
    // (In the root directory itself there are none.)
    let Ok(directory) = GuestPath::new(directory) else { return };
    loop {
        let (mut count, mut oldest) = (0, u64::MAX);
        let listed = platform.names(directory, &mut |entry| {
            let stamp = entry.strip_prefix(start).and_then(|entry| entry.strip_prefix(name)?.strip_prefix('.'));
            if let Some(stamp) = stamp.and_then(|stamp| number::<u64>(stamp.strip_suffix(".bak~")?)) {
                count += 1;
                oldest = if stamp == made { oldest } else { oldest.min(stamp) };
            }
        });
        if listed.is_err() || count <= KEPT {
            return;
        }
        let old = backup_name(path, start, oldest);
        if let Err(errno) = platform.remove(path, old.as_str()) {
            return platform.log(Level::Warn, format_args!("cannot remove {}: {errno}", old.as_str()));
        }
    }
}

/// The name of a backup. It ends as no reader of configuration directories takes: ifcfg, NetworkManager and run-parts
/// all pass over a tilde.
#[inline(never)]
fn backup_name(path: GuestPath<'_>, start: &str, stamp: u64) -> Bounded<{ NAME_MAX + 1 }> {
    Bounded::of(format_args!("{start}{}.{stamp}.bak~", path.split().1))
}

/// Tries names with the time in them until one is free; returns that time.
fn stamped<P: Clock, T>(
    platform: &mut P,
    path: GuestPath<'_>,
    start: &str,
    give: &mut dyn FnMut(&mut P, &str) -> Result<T, Errno>,
) -> Result<(u64, T), Errno> {
    let now = platform.unix_time();
    for stamp in now..now + BACKUP_TRIES {
        match give(platform, backup_name(path, start, stamp).as_str()) {
            Ok(given) => return Ok((stamp, given)),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EXIST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_platform::{FakePlatform, Node};

    const FILE: GuestPath<'static> = GuestPath::literal("/etc/file");

    #[test]
    fn a_file_of_our_own_is_written_with_its_directories_whatever_its_length() {
        for len in [0, 1, 1023, 1024, 1025, 4000] {
            let mut platform = FakePlatform::with(&[]);
            let path = GuestPath::literal("/run/nanova/file");
            let text = "0123456789".repeat(len / 10 + 1);
            let mut put = |out: &mut dyn Sink| {
                // In pieces of several lengths.
                text.as_bytes()[..len].chunks(700).for_each(|piece| out.bytes(piece));
            };
            write(&mut platform, path, 0o604, &mut put).unwrap();
            let node = Node::File { contents: text[..len].into(), mode: 0o604 };
            assert_eq!(platform.nodes["/run/nanova/file"], node, "{len}");
            assert_eq!([&platform.nodes["/run"], &platform.nodes["/run/nanova"]], [&Node::Directory; 2]);
            assert_eq!(platform.discarded, 0);
        }
    }

    #[test]
    fn whatever_fails_is_named_and_nothing_is_left_of_it() {
        let actions: std::vec::Vec<_> = (0..8)
            .map_while(|operation| {
                let mut platform = FakePlatform::with(&[("/etc/file", "old")]);
                platform.fail = Some((operation, Errno::IO));
                let error = write(&mut platform, FILE, 0o644, &mut |out| out.put("new")).err()?;
                assert_eq!((platform.text("/etc/file"), error.errno), ("old", Errno::IO));
                // What could not be staged need not be removed.
                assert_eq!(platform.discarded, usize::from(operation > 1), "{operation}");
                Some(error.action)
            })
            .collect();
        let wanted = ["look at", "make a file beside", "write beside", "set the mode of", "replace"];
        assert_eq!(actions, wanted);
        // What has failed once is given up: later pieces do not make it whole.
        let mut platform = FakePlatform::with(&[("/etc/file", "old")]);
        platform.fail = Some((2, Errno::NOSPC));
        let long = "x".repeat(5000);
        assert_eq!(write(&mut platform, FILE, 0o644, &mut |out| out.put(&long)).unwrap_err().errno, Errno::NOSPC);
        // A directory that cannot be made.
        let mut platform = FakePlatform::with(&[]);
        platform.fail = Some((1, Errno::ROFS));
        let path = GuestPath::literal("/new/file");
        let error = write(&mut platform, path, 0o644, &mut |_| {}).unwrap_err();
        assert_eq!((error.action, error.path.as_str()), ("make directory", "/new"));
    }

    #[test]
    fn a_hundred_backups_of_one_second_have_names_and_one_more_has_none() {
        for (there, name) in [(0, Some(1_700_000_000)), (99, Some(1_700_000_099_u64)), (100, None)] {
            let mut platform = FakePlatform::with(&[("/etc/file", "now")]);
            for n in 0..there {
                platform.put(&format!("/etc/file.{}.bak~", 1_700_000_000 + n), "before");
                platform.put(&format!("/etc/.file.{}.bak~", 1_700_000_000 + n), "before");
            }
            let backed_up = back_up(&mut platform, FILE);
            let moved = move_aside(&mut platform, FILE);
            match name {
                Some(stamp) => {
                    assert!(backed_up.is_ok() && moved == Ok(None));
                    assert_eq!(platform.text(&format!("/etc/file.{stamp}.bak~")), "now");
                    assert_eq!(platform.text(&format!("/etc/.file.{stamp}.bak~")), "now");
                    assert!(!platform.nodes.contains_key("/etc/file"));
                    let log = format!("backing up /etc/file ({stamp}.bak~)\nmoving aside /etc/file ({stamp}.bak~)");
                    assert_eq!(platform.logged(), log);
                }
                None => {
                    let error = |action| FileError { action, path: FILE, errno: Errno::EXIST };
                    assert_eq!((backed_up, moved), (Err(error("back up")), Err(error("move aside"))));
                }
            }
        }
        // Only a name that is taken makes it try another one.
        let mut platform = FakePlatform::with(&[("/etc/file", "now")]);
        platform.fail = Some((0, Errno::ROFS));
        assert_eq!(back_up(&mut platform, FILE).unwrap_err().errno, Errno::ROFS);
    }

    #[test]
    fn of_a_files_backups_the_newest_ten_stay() {
        for (start, other) in [("", "."), (".", "")] {
            let mut platform = FakePlatform::with(&[("/etc/file", "now")]);
            let name = |start: &str, stamp: u64| format!("/etc/{start}file.{stamp}.bak~");
            // Some of them of a clock that was wrong; and what is none of this file's.
            for stamp in (1..=8).chain(2_000_000_000..2_000_000_007) {
                platform.put(&name(start, stamp), "before");
                platform.put(&name(other, stamp), "before");
            }
            let others =
                ["/etc/file2.1.bak~", "/etc/file.x.bak~", "/etc/file.1.bak", "/etc/file..bak~", "/etc/a/file.1.bak~"];
            others.iter().for_each(|path| platform.put(path, "another's"));
            let count = platform.nodes.len();
            let _ = if start.is_empty() {
                back_up(&mut platform, FILE)
            } else {
                move_aside(&mut platform, FILE).map(|_| ())
            };
            let is_there = |stamp| platform.nodes.contains_key(&name(start, stamp));
            assert!((1..=6).all(|stamp| !is_there(stamp)) && is_there(7) && is_there(8) && is_there(1_700_000_000));
            assert_eq!(platform.nodes.len(), count - 6 + usize::from(start.is_empty()));
            assert!(others.iter().all(|path| platform.nodes.contains_key(*path)));
            // One that is older than all the others by the clock, and is the newest all the same.
            platform.time = 1_700_000_000 - 1;
            platform.put("/etc/file", "later");
            for stamp in [7, 8] {
                platform.nodes.remove(&name(start, stamp));
                platform.put(&name(start, 1_900_000_000 + stamp), "before");
            }
            let _ = if start.is_empty() {
                back_up(&mut platform, FILE)
            } else {
                move_aside(&mut platform, FILE).map(|_| ())
            };
            assert_eq!(platform.text(&name(start, 1_699_999_999)), "later");
            assert!(!platform.nodes.contains_key(&name(start, 1_700_000_000)));
        }
    }

    #[test]
    fn a_backup_that_cannot_be_removed_is_told_and_costs_nothing_else() {
        let mut platform = FakePlatform::with(&[("/etc/file", "now")]);
        (1..=10).for_each(|stamp| platform.put(&format!("/etc/file.{stamp}.bak~"), "before"));
        // Behind the link and the list of names.
        platform.fail = Some((2, Errno::PERM));
        assert_eq!(back_up(&mut platform, FILE), Ok(()));
        assert!(platform.logged().ends_with("cannot remove file.1.bak~: operation not permitted (EPERM)"));
        // Behind two links: the first name is taken.
        platform.fail = Some((2, Errno::IO));
        assert_eq!(back_up(&mut platform, FILE), Ok(()));
    }

    #[test]
    fn what_may_not_last_is_returned_and_logged() {
        let mut platform = FakePlatform::with(&[("/etc/file", "old")]);
        platform.unsynced = Some(Errno::IO);
        let unsynced = move_aside(&mut platform, FILE).unwrap();
        assert_eq!(unsynced, Some(Unsynced { path: FILE, errno: Errno::IO }));
        platform.log.clear();
        warn_of(&mut platform, &None);
        assert_eq!(platform.logged(), "");
        warn_of(&mut platform, &unsynced);
        assert!(platform.logged().starts_with("done, but /etc/file may not survive a crash"));
    }
}
