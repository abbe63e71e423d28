//! The file systems of a kernel, and small files in them.

use nanova_core::errno::Errno;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno as SystemErrno;
use rustix::mount::{MountFlags, mount};

use crate::system::errno;

/// Mounts /proc, /sys, /dev and /run. Those that are there already are left as they are. Returns the first that failed.
pub(super) fn mount_all() -> Result<(), (&'static str, Errno)> {
    let plain = MountFlags::NOSUID | MountFlags::NODEV;
    let kinds = [
        ("/proc", c"proc", plain | MountFlags::NOEXEC, c""),
        ("/sys", c"sysfs", plain | MountFlags::NOEXEC, c""),
        ("/dev", c"devtmpfs", MountFlags::NOSUID, c"mode=0755"),
        ("/run", c"tmpfs", plain, c"mode=0755"),
    ];
    let mut result = Ok(());
    for (place, kind, flags, options) in kinds {
        let _ = rustix::fs::mkdirat(CWD, place, Mode::from_raw_mode(0o755));
        match mount(kind, place, kind, flags, options) {
            Ok(()) | Err(SystemErrno::BUSY) => {}
            Err(error) if result.is_ok() => result = Err((place, errno(error))),
            Err(_) => {}
        }
    }
    result
}

/// The text of a small file: as much as there is room for; nothing if it cannot be read.
pub(super) fn read<'a>(path: &str, room: &'a mut [u8]) -> &'a str {
    let Ok(file) = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else { return "" };
    let mut len = 0;
    while let Ok(n @ 1..) = rustix::io::read(&file, &mut room[len..]) {
        len += n;
    }
    core::str::from_utf8(&room[..len]).unwrap_or_default()
}

/// Below which priority the kernel shows lines of its log on the console: the first number in /proc/sys/kernel/printk.
pub(super) fn console_loglevel() -> u8 {
    /// The kernel's default.
    const DEFAULT: u8 = 7;
    let mut room = [0; 32];
    read("/proc/sys/kernel/printk", &mut room)
        .split_ascii_whitespace()
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(DEFAULT)
}
