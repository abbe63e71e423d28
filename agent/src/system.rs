//! The [`Platform`] of a running system: clocks, randomness, the log, the kernel's side of the network, programs that
//! are started or ended. The files are in [`crate::files`], programs that are waited for in [`crate::program`].

use core::fmt;

use nanova_core::cli::Common;
#[cfg(feature = "dhcp")]
use nanova_core::network::model::INTERFACES_MAX;
#[cfg(any(feature = "network", feature = "report"))]
use nanova_core::platform::KernelNet;
use nanova_core::platform::{Clock, Entropy, Identity, Level};
use nanova_core::wire::errno::Errno;
#[cfg(feature = "dhcp")]
use nanova_core::wire::net::Mac;
#[cfg(any(feature = "network", feature = "report"))]
use nanova_core::wire::netlink::{Message, Reply};
use nanova_core::wire::text::Bounded;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::system::uname;

#[cfg(feature = "errands")]
use crate::children::Children;
use crate::errno::errno;
use crate::log::LogWriter;
#[cfg(any(feature = "network", feature = "report"))]
use crate::netlink::Netlink;
use crate::paths::open;
use crate::rt::clock::realtime;
#[cfg(feature = "notes")]
use crate::rt::page::Page;
use crate::staged::Staged;
#[cfg(feature = "errands")]
use crate::told::Told;
#[cfg(feature = "selinux")]
use crate::unlabelled::Unlabelled;

/// The system, and where the guest's files are in it.
pub(crate) struct System<'a> {
    pub(crate) log: LogWriter<'a>,
    /// To the kernel's side of the network, once that was needed.
    #[cfg(any(feature = "network", feature = "report"))]
    netlink: Option<Netlink>,
    /// The guest's root directory.
    pub(crate) root: OwnedFd,
    /// Whether that is another than the running system's: no link may lead out of it, and no program is run.
    pub(crate) confined: bool,
    /// Whether the agent has taken away from itself what it does not need: no program is run.
    pub(crate) locked: bool,
    /// What is read again and again.
    pub(crate) figures: Option<OwnedFd>,
    /// How many files are staged.
    pub(crate) staged: u32,
    /// A file that comes in parts.
    pub(crate) kept: Option<Staged>,
    /// What keeps other nanovas from staging any meanwhile.
    pub(crate) lock: Option<OwnedFd>,
    /// What the agent notes, and whether that outlives it.
    #[cfg(feature = "notes")]
    pub(crate) notes: Option<Page>,
    #[cfg(feature = "notes")]
    pub(crate) notes_outlive: bool,
    /// Interfaces of which the toolstack has spoken since DHCP looked.
    #[cfg(feature = "dhcp")]
    pub(crate) given: heapless::Vec<Mac, INTERFACES_MAX>,
    /// What is done by others meanwhile.
    #[cfg(feature = "errands")]
    pub(crate) children: Children,
    #[cfg(feature = "errands")]
    pub(crate) told: Told,
    /// What is new and has no label of its own yet.
    #[cfg(feature = "selinux")]
    pub(crate) unlabelled: Unlabelled,
}

impl<'a> System<'a> {
    /// With this log and this root.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub(crate) fn of(Opened { log, root, confined }: Opened<'a>) -> System<'a> {
        System {
            log,
            #[cfg(any(feature = "network", feature = "report"))]
            netlink: None,
            root,
            figures: None,
            staged: 0,
            kept: None,
            lock: None,
            #[cfg(feature = "notes")]
            notes: None,
            #[cfg(feature = "notes")]
            notes_outlive: false,
            #[cfg(feature = "dhcp")]
            given: heapless::Vec::new(),
            #[cfg(feature = "errands")]
            children: Children::new(),
            #[cfg(feature = "errands")]
            told: Told::new(),
            #[cfg(feature = "selinux")]
            unlabelled: Unlabelled::new(),
            confined,
            locked: false,
        }
    }

    /// Whether programs of the guest are run.
    pub(crate) fn runs_programs(&self) -> bool {
        !self.confined && !self.locked
    }
}

/// What a system is made of.
pub(crate) struct Opened<'a> {
    log: LogWriter<'a>,
    root: OwnedFd,
    confined: bool,
}

impl<'a> Opened<'a> {
    /// Opens log and root.
    pub(crate) fn new(common: &Common<'a>) -> Result<Opened<'a>, rustix::io::Errno> {
        let root = open(common.root, OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
        Ok(Opened { log: LogWriter::open(common), root, confined: common.root != "/" })
    }
}

#[cfg(any(feature = "network", feature = "report"))]
impl KernelNet for System<'_> {
    fn ask(&mut self, message: &Message, each: &mut dyn FnMut(&Reply)) -> Result<(), Errno> {
        let netlink = match &mut self.netlink {
            Some(netlink) => netlink,
            none => none.insert(Netlink::open()?),
        };
        let result = netlink.ask(message, each);
        crate::record::asked_kernel(message.kind(), result);
        result
    }

    #[cfg(feature = "dhcp")]
    fn is_given(&mut self, mac: Mac) {
        if !self.given.contains(&mac) {
            let _ = self.given.push(mac);
        }
    }
}

impl Clock for System<'_> {
    fn unix_time(&mut self) -> u64 {
        realtime().seconds as u64
    }

    fn uptime_ms(&mut self) -> u64 {
        crate::wait::uptime_ms()
    }

    fn running_ms(&mut self) -> u64 {
        crate::wait::running_ms()
    }
}

impl Identity for System<'_> {
    fn host_name(&mut self) -> Bounded<64> {
        Bounded::of(format_args!("{}", uname().nodename().to_str().unwrap_or_default()))
    }

    fn set_host_name(&mut self, name: &str) -> Result<(), Errno> {
        rustix::system::sethostname(name.as_bytes()).map_err(errno)
    }

    fn kernel_release(&mut self) -> Bounded<64> {
        Bounded::of(format_args!("{}", uname().release().to_str().unwrap_or_default()))
    }
}

impl Entropy for System<'_> {
    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        let mut filled = 0;
        while let Some(rest @ [_, ..]) = bytes.get_mut(filled..) {
            filled += getrandom(rest, GetRandomFlags::empty()).map_err(errno)?;
        }
        Ok(())
    }
}

#[cfg(feature = "recorder")]
impl nanova_core::platform::Recorded for System<'_> {
    fn copy_recorded(&mut self, at: usize, room: &mut [u8]) -> bool {
        crate::rt::recorder::read_at(at, room)
    }
}

impl nanova_core::platform::Log for System<'_> {
    fn log(&mut self, level: Level, text: fmt::Arguments<'_>) {
        crate::record::line(level, text);
        self.log.line(level, text);
    }

    fn begins(&mut self, request: &str) {
        crate::record::request(request);
    }

    fn completed(&mut self, command: &str, code: &str) {
        crate::record::completed(command, code);
    }
}
