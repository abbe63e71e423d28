//! The [`Platform`] of a running system: clocks, randomness, the log; the files are in [`crate::files`].

use core::fmt;

use nanova_core::cli::Common;
use nanova_core::errno::Errno;
use nanova_core::platform::{Level, Platform};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::log::Log;
use crate::rt::clock::{monotonic, realtime};

/// The system, and where the guest's files are in it.
pub(crate) struct System<'a> {
    pub(crate) log: Log<'a>,
    /// The guest's root directory.
    pub(crate) root: OwnedFd,
    /// Whether it is a directory of the running system, out of which no link may lead.
    pub(crate) confined: bool,
}

impl<'a> System<'a> {
    /// Opens log and root.
    pub(crate) fn open(common: &Common<'a>) -> Result<System<'a>, rustix::io::Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, common.root, flags, Mode::empty())?;
        Ok(System { log: Log::open(common), root, confined: common.root != "/" })
    }
}

/// rustix's number as the core's.
pub(crate) fn errno(errno: rustix::io::Errno) -> Errno {
    Errno(errno.raw_os_error() as u16)
}

impl Platform for System<'_> {
    fn unix_time(&mut self) -> u64 {
        realtime().seconds as u64
    }

    fn uptime(&mut self) -> u64 {
        monotonic().seconds as u64
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
