//! `nanova-initramfs`, from the sources `cargo initramfs`: a bootable initramfs around the nanova binary, and the hooks
//! that bring nanova into the images of other builders.
//!
//! Guarantees: the same input gives the same bytes; nothing needs root; an output file is complete or not there.
//! Refuses: an agent that cannot run (dynamically linked, or for another processor than the modules), a module nobody
//! knows, two different things at one path.
//!
//! Way of the data: [`options`] -> [`image`] (asks [`agent`], [`modules`] and [`add`] for their parts, puts them into
//! one [`tree`]) -> [`archive`] -> [`compress`] -> one file. [`hooks`] stands alone.

mod add;
mod agent;
mod archive;
mod compress;
mod elf;
mod hooks;
mod image;
mod modules;
mod options;
mod tree;

use anyhow::{Context, Result};
use options::Task;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// What is called when something goes wrong: by cargo, or as an installed program.
fn called() -> &'static str {
    if std::env::var_os("CARGO_MANIFEST_DIR").is_some() { "cargo initramfs" } else { "nanova-initramfs" }
}

/// Prints a text. Whoever has read enough of it is no reason to fail.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot print what was done"),
    }
}

fn main() -> ExitCode {
    let task = match options::parse(lexopt::Parser::from_env()) {
        Ok(task) => task,
        Err(error) => {
            eprintln!("{0}: {error}\nTry '{0} --help'.", called());
            return ExitCode::from(2);
        }
    };
    let done = match task {
        Task::Help => print(options::HELP),
        Task::Build(build) => image::build(&build),
        Task::InstallHooks(destination) => hooks::install(&destination),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error:#}", called());
            ExitCode::from(1)
        }
    }
}
