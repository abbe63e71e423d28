//! Packets of the xenstore protocol, to and from bytes.
//!
//! A packet is a header of four native-endian `u32` (type, request id, transaction id, length) and a payload of at most
//! [`PAYLOAD_MAX`] bytes. Source: Xen's `xen/include/public/io/xs_wire.h` and `docs/misc/xenstore.txt`.
//!
//! What comes from the other side is an allegation: [`Decoder`] accepts any bytes, in pieces of any size, and yields
//! whole packets or one error. **It never panics.** After an error the stream has no known packet boundary any more:
//! the connection must be reopened.

use core::fmt;

use crate::wire::buffer::forget_start;

/// Bytes of a header.
pub const HEADER_LEN: usize = 16;
/// Longest payload the protocol knows, in both directions (`XENSTORE_PAYLOAD_MAX`).
pub const PAYLOAD_MAX: usize = 4096;
/// Longest packet that may be sent.
pub const REQUEST_MAX: usize = HEADER_LEN + PAYLOAD_MAX;
/// Longest packet that Linux's `/dev/xen/xenbus` takes: 4096 bytes *including* the header, 16 bytes less than the
/// protocol (`drivers/xen/xenbus/xenbus_dev_frontend.c`).
pub const DEVICE_REQUEST_MAX: usize = 4096;

/// What a packet is about (`enum xsd_sockmsg_type`): the operations that this client sends and the two replies without
/// a request of that type. Any other number is carried, not rejected.
///
/// `RESET_WATCHES` has no name here on purpose: through Linux's device it would remove the kernel's own watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MessageType(u32);

impl MessageType {
    /// List the children of a node.
    pub const DIRECTORY: MessageType = MessageType(1);
    /// Read a value.
    pub const READ: MessageType = MessageType(2);
    /// Read the permissions of a node.
    pub const GET_PERMS: MessageType = MessageType(3);
    /// Register a watch.
    pub const WATCH: MessageType = MessageType(4);
    /// Remove a watch.
    pub const UNWATCH: MessageType = MessageType(5);
    /// Open a transaction.
    pub const TRANSACTION_START: MessageType = MessageType(6);
    /// Commit or abort a transaction.
    pub const TRANSACTION_END: MessageType = MessageType(7);
    /// The home of a domain.
    pub const GET_DOMAIN_PATH: MessageType = MessageType(10);
    /// Write a value.
    pub const WRITE: MessageType = MessageType(11);
    /// Make a node.
    pub const MKDIR: MessageType = MessageType(12);
    /// Remove a node and all below it.
    pub const RM: MessageType = MessageType(13);
    /// Replace the permissions of a node.
    pub const SET_PERMS: MessageType = MessageType(14);
    /// A watch fired (reply only).
    pub const WATCH_EVENT: MessageType = MessageType(15);
    /// A request failed (reply only); the payload is the error's name.
    pub const ERROR: MessageType = MessageType(16);
    /// List the children of a node, from an offset.
    pub const DIRECTORY_PART: MessageType = MessageType(22);

    /// The number on the wire.
    pub const fn code(self) -> u32 {
        self.0
    }

    /// The type with this number on the wire.
    pub const fn from_code(code: u32) -> MessageType {
        MessageType(code)
    }
}

/// The header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header {
    /// What the packet is about.
    pub kind: MessageType,
    /// Echoed by the other side; meaningless in a watch event, and replaced by a foreign one on some Linux kernels.
    pub request_id: u32,
    /// The transaction, or 0.
    pub transaction_id: u32,
    /// Bytes of payload that follow.
    pub len: u32,
}

impl Header {
    /// Reads a header. The length is not judged here.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Header {
        let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Header { kind: MessageType::from_code(word(0)), request_id: word(4), transaction_id: word(8), len: word(12) }
    }

    /// Writes a header.
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let words = [self.kind.code(), self.request_id, self.transaction_id, self.len];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

/// A request does not fit in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TooLong;

/// Room for every packet that may be sent.
pub type RequestRoom = [u8; REQUEST_MAX];

