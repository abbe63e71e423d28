//! Programs of the build machine: are they there, and running one of them.
//!
//! Guarantees: a missing program is reported by name together with the Debian package that holds it, all of them at
//! once and before any work is done; a failing program is reported with its command line and the end of what it said.
//! Refuses: running anything through a shell.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// What the Xen test calls, and the Debian package that has it.
const NEEDED: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("setpriv", "util-linux"),
    ("apt-get", "apt"),
    ("apt-cache", "apt"),
    ("dpkg-deb", "dpkg"),
    ("depmod", "kmod"),
    ("busybox", "busybox-static"),
    ("musl-gcc", "musl-tools"),
    ("openssl", "openssl"),
    ("mke2fs", "e2fsprogs"),
];

/// Where administrators' programs live, even when a user's PATH leaves them out.
const EXTRA_PATH: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Fails with one sentence that names every missing program and how to get it.
pub fn require() -> Result<()> {
    let missing: Vec<_> = NEEDED.iter().filter(|(name, _)| find(name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    bail!("this machine lacks {}; on Debian: apt-get install {}", names.join(", "), packages.join(" "))
}

/// The full path of a program, looked up in PATH and in the system folders.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(EXTRA_PATH.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A command that finds `name` even in the system folders.
pub fn command(name: &str) -> Command {
    Command::new(find(name).unwrap_or_else(|| PathBuf::from(name)))
}

/// Runs to the end and returns what it printed; a status other than 0 is an error.
pub fn run(command: &mut Command) -> Result<Vec<u8>> {
    let line = describe(command);
    let output = command.output().with_context(|| format!("cannot start {line}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("{line} failed ({}): {}", output.status, last_lines(&said, 8))
}

/// The last `count` lines of a text.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy());
    words.collect::<Vec<_>>().join(" ")
}
