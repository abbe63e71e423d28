//! What the renderers of configuration files share: files that hold foreign lines beside ours.

use core::fmt::{self, Write};

use crate::edit::{Old, Sink};

/// The line that our part of a shared file begins with.
pub(super) const BEGIN: &str = "# nanova: begin, written from vm-data in xenstore";
/// The line that it ends with.
pub(super) const END: &str = "# nanova: end";

/// Leaves our part out of a shared file. Starts anew at the end.
#[derive(Default)]
pub(super) struct Marked {
    inside: bool,
}

impl Marked {
    /// Whether this line is in our part.
    pub(super) fn takes(&mut self, old: Old<'_>) -> bool {
        let (begins, ends) = match old {
            Old::Line(line) => (line == BEGIN.as_bytes(), line == END.as_bytes()),
            Old::Piece(_) => (false, false),
            Old::End => (false, true),
        };
        let inside = self.inside || begins;
        self.inside = inside && !ends;
        inside && old != Old::End
    }
}

/// A file that is all ours.
pub(super) fn whole(
    old: Old<'_>,
    out: &mut dyn Sink,
    render: &mut dyn FnMut(&mut dyn Write) -> fmt::Result,
) -> fmt::Result {
    if old == Old::End { render(&mut Plain(out)) } else { Ok(()) }
}

/// A sink as nothing but a writer.
struct Plain<'a>(&'a mut dyn Sink);

impl Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(text)
    }
}

/// What an edit makes of a text.
#[cfg(test)]
pub(crate) fn edited(old: &str, edit: crate::edit::Edit<'_>) -> String {
    struct Text(Vec<u8>);
    impl Write for Text {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.bytes(text.as_bytes())
        }
    }
    impl Sink for Text {
        fn bytes(&mut self, bytes: &[u8]) -> fmt::Result {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }
    let mut text = Text(Vec::new());
    for line in old.lines() {
        edit(Old::Line(line.as_bytes()), &mut text).unwrap();
    }
    edit(Old::End, &mut text).unwrap();
    String::from_utf8(text.0).unwrap()
}
