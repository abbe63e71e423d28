//! /etc/shadow and /etc/passwd: all but root's hash, the day and the password field of passwd stays, and what cannot be
//! done leaves both as they were.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::account::shadow::{SHADOW, set_root_hash};
use nanova_core::test_platform::{FakePlatform, Node};
use nanova_fuzz::parts;

fn lines(file: &[u8]) -> Vec<&[u8]> {
    file.split(|byte| *byte == b'\n').collect()
}

/// What stands behind the colon of this number in root's first line.
fn behind(file: &[u8], fields: usize) -> Option<Vec<u8>> {
    let line = lines(file).into_iter().find(|line| line.starts_with(b"root:"))?;
    Some(line.split(|byte| *byte == b':').skip(fields).collect::<Vec<_>>().join(&b':'))
}

/// All lines but root's first one are there, in their order.
fn check_others(old: &[u8], new: &[u8]) {
    let (old, new) = (lines(old), lines(new));
    assert_eq!(old.len(), new.len());
    let differ = old.iter().zip(&new).filter(|(old, new)| old != new).collect::<Vec<_>>();
    assert!(
        differ.len() <= 1 && differ.iter().all(|(old, new)| old.starts_with(b"root:") && new.starts_with(b"root:"))
    );
}

fuzz_target!(|input: &[u8]| {
    let [shadow, passwd] = parts(input);
    let mut platform = FakePlatform::with(&[]);
    for (path, contents) in [("/etc/shadow", shadow), ("/etc/passwd", passwd)] {
        platform.nodes.insert(path.to_owned(), Node::File { contents: contents.to_vec(), mode: 0o640 });
    }
    let result = set_root_hash(&mut platform, "$6$HASH", SHADOW);
    let mut contents = |path: &str| match platform.nodes.remove(path) {
        Some(Node::File { contents, mode: 0o640 }) => contents,
        other => panic!("{other:?}"),
    };
    let (new_shadow, new_passwd) = (contents("/etc/shadow"), contents("/etc/passwd"));
    if let Err(error) = result {
        assert!(!error.to_string().is_empty());
        assert!(new_shadow == shadow && new_passwd == passwd, "what fails changes nothing");
        return;
    }
    check_others(shadow, &new_shadow);
    check_others(passwd, &new_passwd);
    let root = lines(&new_shadow).into_iter().find(|line| line.starts_with(b"root:") && line.len() < 2048);
    assert!(root.expect("there is a root").starts_with(b"root:$6$HASH:19675"));
    let kept = behind(shadow, 3).filter(|rest| !rest.is_empty());
    assert!(kept.is_none_or(|kept| behind(&new_shadow, 3).is_none_or(|now| now == kept)));
    let root = lines(&new_passwd).into_iter().find(|line| line.starts_with(b"root:"));
    assert!(root.is_none_or(|line| line == b"root:x" || line.starts_with(b"root:x:")), "libc asks shadow");
    assert_eq!(platform.nodes.keys().filter(|path| path.contains("/.")).count(), 0, "an old hash is not kept");
});
