//! Files in parts on a platform in memory.

use super::*;
use crate::test_platform::{FakePlatform, Node};
use crate::wire::sha256::sha256;
use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

const FILE: GuestPath<'static> = GuestPath::literal("/etc/file");

fn whole(contents: &[u8]) -> Whole<'static> {
    Whole { path: FILE, size: contents.len() as u64, sum: sha256(&[contents]) }
}

/// Sends all of it in parts of this length.
fn send(platform: &mut FakePlatform, contents: &[u8], len: usize) -> Result<Added<'static>, PartError<'static>> {
    let (mut parts, mut offset) = (Parts::new(), 0);
    loop {
        let part = &contents[offset..contents.len().min(offset + len)];
        let added = parts.add(platform, &whole(contents), offset as u64, part)?;
        offset += part.len();
        if offset == contents.len() {
            assert_eq!((parts.give_up_at(), platform.kept.is_none()), (None, true));
            return Ok(added);
        }
        assert_eq!(added, Added::Part(offset as u64));
    }
}

#[test]
fn a_file_is_as_it_was_until_its_last_part_and_whole_then() {
    for len in [0, 1, 6, 7, 8, 20] {
        let contents = &b"contents of a file, new"[..len.max(1) - usize::from(len == 0)];
        let mut platform = FakePlatform::with(&[("/etc/file", "old")]);
        let mut parts = Parts::new();
        for (place, part) in contents.chunks(7).enumerate() {
            assert_eq!(platform.text("/etc/file"), "old");
            assert!(parts.add(&mut platform, &whole(contents), place as u64 * 7, part).is_ok());
        }
        if contents.is_empty() {
            assert_eq!(parts.add(&mut platform, &whole(contents), 0, b""), Ok(Added::Last(None)));
        }
        assert_eq!(platform.text("/etc/file").as_bytes(), contents);
        // What it held, its mode, and nothing else.
        assert_eq!(platform.text("/etc/file.1700000000.bak~"), "old");
        assert_eq!(platform.nodes["/etc/file"], Node::File { contents: contents.to_vec(), mode: 0o640 });
        assert_eq!(platform.nodes.len(), 3);
    }
    let mut platform = FakePlatform::with(&[]);
    assert_eq!(send(&mut platform, &[b'x'; 5000], 1000), Ok(Added::Last(None)));
    assert_eq!(platform.nodes["/etc/file"], Node::File { contents: vec![b'x'; 5000], mode: 0o600 });
    platform.log.clear();
    assert_eq!(send(&mut platform, &[b'x'; 5000], 4999), Ok(Added::Last(None)));
    assert!(platform.logged().ends_with("skipping /etc/file (no changes)"), "{}", platform.logged());
    assert_eq!(platform.nodes.len(), 2);
}

#[test]
fn a_part_that_is_not_the_next_one_is_refused_and_the_next_is_taken_still() {
    let contents = b"0123456789";
    let mut platform = FakePlatform::with(&[("/etc/file", "old")]);
    let mut parts = Parts::new();
    assert_eq!(parts.add(&mut platform, &whole(contents), 4, b"4567"), Err(PartError::NotUnderWay));
    assert_eq!(parts.add(&mut platform, &whole(contents), 0, b"0123"), Ok(Added::Part(4)));
    for offset in [1, 3, 5, u64::MAX] {
        assert_eq!(parts.add(&mut platform, &whole(contents), offset, b"x"), Err(PartError::NotNext(4)));
    }
    // Another file's, by its path, its size or its sum.
    let others = [
        Whole { path: GuestPath::literal("/etc/other"), ..whole(contents) },
        Whole { size: 11, ..whole(contents) },
        Whole { sum: [0; 32], ..whole(contents) },
    ];
    for other in others {
        assert_eq!(parts.add(&mut platform, &other, 4, b"4567"), Err(PartError::NotUnderWay));
    }
    assert_eq!(parts.add(&mut platform, &whole(contents), 4, b"456789"), Ok(Added::Last(None)));
    assert_eq!(platform.text("/etc/file"), "0123456789");
    // A first part begins anew.
    assert_eq!(parts.add(&mut platform, &whole(b"abcd"), 0, b"ab"), Ok(Added::Part(2)));
    assert_eq!(parts.add(&mut platform, &whole(b"efgh"), 0, b"ef"), Ok(Added::Part(2)));
    assert_eq!(parts.add(&mut platform, &whole(b"abcd"), 2, b"cd"), Err(PartError::NotUnderWay));
    assert_eq!(parts.add(&mut platform, &whole(b"efgh"), 2, b"gh"), Ok(Added::Last(None)));
    assert_eq!(platform.text("/etc/file"), "efgh");
}

