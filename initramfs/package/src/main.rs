//! `cargo package-nanova`: what people install, from one agent a processor: packages of four distributions' kinds, a
//! tarball, an OCI image, a system extension, initramfs images; with sums, a bill of materials and, given a key, a
//! signature.
//!
//! Guarantees: the same sources, agents and SOURCE_DATE_EPOCH give the same bytes; nothing needs root; nothing is
//! installed. Refuses: an agent that is not static, or for a processor that nothing is made for.
//!
//! Way of the data: [`options`] -> [`agents`], [`programs`] (given or built) -> [`stage`] (one folder a processor with
//! all that goes into anything, [`pages`] among it) -> [`packages`], [`tarball`], [`oci`], [`sysext`], [`images`] ->
//! [`sums`]. What a package holds is no code: a file `<name>.yaml` beside this folder is a package.

mod agents;
mod images;
mod notices;
mod oci;
mod options;
mod packages;
mod pages;
mod programs;
mod stage;
mod sums;
mod sysext;
mod tarball;
mod tools;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use options::{Options, Part, Task};

fn main() -> ExitCode {
    let options = match options::parse(lexopt::Parser::from_env()) {
        Ok(Task::Help) => {
            print!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Task::Package(options)) => options,
        Ok(Task::Pages(folder)) => return ended(write_pages(&folder)),
        Err(error) => {
            eprintln!("cargo package-nanova: {error}\nTry 'cargo package-nanova --help'.");
            return ExitCode::from(2);
        }
    };
    ended(run(&options))
}

fn ended(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo package-nanova: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn write_pages(folder: &Path) -> Result<()> {
    let time = stage::time()?;
    pages::write(folder, env!("CARGO_PKG_VERSION"), &stage::day(time)?)
}

fn run(options: &Options) -> Result<()> {
    let release = stage::Release::new(options)?;
    if options.output.exists() {
        fs::remove_dir_all(&options.output).with_context(|| format!("cannot empty {}", options.output.display()))?;
    }
    fs::create_dir_all(&options.output).with_context(|| format!("cannot make {}", options.output.display()))?;
    let agents = agents::get(&options.agents)?;
    let packed = [Part::Deb, Part::Rpm, Part::Apk, Part::Archlinux, Part::Tarball];
    let programs = match packed.into_iter().any(|part| options.wants(part)) {
        true => programs::get(&options.programs, &agents.iter().map(|agent| agent.processor).collect::<Vec<_>>())?,
        false => Vec::new(),
    };
    let bill = notices::bill(options, &release)?;
    let mut stages = Vec::new();
    for agent in &agents {
        let programs = programs.iter().filter(|program| program.processor == agent.processor);
        stages.push(stage::Stage::of(&release, agent, programs, &bill)?);
    }
    for stage in &stages {
        packages::build(options, &release, stage)?;
        if options.wants(Part::Tarball) {
            tarball::build(options, &release, stage)?;
        }
        if options.wants(Part::Sysext) {
            sysext::build(options, &release, stage)?;
        }
        if options.wants(Part::Images) {
            images::build(options, &release, stage)?;
        }
    }
    for (part, purpose) in [(Part::Oci, oci::For::Containers), (Part::Talos, oci::For::Talos)] {
        if options.wants(part) {
            oci::build(options, &release, &stages, purpose)?;
        }
    }
    sums::write(options, &release)
}
