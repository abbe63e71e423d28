//! The end of a system: processes, file systems, power.

use core::ffi::CStr;

use nanova_core::boot::mounts::{MOUNT_POINT_MAX, to_unmount};
use nanova_core::cli::{End, EndKind, exit};
use nanova_core::platform::{Level, Log};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use rustix::system::RebootCommand;

use super::mounts::read;
use crate::errno::errno;
use crate::output::complain;
use crate::paths::terminated;
use crate::rt::process::signal_all;
use crate::rt::signals::Signals;
use crate::system::System;
use crate::wait::{running_ms, sleep};

/// How long processes may take to end by themselves. A toolstack waits longer, but the whole is to take two seconds.
const PATIENCE_MS: u64 = 1000;
const MOUNTS: &str = "/proc/self/mounts";
/// Room for the table of mounts.
const TABLE_MAX: usize = 12 * 1024;

/// `poweroff`, `reboot`, `halt`: tells the first process, or does it at once.
pub(crate) fn end(end: End) -> i32 {
    if end.force {
        rustix::fs::sync();
        finish(end.how);
    }
    let signal = match end.how {
        EndKind::PowerOff => Signal::USR2,
        EndKind::Reboot => Signal::TERM,
        EndKind::Halt => Signal::USR1,
    };
    match kill_process(Pid::INIT, signal) {
        Ok(()) => exit::DONE,
        Err(error) => {
            complain(format_args!("cannot tell the first process: {}; -f does it at once", errno(error)));
            exit::FAILED
        }
    }
}

/// Ends all processes, unmounts what can be unmounted, and the system.
pub(super) fn end_system(system: &mut System<'_>, signals: &Signals, how: EndKind) -> ! {
    let word = match how {
        EndKind::PowerOff => "power off",
        EndKind::Reboot => "reboot",
        EndKind::Halt => "halt",
    };
    system.log(Level::Info, format_args!("{word}: ending all processes"));
    for signal in [Signal::TERM, Signal::KILL] {
        if signal_all(signal).is_err() || wait_for_all(signals) {
            break;
        }
    }
    rustix::fs::sync();
    // What is left after a pass was busy with what a later one finds free, or stood behind the end of what is read.
    while unmount_all() > 0 {}
    let mut room = [0; TABLE_MAX];
    for path in to_unmount(read(MOUNTS, &mut room)) {
        if let Err(error) = with_path(&path, |path| mount_remount(path, MountFlags::RDONLY, c"")) {
            system.log(Level::Warn, format_args!("cannot unmount {path}: {}", errno(error)));
        }
    }
    // A root on a disk; an initramfs does not mind.
    let _ = mount_remount(c"/", MountFlags::RDONLY, c"");
    system.log(Level::Info, format_args!("{word}"));
    finish(how)
}

fn with_path(path: &str, act: impl FnOnce(&CStr) -> Result<(), Errno>) -> Result<(), Errno> {
    let mut room = [0; MOUNT_POINT_MAX + 1];
    act(terminated(path, &mut room)?)
}

/// One pass over the mounts; how many are no more.
fn unmount_all() -> usize {
    let mut room = [0; TABLE_MAX];
    let paths = to_unmount(read(MOUNTS, &mut room));
    paths.filter(|path| with_path(path, |path| unmount(path, UnmountFlags::empty())).is_ok()).count()
}

/// Waits until there are no other processes, but not for long. Returns whether there are none.
fn wait_for_all(signals: &Signals) -> bool {
    let deadline = running_ms() + PATIENCE_MS;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => continue,
            Ok(None) => {}
            Err(Errno::CHILD) => return true,
            Err(_) => return false,
        }
        let left = deadline.saturating_sub(running_ms());
        if left == 0 {
            return false;
        }
        // The end of a process is a signal.
        sleep(signals, None, Some(left));
    }
}

/// The end. If the kernel refuses, waits: the first process must not end.
pub(super) fn finish(how: EndKind) -> ! {
    let command = match how {
        EndKind::PowerOff => RebootCommand::PowerOff,
        EndKind::Reboot => RebootCommand::Restart,
        EndKind::Halt => RebootCommand::Halt,
    };
    if let Err(error) = rustix::system::reboot(command) {
        complain(format_args!("the kernel refuses to end: {}", errno(error)));
        if rustix::process::getpid() != Pid::INIT {
            crate::rt::exit(exit::FAILED);
        }
    }
    loop {
        // There is nothing else that could be done.
        let _ = rustix::event::poll(&mut [], None);
    }
}
