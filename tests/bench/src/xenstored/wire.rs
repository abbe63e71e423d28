//! The xenstore packet: four native-endian words, then at most 4096 bytes of payload.
//!
//! Guarantees: [`PacketReader`] gives back whole packets only, however the bytes were cut up on their way, and keeps a
//! half packet over a time-out. Refuses: a length above [`PAYLOAD_MAX`]; after that the stream has no packets any more.
//! This is written apart from nanova's own wire code on purpose, because it has to judge that code.

use std::io::{self, Read};

/// The longest payload of a packet, in both directions.
pub const PAYLOAD_MAX: usize = 4096;

/// The four words in front of the payload.
pub const HEADER: usize = 16;

/// The packet types, named as in xs_wire.h without the `XS_`.
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub mod op {
    pub const CONTROL: u32 = 0;
    pub const DIRECTORY: u32 = 1;
    pub const READ: u32 = 2;
    pub const GET_PERMS: u32 = 3;
    pub const WATCH: u32 = 4;
    pub const UNWATCH: u32 = 5;
    pub const TRANSACTION_START: u32 = 6;
    pub const TRANSACTION_END: u32 = 7;
    pub const INTRODUCE: u32 = 8;
    pub const RELEASE: u32 = 9;
    pub const GET_DOMAIN_PATH: u32 = 10;
    pub const WRITE: u32 = 11;
    pub const MKDIR: u32 = 12;
    pub const RM: u32 = 13;
    pub const SET_PERMS: u32 = 14;
    pub const WATCH_EVENT: u32 = 15;
    pub const ERROR: u32 = 16;
    pub const IS_DOMAIN_INTRODUCED: u32 = 17;
    pub const RESUME: u32 = 18;
    pub const SET_TARGET: u32 = 19;
    pub const RESET_WATCHES: u32 = 21;
    pub const DIRECTORY_PART: u32 = 22;

    /// The name of a packet type, for counters and messages.
    pub fn name(op: u32) -> &'static str {
        match op {
            CONTROL => "CONTROL",
            DIRECTORY => "DIRECTORY",
            READ => "READ",
            GET_PERMS => "GET_PERMS",
            WATCH => "WATCH",
            UNWATCH => "UNWATCH",
            TRANSACTION_START => "TRANSACTION_START",
            TRANSACTION_END => "TRANSACTION_END",
            INTRODUCE => "INTRODUCE",
            RELEASE => "RELEASE",
            GET_DOMAIN_PATH => "GET_DOMAIN_PATH",
            WRITE => "WRITE",
            MKDIR => "MKDIR",
            RM => "RM",
            SET_PERMS => "SET_PERMS",
            WATCH_EVENT => "WATCH_EVENT",
            ERROR => "ERROR",
            IS_DOMAIN_INTRODUCED => "IS_DOMAIN_INTRODUCED",
            RESUME => "RESUME",
            SET_TARGET => "SET_TARGET",
            RESET_WATCHES => "RESET_WATCHES",
            DIRECTORY_PART => "DIRECTORY_PART",
            _ => "UNKNOWN",
        }
    }
}

/// Why a request was refused. On the wire it is the name in capitals: `EACCES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub enum Errno {
    Einval,
    Eacces,
    Eexist,
    Eisdir,
    Enoent,
    Enomem,
    Enospc,
    Eio,
    Enotempty,
    Enosys,
    Erofs,
    Ebusy,
    Eagain,
    Eisconn,
    E2big,
    Eperm,
    /// oxenstored's word for a domain with too many nodes; not in xs_wire.h.
    Equota,
    /// Never on the wire: what write(2) on the device says of a WATCH without its two strings.
    Eilseq,
}

impl Errno {
    const ALL: [Errno; 18] = [
        Errno::Einval,
        Errno::Eacces,
        Errno::Eexist,
        Errno::Eisdir,
        Errno::Enoent,
        Errno::Enomem,
        Errno::Enospc,
        Errno::Eio,
        Errno::Enotempty,
        Errno::Enosys,
        Errno::Erofs,
        Errno::Ebusy,
        Errno::Eagain,
        Errno::Eisconn,
        Errno::E2big,
        Errno::Eperm,
        Errno::Equota,
        Errno::Eilseq,
    ];

    /// The name as it goes over the wire, without the NUL.
    pub fn name(self) -> &'static str {
        match self {
            Errno::Einval => "EINVAL",
            Errno::Eacces => "EACCES",
            Errno::Eexist => "EEXIST",
            Errno::Eisdir => "EISDIR",
            Errno::Enoent => "ENOENT",
            Errno::Enomem => "ENOMEM",
            Errno::Enospc => "ENOSPC",
            Errno::Eio => "EIO",
            Errno::Enotempty => "ENOTEMPTY",
            Errno::Enosys => "ENOSYS",
            Errno::Erofs => "EROFS",
            Errno::Ebusy => "EBUSY",
            Errno::Eagain => "EAGAIN",
            Errno::Eisconn => "EISCONN",
            Errno::E2big => "E2BIG",
            Errno::Eperm => "EPERM",
            Errno::Equota => "EQUOTA",
            Errno::Eilseq => "EILSEQ",
        }
    }

    /// The error of an ERROR packet's payload. An unknown name is EINVAL, as in Linux.
    pub fn from_payload(payload: &[u8]) -> Errno {
        let name = payload.strip_suffix(b"\0").unwrap_or(payload);
        Errno::ALL.into_iter().find(|errno| errno.name().as_bytes() == name).unwrap_or(Errno::Einval)
    }
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The type, one of [`op`].
    pub kind: u32,
    /// The caller's number for the request, echoed in the reply.
    pub req_id: u32,
    /// The transaction, 0 for none.
    pub tx_id: u32,
    /// At most [`PAYLOAD_MAX`] bytes.
    pub payload: Vec<u8>,
}

