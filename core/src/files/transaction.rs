//! Changing several configuration files as one: what they will be is staged for all of them before the first is
//! replaced.
//!
//! A file is edited line by line, so it may be of any size. What would not change is not written; what was there is
//! kept beside it (`<name>.<unix time>.bak~`) unless it is a secret. Where root's links lead to a file it is edited
//! where it lies, and they stay; a link that is not followed, or leads to what is made anew at every boot or comes with
//! the distribution, is left alone: another program manages that file.
//!
//! Killed anywhere, each file is the old one or the new one. While files are staged there is an empty
//! `/etc/.nanova.new` (beside the file where /etc is read-only): who finds it at the next start removes what else may
//! be left ([`FileTransaction::tidy`]).

use core::fmt::{self, Write};
use core::ops::ControlFlow;

use heapless::{String, Vec};
use zeroize::Zeroizing;

use super::in_place::{complete, publish};
use super::lines::{CHUNK, Chunk, Edit, LINE_MAX, Old, Sink};
use super::place::{Found, find};
use super::replace::{back_up, make_parents};
use crate::files::at;
use crate::platform::{
    BACKUP_NUMBER, COPY_NUMBER, Clock, Durability, FileError, FileKind, Files, GuestPath, LINK_TARGET_MAX, Level,
    LinkTarget, Log, STAGED_MAX, Unsynced,
};
use crate::wire::buffer::forget_start;
use crate::wire::errno::Errno;
use crate::wire::text::text_at_start;

/// Longest path of a file that is edited.
pub const PATH_MAX: usize = LINK_TARGET_MAX;
/// Where other programs keep what they manage, and a link to it in its place (resolvconf(8), resolv.conf of
/// systemd-resolved(8)), and where what comes with a distribution is linked to from /etc.
const OTHERS: [&str; 7] = ["/run/", "/var/run/", "/tmp/", "/proc/", "/dev/", "/usr/", "/nix/"];
/// Beside this file lies the mark that others are staged.
const MARK: GuestPath<'static> = GuestPath::literal("/etc/hostname");

/// The path of a file that is edited.
pub type EditPath = String<PATH_MAX>;

/// What becomes of a file that is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backup {
    /// It stays beside the new one.
    Beside,
    /// It goes: a secret of an account is not kept.
    None,
}

/// What is wrong with a file that was to be put in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble<'a> {
    /// The old one is still there.
    Failed(FileError<'a>),
    /// The new one is there, but may not survive a crash.
    Unsynced(Unsynced<'a>),
}

impl fmt::Display for Trouble<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Failed(error) => error.fmt(f),
            Trouble::Unsynced(unsynced) => unsynced.fmt(f),
        }
    }
}

/// A file that waits to be put in its place.
struct StagedFile<S> {
    path: EditPath,
    staged: S,
    backed_up: bool,
}

/// Files that are changed together: staged, then published.
pub struct FileTransaction<S> {
    waiting: Vec<StagedFile<S>, { STAGED_MAX as usize }>,
    mark: Option<S>,
}

impl<S> Default for FileTransaction<S> {
    fn default() -> Self {
        FileTransaction { waiting: Vec::new(), mark: None }
    }
}

