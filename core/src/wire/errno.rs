//! Error numbers of Linux as sentences, for messages that a person reads where no libc is at hand.
//!
//! Only those that the agent's own system calls can meet have words; the number is always given, too. Source:
//! `include/uapi/asm-generic/errno-base.h` and `errno.h`; these numbers are the same on all architectures nanova runs
//! on.

use core::fmt;

/// An error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Errno(pub u16);

impl Errno {
    /// Operation not permitted.
    pub const PERM: Errno = Errno(1);
    /// No such file or directory.
    pub const NOENT: Errno = Errno(2);
    /// Input/output error.
    pub const IO: Errno = Errno(5);
    /// Resource temporarily unavailable; held by another process.
    pub const AGAIN: Errno = Errno(11);
    /// Permission denied.
    pub const ACCES: Errno = Errno(13);
    /// Device or resource busy; of a name that is to be replaced: a mount point.
    pub const BUSY: Errno = Errno(16);
    /// File exists.
    pub const EXIST: Errno = Errno(17);
    /// Not a directory.
    pub const NOTDIR: Errno = Errno(20);
    /// Is a directory.
    pub const ISDIR: Errno = Errno(21);
    /// Read-only file system.
    pub const ROFS: Errno = Errno(30);
    /// No space left on device.
    pub const NOSPC: Errno = Errno(28);

    /// File name too long.
    pub const NAMETOOLONG: Errno = Errno(36);
    /// Function not implemented.
    pub const NOSYS: Errno = Errno(38);
    /// Too many symbolic links, or one that is not to be followed ([`crate::files::walk`]).
    pub const LOOP: Errno = Errno(40);

    /// Not text as it should be.
    pub const ILSEQ: Errno = Errno(84);

    /// No such process; of routes: no such route.
    pub const SRCH: Errno = Errno(3);
    /// Cannot assign requested address; of addresses: no such address.
    pub const ADDRNOTAVAIL: Errno = Errno(99);

    /// Operation not supported.
    pub const OPNOTSUPP: Errno = Errno(95);
    /// Address family not supported.
    pub const AFNOSUPPORT: Errno = Errno(97);

    /// No route to host.
    pub const HOSTUNREACH: Errno = Errno(113);

    /// Connection timed out.
    pub const TIMEDOUT: Errno = Errno(110);

    /// Name and words of each.
    const WORDS: [(u16, &'static str); 32] = [
        (1, "EPERM operation not permitted"),
        (2, "ENOENT no such file or directory"),
        (3, "ESRCH no such process or route"),
        (5, "EIO input/output error"),
        (7, "E2BIG too long"),
        (11, "EAGAIN held by another process"),
        (12, "ENOMEM out of memory"),
        (13, "EACCES permission denied"),
        (16, "EBUSY busy"),
        (17, "EEXIST exists already"),
        (19, "ENODEV no such device"),
        (20, "ENOTDIR not a directory"),
        (21, "EISDIR is a directory"),
        (22, "EINVAL invalid argument"),
        (24, "EMFILE too many open files"),
        (28, "ENOSPC no space left on the file system"),
        (30, "EROFS read-only file system"),
        (32, "EPIPE broken pipe"),
        (36, "ENAMETOOLONG name too long"),
        (38, "ENOSYS not supported by this kernel"),
        (40, "ELOOP too many symbolic links, or not root's"),
        (84, "EILSEQ not UTF-8"),
        (95, "EOPNOTSUPP not supported here"),
        (97, "EAFNOSUPPORT no such address family here"),
        (99, "EADDRNOTAVAIL no such address here"),
        (100, "ENETDOWN the network is down"),
        (101, "ENETUNREACH the network is unreachable"),
        (104, "ECONNRESET connection reset"),
        (105, "ENOBUFS no room for more"),
        (110, "ETIMEDOUT no answer in time"),
        (111, "ECONNREFUSED connection refused"),
        (113, "EHOSTUNREACH no route to the host"),
    ];

    /// Its symbolic name, where the table has one.
    pub fn name(self) -> Option<&'static str> {
        self.words().map(|(name, _)| name)
    }

    fn words(self) -> Option<(&'static str, &'static str)> {
        Self::WORDS.iter().find(|(number, _)| *number == self.0)?.1.split_once(' ')
    }
}

impl fmt::Display for Errno {
    #[inline(never)]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words() {
            Some((name, words)) => write!(f, "{words} ({name})"),
            None => write!(f, "errno {}", u64::from(self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers_have_words_and_unknown_ones_their_number() {
        assert_eq!(Errno(30).to_string(), "read-only file system (EROFS)");
        assert_eq!(Errno(133).to_string(), "errno 133");
        assert_eq!((Errno::NOENT.name(), Errno(133).name()), (Some("ENOENT"), None));
    }
}
