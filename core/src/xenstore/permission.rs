//! Permissions of a node: one letter and a domain id each; the first entry names the owner and what everybody else may.
//!
//! Source: `docs/misc/xenstore.txt` in Xen, "Permissions".

use crate::wire::text::number;
use core::fmt;

/// What a domain may do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Access {
    /// Nothing (`n`).
    None,
    /// Read (`r`).
    Read,
    /// Write (`w`).
    Write,
    /// Both (`b`).
    Both,
}

impl Access {
    const LETTERS: [(u8, Access); 4] =
        [(b'n', Access::None), (b'r', Access::Read), (b'w', Access::Write), (b'b', Access::Both)];

    fn letter(self) -> char {
        Self::LETTERS.iter().find(|(_, access)| *access == self).map_or('n', |(letter, _)| *letter as char)
    }
}

/// One entry: `r7` lets domain 7 read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Permission {
    /// What is allowed.
    pub access: Access,
    /// To whom (or, in the first entry, who owns the node).
    pub domain: u32,
}

impl Permission {
    /// Longest entry as text: a letter and a `u32`.
    pub const TEXT_MAX: usize = 11;

    /// Reads an entry as xenstored writes it.
    pub fn parse(text: &str) -> Option<Permission> {
        let (letter, domain) = text.split_at_checked(1)?;
        let (_, access) = Access::LETTERS.into_iter().find(|(known, _)| letter.as_bytes() == [*known])?;
        if !domain.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        Some(Permission { access, domain: number(domain)? })
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.access.letter(), u64::from(self.domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_as_they_were() {
        for text in ["n0", "r7", "w65535", "b4294967295"] {
            let entry = Permission::parse(text).unwrap();
            assert_eq!(entry.to_string(), text);
            assert!(text.len() <= Permission::TEXT_MAX);
        }
    }

    #[test]
    fn every_letter_has_its_meaning() {
        for (text, access) in [("n0", Access::None), ("r0", Access::Read), ("w0", Access::Write), ("b0", Access::Both)]
        {
            assert_eq!(Permission::parse(text), Some(Permission { access, domain: 0 }));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "n", "x0", "r-1", "r+1", "r 1", "R1", "r4294967296", "é1"] {
            assert_eq!(Permission::parse(text), None, "{text}");
        }
    }
}