impl<S> FileTransaction<S> {
    /// How many files will change.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing will change.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Stages what an edit makes of the file at `path`; a new one gets this mode. E2BIG answers more than
    /// [`STAGED_MAX`] files, and a path of more than [`PATH_MAX`] bytes.
    #[inline(never)]
    pub fn edit<'p, P: Files<Staged = S> + Log>(
        &mut self,
        platform: &mut P,
        path: GuestPath<'p>,
        mode: u32,
        backup: Backup,
        edit: Edit<'_>,
    ) -> Result<(), FileError<'p>> {
        complete(platform);
        let mut room = LinkTarget::new();
        let Some((place, existed)) = editable(platform, path, &mut room).map_err(|error| error.of(path))? else {
            platform.log(Level::Warn, format_args!("leaving {path} alone: it is no regular file, another program's"));
            return Ok(());
        };
        if existed && at("read", path, run(platform, place, edit, EditTarget::Compare))? {
            platform.log(Level::Info, format_args!("skipping {place} (no changes)"));
            return Ok(());
        }
        let number = self.waiting.len() as u8 + 1;
        let (false, Ok(name)) = (self.waiting.is_full(), EditPath::try_from(place.as_str())) else {
            return Err(FileError { action: "stage so many files, or so long a path as", path, errno: Errno(7) });
        };
        make_parents(platform, path)?;
        if self.mark.is_none() {
            let mark = match platform.stage(MARK, 0) {
                // Then nothing is staged there.
                Err(Errno::ROFS) => platform.stage(place, 0),
                mark => mark,
            };
            self.mark = Some(at("make a file beside", path, mark)?);
        }
        let mut staged = at("make a file beside", path, platform.stage(place, number))?;
        platform.log(Level::Info, format_args!("staging {place}"));
        let taken_over = match existed.then(|| platform.open(place)).transpose() {
            Ok(Some(old)) => at("keep owner, mode and attributes of", path, platform.take_over(&mut staged, &old)),
            Ok(None) => at("set the mode of", path, platform.set_mode(&mut staged, mode)),
            Err(errno) => at("open", path, Err(errno)),
        };
        let filled = taken_over
            .and_then(|()| at("write beside", path, run(platform, place, edit, EditTarget::Staged(&mut staged))));
        if let Err(error) = filled {
            // Whoever goes on with other files must not publish half of this one.
            platform.discard(&mut staged);
            return Err(error);
        }
        // There is room: it was looked for.
        let backed_up = existed && backup == Backup::Beside;
        let _ = self.waiting.push(StagedFile { path: name, staged, backed_up });
        Ok(())
    }

    /// Shows what an edit makes of the file at `path`, if that is anything new.
    pub fn show<'p, P: Files<Staged = S>>(
        platform: &mut P,
        path: GuestPath<'p>,
        edit: Edit<'_>,
        out: &mut dyn Write,
    ) -> Result<(), FileError<'p>> {
        let mut room = LinkTarget::new();
        let Some((place, existed)) = editable(platform, path, &mut room).map_err(|error| error.of(path))? else {
            return Ok(());
        };
        if existed && at("read", path, run(platform, place, edit, EditTarget::Compare))? {
            return Ok(());
        }
        let _ = writeln!(out, "write {place}:");
        at("read", path, run(platform, place, edit, EditTarget::Shown(out))).map(drop)
    }

    /// Puts the files in their places, in the order in which they were edited. `trouble` is called for each that could
    /// not be, or may not last, and says whether the others still are to be.
    #[inline(never)]
    pub fn commit<P: Files<Staged = S> + Clock + Log>(
        &mut self,
        platform: &mut P,
        trouble: &mut dyn FnMut(&mut P, &Trouble<'_>) -> ControlFlow<()>,
    ) {
        let mut go_on = true;
        for StagedFile { path, staged, backed_up } in &mut self.waiting {
            let Ok(path) = GuestPath::new(path) else { continue };
            if !go_on {
                platform.discard(staged);
                continue;
            }
            let backed_up = if *backed_up { back_up(platform, path) } else { Ok(()) };
            let result = backed_up.and_then(|()| {
                platform.log(Level::Info, format_args!("updating {path}"));
                at("replace", path, publish(platform, staged, path))
            });
            let told = match result {
                Ok(Durability::Synced) => continue,
                Ok(Durability::Unsynced(errno)) => Trouble::Unsynced(Unsynced { path, errno }),
                Err(error) => {
                    platform.discard(staged);
                    Trouble::Failed(error)
                }
            };
            go_on = trouble(platform, &told).is_continue();
        }
        if let Some(mark) = &mut self.mark {
            platform.discard(mark);
        }
    }

    /// Removes everything that is staged.
    pub fn give_up<P: Files<Staged = S>>(&mut self, platform: &mut P) {
        self.waiting.iter_mut().for_each(|waiting| platform.discard(&mut waiting.staged));
        if let Some(mark) = &mut self.mark {
            platform.discard(mark);
        }
    }

    /// Completes what a run that was killed has left half written, then removes what it has left in the directories of
    /// these paths, and in those that links at some paths lead to.
    pub fn tidy<P: Files + Log>(
        platform: &mut P,
        beside: impl Iterator<Item = GuestPath<'static>>,
        links: &[GuestPath<'static>],
    ) {
        let last = if complete(platform) { COPY_NUMBER } else { BACKUP_NUMBER };
        let marked = platform.tidy(MARK, 0);
        for path in links {
            if let Ok(Some(FileKind::Symlink)) = platform.kind(*path)
                && let Ok(target) = platform.link_target(*path)
                && let Ok(place) = GuestPath::new(&target)
                && (platform.tidy(place, 0) || marked)
            {
                tidy_beside(platform, place, last);
            }
        }
        beside.filter(|_| marked).for_each(|path| tidy_beside(platform, path, last));
    }
}

/// Removes every staged file beside a path, up to this number.
#[inline(never)]
fn tidy_beside<P: Files>(platform: &mut P, path: GuestPath<'_>, last: u8) {
    for number in 1..=last {
        platform.tidy(path, number);
    }
}

/// Where the file of a path is edited, and whether it is there; nothing if another program manages it.
#[inline(never)]
pub(crate) fn editable<'p, P: Files>(
    platform: &mut P,
    path: GuestPath<'p>,
    room: &'p mut LinkTarget,
) -> Result<Option<(GuestPath<'p>, bool)>, FileError<'p>> {
    Ok(match find(platform, path, room)? {
        Found::Missing => Some((path, false)),
        Found::File(place) => {
            let others = place != path && OTHERS.iter().any(|directory| place.as_str().starts_with(directory));
            (!others).then_some((place, true))
        }
        Found::Dangling | Found::Distrusted(_) | Found::NotAFile => None,
    })
}

/// What is done with what an edit writes.
enum EditTarget<'s, S> {
    /// It is compared with the old file.
    Compare,
    /// It goes into a new file.
    Staged(&'s mut S),
    /// It is shown.
    Shown(&'s mut dyn Write),
}

/// Runs an edit over the file at `path`, which may be missing. Returns whether all is as it was, when that was the
/// question.
fn run<'a, P: Files>(
    platform: &'a mut P,
    path: GuestPath<'_>,
    edit: Edit<'_>,
    target: EditTarget<'a, P::Staged>,
) -> Result<bool, Errno> {
    let mut old = match platform.open(path) {
        Err(Errno::NOENT) => None,
        file => Some(file?),
    };
    let compared = match target {
        EditTarget::Compare => Some(platform.open(path)?),
        EditTarget::Staged(_) | EditTarget::Shown(_) => None,
    };
    let mut out = Output {
        platform,
        compared,
        target,
        same: true,
        waiting: Chunk::new(),
        failed: None,
        newline_held: false,
        in_line: false,
        is_last: false,
    };
    if let Err(errno) = feed(&mut out, &mut old, edit) {
        out.failed = Some(errno);
    }
    out.send();
    match (out.failed, &mut out.compared) {
        (Some(errno), _) => Err(errno),
        // Whether the old file ends here, too.
        (None, Some(file)) => Ok(out.same && out.platform.read(file, &mut [0])? == 0),
        (None, None) => Ok(false),
    }
}

/// Gives an edit the lines of a file.
fn feed<P: Files>(out: &mut Output<'_, P>, old: &mut Option<P::File>, edit: Edit<'_>) -> Result<(), Errno> {
    // Lines of the accounts' files are among them.
    let mut line = Zeroizing::new([0; LINE_MAX]);
    let (mut filled, mut in_long_line) = (0, false);
    while let Some(file) = old {
        let len = out.platform.read(file, line.get_mut(filled..).unwrap_or_default())?;
        if len == 0 {
            break;
        }
        filled += len;
        let mut left = 0;
        for part in line.get(..filled).ok_or(Errno::IO)?.split_inclusive(|byte| *byte == b'\n') {
            let Some(whole) = part.strip_suffix(b"\n") else {
                left = part.len();
                break;
            };
            edit(if in_long_line { Old::Piece(part) } else { Old::Line(whole) }, out);
            in_long_line = false;
        }
        forget_start(&mut line[..], filled - left);
        filled = left;
        if filled == LINE_MAX {
            edit(Old::Piece(&line[..]), out);
            (filled, in_long_line) = (0, true);
        }
    }
    if let Some(rest @ [_, ..]) = line.get(..filled) {
        edit(if in_long_line { Old::Piece(rest) } else { Old::Line(rest) }, out);
    }
    // Where the last line has no newline, the new file's has one only if something comes behind it.
    let is_unterminated = filled > 0 || in_long_line;
    out.newline_held |= is_unterminated && out.in_line;
    out.is_last = true;
    edit(Old::End, out);
    if out.newline_held && !(is_unterminated && out.is_last) {
        out.add(b"\n");
    }
    Ok(())
}

/// Where the text of an edit goes.
struct Output<'a, P: Files> {
    platform: &'a mut P,
    compared: Option<P::File>,
    target: EditTarget<'a, P::Staged>,
    same: bool,
    waiting: Chunk,
    failed: Option<Errno>,
    /// The newline of what was written last, which comes before whatever comes next.
    newline_held: bool,
    /// What was written last has none.
    in_line: bool,
    /// Nothing has come behind it, so far.
    is_last: bool,
}

