//! The volumes that are mounted, from `/proc/self/mountinfo` (proc(5)), and where their first blocks have their UUIDs.
//!
//! A volume is a block device that is mounted, or a pool of ZFS; where it is mounted several times, the first place
//! counts. Loop devices are files of a volume that is counted already. Lines are read as they come, however long they
//! are: only what counts of them has to have room.
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

/// Longest mount point that is published, as mountinfo has it: a key's value has room for no more.
const MOUNT_POINT_MAX: usize = 256;
/// Bytes that are kept of a line: that, the file system's name, and the device's or a data set's, which has up to 256.
const KEPT_MAX: usize = MOUNT_POINT_MAX + 320;

/// A volume, borrowed from what was kept of a line of mountinfo.
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
    /// The volume that the kept words of a line are about.
    fn parse(kept: &'a str) -> Option<Volume<'a>> {
        let mut words = kept.split(' ');
        let mount_point = MountField(words.next()?);
        let (file_system, device) = (words.next()?, words.next()?);
        let counts = device.starts_with("/dev/") && !device.starts_with("/dev/loop") || file_system == "zfs";
        counts.then_some(Volume { device, mount_point, file_system })
    }

    /// What is the same of all places where it is mounted: the device, or the pool that a data set is of.
    fn identity(&self) -> &'a str {
        let pool = || self.device.split('/').next().unwrap_or(self.device);
        if self.file_system == "zfs" { pool() } else { self.device }
    }
}

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

/// A volume, and what it answers when it is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountedVolume {
    /// What was kept of its line of mountinfo.
    pub line: String<KEPT_MAX>,
    /// What it has answered.
    pub measured: Option<Measured>,
}

impl MountedVolume {
    /// What it is, and where.
    pub fn volume(&self) -> Option<Volume<'_>> {
        Volume::parse(&self.line)
    }
}

/// Volumes.
pub type Volumes = Vec<MountedVolume, VOLUMES_MAX>;

/// The volumes of a mountinfo that comes in pieces of any size.
pub struct MountTable {
    /// Those that were found.
    pub volumes: Volumes,
    /// Whether there was no room for others, or for what counts of their lines, or that is no text.
    pub cut: bool,
    /// The words that count of the line that is read, as far as it was, each with a space behind it.
    kept: heapless::Vec<u8, KEPT_MAX>,
    /// Where in it the word begins that is read, and whether that has room so far.
    start: usize,
    whole: bool,
    word: Word,
    /// Whether all words that count had room.
    fits: bool,
}

/// Which word of a line is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    /// One of the four before the mount point.
    Before(u8),
    MountPoint,
    /// Options and optional words, as many as there are, up to a dash.
    Optional,
    FileSystem,
    Device,
    Behind,
}

impl MountTable {
    /// Nothing was read yet.
    pub fn new() -> MountTable {
        let (kept, word) = (heapless::Vec::new(), Word::Before(0));
        MountTable { volumes: Volumes::new(), cut: false, kept, start: 0, whole: true, word, fits: true }
    }

    /// Reads a piece; none is the end.
    pub fn read(&mut self, piece: &[u8]) {
        if piece.is_empty() && self.word != Word::Before(0) {
            self.end_line();
        }
        for byte in piece {
            match byte {
                b'\n' => self.end_line(),
                b' ' => self.end_word(),
                byte => match self.word {
                    Word::Before(_) | Word::Behind => {}
                    _ => self.whole &= self.kept.push(*byte).is_ok(),
                },
            }
        }
    }

