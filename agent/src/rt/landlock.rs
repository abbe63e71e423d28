//! Landlock: what this process and its children may do from now on with files, TCP and other processes, whoever they
//! are. What the kernel does not know of yet it does not forbid.
//!
//! Layout and values: Linux, `include/uapi/linux/landlock.h`; landlock(7) has which version knows what.

use rustix::fd::{AsRawFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

use super::syscall::{number, syscall};

/// What is done to files, by the version that came to know it. Reading is never forbidden.
const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const REMOVE_DIR: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
const MAKE_SOCK: u64 = 1 << 9;
const MAKE_FIFO: u64 = 1 << 10;
const MAKE_BLOCK: u64 = 1 << 11;
const MAKE_SYM: u64 = 1 << 12;
const OF_VERSION_1: u64 = EXECUTE
    | WRITE_FILE
    | REMOVE_DIR
    | REMOVE_FILE
    | MAKE_CHAR
    | MAKE_DIR
    | MAKE_REG
    | MAKE_SOCK
    | MAKE_FIFO
    | MAKE_BLOCK
    | MAKE_SYM;
/// Into another directory: from version 2 on; before, nobody may.
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
/// Binding and connecting TCP, since version 4.
const TCP: u64 = 1 << 0 | 1 << 1;
/// Connecting to abstract unix sockets of others, and signals to others, since version 6.
const ABSTRACT_SOCKETS: u64 = 1 << 0;
const SIGNALS: u64 = 1 << 1;

/// What may be done to a place.
#[derive(Clone, Copy)]
pub(crate) enum Right {
    /// A file that is there is written, and that is all.
    Write,
    /// Files are made, or written.
    Append,
    /// Files, directories and links come, change and go below a directory; devices, sockets and pipes do not.
    Change,
    /// Files of a directory go.
    Remove,
}

impl Right {
    fn bits(self) -> u64 {
        match self {
            Right::Write => WRITE_FILE | TRUNCATE,
            Right::Append => WRITE_FILE | MAKE_REG,
            Right::Change => WRITE_FILE | TRUNCATE | MAKE_REG | MAKE_DIR | MAKE_SYM | REMOVE_FILE | REMOVE_DIR | REFER,
            Right::Remove => REMOVE_FILE,
        }
    }
}

/// `struct landlock_ruleset_attr`
#[repr(C)]
struct Attributes {
    files: u64,
    network: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

/// Rules that are not in force yet.
pub(crate) struct Rules {
    ruleset: OwnedFd,
    /// What this kernel knows to forbid of what is done to files.
    handled: u64,
    /// The kernel's version of Landlock.
    pub(crate) version: usize,
}

impl Rules {
    /// Rules that allow nothing of all this; abstract sockets of others if that is wanted. [`Errno::NOSYS`] or
    /// [`Errno::OPNOTSUPP`] where the kernel has no Landlock.
    pub(crate) fn new(abstract_sockets: bool) -> Result<Rules, Errno> {
        const VERSION: usize = 1 << 0;
        // SAFETY: with this flag the call reads nothing and returns a number.
        let version = unsafe { syscall(number::LANDLOCK_CREATE_RULESET, [0, 0, VERSION, 0, 0]) }?;
        let since = |first, bits| if version >= first { bits } else { 0 };
        let handled = OF_VERSION_1 | since(2, REFER) | since(3, TRUNCATE) | since(5, IOCTL_DEV);
        let scoped = SIGNALS | if abstract_sockets { 0 } else { ABSTRACT_SOCKETS };
        let attributes = Attributes { files: handled, network: since(4, TCP), scoped: since(6, scoped) };
        let address = core::ptr::from_ref(&attributes) as usize;
        // SAFETY: the call reads as many bytes of it as there are. An older kernel takes them where what it does not
        // know is 0.
        let ruleset = unsafe { syscall(number::LANDLOCK_CREATE_RULESET, [address, size_of::<Attributes>(), 0, 0, 0]) }?;
        // SAFETY: the call has returned a descriptor, which nobody else has.
        let ruleset = unsafe { OwnedFd::from_raw_fd(ruleset as i32) };
        Ok(Rules { ruleset, handled, version })
    }

    /// Allows this at, and below, what is open here.
    pub(crate) fn allow(&self, place: &OwnedFd, right: Right) -> Result<(), Errno> {
        const PATH_BENEATH: usize = 1;
        let beneath = Beneath { allowed: right.bits() & self.handled, parent: place.as_raw_fd() };
        let (ruleset, address) = (self.ruleset.as_raw_fd() as usize, core::ptr::from_ref(&beneath) as usize);
        // SAFETY: the call reads the structure, which lives until it returns.
        unsafe { syscall(number::LANDLOCK_ADD_RULE, [ruleset, PATH_BENEATH, address, 0, 0]) }.map(drop)
    }

    /// Puts them in force. The process has no_new_privs, or CAP_SYS_ADMIN.
    pub(crate) fn enforce(self) -> Result<(), Errno> {
        let ruleset = self.ruleset.as_raw_fd() as usize;
        // SAFETY: the call touches no memory of ours.
        unsafe { syscall(number::LANDLOCK_RESTRICT_SELF, [ruleset, 0, 0, 0, 0]) }.map(drop)
    }
}
