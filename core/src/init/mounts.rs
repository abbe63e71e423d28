//! The mount points of a system, as `/proc/self/mounts` lists them (proc(5), fstab(5)).

/// Mount points that are left alone at the end: they hold nothing, and the end needs them.
const LEFT: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Longest path of a mount point.
pub const MOUNT_POINT_MAX: usize = 1024;

/// The mount points to unmount before the power goes off, in order: what was mounted last goes first. A table that was cut
/// off in the middle of a line yields the whole lines.
pub fn to_unmount(table: &str) -> impl Iterator<Item = heapless::String<MOUNT_POINT_MAX>> {
    let whole = table.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.rsplit('\n').filter_map(|line| {
        let path = unescape(line.split(' ').nth(1)?)?;
        let left = path == "/" || LEFT.iter().any(|left| is_below(&path, left));
        (!left).then_some(path)
    })
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Blanks and the like are written as a backslash and three octal digits.
fn unescape(field: &str) -> Option<heapless::String<MOUNT_POINT_MAX>> {
    let mut bytes = heapless::Vec::<u8, MOUNT_POINT_MAX>::new();
    let mut rest = field.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let byte = match (byte, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                rest = after;
                (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')
            }
            _ => byte,
        };
        bytes.push(byte).ok()?;
    }
    heapless::String::from_utf8(bytes).ok()
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
    fn noise_is_passed_over() {
        assert_eq!(to_unmount("").count(), 0);
        assert_eq!(to_unmount("\n\nx\n \n").count(), 1, "an empty second field is a path that cannot be unmounted");
        assert_eq!(to_unmount("a \\777 b\n").next().unwrap(), "\\777");
    }
}
