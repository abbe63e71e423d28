//! The agents that are packed: given, or built here and now.
//!
//! Guarantees: one a processor, static, in a fixed order.
//! Refuses: what is no static ELF program for one of [`Processor`], and two for the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use nanova_tests::agent;

use crate::tools;

/// What a processor is called by whom.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Processor {
    /// Rust, rpm, Arch, Alpine and `uname -m`.
    pub(crate) name: &'static str,
    /// Debian, Go (nfpm) and OCI.
    pub(crate) debian: &'static str,
    /// systemd (os-release(5), ConditionArchitecture=).
    pub(crate) systemd: &'static str,
    /// ELF's e_machine (elf.h).
    machine: u16,
}

const PROCESSORS: [Processor; 2] = [
    Processor { name: "x86_64", debian: "amd64", systemd: "x86-64", machine: 62 },
    Processor { name: "aarch64", debian: "arm64", systemd: "arm64", machine: 183 },
];

/// One agent.
#[derive(Debug)]
pub(crate) struct Agent {
    /// For whom it is.
    pub(crate) processor: &'static Processor,
    /// The program.
    pub(crate) bytes: Vec<u8>,
}

/// Takes the given ones, or builds one for each processor.
pub(crate) fn get(given: &[PathBuf]) -> Result<Vec<Agent>> {
    let mut agents = Vec::new();
    if given.is_empty() {
        for processor in &PROCESSORS {
            let path = build(processor).with_context(|| {
                format!(
                    "no agent for {0}: `rustup target add {0}-unknown-linux-musl`, or give one with --agent",
                    processor.name
                )
            })?;
            let agent = read(&path)?;
            ensure!(agent.processor == processor, "{} is not for {}", path.display(), processor.name);
            agents.push(agent);
        }
        return Ok(agents);
    }
    for processor in &PROCESSORS {
        for path in given {
            let agent = read(path)?;
            if agent.processor == processor {
                ensure!(
                    agents.last().is_none_or(|last: &Agent| last.processor != processor),
                    "{}: a second agent for {}",
                    path.display(),
                    processor.name
                );
                agents.push(agent);
            }
        }
    }
    Ok(agents)
}

fn read(path: &Path) -> Result<Agent> {
    let bytes = fs::read(path).with_context(|| format!("cannot read the agent {}", path.display()))?;
    let processor = processor(&bytes).with_context(|| format!("the agent {}", path.display()))?;
    Ok(Agent { processor, bytes })
}

/// Whom a program is for. A loader's path, which a static one has none of, is its first string where there is one.
pub(crate) fn processor(bytes: &[u8]) -> Result<&'static Processor> {
    ensure!(bytes.starts_with(b"\x7fELF\x02\x01"), "is no ELF program of 64 bits");
    let machine = bytes.get(18..20).map(|two| u16::from_le_bytes([two[0], two[1]]));
    let Some(processor) = PROCESSORS.iter().find(|one| Some(one.machine) == machine) else {
        bail!("is for a processor that nothing is made for (e_machine {machine:?})")
    };
    let head = bytes.get(..4096).unwrap_or(bytes);
    ensure!(!head.windows(8).any(|eight| eight == b"/ld-linu"), "needs a loader; build it static");
    Ok(processor)
}

/// Builds the release triple: by the pinned compiler where that has the triple's core, else as `.ci/run release` does,
/// by Debian's, which can build core itself.
fn build(processor: &Processor) -> Result<PathBuf> {
    let triple = format!("{}-unknown-linux-musl", processor.name);
    let mut cargo = agent::cargo();
    let mut options = vec!["--locked", "--target", &triple];
    if !has_core(&triple) {
        cargo = tools::debian_cargo(&triple)?;
        options.push("-Zbuild-std=core,compiler_builtins");
    }
    agent::build(&mut cargo, &agent::target_dir().join("musl"), &options)
}

pub(crate) fn has_core(triple: &str) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = tools::run(Command::new(rustc).args(["--print", "target-libdir", "--target", triple]));
    printed.is_ok_and(|folder| Path::new(String::from_utf8_lossy(&folder).trim()).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_static_program_for_a_known_processor_is_taken() {
        let mut program = b"\x7fELF\x02\x01\x01".to_vec();
        program.resize(64, 0);
        program[18] = 183;
        assert_eq!(processor(&program).unwrap().debian, "arm64");
        program[18] = 40;
        assert!(processor(&program).unwrap_err().to_string().contains("e_machine Some(40)"));
        program[18] = 62;
        program.extend(b"/lib64/ld-linux-x86-64.so.2");
        assert!(processor(&program).unwrap_err().to_string().contains("static"));
        assert!(processor(b"#!/bin/sh").is_err());
    }
}
