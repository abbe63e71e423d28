//! Error numbers of Linux as sentences, for messages that a person reads where no libc is at hand.
//!
//! Those that people meet have words, all of Linux's a name; one without words has its number, too. Source:
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
    /// Out of memory.
    pub const NOMEM: Errno = Errno(12);
    /// Busy.
    pub const BUSY: Errno = Errno(16);
    /// Permission denied.
    pub const ACCES: Errno = Errno(13);
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

    /// The argument makes no sense, or the object is not in a state for it.
    pub const INVAL: Errno = Errno(22);

    /// Connection timed out.
    pub const TIMEDOUT: Errno = Errno(110);

    /// The names of all, from 1 on; a dash where Linux has none.
    const NAMES: &'static str = "\
        EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY \
        EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK \
        EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP - ENOMSG EIDRM ECHRNG EL2NSYNC \
        EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT - EBFONT ENOSTR \
        ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG \
        EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE \
        EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP \
        EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED \
        ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN \
        EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT ENOMEDIUM \
        EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL \
        EHWPOISON";

    /// Words for those that people meet.
    const WORDS: [(u16, &'static str); 32] = [
        (1, "operation not permitted"),
        (2, "no such file or directory"),
        (3, "no such process or route"),
        (5, "input/output error"),
        (7, "too long"),
        (11, "held by another process"),
        (12, "out of memory"),
        (13, "permission denied"),
        (16, "busy"),
        (17, "exists already"),
        (19, "no such device"),
        (20, "not a directory"),
        (21, "is a directory"),
        (22, "invalid argument"),
        (24, "too many open files"),
        (28, "no space left on the file system"),
        (30, "read-only file system"),
        (32, "broken pipe"),
        (36, "name too long"),
        (38, "not supported by this kernel"),
        (40, "too many symbolic links, or not root's"),
        (84, "not UTF-8"),
        (95, "not supported here"),
        (97, "no such address family here"),
        (99, "no such address here"),
        (100, "the network is down"),
        (101, "the network is unreachable"),
        (104, "connection reset"),
        (105, "no room for more"),
        (110, "no answer in time"),
        (111, "connection refused"),
        (113, "no route to the host"),
    ];

    /// Its symbolic name, where Linux has one.
    pub fn name(self) -> Option<&'static str> {
        let place = usize::from(self.0).checked_sub(1)?;
        Self::NAMES.split(' ').nth(place).filter(|name| *name != "-")
    }
}

impl fmt::Display for Errno {
    #[inline(never)]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = Self::WORDS.iter().find(|(number, _)| *number == self.0);
        match (words, self.name()) {
            (Some((_, words)), Some(name)) => write!(f, "{words} ({name})"),
            (_, Some(name)) => write!(f, "errno {} ({name})", u64::from(self.0)),
            _ => write!(f, "errno {}", u64::from(self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers_have_words_and_unknown_ones_their_number() {
        assert_eq!(Errno(30).to_string(), "read-only file system (EROFS)");
        for (number, text) in [
            (18, "errno 18 (EXDEV)"),
            (1, "operation not permitted (EPERM)"),
            (133, "errno 133 (EHWPOISON)"),
            (41, "errno 41"),
            (134, "errno 134"),
            (0, "errno 0"),
            (u16::MAX, "errno 65535"),
        ] {
            assert_eq!(Errno(number).to_string(), text);
        }
        assert_eq!((Errno::NOENT.name(), Errno(18).name(), Errno(58).name()), (Some("ENOENT"), Some("EXDEV"), None));
        assert!(Errno::WORDS.iter().all(|(number, _)| Errno(*number).name().is_some()));
        for (errno, name) in [
            (Errno::HOSTUNREACH, "EHOSTUNREACH"),
            (Errno::AFNOSUPPORT, "EAFNOSUPPORT"),
            (Errno::ILSEQ, "EILSEQ"),
            (Errno::TIMEDOUT, "ETIMEDOUT"),
            (Errno::LOOP, "ELOOP"),
            (Errno(60), "ENOSTR"),
            (Errno(122), "EDQUOT"),
        ] {
            assert_eq!(errno.name(), Some(name));
        }
    }
}
