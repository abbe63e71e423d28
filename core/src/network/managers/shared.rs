//! What several managers share: files that hold foreign lines beside ours, and files of shell named after devices.

use crate::files::lines::{Old, Sink};
use crate::network::managers::manager::{PersistentConfig, Suspect, Verdict};

/// The line that our part of a shared file begins with.
pub(crate) const BEGIN: &str = "# nanova: begin, written from vm-data in xenstore";
/// The line that it ends with.
pub(crate) const END: &str = "# nanova: end";
/// The first line of a file that is all ours.
pub(crate) const WRITTEN: &str = "# Written by nanova from vm-data in xenstore.";
/// The line above our keys in a file that has others, too.
pub(crate) const KEYS_KEPT: &str = "# Written by nanova from vm-data in xenstore; keys that it does not know are kept.";
/// How both of these begin.
const OURS: &str = "# Written by nanova";

/// Whether a file of initscripts or wicked would undo ours: one of a VIF's usual name that is not listed, or of a
/// second address of a listed one (`ifcfg-eth0:1`).
pub(crate) fn may_be_of_a_vif(config: &PersistentConfig<'_>, name: &str) -> bool {
    let known = ["ifcfg-", "route-", "route6-", "ifroute-"];
    let device = known.iter().find_map(|start| name.strip_prefix(start)).unwrap_or_default();
    let (device, second) = device.split_once(':').map_or((device, false), |(device, _)| (device, true));
    is_vif_name(device) && (config.is_gone(device) || second && (config.sound || config.has_device(device)))
}

/// What somebody else has written for a device that there is stays.
pub(crate) fn stays_if_foreign(_: &PersistentConfig<'_>, file: &mut Suspect<'_>) -> Verdict {
    let mut ours = false;
    (file.lines)(&mut |line| ours |= line.starts_with(OURS));
    let device = file.name.split_once('-').map_or("", |(_, device)| device);
    let is_there = file.devices.iter().any(|there| there == device);
    if !ours && is_there { Verdict::Stays } else { Verdict::Goes }
}

/// `eth0`, `enX0`
fn is_vif_name(device: &str) -> bool {
    let number = device.strip_prefix("eth").or_else(|| device.strip_prefix("enX"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Leaves our part out of a shared file, but for what is kept in it: then that part stays where it was. Starts anew at
/// the end.
#[derive(Default)]
pub(crate) struct Marked {
    inside: bool,
    /// Whether a part was begun for what is kept.
    begun: bool,
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

    /// Whether a line of our part is its first or its last one.
    pub(crate) fn is_edge(&self, old: Old<'_>) -> bool {
        matches!(old, Old::Line(line) if line == BEGIN.as_bytes() || line == END.as_bytes())
    }

    /// A line of our part goes or, if it `is_kept`, stays, in a part of its own.
    pub(crate) fn keep(&mut self, old: Old<'_>, out: &mut dyn Sink, is_kept: bool) {
        if is_kept {
            if !core::mem::replace(&mut self.begun, true) {
                writeln!(out, "{BEGIN}");
            }
            out.keep(old);
        }
    }

    /// What comes now is not in our part.
    pub(crate) fn end_kept(&mut self, out: &mut dyn Sink) {
        if core::mem::take(&mut self.begun) {
            writeln!(out, "{END}");
        }
    }
}

/// Leaves assignments out of a file of shell, with all their lines: one goes on after a backslash, and while a
/// quotation mark is open. Starts anew at the end.
#[derive(Default)]
pub(super) struct Dropped {
    quote: Option<u8>,
    /// Behind a `#`, up to the end of the line.
    in_comment: bool,
    goes_on: bool,
}

impl Dropped {
    /// Whether this line goes, or this piece of one: one that begins an assignment of ours, or that one of those goes
    /// on in.
    pub(crate) fn takes(&mut self, old: Old<'_>, is_ours: &dyn Fn(&[u8]) -> bool) -> bool {
        let text = match old {
            Old::Line(line) if !self.goes_on && !is_ours(line) => return false,
            Old::Piece(_) if !self.goes_on => return false,
            Old::Line(text) | Old::Piece(text) => text,
            Old::End => {
                *self = Dropped::default();
                return false;
            }
        };
        for byte in text {
            match (self.quote, *byte) {
                _ if self.in_comment => break,
                (None, b'#') => self.in_comment = true,
                (None, mark @ (b'"' | b'\'')) => self.quote = Some(mark),
                (Some(open), mark) if open == mark => self.quote = None,
                _ => {}
            }
        }
        // Only the last piece of a long line has its newline.
        let end = match old {
            Old::Piece(piece) => piece.strip_suffix(b"\n"),
            _ => Some(text),
        };
        self.goes_on = end.is_none_or(|end| self.quote.is_some() || end.ends_with(b"\\"));
        self.in_comment &= end.is_none();
        true
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

/// What a manager is told to write about these.
#[cfg(test)]
pub(crate) fn config<'a>(
    manager: &'static crate::network::managers::Manager,
    placed: &'a [crate::network::model::Placed<'a>],
) -> PersistentConfig<'a> {
    PersistentConfig { manager, hostname: None, former_name: "", placed, interfaces: &[], sound: true, tidy: true }
}
