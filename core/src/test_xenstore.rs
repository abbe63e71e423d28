//! A xenstore in memory, whose every answer can be another one: a tree, watches, transactions, quotas.

// For tests alone.
#![allow(missing_docs)]

use std::collections::{BTreeMap, VecDeque};

use crate::wire::xenstore::{HEADER_LEN, Header, MessageType, PAYLOAD_MAX};
use crate::xenstore::{Client, Error, Event, Lost, Transport};

/// Where a relative path begins.
const HOME: &str = "/local/domain/7/";

/// The store, as the guest with the number 7 sees it.
#[derive(Default)]
pub struct FakeXenstore {
    nodes: BTreeMap<String, Vec<u8>>,
    permissions: BTreeMap<String, String>,
    /// Path as it was registered, and token.
    pub watches: Vec<(String, String)>,
    /// What was asked: operation, path as it was sent, and the rest.
    pub asked: Vec<(MessageType, String, String)>,
    /// Which operations, on this path and below, are refused, and how.
    pub refuses: Vec<(MessageType, &'static str, &'static str)>,
    /// So many children of a directory there may be; of what there would be more is refused so.
    pub quota: Option<(&'static str, usize, &'static str)>,
    /// So many transactions get in the way of another one.
    pub conflicts: usize,
    /// After so many requests the connection is lost, with the next one carried out or not.
    pub lose: Option<(usize, bool)>,
    /// So many bytes of names are in a part of a list; 0 where there are no parts of lists.
    pub part: usize,
    /// Changes that somebody else makes before a request is carried out: its number among all, path, value.
    pub meanwhile: Vec<(usize, &'static str, Option<&'static str>)>,
    /// Before the open transaction.
    before: Option<BTreeMap<String, Vec<u8>>>,
    transactions: u32,
    changed: Vec<String>,
    out: VecDeque<Vec<u8>>,
    closed: bool,
}

impl FakeXenstore {
    /// A tree with these nodes.
    pub fn with(nodes: &[(&str, &str)]) -> FakeXenstore {
        let mut store = FakeXenstore { part: 2000, ..FakeXenstore::default() };
        nodes.iter().for_each(|(path, value)| store.put(path, value));
        store
    }

    /// The host writes a node.
    pub fn put(&mut self, path: &str, value: &str) {
        self.write(&absolute(path), value.as_bytes());
        self.fire();
    }

    /// The host removes a node and all below it.
    pub fn take(&mut self, path: &str) {
        self.remove(&absolute(path));
        self.fire();
    }