/// Makes a request whose payload is these pieces, one after the other. What it returns is the whole packet: one
/// write(2), never split and never joined with another.
pub fn request<'r>(
    room: &'r mut RequestRoom,
    kind: MessageType,
    request_id: u32,
    transaction_id: u32,
    pieces: &[&[u8]],
) -> Result<&'r [u8], TooLong> {
    let len = pieces.iter().map(|piece| piece.len()).sum::<usize>();
    let header = Header { kind, request_id, transaction_id, len: len as u32 }.emit();
    let packet = room.get_mut(..HEADER_LEN + len).ok_or(TooLong)?;
    let mut rest = &mut *packet;
    for piece in [&header[..]].iter().chain(pieces) {
        let (here, behind) = rest.split_at_mut_checked(piece.len()).ok_or(TooLong)?;
        here.copy_from_slice(piece);
        rest = behind;
    }
    Ok(packet)
}

/// The other side sent something that is not the xenstore protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Oversized;

/// Puts packets together again from reads that may return a part of one or several.
///
/// # Invariants
/// * `packet_len <= filled <= buffer.len()`; `buffer[..packet_len]` is the packet last handed out.
/// * [`Decoder::space`] is never empty unless a whole packet waits: the buffer holds the longest packet.
pub struct Decoder {
    buffer: [u8; HEADER_LEN + PAYLOAD_MAX],
    filled: usize,
    packet_len: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// An empty decoder.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub const fn new() -> Decoder {
        Decoder { buffer: [0; HEADER_LEN + PAYLOAD_MAX], filled: 0, packet_len: 0 }
    }

    /// Room for the next read. Discards the packet last returned by [`Decoder::next_packet`].
    pub fn space(&mut self) -> &mut [u8] {
        self.discard();
        self.halves().1
    }

    /// Says that `n` bytes were read into [`Decoder::space`].
    pub fn received(&mut self, n: usize) {
        self.filled = (self.filled + n).min(self.buffer.len());
    }

    /// The next whole packet's header, if it has arrived; its payload is at [`Decoder::payload`] until the next call.
    pub fn next_packet(&mut self) -> Result<Option<Header>, Oversized> {
        self.discard();
        let Some(bytes) = self.halves().0.first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let header = Header::parse(bytes);
        let len = header.len as usize;
        if len > PAYLOAD_MAX {
            return Err(Oversized);
        }
        if self.filled < HEADER_LEN + len {
            return Ok(None);
        }
        self.packet_len = HEADER_LEN + len;
        Ok(Some(header))
    }

    /// The payload of the packet last returned.
    pub fn payload(&mut self) -> &mut [u8] {
        // Without a packet there is no such range.
        self.buffer.get_mut(HEADER_LEN..self.packet_len).unwrap_or_default()
    }

    /// Overwrites every byte that is not part of a packet still to come: payloads may have carried secrets.
    pub fn wipe(&mut self) {
        self.discard();
        zeroize::Zeroize::zeroize(self.halves().1);
    }

    /// What has arrived, and the room behind it.
    fn halves(&mut self) -> (&mut [u8], &mut [u8]) {
        let filled = self.filled.min(self.buffer.len());
        self.buffer.split_at_mut(filled)
    }

    fn discard(&mut self) {
        let gone = core::mem::take(&mut self.packet_len);
        forget_start(self.halves().0, gone);
        self.filled -= gone;
    }
}

/// Why xenstored refused a request: one of the names of `xsd_errors` in `xs_wire.h`, or what oxenstored says beside
/// these.
///
/// New names are added there from time to time. One that is not known here is a refusal like any other, and shown as
/// what it is, an unknown one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Refusal(u8);

/// What stands in the place of a [`Refusal::number`] where there was no answer.
pub const NO_ANSWER: u8 = u8::MAX;

const NAMES: [&str; 18] = [
    "EINVAL",
    "EACCES",
    "EEXIST",
    "EISDIR",
    "ENOENT",
    "ENOMEM",
    "ENOSPC",
    "EIO",
    "ENOTEMPTY",
    "ENOSYS",
    "EROFS",
    "EBUSY",
    "EAGAIN",
    "EISCONN",
    "E2BIG",
    "EPERM",
    "EQUOTA",
    "an error of a name that is not known here",
];

impl Refusal {
    /// The request makes no sense.
    pub const INVAL: Refusal = Refusal(0);
    /// The node is not this domain's to read or to write.
    pub const ACCES: Refusal = Refusal(1);
    /// There is no such node.
    pub const NOENT: Refusal = Refusal(4);
    /// The operation is not known.
    pub const NOSYS: Refusal = Refusal(9);
    /// The transaction got in the way of another one.
    pub const AGAIN: Refusal = Refusal(12);
    /// The answer is longer than a packet, or the value than the quota.
    pub const TOOBIG: Refusal = Refusal(14);
    const NOSPC: Refusal = Refusal(6);
    const QUOTA: Refusal = Refusal(16);
    const UNKNOWN: Refusal = Refusal(NAMES.len() as u8 - 1);

