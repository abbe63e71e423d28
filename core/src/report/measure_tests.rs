//! Volumes that answer, that answer in part, and that do not, on a platform in memory.

use super::*;
use crate::test_platform::FakePlatform;

const LINES: [&str; 3] =
    ["1 1 8:1 / / rw - vfat /dev/sda rw", "2 1 8:2 / /b rw - vfat /dev/sdb rw", "3 1 8:3 / /c rw - vfat /dev/sdc rw"];
const RECORD: usize = size_of::<Record>();

fn guest(lines: &[&str]) -> FakePlatform {
    let mut platform = FakePlatform::with(&[("/proc/self/mountinfo", &lines.join("\n"))]);
    for (size, path) in [(100, "/"), (200, "/b"), (300, "/c")] {
        platform.spaces.insert(path.to_owned(), (size, size / 2));
    }
    platform
}

/// Looks until all that can be known is known; the sizes.
fn look(measuring: &mut Measuring, platform: &mut FakePlatform) -> Vec<u64> {
    let mut known = measuring.begin(platform);
    while !known && let Some(ended) = platform.ended(Errand::Volumes) {
        known = measuring.take(platform, ended);
    }
    measuring.volumes().iter().map(|volume| volume.measured.unwrap().size).collect()
}

#[test]
fn a_record_says_what_was_measured() {
    for uuid in [None, Some([0; UUID_LEN]), Some(*b"0123456789abcdef")] {
        let measured = Measured { size: u64::MAX - 1, free: 7, uuid };
        assert_eq!(Measured::of_record(&measured.to_record()), Some(measured));
    }
}

#[test]
fn each_volume_is_asked_by_one_errand() {
    let (mut measuring, mut platform) = (Measuring::new(), guest(&LINES));
    assert_eq!(look(&mut measuring, &mut platform), [100, 200, 300]);
    assert_eq!(platform.errands.begun, [Errand::Volumes]);
    // While it is under way no other is begun.
    platform.errands.linger = true;
    assert!(!measuring.begin(&mut platform) && !measuring.begin(&mut platform));
    assert_eq!(platform.errands.begun.len(), 2);
    // Where nothing is mounted nobody is asked.
    let (mut measuring, mut platform) = (Measuring::new(), guest(&[]));
    assert!(measuring.begin(&mut platform));
    assert!(platform.errands.begun.is_empty());
}

#[test]
fn a_volume_that_does_not_answer_is_left_out_until_something_is_mounted() {
    for (how, said) in [(Ended::Late, "does not answer"), (Ended::Signal(31), "cannot be looked at")] {
        for (silent, left) in [(0, [200, 300]), (1, [100, 300]), (2, [100, 200])] {
            let (mut measuring, mut platform) = (Measuring::new(), guest(&LINES));
            platform.errands.ends_badly = how;
            // A part of its record counts for nothing.
            platform.errands.hangs_after.push(silent * RECORD + RECORD - 1);
            assert_eq!(look(&mut measuring, &mut platform), left, "{silent}");
            let device = ["/dev/sda on /", "/dev/sdb on /b", "/dev/sdc on /c"][silent];
            assert_eq!(platform.logged(), format!("{device} {said}: it is left out until something is mounted"));
            let begun = platform.errands.begun.len();
            assert_eq!(look(&mut measuring, &mut platform), left);
            assert_eq!(platform.errands.begun.len(), begun + 1, "it was not asked again");
            platform.put("/proc/self/mountinfo", &[&LINES[..], &["4 1 0:9 / /t rw - tmpfs t rw"]].concat().join("\n"));
            assert_eq!(look(&mut measuring, &mut platform), [100, 200, 300]);
        }
    }
}

#[test]
fn all_volumes_may_be_silent() {
    let (mut measuring, mut platform) = (Measuring::new(), guest(&LINES));
    platform.errands.ends_badly = Ended::Late;
    platform.errands.hangs_after = vec![0, 0, 0];
    assert_eq!(look(&mut measuring, &mut platform), [0; 0]);
    assert!(measuring.begin(&mut platform), "there is nobody to ask");
}

#[test]
fn where_no_process_can_be_had_nothing_is_asked_until_the_next_look() {
    let (mut measuring, mut platform) = (Measuring::new(), guest(&LINES));
    platform.errands.refused = Some(Errno::AGAIN);
    assert!(!measuring.begin(&mut platform) && !measuring.begin(&mut platform));
    assert_eq!(platform.logged().matches("no process can look at volumes: ").count(), 1);
    assert!(measuring.volumes().iter().all(|volume| volume.measured.is_none()));
    platform.errands.refused = None;
    assert_eq!(look(&mut measuring, &mut platform), [100, 200, 300]);
    // Half a look is not all that can be known.
    platform.errands.hangs_after.push(RECORD);
    assert!(!measuring.begin(&mut platform));
    platform.errands.refused = Some(Errno::BUSY);
    let ended = platform.ended(Errand::Volumes).unwrap();
    assert!(!measuring.take(&mut platform, ended));
    platform.errands.refused = None;
    assert_eq!(look(&mut measuring, &mut platform), [100, 300]);
}
