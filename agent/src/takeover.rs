//! After an update: the new agent takes over by exec(2), in the same process, and the old one comes back if it must.
//!
//! A guard, a process forked before, waits for the new agent to say that it serves; it says so by ending the guard. If it does
//! not within [`GUARD_MS`], or ends before, the guard puts `<name>.prev` back. Whoever supervises the agent then starts that;
//! where nobody does, the guard becomes it.

use core::ffi::CStr;

use heapless::Vec;
use nanova_core::platform::{Download, Level, Platform};
use nanova_core::text::{Bounded, number};
use rustix::event::Timespec;
use rustix::process::{Pid, Signal, WaitOptions, getpid, getppid, kill_process, waitpid};
use rustix::thread::nanosleep;

use crate::locate::uptime_ms;
use crate::rt::Environment;
use crate::rt::process::{Side, WORDS_MAX, execute, fork};
use crate::rt::signals::SignalSet;
use crate::system::{System, errno};

/// How long the new agent has.
const GUARD_MS: u64 = 10_000;
/// How often the guard looks whether it still runs.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// The variable that names the guard.
const GUARD: &str = "NANOVA_GUARD";

/// Ends the guard, if there is one: this agent serves.
pub(crate) fn is_well(environment: &Environment, system: &mut System<'_>) {
    let guard = environment.variable(GUARD).and_then(|pid| number(core::str::from_utf8(pid).ok()?));
    let Some(guard) = guard.and_then(Pid::from_raw) else { return };
    // A child of ours, so it is no other process of that number; it is gone if this was said before.
    if matches!(waitpid(Some(guard), WaitOptions::NOHANG), Ok(None)) && kill_process(guard, Signal::KILL).is_ok() {
        let _ = rustix::io::retry_on_intr(|| waitpid(Some(guard), WaitOptions::empty()));
        system.log(Level::Info, format_args!("the new agent serves"));
    }
}

/// Becomes the new agent. Returns only if that cannot be; then the old file is back.
pub(crate) fn take_over(environment: &Environment, system: &mut System<'_>) {
    // It has served an update, if nothing else.
    is_well(environment, system);
    let Ok(own) = system.own_path() else { return };
    let own = own.as_str();
    // Its file has another one's name now: the kernel says so.
    let own = own.strip_suffix(".prev").or(own.strip_suffix(" (deleted)")).unwrap_or(own);
    let (new, old) = (Bounded::<300>::of(format_args!("{own}\0")), Bounded::<300>::of(format_args!("{own}.prev\0")));
    let (Some(new), Some(old)) = (terminated(&new), terminated(&old)) else { return };
    let agent = getpid();
    let supervised =
        getppid().is_some_and(|parent| !parent.is_init()) || environment.variable("INVOCATION_ID").is_some();
    let guard = match fork() {
        Ok(Side::Child) => guard(environment, system, agent, new, old, supervised),
        Ok(Side::Parent(guard)) => guard,
        Err(error) => {
            let _ = rustix::fs::rename(old, new);
            system.log(Level::Error, format_args!("the update is taken back: no second process: {}", errno(error)));
            return;
        }
    };
    system.log(Level::Info, format_args!("becoming the new agent"));
    let variable = Bounded::<32>::of(format_args!("{GUARD}={}\0", guard.as_raw_nonzero()));
    let why = become_agent(environment, new, terminated(&variable));
    let _ = kill_process(guard, Signal::KILL);
    let _ = rustix::io::retry_on_intr(|| waitpid(Some(guard), WaitOptions::empty()));
    let _ = rustix::fs::rename(old, new);
    system
        .log(Level::Error, format_args!("the update is taken back: the new agent cannot be executed: {}", errno(why)));
}

fn terminated<const N: usize>(text: &Bounded<N>) -> Option<&CStr> {
    CStr::from_bytes_until_nul(text.as_str().as_bytes()).ok()
}

/// Executes a file with this program's arguments and variables. Returns only if that fails.
fn become_agent(environment: &Environment, path: &CStr, guard: Option<&CStr>) -> rustix::io::Errno {
    let mut arguments = Vec::<&CStr, WORDS_MAX>::new();
    arguments.extend(environment.words().take(WORDS_MAX));
    let mut variables = Vec::<&CStr, WORDS_MAX>::new();
    variables.extend(guard);
    for variable in environment.variables().filter(|variable| !variable.to_bytes().starts_with(GUARD.as_bytes())) {
        let _ = variables.push(variable);
    }
    execute(path, &arguments, &variables)
}

/// Waits, and puts the old agent back if the new one neither ends this process nor lives.
fn guard(
    environment: &Environment,
    system: &mut System<'_>,
    agent: Pid,
    new: &CStr,
    old: &CStr,
    supervised: bool,
) -> ! {
    let _ = SignalSet::NONE.block_only();
    let deadline = uptime_ms() + GUARD_MS;
    while uptime_ms() < deadline && getppid() == Some(agent) {
        let _ = nanosleep(&LOOK);
    }
    let lives = getppid() == Some(agent);
    let why = if lives { "it does not serve" } else { "it ended" };
    system.log(Level::Error, format_args!("the update is taken back, the old agent returns: {why}"));
    if let Err(error) = rustix::fs::rename(old, new) {
        system.log(Level::Error, format_args!("the old agent's file cannot be put back: {}", errno(error)));
    }
    if lives {
        let _ = kill_process(agent, Signal::KILL);
    }
    if !supervised {
        let _ = become_agent(environment, new, None);
    }
    crate::rt::exit(1)
}
