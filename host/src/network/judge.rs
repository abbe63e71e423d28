//! What a guest would make of a document: its own reader reads it, from an xenstore in memory.

use std::collections::VecDeque;
use std::fmt;

use nanova_core::network::Network;
use nanova_core::network::problems::Problems;
use nanova_core::platform::{Level, Log};
use nanova_core::wire::xenstore::{HEADER_LEN, Header, MessageType};
use nanova_core::xenstore::{Client, Error, Lost, Transport};

use super::document::Document;
use crate::fault::Fault;

/// Refuses a document of which a guest would leave something out, and says what.
pub(crate) fn judge(document: &Document) -> Result<(), Fault> {
    let (mut network, mut problems, mut log) = (Box::new(Network::new()), Problems::new(), Lines(Vec::new()));
    let mut client = Box::new(Client::new(Memory { document, replies: VecDeque::new() }));
    let read = network.read(&mut client, &mut log, &mut problems);
    read.map_err(|error| Fault::here(format!("the network is not read: {error}; nothing was changed")))?;
    let message = problems.message(&mut log);
    let mut found = log.0;
    found.extend((!message.as_str().is_empty()).then(|| message.as_str().to_owned()));
    match found.is_empty() {
        true => Ok(()),
        false => {
            Err(Fault::here(format!("a guest would not take it as it is: {}; nothing was changed", found.join("; "))))
        }
    }
}

/// What the message has no room for.
struct Lines(Vec<String>);

impl Log for Lines {
    fn log(&mut self, level: Level, text: fmt::Arguments<'_>) {
        if matches!(level, Level::Warn | Level::Error) {
            self.0.push(text.to_string());
        }
    }
}

/// An xenstore that has the document and nothing else, and answers what a reader asks.
struct Memory<'d> {
    document: &'d Document,
    replies: VecDeque<u8>,
}

impl Memory<'_> {
    /// The payload of a reply, or that there is no such node.
    fn reply(&self, kind: MessageType, path: &str) -> Option<Vec<u8>> {
        let nodes = self.document.nodes();
        if kind == MessageType::READ {
            return nodes.iter().find(|(node, _)| node == path).map(|(_, value)| value.as_bytes().to_vec());
        }
        let below = format!("{path}/");
        let names = nodes.iter().filter_map(|(node, _)| node.strip_prefix(&below));
        let list: Vec<u8> = names.flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect();
        (!list.is_empty()).then_some(list)
    }
}

impl Transport for Memory<'_> {
    fn send(&mut self, packet: &[u8]) -> Result<(), Error> {
        let (header, payload) = packet.split_first_chunk::<HEADER_LEN>().ok_or(Error::TooLong)?;
        let header = Header::parse(header);
        let path = payload.split(|byte| *byte == 0).next().and_then(|path| std::str::from_utf8(path).ok());
        let (kind, payload) = match self.reply(header.kind, path.unwrap_or_default()) {
            Some(payload) => (header.kind, payload),
            None => (MessageType::ERROR, b"ENOENT\0".to_vec()),
        };
        let len = u32::try_from(payload.len()).map_err(|_| Error::TooLong)?;
        self.replies.extend(Header { kind, len, ..header }.emit());
        self.replies.extend(payload);
        Ok(())
    }

    fn receive(&mut self, space: &mut [u8]) -> Result<usize, Error> {
        let len = space.len().min(self.replies.len());
        for (place, byte) in space.iter_mut().zip(self.replies.drain(..len)) {
            *place = byte;
        }
        if len == 0 { Err(Error::Lost(Lost::Closed)) } else { Ok(len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Result<(), String> {
        judge(&Document::parse(text).unwrap()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_a_guest_takes_whole_is_good() {
        let good = r#"{"hostname": "web", "networking": {"BC764E000001": {"mac": "bc:76:4e:00:00:01",
            "ips": [{"ip": "10.0.0.5", "netmask": "255.255.255.0", "enabled": "1"}], "gateway": "10.0.0.1"}}}"#;
        assert_eq!(judged(good), Ok(()));
    }

    #[test]
    fn what_a_guest_would_leave_out_is_named() {
        let bad = r#"{"networking": {"BC764E000001": {"ips": [{"ip": "10.0.0.555", "netmask": "255.255.255.0"}]}}}"#;
        assert!(judged(bad).unwrap_err().contains("10.0.0.555"), "{bad}");
        assert!(judged(r#"{"hostname": "no host name"}"#).unwrap_err().contains("no host name"));
        assert!(judged(r#"{"networking": {"nonsense": {"ips": []}}}"#).unwrap_err().contains("nonsense"));
    }
}
