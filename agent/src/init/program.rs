//! The processes that the first one looks after: the program of `nanova.exec=`, and every orphan.

use core::ffi::CStr;

use nanova_core::boot::{Boot, OnExit};
use nanova_core::cli::EndKind;
use nanova_core::platform::{Level, Log};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, wait};

use crate::errno::errno;
use crate::pid::pid_number;
use crate::rt::Environment;
use crate::rt::process::{PATH, Side, WORDS_MAX, execute, fork};
use crate::rt::signals::{SignalSet, Signals};
use crate::supervise::Supervisor;
use crate::system::System;
use crate::wait::running_ms;

/// A program that is started again is started at most so often.
const RESTART_MS: u64 = 1000;
/// Room for the program's arguments, each with a zero byte.
const ARGUMENTS_MAX: usize = 4096;

/// The first process.
pub(super) struct FirstProcess<'a> {
    environment: &'a Environment,
    exec: Option<&'a str>,
    on_exit: OnExit,
    child: Option<Pid>,
    started: u64,
    restart_at: Option<u64>,
    end: EndKind,
}

impl<'a> FirstProcess<'a> {
    pub(super) fn new(environment: &'a Environment, boot: &Boot<'a>) -> FirstProcess<'a> {
        FirstProcess {
            environment,
            exec: boot.exec,
            on_exit: boot.on_exit,
            child: None,
            started: 0,
            restart_at: None,
            end: EndKind::PowerOff,
        }
    }

    /// How the system is to end.
    pub(super) fn end(&self) -> EndKind {
        self.end
    }

    /// Starts the program, if there is one.
    #[inline(never)]
    pub(super) fn start(&mut self, system: &mut System<'_>) {
        let Some(exec) = self.exec else { return };
        self.started = running_ms();
        self.restart_at = None;
        match fork() {
            Ok(Side::Child) => {
                let why = become_program(exec, self.environment);
                system.log(Level::Error, format_args!("cannot run {exec}: {}", errno(why)));
                crate::rt::exit(127)
            }
            Ok(Side::Parent(child)) => {
                system.log(Level::Info, format_args!("process {} runs {exec}", pid_number(child)));
                self.child = Some(child);
            }
            Err(why) => {
                system.log(Level::Error, format_args!("cannot start a process for {exec}: {}", errno(why)));
                self.restart_at = Some(self.started + RESTART_MS);
            }
        }
    }

    /// Takes note of every process that has ended.
    fn reap(&mut self, system: &mut System<'_>, signals: &Signals) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if Some(pid) == self.child {
                self.child = None;
                self.ended(status, system, signals);
            } else {
                #[cfg(feature = "errands")]
                system.children.has_ended(pid, status);
            }
        }
    }

    fn ended(&mut self, status: WaitStatus, system: &mut System<'_>, signals: &Signals) {
        let exec = self.exec.unwrap_or_default();
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => {
                let code = code.unsigned_abs();
                system.log(Level::Info, format_args!("{exec} ended with status {}", u64::from(code)));
            }
            (_, Some(signal)) => {
                let signal = signal.unsigned_abs();
                system.log(Level::Warn, format_args!("{exec} was ended by signal {}", u64::from(signal)));
            }
            _ => {}
        }
        match self.on_exit {
            OnExit::Stay => {}
            OnExit::Restart => self.restart_at = Some((self.started + RESTART_MS).max(running_ms())),
            OnExit::PowerOff | OnExit::Reboot if signals.stop() => {}
            on_exit => {
                self.end = if on_exit == OnExit::Reboot { EndKind::Reboot } else { EndKind::PowerOff };
                signals.request_stop();
            }
        }
    }
}

impl Supervisor for FirstProcess<'_> {
    fn woke(&mut self, system: &mut System<'_>, signals: &Signals) {
        let came = signals.take_came();
        for (signal, end) in [
            (Signal::USR2, EndKind::PowerOff),
            (Signal::POWER, EndKind::PowerOff),
            (Signal::USR1, EndKind::Halt),
            (Signal::TERM, EndKind::Reboot),
            (Signal::INT, EndKind::Reboot),
        ] {
            if came.has(signal) {
                self.end = end;
            }
        }
        for signal in [Signal::HUP, Signal::CONT, Signal::WINCH, Signal::ALARM] {
            if let (true, Some(child)) = (came.has(signal), self.child) {
                // It may have ended since.
                let _ = kill_process_group(child, signal);
            }
        }
        self.reap(system, signals);
        if self.restart_at.is_some_and(|at| at <= running_ms()) && !signals.stop() {
            self.start(system);
        }
    }

    fn wake_in_ms(&mut self) -> Option<u64> {
        self.restart_at.map(|at| at.saturating_sub(running_ms()))
    }

    /// A toolstack does not wait long for a system to end.
    fn patience_ms(&self) -> u64 {
        500
    }
}

/// In the new process: a session of its own, no signal blocked, the program. Returns only if that fails.
fn become_program(exec: &str, environment: &Environment) -> rustix::io::Errno {
    let mut bytes = heapless::Vec::<u8, ARGUMENTS_MAX>::new();
    for word in exec.split_ascii_whitespace() {
        let fits = bytes.extend_from_slice(word.as_bytes()).is_ok() && bytes.push(0).is_ok();
        if !fits {
            return rustix::io::Errno::TOOBIG;
        }
    }
    let mut arguments = heapless::Vec::<&CStr, WORDS_MAX>::new();
    let mut rest = &bytes[..];
    while let Ok(word) = CStr::from_bytes_until_nul(rest) {
        rest = rest.get(word.count_bytes() + 1..).unwrap_or_default();
        if arguments.push(word).is_err() {
            return rustix::io::Errno::TOOBIG;
        }
    }
    let Some(path) = arguments.first().copied() else { return rustix::io::Errno::NOENT };
    // Neither fails in a new process, and without them the program runs as well.
    let _ = rustix::process::setsid();
    let _ = SignalSet::NONE.block_only();
    match variables(environment) {
        Ok(variables) => execute(path, &arguments, &variables),
        Err(error) => error,
    }
}

/// The variables of a program.
type Variables = heapless::Vec<&'static CStr, WORDS_MAX>;

/// What the kernel gave us (it passes unknown boot options on as variables), and a path and a home if there is none.
pub(super) fn variables(environment: &Environment) -> Result<Variables, rustix::io::Errno> {
    let mut variables = Variables::new();
    for (name, variable) in [("PATH", PATH), ("HOME", c"HOME=/")] {
        if environment.variable(name).is_none() {
            variables.push(variable).map_err(|_| rustix::io::Errno::TOOBIG)?;
        }
    }
    for variable in environment.variables() {
        variables.push(variable).map_err(|_| rustix::io::Errno::TOOBIG)?;
    }
    Ok(variables)
}