impl<P: Files> Output<'_, P> {
    /// Sends on what waits.
    fn send(&mut self) {
        let waiting = self.waiting.take();
        let result = match &mut self.target {
            _ if self.failed.is_some() => Ok(()),
            EditTarget::Compare => compare(self.platform, &mut self.compared, waiting, &mut self.same),
            EditTarget::Staged(staged) => self.platform.append(staged, waiting),
            EditTarget::Shown(out) => {
                let mut rest = waiting;
                while !rest.is_empty() {
                    let text = text_at_start(rest);
                    let (mark, behind) = match rest.get(text.len()..) {
                        Some([_, behind @ ..]) => ("?", behind),
                        _ => ("", &[][..]),
                    };
                    // A terminal that has gone away is no fault of the file's.
                    let _ = write!(out, "{text}{mark}");
                    rest = behind;
                }
                Ok(())
            }
        };
        self.failed = self.failed.or(result.err());
    }
}

/// Compares the next bytes of a file.
fn compare<P: Files>(
    platform: &mut P,
    file: &mut Option<P::File>,
    mut bytes: &[u8],
    same: &mut bool,
) -> Result<(), Errno> {
    let Some(file) = file else { return Ok(()) };
    let mut room = Zeroizing::new([0; CHUNK]);
    while *same && !bytes.is_empty() {
        let most = bytes.len().min(CHUNK);
        let len = platform.read(file, &mut room[..most])?;
        let there = room.get(..len).filter(|there| !there.is_empty());
        match there.and_then(|there| bytes.strip_prefix(there)) {
            Some(rest) => bytes = rest,
            None => *same = false,
        }
    }
    Ok(())
}

