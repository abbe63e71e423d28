//! A [`Tree`] as a newc cpio archive, the form the kernel unpacks.
//!
//! Guarantees: no clock, no host id and no order of a file system gets in: times are 0, owners 0:0, inode numbers
//! count from 1. Device nodes are records in the archive; nobody needs to be root to write them.
//! Refuses: files the format has no room for (4 GiB).

use crate::tree::{Kind, Tree};
use anyhow::{Context, Result};
use cpio::newc::{Builder, ModeFileType, trailer};
use std::io::Write;

/// cpio's traditional block. The kernel wants a multiple of 4 where another archive follows; other readers want this.
const BLOCK: usize = 512;

/// The archive's bytes.
pub(crate) fn write(tree: &Tree) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    for (number, (path, node)) in (1..).zip(tree.entries()) {
        let entry = Builder::new(path).ino(number).mode(node.mode).uid(0).gid(0).mtime(0);
        let (entry, content): (Builder, &[u8]) = match &node.kind {
            Kind::Directory => (entry.set_mode_file_type(ModeFileType::Directory).nlink(2), &[]),
            Kind::File(bytes) => (entry.set_mode_file_type(ModeFileType::Regular).nlink(1), bytes),
            Kind::Link(target) => (entry.set_mode_file_type(ModeFileType::Symlink).nlink(1), target.as_bytes()),
            Kind::Device { major, minor } => {
                (entry.set_mode_file_type(ModeFileType::Char).nlink(1).rdev_major(*major).rdev_minor(*minor), &[])
            }
        };
        let size = u32::try_from(content.len()).with_context(|| format!("/{path} is larger than cpio's 4 GiB"))?;
        let mut writer = entry.write(archive, size);
        writer.write_all(content)?;
        archive = writer.finish()?;
    }
    let mut archive = trailer(archive)?;
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    Ok(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_archive_is_byte_for_byte_what_the_format_says() {
        let mut tree = Tree::default();
        tree.insert("dev/null", Kind::Device { major: 1, minor: 3 }, 0o666).unwrap();
        tree.insert("x", Kind::File(b"hello".to_vec()), 0o755).unwrap();
        // magic, ino, mode, uid, gid, nlink, mtime, size, dev (2), rdev (2), name length, check; name; padding
        let expected = "070701\
            00000001000041ed000000000000000000000002000000000000000000000000000000000000000000000000\
            0000000400000000dev\0\0\0\
            07070100000002000021b60000000000000000000000010000000000000000000000000000000000000001\
            000000030000000900000000dev/null\0\0\
            07070100000003000081ed0000000000000000000000010000000000000005000000000000000000000000\
            000000000000000200000000x\0hello\0\0\0";
        let archive = write(&tree).unwrap();
        let text = String::from_utf8(archive).unwrap();
        assert_eq!(&text[..expected.len()], expected.replace("            ", ""));
        assert!(text[expected.len()..].starts_with("070701"));
        assert_eq!(text.len() % BLOCK, 0);
    }
}
