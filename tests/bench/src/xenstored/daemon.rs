//! The daemon: the tree, the connections with their watches and transactions, and the requests.
//!
//! Guarantees: one request is handled at a time; its watch events are queued before its reply, as C xenstored does, so
//! a client hears of its own change before it hears that the change was made (WATCH itself: reply, then first event).
//! Nothing in here blocks. What a request is made of is in requests.rs.
//!
//! One difference: newer C xenstoreds leave out an event that waits already, word for word; here each change has its
//! own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use super::Options;
use super::layout;
use super::outbox::{Outbox, lock};
use super::path;
use super::perms::{Need, Perms};
use super::store::{Owned, Store};
use super::transaction::Transaction;
use super::tree::{Change, View};
use super::wire::{Errno, PAYLOAD_MAX, Packet, op};

/// A watch of a connection.
#[derive(Debug)]
pub(super) struct Watch {
    /// The absolute path.
    pub(super) node: String,
    pub(super) token: Vec<u8>,
    /// How much of an event's path is left out, because the watch was set on a relative one.
    pub(super) prefix: usize,
}

impl Watch {
    fn event(&self, node: &str) -> Packet {
        let payload = [&node.as_bytes()[self.prefix..], b"\0", &self.token, b"\0"].concat();
        Packet { kind: op::WATCH_EVENT, req_id: 0, tx_id: 0, payload }
    }
}

/// One client.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) domid: u32,
    outbox: Arc<Outbox>,
    pub(super) watches: Vec<Watch>,
    pub(super) transactions: BTreeMap<u32, Transaction>,
}

/// The whole state.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) options: Options,
    pub(super) store: Store,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    /// How many of the next commits are refused.
    pub(super) refuse_commits: u32,
    /// How often the guest asked for what.
    requests: BTreeMap<&'static str, u64>,
    /// A node, and when it has changed.
    pub(super) awaited: Option<(String, Option<Instant>)>,
}

/// A daemon that threads share.
#[derive(Debug)]
pub(super) struct Hub(Mutex<Daemon>);

impl Hub {
    /// A daemon with the guest's tree made.
    pub(super) fn new(options: Options) -> Hub {
        let mut daemon = Daemon {
            options,
            store: Store::new(),
            connections: BTreeMap::new(),
            next_connection: 1,
            refuse_commits: 0,
            requests: BTreeMap::new(),
            awaited: None,
        };
        layout::build(&mut daemon.store, &daemon.options);
        Hub(Mutex::new(daemon))
    }

    /// Another one with the tree that this one has now, and no connections.
    pub(super) fn fork(&self) -> Hub {
        let daemon = self.lock();
        Hub(Mutex::new(Daemon {
            options: daemon.options.clone(),
            store: daemon.store.clone(),
            connections: BTreeMap::new(),
            next_connection: 1,
            refuse_commits: 0,
            requests: BTreeMap::new(),
            awaited: None,
        }))
    }

    /// The state. Held for the time of one request.
    pub(super) fn lock(&self) -> MutexGuard<'_, Daemon> {
        lock(&self.0)
    }
}

impl Daemon {
    /// A new client that acts for a domain.
    pub(super) fn connect(&mut self, domid: u32, outbox: Arc<Outbox>) -> u64 {
        let id = self.next_connection;
        self.next_connection += 1;
        let connection = Connection { domid, outbox, watches: Vec::new(), transactions: BTreeMap::new() };
        self.connections.insert(id, connection);
        id
    }

    /// A client is gone, and with it its watches and open transactions.
    pub(super) fn disconnect(&mut self, id: u64) {
        self.connections.remove(&id);
    }

    /// Handles one request; the reply is in the client's outbox when this returns.
    pub(super) fn handle(&mut self, id: u64, request: &Packet) {
        let Some(domid) = self.connections.get(&id).map(|connection| connection.domid) else { return };
        if domid != 0 {
            *self.requests.entry(op::name(request.kind)).or_default() += 1;
        }
        let result = self.perform(id, request);
        let reply = match result {
            Ok(payload) if payload.len() > PAYLOAD_MAX => request.refusal(Errno::E2big),
            Ok(payload) => request.reply(request.kind, payload),
            Err(errno) => request.refusal(errno),
        };
        let watched = request.kind == op::WATCH && reply.kind == op::WATCH;
        let connection = self.connection(id);
        connection.outbox.push(reply);
        if watched {
            let watch = connection.watches.last().expect("just made");
            connection.outbox.push(watch.event(&watch.node));
        }
    }

