//! The [`Platform`] of a running system: clocks, randomness, the log, the kernel's side of the network, programs that are started
//! or ended. The files are in [`crate::files`], programs that are waited for in [`crate::program`].

use core::ffi::CStr;
use core::fmt;

use nanova_core::cli::Common;
use nanova_core::errno::Errno;
use nanova_core::netlink::{Message, Reply};
use nanova_core::platform::{Level, Platform, Program};
use nanova_core::text::Bounded;
use rustix::fd::OwnedFd;
use rustix::fs::{Access, OFlags};
use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::system::uname;

use crate::log::Log;
use crate::netlink::Netlink;
use crate::paths::{nowhere, open};
use crate::rt::clock::{monotonic, realtime};
use crate::rt::process::{PATH, Side, execute, fork};
use crate::rt::signals::SignalSet;

/// The system, and where the guest's files are in it.
pub(crate) struct System<'a> {
    pub(crate) log: Log<'a>,
    /// To the kernel's side of the network, once that was needed.
    netlink: Option<Netlink>,
    /// The guest's root directory.
    pub(crate) root: OwnedFd,
    /// Whether that is another than the running system's: no link may lead out of it, and no program is run.
    pub(crate) confined: bool,
    /// How many files are staged.
    pub(crate) staged: u32,
    /// What keeps other nanovas from staging any meanwhile.
    pub(crate) lock: Option<OwnedFd>,
}

impl<'a> System<'a> {
    /// Opens log and root.
    pub(crate) fn open(common: &Common<'a>) -> Result<System<'a>, rustix::io::Errno> {
        let root = open(common.root, OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
        Ok(System { log: Log::open(common), netlink: None, root, staged: 0, lock: None, confined: common.root != "/" })
    }
}

/// rustix's number as the core's.
pub(crate) fn errno(errno: rustix::io::Errno) -> Errno {
    Errno(errno.raw_os_error() as u16)
}

impl nanova_core::platform::Netlink for System<'_> {
    fn ask(&mut self, message: &Message, each: &mut dyn FnMut(&Reply)) -> Result<(), Errno> {
        let netlink = match &mut self.netlink {
            Some(netlink) => netlink,
            none => none.insert(Netlink::open()?),
        };
        netlink.ask(message, each)
    }

    fn set_host_name(&mut self, name: &str) -> Result<(), Errno> {
        rustix::system::sethostname(name.as_bytes()).map_err(errno)
    }

    fn start(&mut self, programs: &[Program<'_>]) {
        if !self.confined && programs.iter().any(|program| program.first().is_some_and(|path| may_run(path))) {
            start(programs);
        }
    }

    fn end_process(&mut self, process: u32) {
        if let (false, Some(process)) = (self.confined, Pid::from_raw(process as i32)) {
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
    }
}

fn may_run(path: &CStr) -> bool {
    rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

/// Has programs run as children of an orphan: its parent is the first process, and it is nobody's zombie here.
fn start(programs: &[Program<'_>]) {
    let Ok(Side::Parent(child)) = in_a_child(|| {
        let _ = in_a_child(|| {
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

impl Platform for System<'_> {
    fn unix_time(&mut self) -> u64 {
        realtime().seconds as u64
    }

    fn uptime(&mut self) -> u64 {
        monotonic().seconds as u64
    }

    fn host_name(&mut self) -> Bounded<64> {
        Bounded::of(format_args!("{}", uname().nodename().to_str().unwrap_or_default()))
    }

    fn kernel_release(&mut self) -> Bounded<64> {
        Bounded::of(format_args!("{}", uname().release().to_str().unwrap_or_default()))
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        let mut filled = 0;
        while filled < bytes.len() {
            filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty()).map_err(errno)?;
        }
        Ok(())
    }

    fn log(&mut self, level: Level, text: fmt::Arguments<'_>) {
        self.log.line(level, text);
    }
}
