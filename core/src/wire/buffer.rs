//! Buffers that are filled behind what has yet to be looked at.

/// Moves what comes behind the first `gone` bytes to the start. What stands behind it then has no meaning.
// The one place that calls this, with a bound beside it: so the compiler sees that it cannot panic.
#[inline(never)]
pub(crate) fn forget_start(bytes: &mut [u8], gone: usize) {
    bytes.copy_within(gone.min(bytes.len()).., 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_comes_to_the_start() {
        for (gone, left) in [(0, "abcde"), (1, "bcde"), (3, "de"), (5, ""), (6, "")] {
            let mut bytes = *b"abcde";
            forget_start(&mut bytes, gone);
            assert_eq!(&bytes[..left.len()], left.as_bytes(), "{gone}");
        }
    }
}