    /// What is in a node.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.nodes.get(&absolute(path)).map(|value| core::str::from_utf8(value).unwrap())
    }

    /// Every node below this one that has a value, in the order of names.
    pub fn below(&self, path: &str) -> Vec<(&str, &str)> {
        let start = format!("{}/", absolute(path));
        let below = self.nodes.iter().filter(|(_, value)| !value.is_empty());
        below
            .filter_map(|(path, value)| Some((path.strip_prefix(&start)?, core::str::from_utf8(value).unwrap())))
            .collect()
    }

    /// A fresh connection to the same store: no watch is left.
    pub fn reconnect(&mut self) {
        self.watches.clear();
        self.out.clear();
        (self.before, self.lose, self.closed) = (None, None, false);
    }

    /// Whether there are bytes to be read.
    pub fn has_news(&self) -> bool {
        !self.out.is_empty()
    }

    /// The paths of all operations of a kind.
    pub fn asked(&self, kind: MessageType) -> Vec<&str> {
        self.asked.iter().filter(|(asked, _, _)| *asked == kind).map(|(_, path, _)| path.as_str()).collect()
    }

    fn children(&self, path: &str) -> Vec<String> {
        let start = format!("{}/", path.trim_end_matches('/'));
        let below = self.nodes.keys().filter_map(|path| path.strip_prefix(&start));
        below.filter(|name| !name.is_empty() && !name.contains('/')).map(str::to_owned).collect()
    }

    fn write(&mut self, path: &str, value: &[u8]) {
        for (at, _) in path.match_indices('/') {
            self.nodes.entry(path[..at.max(1)].to_owned()).or_default();
        }
        self.nodes.insert(path.to_owned(), value.to_vec());
        self.changed.push(path.to_owned());
    }

    fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        self.nodes.retain(|node, _| node != path && !node.starts_with(&below));
        self.changed.push(path.to_owned());
    }

    /// Has the watches of what has changed fire.
    fn fire(&mut self) {
        for changed in core::mem::take(&mut self.changed) {
            let mut events = Vec::new();
            for (watched, token) in &self.watches {
                let whole = absolute(watched);
                if changed == whole
                    || changed.starts_with(&format!("{whole}/"))
                    || whole.starts_with(&format!("{changed}/"))
                {
                    // What is below is told in the form in which the watch was registered.
                    events.push(format!("{watched}{}\0{token}\0", changed.strip_prefix(&whole).unwrap_or_default()));
                }
            }
            events.iter().for_each(|event| self.say(MessageType::WATCH_EVENT, event.as_bytes()));
        }
    }

    fn say(&mut self, kind: MessageType, payload: &[u8]) {
        let header = Header { kind, request_id: 0, transaction_id: 0, len: payload.len() as u32 };
        self.out.push_back([&header.emit()[..], payload].concat());
    }

    fn may(&self, kind: MessageType, path: &str) -> Result<(), &'static str> {
        let whole = absolute(path);
        let of = |refused: &str| {
            let refused = absolute(refused);
            whole == refused || whole.starts_with(&format!("{refused}/"))
        };
        if let Some((_, _, name)) = self.refuses.iter().find(|(refused, path, _)| *refused == kind && of(path)) {
            return Err(name);
        }
        if let (MessageType::WRITE | MessageType::MKDIR, Some((directory, most, name))) = (kind, self.quota)
            && whole.starts_with(&format!("{}/", absolute(directory)))
            && !self.nodes.contains_key(&whole)
            && self.children(&absolute(directory)).len() >= most
        {
            return Err(name);
        }
        Ok(())
    }

    /// Carries out a request; returns its answer.
    fn serve(&mut self, header: Header, path: &str, rest: &[u8]) -> Result<Vec<u8>, &'static str> {
        self.may(header.kind, path)?;
        if header.transaction_id != 0 && (self.before.is_none() || header.transaction_id != self.transactions) {
            return Err("ENOENT");
        }
        let whole = absolute(path);
        let parent = whole.rsplit_once('/').map_or("/", |(parent, _)| parent).to_owned();
        let there = self.nodes.contains_key(&whole) || whole == "/";
        let done = Ok(b"OK\0".to_vec());
        match header.kind {
            MessageType::READ => Ok(self.nodes.get(&whole).ok_or("ENOENT")?.clone()),
            MessageType::DIRECTORY | MessageType::DIRECTORY_PART | MessageType::GET_PERMS | MessageType::SET_PERMS
                if !there =>
            {
                Err("ENOENT")
            }
            MessageType::DIRECTORY => {
                let names: String = self.children(&whole).iter().map(|name| format!("{name}\0")).collect();
                if names.len() > PAYLOAD_MAX { Err("E2BIG") } else { Ok(names.into_bytes()) }
            }
            MessageType::DIRECTORY_PART if self.part == 0 => Err("ENOSYS"),
            MessageType::DIRECTORY_PART => {
                let offset: usize = core::str::from_utf8(rest).unwrap().trim_end_matches('\0').parse().unwrap();
                let names: String = self.children(&whole).iter().map(|name| format!("{name}\0")).collect();
                let mut end = names.len().min(offset + self.part);
                while end > offset && !names[..end].ends_with('\0') {
                    end -= 1;
                }
                let last = if end == names.len() { "\0" } else { "" };
                Ok(format!("5\0{}{last}", &names[offset..end]).into_bytes())
            }
            MessageType::WRITE => {
                self.write(&whole, rest);
                done
            }
            MessageType::MKDIR if there => done,
            MessageType::MKDIR => {
                self.write(&whole, b"");
                done
            }
            MessageType::RM if there => {
                self.remove(&whole);
                done
            }
            MessageType::RM if self.nodes.contains_key(&parent) => done,
            MessageType::RM => Err("ENOENT"),
            MessageType::GET_PERMS => {
                Ok(self.permissions.get(&whole).map_or("n7\0", String::as_str).as_bytes().to_vec())
            }
            MessageType::SET_PERMS => {
                self.permissions.insert(whole, core::str::from_utf8(rest).unwrap().to_owned());
                done
            }
            MessageType::WATCH => {
                let token = core::str::from_utf8(rest).unwrap().trim_end_matches('\0').to_owned();
                self.watches.push((path.to_owned(), token));
                done
            }
            MessageType::UNWATCH => {
                self.watches.retain(|(watched, _)| watched != path);
                done
            }
            MessageType::TRANSACTION_START => {
                self.before = Some(self.nodes.clone());
                self.transactions += 1;
                Ok(format!("{}\0", self.transactions).into_bytes())
            }
            MessageType::TRANSACTION_END => {
                let before = self.before.take().unwrap();
                if path == "F" || self.conflicts > 0 {
                    self.nodes = before;
                    self.changed.clear();
                }
                if path == "T" && self.conflicts > 0 {
                    self.conflicts -= 1;
                    return Err("EAGAIN");
                }
                done
            }
            MessageType::GET_DOMAIN_PATH => Ok(format!("/local/domain/{path}\0").into_bytes()),
            _ => Err("ENOSYS"),
        }
    }
}

