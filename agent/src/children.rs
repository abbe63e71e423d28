//! The agent's children: of each kind of [`Errand`] one at a time, and those that could not be killed.
//!
//! Each is a session of its own, so that all of it can be killed, and ends with the agent. Its end is a SIGCHLD, upon
//! which [`Children::look`] looks; nothing waits for a process.

use nanova_core::platform::{Ended, Errand, ErrandNews};
use nanova_core::wire::errno::Errno;
use rustix::fd::OwnedFd;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process, kill_process_group,
    set_parent_process_death_signal, setsid, waitpid,
};

use crate::errno::errno;
use crate::rt::process::{Side, fork};
use crate::wait::running_ms;

/// Kinds of errands.
const KINDS: usize = 5;
/// In the order of their places.
const ERRANDS: [Errand; KINDS] = [Errand::Volumes, Errand::Download, Errand::Program, Errand::Telling, Errand::Labels];
/// How many of a kind may be left that could not be killed.
const ABANDONED_MAX: usize = 2;
/// How long one that was killed may take to be gone.
const KILL_MS: u64 = 500;
/// As much of what a program prints as is kept.
const PRINTED_MAX: usize = 1536;
/// How often a program's output is read at a time, before anything else is looked at.
const READS_MAX: u32 = 64;

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
pub(crate) struct Children {
    slots: [Slot; KINDS],
    /// What the program prints, until it is at its end.
    pub(crate) pipe: Option<OwnedFd>,
    printed: heapless::Vec<u8, PRINTED_MAX>,
    ended: bool,
    /// Whether what is begun goes on when this process ends, which is no agent.
    pub(crate) outlive: bool,
}

impl Children {
    pub(crate) const fn new() -> Children {
        const NONE: Slot = Slot { child: None, ended: None, found: None, abandoned: heapless::Vec::new() };
        Children { slots: [NONE; KINDS], pipe: None, printed: heapless::Vec::new(), ended: false, outlive: false }
    }

    fn slot(&mut self, errand: Errand) -> &mut Slot {
        &mut self.slots[place_of(errand)]
    }

    /// Forks for an errand. In the child this returns nothing but `Side::Child`.
    pub(crate) fn fork_for(&mut self, errand: Errand) -> Result<Side, Errno> {
        let parent = getpid();
        self.free(errand)?;
        let side = fork().map_err(errno)?;
        if let Side::Child = side {
            let _ = setsid();
            if !self.outlive {
                end_with(parent);
            }
        }
        Ok(side)
    }

    /// Room for one more of a kind.
    fn free(&mut self, errand: Errand) -> Result<(), Errno> {
        let slot = self.slot(errand);
        slot.abandoned.retain(|process| reap(*process).is_none());
        if slot.child.is_some() || slot.abandoned.is_full() { Err(Errno::BUSY) } else { Ok(()) }
    }

    /// One was forked, and may take so many seconds.
    pub(crate) fn begun(&mut self, errand: Errand, process: Pid, seconds: u32, found: Option<OwnedFd>) {
        crate::record::errand_begun(errand, seconds);
        let until = running_ms() + u64::from(seconds) * 1000;
        let slot = self.slot(errand);
        (slot.child, slot.ended, slot.found) =
            (Some(Child { process, until, killed: false, ended: None }), None, found);
    }

    /// Begins to read what a program prints.
    pub(crate) fn read_from(&mut self, pipe: OwnedFd) {
        self.printed.clear();
        self.pipe = Some(pipe);
    }

    /// What the program printed, as far as there was room.
    pub(crate) fn printed(&self) -> &[u8] {
        &self.printed
    }

    /// How one ended, once.
    pub(crate) fn take_ended(&mut self, errand: Errand) -> Option<Ended> {
        self.slot(errand).ended.take()
    }

    /// What one found.
    pub(crate) fn found(&mut self, errand: Errand) -> Option<&OwnedFd> {
        self.slot(errand).found.as_ref()
    }

    /// Kills one.
    pub(crate) fn kill(&mut self, errand: Errand) {
        if let Some(child) = &mut self.slot(errand).child {
            kill(child);
        }
    }

    /// Kills all.
    pub(crate) fn kill_all(&mut self) {
        self.slots.iter_mut().filter_map(|slot| slot.child.as_mut()).for_each(kill);
    }

    /// When one is to be killed, or given up.
    pub(crate) fn until(&self) -> Option<u64> {
        self.slots.iter().filter_map(|slot| slot.child.as_ref()).map(|child| child.until).min()
    }

    /// Takes note of those that have ended, kills those that are late, and reads what the program prints. The clock is
    /// asked only where one is under way.
    pub(crate) fn look(&mut self, now: fn() -> u64) {
        self.read_pipe();
        for (errand, slot) in ERRANDS.into_iter().zip(&mut self.slots) {
            slot.abandoned.retain(|process| reap(*process).is_none());
            let Some(child) = &mut slot.child else { continue };
            let ended = match child.ended.or_else(|| reap(child.process)) {
                Some(_) if child.killed => Ended::Late,
                Some(ended) => ended,
                None if now() < child.until => continue,
                None if child.killed => {
                    // There is room: while it is full none is begun.
                    let _ = slot.abandoned.push(child.process);
                    Ended::Late
                }
                None => {
                    kill(child);
                    continue;
                }
            };
            crate::record::errand_ended(errand, ended);
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
        let programs = [Errand::Program, Errand::Telling, Errand::Labels];
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
        Errand::Labels => 4,
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
    (child.killed, child.until) = (true, running_ms() + KILL_MS);
    // It may have ended by itself, or not be a session yet.
    let _ = kill_process_group(child.process, Signal::KILL);
    let _ = kill_process(child.process, Signal::KILL);
}

/// In a new process: whatever ends its parent ends it, too.
pub(crate) fn end_with(parent: Pid) {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // It may have ended before that.
    if getppid() != Some(parent) {
        crate::rt::exit(1);
    }
}
