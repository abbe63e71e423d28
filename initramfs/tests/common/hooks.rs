//! The hooks, installed by the real program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Installs all hooks below `root`; their paths.
pub(crate) fn install(root: &Path) -> Vec<PathBuf> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_nanova-initramfs"));
    let output = program.arg("--install-hooks").arg(root).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(PathBuf::from).collect()
}

/// Runs a program.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}
