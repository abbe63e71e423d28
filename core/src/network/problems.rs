//! What came of setting the network: what is wrong with it, collected, one sentence each, for the answer and the log.
//!
//! What has failed comes first in the message, then what of the host's words was left out. A sentence that the message
//! has no room for is logged by itself, and counted: none is ever cut, and none is lost.

use core::fmt::{self, Write};

use heapless::String;

use crate::platform::{Level, Log};
use crate::wire::text::{Bounded, Printable};

/// Longest message; a response has room for as much.
pub const MESSAGE_MAX: usize = 512;
/// A message, or a line about what was done.
pub type Line = Bounded<MESSAGE_MAX>;

/// What the part of the message begins with that names what was left out.
const LEFT_OUT: &str = "left out: ";
/// What comes between a text and the next sentence.
fn between(text: &str) -> &'static str {
    if text.is_empty() { "" } else { "; " }
}

/// Room for what stands around the sentences: [`LEFT_OUT`], and how many more there are, a number of any length.
const AROUND_MAX: usize = 64;

/// Sentences.
#[derive(Default)]
struct Sentences {
    text: String<{ MESSAGE_MAX - AROUND_MAX }>,
    count: u64,
}

impl Sentences {
    /// Adds a sentence if it leaves so much room.
    fn add(&mut self, sentence: &str, room: usize) -> bool {
        let between = between(&self.text);
        let fits = self.text.len() + between.len() + sentence.len() + room <= self.text.capacity();
        if fits {
            // There is room, for both.
            let _ = self.text.push_str(between).and_then(|()| self.text.push_str(sentence));
            self.count += 1;
        }
        fits
    }
}

/// What is wrong, so far.
#[derive(Default)]
pub struct Problems {
    failed: Sentences,
    left_out: Sentences,
    /// How many sentences are in the log alone.
    more: u64,
    /// Whether something that matters is not as it should be.
    incomplete: bool,
}

impl Problems {
    /// Nothing is wrong.
    pub fn new() -> Problems {
        Problems::default()
    }

    /// Whether every address and every default route is in force, and every file written, as far as is known.
    pub fn is_complete(&self) -> bool {
        !self.incomplete
    }

    /// `cannot …; left out: …; … and 3 more, see the log`
    pub fn message(&mut self, log: &mut dyn Log) -> Line {
        let mut line = Line::new();
        if !self.failed.text.is_empty()
            && self.failed.text.len() + self.left_out.text.len() > self.failed.text.capacity()
        {
            log.log(Level::Warn, format_args!("network: {LEFT_OUT}{}", self.left_out.text));
            self.more += self.left_out.count;
            self.left_out = Sentences::default();
        }
        let _ = line.write_str(&self.failed.text);
        if !self.left_out.text.is_empty() {
            let _ = write!(line, "{}{LEFT_OUT}{}", between(&self.failed.text), self.left_out.text);
        }
        if self.more > 0 {
            let between = between(line.as_str());
            let _ = write!(line, "{between}… and {} more, see the log", self.more);
        }
        line
    }
}

/// Where to say what is wrong.
pub(crate) struct Findings<'n> {
    /// For what the message has no room for.
    pub(crate) log: &'n mut dyn Log,
    /// What is collected.
    pub(crate) problems: &'n mut Problems,
}

impl Findings<'_> {
    /// Something has failed.
    #[inline(never)]
    pub(crate) fn fail(&mut self, text: fmt::Arguments<'_>) {
        self.problems.incomplete = true;
        let sentence = Line::of(text);
        if !self.problems.failed.add(sentence.as_str(), 0) {
            self.log_alone(&sentence);
        }
    }

    /// Something that the host says is not done, and the rest is.
    #[inline(never)]
    pub(crate) fn leave_out(&mut self, text: fmt::Arguments<'_>) {
        let sentence = Line::of(text);
        if !self.problems.left_out.add(sentence.as_str(), self.problems.failed.text.len()) {
            self.log_alone(&sentence);
        }
    }

    /// What was left out is an address or a default route.
    pub(crate) fn matters(&mut self) {
        self.problems.incomplete = true;
    }

    fn log_alone(&mut self, sentence: &Line) {
        self.problems.more += 1;
        self.log.log(Level::Warn, format_args!("network: {}", sentence.as_str()));
    }
}

