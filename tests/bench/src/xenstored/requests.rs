//! The requests: from a packet's payload to an act on the tree, and from its outcome to the reply's payload.
//!
//! Guarantees: the grammar and the order of checks of C xenstored: unknown type (ENOSYS), a type for dom0 only
//! (EACCES), unknown transaction (ENOENT), then the payload (EINVAL). Refuses with ENOSYS what a test bench has no use
//! for (CONTROL, INTRODUCE, RELEASE, RESUME, SET_TARGET, and the feature and quota requests of newer daemons).

use super::daemon::{Daemon, Watch};
use super::path;
use super::perms::Perms;
use super::transaction::Transaction;
use super::wire::{Errno, PAYLOAD_MAX, Packet, op, strings};

type Outcome = Result<Vec<u8>, Errno>;

const OK: &[u8] = b"OK\0";

impl Daemon {
    /// Does what a request asks for.
    pub(super) fn perform(&mut self, id: u64, request: &Packet) -> Outcome {
        let payload = request.payload.as_slice();
        let without_transaction = matches!(request.kind, op::WATCH | op::UNWATCH);
        self.check_kind(id, request.kind)?;
        let known = self.connection(id).transactions.contains_key(&request.tx_id);
        if request.tx_id != 0 && !known && !without_transaction {
            return Err(Errno::Enoent);
        }
        match request.kind {
            op::WATCH => self.watch(id, payload),
            op::UNWATCH => self.unwatch(id, payload),
            op::RESET_WATCHES => {
                let connection = self.connection(id);
                connection.watches.clear();
                connection.transactions.clear();
                Ok(OK.to_vec())
            }
            op::TRANSACTION_START => self.start(id, request.tx_id),
            op::TRANSACTION_END => self.end(id, request.tx_id, payload),
            op::GET_DOMAIN_PATH => Ok(format!("{}\0", path::home(domid_of(payload)?)).into_bytes()),
            op::IS_DOMAIN_INTRODUCED => {
                let domid = domid_of(payload)?;
                let introduced = domid == 0 || domid == self.options.domid;
                Ok(if introduced { b"T\0" } else { b"F\0" }.to_vec())
            }
            _ => self.on_the_tree(id, request),
        }
    }

    fn check_kind(&mut self, id: u64, kind: u32) -> Result<(), Errno> {
        let guest = self.connection(id).domid != 0;
        match kind {
            op::IS_DOMAIN_INTRODUCED if guest => Err(Errno::Eacces),
            op::CONTROL | op::INTRODUCE | op::RELEASE | op::RESUME | op::SET_TARGET if guest => Err(Errno::Eacces),
            op::DIRECTORY_PART if !self.options.directory_part => Err(Errno::Enosys),
            op::DIRECTORY..=op::TRANSACTION_END | op::GET_DOMAIN_PATH..=op::SET_PERMS => Ok(()),
            op::IS_DOMAIN_INTRODUCED | op::RESET_WATCHES | op::DIRECTORY_PART => Ok(()),
            _ => Err(Errno::Enosys),
        }
    }

    fn on_the_tree(&mut self, id: u64, request: &Packet) -> Outcome {
        let payload = request.payload.as_slice();
        let (node, rest) = match request.kind {
            // These have something behind the path.
            op::WRITE | op::SET_PERMS | op::DIRECTORY_PART => {
                let len = payload.iter().position(|byte| *byte == 0).ok_or(Errno::Einval)?;
                (&payload[..len], &payload[len + 1..])
            }
            _ => (only_string(payload)?, b"".as_slice()),
        };
        let special = matches!(request.kind, op::GET_PERMS | op::SET_PERMS);
        let domid = self.connection(id).domid;
        let node = path::absolute(domid, node, special, &self.options.quotas)?;
        self.with_view(id, request.tx_id, |view| match request.kind {
            op::READ => view.read(&node).map(|node| node.value.clone()),
            op::DIRECTORY => view.read(&node).map(|node| node.children.clone()),
            op::DIRECTORY_PART => {
                let offset = offset_of(rest)?;
                view.read(&node).map(|node| directory_part(node.generation, &node.children, offset))
            }
            op::GET_PERMS => view.read(&node).map(|node| node.perms.to_bytes()),
            op::SET_PERMS => view.set_perms(&node, Perms::parse(&strings(rest))?).map(|()| OK.to_vec()),
            op::WRITE => view.write(&node, rest).map(|()| OK.to_vec()),
            op::MKDIR => view.mkdir(&node).map(|()| OK.to_vec()),
            op::RM => view.rm(&node).map(|()| OK.to_vec()),
            _ => Err(Errno::Enosys),
        })
    }

