//! `--add`: files of the build machine for the image.
//!
//! Guarantees: permission bits are kept, the owner becomes root, links inside a directory stay links.
//! Refuses: devices, pipes and sockets (the image has its own), and names that are not UTF-8.

use crate::elf;
use crate::options::Addition;
use crate::tree::{Kind, Tree};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use walkdir::WalkDir;

/// Puts a file, or a directory with all that is in it, into the tree.
pub(crate) fn add(tree: &mut Tree, addition: &Addition) -> Result<()> {
    // The thing named is meant itself, even through a link (/bin/sh); below it, links are content.
    for entry in WalkDir::new(&addition.host).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot add {}", addition.host.display()))?;
        let below = entry.path().strip_prefix(&addition.host)?;
        let path = match (addition.path.as_str(), below.to_str()) {
            (_, None) => bail!("cannot add {}: its name is not UTF-8", entry.path().display()),
            (top, Some("")) => top.to_owned(),
            ("", Some(below)) => below.to_owned(),
            (top, Some(below)) => format!("{top}/{below}"),
        };
        let (kind, mode) = node(entry.path(), entry.depth() == 0)?;
        tree.insert(&path, kind, mode).with_context(|| format!("cannot add {}", entry.path().display()))?;
    }
    Ok(())
}

fn node(path: &Path, follow: bool) -> Result<(Kind, u32)> {
    let about = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let about = about.with_context(|| format!("cannot look at {}", path.display()))?;
    let mode = about.permissions().mode() & 0o7777;
    let kind = if about.is_dir() {
        Kind::Directory
    } else if about.is_file() {
        Kind::File(fs::read(path).with_context(|| format!("cannot read {}", path.display()))?)
    } else if about.is_symlink() {
        let target = fs::read_link(path)?;
        let target = target.to_str().with_context(|| format!("{} points to a name not in UTF-8", path.display()))?;
        return Ok((Kind::Link(target.to_owned()), 0o777));
    } else {
        bail!("cannot add {}: only files, directories and links can be in the image", path.display());
    };
    Ok((kind, mode))
}

/// One line for each program of the image that cannot start there, because what has to load it is not in the image.
pub(crate) fn missing_interpreters(tree: &Tree) -> Vec<String> {
    let mut missing = Vec::new();
    for (path, node) in tree.entries() {
        let Kind::File(bytes) = &node.kind else { continue };
        let interpreter = match node.mode & 0o111 {
            0 => None,
            _ => interpreter(bytes),
        };
        if let Some(interpreter) = interpreter.filter(|interpreter| !tree.finds(interpreter)) {
            missing.push(format!("/{path} cannot start: it needs {interpreter}, which is not in the image"));
        }
    }
    missing
}

/// What has to start a program: an ELF file's loader, or a script's shell.
fn interpreter(bytes: &[u8]) -> Option<String> {
    if let Some(line) = bytes.strip_prefix(b"#!") {
        let line = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next()?).into_owned();
        return line.split_whitespace().next().map(str::to_owned);
    }
    // A damaged file is the adder's affair: it may not be a program at all.
    elf::read(bytes).ok().flatten()?.interpreter
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_directory_comes_with_modes_links_and_all_below() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("sub/tool"), "#!/bin/sh -e\n").unwrap();
        fs::set_permissions(at("sub/tool"), fs::Permissions::from_mode(0o4750)).unwrap();
        symlink("tool", at("sub/link")).unwrap();
        symlink("sub", at("dir")).unwrap();
        let mut tree = Tree::default();
        add(&mut tree, &Addition { host: at("dir"), path: "opt/x".into() }).unwrap();
        let found: Vec<_> = tree.entries().map(|(path, node)| (path, node.mode)).skip(2).collect();
        assert_eq!(found, [("opt/x/link", 0o777), ("opt/x/tool", 0o4750)]);
        assert_eq!(missing_interpreters(&tree).len(), 1);
        tree.insert("bin/sh", Kind::File(vec![]), 0o755).unwrap();
        assert!(missing_interpreters(&tree).is_empty());
    }

    #[test]
    fn what_is_no_content_is_refused() {
        let mut tree = Tree::default();
        for host in ["/dev/null", "/nowhere"] {
            assert!(add(&mut tree, &Addition { host: host.into(), path: "x".into() }).is_err(), "{host}");
        }
    }
}