    fn end_word(&mut self) {
        let word = self.kept.get(self.start..).unwrap_or_default();
        let is_dash = word == b"-";
        self.whole &= core::str::from_utf8(word).is_ok();
        self.whole &= self.word != Word::MountPoint || word.len() <= MOUNT_POINT_MAX;
        match self.word {
            Word::Before(_) | Word::Behind => {}
            Word::Optional => self.kept.truncate(self.start),
            _ => self.keep_word(),
        }
        self.whole = true;
        self.word = match self.word {
            Word::Before(3) => Word::MountPoint,
            Word::Before(count) => Word::Before(count + 1),
            Word::Optional if is_dash => Word::FileSystem,
            Word::MountPoint | Word::Optional => Word::Optional,
            Word::FileSystem => Word::Device,
            Word::Device | Word::Behind => Word::Behind,
        };
    }

    /// A word that had no room is kept as none.
    fn keep_word(&mut self) {
        if !self.whole {
            self.kept.truncate(self.start);
            self.fits = false;
        }
        self.fits &= self.kept.push(b' ').is_ok();
        self.start = self.kept.len();
    }

    fn end_line(&mut self) {
        self.end_word();
        let kept = core::str::from_utf8(&self.kept).unwrap_or_default();
        if self.word == Word::Behind
            && let Some(volume) = Volume::parse(kept)
            && !self.volumes.iter().filter_map(MountedVolume::volume).any(|known| known.identity() == volume.identity())
        {
            let line = kept.try_into().unwrap_or_default();
            let full = !self.fits || self.volumes.push(MountedVolume { line, measured: None }).is_err();
            self.cut |= full;
        }
        self.kept.clear();
        (self.start, self.word, self.fits) = (0, Word::Before(0), true);
    }
}

impl Default for MountTable {
    fn default() -> Self {
        MountTable::new()
    }
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
    use proptest::prelude::{prop, prop_assert_eq, proptest};

    type Text = std::string::String;

    /// What is found in these lines, which come in pieces of this size: device, mount point, file system; and whether
    /// that is not all.
    fn found(lines: &[u8], piece: usize) -> (std::vec::Vec<(Text, Text, Text)>, bool) {
        let mut table = MountTable::new();
        lines.chunks(piece).for_each(|piece| table.read(piece));
        table.read(b"");
        let show = |v: Volume<'_>| (v.device.to_owned(), v.mount_point.to_string(), v.file_system.to_owned());
        (table.volumes.iter().map(|found| show(found.volume().unwrap())).collect(), table.cut)
    }

    fn mount_points(lines: &str) -> (std::vec::Vec<Text>, bool) {
        let (found, cut) = found(lines.as_bytes(), 1000);
        (found.into_iter().map(|(_, mount_point, _)| mount_point).collect(), cut)
    }

