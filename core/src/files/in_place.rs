//! Putting a new file in the place of one that cannot be replaced: a mount point, which rename(2) refuses with EBUSY.
//! Containers mount /etc/hosts, /etc/hostname and /etc/resolv.conf so, images without a place of their own for what has
//! to last whatever they keep.
//!
//! Its bytes are overwritten. Before that the new file is a synced copy beside it, and a mark in /etc names it: who is
//! killed meanwhile leaves both, and the next start writes it again, from the beginning. Until the last byte is written
//! a reader may see some of the new bytes and some of the old.
//!
//! Refuses: what has no room for a copy beside it, such as a read-only directory. A file that may be half of this and
//! half of that after a crash is worse than an answer that says so.

use crate::platform::{Durability, Files, GuestPath, Level, Log};
use crate::wire::errno::Errno;

/// Puts a staged file in the place of what is at `path`.
pub(crate) fn publish<F: Files>(
    files: &mut F,
    staged: &mut F::Staged,
    path: GuestPath<'_>,
) -> Result<Durability, Errno> {
    match files.publish(staged, path) {
        Err(Errno::BUSY) => {
            files.keep_copy(staged, path)?;
            let written = files.overwrite(path);
            files.discard(staged);
            written.map(|()| Durability::Synced)
        }
        published => published,
    }
}

/// Writes what a run that was killed has left half written. Returns whether nothing of the kind is left.
#[inline(never)]
pub(crate) fn complete<P: Files + Log>(platform: &mut P) -> bool {
    let marked = match platform.half_written() {
        Ok(Some(marked)) => marked,
        Ok(None) => return true,
        Err(errno) => {
            platform.log(Level::Error, format_args!("cannot tell whether a file is half written: {errno}"));
            return false;
        }
    };
    let Ok(path) = GuestPath::new(&marked) else { return true };
    let written = platform.overwrite(path);
    match written {
        Ok(()) => platform.log(Level::Info, format_args!("completed {path}, which a killed agent was writing")),
        // Another nanova writes it just now.
        Err(Errno::AGAIN) => {}
        Err(errno) => platform.log(Level::Error, format_args!("cannot complete {path}, half written: {errno}")),
    }
    written.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::inject::inject;
    use crate::files::lines::{Old, Sink};
    use crate::files::transaction::{Backup, FileTransaction};
    use crate::platform::{BACKUP_NUMBER, COPY_NUMBER};
    use crate::test_platform::{FakePlatform, FakeStaged};

    const FILE: GuestPath<'static> = GuestPath::literal("/etc/file");

    fn mounted() -> FakePlatform {
        let mut platform = FakePlatform::with(&[("/etc/file", "old")]);
        platform.mounted = Some("/etc/file");
        platform
    }

    #[test]
    fn a_mount_point_is_overwritten_and_what_it_held_stays_beside_it() {
        let mut platform = mounted();
        assert_eq!(inject(&mut platform, FILE, b"new"), Ok(None));
        assert_eq!((platform.text("/etc/file"), platform.text("/etc/file.1700000000.bak~")), ("new", "old"));
        assert_eq!((platform.nodes.len(), platform.half_written.as_deref()), (3, None));
        let mut files = FileTransaction::default();
        let mut edit = |old: Old<'_>, out: &mut dyn Sink| {
            if old == Old::End {
                out.put("newer");
            }
        };
        files.edit(&mut platform, FILE, 0o600, Backup::None, &mut edit).unwrap();
        files.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
        assert_eq!((platform.text("/etc/file"), platform.half_written.as_deref()), ("newer", None));
    }

    #[test]
    fn where_it_cannot_be_told_whether_a_file_is_half_written_its_copy_stays() {
        let mut platform = mounted();
        platform.mark_unreadable = Some(Errno::IO);
        assert!(!complete(&mut platform));
        assert!(platform.logged().starts_with("cannot tell whether a file is half written: "));
        FileTransaction::<FakeStaged>::tidy(&mut platform, [FILE].into_iter(), &[]);
        assert!(platform.tidied.iter().all(|(_, number)| *number != COPY_NUMBER), "{:?}", platform.tidied);
    }

    #[test]
    fn whatever_fails_the_file_is_whole_or_known_to_be_half_written_and_completed_later() {
        let (mut half, mut failed) = (0, 0);
        for operation in 0.. {
            let mut platform = mounted();
            platform.fail = Some((operation, Errno::NOSPC));
            let result = inject(&mut platform, FILE, b"new");
            if platform.fail.is_some() {
                assert_eq!(platform.text("/etc/file"), "new");
                break;
            }
            failed += 1;
            // How many backups there are is no matter.
            assert!(result.is_err() || platform.text("/etc/file") == "new", "{operation}");
            if platform.half_written.is_some() {
                half += 1;
                assert_eq!(platform.text("/etc/file"), "half");
                // What was made of half a file is not put over the copy of the whole.
                platform.fail = Some((1, Errno::IO));
                assert!(inject(&mut platform, FILE, b"other").is_err());
                FileTransaction::<FakeStaged>::tidy(&mut platform, [FILE].into_iter(), &[]);
                assert!(platform.logged().contains("completed /etc/file, which"), "{}", platform.logged());
                assert_eq!(platform.text("/etc/file"), "new");
            }
            assert!(["old", "new"].contains(&platform.text("/etc/file")), "{operation}");
        }
        assert!(failed > 10 && half == 1, "{failed} {half}");
    }

    #[test]
    fn a_copy_that_is_needed_still_is_not_tidied_away() {
        for (errno, is_left) in [(None, false), (Some(Errno::ROFS), true), (Some(Errno::AGAIN), true)] {
            let mut platform = mounted();
            platform.put("/etc/.nanova.new.34", "new");
            (platform.left_behind, platform.half_written) = (true, Some("/etc/file".to_owned()));
            platform.fail = errno.map(|errno| (0, errno));
            FileTransaction::<FakeStaged>::tidy(&mut platform, [FILE].into_iter(), &[]);
            let tidied = |number| platform.tidied.contains(&("/etc/file".to_owned(), number));
            assert_eq!((tidied(BACKUP_NUMBER), tidied(COPY_NUMBER)), (true, !is_left));
            assert_eq!(platform.text("/etc/file"), if is_left { "old" } else { "new" });
            assert_eq!(
                platform.logged().contains("cannot complete /etc/file, half written"),
                errno == Some(Errno::ROFS)
            );
        }
    }
}
