//! A xenstore that is only read: a few nodes, looked through one after the other.

use nanova_core::platform::{Level, Log};
use nanova_core::wire::xenstore::{HEADER_LEN, Header, MessageType, PAYLOAD_MAX};
use nanova_core::xenstore::{Error, Transport};

/// Nodes and their values.
#[derive(Default)]
pub struct Nodes<'a> {
    nodes: Vec<(String, &'a [u8])>,
    answer: Vec<u8>,
    /// What was written: path and value.
    pub written: Vec<(String, Vec<u8>)>,
}

impl<'a> Nodes<'a> {
    /// Gives a node a value, as much of it as a packet has room for.
    pub fn put(&mut self, path: impl Into<String>, value: &'a [u8]) {
        self.nodes.push((path.into(), &value[..value.len().min(2048)]));
    }

    fn answer(&self, kind: MessageType, path: &str) -> Option<Vec<u8>> {
        match kind {
            MessageType::READ => Some(self.nodes.iter().find(|(known, _)| known == path)?.1.to_vec()),
            MessageType::DIRECTORY => {
                let mut names = Vec::new();
                for (known, _) in &self.nodes {
                    let below = known.strip_prefix(path).and_then(|rest| rest.strip_prefix('/'));
                    let name = below.and_then(|below| below.split('/').next());
                    if let Some(name) = name.filter(|name| !names.contains(name)) {
                        names.push(name);
                    }
                }
                (!names.is_empty()).then(|| names.join("\0").into_bytes().into_iter().chain([0]).collect())
            }
            _ => Some(b"OK\0".to_vec()),
        }
    }
}

impl Transport for Nodes<'_> {
    fn send(&mut self, packet: &[u8]) -> Result<(), Error> {
        let header = Header::parse(packet.first_chunk().expect("a packet has a header"));
        let payload = &packet[HEADER_LEN..];
        let end = payload.iter().position(|byte| *byte == 0).expect("a path ends");
        let path = std::str::from_utf8(&payload[..end]).expect("a path is text");
        let (kind, payload) = match self.answer(header.kind, path) {
            Some(answer) => (header.kind, answer),
            None => (MessageType::ERROR, b"ENOENT\0".to_vec()),
        };
        if header.kind == MessageType::WRITE {
            self.written.push((path.to_owned(), packet[HEADER_LEN + end + 1..].to_vec()));
        }
        assert!(payload.len() <= PAYLOAD_MAX);
        let header = Header { kind, request_id: 1, transaction_id: 0, len: payload.len() as u32 };
        self.answer = [&header.emit()[..], &payload].concat();
        Ok(())
    }

    fn receive(&mut self, space: &mut [u8]) -> Result<usize, Error> {
        let len = self.answer.len().min(space.len());
        space[..len].copy_from_slice(&self.answer[..len]);
        self.answer.drain(..len);
        Ok(len)
    }
}

/// A log whose lines are made, as they may not panic, and counted.
#[derive(Default)]
pub struct Counted(pub usize);

impl Log for Counted {
    fn log(&mut self, _level: Level, text: std::fmt::Arguments<'_>) {
        self.0 += usize::from(!text.to_string().is_empty());
    }
}
