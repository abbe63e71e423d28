//! A xenstored that says what an input has it say.

use nanova_core::wire::xenstore::{DEVICE_REQUEST_MAX, HEADER_LEN, Header, MessageType, PAYLOAD_MAX};
use nanova_core::xenstore::{Error, Transport};

/// An other side whose words are records of the input: what kind of packet, how long, its payload. Behind the last it
/// is gone.
pub struct Stream<'a> {
    input: &'a [u8],
    waiting: Vec<u8>,
    asked: MessageType,
    /// How many requests came.
    pub requests: usize,
}

impl<'a> Stream<'a> {
    /// One that says this.
    pub fn new(input: &'a [u8]) -> Stream<'a> {
        Stream { input, waiting: Vec::new(), asked: MessageType::READ, requests: 0 }
    }

    /// The bytes of the next record.
    fn next_record(&mut self) -> Option<Vec<u8>> {
        let [choice, low, rest @ ..] = self.input else { return None };
        let len = usize::from(*low) << (choice >> 4 & 4);
        let (payload, rest) = rest.split_at(len.min(rest.len()));
        self.input = rest;
        let kind = match choice % 8 {
            0..=3 => self.asked,
            4 => MessageType::ERROR,
            5 => MessageType::WATCH_EVENT,
            6 => MessageType::from_code(u32::from(*low)),
            // Without a header: any bytes.
            _ => return Some(payload.to_vec()),
        };
        let header = Header { kind, request_id: 7, transaction_id: 0, len: payload.len() as u32 };
        Some([&header.emit()[..], payload].concat())
    }
}

impl Transport for Stream<'_> {
    fn send(&mut self, packet: &[u8]) -> Result<(), Error> {
        let header = Header::parse(packet.first_chunk().expect("a packet has a header"));
        assert_eq!(header.len as usize, packet.len() - HEADER_LEN, "a packet says how long it is");
        assert!(packet.len() <= DEVICE_REQUEST_MAX && header.len as usize <= PAYLOAD_MAX);
        self.asked = header.kind;
        self.requests += 1;
        Ok(())
    }

    fn receive(&mut self, space: &mut [u8]) -> Result<usize, Error> {
        assert!(!space.is_empty(), "a read of no bytes hangs in Linux's device");
        while self.waiting.is_empty() {
            let Some(record) = self.next_record() else { return Ok(0) };
            self.waiting = record;
        }
        let len = self.waiting.len().min(space.len());
        space[..len].copy_from_slice(&self.waiting[..len]);
        self.waiting.drain(..len);
        Ok(len)
    }
}
