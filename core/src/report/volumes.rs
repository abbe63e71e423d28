//! The volumes that are mounted, from `/proc/self/mountinfo` (proc(5)), and where their first blocks have their UUIDs.
//!
//! A volume is a block device that is mounted; where it is mounted several times, the first place counts. Loop devices
//! are files of a volume that is counted already.
//!
//! Where a file system has its UUID: Linux, `fs/ext4/ext4.h` (`s_uuid`), `fs/xfs/libxfs/xfs_format.h` (`sb_uuid`),
//! `include/uapi/linux/btrfs_tree.h` (`fsid`), `include/linux/f2fs_fs.h` (`uuid`).

use core::fmt;

use heapless::{String, Vec};

use crate::wire::text::MountField;

/// Most volumes that are published.
pub const VOLUMES_MAX: usize = 5;
/// Bytes of a UUID.
pub const UUID_LEN: usize = 16;

/// What a volume answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Bytes that it has.
    pub size: u64,
    /// Bytes that are free for all.
    pub free: u64,
    /// The UUID of its file system, if it has one.
    pub uuid: Option<[u8; UUID_LEN]>,
}

/// A volume, borrowed from a line of mountinfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume<'a> {
    /// The device's path.
    pub device: &'a str,
    /// Where it is mounted.
    pub mount_point: MountField<'a>,
    /// The kernel's name of its file system.
    pub file_system: &'a str,
}

impl<'a> Volume<'a> {
    /// What a line of mountinfo says of a block device.
    pub fn parse(line: &'a str) -> Option<Volume<'a>> {
        let mut words = line.split(' ');
        let mount_point = MountField(words.nth(4)?);
        // Behind the options come optional words, as many as there are, up to a dash.
        words.find(|word| *word == "-")?;
        let (file_system, device) = (words.next()?, words.next()?);
        let counts = device.starts_with("/dev/") && !device.starts_with("/dev/loop");
        counts.then_some(Volume { device, mount_point, file_system })
    }
}

/// A volume, and what it answers when it is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountedVolume {
    /// Its line of mountinfo.
    pub line: String<256>,
    /// What it has answered.
    pub measured: Option<Measured>,
}

/// Volumes.
pub type Volumes = Vec<MountedVolume, VOLUMES_MAX>;

/// Adds the volume of a line of mountinfo, if it is one, and a new one. Returns whether there was room; a line that
/// takes more is one too many.
pub fn take(volumes: &mut Volumes, line: &str) -> bool {
    let Some(volume) = Volume::parse(line) else { return true };
    let is_known =
        |known: &MountedVolume| Volume::parse(&known.line).is_some_and(|known| known.device == volume.device);
    volumes.iter().any(is_known)
        || line.try_into().is_ok_and(|line| volumes.push(MountedVolume { line, ..MountedVolume::default() }).is_ok())
}

/// Where on its device a file system has its UUID.
pub fn uuid_offset(file_system: &str) -> Option<usize> {
    Some(match file_system {
        "ext2" | "ext3" | "ext4" => 0x468,
        "f2fs" => 0x46c,
        "xfs" => 0x20,
        "btrfs" => 0x10020,
        _ => return None,
    })
}

/// Shows a UUID as `blkid` does.
pub struct Uuid(pub [u8; UUID_LEN]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            write!(f, "{}{:02x}", if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" }, u32::from(*byte))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::proptest;

    #[test]
    fn mountinfo_of_a_guest() {
        let lines = "\
22 1 202:1 / / rw,relatime shared:1 - ext4 /dev/xvda1 rw,errors=remount-ro
23 22 0:21 / /proc rw,nosuid shared:12 - proc proc rw
24 22 0:30 /@home /home rw,relatime shared:13 - btrfs /dev/xvdb rw,subvol=/@home
25 22 7:0 / /snap/core/1 ro,nodev shared:14 - squashfs /dev/loop0 ro
26 22 202:1 /var/lib/x /mnt/bind rw - ext4 /dev/xvda1 rw
27 22 0:44 / /tmp rw - tmpfs tmpfs rw
28 22 253:0 / /mnt/a\\040b\\134c rw master:2 - xfs /dev/mapper/vg-data rw
broken line - 
";
        let mut volumes = Volumes::new();
        assert!(lines.lines().all(|line| take(&mut volumes, line)));
        let show = |v: Volume<'_>| (v.device.to_owned(), v.mount_point.to_string(), v.file_system.to_owned());
        let shown: std::vec::Vec<_> = volumes.iter().map(|found| show(Volume::parse(&found.line).unwrap())).collect();
        let expected = [
            ("/dev/xvda1", "/", "ext4"),
            ("/dev/xvdb", "/home", "btrfs"),
            ("/dev/mapper/vg-data", "/mnt/a b\\c", "xfs"),
        ];
        assert_eq!(shown, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    }

    #[test]
    fn more_than_there_is_room_for_is_said() {
        let mut volumes = Volumes::new();
        let kept = (0..9).filter(|n| take(&mut volumes, &format!("1 1 8:{n} / /m{n} rw - ext4 /dev/sd{n} rw"))).count();
        assert_eq!((kept, volumes.len()), (VOLUMES_MAX, VOLUMES_MAX));
    }

    #[test]
    fn each_file_system_has_its_uuid_where_linux_has_it() {
        for (names, offset) in [
            (&["ext2", "ext3", "ext4"][..], Some(1128)),
            (&["f2fs"], Some(1132)),
            (&["xfs"], Some(32)),
            (&["btrfs"], Some(65568)),
            (&["vfat", "", "ext", "zfs"], None),
        ] {
            names.iter().for_each(|name| assert_eq!(uuid_offset(name), offset, "{name}"));
        }
    }

    #[test]
    fn a_volume_is_one_device_and_a_line_too_long_is_one_too_many() {
        let mut volumes = Volumes::new();
        let line = |device: &str, path: &str| format!("1 1 8:1 / {path} rw - ext4 {device} rw");
        assert!(take(&mut volumes, &line("/dev/sda", "/a")) && take(&mut volumes, &line("/dev/sda", "/b")));
        assert!(take(&mut volumes, &line("/dev/loop7", "/c")) && take(&mut volumes, &line("dev/sdb", "/d")));
        assert_eq!(volumes.len(), 1);
        let long = "x".repeat(300);
        assert!(!take(&mut volumes, &line("/dev/sdb", &long)));
        assert!(take(&mut volumes, &line("/dev/sda", &long)), "that one is known");
        assert_eq!(Volume::parse(&volumes[0].line).unwrap().mount_point, MountField("/a"));
    }

    #[test]
    fn a_uuid_as_blkid_shows_it() {
        let mut bytes = [0; UUID_LEN];
        (0..16).for_each(|n| bytes[n] = 0x10 * (n as u8) + 1);
        assert_eq!(Uuid(bytes).to_string(), "01112131-4151-6171-8191-a1b1c1d1e1f1");
    }

    proptest! {
        #[test]
        fn any_line_is_taken_without_a_panic(line in "[ /a-z0-9\\\\-]{0,80}( - )?[ /a-z\\\\0-7é]{0,40}") {
            take(&mut Volumes::new(), &line);
            if let Some(volume) = Volume::parse(&line) {
                let _ = volume.mount_point.to_string();
            }
        }
    }
}