#[test]
fn more_bytes_than_were_said_or_others_leave_the_old_file_and_nothing_beside_it() {
    for (said, sent, error) in [
        (whole(b"0123"), b"0124", PartError::WrongSum),
        (whole(b"012"), b"0123", PartError::TooLong),
        (Whole { size: SIZE_MAX + 1, ..whole(b"0123") }, b"0123", PartError::TooLong),
    ] {
        for first in [1, 4] {
            let mut platform = FakePlatform::with(&[("/etc/file", "old")]);
            let mut parts = Parts::new();
            let mut added = parts.add(&mut platform, &said, 0, &sent[..first]);
            if added.is_ok() {
                added = parts.add(&mut platform, &said, 1, &sent[first..]);
            }
            assert_eq!(added, Err(error_of(&error)));
            assert_eq!((platform.nodes.len(), platform.text("/etc/file")), (2, "old"));
            assert_eq!((parts.give_up_at(), platform.kept.is_none()), (None, true));
        }
    }
    let mut parts = Parts::new();
    let largest = Whole { size: SIZE_MAX, ..whole(b"") };
    assert_eq!(parts.add(&mut FakePlatform::with(&[]), &largest, 0, b"x"), Ok(Added::Part(1)));
}

fn error_of(error: &PartError<'static>) -> PartError<'static> {
    if *error == PartError::TooLong { PartError::TooLong } else { PartError::WrongSum }
}

#[test]
fn a_file_that_is_not_gone_on_with_for_a_minute_is_given_up() {
    let mut platform = FakePlatform::with(&[("/etc/file", "old")]);
    let mut parts = Parts::new();
    assert_eq!(parts.add(&mut platform, &whole(b"0123"), 0, b"01"), Ok(Added::Part(2)));
    platform.time += 59;
    assert_eq!(parts.add(&mut platform, &whole(b"0123"), 2, b"2"), Ok(Added::Part(3)));
    assert_eq!(parts.give_up_at(), Some(119_000));
    parts.give_up_silent(&mut platform, 118_999);
    assert!(platform.kept.is_some());
    parts.give_up_silent(&mut platform, 119_000);
    assert!(platform.kept.is_none() && platform.logged().ends_with("no part of it came for a minute"));
    assert_eq!(parts.add(&mut platform, &whole(b"0123"), 3, b"3"), Err(PartError::NotUnderWay));
    // Whoever forgets to ask.
    assert_eq!(parts.add(&mut platform, &whole(b"0123"), 0, b"012"), Ok(Added::Part(3)));
    platform.time += 60;
    assert_eq!(parts.add(&mut platform, &whole(b"0123"), 3, b"3"), Err(PartError::NotUnderWay));
    assert_eq!((platform.nodes.len(), platform.text("/etc/file")), (2, "old"));
}

#[test]
fn whatever_fails_is_named_and_the_old_file_is_there() {
    let mut actions = Vec::new();
    for operation in 0.. {
        let mut platform = FakePlatform::with(&[("/etc/file", "old")]);
        platform.fail = Some((operation, Errno::IO));
        match send(&mut platform, b"new bytes", 5) {
            Ok(_) if platform.fail.is_some() => break,
            // How many backups there are is no matter.
            Ok(_) => continue,
            Err(PartError::Inject(InjectError::File(error))) => actions.push(error.action),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(platform.text("/etc/file"), "old");
        assert!(platform.kept.is_none());
    }
    let wanted = [
        "look at",
        "open",
        "make a file beside",
        "write beside",
        "write beside",
        "look at",
        "read",
        "read",
        "read",
        "open",
        "keep owner, mode and attributes of",
        "back up",
        "replace",
    ];
    assert_eq!(actions, wanted);
    for errno in [Errno::OPNOTSUPP, Errno::ISDIR] {
        // Behind two looks and the opening of the old file.
        let mut platform = FakePlatform::with(&[("/etc/file", "old")]);
        platform.fail = Some((2, errno));
        assert_eq!(send(&mut platform, b"new", 2), Err(PartError::NoUnnamed(FILE)), "{}", platform.logged());
    }
    let mut platform = FakePlatform::with(&[("/etc/file/below", "")]);
    assert_eq!(send(&mut platform, b"new", 2), Err(PartError::Inject(InjectError::NotAFile(FILE))));
}

proptest! {
    #[test]
    fn however_it_is_cut_the_file_is_what_was_sent(
        contents in prop::collection::vec(proptest::prelude::any::<u8>(), 1..300), len in 1usize..100
    ) {
        let mut platform = FakePlatform::with(&[]);
        prop_assert!(send(&mut platform, &contents, len).is_ok());
        prop_assert_eq!(&platform.nodes["/etc/file"], &Node::File { contents, mode: 0o600 });
    }
}
