//! Errands: forked children that do what can take long, one of each kind at a time, while the agent serves.
//!
//! | errand | is a child that | comes back |
//! |---|---|---|
//! | volumes, download | is confined: two descriptors, one capability, a filter of system calls | in a file in memory |
//! | program | becomes the program | through a pipe |
//! | telling | runs programs one after the other | not at all |
//!
//! Each is a session of its own, so that all of it can be killed, and ends with the agent. Its end is a SIGCHLD, upon
//! which [`ErrandTable::look`] looks; nothing here waits for a process, but [`System::wait_for_programs`] at the agent's
//! own end.

use core::ffi::CStr;

use nanova_core::platform::{Argv, Ended, Errand, ErrandNews, Errands, Found, GuestPath};
use nanova_core::wire::errno::Errno;
use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, OFlags, SeekFrom, memfd_create, seek};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process_group,
    set_parent_process_death_signal, setrlimit, setsid, waitpid,
};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};

use crate::errno::errno;
use crate::output::write_all;
use crate::program::{become_program, tell_all};
use crate::rt::confine::{DOWNLOADING, READING, allow_only, close_all_but};
use crate::rt::process::{Side, fork};
use crate::rt::signals::Signals;
use crate::system::System;
use crate::wait::{sleep, uptime_ms};

/// Kinds of errands.
const KINDS: usize = 4;
/// How many of a kind may be left that could not be killed.
const ABANDONED_MAX: usize = 2;
/// How long one that was killed may take to be gone.
const KILL_MS: u64 = 500;
/// How long programs that are told something may take: as long as a service may take to start (systemd's
/// DefaultTimeoutStartSec=), and as many of them there may be.
const TELLING_SECONDS: u32 = 180;
/// As much of what a program prints as is kept.
const PRINTED_MAX: usize = 2048;
/// How often a program's output is read at a time, before anything else is looked at.
const READS_MAX: u32 = 64;
/// Most that an errand finds: an agent, and what is in its way.
const FOUND_MAX: u64 = 5 << 20;

/// A child that is under way.
struct Child {
    process: Pid,
    /// When it is killed; after that, when it is abandoned.
    until: u64,
    killed: bool,
    /// How it ended, if the first process took note of it.
    ended: Option<Ended>,
}

/// The errand of one kind.
struct Slot {
    child: Option<Child>,
    ended: Option<Ended>,
    /// What it found.
    found: Option<OwnedFd>,
    abandoned: heapless::Vec<Pid, ABANDONED_MAX>,
}

/// All of them.
pub(crate) struct ErrandTable {
    slots: [Slot; KINDS],
    /// What the program prints, until it is at its end.
    pub(crate) pipe: Option<OwnedFd>,
    printed: heapless::Vec<u8, PRINTED_MAX>,
    ended: bool,
    /// Whether what is begun goes on when this process ends, which is no agent.
    pub(crate) outlive: bool,
}

impl ErrandTable {
    pub(crate) const fn new() -> ErrandTable {
        const NONE: Slot = Slot { child: None, ended: None, found: None, abandoned: heapless::Vec::new() };
        ErrandTable { slots: [NONE; KINDS], pipe: None, printed: heapless::Vec::new(), ended: false, outlive: false }
    }

    fn slot(&mut self, errand: Errand) -> &mut Slot {
        &mut self.slots[place_of(errand)]
    }

    /// Room for one more of a kind.
    fn free(&mut self, errand: Errand) -> Result<(), Errno> {
        let slot = self.slot(errand);
        slot.abandoned.retain(|process| reap(*process).is_none());
        if slot.child.is_some() || slot.abandoned.is_full() { Err(Errno::BUSY) } else { Ok(()) }
    }

    fn begun(&mut self, errand: Errand, process: Pid, seconds: u32, found: Option<OwnedFd>) {
        let until = uptime_ms() + u64::from(seconds) * 1000;
        let slot = self.slot(errand);
        (slot.child, slot.ended, slot.found) =
            (Some(Child { process, until, killed: false, ended: None }), None, found);
    }

