//! The binary that becomes /init: given, or, from the sources, built here and now, or else the installed one.
//!
//! Guarantees: what [`get`] returns can start in an image without a loader.
//! Refuses: anything that is not a static ELF program.

use crate::elf::{self, Elf};
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The agent.
pub(crate) struct Agent {
    /// Where it came from.
    pub(crate) origin: PathBuf,
    /// The program.
    pub(crate) bytes: Vec<u8>,
    /// What it says about itself.
    pub(crate) elf: Elf,
}

/// Takes the given binary, or builds one.
pub(crate) fn get(given: Option<&Path>) -> Result<Agent> {
    let origin = match given {
        Some(path) => path.to_owned(),
        None => match installed() {
            Some(path) => path,
            None => build()?,
        },
    };
    let bytes = fs::read(&origin).with_context(|| format!("cannot read the agent {}", origin.display()))?;
    let elf = elf::read(&bytes).with_context(|| format!("the agent {}", origin.display()))?;
    let Some(elf) = elf else { bail!("the agent {} is not an ELF program", origin.display()) };
    if let Some(interpreter) = &elf.interpreter {
        bail!("the agent {} needs {interpreter}, which no initramfs has; build it static", origin.display());
    }
    ensure!(!elf.is_module(), "the agent {} is a kernel module", origin.display());
    Ok(Agent { origin, bytes, elf })
}

/// Where packages have it.
const PLACES: [&str; 2] = ["/usr/sbin/nanova", "/usr/bin/nanova"];

/// The installed one, unless cargo has called this program.
fn installed() -> Option<PathBuf> {
    let from_sources = std::env::var_os("CARGO").is_some();
    PLACES.iter().map(PathBuf::from).find(|path| !from_sources && path.is_file())
}

/// Builds the workspace's agent. Cargo itself says where the program is, whatever target directory is configured.
fn build() -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().filter(|workspace| workspace.is_dir());
    let workspace = workspace.context("nanova is not installed, and its sources are not here; name it with --agent")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", "nanova", "--bin", "nanova"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo to build the agent; give a built one with --agent")?;
    ensure!(output.status.success(), "the agent does not build (see above); give a built one with --agent");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(executable)
        .context("cargo built the agent but did not say where; give it with --agent")
}

/// The program's path, if this line of cargo's account is about it.
fn executable(line: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let is_agent = message["reason"] == "compiler-artifact" && message["target"]["name"] == "nanova";
    is_agent.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_s_account_names_the_program() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"nanova"},"executable":"/t/release/nanova"}"#;
        assert_eq!(executable(line), Some("/t/release/nanova".into()));
        for other in [r#"{"reason":"build-finished"}"#, &line.replace("\"nanova\"", "\"core\""), "Compiling"] {
            assert_eq!(executable(other), None);
        }
    }

    #[test]
    fn a_program_that_needs_a_loader_is_refused() {
        let error = get(Some(&std::env::current_exe().unwrap())).err().unwrap().to_string();
        assert!(error.contains("build it static"), "{error}");
        assert!(get(Some(Path::new("/etc/passwd"))).is_err());
        assert!(get(Some(Path::new("/nowhere"))).is_err());
    }
}
