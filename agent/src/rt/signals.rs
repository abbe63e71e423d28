//! Signals as a file descriptor, so that the event loop waits for them with everything else; a handler would run at any
//! moment.

use core::cell::Cell;

use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Signal;

use super::syscall::{number, syscall};

/// A set of signals as the kernel has it: signal n is bit n - 1.
#[derive(Clone, Copy)]
pub(crate) struct SignalSet(u64);

impl SignalSet {
    /// These signals.
    pub(crate) fn of(signals: &[Signal]) -> SignalSet {
        SignalSet(signals.iter().fold(0, |set, signal| set | 1 << (signal.as_raw() - 1)))
    }

    /// Whether this signal is one of them.
    pub(crate) fn has(self, signal: Signal) -> bool {
        self.0 & SignalSet::of(&[signal]).0 != 0
    }

    /// No signal.
    pub(crate) const NONE: SignalSet = SignalSet(0);

    /// These signals and those.
    fn with(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 | other.0)
    }

    /// Blocks just these signals and no other, as a program expects it that is started.
    pub(crate) fn block_only(self) -> Result<(), Errno> {
        const SIG_SETMASK: usize = 2;
        self.mask(SIG_SETMASK)
    }

    /// Has these signals wait until they are taken from a descriptor, or for ever.
    pub(crate) fn block(self) -> Result<(), Errno> {
        const SIG_BLOCK: usize = 0;
        self.mask(SIG_BLOCK)
    }

    fn mask(self, how: usize) -> Result<(), Errno> {
        let set = core::ptr::from_ref(&self.0) as usize;
        // SAFETY: rt_sigprocmask(2) reads the eight bytes of the set and writes nothing, as no room for the old set is
        // given.
        unsafe { syscall(number::RT_SIGPROCMASK, [how, set, 0, size_of::<u64>(), 0]) }.map(drop)
    }

    /// signalfd4(2): a descriptor to take these signals from, close-on-exec and non-blocking.
    fn descriptor(self) -> Result<OwnedFd, Errno> {
        const NEW: usize = -1_isize as usize;
        /// `SFD_CLOEXEC | SFD_NONBLOCK`, which are O_CLOEXEC and O_NONBLOCK.
        const FLAGS: usize = 0o2_000_000 | 0o4000;
        let set = core::ptr::from_ref(&self.0) as usize;
        // SAFETY: signalfd4(2) reads the eight bytes of the set and touches no other memory.
        let fd = unsafe { syscall(number::SIGNALFD4, [NEW, set, size_of::<u64>(), FLAGS, 0]) }?;
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    }
}

/// The signals that the program waits for, blocked otherwise.
pub(crate) struct Signals {
    fd: OwnedFd,
    /// Those that came and were not taken note of.
    came: Cell<SignalSet>,
    /// Those that are taken from the descriptor.
    taken: SignalSet,
    /// Those that tell the program to end.
    ending: SignalSet,
    stop: Cell<bool>,
}

impl Signals {
    /// Takes these signals from a descriptor from now on: some tell the program to end, others tell it something else.
    /// SIGPIPE is blocked, too, so that writing to a socket whose other end is gone is an error and not the end; and
    /// SIGTTOU, with which a terminal may stop a process that is not in its foreground and writes to it.
    pub(crate) fn new(ending: &[Signal], others: &[Signal]) -> Result<Signals, Errno> {
        let ending = SignalSet::of(ending);
        let taken = ending.with(SignalSet::of(others));
        taken.with(SignalSet::of(&[Signal::PIPE, Signal::TTOU])).block()?;
        Ok(Signals { fd: taken.descriptor()?, taken, came: Cell::new(SignalSet::NONE), ending, stop: Cell::new(false) })
    }

    /// Blocks the signals again, after they were let through for a program that could not be started.
    pub(crate) fn block_again(&self) {
        let _ = self.taken.with(SignalSet::of(&[Signal::PIPE, Signal::TTOU])).block();
    }

    /// Readable when a signal waits.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Takes the signals that wait, and remembers them.
    pub(crate) fn take(&self) {
        /// `struct signalfd_siginfo`: the number comes first.
        const INFO_LEN: usize = 128;
        let mut info = [0; INFO_LEN];
        while rustix::io::read(&self.fd, &mut info[..]) == Ok(INFO_LEN) {
            let number = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
            crate::record::signal(number);
            let signal = SignalSet(1 << (number.wrapping_sub(1) % 64));
            self.came.set(self.came.get().with(signal));
            if signal.0 & self.ending.0 != 0 {
                self.stop.set(true);
            }
        }
    }

    /// Whether signals came that nobody has taken note of.
    pub(crate) fn any_came(&self) -> bool {
        self.came.get().0 != 0
    }

    /// The signals that came since this was asked last.
    pub(crate) fn take_came(&self) -> SignalSet {
        self.came.replace(SignalSet::NONE)
    }

    /// Tells the program to end, as a signal would.
    pub(crate) fn request_stop(&self) {
        self.stop.set(true);
    }

    /// Whether the program was told to end.
    pub(crate) fn stop(&self) -> bool {
        self.stop.get()
    }
}