    /// When one is to be killed, or given up.
    pub(crate) fn until(&self) -> Option<u64> {
        self.slots.iter().filter_map(|slot| slot.child.as_ref()).map(|child| child.until).min()
    }

    /// Takes note of those that have ended, kills those that are late, and reads what the program prints.
    pub(crate) fn look(&mut self, now: u64) {
        self.read_pipe();
        for slot in &mut self.slots {
            slot.abandoned.retain(|process| reap(*process).is_none());
            let Some(child) = &mut slot.child else { continue };
            let ended = match child.ended.or_else(|| reap(child.process)) {
                Some(_) if child.killed => Ended::Late,
                Some(ended) => ended,
                None if now < child.until => continue,
                None if child.killed => {
                    // There is room: while it is full none is begun.
                    let _ = slot.abandoned.push(child.process);
                    Ended::Late
                }
                None => {
                    kill(child);
                    child.until = now + KILL_MS;
                    continue;
                }
            };
            (slot.child, slot.ended, self.ended) = (None, Some(ended), true);
        }
        if self.slots[place_of(Errand::Program)].child.is_none() {
            self.read_pipe();
            self.pipe = None;
        }
    }

    /// Reads what there is; what there is no room for goes.
    fn read_pipe(&mut self) {
        let mut piece = [0; 512];
        // Whoever writes without end is not read without end.
        for _ in 0..READS_MAX {
            let Some(pipe) = &self.pipe else { return };
            match rustix::io::read(pipe, &mut piece[..]) {
                Ok(0) => self.pipe = None,
                Ok(len) => {
                    let room = self.printed.capacity() - self.printed.len();
                    let _ = self.printed.extend_from_slice(&piece[..len.min(room)]);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    /// What has become of them.
    pub(crate) fn news(&mut self) -> ErrandNews {
        let programs = [Errand::Program, Errand::Telling];
        ErrandNews {
            ended: core::mem::take(&mut self.ended),
            under_way: self.until().is_some(),
            programs: programs.iter().any(|errand| self.slots[place_of(*errand)].child.is_some()),
        }
    }

    /// The first process, which takes note of every process that ends, tells of one.
    pub(crate) fn has_ended(&mut self, process: Pid, status: WaitStatus) {
        let children = self.slots.iter_mut().filter_map(|slot| slot.child.as_mut());
        for child in children.filter(|child| child.process == process) {
            child.ended = Some(how(status));
        }
    }
}

fn place_of(errand: Errand) -> usize {
    match errand {
        Errand::Volumes => 0,
        Errand::Download => 1,
        Errand::Program => 2,
        Errand::Telling => 3,
    }
}

/// How a child ended, if it has.
fn reap(process: Pid) -> Option<Ended> {
    match waitpid(Some(process), WaitOptions::NOHANG) {
        Ok(None) => None,
        Ok(Some((_, status))) => Some(how(status)),
        // It is none of ours any more.
        Err(_) => Some(Ended::Exit(127)),
    }
}

fn how(status: WaitStatus) -> Ended {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Ended::Exit(status as u8),
        (None, signal) => Ended::Signal(signal.unwrap_or(0) as u8),
    }
}

fn kill(child: &mut Child) {
    child.killed = true;
    // It may have ended by itself, or not be a session yet.
    let _ = kill_process_group(child.process, Signal::KILL);
    let _ = rustix::process::kill_process(child.process, Signal::KILL);
}

impl System<'_> {
    /// Waits until programs have ended, but not after this moment; then kills every errand.
    pub(crate) fn wait_for_programs(&mut self, signals: &Signals, until: u64) {
        loop {
            let now = uptime_ms();
            self.errands.look(now);
            if now >= until || !self.errands.news().programs {
                break;
            }
            sleep(signals, self.errands.pipe.as_ref(), Some(until - now));
        }
        for child in self.errands.slots.iter_mut().filter_map(|slot| slot.child.as_mut()) {
            kill(child);
        }
    }

    /// Forks for an errand. In the child this returns nothing but `Side::Child`.
    fn fork_for(&mut self, errand: Errand) -> Result<Side, Errno> {
        let parent = getpid();
        self.errands.free(errand)?;
        let side = fork().map_err(errno)?;
        if let Side::Child = side {
            let _ = setsid();
            if !self.errands.outlive {
                end_with(parent);
            }
        }
        Ok(side)
    }

    /// Begins [`Errand::Telling`].
    pub(crate) fn begin_telling(&mut self, programs: &[Argv<'_>]) -> Result<(), Errno> {
        match self.fork_for(Errand::Telling)? {
            Side::Child => tell_all(programs),
            Side::Parent(child) => self.errands.begun(Errand::Telling, child, TELLING_SECONDS, None),
        }
        Ok(())
    }
}

impl Errands for System<'_> {
    fn begin(
        &mut self,
        errand: Errand,
        seconds: u32,
        work: &mut dyn FnMut(&mut Self, Found<'_>) -> bool,
    ) -> Result<(), Errno> {
        let found = memfd_create(c"errand", MemfdFlags::CLOEXEC).map_err(errno)?;
        match self.fork_for(errand)? {
            Side::Child => {
                self.log.silence();
                close_all_but(&[&self.root, &found]);
                confine(errand);
                let well = work(self, &mut |piece| write_all(&found, piece).map_err(errno));
                crate::rt::exit(if well { 0 } else { 1 })
            }
            Side::Parent(child) => self.errands.begun(errand, child, seconds, Some(found)),
        }
        Ok(())
    }

    fn begin_program(
        &mut self,
        path: GuestPath<'_>,
        argument: Option<&'static CStr>,
        input: &[u8],
        seconds: u32,
    ) -> Result<(), Errno> {
        // A file in memory, so that a program that reads none of it holds up nobody.
        let value = memfd_create(c"value", MemfdFlags::CLOEXEC).map_err(errno)?;
        write_all(&value, input).map_err(errno)?;
        seek(&value, SeekFrom::Start(0)).map_err(errno)?;
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(errno)?;
        rustix::fs::fcntl_setfl(&ours, OFlags::NONBLOCK).map_err(errno)?;
        match self.fork_for(Errand::Program)? {
            Side::Child => become_program(path, argument, &value, &theirs),
            Side::Parent(child) => {
                self.errands.printed.clear();
                self.errands.pipe = Some(ours);
                self.errands.begun(Errand::Program, child, seconds, None);
            }
        }
        Ok(())
    }

    fn ended(&mut self, errand: Errand) -> Option<Ended> {
        self.errands.slot(errand).ended.take()
    }

    fn found(&mut self, errand: Errand) -> Result<OwnedFd, Errno> {
        let found = self.errands.slot(errand).found.as_ref().ok_or(Errno::NOENT)?;
        seek(found, SeekFrom::Start(0)).map_err(errno)?;
        found.try_clone().map_err(errno)
    }

    fn printed(&mut self) -> &[u8] {
        &self.errands.printed
    }

    fn give_up(&mut self, errand: Errand) {
        if let Some(child) = &mut self.errands.slot(errand).child {
            kill(child);
            child.until = uptime_ms() + KILL_MS;
        }
    }
}

/// In a new process: whatever ends its parent ends it, too.
pub(crate) fn end_with(parent: Pid) {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // It may have ended before that.
    if getppid() != Some(parent) {
        crate::rt::exit(1);
    }
}

/// Gives up what an errand that runs no program does not need. A kernel that lacks one of these has the others.
fn confine(errand: Errand) {
    let _ = setrlimit(Resource::Fsize, Rlimit { current: Some(FOUND_MAX), maximum: Some(FOUND_MAX) });
    if let Ok(has) = capabilities(None) {
        let kept = has.permitted & CapabilitySet::DAC_READ_SEARCH;
        let kept = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
        let _ = set_capabilities(None, kept);
    }
    let _ = set_no_new_privs(true);
    let _ = allow_only(if errand == Errand::Download { DOWNLOADING } else { READING });
}
