//! Takes a command line apart: options with and without values, clusters of short ones, `--`.

use crate::cli::usage::UsageError;
use crate::wire::text::number;

/// One word of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// An option: `--name`, or the letter alone of a short one, whether it stands alone or in a cluster.
    Option(&'a str),
    /// Anything else.
    Operand(&'a str),
}

/// What is asked for instead of anything to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A page of help.
    Help,
    /// The version.
    Version,
}

/// Takes the command line apart. Whoever reads the words need not look after each of them: what is wrong is remembered
/// here, and no more words come.
pub(super) struct Words<'a, I> {
    arguments: I,
    /// The next argument, if it was looked at already.
    ahead: Option<&'a [u8]>,
    /// The argument that the word last returned stands in.
    argument: &'a str,
    /// The rest of a cluster of short options.
    cluster: &'a str,
    /// The value behind `=` of the long option last returned.
    inline: Option<&'a str>,
    options_over: bool,
    asks_for: Option<Asked>,
    failed: Option<UsageError<'a>>,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Words<'a, I> {
    pub(super) fn new(arguments: I) -> Words<'a, I> {
        Words {
            arguments,
            ahead: None,
            argument: "",
            cluster: "",
            inline: None,
            options_over: false,
            asks_for: None,
            failed: None,
        }
    }

    /// The next word; none behind the last, behind one that makes no sense, and behind one that asks for help or the
    /// version.
    #[inline(never)]
    pub(super) fn next(&mut self) -> Option<Word<'a>> {
        if self.inline.take().is_some() {
            self.fail(UsageError::NoValue(self.argument));
        }
        let word = self.read().filter(|_| self.failed.is_none() && self.asks_for.is_none())?;
        self.asks_for = match word {
            Word::Option("h" | "--help") => Some(Asked::Help),
            Word::Option("V" | "--version") => Some(Asked::Version),
            _ => return Some(word),
        };
        None
    }

    fn read(&mut self) -> Option<Word<'a>> {
        if self.cluster.is_empty() {
            self.argument = self.take()?;
            if self.argument == "--" && !self.options_over {
                self.options_over = true;
                self.argument = self.take()?;
            }
            let argument = self.argument;
            let letters = argument.strip_prefix('-').filter(|letters| !letters.is_empty() && !self.options_over);
            let Some(letters) = letters else { return Some(Word::Operand(argument)) };
            if argument.starts_with("--") {
                if let Some((name, value)) = argument.split_once('=') {
                    (self.argument, self.inline) = (name, Some(value));
                }
                return Some(Word::Option(self.argument));
            }
            self.cluster = letters;
        }
        let letter = self.cluster.chars().next()?;
        let (letter, rest) = self.cluster.split_at_checked(letter.len_utf8())?;
        self.cluster = rest;
        Some(Word::Option(letter))
    }

    /// The next argument, whatever it begins with.
    fn take(&mut self) -> Option<&'a str> {
        let argument = core::str::from_utf8(self.ahead.take().or_else(|| self.arguments.next())?);
        if argument.is_err() {
            self.fail(UsageError::NotText);
        }
        argument.ok()
    }

    /// The value of the option last returned; empty if it has none.
    #[inline(never)]
    pub(super) fn value(&mut self) -> &'a str {
        let cluster = core::mem::take(&mut self.cluster);
        let here = self.inline.take().or(Some(cluster).filter(|cluster| !cluster.is_empty()));
        let option = self.argument;
        here.or_else(|| self.take()).unwrap_or_else(|| {
            self.fail(UsageError::LacksValue(option));
            ""
        })
    }

    /// The value of the option last returned, which need not have one: what looks like an option is none.
    pub(super) fn value_if_any(&mut self) -> Option<&'a str> {
        self.ahead = self.ahead.take().or_else(|| self.arguments.next());
        let follows = match self.ahead {
            // A negative number is a value, as it is to Python.
            Some([b'-', b'0'..=b'9', ..] | [b'-']) => true,
            Some(argument) => !argument.starts_with(b"-"),
            None => false,
        };
        (follows || self.inline.is_some()).then(|| self.value())
    }

    /// The value of the option last returned that stands behind `=`; the next word is none.
    #[cfg(feature = "lockdown")]
    pub(super) fn value_behind_equals(&mut self) -> Option<&'a str> {
        self.inline.take()
    }

    /// The same as one of those that `named` knows, and that are called so for a person.
    pub(super) fn choice<T>(&mut self, choices: &'static str, named: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = self.value();
        let choice = named(value);
        if choice.is_none() {
            self.refuse_value(value, choices);
        }
        choice
    }

    /// The same as a number.
    #[inline(never)]
    pub(super) fn number(&mut self) -> u32 {
        self.choice("a number", number).unwrap_or_default()
    }

    /// Nobody takes the option last returned.
    pub(super) fn refuse(&mut self) {
        self.fail(UsageError::Option(self.argument, None));
    }

    /// The value of the option last returned is not one of those that it takes.
    pub(super) fn refuse_value(&mut self, value: &'a str, choices: &'static str) {
        self.fail(UsageError::Value { option: self.argument, value, choices });
    }

    /// The command line makes no sense. The first reason counts.
    #[inline(never)]
    pub(super) fn fail(&mut self, error: UsageError<'a>) {
        self.failed.get_or_insert(error);
    }

    /// Whether all words made sense, and what is asked for instead of anything to be done.
    pub(super) fn end(&self) -> Result<Option<Asked>, UsageError<'a>> {
        match (self.asks_for, self.failed) {
            (None, Some(error)) => Err(error),
            (asked, _) => Ok(asked),
        }
    }
}
