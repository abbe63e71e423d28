//! Text of a bounded length, and text that is safe to show.

use core::fmt::{self, Write};

use heapless::string::StringView;

/// Text that never takes more than `N` bytes. What does not fit is cut at a character, and the cut is visible: the text
/// then ends in `...`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Bounded<const N: usize> {
    text: heapless::String<N>,
    cut: bool,
}

/// What marks a cut.
const CUT: &str = "...";

impl<const N: usize> Bounded<N> {
    /// No text.
    pub const fn new() -> Self {
        Bounded { text: heapless::String::new(), cut: false }
    }

    /// The text of `arguments`, as far as it fits.
    pub fn of(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Self::new();
        text.view().fill(arguments);
        text
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Takes away the last characters, at least one, so that the text with its mark has at most `len` bytes. Ends at
    /// the mark alone.
    pub fn shorten(&mut self, len: usize) {
        self.view().shorten(len);
    }

    fn view(&mut self) -> View<'_> {
        View { text: self.text.as_mut_view(), cut: &mut self.cut }
    }
}

impl<const N: usize> Default for Bounded<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Write for Bounded<N> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.view().write_str(more)
    }

    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> fmt::Result {
        self.view().fill(arguments);
        Ok(())
    }
}

/// A text of any bound: what all of them share is once in the binary.
struct View<'a> {
    text: &'a mut StringView,
    cut: &'a mut bool,
}

impl View<'_> {
    #[inline(never)]
    fn fill(mut self, arguments: fmt::Arguments<'_>) {
        // Writing here never fails; a `Display` that fails by itself just ends the text.
        let _ = self.write_fmt(arguments);
    }

    fn shorten(self, len: usize) {
        let before = self.text.len();
        if *self.cut {
            self.text.truncate(before.saturating_sub(CUT.len()));
        }
        let room = len.min(before.saturating_sub(1)).saturating_sub(CUT.len());
        self.text.truncate(self.text.floor_char_boundary(room));
        *self.cut = self.text.push_str(CUT).is_ok();
    }
}

impl Write for View<'_> {
    #[inline(never)]
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if *self.cut || self.text.push_str(more).is_ok() {
            return Ok(());
        }
        let most = self.text.capacity();
        let fits = more.floor_char_boundary(most - self.text.len());
        let room = most.saturating_sub(CUT.len());
        let _ = self.text.push_str(more.get(..fits).unwrap_or_default());
        self.text.truncate(self.text.floor_char_boundary(room));
        let _ = self.text.push_str(CUT);
        *self.cut = true;
        Ok(())
    }
}

/// The text that bytes begin with, up to the first byte that is none of it.
#[inline(never)]
pub fn text_at_start(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_else(|error| {
        let text = bytes.get(..error.valid_up_to()).unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    })
}

/// The number that a text is: digits alone, no sign. One for all types, as each of core's own parsers has its own code.
pub fn number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    T::try_from(digits(text, 10)?).ok()
}

/// The number of these digits.
#[inline(never)]
pub fn digits(text: &str, radix: u32) -> Option<u64> {
    let add = |number: u64, c: char| number.checked_mul(radix.into())?.checked_add(c.to_digit(radix)?.into());
    if text.is_empty() { None } else { text.chars().try_fold(0, add) }
}

/// Shows text without any control character: a newline in a name must not start a new line in a log.
pub struct Printable<T>(pub T);

impl<T: fmt::Display> fmt::Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Filter<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl Write for Filter<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                text.chars().try_for_each(|c| self.write_char(c))
            }
            fn write_char(&mut self, c: char) -> fmt::Result {
                if c.is_control() { write!(self.0, "\\x{:02x}", c as u32) } else { self.0.write_char(c) }
            }
        }
        write!(Filter(f), "{}", self.0)
    }
}

/// A path as the tables of mounts have it: blanks, newlines and backslashes are three octal digits behind a backslash
/// there (proc(5)). Shows what they stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountField<'a>(pub &'a str);

impl fmt::Display for MountField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(c) = rest.chars().next() {
            let (shown, len) = match rest.as_bytes() {
                [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                    (char::from((a & 3) << 6 | (b & 7) << 3 | (c & 7)), 4)
                }
                _ => (c, c.len_utf8()),
            };
            f.write_char(shown)?;
            rest = rest.get(len..).unwrap_or_default();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert, proptest};

    #[test]
    fn what_fits_stays_and_what_does_not_is_marked() {
        assert_eq!(Bounded::<8>::of(format_args!("{}", "12345678")).as_str(), "12345678");
        assert_eq!(Bounded::<8>::of(format_args!("{}", "123456789")).as_str(), "12345...");
        assert_eq!(Bounded::<8>::of(format_args!("{}{}", "1234567", "éé")).as_str(), "12345...");
        assert_eq!(Bounded::<8>::of(format_args!("ééé{}", "éé")).as_str(), "éé...");
    }

    #[test]
    fn shortening_keeps_one_mark() {
        let mut text = Bounded::<8>::of(format_args!("123456789"));
        text.shorten(7);
        assert_eq!(text.as_str(), "1234...");
        text.shorten(100);
        assert_eq!(text.as_str(), "123...");
        text.shorten(0);
        assert_eq!(text.as_str(), "...");
    }

    #[test]
    fn a_number_is_digits_that_its_type_has_room_for() {
        assert_eq!((number::<u8>("255"), number::<u8>("256"), number::<u16>("0080")), (Some(255), None, Some(80)));
        assert_eq!((digits("fF", 16), digits("18446744073709551615", 10)), (Some(255), Some(u64::MAX)));
        for bad in ["", "+1", "-1", " 1", "1 ", "x", "18446744073709551616"] {
            assert_eq!(number::<u64>(bad), None, "{bad}");
        }
    }

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(Printable("a\nb\x1b[0m\u{85}é").to_string(), "a\\x0ab\\x1b[0m\\x85é");
    }

    #[test]
    fn what_is_cut_stays_cut() {
        use core::fmt::Write;
        let mut text = Bounded::<8>::new();
        assert_eq!(text, Bounded::default());
        write!(text, "1234567").unwrap();
        text.write_str("89").unwrap();
        assert_eq!(text.as_str(), "12345...");
        text.write_str("x").unwrap();
        write!(text, "y").unwrap();
        assert_eq!(text.as_str(), "12345...");
        let mut text = Bounded::<8>::of(format_args!("1234"));
        text.shorten(6);
        assert_eq!(text.as_str(), "...", "one character goes, and the mark takes three");
        assert_eq!(Bounded::<2>::of(format_args!("123")).as_str(), "");
    }

    #[test]
    fn what_stands_behind_a_backslash_in_a_table_of_mounts_is_a_character() {
        for (field, shown) in [
            ("/", "/"),
            ("/a\\040b\\134c\\011d", "/a b\\c\td"),
            ("/\\377\\101\\027", "/\u{ff}A\u{17}"),
            ("\\04", "\\04"),
            ("\\400\\080\\008", "\\400\\080\\008"),
            ("é\\040é", "é é"),
        ] {
            assert_eq!(MountField(field).to_string(), shown, "{field}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_bounded(a in ".{0,20}", b in ".{0,20}", len in 0usize..20) {
            let mut text = Bounded::<16>::of(format_args!("{a}{b}"));
            prop_assert!(text.as_str().len() <= 16);
            let before = text.as_str().len();
            text.shorten(len);
            prop_assert!(text.as_str().len() < before.max(len + 1).max(CUT.len() + 1));
        }
    }
}