    #[test]
    fn mountinfo_of_a_guest() {
        let lines = "\
22 1 202:1 / / rw,relatime shared:1 - ext4 /dev/xvda1 rw,errors=remount-ro
23 22 0:21 / /proc rw,nosuid shared:12 - proc proc rw
24 22 0:30 /@home /home rw,relatime shared:13 - btrfs /dev/xvdb rw,subvol=/@home
25 22 7:0 / /snap/core/1 ro,nodev shared:14 - squashfs /dev/loop0 ro
26 22 202:1 /var/lib/x /mnt/bind rw - ext4 /dev/xvda1 rw
27 22 0:44 / /tmp rw - tmpfs tmpfs rw
28 22 253:0 / /mnt/a\\040b\\134c rw master:2 shared:3 - xfs /dev/mapper/vg-data rw
29 22 0:50 / / rw - zfs rpool/ROOT/debian rw,xattr
30 22 0:51 / /home2 rw - zfs rpool/home rw,xattr
31 22 0:52 / /boot rw - zfs bpool rw
broken line - 
22 1 202:1 / /broken rw - ext4
";
        let expected = [
            ("/dev/xvda1", "/", "ext4"),
            ("/dev/xvdb", "/home", "btrfs"),
            ("/dev/mapper/vg-data", "/mnt/a b\\c", "xfs"),
            ("rpool/ROOT/debian", "/", "zfs"),
            ("bpool", "/boot", "zfs"),
        ];
        for piece in [1, 2, 7, 4096] {
            let (found, cut) = found(lines.as_bytes(), piece);
            assert_eq!(found, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
            assert!(!cut);
        }
        // The last line need not end in a newline.
        assert_eq!(mount_points("1 1 8:0 / /a rw - ext4 /dev/sda rw").0, ["/a"]);
    }

    #[test]
    fn more_than_there_is_room_for_is_said() {
        let lines: Text = (0..9).map(|n| format!("1 1 8:{n} / /m{n} rw - ext4 /dev/sd{n} rw\n")).collect();
        assert_eq!(mount_points(&lines), (["/m0", "/m1", "/m2", "/m3", "/m4"].map(Text::from).to_vec(), true));
        let fewer: Text = lines.lines().take(VOLUMES_MAX).map(|line| format!("{line}\n")).collect();
        assert!(!mount_points(&fewer).1);
    }

    #[test]
    fn a_line_may_be_of_any_length_but_for_what_is_published() {
        let (long, mount_point) = ("y".repeat(5000), "/x".repeat(MOUNT_POINT_MAX / 2));
        let line = |device: &str, path: &str| {
            format!("1 1 8:1 /{long} {path} rw,{long} shared:{long} - ext4 {device} rw,lowerdir={long}\n")
        };
        let overlay = format!("1 1 0:9 / /{long} rw - overlay overlay rw,lowerdir={long}\n");
        let lines = overlay + &line("/dev/sda", &mount_point) + &line("/dev/sda", &format!("/{long}"));
        assert_eq!(mount_points(&lines), (vec![mount_point.clone()], false));
        // One whose mount point is longer is left out, unless it is mounted elsewhere, too.
        for longer in [format!("{mount_point}x"), format!("/{long}")] {
            let lines = line("/dev/sdb", &longer) + &line("/dev/sda", "/a");
            assert_eq!(mount_points(&lines), (vec!["/a".to_owned()], true));
            assert_eq!(mount_points(&(lines + &line("/dev/sdb", "/b"))).0, ["/a", "/b"]);
        }
        // So is one whose mount point is no text.
        let (found, cut) = found(b"1 1 8:1 / /caf\xe9 rw - ext4 /dev/sda rw\n1 1 8:2 / /b rw - ext4 /dev/sdb rw\n", 10);
        assert_eq!((found.len(), cut), (1, true));
        assert!(!self::found(b"1 1 0:1 / /caf\xe9 rw - tmpfs tmpfs rw\n", 10).1);
        // A device's name, too, and the next line is whole.
        assert_eq!(mount_points(&(line(&format!("/dev/{long}"), "/a") + &line("/dev/sdb", "/b"))).0, ["/b"]);
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
        assert_eq!(MountedVolume::default().volume(), None);
    }

    #[test]
    fn a_volume_is_one_device_and_no_file_of_another() {
        let line = |device: &str, path: &str| format!("1 1 8:1 / {path} rw - ext4 {device} rw\n");
        let lines = [("/dev/sda", "/a"), ("/dev/sda", "/b"), ("/dev/loop7", "/c"), ("dev/sdb", "/d")];
        let lines: Text = lines.iter().map(|(device, path)| line(device, path)).collect();
        assert_eq!(mount_points(&lines), (vec!["/a".to_owned()], false));
    }

    #[test]
    fn a_uuid_as_blkid_shows_it() {
        let mut bytes = [0; UUID_LEN];
        (0..16).for_each(|n| bytes[n] = 0x10 * (n as u8) + 1);
        assert_eq!(Uuid(bytes).to_string(), "01112131-4151-6171-8191-a1b1c1d1e1f1");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            bytes in prop::collection::vec(prop::sample::select(&b" -/\nab\\0\xff"[..]), 0..400),
            piece in 1_usize..50,
        ) {
            prop_assert_eq!(found(&bytes, piece), found(&bytes, 1));
        }
    }
}
