//! `cargo audit-scope`: what a build of nanova consists of, and what it may do.
//!
//! Exit status: 0 when that was done, 1 when it could not be or a check failed, 2 for a wrong command line.

use std::process::ExitCode;

use anyhow::{Context, Result};
use nanova_audit::build::{Build, Profile, workspace};
use nanova_audit::options::{self, Options, Task};
use nanova_audit::report::Report;
use nanova_audit::{locate, page, sbom};

fn main() -> ExitCode {
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => return complain(&format!("{error}; --help tells more"), 2),
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("{error:#}"), 1),
    }
}

fn complain(message: &str, status: u8) -> ExitCode {
    eprintln!("audit-scope: {message}");
    ExitCode::from(status)
}

fn run(options: &Options) -> Result<()> {
    match options.task {
        Task::Help => print!("{}", options::HELP),
        Task::Check | Task::Write => all(options)?,
        _ => one(options)?,
    }
    Ok(())
}

/// About one build.
fn one(options: &Options) -> Result<()> {
    let profile = profile(options)?;
    let build = Build::of(&profile, options.triple.as_deref())?;
    if let Some(file) = &options.binary {
        locate::ensure_same(&build, file)?;
    }
    if !options.addresses.is_empty() {
        print!("{}", locate::locate(&build, &options.addresses)?);
        return Ok(());
    }
    let report = Report::of(&profile, &build)?;
    match options.task {
        Task::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Task::Sbom => println!("{}", serde_json::to_string_pretty(&sbom::bill(&report, &build)?)?),
        Task::Figures => println!("{}", report.figures()),
        _ => print!("{report}"),
    }
    Ok(())
}

fn profile(options: &Options) -> Result<Profile> {
    if let Some(features) = &options.features {
        return Ok(Profile { name: features.clone(), features: Some(features.clone()) });
    }
    let name = options.profile.as_deref().unwrap_or("full");
    let mut all = Profile::all(workspace())?.into_iter();
    all.find(|profile| profile.name == name).with_context(|| format!(".ci/run has no profile {name}"))
}

/// About what is kept of all of them.
fn all(options: &Options) -> Result<()> {
    let mut reports = Vec::new();
    for profile in Profile::all(workspace())? {
        let build = Build::of(&profile, options.triple.as_deref())?;
        let report = Report::of(&profile, &build)?;
        println!("{}", report.figures());
        reports.push(report);
    }
    let writes = options.task == Task::Write;
    for report in &reports {
        let path = page::list_path(workspace(), report);
        if writes {
            std::fs::create_dir_all(path.parent().context("a list is in a folder")?)?;
            std::fs::write(&path, page::list(report))?;
        } else {
            page::check_list(workspace(), report)?;
        }
    }
    // The page is about one kind of machine.
    if options.triple.is_none() && cfg!(target_arch = "x86_64") {
        if writes {
            std::fs::write(workspace().join("AUDIT.md"), page::page(&reports))?;
        } else {
            page::check_page(workspace(), &reports)?;
        }
    }
    Ok(())
}
