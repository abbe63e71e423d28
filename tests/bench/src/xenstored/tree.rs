//! What a domain does with nodes: read, list, write, make, remove, permissions; in a transaction or not.
//!
//! Guarantees: permissions, inheritance, quotas and errors as C xenstored: a guest owns what it makes, a node dom0
//! makes inherits its parent's permissions whole; a missing node is ENOENT only for who may do the same to the nearest
//! ancestor there is, and EACCES for all others. Each change leaves a [`Change`] for the watches.

use std::sync::Arc;

use super::path;
use super::perms::{Need, Perms};
use super::quota::Quotas;
use super::store::{Node, Store};
use super::transaction::Transaction;
use super::wire::Errno;

/// A change that watches are to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The node.
    pub(super) path: String,
    /// Only watches on exactly this node hear of it (a child that went with its parent).
    pub(super) exact: bool,
    /// Who may read by any one of these may hear of it: the node now and before, and its parent.
    pub(super) readers: Vec<Perms>,
}

/// The tree as one domain sees it during one request.
pub(super) struct View<'a> {
    pub(super) store: &'a mut Store,
    pub(super) transaction: Option<&'a mut Transaction>,
    pub(super) domid: u32,
    pub(super) quotas: &'a Quotas,
    /// What changed for everyone; changes in a transaction stay there until its commit.
    pub(super) changes: Vec<Change>,
}

