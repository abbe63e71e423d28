//! The bill of materials, and what those whose code is in the agent want said: their copyright and licence.
//!
//! Where a crate lets one choose, the shorter one is taken: MIT's, BSD's or Boost's text, and Apache's only where there
//! is no other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use nanova_tests::agent;
use serde_json::Value;

use crate::options::Options;
use crate::programs;
use crate::stage::Release;
use crate::tools;

/// Licence texts, each with the crates that come under it.
type Notices = BTreeMap<String, Vec<String>>;

/// What is in the agent, and in the programs beside it.
#[derive(Debug)]
pub(crate) struct Bill {
    agent: Notices,
    programs: Notices,
}

/// Makes the bill or takes the given one, keeps it beside the packages, and reads the texts of what it names.
pub(crate) fn bill(options: &Options, release: &Release) -> Result<Bill> {
    let text = match &options.sbom {
        Some(file) => fs::read(file).with_context(|| format!("cannot read {}", file.display()))?,
        None => tools::run(agent::cargo().args(["run", "--quiet", "--package", "nanova-audit", "--", "--sbom"]))?,
    };
    let file = tools::write(&options.output, &format!("nanova-{}.cdx.json", release.version), &text, 0o644)?;
    tools::date(&file, release.time)?;
    let bill: Value = serde_json::from_slice(&text).context("the bill of materials is no JSON")?;
    let mut notices = Notices::new();
    let metadata = MetadataCommand::new()
        .manifest_path(tools::workspace().join("Cargo.toml"))
        .other_options(["--filter-platform".to_owned(), "x86_64-unknown-linux-gnu".to_owned()])
        .exec()?;
    for component in bill["components"].as_array().into_iter().flatten().filter(|one| one["scope"] == "required") {
        let (name, version) = (component["name"].as_str(), component["version"].as_str());
        let is_it = |package: &&cargo_metadata::Package| {
            Some(package.name.as_str()) == name && Some(package.version.to_string().as_str()) == version
        };
        let package = metadata.packages.iter().find(is_it);
        let package = package.with_context(|| format!("the bill's {name:?} {version:?} is not in Cargo.lock"))?;
        ensure!(take(&mut notices, package)?, "{} {} comes without its licence's text", package.name, package.version);
    }
    ensure!(!notices.is_empty(), "the bill of materials names nothing that is in the agent");
    Ok(Bill { agent: notices, programs: of_programs(&metadata)? })
}

/// In the place of its text.
const APACHE: &str =
    "Apache License, Version 2.0: the file LICENSE-APACHE; on Debian /usr/share/common-licenses/Apache-2.0";

/// Takes a crate's texts; returns whether it has any.
fn take(notices: &mut Notices, package: &Package) -> Result<bool> {
    let folder = package.manifest_path.parent().context("a manifest without a folder")?;
    let texts = texts(folder.as_std_path())?;
    let any = !texts.is_empty();
    for text in texts {
        // Debian wants a licence that it has itself to be named only; the others have it beside this text.
        let has = |words| text.contains(words);
        let is_apaches = has("Apache License") && has("TERMS AND CONDITIONS FOR USE") && !has("Permission is hereby");
        let text = if is_apaches { APACHE.to_owned() } else { text };
        let crates = notices.entry(text).or_default();
        let name = format!("{} {}", package.name, package.version);
        if !crates.contains(&name) {
            crates.push(name);
        }
    }
    Ok(any)
}

/// What the programs' crates want said: of all that they need but what runs when they are compiled.
fn of_programs(metadata: &Metadata) -> Result<Notices> {
    let nodes = &metadata.resolve.as_ref().context("cargo says nothing of dependencies")?.nodes;
    let package = |id: &PackageId| metadata.packages.iter().find(|package| package.id == *id);
    let ours = metadata.packages.iter().filter(|package| programs::NAMES.contains(&package.name.as_str()));
    let mut todo: Vec<&PackageId> = ours.map(|package| &package.id).collect();
    let mut seen = BTreeSet::new();
    let mut notices = Notices::new();
    while let Some(id) = todo.pop() {
        let package = package(id).context("a dependency without a package")?;
        if !seen.insert(id) || package.targets.iter().any(|target| target.is_proc_macro()) {
            continue;
        }
        if package.source.is_some() && !take(&mut notices, package)? {
            let licence = package.license.as_deref().context("a crate without a licence")?;
            notices.entry(format!("Licence: {licence}")).or_default().push(package.name.to_string());
        }
        let node = nodes.iter().find(|node| node.id == *id).context("a package without dependencies")?;
        let needs = node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        todo.extend(needs.map(|dep| &dep.pkg));
    }
    notices.values_mut().for_each(|crates| crates.sort());
    Ok(notices)
}

/// The texts of the licence that is taken, of a crate's folder.
fn texts(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_uppercase();
        if path.is_file() && ["LICEN", "COPYING", "COPYRIGHT"].iter().any(|start| name.starts_with(start)) {
            files.push(path);
        }
    }
    files.sort();
    let texts: Result<Vec<_>, _> = files.iter().map(fs::read_to_string).collect();
    let texts = texts?;
    let is_short = |text: &&String| {
        !text.contains("Apache License")
            && ["Permission is hereby granted", "Redistribution and use"].iter().any(|words| text.contains(words))
    };
    let short: Vec<_> = texts.iter().filter(is_short).map(|text| text.trim().to_owned()).collect();
    Ok(if short.is_empty() { texts } else { short })
}

impl Bill {
    /// All of the agent's as one text, ours first.
    pub(crate) fn copyright(&self, ours: &str) -> String {
        as_text(&self.agent, ours)
    }

    /// The same of the programs beside it, which have the C library in them, too.
    pub(crate) fn programs_copyright(&self, ours: &str) -> String {
        let mut text = as_text(&self.programs, ours);
        text.push_str(&format!(
            "\n{}\nIt is linked with Rust's standard library (MIT or Apache-2.0) and with the GNU C Library\n\
             (LGPL-2.1-or-later; on Debian: /usr/share/common-licenses/LGPL-2.1). Whoever wants it with another version\n\
             of these builds it anew from its sources.\n",
            "-".repeat(80)
        ));
        text
    }
}

fn as_text(notices: &Notices, ours: &str) -> String {
    let line = "-".repeat(80);
    let mut text = format!(
        "nanova is licensed under the MIT license or the Apache License, Version 2.0, as you choose (on Debian:\n\
            /usr/share/common-licenses/Apache-2.0).\n\n{}\n\n{line}\nThe program has code of these crates in it:\n",
        ours.trim()
    );
    for (notice, crates) in notices {
        text.push_str(&format!("\n{line}\n{}\n\n{notice}\n", crates.join(", ")));
    }
    text
}
