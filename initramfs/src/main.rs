//! `cargo initramfs`: a bootable initramfs around the nanova binary, and the hooks that bring nanova into the images
//! of other builders.
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

use options::Task;
use std::process::ExitCode;

fn main() -> ExitCode {
    let task = match options::parse(lexopt::Parser::from_env()) {
        Ok(task) => task,
        Err(error) => {
            eprintln!("cargo initramfs: {error}\nTry 'cargo initramfs --help'.");
            return ExitCode::from(2);
        }
    };
    let done = match task {
        Task::Help => {
            print!("{}", options::HELP);
            Ok(())
        }
        Task::Build(build) => image::build(&build),
        Task::InstallHooks(destination) => hooks::install(&destination),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo initramfs: {error:#}");
            ExitCode::from(1)
        }
    }
}
