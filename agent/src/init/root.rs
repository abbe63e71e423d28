//! Handing over to the real root: mount it, move the kernel's file systems there, free the initramfs, become its init.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use nanova_core::boot::Boot;
use nanova_core::platform::{Level, Log};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_move, unmount};

use super::mounts::{read, use_console};
use super::program::variables;
use crate::errno::errno;
use crate::locate::watch_directories;
use crate::paths::{open, terminated};
use crate::rt::Environment;
use crate::rt::process::execute;
use crate::rt::signals::{SignalSet, Signals};
use crate::system::System;
use crate::wait::{running_ms, sleep_until_event};

const NEW_ROOT: &CStr = c"/newroot";
/// How long the device may take to appear.
const DEVICE_MS: u64 = 30_000;
/// What the real root goes on with, unless `init=` says so.
const INITS: [&str; 4] = ["/sbin/init", "/etc/init", "/bin/init", "/bin/sh"];
/// Longest path of a program, with its zero byte.
const PATH_MAX: usize = 256;

/// Mounts the root and returns its init: none if there is no root, or no program in it.
#[inline(never)]
pub(super) fn find<'b>(device: &str, boot: &Boot<'b>, system: &mut System<'_>, signals: &Signals) -> Option<&'b str> {
    if let Err(error) = mount_device(device, boot, signals) {
        system.log(Level::Error, format_args!("cannot mount the root {device}: {}; staying here", errno(error)));
        return None;
    }
    let init = find_init(boot);
    if init.is_none() {
        system.log(Level::Error, format_args!("the root {device} has no init program; staying here, see init="));
        let _ = unmount(NEW_ROOT, UnmountFlags::DETACH);
    }
    init
}

/// Hands over. Returns only if the kernel cannot run that program; the initramfs is gone then.
#[inline(never)]
pub(super) fn hand_over(
    init: &str,
    device: &str,
    environment: &Environment,
    system: &mut System<'_>,
    signals: &Signals,
) {
    system.log(Level::Info, format_args!("handing over to {init} on {device}"));
    let (Ok(why) | Err(why)) = switch(init, environment);
    signals.block_again();
    system.log(Level::Error, format_args!("cannot hand over to {init}: {}; serving on", errno(why)));
}

/// Mounts the device when it has appeared: read-only, unless the boot options say `rw`.
fn mount_device(device: &str, boot: &Boot<'_>, signals: &Signals) -> Result<(), Errno> {
    // It may be there; if it cannot be made, mounting fails and says so.
    let _ = fs::mkdirat(fs::CWD, NEW_ROOT, Mode::from_raw_mode(0o755));
    let names = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let deadline = running_ms() + DEVICE_MS;
    loop {
        watch_directories(&names, device);
        let result = mount_any(device, boot);
        let left = deadline.saturating_sub(running_ms());
        match result {
            // Not there yet, or there and not connected to its backend yet.
            Err(Errno::NOENT | Errno::NXIO | Errno::NODEV) if left > 0 && !signals.stop() => {
                sleep_until_event(signals, Some(&names), Some(left.min(1000)));
            }
            result => return result,
        }
    }
}

/// Tries the given file system, or each that the kernel has for a device.
fn mount_any(device: &str, boot: &Boot<'_>) -> Result<(), Errno> {
    let flags = if boot.writable { MountFlags::empty() } else { MountFlags::RDONLY };
    let (mut device_room, mut options_room) = ([0; PATH_MAX], [0; PATH_MAX]);
    let device = terminated(device, &mut device_room)?;
    let options = terminated(boot.root_flags, &mut options_room)?;
    let mut room = [0; 2048];
    let kinds = match boot.root_type {
        Some(kind) => kind,
        None => read("/proc/filesystems", &mut room),
    };
    let mut result = Err(Errno::NODEV);
    // A kind that needs no device has another word before the tab.
    for kind in kinds.lines().filter_map(|line| line.strip_prefix('\t').or(boot.root_type)) {
        let mut room = [0; 64];
        result = mount(device, NEW_ROOT, terminated(kind, &mut room)?, flags, options);
        if !matches!(result, Err(Errno::INVAL)) {
            break;
        }
    }
    result
}

/// The first of the programs that is there and may be run. Links in the real root are followed in the real root, where
/// the kernel can do that (5.6 and later).
fn find_init<'a>(boot: &Boot<'a>) -> Option<&'a str> {
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = fs::openat(fs::CWD, NEW_ROOT, directory, Mode::empty()).ok()?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let there = |path: &&str| {
        let mut room = [0; PATH_MAX];
        let Ok(path) = terminated(path.trim_start_matches('/'), &mut room) else { return false };
        match fs::openat2(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            Ok(file) => fs::fstat(file).is_ok_and(|stat| stat.st_mode & 0o111 != 0),
            Err(Errno::NOSYS) => fs::statat(&root, path, AtFlags::SYMLINK_NOFOLLOW).is_ok(),
            Err(_) => false,
        }
    };
    boot.init.into_iter().chain(INITS).find(there)
}

/// Becomes the real root's init. Returns the error of that, or of a step before.
fn switch(init: &str, environment: &Environment) -> Result<Errno, Errno> {
    move_mounts();
    let initramfs = open("/", OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
    rustix::process::chdir(NEW_ROOT)?;
    free(&initramfs);
    mount_move(c".", c"/")?;
    rustix::process::chroot(c".")?;
    rustix::process::chdir(c"/")?;
    use_console()?;
    SignalSet::NONE.block_only()?;
    let mut room = [0; PATH_MAX];
    let path = terminated(init, &mut room)?;
    Ok(execute(path, &[path], &variables(environment)?))
}

/// Moves the kernel's file systems to the new root.
fn move_mounts() {
    for (place, target) in [
        (c"/dev", c"/newroot/dev"),
        (c"/proc", c"/newroot/proc"),
        (c"/sys", c"/newroot/sys"),
        (c"/run", c"/newroot/run"),
    ] {
        if mount_move(place, target).is_err() {
            let _ = unmount(place, UnmountFlags::DETACH);
        }
    }
}

/// In a process with mounts of its own: goes into the new root, as its programs will find it.
#[cfg(feature = "handover")]
pub(super) fn enter() -> Result<(), Errno> {
    move_mounts();
    rustix::process::chroot(NEW_ROOT)?;
    rustix::process::chdir(c"/")
}

/// Removes everything of the initramfs, whose memory is free then; only if it is one.
fn free(initramfs: &OwnedFd) {
    /// `RAMFS_MAGIC`, `TMPFS_MAGIC` (`include/uapi/linux/magic.h`).
    const IN_MEMORY: [u64; 2] = [0x8584_58f6, 0x0102_1994];
    let in_memory = fs::fstatfs(initramfs).is_ok_and(|stat| IN_MEMORY.contains(&(stat.f_type as u64)));
    if let (true, Ok(stat)) = (in_memory, fs::fstat(initramfs)) {
        empty(initramfs, stat.st_dev);
    }
}

/// Removes what is in a directory, as far as it is on the same file system.
fn empty(directory: impl AsFd, device: u64) {
    let mut room = [MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(directory.as_fd(), &mut room);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name();
        let Ok(stat) = fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if name == c"." || name == c".." || stat.st_dev != device {
            continue;
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            if let Ok(below) = fs::openat(&directory, name, flags, Mode::empty()) {
                empty(below, device);
            }
            // What stays of the initramfs takes memory, and does no other harm.
            let _ = fs::unlinkat(&directory, name, AtFlags::REMOVEDIR);
        } else {
            let _ = fs::unlinkat(&directory, name, AtFlags::empty());
        }
    }
}