    /// Its number for the flight recorder: from 1 on.
    pub fn number(self) -> u8 {
        self.0 + 1
    }

    /// The refusal of this number.
    pub fn of_number(number: u8) -> Option<Refusal> {
        number.checked_sub(1).filter(|place| usize::from(*place) < NAMES.len()).map(Refusal)
    }

    /// Reads the payload of an ERROR packet: a name, terminated by a zero byte. Anything that is no text becomes
    /// `EINVAL`, as in Linux (`xenbus_xs.c`, `get_error`).
    pub fn parse(payload: &[u8]) -> Refusal {
        core::str::from_utf8(payload).map_or(Refusal::INVAL, |name| Refusal::named(name.trim_end_matches('\0')))
    }

    /// The refusal with this name, for transports that report an errno instead of an ERROR packet.
    pub fn named(name: &str) -> Refusal {
        let place = NAMES.iter().position(|known| *known == name);
        place.map_or(Refusal::UNKNOWN, |place| Refusal(place as u8))
    }

    /// Its name, such as `ENOENT`.
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    /// The domain's quota is used up: `ENOSPC` from C xenstored, `EQUOTA` from oxenstored, `E2BIG` for one value.
    pub fn is_quota(self) -> bool {
        matches!(self, Refusal::NOSPC | Refusal::QUOTA | Refusal::TOOBIG)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    /// READ of `name`, request 7, transaction 3, as a little-endian client sends it.
    #[cfg(target_endian = "little")]
    const READ_NAME: [u8; 21] = [2, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0, b'n', b'a', b'm', b'e', 0];

    /// A request in transaction 3.
    fn packet(kind: MessageType, request_id: u32, pieces: &[&[u8]]) -> Result<Vec<u8>, TooLong> {
        request(&mut [0; REQUEST_MAX], kind, request_id, 3, pieces).map(<[u8]>::to_vec)
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_request_has_the_bytes_of_the_header_file() {
        assert_eq!(packet(MessageType::READ, 7, &[b"name", b"\0"]).unwrap(), READ_NAME);
        let header = Header::parse(READ_NAME.first_chunk().unwrap());
        assert_eq!(header, Header { kind: MessageType::READ, request_id: 7, transaction_id: 3, len: 5 });
        assert_eq!(header.emit(), READ_NAME[..HEADER_LEN]);
    }

    #[test]
    fn a_request_longer_than_the_protocol_knows_is_an_error() {
        let longest = [b'v'; PAYLOAD_MAX];
        assert_eq!(packet(MessageType::WRITE, 1, &[&longest]).unwrap().len(), REQUEST_MAX);
        assert_eq!(packet(MessageType::WRITE, 1, &[&longest, b"x"]), Err(TooLong));
    }

    fn feed(decoder: &mut Decoder, bytes: &[u8]) {
        decoder.space()[..bytes.len()].copy_from_slice(bytes);
        decoder.received(bytes.len());
    }

    #[test]
    fn the_longest_packet_is_taken_and_a_longer_one_is_an_error() {
        let mut decoder = Decoder::new();
        let header = Header { kind: MessageType::READ, request_id: 0, transaction_id: 0, len: PAYLOAD_MAX as u32 };
        feed(&mut decoder, &header.emit());
        assert_eq!(decoder.next_packet(), Ok(None));
        assert_eq!(decoder.space().len(), PAYLOAD_MAX);
        feed(&mut decoder, &[b'x'; PAYLOAD_MAX]);
        assert_eq!(decoder.next_packet(), Ok(Some(header)));
        assert_eq!(decoder.payload(), [b'x'; PAYLOAD_MAX]);

        let mut decoder = Decoder::new();
        feed(&mut decoder, &Header { len: PAYLOAD_MAX as u32 + 1, ..header }.emit());
        assert_eq!(decoder.next_packet(), Err(Oversized));
    }

    #[test]
    fn wiping_keeps_what_has_not_been_read_yet() {
        let mut decoder = Decoder::new();
        let secret = packet(MessageType::READ, 1, &[b"secret"]).unwrap();
        let next = packet(MessageType::READ, 2, &[b"next"]).unwrap();
        feed(&mut decoder, &[secret, next].concat());
        assert!(decoder.next_packet().unwrap().is_some());
        decoder.wipe();
        assert!(!decoder.buffer.windows(6).any(|bytes| bytes == b"secret"));
        assert_eq!(decoder.next_packet().unwrap().unwrap().request_id, 2);
        assert_eq!(decoder.payload(), b"next");
    }

    #[test]
    fn every_type_has_the_number_of_the_header_file_and_any_other_is_carried() {
        let known = [
            (1, MessageType::DIRECTORY),
            (2, MessageType::READ),
            (3, MessageType::GET_PERMS),
            (4, MessageType::WATCH),
            (5, MessageType::UNWATCH),
            (6, MessageType::TRANSACTION_START),
            (7, MessageType::TRANSACTION_END),
            (10, MessageType::GET_DOMAIN_PATH),
            (11, MessageType::WRITE),
            (12, MessageType::MKDIR),
            (13, MessageType::RM),
            (14, MessageType::SET_PERMS),
            (15, MessageType::WATCH_EVENT),
            (16, MessageType::ERROR),
            (22, MessageType::DIRECTORY_PART),
        ];
        for (code, known) in known {
            assert_eq!((MessageType::from_code(code), known.code()), (known, code));
        }
        assert_eq!(MessageType::from_code(40).code(), 40);
    }

    #[test]
    fn a_quota_has_three_names() {
        for (name, is_quota) in [("ENOSPC", true), ("EQUOTA", true), ("E2BIG", true), ("EACCES", false), ("x", false)] {
            assert_eq!(Refusal::named(name).is_quota(), is_quota, "{name}");
        }
        assert_eq!(Refusal::named("ENOSPC").to_string(), "ENOSPC");
        assert_eq!(Refusal::named("x").to_string(), "an error of a name that is not known here");
    }

    #[test]
    fn a_payload_is_there_from_its_packet_to_the_next_call() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.payload(), b"");
        let packet = packet(MessageType::READ, 1, &[b"one"]).unwrap();
        feed(&mut decoder, &packet[..18]);
        assert_eq!((decoder.next_packet(), decoder.payload().len()), (Ok(None), 0));
        feed(&mut decoder, &packet[18..]);
        assert_eq!(decoder.next_packet().unwrap().unwrap().len, 3);
        assert_eq!(decoder.payload(), b"one");
        assert_eq!(decoder.space().len(), HEADER_LEN + PAYLOAD_MAX);
        assert_eq!(decoder.payload(), b"");
        // More than there was room for cannot have been received.
        decoder.received(100_000);
        assert!(decoder.space().is_empty());
    }

