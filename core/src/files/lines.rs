//! Text of files as it is edited: line by line in, in pieces out.
//!
//! A line that is too long to be looked at comes in pieces and stays as it is. Whatever is collected on the way is
//! wiped when it goes: lines of the accounts' files are among it.

use core::fmt::{self, Write};

use zeroize::Zeroizing;

/// Longest line that an edit sees as one; longer ones come as [`Old::Piece`]s.
pub(crate) const LINE_MAX: usize = 1024;
/// Bytes that are read, or written, at once.
pub(crate) const CHUNK: usize = 1024;

/// What an edit is called with: each line of the old file, then its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old<'l> {
    /// A line, without its newline.
    Line(&'l [u8]),
    /// A part of a line that is too long to be looked at.
    Piece(&'l [u8]),
    /// That was all.
    End,
}

/// Where an edit writes. Whoever writes need not look after each piece: what cannot go on is remembered here, and
/// nothing more is written.
pub trait Sink {
    /// Writes bytes.
    fn bytes(&mut self, bytes: &[u8]);
}

impl dyn Sink + '_ {
    /// Writes a text.
    pub fn put(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// What `write!` and `writeln!` call.
    #[inline(never)]
    pub fn write_fmt(&mut self, text: fmt::Arguments<'_>) {
        struct Text<'s>(&'s mut dyn Sink);
        impl Write for Text<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.put(text);
                Ok(())
            }
        }
        // A `Display` that fails by itself ends the text.
        let _ = Text(self).write_fmt(text);
    }

    /// Writes a part of the old file as it was.
    pub fn keep(&mut self, old: Old<'_>) {
        match old {
            Old::Line(line) => {
                self.bytes(line);
                self.bytes(b"\n");
            }
            Old::Piece(piece) => self.bytes(piece),
            Old::End => {}
        }
    }
}

/// An edit. It is run twice, to compare and to write, so it starts anew after [`Old::End`].
pub type Edit<'e> = &'e mut dyn FnMut(Old<'_>, &mut dyn Sink);

/// Bytes on their way into a file, collected so that they take few system calls; wiped when they go.
pub(crate) struct Chunk {
    bytes: Zeroizing<[u8; CHUNK]>,
    len: usize,
}

impl Chunk {
    pub(crate) fn new() -> Chunk {
        Chunk { bytes: Zeroizing::new([0; CHUNK]), len: 0 }
    }

    /// Adds as many of the bytes as there is room for; returns the others.
    pub(crate) fn add<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let (now, later) = bytes.split_at_checked(room.len()).unwrap_or((bytes, &[]));
        for (place, byte) in room.iter_mut().zip(now) {
            *place = *byte;
        }
        self.len += now.len();
        later
    }

    /// Takes all of it out.
    pub(crate) fn take(&mut self) -> &[u8] {
        debug_assert!(self.len <= CHUNK);
        self.bytes.get(..core::mem::take(&mut self.len)).unwrap_or_default()
    }
}
