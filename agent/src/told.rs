//! Programs that are to be told something, such as network managers: while some are being told, others wait here.

use core::ffi::CStr;

use nanova_core::platform::Argv;

/// Room for the words of programs that are to be told something.
const TOLD_MAX: usize = 1536;
/// Most words of one.
const WORDS_MAX: usize = 16;
/// Programs that are to be run, one after the other.
pub(crate) struct Told(heapless::Vec<u8, TOLD_MAX>);

impl Told {
    pub(crate) const fn new() -> Told {
        Told(heapless::Vec::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a program: its words, each with its zero byte, and one more. Returns whether there was room.
    pub(crate) fn add(&mut self, program: Argv<'_>) -> bool {
        let len = self.0.len();
        let mut words = program.iter().map(|word| word.to_bytes_with_nul()).chain([&b"\0"[..]]);
        let fits = words.all(|word| self.0.extend_from_slice(word).is_ok());
        if !fits {
            self.0.truncate(len);
        }
        fits
    }

    /// Calls `each` with every program.
    pub(crate) fn for_each(&self, each: &mut dyn FnMut(Argv<'_>)) {
        let (mut rest, mut program) = (&self.0[..], heapless::Vec::<&CStr, WORDS_MAX>::new());
        while let Ok(word) = CStr::from_bytes_until_nul(rest) {
            rest = rest.get(word.count_bytes() + 1..).unwrap_or_default();
            if !word.is_empty() {
                // A longer one is none of ours.
                let _ = program.push(word);
                continue;
            }
            each(&program);
            program.clear();
        }
    }
}
