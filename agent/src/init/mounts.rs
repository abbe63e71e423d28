//! The file systems of a kernel, and small files in them.

use nanova_core::wire::errno::Errno;
use nanova_core::wire::text::number;
use nanova_core::wire::text::text_at_start;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno as SystemErrno;
use rustix::mount::{MountFlags, mount};

use crate::errno::errno;
use crate::paths::open;
use crate::record::{self, Done};
use crate::rt::stdio::stdout;

/// Mounts /proc, /sys, /dev and /run. Those that are there already are left as they are. Returns the first that failed.
#[inline(never)]
pub(super) fn mount_all() -> Result<(), (&'static str, Errno)> {
    let plain = MountFlags::NOSUID | MountFlags::NODEV;
    let kinds = [
        (c"/proc", c"proc", plain | MountFlags::NOEXEC, c""),
        (c"/sys", c"sysfs", plain | MountFlags::NOEXEC, c""),
        (c"/dev", c"devtmpfs", MountFlags::NOSUID, c"mode=0755"),
        (c"/run", c"tmpfs", plain, c"mode=0755"),
    ];
    let mut result = Ok(());
    for (place, kind, flags, options) in kinds {
        // It may be there; if it cannot be made, mounting fails and says so.
        let _ = rustix::fs::mkdirat(CWD, place, Mode::from_raw_mode(0o755));
        let mounted = mount(kind, place, kind, flags, options);
        record::done(Done::Mounted, place.to_bytes(), mounted.map_or_else(|error| errno(error).0, |()| 0));
        match mounted {
            Ok(()) | Err(SystemErrno::BUSY) => {}
            Err(error) if result.is_ok() => result = Err((place.to_str().unwrap_or_default(), errno(error))),
            Err(_) => {}
        }
    }
    result
}

/// Has the three descriptors be the console, if there was none when the process began: they are the root directory
/// then.
pub(super) fn open_console() {
    let none =
        rustix::fs::fstat(stdout()).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
    if none {
        let _ = use_console();
    }
}

/// Has the three descriptors be the console, if there is one.
pub(super) fn use_console() -> Result<(), SystemErrno> {
    match open("/dev/console", OFlags::RDWR | OFlags::NOCTTY, 0) {
        Ok(console) => become_standard(&console),
        Err(_) => Ok(()),
    }
}

/// Has the three descriptors be this one.
fn become_standard(file: &OwnedFd) -> Result<(), SystemErrno> {
    rustix::stdio::dup2_stdin(file)?;
    rustix::stdio::dup2_stdout(file)?;
    rustix::stdio::dup2_stderr(file)
}

/// Has the kernel's log take every line: it drops all but ten of a process in five seconds otherwise, without a word
/// (`printk.devkmsg=`, Linux `Documentation/admin-guide/sysctl/kernel.rst`).
pub(super) fn lift_log_limit() {
    if let Ok(file) = open("/proc/sys/kernel/printk_devkmsg", OFlags::WRONLY, 0) {
        // Then some of the lines are lost, as they were before.
        let _ = rustix::io::write(&file, b"on\n");
    }
}

/// The text of a small file: as much as there is room for, up to the first byte that is no text; nothing if it cannot
/// be read.
pub(super) fn read<'a>(path: &str, room: &'a mut [u8]) -> &'a str {
    let Ok(file) = open(path, OFlags::RDONLY, 0) else { return "" };
    let mut len = 0;
    while let Some(rest @ [_, ..]) = room.get_mut(len..)
        && let Ok(n @ 1..) = rustix::io::read(&file, rest)
    {
        len += n;
    }
    text_at_start(room.get(..len).unwrap_or_default())
}

/// Below which priority the kernel shows lines of its log on the console: the first number in /proc/sys/kernel/printk.
pub(super) fn console_loglevel() -> u8 {
    /// The kernel's default.
    const DEFAULT: u8 = 7;
    let mut room = [0; 32];
    read("/proc/sys/kernel/printk", &mut room).split_ascii_whitespace().next().and_then(number).unwrap_or(DEFAULT)
}
