//! Takes a command line apart: options with and without values, clusters of short ones, `--`.

use crate::cli::UsageError;
use crate::wire::text::number;

/// One word of the command line.
#[derive(Clone, Copy)]
pub(super) enum Word<'a> {
    /// `-x`, alone or in a cluster; with the argument that it stands in.
    Short(char, &'a str),
    /// `--name` or `--name=value`, the dashes with the name.
    Long(&'a str),
    /// Anything else.
    Operand(&'a str),
}

/// Takes the command line apart.
pub(super) struct Words<'a, I> {
    arguments: I,
    /// The rest of a cluster of short options, and the argument it is in.
    cluster: (&'a str, &'a str),
    /// The value behind `=` of the long option last returned.
    inline: Option<&'a str>,
    options_over: bool,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Words<'a, I> {
    pub(super) fn new(arguments: I) -> Words<'a, I> {
        Words { arguments, cluster: ("", ""), inline: None, options_over: false }
    }

    /// The next word.
    pub(super) fn next(&mut self) -> Result<Option<Word<'a>>, UsageError<'a>> {
        let (cluster, whole) = self.cluster;
        if let Some(c) = cluster.chars().next() {
            self.cluster.0 = &cluster[c.len_utf8()..];
            return Ok(Some(Word::Short(c, whole)));
        }
        self.inline = None;
        let Some(argument) = self.argument()? else { return Ok(None) };
        if self.options_over || argument == "-" || !argument.starts_with('-') {
            return Ok(Some(Word::Operand(argument)));
        }
        if argument == "--" {
            self.options_over = true;
            return self.next();
        }
        if argument.starts_with("--") {
            let (name, value) = argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value)));
            self.inline = value;
            return Ok(Some(Word::Long(name)));
        }
        self.cluster = (&argument[1..], argument);
        self.next()
    }

    fn argument(&mut self) -> Result<Option<&'a str>, UsageError<'a>> {
        self.arguments.next().map(|bytes| core::str::from_utf8(bytes).map_err(|_| UsageError::NotText)).transpose()
    }

    /// The value of the option last returned.
    pub(super) fn value(&mut self, option: &'a str) -> Result<&'a str, UsageError<'a>> {
        if let Some(value) = self.inline.take() {
            return Ok(value);
        }
        let (cluster, whole) = self.cluster;
        if !cluster.is_empty() {
            self.cluster = ("", whole);
            return Ok(cluster);
        }
        self.argument()?.ok_or(UsageError::Value(option))
    }

    pub(super) fn number(&mut self, option: &'a str) -> Result<u32, UsageError<'a>> {
        number(self.value(option)?).ok_or(UsageError::Value(option))
    }
}
