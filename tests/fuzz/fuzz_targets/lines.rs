//! The editor of files, whatever is in a file and however little of it is read at once: an edit that changes nothing
//! writes nothing, one that takes lines away keeps the others, and one that adds a line adds that and a newline before
//! it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::files::lines::Old;
use nanova_core::files::transaction::{Backup, FileTransaction};
use nanova_core::platform::GuestPath;
use nanova_core::test_platform::{FakePlatform, Node};

const PATH: GuestPath<'static> = GuestPath::literal("/etc/file");

fn edited(old: &[u8], piece: usize, edit: nanova_core::files::lines::Edit<'_>) -> Option<Vec<u8>> {
    let mut platform = FakePlatform::with(&[]);
    platform.nodes.insert("/etc/file".to_owned(), Node::File { contents: old.to_vec(), mode: 0o600 });
    platform.piece = piece;
    let mut files = FileTransaction::default();
    assert_eq!(files.edit(&mut platform, PATH, 0o644, Backup::None, edit), Ok(()));
    let changes = !files.is_empty();
    files.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
    let Some(Node::File { contents, mode: 0o600 }) = platform.nodes.remove("/etc/file") else { panic!("it is a file") };
    assert_eq!(changes, contents != old, "what changes is written, and nothing else");
    changes.then_some(contents)
}

fuzz_target!(|input: &[u8]| {
    let [piece, letter, old @ ..] = input else { return };
    let piece = if *piece < 128 { usize::MAX } else { usize::from(*piece) * 17 - 128 * 17 + 1 };
    assert_eq!(edited(old, piece, &mut |old, out| out.keep(old)), None, "nothing changes");
    // Without the lines that begin with a letter.
    let is_long = |line: &[u8]| line.strip_suffix(b"\n").unwrap_or(line).len() >= 1024;
    let expected = old.split_inclusive(|byte| *byte == b'\n');
    let mut expected =
        expected.filter(|line| is_long(line) || !line.starts_with(&[*letter])).collect::<Vec<_>>().concat();
    if !old.ends_with(b"\n") && expected.ends_with(b"\n") {
        expected.pop();
    }
    let without = edited(old, piece, &mut |old, out| match old {
        Old::Line(line) if line.starts_with(&[*letter]) => {}
        old => out.keep(old),
    });
    if *letter != b'\n' {
        assert_eq!(without.unwrap_or(old.to_vec()), expected);
    }
    // With one more.
    let with = edited(old, piece, &mut |old, out| if old == Old::End { out.put("more\n") } else { out.keep(old) });
    let newline: &[u8] = if old.is_empty() || old.ends_with(b"\n") { b"" } else { b"\n" };
    assert_eq!(with.expect("something changes"), [old, newline, b"more\n"].concat());
});
