//! A transaction: a private view of the tree as it was at the start, and what was changed in it.
//!
//! Guarantees: reads see the tree of the start plus the transaction's own changes (snapshot isolation, as oxenstored);
//! [`Transaction::commit`] refuses with EAGAIN when any node that was looked at, or looked for, has changed since (as
//! both real ones). Because making or removing a node changes its parent's list of children, two transactions that make
//! nodes in the same directory conflict too, as in C xenstored.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::quota::Quotas;
use super::store::{Node, Nodes, Store};
use super::wire::Errno;

/// A node that a transaction touched.
#[derive(Debug)]
struct Touched {
    /// As it was at the start; None if it was not there.
    original: Option<Arc<Node>>,
    /// As the transaction sees it now.
    current: Option<Arc<Node>>,
    modified: bool,
}

/// An event that a commit sets free.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) path: String,
    /// Only watches on exactly this path see it.
    pub(super) exact: bool,
    /// The node as it was before.
    pub(super) before: Option<Arc<Node>>,
}

/// An open transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    base: Arc<Nodes>,
    touched: HashMap<String, Touched>,
    events: Vec<Event>,
    /// By how many nodes each domain owns more than at the start.
    owned: BTreeMap<u32, isize>,
    /// A change was left half done (a quota struck); the commit will refuse with ENOMEM, as C xenstored does.
    failed: bool,
}

impl Transaction {
    /// Begins.
    pub(super) fn new(base: Arc<Nodes>) -> Transaction {
        Transaction { base, touched: HashMap::new(), events: Vec::new(), owned: BTreeMap::new(), failed: false }
    }

    /// The node as the transaction sees it. ENOSPC when it has touched too many nodes.
    pub(super) fn get(&mut self, path: &str, quotas: &Quotas, privileged: bool) -> Result<Option<Arc<Node>>, Errno> {
        if let Some(touched) = self.touched.get(path) {
            return Ok(touched.current.clone());
        }
        if !privileged && self.touched.len() >= quotas.transaction_nodes {
            self.failed = true;
            return Err(Errno::Enospc);
        }
        let original = self.base.get(path).cloned();
        let touched = Touched { original: original.clone(), current: original.clone(), modified: false };
        self.touched.insert(path.to_owned(), touched);
        Ok(original)
    }

    /// Changes, makes or (None) removes a node in the transaction's view. The node was looked at with `get` before.
    pub(super) fn set(&mut self, path: &str, node: Option<Node>) {
        let touched = self.touched.get_mut(path).expect("a node is read before it is changed");
        if let Some(old) = &touched.current {
            *self.owned.entry(old.perms.owner()).or_default() -= 1;
        }
        if let Some(new) = &node {
            *self.owned.entry(new.perms.owner()).or_default() += 1;
        }
        touched.current = node.map(Arc::new);
        touched.modified = true;
    }

    /// By how many nodes a domain owns more than at the start.
    pub(super) fn owned_more(&self, domid: u32) -> isize {
        self.owned.get(&domid).copied().unwrap_or_default()
    }

    /// Notes an event for the commit. An event for the whole subtree takes the place of one for exactly this path.
    pub(super) fn note_event(&mut self, path: &str, exact: bool) {
        if let Some(event) = self.events.iter_mut().find(|event| event.path == path) {
            event.exact &= exact;
            return;
        }
        let before = self.touched.get(path).and_then(|touched| touched.original.clone());
        self.events.push(Event { path: path.to_owned(), exact, before });
    }

    /// The commit will be refused.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// Makes the changes everyone's. Gives back the events to fire.
    pub(super) fn commit(self, store: &mut Store, domid: u32, quotas: &Quotas) -> Result<Vec<Event>, Errno> {
        if self.failed {
            return Err(Errno::Enomem);
        }
        let more = self.owned_more(domid);
        if domid != 0 && more > 0 && store.owned(domid).now.saturating_add_signed(more) > quotas.nodes {
            return Err(quotas.nodes_refused_with);
        }
        let generation = |node: Option<&Arc<Node>>| node.map(|node| node.generation);
        let unchanged =
            |(path, touched): (&String, &Touched)| generation(store.get(path)) == generation(touched.original.as_ref());
        if !self.touched.iter().all(unchanged) {
            return Err(Errno::Eagain);
        }
        // The snapshot goes first: while it lives, every change would copy the whole tree.
        drop(self.base);
        for (path, touched) in self.touched.iter().filter(|(_, touched)| touched.modified) {
            match &touched.current {
                Some(node) => store.put(path, Node::clone(node)),
                None => store.delete(path),
            }
        }
        Ok(self.events)
    }
}

#[cfg(test)]
mod tests {
    use super::super::perms::Perms;
    use super::*;

    fn node(value: &[u8]) -> Node {
        Node { value: value.to_vec(), ..Node::new(Perms::owned_by(7)) }
    }

    fn read(transaction: &mut Transaction, path: &str) -> Option<Vec<u8>> {
        transaction.get(path, &Quotas::default(), false).unwrap().map(|node| node.value.clone())
    }

    #[test]
    fn it_sees_the_start_and_its_own_changes_only() {
        let mut store = Store::new();
        store.put("/a", node(b"old"));
        let mut transaction = Transaction::new(store.snapshot());
        store.put("/a", node(b"new"));
        assert_eq!(read(&mut transaction, "/a").unwrap(), b"old");
        transaction.set("/a", Some(node(b"mine")));
        assert_eq!(read(&mut transaction, "/a").unwrap(), b"mine");
        assert_eq!(store.get("/a").unwrap().value, b"new");
    }

    #[test]
    fn a_node_that_changed_came_or_went_is_a_conflict() {
        let quotas = Quotas::default();
        let change: [fn(&mut Store); 3] =
            [|store| store.put("/a", node(b"new")), |store| store.put("/b", node(b"")), |store| store.delete("/a")];
        for change in change {
            let mut store = Store::new();
            store.put("/a", node(b"old"));
            let mut transaction = Transaction::new(store.snapshot());
            read(&mut transaction, "/a");
            read(&mut transaction, "/b");
            change(&mut store);
            assert_eq!(transaction.commit(&mut store, 7, &quotas).unwrap_err(), Errno::Eagain);
        }
    }

    #[test]
    fn a_change_of_an_untouched_node_is_none() {
        let mut store = Store::new();
        store.put("/a", node(b"old"));
        let mut transaction = Transaction::new(store.snapshot());
        read(&mut transaction, "/a");
        transaction.set("/a", Some(node(b"mine")));
        transaction.note_event("/a", true);
        transaction.note_event("/a", false);
        store.put("/b", node(b""));
        let events = transaction.commit(&mut store, 7, &Quotas::default()).unwrap();
        assert_eq!(store.get("/a").unwrap().value, b"mine");
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].path.as_str(), events[0].exact), ("/a", false));
        assert_eq!(events[0].before.as_ref().unwrap().value, b"old");
    }

    #[test]
    fn the_quota_of_touched_nodes_spoils_it() {
        let quotas = Quotas { transaction_nodes: 1, ..Quotas::default() };
        let mut store = Store::new();
        let mut transaction = Transaction::new(store.snapshot());
        transaction.get("/a", &quotas, false).unwrap();
        transaction.get("/a", &quotas, false).unwrap();
        assert_eq!(transaction.get("/b", &quotas, false).unwrap_err(), Errno::Enospc);
        assert_eq!(transaction.commit(&mut store, 7, &quotas).unwrap_err(), Errno::Enomem);
    }
}
