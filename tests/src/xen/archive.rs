//! A file tree kept in memory and written as a newc cpio, the form a kernel takes as initramfs.
//!
//! Guarantees: parents come before children, names are sorted, everything belongs to root, and the same tree gives the
//! same bytes. Refuses: owners, times and hard links, which nothing here needs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use cpio::newc;

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_777;

/// The tree. Paths are given as in the running system, with their leading slash.
#[derive(Debug, Default)]
pub struct Archive {
    entries: BTreeMap<String, (u32, Vec<u8>)>,
}

impl Archive {
    /// An empty folder, with its parents.
    pub fn folder(&mut self, path: &str) {
        let path = path.trim_matches('/');
        if path.is_empty() {
            return;
        }
        for (at, _) in path.match_indices('/').chain([(path.len(), "")]) {
            self.entries.entry(path[..at].to_owned()).or_insert((FOLDER, Vec::new()));
        }
    }

    /// A file with these permission bits and contents.
    pub fn file(&mut self, path: &str, mode: u32, contents: impl Into<Vec<u8>>) {
        self.insert(path, FILE | mode, contents.into());
    }

    /// A symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.insert(path, LINK, target.into());
    }

    /// A copy of a file of this machine, with its permissions; links are followed.
    pub fn copy(&mut self, path: &str, from: &Path) -> Result<()> {
        let contents = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        let mode = fs::metadata(from)?.permissions().mode() & 0o777;
        self.file(path, mode, contents);
        Ok(())
    }

    /// Writes the archive to a file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let file = fs::File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut out = BufWriter::new(file);
        for (number, (name, (mode, contents))) in (1..).zip(&self.entries) {
            let header = newc::Builder::new(name).ino(number).mode(*mode).nlink(1);
            let mut entry = header.write(&mut out, u32::try_from(contents.len())?);
            entry.write_all(contents)?;
            entry.finish()?;
        }
        newc::trailer(&mut out)?;
        out.flush()?;
        Ok(())
    }

    fn insert(&mut self, path: &str, mode: u32, contents: Vec<u8>) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent);
        }
        self.entries.insert(path.trim_matches('/').to_owned(), (mode, contents));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_and_contents_survive() {
        let mut archive = Archive::default();
        archive.file("/etc/xen/xl.conf", 0o644, "autoballoon=0\n");
        archive.link("/bin/sh", "busybox");
        let file = tempfile::NamedTempFile::new().unwrap();
        archive.write(file.path()).unwrap();
        let mut bytes = &fs::read(file.path()).unwrap()[..];
        let mut seen = Vec::new();
        loop {
            let mut entry = newc::Reader::new(bytes).unwrap();
            if entry.entry().is_trailer() {
                break;
            }
            let (name, mode) = (entry.entry().name().to_owned(), entry.entry().mode());
            let mut contents = String::new();
            std::io::Read::read_to_string(&mut entry, &mut contents).unwrap();
            bytes = entry.finish().unwrap();
            seen.push((name, mode, contents));
        }
        let names: Vec<_> = seen.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["bin", "bin/sh", "etc", "etc/xen", "etc/xen/xl.conf"]);
        assert_eq!(seen[4], ("etc/xen/xl.conf".into(), 0o100_644, "autoballoon=0\n".into()));
        assert_eq!(seen[1].2, "busybox");
    }
}
