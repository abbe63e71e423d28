//! Crates of others: what of them was compiled, and why they are there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::build::{Build, has_build_script, is_macro};
use crate::sources::{measure, named_in};

/// Why each crate that ours name is there.
const REASONS: &str = include_str!("../reasons.txt");

/// A crate of others.
#[derive(Debug, Serialize)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// By the words of its own manifest.
    pub licence: String,
    /// Whether it is in the binary; otherwise it runs when the binary is built.
    pub is_linked: bool,
    /// Lines of code that the compiler has read.
    pub lines: usize,
    /// How often these say `unsafe`.
    pub unsafes: usize,
    /// Runs a program of its own when it is built.
    pub has_build_script: bool,
    /// Is code that writes code.
    pub is_macro: bool,
    /// The features that it was compiled with.
    pub features: BTreeSet<String>,
    /// Why it is there: in our words, or who needs it.
    pub reason: String,
}

/// The crates of others in a build: those in the binary first.
pub(crate) fn crates(build: &Build) -> Result<Vec<Crate>> {
    let reasons = reasons()?;
    let mut found = Vec::new();
    for id in build.artifacts.keys().filter(|id| !build.is_ours(id)) {
        // The compiler's own core has no entry; it is not of the registry.
        let Some(package) = build.package(id) else { continue };
        let mut files = BTreeSet::new();
        for list in build.dep_infos(id) {
            files.extend(named_in(&list)?);
        }
        // What a build script writes is read from where it writes it.
        files.retain(|file| file.exists());
        let (lines, unsafes) = measure(&files)?;
        let reason = match reasons.get(package.name.as_str()) {
            Some(reason) => (*reason).to_owned(),
            None => {
                ensure!(
                    !build.direct.contains(id),
                    "tests/audit/reasons.txt does not say why {} is there",
                    package.name
                );
                format!("for {}", needed_by(build, id).join(", "))
            }
        };
        found.push(Crate {
            name: package.name.to_string(),
            version: package.version.to_string(),
            licence: package.license.clone().with_context(|| format!("{} names no licence", package.name))?,
            is_linked: build.linked.contains(id),
            lines,
            unsafes,
            has_build_script: has_build_script(package),
            is_macro: is_macro(package),
            features: build.features(id),
            reason,
        });
    }
    found.sort_by_key(|one| (!one.is_linked, one.name.clone()));
    Ok(found)
}

fn reasons() -> Result<BTreeMap<&'static str, &'static str>> {
    let lines = REASONS.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").with_context(|| format!("tests/audit/reasons.txt: {line}"))).collect()
}

/// The crates that were compiled and name this one.
fn needed_by(build: &Build, id: &cargo_metadata::PackageId) -> Vec<String> {
    let nodes = build.metadata.resolve.as_ref().map(|resolve| resolve.nodes.as_slice()).unwrap_or_default();
    let names = nodes.iter().filter(|node| build.artifacts.contains_key(&node.id) && node.dependencies.contains(id));
    let mut names: Vec<String> = names.filter_map(|node| Some(build.package(&node.id)?.name.to_string())).collect();
    names.sort();
    names
}
