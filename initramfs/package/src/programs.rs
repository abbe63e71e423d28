//! The programs beside the agent, with Rust's standard library and the C library in them: one static file each, for
//! dom0 and for whoever makes initramfs images. Given, or built here and now.
//!
//! Guarantees: at most one of a name and a processor, static. Refuses: what has another name, or is no static ELF
//! program for a processor that something is made for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nanova_tests::agent::{self, TELL};

use crate::agents::{Processor, has_core, processor};
use crate::tools;

/// What they are called.
pub(crate) const NAMES: [&str; 2] = ["nanova-host", "nanova-initramfs"];

/// One of them.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its name.
    pub(crate) name: &'static str,
    /// For whom it is.
    pub(crate) processor: &'static Processor,
    /// The program.
    pub(crate) bytes: Vec<u8>,
}

/// Takes the given ones, or builds all for each of these processors.
pub(crate) fn get(given: &[PathBuf], processors: &[&'static Processor]) -> Result<Vec<Program>> {
    if given.is_empty() {
        return processors.iter().flat_map(|processor| NAMES.map(|name| built(name, processor))).collect();
    }
    let mut programs: Vec<Program> = Vec::new();
    for path in given {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(name) = NAMES.into_iter().find(|known| *known == name) else {
            bail!("{}: a program is called {}", path.display(), NAMES.join(" or "))
        };
        let program = read(name, path)?;
        let is_it = |other: &&Program| (other.name, other.processor) == (name, program.processor);
        ensure!(!programs.iter().any(|other| is_it(&other)), "{}: a second one for its processor", path.display());
        programs.push(program);
    }
    Ok(programs)
}

fn read(name: &'static str, path: &Path) -> Result<Program> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let processor = processor(&bytes).with_context(|| format!("the program {}", path.display()))?;
    Ok(Program { name, processor, bytes })
}

fn built(name: &'static str, processor: &'static Processor) -> Result<Program> {
    let path = build(name, processor).with_context(|| {
        format!(
            "no {name} for {0}: `rustup target add {0}-unknown-linux-gnu`, for aarch64 gcc-aarch64-linux-gnu and \
             libc6-dev-arm64-cross; or give one with --program",
            processor.name
        )
    })?;
    let program = read(name, &path)?;
    ensure!(program.processor == processor, "{} is not for {}", path.display(), processor.name);
    Ok(program)
}

/// This machine's as everybody builds it; another one's by the pinned compiler where that has its standard library,
/// else by Debian's, which can build that itself.
fn build(name: &str, processor: &Processor) -> Result<PathBuf> {
    let triple = format!("{}-unknown-linux-gnu", processor.name);
    let is_here = processor.name == std::env::consts::ARCH;
    let mut cargo = agent::cargo();
    let mut options = if is_here { vec![] } else { vec!["--target", &triple] };
    if !is_here && !has_core(&triple) {
        cargo = tools::debian_cargo(&triple)?;
        options.push("-Zbuild-std=std,panic_abort");
    }
    let target = agent::target_dir();
    let target = if is_here { target } else { target.join("musl") };
    cargo.args(["build", "--quiet", "--locked", "--release", "--package", name, TELL]).args(options);
    agent::executable(cargo.arg("--target-dir").arg(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_name_and_one_for_each_processor() {
        let home = tempfile::tempdir().unwrap();
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(64, 0);
        bytes[18] = 62;
        let [host, other] = ["nanova-host", "other"].map(|name| home.path().join(name));
        fs::write(&host, &bytes).unwrap();
        fs::write(&other, &bytes).unwrap();
        let one = get(std::slice::from_ref(&host), &[]).unwrap();
        assert_eq!((one[0].name, one[0].processor.name, one.len()), ("nanova-host", "x86_64", 1));
        let wrong = |given: &[PathBuf]| get(given, &[]).unwrap_err().to_string();
        assert!(wrong(&[host.clone(), host]).ends_with("a second one for its processor"));
        assert!(wrong(&[other]).ends_with("a program is called nanova-host or nanova-initramfs"));
    }
}
