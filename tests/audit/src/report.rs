//! What a build consists of: all of it as data, as text for a person, and in one line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::binary::{Findings, examine};
use crate::build::{Build, Profile};
use crate::crates::{Crate, crates};
use crate::sources::{SourceFile, Unsafe, named_in, ours, unsafe_in};

/// A build, taken apart.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What it is called.
    pub profile: String,
    /// Files of ours in reading order, leaves first.
    pub files: Vec<SourceFile>,
    /// What of ours is `unsafe`.
    pub unsafes: Vec<Unsafe>,
    /// Crates of others, those in the binary first.
    pub crates: Vec<Crate>,
    /// What the binary may do.
    #[serde(flatten)]
    pub findings: Findings,
}

impl Report {
    /// Reads what cargo and the compiler have left of a build.
    pub fn of(profile: &Profile, build: &Build) -> Result<Report> {
        let mut sources = BTreeSet::new();
        for id in build.linked.iter().filter(|id| build.is_ours(id)) {
            for list in build.dep_infos(id) {
                let files = named_in(&list)?;
                sources.extend(files.into_iter().map(|file| build.workspace.join(file)));
            }
        }
        let files = ours(&build.workspace, &sources)?;
        let mut unsafes = Vec::new();
        for file in &files {
            unsafes.extend(unsafe_in(&build.workspace, &file.path)?);
        }
        let findings = examine(&build.binary, &build.workspace).with_context(|| format!("profile {}", profile.name))?;
        Ok(Report { profile: profile.name.clone(), files, unsafes, crates: crates(build)?, findings })
    }

    /// Lines of code of ours.
    pub fn lines(&self) -> usize {
        self.files.iter().map(|file| file.lines).sum()
    }

    /// Lines of code of ours that are `unsafe`.
    pub fn unsafe_lines(&self) -> usize {
        let mut lines = BTreeMap::<&str, BTreeSet<usize>>::new();
        for one in &self.unsafes {
            lines.entry(&one.file).or_default().extend(&one.lines);
        }
        lines.values().map(|lines| lines.len()).sum()
    }

    /// The crates of others in the binary.
    pub fn linked(&self) -> impl Iterator<Item = &Crate> {
        self.crates.iter().filter(|one| one.is_linked)
    }

    /// Places in our code that can panic.
    pub fn panics_of_ours(&self) -> usize {
        let places = self.findings.panics.iter().filter(|site| site.is_ours()).map(|site| &site.place);
        places.collect::<BTreeSet<_>>().len()
    }

    /// The files of ours that have such places.
    pub fn files_that_panic(&self) -> impl Iterator<Item = &str> {
        let ours = self.findings.panics.iter().filter(|site| site.is_ours());
        ours.filter_map(|site| Some(site.place.split_once(':')?.0))
    }

    /// Memory of the file that the program can change, and that it can execute, in bytes.
    pub fn memory(&self) -> (u64, u64) {
        let of = |is: fn(&crate::binary::Memory) -> bool| {
            self.findings.memory.iter().filter(|part| is(part)).map(|part| part.size).sum()
        };
        (of(|part| part.is_writable), of(|part| part.is_executable))
    }

    /// The figures alone.
    pub fn figures(&self) -> String {
        format!(
            "{:12} lines {:6} crates {:3} system calls {:3} unsafe lines {:4} places of ours that can panic {:3}",
            self.profile,
            self.lines(),
            self.linked().count(),
            self.findings.calls.len(),
            self.unsafe_lines(),
            self.panics_of_ours()
        )
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n\nFiles of ours, leaves first, with lines of code:", self.figures())?;
        for file in &self.files {
            writeln!(out, "{:6}  {}", file.lines, file.path)?;
        }
        writeln!(out, "\nCrates of others, with lines of code, and how often they say unsafe:")?;
        for one in &self.crates {
            let mut marks = String::new();
            for (is, mark) in [
                (!one.is_linked, ", not in the binary"),
                (one.has_build_script, ", a build script"),
                (one.is_macro, ", a macro"),
            ] {
                marks.push_str(if is { mark } else { "" });
            }
            writeln!(
                out,
                "{:6} {:4}  {} {} ({}{marks}): {}",
                one.lines, one.unsafes, one.name, one.version, one.licence, one.reason
            )?;
        }
        writeln!(out, "\nUnsafe blocks of ours:")?;
        for one in &self.unsafes {
            writeln!(out, "{}:{} {}: {}", one.file, one.line, one.function, one.reason)?;
        }
        writeln!(out, "\nSystem calls ({}), with the instructions that can make each:", self.findings.architecture)?;
        for (number, call) in &self.findings.calls {
            let files: Vec<&str> = call.files.iter().map(String::as_str).collect();
            writeln!(out, "{number:4} {:3}  {}: {}", call.sites, call.name, files.join(" "))?;
            for function in &call.functions {
                writeln!(out, "            {function}")?;
            }
        }
        writeln!(out, "\nMemory of the file:")?;
        for part in &self.findings.memory {
            let writable = if part.is_writable { "w" } else { "-" };
            writeln!(out, "{:8}  r{writable}{}", part.size, if part.is_executable { "x" } else { "-" })?;
        }
        writeln!(out, "\nBytes of code:")?;
        for (part, bytes) in &self.findings.bytes {
            writeln!(out, "{bytes:8}  {part}")?;
        }
        writeln!(out, "\nWhere it can panic, by crate:")?;
        let mut by_crate = BTreeMap::<&str, usize>::new();
        self.findings.panics.iter().for_each(|site| *by_crate.entry(&site.package).or_default() += 1);
        for (package, count) in &by_crate {
            writeln!(out, "{count:6}  {package}")?;
        }
        for site in &self.findings.panics {
            writeln!(out, "{:#x}  {} ({}) calls {}", site.address, site.place, site.function, site.calls)?;
        }
        Ok(())
    }
}