    #[test]
    fn a_known_error_is_told_from_an_unknown_one() {
        for (reason, name) in [
            (Refusal::INVAL, "EINVAL"),
            (Refusal::NOENT, "ENOENT"),
            (Refusal::NOSYS, "ENOSYS"),
            (Refusal::AGAIN, "EAGAIN"),
            (Refusal::TOOBIG, "E2BIG"),
            (Refusal::NOSPC, "ENOSPC"),
            (Refusal::QUOTA, "EQUOTA"),
        ] {
            assert_eq!((Refusal::parse(format!("{name}\0").as_bytes()), reason.name()), (reason, name));
        }
        for later in [&b""[..], b"\0", b"E NO\0", b"EVERYTHING\0"] {
            assert_eq!(Refusal::parse(later), Refusal::UNKNOWN);
        }
        assert_eq!(Refusal::parse(b"\xff\xff\0"), Refusal::INVAL);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_packets(
            packets in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..60)), 1..8),
            pieces in prop::collection::vec(1usize..40, 1..200),
        ) {
            let mut stream = Vec::new();
            for (code, payload) in &packets {
                stream.extend(packet(MessageType::from_code(*code), 5, &[payload]).unwrap());
            }
            let mut decoder = Decoder::new();
            let mut seen = Vec::new();
            let (mut rest, mut sizes) = (&stream[..], pieces.iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                feed(&mut decoder, piece);
                rest = after;
                while let Some(header) = decoder.next_packet().unwrap() {
                    seen.push((header.kind.code(), decoder.payload().to_vec()));
                }
            }
            prop_assert_eq!(seen, packets);
        }

        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..5000)) {
            let mut decoder = Decoder::new();
            for piece in noise.chunks(997) {
                let room = decoder.space().len().min(piece.len());
                feed(&mut decoder, &piece[..room]);
                while let Ok(Some(header)) = decoder.next_packet() {
                    prop_assert!(decoder.payload().len() == header.len as usize);
                }
            }
            Refusal::parse(&noise);
        }
    }
}
