//! dom0 without a socket: requests that are answered before the call returns, for tests in virtual time.

use std::io;
use std::sync::Arc;

use super::daemon::Hub;
use super::outbox::Outbox;
use super::wire::{Errno, Packet, op, strings};

/// A connection of dom0's.
#[derive(Debug)]
pub struct Local {
    hub: Arc<Hub>,
    connection: u64,
    outbox: Arc<Outbox>,
    events: Vec<(String, String)>,
}

impl Local {
    pub(super) fn open(hub: Arc<Hub>) -> io::Result<Local> {
        let outbox = Arc::new(Outbox::new()?);
        let connection = hub.lock().connect(0, outbox.clone());
        Ok(Local { hub, connection, outbox, events: Vec::new() })
    }

    /// Writes a value; missing parents are made.
    pub fn write(&mut self, path: &str, value: impl AsRef<[u8]>) -> Result<(), Errno> {
        self.ask(op::WRITE, [path.as_bytes(), b"\0", value.as_ref()].concat()).map(drop)
    }

    /// The value of a node.
    pub fn read(&mut self, path: &str) -> Result<Vec<u8>, Errno> {
        self.ask(op::READ, [path.as_bytes(), b"\0"].concat())
    }

    /// The names below a node, however many: more than a packet has room for among them.
    pub fn list(&mut self, path: &str) -> Result<Vec<String>, Errno> {
        let daemon = self.hub.lock();
        let node = daemon.store.get(path).ok_or(Errno::Enoent)?;
        Ok(node.child_names().map(str::to_owned).collect())
    }

    /// Removes a node and all below it.
    pub fn rm(&mut self, path: &str) -> Result<(), Errno> {
        self.ask(op::RM, [path.as_bytes(), b"\0"].concat()).map(drop)
    }

    /// Sets a watch.
    pub fn watch(&mut self, path: &str, token: &str) -> Result<(), Errno> {
        self.ask(op::WATCH, [path.as_bytes(), b"\0", token.as_bytes(), b"\0"].concat()).map(drop)
    }

    /// The events that came since the last call: path and token of each.
    pub fn take_events(&mut self) -> Vec<(String, String)> {
        self.empty_outbox();
        std::mem::take(&mut self.events)
    }

    fn ask(&mut self, kind: u32, payload: Vec<u8>) -> Result<Vec<u8>, Errno> {
        self.hub.lock().handle(self.connection, &Packet { kind, req_id: 0, tx_id: 0, payload });
        let reply = self.empty_outbox().expect("every request is answered");
        if reply.kind == op::ERROR { Err(Errno::from_payload(&reply.payload)) } else { Ok(reply.payload) }
    }

    /// Keeps the events, and gives back the reply that was among them.
    fn empty_outbox(&mut self) -> Option<Packet> {
        let mut reply = None;
        while let Some(packet) = self.outbox.pop() {
            if packet.kind == op::WATCH_EVENT {
                let words = strings(&packet.payload);
                let word = |place: usize| String::from_utf8_lossy(words[place]).into_owned();
                self.events.push((word(0), word(1)));
            } else {
                reply = Some(packet);
            }
        }
        reply
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.hub.lock().disconnect(self.connection);
    }
}
