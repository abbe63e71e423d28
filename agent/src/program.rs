//! Programs of the guest: those that are waited for, which are the commands of a site's own and an update's test of
//! itself, and those that are only told, such as network managers.
//!
//! The input lies in a file in memory (memfd_create(2)), so that a program that reads none of it holds up nobody. The
//! output is read until the program has ended; when time is over its whole process group is ended. What it says on
//! standard error goes nowhere: it may speak of the value.

use core::ffi::CStr;

use nanova_core::platform::{Argv, Ended, GuestPath, Programs};
use nanova_core::wire::errno::Errno;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{Access, CWD, MemfdFlags, Mode, OFlags, SeekFrom, memfd_create, seek};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, setsid, waitpid};

use crate::errno::errno;
use crate::files::OTHERS_WRITE;
use crate::output::write_all;
use crate::paths::{nowhere, terminated};
use crate::rt::process::{PATH, Side, execute, fork};
use crate::rt::signals::SignalSet;
use crate::system::System;
use crate::wait::{timespec, uptime_ms};

/// How long the end of a program that has closed its output is waited for, before it is looked at again.
const PAUSE_MS: u64 = 10;
/// The same while its output is open: a child of its own may hold it.
const LOOK_MS: u64 = 200;
/// How often output is read at a time, before it is looked at whether the program still runs.
const READS_MAX: u32 = 64;
/// Longest path of a program, with its zero byte.
const PATH_MAX: usize = 300;

impl Programs for System<'_> {
    fn start(&mut self, programs: &[Argv<'_>]) {
        if !self.confined && programs.iter().any(|program| program.first().is_some_and(|path| may_run(path))) {
            start(programs);
        }
    }

    fn end_process(&mut self, process: u32) {
        if let (false, Some(process)) = (self.confined, Pid::from_raw(process as i32)) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
    }

    fn is_program(&mut self, path: GuestPath<'_>) -> Result<(), Errno> {
        if self.confined {
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

    fn run(
        &mut self,
        path: GuestPath<'_>,
        argument: Option<&'static CStr>,
        input: &[u8],
        output: &mut [u8],
        seconds: u32,
    ) -> Result<(Ended, usize), Errno> {
        let file = memfd_create(c"value", MemfdFlags::CLOEXEC).map_err(errno)?;
        write_all(&file, input).map_err(errno)?;
        seek(&file, SeekFrom::Start(0)).map_err(errno)?;
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(errno)?;
        rustix::fs::fcntl_setfl(&ours, OFlags::NONBLOCK).map_err(errno)?;
        match fork().map_err(errno)? {
            Side::Child => become_program(path, argument, &file, &theirs),
            Side::Parent(child) => {
                drop(theirs);
                Ok(wait(child, &ours, output, uptime_ms() + u64::from(seconds) * 1000))
            }
        }
    }
}

fn may_run(path: &CStr) -> bool {
    rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

/// Has programs run as children of an orphan: its parent is the first process, and it is nobody's zombie here.
fn start(programs: &[Argv<'_>]) {
    let Ok(Side::Parent(child)) = in_a_child(|| {
        let _ = in_a_child(|| {
            // Neither fails in a new process, and without them the programs run as well.
            let _ = rustix::process::setsid();
            let _ = SignalSet::NONE.block_only();
            // Nobody who reads what we print is to wait for them.
            if let Ok(null) = nowhere() {
                let _ = rustix::stdio::dup2_stdin(&null);
                let _ = rustix::stdio::dup2_stdout(&null);
                let _ = rustix::stdio::dup2_stderr(&null);
            }
            for program in programs {
                let run = in_a_child(|| {
                    let variables = [PATH];
                    let _ = program.first().map(|path| execute(path, program, &variables));
                });
                if let Ok(Side::Parent(child)) = run {
                    let _ = rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
                }
            }
        });
    }) else {
        return;
    };
    let _ = rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
}

/// Has a new process do something and end.
fn in_a_child(child: impl FnOnce()) -> Result<Side, rustix::io::Errno> {
    let side = fork()?;
    if let Side::Child = side {
        child();
        crate::rt::exit(0);
    }
    Ok(side)
}

/// In the new process.
fn become_program(path: GuestPath<'_>, argument: Option<&CStr>, input: &OwnedFd, output: &OwnedFd) -> ! {
    let mut room = [0; PATH_MAX];
    if let Ok(name) = terminated(path.as_str(), &mut room)
        && setsid().is_ok()
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

/// Takes what it prints until it has ended.
fn wait(child: Pid, from: &OwnedFd, output: &mut [u8], deadline: u64) -> (Ended, usize) {
    let (mut len, mut open) = (0, true);
    loop {
        let now = uptime_ms();
        let left = deadline.saturating_sub(now);
        let mut fds = [PollFd::new(from, PollFlags::IN)];
        let pause = timespec(left.min(if open { LOOK_MS } else { PAUSE_MS }));
        let _ = poll(&mut fds[..usize::from(open)], Some(&pause));
        open &= take(from, output, &mut len);
        let ended = match waitpid(Some(child), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => Some(ended(status)),
            Ok(None) => (left == 0).then_some(Ended::Late),
            Err(_) => Some(Ended::Exit(127)),
        };
        if let Some(ended) = ended {
            if ended == Ended::Late {
                let _ = kill_process_group(child, Signal::KILL);
                let _ = rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
            }
            take(from, output, &mut len);
            return (ended, len);
        }
    }
}

/// Takes what is there; what there is no room for goes. Returns whether more may come.
fn take(from: &OwnedFd, output: &mut [u8], len: &mut usize) -> bool {
    let mut rest = [0; 512];
    // Whoever writes without end is not read without end.
    for _ in 0..READS_MAX {
        match rustix::io::read(from, &mut rest[..]) {
            Ok(0) => return false,
            Ok(read) => {
                let room = output.get_mut(*len..).unwrap_or_default();
                let kept = read.min(room.len());
                room[..kept].copy_from_slice(&rest[..kept]);
                *len += kept;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return error == rustix::io::Errno::AGAIN,
        }
    }
    true
}

fn ended(status: WaitStatus) -> Ended {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Ended::Exit(status as u8),
        (None, signal) => Ended::Signal(signal.unwrap_or(0) as u8),
    }
}
