//! Permissions of a node: an owner and what others may do, written `n7`, `r7`, `w7`, `b7`.
//!
//! Guarantees: the rules of xenstored. The first entry names the owner, and its letter is what domains without an entry
//! of their own may do. The owner and dom0 may do everything. Refuses (EINVAL) any other spelling.

use super::wire::Errno;

/// What a request needs of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Read,
    Write,
    /// To write and to own, for SET_PERMS.
    Own,
}

/// One entry: a domain, and whether it may read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    domid: u32,
    read: bool,
    write: bool,
}

/// The permissions of a node. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Perms(Vec<Entry>);

impl Perms {
    /// Owned by a domain, closed to all others but dom0.
    pub(super) fn owned_by(domid: u32) -> Perms {
        Perms(vec![Entry { domid, read: false, write: false }])
    }

    /// From the strings of a SET_PERMS request.
    pub(super) fn parse(strings: &[&[u8]]) -> Result<Perms, Errno> {
        let entries: Option<Vec<Entry>> = strings.iter().map(|string| parse_entry(string)).collect();
        entries.filter(|entries| !entries.is_empty()).map(Perms).ok_or(Errno::Einval)
    }

    /// The payload of a GET_PERMS reply.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let letter = |entry: &Entry| match (entry.read, entry.write) {
            (false, false) => 'n',
            (true, false) => 'r',
            (false, true) => 'w',
            (true, true) => 'b',
        };
        self.0.iter().flat_map(|entry| format!("{}{}\0", letter(entry), entry.domid).into_bytes()).collect()
    }

    /// The domain that owns the node, in whose quota it counts.
    pub(super) fn owner(&self) -> u32 {
        self.0[0].domid
    }

    /// The same permissions with another owner: what a child made by a guest inherits.
    pub(super) fn with_owner(&self, domid: u32) -> Perms {
        let mut perms = self.clone();
        perms.0[0].domid = domid;
        perms
    }

    /// How many entries there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// May this domain?
    pub(super) fn allow(&self, domid: u32, need: Need) -> bool {
        if domid == 0 || self.owner() == domid {
            return true;
        }
        let entry = self.0[1..].iter().find(|entry| entry.domid == domid).unwrap_or(&self.0[0]);
        match need {
            Need::Read => entry.read,
            Need::Write => entry.write,
            Need::Own => false,
        }
    }
}

fn parse_entry(string: &[u8]) -> Option<Entry> {
    let (letter, digits) = string.split_first()?;
    let (read, write) = match letter {
        b'n' => (false, false),
        b'r' => (true, false),
        b'w' => (false, true),
        b'b' => (true, true),
        _ => return None,
    };
    let domid = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(Entry { domid, read, write })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn perms(strings: &[&str]) -> Perms {
        Perms::parse(&strings.iter().map(|s| s.as_bytes()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_first_entry_is_the_owner_and_the_rule_for_all_others() {
        let perms = perms(&["r3", "w7", "n8"]);
        assert_eq!(perms.owner(), 3);
        assert!(perms.allow(3, Need::Own));
        assert!(perms.allow(0, Need::Own));
        assert!(perms.allow(7, Need::Write) && !perms.allow(7, Need::Read) && !perms.allow(7, Need::Own));
        assert!(!perms.allow(8, Need::Read));
        assert!(perms.allow(9, Need::Read) && !perms.allow(9, Need::Write));
        assert_eq!(perms.to_bytes(), b"r3\0w7\0n8\0");
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in ["", "n", "7", "x7", "rw7", "n-1", "n7 "] {
            assert_eq!(Perms::parse(&[bad.as_bytes()]), Err(Errno::Einval), "{bad:?}");
        }
        assert_eq!(Perms::parse(&[]), Err(Errno::Einval));
    }
}
