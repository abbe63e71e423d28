//! The file tree of an image, before it becomes an archive.
//!
//! Guarantees: every entry's parents are directories of the tree; iteration is sorted, so parents come before their
//! children and the same content always gives the same order. Everything belongs to root.
//! Refuses: two different things at one path (two directories are one), and paths that leave the tree.
//!
//! A path here is relative to the root and normalised: `etc/nanova/modules`. The root itself is the empty path.

use anyhow::{Result, bail, ensure};
use std::collections::BTreeMap;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// A file and its bytes.
    File(Vec<u8>),
    /// A symbolic link and where it points.
    Link(String),
    /// A character device.
    Device { major: u32, minor: u32 },
}

/// An entry: what it is, and its permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
}

/// The tree.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<String, Node>,
}

/// An absolute path in the tree's form.
pub(crate) fn normalise(path: &str) -> Result<String> {
    ensure!(path.starts_with('/'), "{path} is not absolute");
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    ensure!(!parts.contains(&".."), "{path} has a '..'; write the path without");
    ensure!(!path.contains('\0'), "a path cannot contain a zero byte");
    Ok(parts.join("/"))
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

impl Tree {
    /// Puts something at a path, and directories above it where there are none.
    pub(crate) fn insert(&mut self, path: &str, kind: Kind, mode: u32) -> Result<()> {
        if path.is_empty() {
            ensure!(kind == Kind::Directory, "only a directory can be at /");
            return Ok(());
        }
        self.make_parents(path)?;
        match self.nodes.get_mut(path) {
            Some(there) if there.kind == Kind::Directory && kind == Kind::Directory => there.mode = mode,
            Some(_) => bail!("/{path} is already in the image as something else; give one of the two another path"),
            None => {
                self.nodes.insert(path.into(), Node { kind, mode });
            }
        }
        Ok(())
    }

    fn make_parents(&mut self, path: &str) -> Result<()> {
        let Some(parent) = parent(path) else { return Ok(()) };
        match self.nodes.get(parent) {
            Some(Node { kind: Kind::Directory, .. }) => Ok(()),
            Some(_) => bail!("/{path} cannot be in the image: /{parent} is there and is not a directory"),
            None => {
                self.make_parents(parent)?;
                self.nodes.insert(parent.into(), Node { kind: Kind::Directory, mode: 0o755 });
                Ok(())
            }
        }
    }

    /// Whether a program in the image that opens this absolute path finds something: links are followed.
    pub(crate) fn finds(&self, path: &str) -> bool {
        // As many links as Linux itself follows.
        self.walk(path.split('/').map(str::to_owned).collect(), 40)
    }

    fn walk(&self, parts: Vec<String>, links_left: u32) -> bool {
        let mut at: Vec<String> = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    at.pop();
                    continue;
                }
                name => at.push(name.to_owned()),
            }
            match self.nodes.get(&at.join("/")).map(|node| &node.kind) {
                None => return false,
                Some(Kind::Link(target)) => {
                    at.pop();
                    let start = if target.starts_with('/') { Vec::new() } else { at };
                    let rest = target.split('/').map(str::to_owned).chain(parts[index + 1..].iter().cloned());
                    return links_left > 0 && self.walk(start.into_iter().chain(rest).collect(), links_left - 1);
                }
                Some(_) => {}
            }
        }
        true
    }

    /// All entries, sorted.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_made_and_come_first() {
        let mut tree = Tree::default();
        tree.insert("a/b/c", Kind::File(vec![]), 0o644).unwrap();
        tree.insert("a-b", Kind::File(vec![]), 0o644).unwrap();
        let paths: Vec<&str> = tree.entries().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a", "a-b", "a/b", "a/b/c"]);
    }

    #[test]
    fn one_path_holds_one_thing_and_two_directories_are_one() {
        let mut tree = Tree::default();
        tree.insert("a/b", Kind::Link("c".into()), 0o777).unwrap();
        tree.insert("a", Kind::Directory, 0o700).unwrap();
        assert_eq!(tree.nodes["a"].mode, 0o700);
        assert!(tree.insert("a/b", Kind::File(vec![]), 0o644).is_err());
        assert!(tree.insert("a/b/c", Kind::File(vec![]), 0o644).is_err());
        assert!(tree.insert("a", Kind::File(vec![]), 0o644).is_err());
        assert!(tree.insert("", Kind::Directory, 0o755).is_ok());
    }

    #[test]
    fn links_are_followed_as_a_kernel_would() {
        let mut tree = Tree::default();
        tree.insert("usr/lib/ld.so", Kind::File(vec![]), 0o755).unwrap();
        tree.insert("lib", Kind::Link("usr/lib".into()), 0o777).unwrap();
        tree.insert("usr/lib64", Kind::Link("../lib".into()), 0o777).unwrap();
        tree.insert("loop", Kind::Link("/loop".into()), 0o777).unwrap();
        for there in ["/usr/lib/ld.so", "/lib/ld.so", "/usr/lib64/ld.so", "/lib/.././lib/ld.so"] {
            assert!(tree.finds(there), "{there}");
        }
        for missing in ["/lib64/ld.so", "/lib/ld.so.2", "/loop", "/loop/a"] {
            assert!(!tree.finds(missing), "{missing}");
        }
    }

    #[test]
    fn paths_are_normalised_and_kept_inside() {
        assert_eq!(normalise("//etc/./x/").unwrap(), "etc/x");
        assert_eq!(normalise("/").unwrap(), "");
        assert!(normalise("etc").is_err());
        assert!(normalise("/etc/../x").is_err());
    }
}