impl View<'_> {
    /// READ, DIRECTORY, GET_PERMS: the node, if this domain may read it.
    pub(super) fn read(&mut self, path: &str) -> Result<Arc<Node>, Errno> {
        self.lookup(path, Need::Read)
    }

    /// WRITE.
    pub(super) fn write(&mut self, path: &str, value: &[u8]) -> Result<(), Errno> {
        match self.lookup(path, Need::Write) {
            Ok(node) => {
                let node = Node { value: value.to_vec(), ..Node::clone(&node) };
                self.check_size(&node)?;
                self.set(path, Some(node));
                self.changed(path, false, None)
            }
            Err(Errno::Enoent) => self.create(path, value),
            Err(errno) => Err(errno),
        }
    }

    /// MKDIR: nothing, if the node is there.
    pub(super) fn mkdir(&mut self, path: &str) -> Result<(), Errno> {
        match self.lookup(path, Need::Write) {
            Err(Errno::Enoent) => self.create(path, b""),
            other => other.map(drop),
        }
    }

    /// RM, with everything below. A missing node is fine if its parent is there.
    pub(super) fn rm(&mut self, path: &str) -> Result<(), Errno> {
        match self.lookup(path, Need::Write) {
            Err(Errno::Enoent) => return self.get(path::split(path).0)?.map(drop).ok_or(Errno::Enoent),
            other => other.map(drop)?,
        }
        if path == "/" {
            return Err(Errno::Einval);
        }
        for below in self.subtree(path)? {
            self.changed(&below, below != path, None)?;
            self.set(&below, None);
        }
        let (parent_path, name) = path::split(path);
        let parent = self.get(parent_path)?.ok_or(Errno::Eio)?;
        let mut parent = Node::clone(&parent);
        parent.remove_child(name);
        self.set(parent_path, Some(parent));
        Ok(())
    }

    /// SET_PERMS: for the owner and dom0; only dom0 gives a node away.
    pub(super) fn set_perms(&mut self, path: &str, perms: Perms) -> Result<(), Errno> {
        if self.domid != 0 && perms.count() > self.quotas.permissions {
            return Err(Errno::Enospc);
        }
        let old = self.lookup(path, Need::Own)?;
        if self.domid != 0 && perms.owner() != old.perms.owner() {
            return Err(Errno::Eperm);
        }
        let node = Node { perms, ..Node::clone(&old) };
        self.check_size(&node)?;
        self.set(path, Some(node));
        self.changed(path, false, Some(&old.perms))
    }

    /// TRANSACTION_END with `T`: the transaction was taken out of the view's connection.
    pub(super) fn commit(&mut self, transaction: Transaction) -> Result<(), Errno> {
        for event in transaction.commit(self.store, self.domid, self.quotas)? {
            self.changed(&event.path, event.exact, event.before.as_ref().map(|node| &node.perms))?;
        }
        Ok(())
    }

    /// The node, if this domain may do that with it.
    fn lookup(&mut self, path: &str, need: Need) -> Result<Arc<Node>, Errno> {
        let errno = match self.get(path)? {
            Some(node) if node.perms.allow(self.domid, need) => return Ok(node),
            Some(_) => Errno::Eacces,
            None => Errno::Enoent,
        };
        // What the error tells of the node may be known only to who could do the same one level up.
        let ancestor = self.nearest_ancestor(path)?.1;
        if ancestor.perms.allow(self.domid, need) { Err(errno) } else { Err(Errno::Eacces) }
    }

    /// The nearest ancestor there is, and its path.
    fn nearest_ancestor<'p>(&mut self, path: &'p str) -> Result<(&'p str, Arc<Node>), Errno> {
        let mut path = path;
        loop {
            path = path::split(path).0;
            if let Some(node) = self.get(path)? {
                return Ok((path, node));
            }
        }
    }

    /// Makes a node, and the missing ones above it.
    fn create(&mut self, path: &str, value: &[u8]) -> Result<(), Errno> {
        let (top_path, top) = self.nearest_ancestor(path)?;
        let mut perms = top.perms.clone();
        if self.domid != 0 {
            perms = perms.with_owner(self.domid);
        }
        let missing = path[top_path.len()..].split('/').filter(|name| !name.is_empty());
        let mut made = vec![(top_path.to_owned(), Node::clone(&top))];
        for name in missing {
            let (parent_path, parent) = made.last_mut().expect("never empty");
            parent.add_child(name);
            let path = path::join(parent_path, name);
            made.push((path, Node::new(perms.clone())));
        }
        made.last_mut().expect("never empty").1.value = value.to_vec();
        self.check_count(made.len() - 1)?;
        for (_, node) in &made {
            self.check_size(node)?;
        }
        for (path, node) in made {
            self.set(&path, Some(node));
        }
        self.changed(path, false, None)
    }

    /// All nodes at and below a path, the deepest first: the order in which C xenstored removes them.
    fn subtree(&mut self, path: &str) -> Result<Vec<String>, Errno> {
        let node = self.get(path)?.ok_or(Errno::Eio)?;
        let mut paths = Vec::new();
        for name in node.child_names() {
            paths.append(&mut self.subtree(&path::join(path, name))?);
        }
        paths.push(path.to_owned());
        Ok(paths)
    }

    fn get(&mut self, path: &str) -> Result<Option<Arc<Node>>, Errno> {
        match &mut self.transaction {
            Some(transaction) => transaction.get(path, self.quotas, self.domid == 0),
            None => Ok(self.store.get(path).cloned()),
        }
    }

    fn set(&mut self, path: &str, node: Option<Node>) {
        match (&mut self.transaction, node) {
            (Some(transaction), node) => transaction.set(path, node),
            (None, Some(node)) => self.store.put(path, node),
            (None, None) => self.store.delete(path),
        }
    }

    /// Refuses a node that is too big for a guest to write.
    fn check_size(&mut self, node: &Node) -> Result<(), Errno> {
        if self.domid == 0 || node.size() < self.quotas.node_size {
            return Ok(());
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.fail();
        }
        Err(self.quotas.size_refused_with)
    }

    /// Refuses more nodes than a guest may own.
    fn check_count(&mut self, more: usize) -> Result<(), Errno> {
        let in_transaction = self.transaction.as_ref().map_or(0, |transaction| transaction.owned_more(self.domid));
        let owned = self.store.owned(self.domid).now.saturating_add_signed(in_transaction);
        if self.domid == 0 || owned + more <= self.quotas.nodes {
            return Ok(());
        }
        // C xenstored would have made some of the nodes by now, and cannot take that back in a transaction.
        if let Some(transaction) = &mut self.transaction
            && owned < self.quotas.nodes
        {
            transaction.fail();
        }
        Err(self.quotas.nodes_refused_with)
    }

    /// Leaves word for the watches.
    fn changed(&mut self, path: &str, exact: bool, before: Option<&Perms>) -> Result<(), Errno> {
        if let Some(transaction) = &mut self.transaction {
            transaction.note_event(path, exact);
            return Ok(());
        }
        let mut readers: Vec<Perms> = before.cloned().into_iter().collect();
        if let Some(node) = self.get(path)? {
            readers.push(node.perms.clone());
            readers.extend(self.get(path::split(path).0)?.map(|parent| parent.perms.clone()));
        }
        self.changes.push(Change { path: path.to_owned(), exact, readers });
        Ok(())
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
