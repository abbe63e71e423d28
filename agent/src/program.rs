//! Programs of the guest: which are to be trusted, and what a new process does to become one. When they are run and
//! how they end is in [`crate::errands`].
//!
//! What a program says on standard error goes nowhere: it may speak of a value.

use core::ffi::CStr;

use nanova_core::platform::{Argv, Errand, GuestPath, Level, Log, Programs};
use nanova_core::wire::errno::Errno;
use rustix::fd::OwnedFd;
use rustix::fs::{Access, CWD, Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions, getpid, waitpid};

use crate::children::end_with;
use crate::errno::errno;
use crate::files::OTHERS_WRITE;
use crate::paths::{nowhere, terminated};
use crate::rt::confine::close_all_but;
use crate::rt::process::{PATH, Side, execute, fork};
use crate::rt::signals::SignalSet;
use crate::system::System;
use crate::told::Told;

/// How long programs that are told something may take: as long as a service may take to start (systemd's
/// DefaultTimeoutStartSec=), and as many of them there may be.
const TELLING_SECONDS: u32 = 180;
/// Longest path of a program, with its zero byte.
const PATH_MAX: usize = 300;

impl Programs for System<'_> {
    fn are_locked(&mut self) -> bool {
        self.locked
    }

    fn start(&mut self, programs: &[Argv<'_>]) {
        if !self.runs_programs() {
            return;
        }
        for program in programs.iter().filter(|program| program.first().is_some_and(|path| may_run(path))) {
            if !self.told.add(program) {
                let path = program.first().and_then(|path| path.to_str().ok()).unwrap_or_default();
                self.log(Level::Warn, format_args!("{path} is not told: there is too much to tell"));
            }
        }
        self.go_on_telling();
    }

    fn end_process(&mut self, process: u32) {
        if let (true, Some(process)) = (self.runs_programs(), Pid::from_raw(process as i32)) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
    }

    fn is_program(&mut self, path: GuestPath<'_>) -> Result<(), Errno> {
        if !self.runs_programs() {
            return Err(Errno::NOENT);
        }
        // Neither the file nor any directory above it: who can write there can put another one in its place.
        for (place, above) in path.parents().chain([path]).enumerate() {
            let mut room = [0; PATH_MAX];
            let name = terminated(above.as_str(), &mut room).map_err(errno)?;
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(CWD, name, flags, Mode::empty()).map_err(errno)?;
            let stat = rustix::fs::fstat(&file).map_err(errno)?;
            let last = place == path.parents().count();
            let kind = if last { 0o100_000 } else { 0o040_000 };
            let good = stat.st_mode & 0o170_000 == kind && stat.st_uid == 0 && stat.st_mode & OTHERS_WRITE == 0;
            if !good || last && stat.st_mode & 0o100 == 0 {
                return Err(Errno::PERM);
            }
        }
        Ok(())
    }
}

impl System<'_> {
    /// Has those told that are yet to be, unless some are being told: what these read may be of before.
    pub(crate) fn go_on_telling(&mut self) {
        if self.told.is_empty() {
            return;
        }
        match self.children.fork_for(Errand::Telling) {
            Ok(Side::Child) => tell_all(&self.told),
            Ok(Side::Parent(child)) => {
                self.children.begun(Errand::Telling, child, TELLING_SECONDS, None);
                self.told.clear();
            }
            Err(Errno::BUSY) => {}
            Err(error) => {
                self.told.clear();
                self.log(Level::Warn, format_args!("the network's manager is not told: {error}"));
            }
        }
    }
}

pub(crate) fn may_run(path: &CStr) -> bool {
    rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

/// In the new process: runs programs, one after the other.
fn tell_all(programs: &Told) -> ! {
    say_nothing();
    let parent = getpid();
    programs.for_each(&mut |program| match fork() {
        Ok(Side::Child) => {
            end_with(parent);
            become_words(program)
        }
        Ok(Side::Parent(child)) => {
            let _ = rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
        }
        Err(_) => {}
    });
    crate::rt::exit(0)
}

/// In the new process: becomes a program that says nothing to anybody.
pub(crate) fn become_unheard(words: Argv<'_>) -> ! {
    say_nothing();
    become_words(words)
}

/// Leaves standard input and output, and has no other descriptor: nobody who reads what we print is to wait for others.
fn say_nothing() {
    let Ok(null) = nowhere() else { crate::rt::exit(127) };
    close_all_but(&[&null]);
    let _ = rustix::stdio::dup2_stdin(&null);
    let _ = rustix::stdio::dup2_stdout(&null);
    let _ = rustix::stdio::dup2_stderr(&null);
}

/// Becomes the program that the first word names.
fn become_words(words: Argv<'_>) -> ! {
    let _ = SignalSet::NONE.block_only();
    let _ = words.first().map(|path| execute(path, words, &[PATH]));
    crate::rt::exit(127)
}

/// In the new process: becomes the program.
pub(crate) fn become_program(path: GuestPath<'_>, argument: Option<&CStr>, input: &OwnedFd, output: &OwnedFd) -> ! {
    let mut room = [0; PATH_MAX];
    if let Ok(name) = terminated(path.as_str(), &mut room)
        && rustix::stdio::dup2_stdin(input).is_ok()
        && rustix::stdio::dup2_stdout(output).is_ok()
        && nowhere().and_then(rustix::stdio::dup2_stderr).is_ok()
    {
        let _ = SignalSet::NONE.block_only();
        let variables = [PATH];
        let _ =
            execute(name, &[name, argument.unwrap_or_default()][..if argument.is_some() { 2 } else { 1 }], &variables);
    }
    crate::rt::exit(127)
}
