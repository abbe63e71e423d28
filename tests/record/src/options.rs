//! The command line of `cargo nanova-record`.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

use nanova_core::platform::Level;

/// What `--help` prints.
pub const HELP: &str = "\
usage: cargo nanova-record [OPTION...] [FILE|-]

What an agent's flight recorder has kept: FILE is a copy of /run/nanova/recorder, or what `nanova record` prints, which may
come from standard input as it is recorded (`nanova record --follow | cargo nanova-record`).

  --elf FILE           the nanova.elf of the same build; one of its build id below target/ otherwise
  --level LEVEL        error, warn, info, debug or trace (default): this and what is more important
  --request NAME       what was done from the moment on when this request was run until it was removed
  --since SECONDS      from this moment on, in seconds since the guest's start
  --until SECONDS      to this one
  --json               as JSON, a record a line
  --timeline           how long each exchange with xenstored took, as bars
  --help               prints this

exit status: 0 done, 1 it could not be done, 2 usage
";

/// The command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Only to print the usage.
    pub help: bool,
    /// The texts.
    pub elf: Option<PathBuf>,
    /// What is to be read; standard input without.
    pub file: Option<PathBuf>,
    /// The least important level that is shown.
    pub level: Option<Level>,
    /// The name of a request.
    pub request: Option<String>,
    /// In microseconds.
    pub since: Option<u64>,
    /// In microseconds.
    pub until: Option<u64>,
    /// As JSON.
    pub json: bool,
    /// As bars.
    pub timeline: bool,
}

/// Reads the command line.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("elf") => options.elf = Some(parser.value()?.into()),
            Long("level") => {
                let name = parser.value()?.string()?;
                let level = Level::named(&name).ok_or_else(|| format!("'{name}' is no level: {}", Level::CHOICES))?;
                options.level = Some(level);
            }
            Long("request") => options.request = Some(parser.value()?.string()?),
            Long("since") => options.since = Some(micros(&mut parser)?),
            Long("until") => options.until = Some(micros(&mut parser)?),
            Long("json") => options.json = true,
            Long("timeline") => options.timeline = true,
            Long("help") | Short('h') => options.help = true,
            Value(file) if options.file.is_none() => options.file = Some(file.into()),
            other => return Err(other.unexpected()),
        }
    }
    options.file = options.file.filter(|file| file.as_os_str() != "-");
    Ok(options)
}

fn micros(parser: &mut lexopt::Parser) -> Result<u64, lexopt::Error> {
    let seconds: f64 = parser.value()?.parse()?;
    Ok((seconds * 1e6) as u64)
}