/// The path from the root on.
fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{HOME}{path}") }
}

impl Transport for FakeXenstore {
    fn send(&mut self, packet: &[u8]) -> Result<(), Error> {
        let lost = match &mut self.lose {
            Some((0, carried_out)) => Some(*carried_out),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        if self.closed || lost == Some(false) {
            return Err(Error::Lost(Lost::Closed));
        }
        let header = Header::parse(packet.first_chunk().unwrap());
        let payload = &packet[HEADER_LEN..];
        assert_eq!(header.len as usize, payload.len());
        let end = payload.iter().position(|byte| *byte == 0).unwrap();
        let (path, rest) = (core::str::from_utf8(&payload[..end]).unwrap(), &payload[end + 1..]);
        let number = self.asked.len();
        for (_, path, value) in self.meanwhile.clone().into_iter().filter(|(at, _, _)| *at == number) {
            match value {
                Some(value) => self.put(path, value),
                None => self.take(path),
            }
        }
        self.asked.push((header.kind, path.to_owned(), String::from_utf8_lossy(rest).into_owned()));
        match self.serve(header, path, rest) {
            Ok(payload) => self.say(header.kind, &payload),
            Err(name) => self.say(MessageType::ERROR, format!("{name}\0").as_bytes()),
        }
        // The first event of a watch comes at once.
        if let (MessageType::WATCH, Some((watched, token))) = (header.kind, self.watches.last())
            && watched == path
        {
            let event = format!("{watched}\0{token}\0");
            self.say(MessageType::WATCH_EVENT, event.as_bytes());
        }
        if self.before.is_none() {
            self.fire();
        }
        if lost == Some(true) {
            self.out.clear();
            self.closed = true;
        }
        Ok(())
    }

    fn receive(&mut self, space: &mut [u8]) -> Result<usize, Error> {
        let Some(bytes) = self.out.pop_front() else { return Ok(0) };
        let (now, later) = bytes.split_at(bytes.len().min(space.len()));
        if !later.is_empty() {
            self.out.push_front(later.to_vec());
        }
        space[..now.len()].copy_from_slice(now);
        Ok(now.len())
    }
}

/// Every event that has come: `path=token`.
pub fn events(client: &mut Client<FakeXenstore>) -> Vec<String> {
    let mut seen = Vec::new();
    while !client.transport().out.is_empty() {
        client.receive_events().unwrap();
    }
    while let Some(event) = client.next_event().unwrap() {
        seen.push(match event {
            Event::Fired { path, token } => format!("{path}={token}"),
            Event::Overflow => "overflow".to_owned(),
        });
    }
    seen
}
