//! Asking the real root's udev what it calls the interfaces, before it is there to call them so. Why:
//! [`nanova_core::network::handover::device_names`].
//!
//! Its `udevadm test` is run in the real root by a child with mounts of its own. It carries out no rule's program, but
//! gives the interface other names beside its own, which nobody can rename it to then; so the child may not change
//! interfaces. One that udev does not know, and one that it takes too long for, keeps the name it has.

use core::ffi::CStr;

use heapless::Vec;
use nanova_core::network::Interface;
use nanova_core::network::handover::device_names::{links_up, name_in, rename};
use nanova_core::platform::{Level, Log};
use nanova_core::wire::errno::Errno;
use nanova_core::wire::text::Bounded;
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, kill_process};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use super::root;
use crate::errno::errno;
use crate::paths::{nowhere, terminated};
use crate::rt::process::{PATH, Side, execute, fork_with_mounts};
use crate::rt::signals::{SignalSet, Signals};
use crate::system::System;
use crate::wait::{running_ms, sleep};

/// Where distributions have it.
const UDEVADM: [&CStr; 4] = [c"/usr/bin/udevadm", c"/bin/udevadm", c"/sbin/udevadm", c"/usr/sbin/udevadm"];
/// How long it may take for one interface. It takes some tens of milliseconds.
const ANSWER_MS: u64 = 5_000;
/// As much of what it prints as is looked at: some forty properties.
const PRINTED_MAX: usize = 4096;

/// Renames those of the interfaces that are up.
#[inline(never)]
pub(super) fn settle(system: &mut System<'_>, interfaces: &[Interface], signals: &Signals) {
    let links = match links_up(system, interfaces) {
        Ok(links) => links,
        Err(errno) => {
            let text = format_args!("interfaces keep their names: the kernel cannot be asked for links: {errno}");
            return system.log(Level::Warn, text);
        }
    };
    for (index, device) in links {
        let mut printed = Vec::new();
        if let Err(error) = ask_udev(&device, &mut printed, signals) {
            let text = format_args!("{device} keeps its name: the root's udev cannot be asked for another: {error}");
            return system.log(Level::Warn, text);
        }
        let Some(name) = name_in(&printed).filter(|name| *name != device) else { continue };
        match rename(system, index, &name) {
            Ok(()) => system.log(Level::Info, format_args!("{device} is {name}, as the root's udev calls it")),
            Err(error) => system.log(Level::Warn, format_args!("cannot rename {device} to {name}: {error}")),
        }
    }
}

/// Reads what udev says of a device. Where there is no udev that is nothing.
fn ask_udev(device: &str, printed: &mut Vec<u8, PRINTED_MAX>, signals: &Signals) -> Result<(), Errno> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(errno)?;
    rustix::fs::fcntl_setfl(&ours, OFlags::NONBLOCK).map_err(errno)?;
    let child = match fork_with_mounts().map_err(errno)? {
        Side::Child => {
            let _ = become_udevadm(device, theirs);
            crate::rt::exit(127)
        }
        Side::Parent(child) => child,
    };
    drop(theirs);
    let deadline = running_ms() + ANSWER_MS;
    let result = loop {
        let mut piece = [0; 512];
        match rustix::io::read(&ours, &mut piece[..]) {
            Ok(0) => break Ok(()),
            Ok(len) => {
                // What there is no room for comes after the properties that udev lists first.
                let room = printed.capacity() - printed.len();
                let _ = printed.extend_from_slice(&piece[..len.min(room)]);
            }
            Err(rustix::io::Errno::AGAIN) => match deadline.saturating_sub(running_ms()) {
                0 => break Err(Errno::TIMEDOUT),
                _ if signals.stop() => break Ok(()),
                left => sleep(signals, Some(&ours), Some(left)),
            },
            Err(error) => break Err(errno(error)),
        }
    };
    // Whoever is the first process then takes note of its end.
    let _ = kill_process(child, Signal::KILL);
    result
}

/// In the new process: becomes it.
fn become_udevadm(device: &str, output: rustix::fd::OwnedFd) -> Result<(), rustix::io::Errno> {
    let null = nowhere()?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&output)?;
    rustix::stdio::dup2_stderr(&null)?;
    root::enter()?;
    remove_capability_from_bounding_set(CapabilitySet::NET_ADMIN)?;
    SignalSet::NONE.block_only()?;
    let path = Bounded::<64>::of(format_args!("/sys/class/net/{device}"));
    let mut room = [0; 65];
    let path = terminated(path.as_str(), &mut room)?;
    for program in UDEVADM {
        execute(program, &[program, c"test", c"--action=add", path], &[PATH]);
    }
    Ok(())
}
