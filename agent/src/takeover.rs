//! After an update: the new agent takes over by exec(2), in the same process, from a file of its own. When it serves it
//! puts that in the place of the old one's; whatever becomes of it before, the next start is the old agent's.
//!
//! A guard, a process forked before, waits for the new agent to end it, which says that it serves. If it does not
//! within [`LOOKS`] the guard ends it. Whoever supervises the agent then starts the old one; where nobody does, the
//! guard becomes that.

use core::ffi::CStr;

use heapless::Vec;
use nanova_core::platform::{Download, GuestPath, Level, Log, UPDATE_NAME};
use nanova_core::update::take_place;
use nanova_core::wire::text::{Bounded, number};
use rustix::event::Timespec;
use rustix::fs::AtFlags;
use rustix::process::{Pid, Signal, WaitOptions, getpid, getppid, kill_process, waitpid};
use rustix::thread::nanosleep;

use crate::errno::errno;
use crate::paths::terminated;
use crate::pid::pid_number;
use crate::rt::Environment;
use crate::rt::process::{Side, WORDS_MAX, execute, fork};
use crate::rt::signals::SignalSet;
use crate::system::System;

/// For how many looks of the guard's the new agent has time: 10 seconds in which both ran. No clock would tell these
/// from the time in which the guest was suspended, or paused by its host.
const LOOKS: u32 = 100;
/// The pause before each.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// The variable that names the guard.
const GUARD: &str = "NANOVA_GUARD";
/// The variable that names the file to be replaced.
const OLD: &str = "NANOVA_UPDATES";
/// Longest path of a file here, with what stands before it and the zero byte.
const PATH_MAX: usize = 300;

/// Whether this program was executed by an older agent: it is in the background already, if that was wanted.
pub(crate) fn is_update(environment: &Environment) -> bool {
    environment.variable(GUARD).is_some()
}

/// This agent serves. If it is a new one it takes the old one's place, and ends the guard; if it cannot, the old one
/// goes on.
// Not a part of the frame of whoever acts: the paths are large.
#[inline(never)]
pub(crate) fn settle_in(environment: &Environment, system: &mut System<'_>) {
    let text = |name| core::str::from_utf8(environment.variable(name)?).ok();
    let (Some(guard), Some(old)) = (text(GUARD).and_then(number).and_then(Pid::from_raw), text(OLD)) else { return };
    // A child of ours, so it is no other process of that number; it is none any more if this was said before.
    if waitpid(Some(guard), WaitOptions::NOHANG).is_err() {
        return;
    }
    // By its file's name it would be unknown to whoever looks for the old one's.
    let called = environment.words().next().unwrap_or_default().to_bytes_with_nul();
    let name = called.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    // Under another name it serves as well.
    let _ = CStr::from_bytes_until_nul(name).map(rustix::thread::set_name);
    let Ok(path) = GuestPath::new(old) else { return };
    let taken = take_place(system, path);
    dismiss(guard);
    let Err(error) = taken else { return system.log(Level::Info, format_args!("the new agent serves")) };
    system.log(Level::Error, format_args!("the update is taken back, the old agent returns: {error}"));
    // What stays there is overwritten by the next update.
    let _ = crate::paths::remove(beside(old).as_str());
    let mut room = [0; PATH_MAX];
    if let Ok(old) = terminated(old, &mut room) {
        let why = become_agent(environment, old, &[]);
        system.log(Level::Error, format_args!("the old agent cannot be executed: {}", errno(why)));
    }
}

/// Where the new agent's file is, for one at this path.
fn beside(own: &str) -> Bounded<PATH_MAX> {
    let directory = own.rsplit_once('/').map_or("", |(directory, _)| directory);
    Bounded::of(format_args!("{directory}/{UPDATE_NAME}"))
}

/// Ends the guard.
fn dismiss(guard: Pid) {
    // A child of ours that has ended already is only taken note of.
    let _ = kill_process(guard, Signal::KILL);
    let _ = rustix::io::retry_on_intr(|| waitpid(Some(guard), WaitOptions::empty()));
}

/// Becomes the new agent. Returns only if that cannot be.
pub(crate) fn take_over(environment: &Environment, system: &mut System<'_>) {
    let own = match system.own_path() {
        Ok(own) => own,
        Err(errno) => return system.log(Level::Error, format_args!("the update is taken back: {errno}")),
    };
    let own = own.as_str();
    let new = beside(own);
    let (mut own_room, mut new_room) = ([0; PATH_MAX], [0; PATH_MAX]);
    let (Ok(old), Ok(new)) = (terminated(own, &mut own_room), terminated(new.as_str(), &mut new_room)) else { return };
    let agent = getpid();
    let supervised =
        getppid().is_some_and(|parent| !parent.is_init()) || environment.variable("INVOCATION_ID").is_some();
    let why = match fork() {
        Ok(Side::Child) => guard(environment, system, agent, new, old, supervised),
        Ok(Side::Parent(guard)) => {
            system.log(Level::Info, format_args!("becoming the new agent"));
            let variables = [
                Bounded::<PATH_MAX>::of(format_args!("{GUARD}={}\0", pid_number(guard))),
                Bounded::of(format_args!("{OLD}={own}\0")),
            ];
            let why = become_agent(environment, new, &variables);
            dismiss(guard);
            why
        }
        Err(why) => why,
    };
    let _ = rustix::fs::unlinkat(rustix::fs::CWD, new, AtFlags::empty());
    system
        .log(Level::Error, format_args!("the update is taken back: the new agent cannot be executed: {}", errno(why)));
}

/// Executes a file with this program's arguments and variables, and more of these. Returns only if that fails.
fn become_agent(environment: &Environment, path: &CStr, more: &[Bounded<PATH_MAX>]) -> rustix::io::Errno {
    let (mut arguments, mut variables) = (Vec::<&CStr, WORDS_MAX>::new(), Vec::<&CStr, WORDS_MAX>::new());
    let mut fits = environment.words().all(|word| arguments.push(word).is_ok());
    for variable in more {
        let variable = CStr::from_bytes_until_nul(variable.as_str().as_bytes());
        fits &= variable.is_ok_and(|variable| variables.push(variable).is_ok());
    }
    let ours = |variable: &&CStr| [GUARD, OLD].iter().any(|name| variable.to_bytes().starts_with(name.as_bytes()));
    for variable in environment.variables().filter(|variable| !ours(variable)) {
        fits &= variables.push(variable).is_ok();
    }
    if fits { execute(path, &arguments, &variables) } else { rustix::io::Errno::TOOBIG }
}

/// Waits to be ended. If time is over first it ends the new agent; then, as when that has ended by itself, the old one
/// is to return.
fn guard(
    environment: &Environment,
    system: &mut System<'_>,
    agent: Pid,
    new: &CStr,
    old: &CStr,
    supervised: bool,
) -> ! {
    let _ = SignalSet::NONE.block_only();
    let mut looks = 0..LOOKS;
    while looks.next().is_some() && getppid() == Some(agent) {
        // A signal that shortens the pause does no harm.
        let _ = nanosleep(&LOOK);
    }
    let lives = getppid() == Some(agent);
    let why = if lives { "it does not serve" } else { "it ended" };
    system.log(Level::Error, format_args!("the update is taken back, the old agent returns: {why}"));
    let _ = rustix::fs::unlinkat(rustix::fs::CWD, new, AtFlags::empty());
    if lives {
        // It may have ended since it was looked at.
        let _ = kill_process(agent, Signal::KILL);
    }
    if !supervised {
        let _ = become_agent(environment, old, &[]);
    }
    crate::rt::exit(1)
}
