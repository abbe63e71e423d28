//! `nanova xenstore TOOL` and `nanova status`, and the tools' own names: `xenstore-read` and so on.

use crate::cli::common::Common;
use crate::cli::usage::{OPERANDS_MAX, UsageError};
use crate::cli::words::{Word, Words};

pub(super) const HELP: &str = "\
nanova xenstore TOOL …    (also as xenstore-TOOL)

  read [-p] [-R] PATH…    -p with their paths, -R as they are
  write [-R] PATH VALUE …  all or none; -R without escapes (\\n, \\x41)
  ls [-f] [-p] [PATH]     -f whole paths, -p permissions
  list [-p] PATH…
  exists PATH…
  rm [-t] PATH…           -t parents left empty, too
  mkdir PATH…
  chmod [-r] [-u] PATH MODE…  owner first: n0 r7; -r all below, -u all above, too
  watch [-n COUNT] PATH…
  -s                      a socket, not the device
Paths without a leading slash are below the domain's own home.
";

pub(super) const STATUS: &str = "\
nanova status [--json]

Whether all is well (exit status 0, or 1), what the host says, what is published, and why not.
--json: {\"well\":true,\"summary\":TEXT,\"keys\":{KEY:VALUE,…},\"missing\":{KEY:WHY,…}}
";

/// The operands of a call.
pub type Operands<'a> = heapless::Vec<&'a str, OPERANDS_MAX>;

/// An operation of the xenstore tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Print values.
    #[default]
    Read,
    /// Write values.
    Write,
    /// Print a tree.
    Ls,
    /// Print the names of children.
    List,
    /// Say whether nodes are there.
    Exists,
    /// Remove nodes.
    Rm,
    /// Make nodes.
    Mkdir,
    /// Change permissions.
    Chmod,
    /// Print events.
    Watch,
    /// Print one page about the guest: `nanova status`.
    Status,
}

impl Tool {
    /// The tools, by name.
    pub const ALL: [(&'static str, Tool); 9] = [
        ("read", Tool::Read),
        ("write", Tool::Write),
        ("ls", Tool::Ls),
        ("list", Tool::List),
        ("exists", Tool::Exists),
        ("rm", Tool::Rm),
        ("mkdir", Tool::Mkdir),
        ("chmod", Tool::Chmod),
        ("watch", Tool::Watch),
    ];

    /// What there is, for a person.
    const ARE: &'static str = "a tool is read, write, ls, list, exists, rm, mkdir, chmod or watch";

    pub(super) fn named(name: &str) -> Option<Tool> {
        Tool::ALL.iter().find(|(known, _)| *known == name).map(|(_, tool)| *tool)
    }

    /// What it lacks, if so many operands are not what it needs.
    fn lacks(self, operands: usize) -> Option<&'static str> {
        match (self, operands) {
            (Tool::Ls, _) | (Tool::Status, 0) => None,
            (Tool::Status, _) => Some("status takes no words"),
            (Tool::Write, operands) if operands == 0 || operands % 2 == 1 => {
                Some("write needs pairs of a path and a value")
            }
            (Tool::Chmod, 0 | 1) => Some("chmod needs a path and modes such as n0 r7"),
            (_, 0) => Some("a path is needed"),
            _ => None,
        }
    }
}

/// A call of one of the xenstore tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XenstoreCall<'a> {
    /// The operation.
    pub tool: Tool,
    /// Paths, values, modes.
    pub operands: Operands<'a>,
    /// `read -p`, `list -p`: print the path before what belongs to it.
    pub prefix: bool,
    /// `read -R`, `write -R`: values as they are, without escapes.
    pub raw: bool,
    /// `ls -f`: print whole paths.
    pub full: bool,
    /// `ls -p`: print permissions, too.
    pub permissions: bool,
    /// `rm -t`: remove parents that have become empty.
    pub tidy: bool,
    /// `chmod -r`: all below, too.
    pub recursive: bool,
    /// `chmod -u`: all above, too.
    pub upwards: bool,
    /// `status --json`: for programs.
    pub json: bool,
    /// `watch -n`: how many events.
    pub events: Option<u32>,
}

impl<'a> XenstoreCall<'a> {
    /// Takes an option that only some of the tools take; returns whether this one does.
    fn takes<I: Iterator<Item = &'a [u8]>>(&mut self, tool: Tool, letter: &str, words: &mut Words<'a, I>) -> bool {
        let flag = match (tool, letter) {
            (Tool::Read | Tool::List, "p") => &mut self.prefix,
            (Tool::Read | Tool::Write, "R") => &mut self.raw,
            (Tool::Ls, "f") => &mut self.full,
            (Tool::Ls, "p") => &mut self.permissions,
            (Tool::Rm, "t") => &mut self.tidy,
            (Tool::Chmod, "r") => &mut self.recursive,
            (Tool::Chmod, "u") => &mut self.upwards,
            (Tool::Status, "--json") => &mut self.json,
            (Tool::Watch, "n") => {
                self.events = Some(words.number());
                return true;
            }
            _ => return false,
        };
        *flag = true;
        true
    }
}

/// Reads the rest of its words, the first of which is the tool if none is given.
pub(super) fn parse<'a, I: Iterator<Item = &'a [u8]>>(
    mut tool: Option<Tool>,
    common: &mut Common<'a>,
    words: &mut Words<'a, I>,
) -> XenstoreCall<'a> {
    let mut call = XenstoreCall::default();
    while let Some(word) = words.next() {
        match (word, tool) {
            (Word::Option(letter), Some(tool)) if call.takes(tool, letter, words) => {}
            (word, _) if common.takes(word, words) => {}
            (Word::Option("--socket" | "s"), _) => common.sockets_only = true,
            (Word::Option(_), _) => words.refuse(),
            (Word::Operand(operand), Some(_)) if call.operands.push(operand).is_ok() => {}
            (Word::Operand(_), Some(_)) => words.fail(UsageError::TooMany),
            (Word::Operand(name), None) => match Tool::named(name) {
                None => words.fail(UsageError::Operands(Tool::ARE)),
                known => tool = known,
            },
        }
    }
    match tool {
        None => words.fail(UsageError::Nothing),
        Some(tool) => {
            call.tool = tool;
            if let Some(needed) = tool.lacks(call.operands.len()) {
                words.fail(UsageError::Operands(needed));
            }
        }
    }
    call
}