/// Longest value of the host's that is shown in a sentence: an IPv6 address with its scope.
const VALUE_MAX: usize = 64;

/// Shows a value that makes no sense, as far as it says which one it is.
pub(crate) struct Value<'a>(pub(crate) &'a str);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = Bounded::<VALUE_MAX>::of(format_args!("{}", Printable(self.0)));
        f.write_str(if value.as_str().is_empty() { "nothing" } else { value.as_str() })
    }
}

/// What came of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilesOutcome {
    /// Whether all of them are written.
    pub written: bool,
    /// Whether nothing is left that would undo them.
    pub undisturbed: bool,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A log of lines.
    #[derive(Default)]
    pub(crate) struct Lines(pub(crate) Vec<std::string::String>);

    impl Log for Lines {
        fn log(&mut self, _: Level, text: fmt::Arguments<'_>) {
            self.0.push(text.to_string());
        }
    }

    #[test]
    fn what_failed_comes_first_and_what_was_left_out_behind_it() {
        let (mut log, mut problems) = (Lines::default(), Problems::new());
        let mut findings = Findings { log: &mut log, problems: &mut problems };
        findings.leave_out(format_args!("a"));
        findings.leave_out(format_args!("b"));
        assert!(problems.is_complete());
        assert_eq!(problems.message(&mut log).as_str(), "left out: a; b");
        Findings { log: &mut log, problems: &mut problems }.fail(format_args!("cannot c"));
        assert!(!problems.is_complete());
        assert_eq!(problems.message(&mut log).as_str(), "cannot c; left out: a; b");
        assert!(log.0.is_empty());
        assert_eq!(Problems::new().message(&mut log).as_str(), "");
    }

    #[test]
    fn what_the_message_has_no_room_for_is_in_the_log_and_counted() {
        let (mut log, mut problems) = (Lines::default(), Problems::new());
        for number in 0..100 {
            let mut findings = Findings { log: &mut log, problems: &mut problems };
            findings.leave_out(format_args!("{number:03} {}", "x".repeat(60)));
        }
        let message = problems.message(&mut log);
        let message = message.as_str();
        let told = message.matches("x; ").count();
        assert!(message.len() <= MESSAGE_MAX && told == 6, "{message}");
        assert!(message.ends_with("; … and 94 more, see the log"), "{message}");
        assert_eq!(log.0.len(), 94);
        assert!(log.0[0].starts_with("network: 006 x"), "{}", log.0[0]);
        // What has failed takes their place.
        for number in 0..6 {
            let mut findings = Findings { log: &mut log, problems: &mut problems };
            findings.fail(format_args!("cannot {number} {}", "y".repeat(60)));
        }
        let message = problems.message(&mut log);
        let message = message.as_str();
        assert!(message.starts_with("cannot 0 y") && message.ends_with("y; … and 100 more, see the log"), "{message}");
        assert!(message.len() <= MESSAGE_MAX && !message.contains("left out"), "{message}");
        assert!(log.0[94].starts_with("network: left out: 000 x"), "{}", log.0[94]);
        // One that is longer than any message is in the log, too.
        let mut problems = Problems::new();
        Findings { log: &mut log, problems: &mut problems }.fail(format_args!("{}", "z".repeat(600)));
        assert_eq!(problems.message(&mut log).as_str(), "… and 1 more, see the log");
        assert!(log.0[95].contains("zzz"));
    }

    #[test]
    fn a_value_is_shown_as_far_as_it_says_which_one_it_is() {
        assert_eq!(Value("a\nb").to_string(), "a\\x0ab");
        assert_eq!(Value("").to_string(), "nothing");
        assert_eq!(Value(&"x".repeat(100)).to_string().len(), VALUE_MAX);
    }
}
