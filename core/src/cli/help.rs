//! Pages of help, put together when they are compiled from what this build has.

/// The length of these parts together.
pub(super) const fn len(parts: &[&str]) -> usize {
    let (mut len, mut place) = (0, 0);
    while place < parts.len() {
        len += parts[place].len();
        place += 1;
    }
    len
}

/// These parts together.
pub(super) const fn join<const N: usize>(parts: &[&str]) -> [u8; N] {
    let (mut joined, mut end, mut place) = ([0; N], 0, 0);
    while place < parts.len() {
        let part = parts[place].as_bytes();
        let mut byte = 0;
        while byte < part.len() {
            joined[end] = part[byte];
            (end, byte) = (end + 1, byte + 1);
        }
        place += 1;
    }
    joined
}

/// A page of parts; `"feature": "text"` is there if this build has the feature.
macro_rules! page {
    ($($part:literal $(: $text:literal)?),* $(,)?) => {{
        const PARTS: &[&str] = &[$(page!(@ $part $($text)?)),*];
        const PAGE: [u8; crate::cli::help::len(PARTS)] = crate::cli::help::join(PARTS);
        match core::str::from_utf8(&PAGE) {
            Ok(page) => page,
            Err(_) => panic!("text and text is text"),
        }
    }};
    (@ $text:literal) => { $text };
    (@ $feature:literal $text:literal) => { if cfg!(feature = $feature) { $text } else { "" } };
}

pub(super) use page;
