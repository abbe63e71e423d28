//! What the renderers of configuration files share: files that hold foreign lines beside ours.

use crate::files::lines::{Old, Sink};

/// The line that our part of a shared file begins with.
pub(crate) const BEGIN: &str = "# nanova: begin, written from vm-data in xenstore";
/// The line that it ends with.
pub(crate) const END: &str = "# nanova: end";

/// Leaves our part out of a shared file. Starts anew at the end.
#[derive(Default)]
pub(crate) struct Marked {
    inside: bool,
}

impl Marked {
    /// Whether this line is in our part.
    pub(crate) fn takes(&mut self, old: Old<'_>) -> bool {
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

/// Leaves assignments out of a file of shell, with all their lines: one goes on after a backslash, and while a quotation mark
/// is open. Starts anew at the end.
#[derive(Default)]
pub struct Dropped {
    quote: Option<u8>,
    goes_on: bool,
}

impl Dropped {
    /// Whether this line goes: one that begins an assignment of ours, or that one of those goes on in.
    pub(crate) fn takes(&mut self, old: Old<'_>, is_ours: &dyn Fn(&[u8]) -> bool) -> bool {
        let Old::Line(line) = old else {
            let inside = self.goes_on;
            *self = Dropped { goes_on: inside && old != Old::End, ..Dropped::default() };
            return self.goes_on;
        };
        if !self.goes_on && !is_ours(line) {
            return false;
        }
        for byte in line {
            match (self.quote, *byte) {
                (None, b'#') => break,
                (None, mark @ (b'"' | b'\'')) => self.quote = Some(mark),
                (Some(open), mark) if open == mark => self.quote = None,
                _ => {}
            }
        }
        self.goes_on = self.quote.is_some() || line.ends_with(b"\\");
        true
    }
}

/// A file that is all ours.
pub(crate) fn whole(old: Old<'_>, out: &mut dyn Sink, render: &mut dyn FnMut(&mut dyn Sink)) {
    if old == Old::End {
        render(out);
    }
}

#[cfg(test)]
impl Sink for String {
    fn bytes(&mut self, bytes: &[u8]) {
        self.push_str(core::str::from_utf8(bytes).unwrap());
    }
}

/// What an edit makes of a text.
#[cfg(test)]
pub(crate) fn edited(old: &str, edit: crate::files::lines::Edit<'_>) -> String {
    let mut text = String::new();
    for line in old.lines() {
        edit(Old::Line(line.as_bytes()), &mut text);
    }
    edit(Old::End, &mut text);
    text
}