impl<P: Files> Output<'_, P> {
    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.waiting.add(bytes);
            if !bytes.is_empty() {
                self.send();
            }
        }
    }
}

impl<P: Files> Sink for Output<'_, P> {
    fn bytes(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.newline_held {
            self.add(b"\n");
        }
        let text = bytes.strip_suffix(b"\n");
        (self.newline_held, self.in_line, self.is_last) = (text.is_some(), text.is_none(), false);
        self.add(text.unwrap_or(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_platform::{FakePlatform, Node};

    const FILE: GuestPath<'static> = GuestPath::literal("/etc/file");

    /// Drops lines that begin with `x`, and ends with a line of its own.
    fn drop_x(old: Old<'_>, out: &mut dyn Sink) {
        match old {
            Old::Line([b'x', ..] | b"end") => {}
            Old::End => out.put("end\n"),
            old => out.keep(old),
        }
    }

    fn edited(text: &str) -> (String, FakePlatform) {
        let mut platform = FakePlatform::with(&[("/etc/file", text)]);
        let mut batch = FileTransaction::default();
        batch.edit(&mut platform, FILE, 0o644, Backup::Beside, &mut drop_x).unwrap();
        batch.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
        (platform.text("/etc/file").to_owned(), platform)
    }

    type String = std::string::String;

    #[test]
    fn lines_go_and_come_and_the_old_file_is_kept() {
        let (text, platform) = edited("a\nx1\n\nb");
        assert_eq!(text, "a\n\nb\nend\n");
        assert_eq!(platform.text("/etc/file.1700000000.bak~"), "a\nx1\n\nb");
        assert_eq!(platform.logged(), "staging /etc/file\nbacking up /etc/file (1700000000.bak~)\nupdating /etc/file");
        let (same, platform) = edited(&text);
        assert_eq!((same, platform.logged()), (text, "skipping /etc/file (no changes)".to_owned()));
    }

    #[test]
    fn an_old_file_keeps_its_mode_and_a_new_one_has_the_mode_that_was_asked_for() {
        let mut platform = FakePlatform::with(&[("/etc/file", "x\n")]);
        for path in [FILE, GuestPath::literal("/etc/new")] {
            let mut batch = FileTransaction::default();
            batch.edit(&mut platform, path, 0o604, Backup::None, &mut drop_x).unwrap();
            batch.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
        }
        let mode = |path: &str| match &platform.nodes[path] {
            Node::File { mode, .. } => *mode,
            other => panic!("{other:?}"),
        };
        assert_eq!((mode("/etc/file"), mode("/etc/new")), (0o640, 0o604));
    }

    #[test]
    fn what_is_no_text_is_shown_all_the_same() {
        let mut platform = FakePlatform::with(&[("/etc/file", "")]);
        let text = b"a\nx\n# b\xfcro\n".to_vec();
        platform.nodes.insert("/etc/file".to_owned(), Node::File { contents: text, mode: 0o644 });
        let mut shown = String::new();
        FileTransaction::show(&mut platform, FILE, &mut drop_x, &mut shown).unwrap();
        assert_eq!(shown, "write /etc/file:\na\n# b?ro\nend\n");
    }

    #[test]
    fn a_last_line_without_a_newline_stays_so() {
        let mut keep = |old: Old<'_>, out: &mut dyn Sink| match old {
            Old::Line(b"x") => writeln!(out, "y"),
            old => out.keep(old),
        };
        for (text, edited) in [("a\nx", "a\ny"), ("x\na", "y\na"), ("x\n", "y\n"), ("x", "y"), ("x\n\n", "y\n\n")] {
            let mut platform = FakePlatform::with(&[("/etc/file", text)]);
            let mut batch = FileTransaction::default();
            batch.edit(&mut platform, FILE, 0o644, Backup::None, &mut keep).unwrap();
            batch.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
            assert_eq!(platform.text("/etc/file"), edited, "{text:?}");
        }
        let mut platform = FakePlatform::with(&[("/etc/file", "a\nb")]);
        let mut batch = FileTransaction::default();
        batch.edit(&mut platform, FILE, 0o644, Backup::None, &mut keep).unwrap();
        assert!(batch.is_empty(), "nothing changes, so nothing is written");
    }

    #[test]
    fn a_last_line_of_whole_pieces_is_not_glued_to_what_comes_behind_it() {
        for len in [1023, 1024, 1025, 2048] {
            let last = "y".repeat(len);
            assert_eq!(edited(&last).0, format!("{last}\nend\n"), "{len}");
        }
    }

    #[test]
    fn a_last_line_without_a_newline_that_goes_takes_the_one_before_it_along() {
        let without = |text: &str| {
            let mut platform = FakePlatform::with(&[("/etc/file", text)]);
            let mut batch = FileTransaction::default();
            let mut edit = |old: Old<'_>, out: &mut dyn Sink| match old {
                Old::Line([b'x', ..]) => {}
                Old::Line(b"two") => out.put("1\n2\n"),
                old => out.keep(old),
            };
            batch.edit(&mut platform, FILE, 0o644, Backup::None, &mut edit).unwrap();
            batch.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
            platform.text("/etc/file").to_owned()
        };
        // Whether ours is one line or two: what was written once is not written otherwise the next time.
        for (old, new) in [("two", "1\n2"), ("two\nx", "1\n2"), ("two\nx\n", "1\n2\n"), ("a\nx", "a"), ("x", "")] {
            assert_eq!(without(old), new, "{old:?}");
        }
        // A long one that goes leaves nothing in front of what comes.
        let mut platform = FakePlatform::with(&[("/etc/file", &"y".repeat(2000))]);
        let mut batch = FileTransaction::default();
        let mut edit = |old: Old<'_>, out: &mut dyn Sink| {
            if old == Old::End {
                out.put("end\n")
            }
        };
        batch.edit(&mut platform, FILE, 0o644, Backup::None, &mut edit).unwrap();
        batch.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
        assert_eq!(platform.text("/etc/file"), "end\n");
    }

    #[test]
    fn a_line_too_long_to_be_looked_at_stays() {
        let long = format!("{}\n", "x".repeat(3000));
        assert_eq!(edited(&format!("x\n{long}x\nb\n")).0, format!("{long}b\nend\n"));
    }

    #[test]
    fn any_length_is_compared_right() {
        for len in [0, 1, 1019, 1020, 1021, 1023, 1024, 1025, 5000] {
            let text = format!("{}end\n", "a\n".repeat(len / 2));
            assert_eq!(edited(&text).1.logged(), "skipping /etc/file (no changes)", "{len}");
            assert_eq!(edited(&format!("{text}x\n")).0, text, "{len}");
        }
    }

    fn staged(
        platform: &mut FakePlatform,
        paths: &[&'static str],
    ) -> FileTransaction<crate::test_platform::FakeStaged> {
        let mut batch = FileTransaction::default();
        for path in paths {
            batch.edit(platform, GuestPath::literal(path), 0o644, Backup::None, &mut drop_x).unwrap();
        }
        batch
    }

    #[test]
    fn each_file_is_staged_under_a_number_of_its_own_and_the_mark_under_none() {
        let mut platform = FakePlatform::with(&[]);
        let mut batch = staged(&mut platform, &["/etc/a", "/etc/b", "/etc/c"]);
        assert_eq!(platform.staged_beside, ["/etc/hostname", "/etc/a", "/etc/b", "/etc/c"]);
        assert_eq!((&*platform.staged_as, batch.len(), batch.is_empty()), (&[0, 1, 2, 3][..], 3, false));
        batch.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
        assert_eq!(platform.discarded, 1, "the mark");
        assert_eq!(["/etc/a", "/etc/b", "/etc/c"].map(|path| platform.text(path)), ["end\n"; 3]);
    }

    #[test]
    fn thirty_two_files_are_staged_and_no_more_and_no_longer_path() {
        let mut platform = FakePlatform::with(&[]);
        let mut batch = FileTransaction::default();
        let paths: std::vec::Vec<String> = (0..33).map(|n| format!("/etc/f{n}")).collect();
        let mut edit = |path: &str| {
            let path = GuestPath::new(path).unwrap();
            batch.edit(&mut platform, path, 0o644, Backup::None, &mut drop_x).map_err(|error| error.errno)
        };
        assert!(paths[..32].iter().all(|path| edit(path).is_ok()));
        assert_eq!(edit(&paths[32]), Err(Errno(7)));
        let mut batch = FileTransaction::default();
        let mut edit = |len: usize| {
            let path = format!("/etc/{}", "x".repeat(len - 5));
            let path = GuestPath::new(&path).unwrap();
            batch.edit(&mut platform, path, 0o644, Backup::None, &mut drop_x).map_err(|error| error.errno)
        };
        assert_eq!((edit(96), edit(97)), (Ok(()), Err(Errno(7))));
    }

    #[test]
    fn what_is_given_up_goes_and_the_mark_with_it() {
        let mut platform = FakePlatform::with(&[]);
        FileTransaction::<crate::test_platform::FakeStaged>::default().give_up(&mut platform);
        assert_eq!(platform.discarded, 0);
        staged(&mut platform, &["/etc/a", "/etc/b"]).give_up(&mut platform);
        assert_eq!(platform.discarded, 3);
        assert!(!platform.nodes.contains_key("/etc/a"));
    }

    #[test]
    fn whoever_is_told_of_trouble_says_whether_the_others_are_still_to_be_put_in_their_places() {
        for (goes_on, discarded) in [(true, 2), (false, 4)] {
            let mut platform = FakePlatform::with(&[]);
            let mut batch = staged(&mut platform, &["/etc/a", "/etc/b", "/etc/c"]);
            platform.fail = Some((0, Errno::IO));
            let mut told = std::vec::Vec::new();
            batch.commit(&mut platform, &mut |_, trouble| {
                told.push(trouble.to_string());
                if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            assert_eq!(told, ["cannot replace /etc/a: input/output error (EIO)"]);
            let there = ["/etc/a", "/etc/b", "/etc/c"].map(|path| platform.nodes.contains_key(path));
            assert_eq!((there, platform.discarded), ([false, goes_on, goes_on], discarded));
        }
        // One that may not last is in its place.
        let mut platform = FakePlatform::with(&[]);
        let mut batch = staged(&mut platform, &["/etc/a"]);
        platform.unsynced = Some(Errno::IO);
        let mut told = std::vec::Vec::new();
        batch.commit(&mut platform, &mut |_, trouble| {
            told.push(trouble.to_string());
            ControlFlow::Continue(())
        });
        assert!(told.len() == 1 && told[0].starts_with("done, but /etc/a may not survive a crash"), "{told:?}");
        assert_eq!((platform.text("/etc/a"), platform.discarded), ("end\n", 1));
    }

    #[test]
    fn a_mark_that_cannot_be_made_is_told_of_the_file_it_was_for() {
        let mut platform = FakePlatform::with(&[]);
        // Behind the look at the file and at its directory.
        platform.fail = Some((2, Errno::NOSPC));
        let error = FileTransaction::default().edit(&mut platform, FILE, 0o644, Backup::None, &mut drop_x).unwrap_err();
        assert_eq!((error.action, error.path, error.errno), ("make a file beside", FILE, Errno::NOSPC));
    }

    #[test]
    fn whatever_fails_of_an_edit_no_half_of_the_file_is_published() {
        let mut failed = 0;
        for operation in 0..40 {
            let mut platform = FakePlatform::with(&[("/etc/file", "x\nb\n")]);
            platform.fail = Some((operation, Errno::ROFS));
            let mut batch = FileTransaction::default();
            if batch.edit(&mut platform, FILE, 0o644, Backup::None, &mut drop_x).is_ok() {
                continue;
            }
            failed += 1;
            batch.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
            assert_eq!(platform.text("/etc/file"), "x\nb\n", "{operation}");
        }
        assert!(failed > 5, "{failed}");
    }

    #[test]
    fn a_file_that_a_link_leads_to_is_edited_where_it_lies() {
        let mut platform = FakePlatform::with(&[("/state/file", "x\n")]);
        platform.nodes.insert("/etc/file".to_owned(), Node::Symlink("/state/file"));
        let mut batch = FileTransaction::default();
        batch.edit(&mut platform, FILE, 0o644, Backup::Beside, &mut drop_x).unwrap();
        assert_eq!(platform.staged_beside, ["/etc/hostname", "/state/file"]);
        batch.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
        assert_eq!((platform.text("/state/file"), platform.text("/state/file.1700000000.bak~")), ("end\n", "x\n"));
        assert_eq!(platform.nodes["/etc/file"], Node::Symlink("/state/file"));
        let mut shown = String::new();
        FileTransaction::show(&mut platform, FILE, &mut |_, out| out.put("new"), &mut shown).unwrap();
        assert!(shown.starts_with("write /state/file:\n"), "{shown}");
        // Errors speak of the path that was asked for.
        platform.fail = Some((2, Errno::IO));
        let error = FileTransaction::default().edit(&mut platform, FILE, 0o644, Backup::None, &mut drop_x).unwrap_err();
        assert_eq!((error.action, error.path), ("read", FILE));
        platform.fail = Some((1, Errno::IO));
        let error = FileTransaction::default().edit(&mut platform, FILE, 0o644, Backup::None, &mut drop_x).unwrap_err();
        assert_eq!((error.action, error.path), ("look at", FILE));
        // What an agent that was killed has left there is looked for, with a mark of its own or of /etc.
        FileTransaction::<crate::test_platform::FakeStaged>::tidy(&mut platform, [].into_iter(), &[FILE]);
        assert_eq!(platform.tidied, [("/etc/hostname".to_owned(), 0), ("/state/file".to_owned(), 0)]);
        platform.left_behind = true;
        FileTransaction::<crate::test_platform::FakeStaged>::tidy(&mut platform, [].into_iter(), &[FILE]);
        assert!(platform.tidied.contains(&("/state/file".to_owned(), 32)));
    }

    #[test]
    fn where_etc_is_read_only_the_mark_lies_beside_the_file() {
        let mut seen = false;
        for operation in 0..16 {
            let mut platform = FakePlatform::with(&[("/state/file", "x\n")]);
            platform.nodes.insert("/etc/file".to_owned(), Node::Symlink("/state/file"));
            let mut batch = FileTransaction::default();
            platform.fail = Some((operation, Errno::ROFS));
            let edited = batch.edit(&mut platform, FILE, 0o644, Backup::None, &mut drop_x);
            if edited.is_ok() && platform.staged_beside == ["/state/file", "/state/file"] {
                seen = true;
                assert_eq!(platform.staged_as, [0, 1]);
                batch.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
                assert_eq!((platform.text("/state/file"), platform.discarded), ("end\n", 1));
            }
        }
        assert!(seen);
    }

    #[test]
    fn what_is_no_regular_file_or_managed_by_others_is_left_alone_and_not_shown() {
        for node in [
            Node::Symlink("/nowhere"),
            Node::Symlink("/run/resolved"),
            Node::Symlink("/usr/lib/distributions"),
            Node::Symlink("/etc"),
            Node::Directory,
            Node::Device,
        ] {
            let mut platform = FakePlatform::with(&[("/run/resolved", "x\n"), ("/usr/lib/distributions", "x\n")]);
            platform.nodes.insert("/etc/file".to_owned(), node.clone());
            let batch = staged(&mut platform, &["/etc/file"]);
            assert!(batch.is_empty() && platform.logged().contains("leaving /etc/file alone"));
            let mut shown = String::new();
            FileTransaction::show(&mut platform, FILE, &mut drop_x, &mut shown).unwrap();
            assert_eq!((shown.as_str(), &platform.nodes["/etc/file"]), ("", &node));
        }
        // Nor is what would not change shown; what is not there yet is.
        let mut shown = String::new();
        let mut platform = FakePlatform::with(&[("/etc/file", "a\nend\n")]);
        FileTransaction::show(&mut platform, FILE, &mut drop_x, &mut shown).unwrap();
        assert_eq!(shown, "");
        FileTransaction::show(&mut platform, GuestPath::literal("/etc/new"), &mut drop_x, &mut shown).unwrap();
        assert_eq!(shown, "write /etc/new:\nend\n");
    }

    #[test]
    fn where_a_mark_was_left_all_numbers_are_looked_for_and_else_none() {
        let places = || [FILE, GuestPath::literal("/srv/x")].into_iter();
        let mut platform = FakePlatform::with(&[]);
        FileTransaction::<crate::test_platform::FakeStaged>::tidy(&mut platform, places(), &[]);
        assert_eq!(platform.tidied, [("/etc/hostname".to_owned(), 0)]);
        platform.left_behind = true;
        platform.tidied.clear();
        FileTransaction::<crate::test_platform::FakeStaged>::tidy(&mut platform, places(), &[]);
        let wanted = ["/etc/file", "/srv/x"].into_iter().flat_map(|path| (1..=34).map(move |n| (path.to_owned(), n)));
        assert!(platform.tidied.iter().cloned().eq([("/etc/hostname".to_owned(), 0)].into_iter().chain(wanted)));
    }

    #[test]
    fn files_that_come_in_small_pieces_are_edited_and_compared_alike() {
        for piece in [1, 2, 7, 1000] {
            for (text, wanted) in [("a\nx1\nbb\nx", "a\nbb\nend\n"), ("ccc\ndd\nend\n", "ccc\ndd\nend\n")] {
                let mut platform = FakePlatform::with(&[("/etc/file", text)]);
                platform.piece = piece;
                let mut batch = staged(&mut platform, &["/etc/file"]);
                assert_eq!(batch.is_empty(), text == wanted, "{piece} {text:?}");
                batch.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
                assert_eq!(platform.text("/etc/file"), wanted, "{piece}");
            }
        }
    }

    #[test]
    fn what_differs_in_one_byte_or_in_length_is_written() {
        for text in ["a\nenc\n", "b\nend\n", "a\nend\nend\n", "end\n\n", "a\nen"] {
            let mut rewrite = |old: Old<'_>, out: &mut dyn Sink| {
                if old == Old::End {
                    out.put("a\nend\n");
                }
            };
            let mut platform = FakePlatform::with(&[("/etc/file", text)]);
            let mut batch = FileTransaction::default();
            batch.edit(&mut platform, FILE, 0o644, Backup::None, &mut rewrite).unwrap();
            batch.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
            assert_eq!(platform.text("/etc/file"), "a\nend\n", "{text:?}");
        }
    }

    #[test]
    fn what_fails_leaves_every_file_as_it_was() {
        for operation in 0..16 {
            let mut platform = FakePlatform::with(&[("/etc/file", "x\n")]);
            platform.fail = Some((operation, Errno::NOSPC));
            let (mut batch, mut failed) = (FileTransaction::default(), false);
            if batch.edit(&mut platform, FILE, 0o644, Backup::Beside, &mut drop_x).is_err() {
                batch.give_up(&mut platform);
                failed = true;
            } else {
                batch.commit(&mut platform, &mut |_, _| {
                    failed = true;
                    ControlFlow::Continue(())
                });
            }
            assert_eq!(platform.text("/etc/file"), if failed { "x\n" } else { "end\n" }, "{operation}");
        }
    }
}
