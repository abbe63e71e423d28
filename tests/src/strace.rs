//! The agent under strace(1): what it asks of the kernel, and what becomes of it when it is killed in the middle.
//!
//! Guarantees: the process that is started is the agent itself, with strace as a process beside it (`-D`).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::agent::binary;

/// A command that becomes `nanova`, watched by strace with these options.
pub fn nanova<S: AsRef<OsStr>>(options: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("strace");
    command.args(["-D", "-qq"]).args(options).arg(binary());
    command
}

/// The names of the system calls in a trace, in order; signals and exits left out.
pub fn calls(trace: &Path) -> Vec<String> {
    let text = std::fs::read(trace).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let name = |line: &str| line.split_once('(').map(|(name, _)| name.to_owned());
    text.lines().filter_map(name).filter(|name| name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')).collect()
}

/// How often each is in there.
pub fn count(calls: &[String]) -> BTreeMap<String, usize> {
    calls.iter().fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name.clone()).or_default() += 1;
        counts
    })
}
