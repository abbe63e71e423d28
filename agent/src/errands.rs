//! Errands: what the agent has done by children, so that it serves meanwhile.
//!
//! | errand | is a child that | comes back |
//! |---|---|---|
//! | volumes, download | is confined: two descriptors, one capability, a filter of system calls | in a file in memory |
//! | program | becomes the program | through a pipe |
//! | telling | runs programs one after the other ([`crate::program`]) | not at all |
//! | labels | becomes restorecon (`labels`) | as its exit status |

use core::ffi::CStr;

use nanova_core::platform::{Ended, Errand, Errands, Found, GuestPath};
use nanova_core::wire::errno::Errno;
use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, OFlags, SeekFrom, memfd_create, seek};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};

use crate::errno::errno;
use crate::output::write_all;
use crate::program::become_program;
use crate::rt::confine::{DOWNLOADING, READING, allow_only, close_all_but};
use crate::rt::process::Side;
use crate::rt::signals::Signals;
use crate::system::System;
use crate::wait::{running_ms, sleep};

/// Most that an errand finds: an agent, and what is in its way.
const FOUND_MAX: u64 = 5 << 20;

impl System<'_> {
    /// Waits until programs have ended, but not after this moment; then kills every errand.
    pub(crate) fn wait_for_programs(&mut self, signals: &Signals, until: u64) {
        loop {
            let now = running_ms();
            self.children.look(running_ms);
            #[cfg(feature = "selinux")]
            self.go_on_labelling();
            if now >= until || !self.children.news().programs {
                break;
            }
            sleep(signals, self.children.pipe.as_ref(), Some(until - now));
        }
        self.children.kill_all();
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
        match self.children.fork_for(errand)? {
            Side::Child => {
                self.log.silence();
                close_all_but(&[&self.root, &found]);
                confine(errand);
                let well = work(self, &mut |piece| write_all(&found, piece).map_err(errno));
                crate::rt::exit(if well { 0 } else { 1 })
            }
            Side::Parent(child) => self.children.begun(errand, child, seconds, Some(found)),
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
        match self.children.fork_for(Errand::Program)? {
            Side::Child => become_program(path, argument, &value, &theirs),
            Side::Parent(child) => {
                self.children.read_from(ours);
                self.children.begun(Errand::Program, child, seconds, None);
            }
        }
        Ok(())
    }

    fn ended(&mut self, errand: Errand) -> Option<Ended> {
        self.children.take_ended(errand)
    }

    fn found(&mut self, errand: Errand) -> Result<OwnedFd, Errno> {
        let found = self.children.found(errand).ok_or(Errno::NOENT)?;
        seek(found, SeekFrom::Start(0)).map_err(errno)?;
        found.try_clone().map_err(errno)
    }

    fn printed(&mut self) -> &[u8] {
        self.children.printed()
    }

    fn give_up(&mut self, errand: Errand) {
        self.children.kill(errand);
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