    fn watch(&mut self, id: u64, payload: &[u8]) -> Outcome {
        let (node, token) = two_strings(payload)?;
        let domid = self.connection(id).domid;
        let absolute = path::absolute(domid, node, true, &self.options.quotas)?;
        let relative = !node.starts_with(b"/") && !node.starts_with(b"@");
        let prefix = if relative { path::home(domid).len() + 1 } else { 0 };
        let watch = Watch { node: absolute, token: token.to_vec(), prefix };
        if self.connection(id).watches.iter().any(|old| old.node == watch.node && old.token == watch.token) {
            return Err(Errno::Eexist);
        }
        if domid != 0 && self.sum(domid, |connection| connection.watches.len()) >= self.options.quotas.watches {
            return Err(Errno::E2big);
        }
        self.connection(id).watches.push(watch);
        Ok(OK.to_vec())
    }

    fn unwatch(&mut self, id: u64, payload: &[u8]) -> Outcome {
        let (node, token) = two_strings(payload)?;
        let node = path::absolute(self.connection(id).domid, node, true, &self.options.quotas)?;
        let watches = &mut self.connection(id).watches;
        let at = watches.iter().position(|watch| watch.node == node && watch.token == token);
        watches.remove(at.ok_or(Errno::Enoent)?);
        Ok(OK.to_vec())
    }

    fn start(&mut self, id: u64, tx_id: u32) -> Outcome {
        if tx_id != 0 {
            return Err(Errno::Ebusy);
        }
        let domid = self.connection(id).domid;
        let open = self.sum(domid, |connection| connection.transactions.len());
        if domid != 0 && open >= self.options.quotas.transactions {
            return Err(Errno::Enospc);
        }
        let transaction = Transaction::new(self.store.snapshot());
        let transactions = &mut self.connection(id).transactions;
        // The smallest free id: ids come back as soon as they may, so nobody can rely on them being new.
        let new = (1..).find(|new| !transactions.contains_key(new)).expect("fewer than 2^32 are open");
        transactions.insert(new, transaction);
        Ok(format!("{new}\0").into_bytes())
    }

    fn end(&mut self, id: u64, tx_id: u32, payload: &[u8]) -> Outcome {
        let commit = match payload {
            b"T\0" => true,
            b"F\0" => false,
            _ => return Err(Errno::Einval),
        };
        let transaction = self.connection(id).transactions.remove(&tx_id).ok_or(Errno::Enoent)?;
        if commit {
            if self.refuse_commits > 0 {
                self.refuse_commits -= 1;
                return Err(Errno::Eagain);
            }
            self.with_view(id, 0, |view| view.commit(transaction))?;
        }
        Ok(OK.to_vec())
    }
}

/// The payload's only string; it ends with the payload.
fn only_string(payload: &[u8]) -> Result<&[u8], Errno> {
    match payload.split_last() {
        Some((0, string)) if !string.contains(&0) => Ok(string),
        _ => Err(Errno::Einval),
    }
}

fn two_strings(payload: &[u8]) -> Result<(&[u8], &[u8]), Errno> {
    match strings(payload)[..] {
        [first, second] => Ok((first, second)),
        _ => Err(Errno::Einval),
    }
}

fn domid_of(payload: &[u8]) -> Result<u32, Errno> {
    let string = std::str::from_utf8(only_string(payload)?).map_err(|_| Errno::Einval)?;
    string.parse().map_err(|_| Errno::Einval)
}

fn offset_of(rest: &[u8]) -> Result<usize, Errno> {
    let string = std::str::from_utf8(only_string(rest)?).map_err(|_| Errno::Einval)?;
    string.parse().map_err(|_| Errno::Einval)
}

/// The generation, as many whole names from the offset on as fit, and one more NUL if these were the last.
fn directory_part(generation: u64, children: &[u8], offset: usize) -> Vec<u8> {
    let mut reply = format!("{generation}\0").into_bytes();
    let mut rest = children.get(offset..).unwrap_or_default();
    // One byte is kept for the mark of the end.
    while let Some(len) = rest.iter().position(|byte| *byte == 0)
        && reply.len() + len + 1 < PAYLOAD_MAX
    {
        reply.extend_from_slice(&rest[..=len]);
        rest = &rest[len + 1..];
    }
    if rest.is_empty() {
        reply.push(0);
    }
    reply
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
