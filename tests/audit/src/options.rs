//! The command line of `cargo audit-scope`.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

/// What `--help` prints.
pub const HELP: &str = "\
usage: cargo audit-scope [OPTION...]

What a build of nanova consists of and what it may do: files of ours in reading order, crates of others, unsafe with its
reasons, every system call, memory, and places that can panic, from the compiler's records and the linked program.

  --profile NAME       one of `.ci/run`'s profiles; full by default
  --features LIST      cargo features, in the place of a profile
  --target TRIPLE      for another machine; RUSTC_BOOTSTRAP=1 builds core for it, too
  --json               as JSON
  --sbom               as a bill of materials: CycloneDX 1.5
  --figures            in one line
  --where ADDRESS...   the function and line of addresses that a bug in nanova was reported with
  --binary FILE        fails if this file is another program than the one that is built
  --check              compares AUDIT.md and agent/syscalls with what every profile is
  --write              writes them
  --help               prints this

exit status: 0 done, 1 it could not be done, or a check failed, 2 usage
";

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Task {
    /// All of it, to read.
    #[default]
    Text,
    /// The same for programs.
    Json,
    /// A bill of materials.
    Sbom,
    /// One line.
    Figures,
    /// Whether what is kept is true.
    Check,
    /// To keep it.
    Write,
    /// The usage.
    Help,
}

/// The command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What to do.
    pub task: Task,
    /// A profile's name.
    pub profile: Option<String>,
    /// Features in the place of a profile.
    pub features: Option<String>,
    /// A target triple.
    pub triple: Option<String>,
    /// A file that should be the same.
    pub binary: Option<PathBuf>,
    /// Addresses to locate.
    pub addresses: Vec<u64>,
}

/// Reads it.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("profile") => options.profile = Some(parser.value()?.string()?),
            Long("features") => options.features = Some(parser.value()?.string()?),
            Long("target") => options.triple = Some(parser.value()?.string()?),
            Long("binary") => options.binary = Some(parser.value()?.into()),
            Long("where") => {
                for value in parser.values()? {
                    options.addresses.push(value.parse_with(address)?);
                }
            }
            Long("json") => options.task = Task::Json,
            Long("sbom") => options.task = Task::Sbom,
            Long("figures") => options.task = Task::Figures,
            Long("check") => options.task = Task::Check,
            Long("write") => options.task = Task::Write,
            Short('h') | Long("help") => options.task = Task::Help,
            other => return Err(other.unexpected()),
        }
    }
    if options.profile.is_some() && options.features.is_some() {
        return Err("--profile and --features say the same".into());
    }
    Ok(options)
}

/// As the agent prints one, with or without 0x.
fn address(text: &str) -> Result<u64, std::num::ParseIntError> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_are_as_the_agent_prints_them() {
        let options = parsed("--profile commands --where 0x20c33d 20de8e").unwrap();
        assert_eq!((options.profile.as_deref(), options.addresses), (Some("commands"), vec![0x20c33d, 0x20de8e]));
        assert_eq!(
            parsed("--profile commands --features report").unwrap_err(),
            "--profile and --features say the same"
        );
        assert!(parsed("--where x").is_err());
    }
}
