//! os-release and what was there before it: all that is said of a system is short, printable text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::report::os::{OperatingSystem, SOURCES};
use nanova_core::test_platform::{FakePlatform, Node};

fn check(os: &OperatingSystem) {
    for value in [&os.name, &os.distro, &os.major, &os.minor] {
        assert!(!value.as_str().is_empty() || value == &os.name, "{os:?}");
        assert!(value.as_str().len() <= 128 && !value.as_str().chars().any(|c| c.is_control() || c == '\\'), "{os:?}");
    }
    assert!(!os.name.as_str().is_empty(), "{os:?}");
}

fuzz_target!(|input: &[u8]| {
    let [choice, file @ ..] = input else { return };
    for (_, format) in SOURCES {
        OperatingSystem::of(format, file).iter().for_each(check);
    }
    // Two files, of which the second may add to the first.
    if choice & 15 != 0 {
        return;
    }
    let mut platform = FakePlatform::with(&[]);
    let (path, _) = SOURCES[usize::from(choice >> 4) % SOURCES.len()];
    let (first, second) = file.split_at(file.iter().position(|byte| *byte == 0x1e).unwrap_or(file.len()));
    for (path, contents) in [(path.as_str(), first), ("/etc/debian_version", second.get(1..).unwrap_or_default())] {
        platform.nodes.insert(path.to_owned(), Node::File { contents: contents.to_vec(), mode: 0o644 });
    }
    OperatingSystem::find(&mut platform).iter().for_each(check);
});
