//! What comes is the new agent itself, or a tar archive (POSIX ustar, as GNU tar and others write it) of nothing else.
//!
//! However the bytes are cut into pieces, the outcome is the same; nothing is kept but a block. Of a member only its
//! size matters: its name and mode are not used, and no second one is taken. What is compressed is no archive here.

use heapless::Vec;

/// All of an archive comes in blocks of this size.
const BLOCK: usize = 512;
/// Where a header has the file's size (octal), its type, and the format's name.
const SIZE: core::ops::Range<usize> = 124..136;
const TYPE: usize = 156;
const MAGIC: core::ops::Range<usize> = 257..262;

/// What has come so far.
#[derive(Default)]
pub struct Unpacked {
    block: Vec<u8, BLOCK>,
    /// So many bytes of the agent's file come next, and then so many of no interest.
    file: u64,
    skipped: u64,
    begun: bool,
    found: bool,
}

impl Unpacked {
    /// Takes what has come; the agent's own bytes go to `agent`. Less than a block of them is never an agent.
    pub fn take(&mut self, mut bytes: &[u8], agent: &mut dyn FnMut(&[u8])) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            let wanted = match (self.file, self.skipped) {
                (0, 0) => (BLOCK - self.block.len()) as u64,
                (0, skipped) => skipped,
                (file, _) => file,
            };
            let (ours, rest) = bytes.split_at(bytes.len().min(usize::try_from(wanted).unwrap_or(usize::MAX)));
            bytes = rest;
            if self.file > 0 {
                self.file -= ours.len() as u64;
                agent(ours);
            } else if self.skipped > 0 {
                self.skipped -= ours.len() as u64;
            } else if self.block.extend_from_slice(ours).is_ok() && self.block.is_full() {
                self.look(agent)?;
                self.block.clear();
            }
        }
        Ok(())
    }

    /// What is wrong if that was all.
    pub fn lack(&self) -> Option<&'static str> {
        (self.found && self.file > 0).then_some("the archive ends before its file does")
    }

    /// Looks at a whole block that is no file's.
    fn look(&mut self, agent: &mut dyn FnMut(&[u8])) -> Result<(), &'static str> {
        let first = !core::mem::replace(&mut self.begun, true);
        if self.block.get(MAGIC) == Some(b"ustar") {
            let digits = self.block.get(SIZE).unwrap_or_default().trim_ascii();
            let digits = digits.split(|byte| matches!(byte, 0 | b' ')).next().unwrap_or_default();
            let digit = |size: u64, digit: &u8| Some(size << 3 | u64::from(char::from(*digit).to_digit(8)?));
            let size = digits.iter().try_fold(0, digit).ok_or("the archive is damaged")?;
            let padding = size.wrapping_neg() % BLOCK as u64;
            match self.block.get(TYPE) {
                // What pax(1) adds about a file.
                Some(b'x' | b'g') => self.skipped = size + padding,
                Some(0 | b'0') if !self.found => (self.file, self.skipped, self.found) = (size, padding, true),
                _ => return Err("the archive holds more than one file"),
            }
        } else if first {
            agent(&self.block);
            self.file = u64::MAX;
        } else if self.block.iter().any(|byte| *byte != 0) {
            return Err("the archive is damaged");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::vec::Vec;

    fn header(kind: u8, size: usize) -> Vec<u8> {
        let mut block = std::vec![0; BLOCK];
        block[..6].copy_from_slice(b"nanova");
        block[SIZE].copy_from_slice(std::format!("{size:011o}\0").as_bytes());
        block[TYPE] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        block
    }

    fn member(kind: u8, bytes: &[u8]) -> Vec<u8> {
        let padding = std::vec![0; bytes.len().wrapping_neg() % BLOCK];
        [header(kind, bytes.len()), bytes.to_vec(), padding].concat()
    }

    fn unpacked(bytes: &[u8], piece: usize) -> Result<Vec<u8>, &'static str> {
        let mut unpacked = Unpacked::default();
        let mut agent = Vec::new();
        for piece in bytes.chunks(piece) {
            unpacked.take(piece, &mut |bytes| agent.extend_from_slice(bytes))?;
        }
        unpacked.lack().map_or(Ok(agent), Err)
    }

    /// The same in pieces of many sizes.
    fn of(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        let whole = unpacked(bytes, usize::MAX);
        for piece in [1, 3, 511, 512, 513, 4096] {
            assert_eq!(unpacked(bytes, piece), whole, "in pieces of {piece}");
        }
        whole
    }

    #[test]
    fn what_is_no_archive_is_the_file() {
        for len in [512, 513, 5000] {
            let file = std::vec![0x7f; len];
            assert_eq!(of(&file), Ok(file));
        }
        assert_eq!(of(&[0x7f; 511]), Ok(Vec::new()));
    }

    #[test]
    fn the_one_file_of_an_archive_is_taken() {
        let end = std::vec![0; 2 * BLOCK];
        for len in [1, 511, 512, 513, 5000] {
            let file = std::vec![b'e'; len];
            assert_eq!(of(&[member(b'0', &file), end.clone()].concat()), Ok(file.clone()));
            assert_eq!(of(&[member(0, &file), end.repeat(9)].concat()), Ok(file.clone()));
            let about = member(b'x', b"30 mtime=1700000000.123456789\n");
            assert_eq!(of(&[about, member(b'0', &file), end.clone()].concat()), Ok(file));
        }
    }

    #[test]
    fn an_archive_of_anything_else_is_refused() {
        let end = std::vec![0; 2 * BLOCK];
        let (one, two) = (member(b'0', b"one"), member(b'0', b"two"));
        let more = Err("the archive holds more than one file");
        assert_eq!(of(&[one.clone(), two, end.clone()].concat()), more);
        for kind in *b"1234567LKS" {
            assert_eq!(of(&[one.clone(), header(kind, 0), end.clone()].concat()), more);
            assert_eq!(of(&[header(kind, 0), one.clone(), end.clone()].concat()), more);
        }
        let damaged = Err("the archive is damaged");
        assert_eq!(of(&[one.clone(), std::vec![1; BLOCK]].concat()), damaged);
        assert_eq!(of(one.get(..BLOCK + 2).unwrap()), Err("the archive ends before its file does"));
        let mut no_size = one;
        no_size[SIZE.start] = b'9';
        assert_eq!(of(&no_size), damaged);
    }
}
