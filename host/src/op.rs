//! One request of xenstored: what it is about, and how `-v` shows it.
//!
//! Guarantees: what may be a secret is not shown, and is overwritten when it is dropped.

use std::fmt;

use nanova_core::wire::xenstore::{MessageType, Refusal};
use zeroize::Zeroizing;

/// What xenstored answers: a payload, or why not.
pub(crate) type Reply = Result<Vec<u8>, Refusal>;

/// A request.
#[derive(Clone)]
pub(crate) struct Op {
    /// What is asked for.
    pub(crate) kind: MessageType,
    /// Of which node.
    pub(crate) path: String,
    /// What follows the path and its zero byte.
    pub(crate) rest: Zeroizing<Vec<u8>>,
    /// Whether `rest` may be shown.
    shown: bool,
}

impl Op {
    fn new(kind: MessageType, path: impl Into<String>, rest: impl Into<Vec<u8>>, shown: bool) -> Op {
        Op { kind, path: path.into(), rest: Zeroizing::new(rest.into()), shown }
    }

    /// The value of a node.
    pub(crate) fn read(path: impl Into<String>) -> Op {
        Op::new(MessageType::READ, path, [], true)
    }

    /// The children of a node, all of them.
    pub(crate) fn list(path: impl Into<String>) -> Op {
        Op::new(MessageType::DIRECTORY, path, [], true)
    }

    /// The children of a node from this byte of their list on.
    pub(crate) fn list_from(path: impl Into<String>, offset: usize) -> Op {
        Op::new(MessageType::DIRECTORY_PART, path, format!("{offset}\0"), true)
    }

    /// Writes a value, whose bytes are shown to nobody.
    pub(crate) fn write(path: impl Into<String>, value: impl Into<Vec<u8>>) -> Op {
        Op::new(MessageType::WRITE, path, value, false)
    }

    /// Lets a guest read a node of dom0's.
    pub(crate) fn readable(path: impl Into<String>, domid: u32) -> Op {
        Op::new(MessageType::SET_PERMS, path, format!("n0\0r{domid}\0"), true)
    }

    /// Removes a node and all below it.
    pub(crate) fn remove(path: impl Into<String>) -> Op {
        Op::new(MessageType::RM, path, [], true)
    }

    /// Watches a node and all below it.
    pub(crate) fn watch(path: impl Into<String>, token: impl fmt::Display) -> Op {
        Op::new(MessageType::WATCH, path, format!("{token}\0"), true)
    }

    /// Watches no more.
    pub(crate) fn unwatch(path: impl Into<String>, token: impl fmt::Display) -> Op {
        Op::new(MessageType::UNWATCH, path, format!("{token}\0"), true)
    }
}

/// The name of a type of packet, as Xen's header file has it.
fn name(kind: MessageType) -> &'static str {
    const NAMES: [(MessageType, &str); 10] = [
        (MessageType::DIRECTORY, "DIRECTORY"),
        (MessageType::DIRECTORY_PART, "DIRECTORY_PART"),
        (MessageType::READ, "READ"),
        (MessageType::WRITE, "WRITE"),
        (MessageType::RM, "RM"),
        (MessageType::WATCH, "WATCH"),
        (MessageType::UNWATCH, "UNWATCH"),
        (MessageType::GET_PERMS, "GET_PERMS"),
        (MessageType::SET_PERMS, "SET_PERMS"),
        (MessageType::WATCH_EVENT, "WATCH_EVENT"),
    ];
    NAMES.iter().find(|(known, _)| *known == kind).map_or("?", |(_, name)| name)
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", name(self.kind), self.path)?;
        match (&self.rest[..], self.shown) {
            ([], true) => Ok(()),
            (rest, true) => write!(f, " {}", printable(rest)),
            (rest, false) => write!(f, " ({} bytes)", rest.len()),
        }
    }
}

/// Text whose zero bytes are blanks, and whose other control characters are escaped: guests write what they like.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).trim_end_matches('\0').replace('\0', " ");
    text.chars().flat_map(|c| if controls(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// JSON text of which a terminal shows all: what writes it escapes control characters below a blank and no others.
pub(crate) fn printable_json(json: &str) -> String {
    let shown = |c| if controls(c) && c != '\n' { format!("\\u{:04x}", u32::from(c)) } else { String::from(c) };
    json.chars().map(shown).collect()
}

/// Whether a character does something to a terminal: controls it, or turns the direction of what follows (UAX #9).
fn controls(c: char) -> bool {
    let turns = ['\u{61c}', '\u{200e}', '\u{200f}'].contains(&c);
    c.is_control() || turns || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_not_shown() {
        assert_eq!(Op::write("/a", "secret").to_string(), "WRITE /a (6 bytes)");
        assert_eq!(Op::watch("/a", "t").to_string(), "WATCH /a t");
        assert_eq!(Op::read("/a").to_string(), "READ /a");
    }

    #[test]
    fn a_guest_cannot_write_to_the_terminal() {
        assert_eq!(printable(b"a\0b\x1b[2J\xff\0"), "a b\\u{1b}[2J\u{fffd}");
        // CSI in one character, and what writes the rest of a line backwards.
        assert_eq!(printable("\u{9b}2J\u{202e}x\u{2066}".as_bytes()), "\\u{9b}2J\\u{202e}x\\u{2066}");
        let json = printable_json("{\n\"\u{9b}2J\u{7f}\u{202e}\u{e9}\"}");
        assert_eq!(json, "{\n\"\\u009b2J\\u007f\\u202e\u{e9}\"}");
    }
}