    /// The connection whose request is being handled.
    pub(super) fn connection(&mut self, id: u64) -> &mut Connection {
        self.connections.get_mut(&id).expect("handle() found it")
    }

    /// The sum over all connections of a domain.
    pub(super) fn sum(&self, domid: u32, count: impl Fn(&Connection) -> usize) -> usize {
        self.connections.values().filter(|connection| connection.domid == domid).map(count).sum()
    }

    /// Acts on the tree, in the request's transaction if it names one, and fires the watches.
    pub(super) fn with_view<T>(
        &mut self,
        id: u64,
        tx_id: u32,
        act: impl FnOnce(&mut View) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let connection = self.connections.get_mut(&id).expect("handle() found it");
        let transaction = match tx_id {
            0 => None,
            tx_id => Some(connection.transactions.get_mut(&tx_id).ok_or(Errno::Enoent)?),
        };
        let (store, domid, quotas) = (&mut self.store, connection.domid, &self.options.quotas);
        let mut view = View { store, transaction, domid, quotas, changes: Vec::new() };
        let result = act(&mut view);
        let changes = view.changes;
        self.fire(Some(id), &changes);
        result
    }

    /// Queues the events of changes; the bell rings for everybody but the client that made them.
    pub(super) fn fire(&mut self, by: Option<u64>, changes: &[Change]) {
        if let Some((path, moment @ None)) = &mut self.awaited
            && changes.iter().any(|change| change.path == *path)
        {
            *moment = Some(Instant::now());
        }
        for change in changes {
            for (id, connection) in &self.connections {
                let rung = connection.hear(change, self.options.quotas.queued);
                if rung && Some(*id) != by {
                    connection.outbox.ring();
                }
            }
        }
    }

    /// Destroys the guest's domain and makes a new one with another id, as a migration does.
    pub(super) fn migrate(&mut self, domid: u32) {
        let old = std::mem::replace(&mut self.options.domid, domid);
        // Who is destroyed does not hear of it.
        for connection in self.connections.values_mut().filter(|connection| connection.domid == old) {
            connection.watches.clear();
            connection.transactions.clear();
        }
        let quotas = self.options.quotas.clone();
        let mut view =
            View { store: &mut self.store, transaction: None, domid: 0, quotas: &quotas, changes: Vec::new() };
        view.rm(&path::home(old)).expect("dom0 may remove everything, and the parent is there");
        let mut changes = view.changes;
        layout::build(&mut self.store, &self.options);
        changes.extend(["@introduceDomain", "@releaseDomain"].map(special));
        self.fire(None, &changes);
    }

    /// Makes one more guest.
    pub(super) fn introduce(&mut self, domid: u32, uuid: &str, name: &str) {
        let options = Options { domid, uuid: uuid.to_owned(), name: name.to_owned(), ..self.options.clone() };
        layout::build(&mut self.store, &options);
        self.fire(None, &[special("@introduceDomain")]);
    }

    /// A new tree, with no transaction open; watches stay.
    pub(super) fn forget_tree(&mut self) {
        self.store = Store::new();
        layout::build(&mut self.store, &self.options);
        self.connections.values_mut().for_each(|connection| connection.transactions.clear());
    }

    /// What the guest uses and used.
    pub(super) fn usage(&self) -> (Owned, usize, usize, BTreeMap<&'static str, u64>) {
        let domid = self.options.domid;
        let watches = self.sum(domid, |connection| connection.watches.len());
        let transactions = self.sum(domid, |connection| connection.transactions.len());
        (self.store.owned(domid), watches, transactions, self.requests.clone())
    }
}

/// Domains have come or gone, which dom0 alone is told.
fn special(path: &str) -> Change {
    Change { path: path.to_owned(), exact: false, readers: vec![Perms::owned_by(0)] }
}

impl Connection {
    /// Queues an event for each watch that a change concerns. True if there was one.
    fn hear(&self, change: &Change, queue_max: usize) -> bool {
        if !change.readers.iter().any(|perms| perms.allow(self.domid, Need::Read)) {
            return false;
        }
        let mut heard = false;
        for watch in &self.watches {
            let concerned =
                if change.exact { change.path == watch.node } else { path::is_within(&change.path, &watch.node) };
            // Who does not read loses events, not the daemon its memory.
            if concerned && self.outbox.bytes() <= queue_max {
                self.outbox.push(watch.event(&change.path));
                heard = true;
            }
        }
        heard
    }
}
