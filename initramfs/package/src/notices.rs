//! The bill of materials, and what those whose code is in the agent want said: their copyright and licence.
//!
//! Where a crate lets one choose, the shorter one is taken: MIT's, BSD's or Boost's text, and Apache's only where there
//! is no other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cargo_metadata::MetadataCommand;
use nanova_tests::agent;
use serde_json::Value;

use crate::options::Options;
use crate::stage::Release;
use crate::tools;

/// What is in the agent.
#[derive(Debug)]
pub(crate) struct Bill {
    /// Licence texts, each with the crates that come under it.
    notices: BTreeMap<String, Vec<String>>,
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
    let mut notices = BTreeMap::<String, Vec<String>>::new();
    let metadata = MetadataCommand::new().manifest_path(tools::workspace().join("Cargo.toml")).exec()?;
    for component in bill["components"].as_array().into_iter().flatten().filter(|one| one["scope"] == "required") {
        let (name, version) = (component["name"].as_str(), component["version"].as_str());
        let is_it = |package: &&cargo_metadata::Package| {
            Some(package.name.as_str()) == name && Some(package.version.to_string().as_str()) == version
        };
        let package = metadata.packages.iter().find(is_it);
        let package = package.with_context(|| format!("the bill's {name:?} {version:?} is not in Cargo.lock"))?;
        let folder = package.manifest_path.parent().context("a manifest without a folder")?;
        let texts = texts(folder.as_std_path())?;
        ensure!(!texts.is_empty(), "{} {} comes without its licence's text", package.name, package.version);
        for text in texts {
            notices.entry(text).or_default().push(format!("{} {}", package.name, package.version));
        }
    }
    ensure!(!notices.is_empty(), "the bill of materials names nothing that is in the agent");
    Ok(Bill { notices })
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
    /// All of it as one text, ours first.
    pub(crate) fn copyright(&self, ours: &str) -> String {
        let line = "-".repeat(80);
        let mut text = format!(
            "nanova is licensed under the MIT license or the Apache License, Version 2.0, as you choose (on Debian:\n\
            /usr/share/common-licenses/Apache-2.0).\n\n{}\n\n{line}\nThe program has code of these crates in it:\n",
            ours.trim()
        );
        for (notice, crates) in &self.notices {
            text.push_str(&format!("\n{line}\n{}\n\n{notice}\n", crates.join(", ")));
        }
        text
    }
}