impl Packet {
    /// The bytes of the packet, for one write(2).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.payload.len());
        for word in [self.kind, self.req_id, self.tx_id, self.payload.len() as u32] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The reply to this request: same ids, its own type and payload.
    pub fn reply(&self, kind: u32, payload: Vec<u8>) -> Packet {
        Packet { kind, req_id: self.req_id, tx_id: self.tx_id, payload }
    }

    /// The reply that refuses this request.
    pub fn refusal(&self, errno: Errno) -> Packet {
        self.reply(op::ERROR, format!("{}\0", errno.name()).into_bytes())
    }
}

/// The length of the payload that a header announces, when the header is complete.
pub fn announced_len(bytes: &[u8]) -> Option<usize> {
    let word = bytes.get(12..HEADER)?;
    Some(u32::from_ne_bytes(word.try_into().expect("four bytes")) as usize)
}

/// The packet at the front of `bytes`, when it is complete.
pub fn decode(bytes: &[u8]) -> Option<Packet> {
    let payload = bytes.get(HEADER..HEADER + announced_len(bytes)?)?.to_vec();
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    Some(Packet { kind: word(0), req_id: word(4), tx_id: word(8), payload })
}

/// Reassembles packets from a stream.
#[derive(Debug, Default)]
pub(super) struct PacketReader {
    buffer: Vec<u8>,
}

impl PacketReader {
    /// The next packet; None at the end of the stream. On an error (a time-out, say) nothing that was read is lost.
    pub(super) fn next(&mut self, stream: &mut impl Read) -> io::Result<Option<Packet>> {
        loop {
            if announced_len(&self.buffer).is_some_and(|len| len > PAYLOAD_MAX) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet above 4096 bytes"));
            }
            if let Some(packet) = decode(&self.buffer) {
                self.buffer.drain(..HEADER + packet.payload.len());
                return Ok(Some(packet));
            }
            // Room for a whole packet, so that a request costs one read(2).
            let mut chunk = [0; HEADER + PAYLOAD_MAX];
            match stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The NUL-terminated strings of a payload; bytes behind the last NUL are left out.
pub(super) fn strings(payload: &[u8]) -> Vec<&[u8]> {
    let mut strings: Vec<&[u8]> = payload.split(|byte| *byte == 0).collect();
    strings.pop();
    strings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte for each read, and a time-out before each.
    struct Dribble(Vec<u8>, bool);

    impl Read for Dribble {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if self.0.is_empty() {
                return Ok(0);
            }
            buf[0] = self.0.remove(0);
            Ok(1)
        }
    }

    #[test]
    fn a_packet_is_four_words_and_its_payload() {
        let packet = Packet { kind: op::READ, req_id: 1, tx_id: 2, payload: b"name\0".to_vec() };
        let mut golden = Vec::new();
        for word in [2u32, 1, 2, 5] {
            golden.extend_from_slice(&word.to_ne_bytes());
        }
        golden.extend_from_slice(b"name\0");
        assert_eq!(packet.to_bytes(), golden);
        assert_eq!(decode(&golden), Some(packet));
        assert_eq!(decode(&golden[..golden.len() - 1]), None);
    }

    #[test]
    fn a_time_out_in_the_middle_of_a_packet_loses_nothing() {
        let first = Packet { kind: op::WRITE, req_id: 7, tx_id: 0, payload: b"a\0b".to_vec() };
        let second = Packet { kind: op::RM, req_id: 8, tx_id: 0, payload: b"a\0".to_vec() };
        let mut stream = Dribble([first.to_bytes(), second.to_bytes()].concat(), false);
        let mut reader = PacketReader::default();
        let mut got = Vec::new();
        loop {
            match reader.next(&mut stream) {
                Ok(Some(packet)) => got.push(packet),
                Ok(None) => break,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert_eq!(got, [first, second]);
    }

    #[test]
    fn a_length_above_4096_ends_the_stream() {
        let header = [11u32, 0, 0, 4097].map(u32::to_ne_bytes).concat();
        assert!(PacketReader::default().next(&mut header.as_slice()).is_err());
    }

    #[test]
    fn strings_are_counted_by_their_nuls() {
        assert_eq!(strings(b"a\0bc\0"), [b"a".as_slice(), b"bc"]);
        assert_eq!(strings(b"a\0rest"), [b"a".as_slice()]);
        assert!(strings(b"no nul").is_empty());
        assert_eq!(strings(b"\0"), [b"".as_slice()]);
    }

    #[test]
    fn an_unknown_error_name_is_einval() {
        assert_eq!(Errno::from_payload(b"ENOENT\0"), Errno::Enoent);
        assert_eq!(Errno::from_payload(b"ESURPRISE\0"), Errno::Einval);
    }
}
