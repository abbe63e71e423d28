//! The mount points of a system, as `/proc/self/mounts` lists them (proc(5), fstab(5)).

use core::fmt::Write;

use crate::wire::text::MountField;

/// Mount points that are left alone at the end: they hold nothing, and the end needs them.
const LEFT: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Longest path of a mount point.
pub const MOUNT_POINT_MAX: usize = 1024;

/// The mount points to unmount before the power goes off, in order: what was mounted last goes first. A table that was
/// cut off in the middle of a line yields the whole lines.
pub fn to_unmount(table: &str) -> impl Iterator<Item = heapless::String<MOUNT_POINT_MAX>> {
    let whole = table.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.rsplit('\n').filter_map(|line| {
        let mut path = heapless::String::new();
        write!(path, "{}", MountField(line.split(' ').nth(1)?)).ok()?;
        let left = path == "/" || LEFT.iter().any(|left| is_below(&path, left));
        (!left).then_some(path)
    })
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_mounted_last_goes_first_and_what_the_end_needs_stays() {
        let table = "rootfs / rootfs rw 0 0\nproc /proc proc rw 0 0\ndevtmpfs /dev devtmpfs rw 0 0\n\
                     devpts /dev/pts devpts rw 0 0\n/dev/xvdb /data ext4 rw 0 0\n/dev/xvdc /data/a\\040b ext4 rw 0 0\n\
                     tmpfs /devices tmpfs rw 0 0\n/dev/xvdd /cut";
        let paths: Vec<_> = to_unmount(table).collect();
        assert_eq!(paths, ["/devices", "/data/a b", "/data"]);
    }

    #[test]
    fn what_only_begins_like_a_place_that_stays_goes() {
        let table = "x /proc2 x\nx /sys/fs x\nx /systems x\nx /dev x\nx / x\nx /a/proc x\n";
        assert_eq!(to_unmount(table).collect::<Vec<_>>(), ["/a/proc", "/systems", "/proc2"]);
    }

    #[test]
    fn noise_is_passed_over() {
        assert_eq!(to_unmount("").count(), 0);
        assert_eq!(to_unmount("\n\nx\n \n").count(), 1, "an empty second field is a path that cannot be unmounted");
        assert_eq!(to_unmount("a \\777 b\n").next().unwrap(), "\\777");
    }
}
