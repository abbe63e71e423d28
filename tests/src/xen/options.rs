//! The command line of `cargo xen-test`.
//!
//! Guarantees: a word that selects nothing is an error, so a misspelt case is never a silent success.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

use super::packages::Xen;

/// What `--help` prints.
pub const HELP: &str = "\
Run nanova as a guest's first process on a real Xen hypervisor, in QEMU, and play nova from dom0.

usage: cargo xen-test [options] [WORD]...

  WORD          a group (pv, pvh, debian, start, life, many; --all --list names the others) or a part of a case's
                name. Groups narrow the choice of machines, the other words that of cases: `pv save reboot` runs two
                cases on one machine
  --xen VERSION only machines with this Xen: 4.17 (Debian 12's, Linux 6.1) or 4.20 (Debian 13's, Linux 6.12)
  --all         every guest type with every kernel and both xenstored, both Debians, six guests at once, and what guests
                live through, such as migrations (default: for each Xen two machines that have each kind once, a
                Debian with systemd that boots twice, and the starts)
  --list        name the groups and cases, run nothing
  --agent FILE  test this binary (default: build the release profile)
  --keep        when the cases are through, run lines from standard input in dom0, until its end; one machine at a time

Times are told and nothing fails by them, so a busy machine only takes longer. What hangs is given up after five to ten
minutes. In the build folder xen-test/report.html shows what came out (report.txt the same as text), and logs are kept
below xen-lab/VERSION/out/GROUP. Exit status: 0 all passed, 1 some failed, 2 usage.
";

/// What the caller wants.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Groups and parts of case names.
    pub words: Vec<String>,
    /// Run all groups, not the usual ones alone.
    pub all: bool,
    /// Only machines with this Xen.
    pub xen: Option<Xen>,
    /// Only name the cases.
    pub list: bool,
    /// Print [`HELP`].
    pub help: bool,
    /// The binary to test.
    pub agent: Option<PathBuf>,
    /// Go on with standard input.
    pub keep: bool,
}

/// Reads the arguments. A `--` in front of them all is passed over: the cargo alias has one already, and a habit adds
/// another.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, lexopt::Error> {
    let mut arguments = arguments.into_iter().peekable();
    arguments.next_if(|first| first == "--");
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut options = Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => options.help = true,
            Long("all") => options.all = true,
            Long("xen") => options.xen = Some(parser.value()?.parse_with(version)?),
            Long("list") => options.list = true,
            Long("keep") => options.keep = true,
            Long("agent") => options.agent = Some(parser.value()?.into()),
            Value(word) => options.words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

fn version(name: &str) -> Result<Xen, String> {
    let known = Xen::ALL.map(Xen::version);
    let found = Xen::ALL.into_iter().find(|xen| xen.version() == name);
    found.ok_or_else(|| format!("there is no Xen {name} here, only {}", known.join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_options_may_mix() {
        let parse = |words: &[&str]| parse(words.iter().map(OsString::from));
        let options = parse(&["pv", "--agent", "x", "save"]).unwrap();
        assert_eq!(options.words, ["pv", "save"]);
        assert_eq!(options.agent, Some("x".into()));
        assert!(parse(&["--", "--list"]).unwrap().list);
        assert!(parse(&["--all"]).unwrap().all);
        assert_eq!(parse(&["--xen", "4.20"]).unwrap().xen, Some(Xen::V4_20));
        assert!(parse(&["--xen", "4.18"]).is_err());
        assert!(parse(&["--no-such"]).is_err());
    }
}
