//! The tree itself: nodes by their absolute path.
//!
//! Guarantees: the count of nodes each domain owns, and its peak, follow every change by themselves; each change gives
//! the node a generation no node had before; a snapshot is taken in no time, and paid for by the first write after it.
//! Knows nothing of permissions, quotas and requests: that is tree.rs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::perms::Perms;

/// One node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Vec<u8>,
    /// The names of the children, each with a NUL behind it, in the order they were made: the payload of DIRECTORY.
    pub(super) children: Vec<u8>,
    pub(super) perms: Perms,
    pub(super) generation: u64,
}

impl Node {
    /// An empty node.
    pub(super) fn new(perms: Perms) -> Node {
        Node { value: Vec::new(), children: Vec::new(), perms, generation: 0 }
    }

    /// The size that the quota limits: C xenstored's record (a header of 24 bytes) of the node.
    pub(super) fn size(&self) -> usize {
        24 + 8 * self.perms.count() + self.value.len() + self.children.len()
    }

    /// The names of the children.
    pub(super) fn child_names(&self) -> impl Iterator<Item = &str> {
        // Names came through path.rs, which lets only ASCII pass.
        let children = std::str::from_utf8(&self.children).expect("names are ASCII");
        children.split_terminator('\0')
    }

    /// Adds a child at the end.
    pub(super) fn add_child(&mut self, name: &str) {
        self.children.extend_from_slice(name.as_bytes());
        self.children.push(0);
    }

    /// Takes a child away.
    pub(super) fn remove_child(&mut self, name: &str) {
        let left: String = self.child_names().filter(|child| *child != name).flat_map(|child| [child, "\0"]).collect();
        self.children = left.into_bytes();
    }
}

/// All nodes of a moment.
pub(super) type Nodes = HashMap<Arc<str>, Arc<Node>>;

/// How many nodes a domain owns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owned {
    pub(super) now: usize,
    pub(super) peak: usize,
}

/// The tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    nodes: Arc<Nodes>,
    generation: u64,
    owned: BTreeMap<u32, Owned>,
}

impl Store {
    /// A tree of nothing but its root.
    pub(super) fn new() -> Store {
        let mut store = Store::default();
        store.put("/", Node::new(Perms::owned_by(0)));
        store
    }

    /// The node at a path.
    pub(super) fn get(&self, path: &str) -> Option<&Arc<Node>> {
        self.nodes.get(path)
    }

    /// The tree as it is now.
    pub(super) fn snapshot(&self) -> Arc<Nodes> {
        self.nodes.clone()
    }

    /// A generation that no node had before.
    pub(super) fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// Makes or replaces a node.
    pub(super) fn put(&mut self, path: &str, mut node: Node) {
        node.generation = self.next_generation();
        let owner = node.perms.owner();
        let old = Arc::make_mut(&mut self.nodes).insert(path.into(), Arc::new(node));
        if let Some(old) = old {
            self.disown(&old);
        }
        let owned = self.owned.entry(owner).or_default();
        owned.now += 1;
        owned.peak = owned.peak.max(owned.now);
    }

    /// Takes a node away; its children are the caller's business.
    pub(super) fn delete(&mut self, path: &str) {
        if let Some(old) = Arc::make_mut(&mut self.nodes).remove(path) {
            self.disown(&old);
        }
    }

    /// How many nodes a domain owns, and owned at most.
    pub(super) fn owned(&self, domid: u32) -> Owned {
        self.owned.get(&domid).copied().unwrap_or_default()
    }

    fn disown(&mut self, node: &Node) {
        self.owned.entry(node.perms.owner()).or_default().now -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_owned_nodes_follows_every_change() {
        let mut store = Store::new();
        store.put("/a", Node::new(Perms::owned_by(7)));
        store.put("/b", Node::new(Perms::owned_by(7)));
        store.put("/a", Node::new(Perms::owned_by(7)));
        assert_eq!(store.owned(7).now, 2);
        store.put("/b", Node::new(Perms::owned_by(0)));
        store.delete("/a");
        store.delete("/a");
        store.put("/c", Node::new(Perms::owned_by(7)));
        store.delete("/c");
        assert_eq!((store.owned(7).now, store.owned(7).peak), (0, 2));
        assert_eq!(store.owned(0).now, 2);
    }

    #[test]
    fn a_snapshot_does_not_change() {
        let mut store = Store::new();
        let before = store.snapshot();
        store.put("/a", Node::new(Perms::owned_by(7)));
        assert!(!before.contains_key("/a"));
        assert!(store.get("/a").unwrap().generation > before["/"].generation);
    }

    #[test]
    fn children_keep_their_order() {
        let mut node = Node::new(Perms::owned_by(0));
        for name in ["zeta", "alpha", "mu"] {
            node.add_child(name);
        }
        assert_eq!(node.children, b"zeta\0alpha\0mu\0");
        node.remove_child("alpha");
        assert_eq!(node.child_names().collect::<Vec<_>>(), ["zeta", "mu"]);
        assert_eq!(node.size(), 24 + 8 + 8);
    }
}
