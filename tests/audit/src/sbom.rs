//! The bill of materials of a build, in CycloneDX 1.5 (ECMA-424's predecessor, <https://cyclonedx.org/docs/1.5/json/>):
//! what is in the binary, and what runs when it is built. No time and no serial number: the same build has the same.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::build::Build;
use crate::report::Report;

/// The bill of this build.
pub fn bill(report: &Report, build: &Build) -> Result<Value> {
    let sums = sums(&build.workspace)?;
    let version = build.version()?;
    let root = purl("nanova", &version);
    let components = report.crates.iter().map(|one| {
        let properties = one.features.iter().map(|feature| json!({"name": "cargo:feature", "value": feature}));
        let mut component = json!({
            "type": "library",
            "bom-ref": purl(&one.name, &one.version),
            "name": one.name,
            "version": one.version,
            "purl": purl(&one.name, &one.version),
            // What runs when the binary is built, and is not in it.
            "scope": if one.is_linked { "required" } else { "excluded" },
            "licenses": [{"expression": one.licence}],
            "description": one.reason,
            "properties": properties.collect::<Vec<_>>(),
        });
        if let Some(sum) = sums.get(&(one.name.clone(), one.version.clone())) {
            component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
        }
        component
    });
    let components: Vec<Value> = components.collect();
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "nanova",
                "version": version,
                "purl": root,
                "licenses": [{"expression": "MIT OR Apache-2.0"}],
                "properties": [{"name": "nanova:profile", "value": report.profile}],
            },
            "tools": {"components": [{"type": "application", "name": "cargo audit-scope", "version": version}]},
        },
        "components": components,
        "dependencies": dependencies(build, &root),
    }))
}

fn purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{version}")
}

/// Who needs whom, as far as it was compiled. Our two crates are one.
fn dependencies(build: &Build, root: &str) -> Vec<Value> {
    let mut needs = BTreeMap::<String, std::collections::BTreeSet<String>>::new();
    let nodes = build.metadata.resolve.as_ref().map(|resolve| resolve.nodes.as_slice()).unwrap_or_default();
    let name = |id: &cargo_metadata::PackageId| {
        if build.is_ours(id) {
            return Some(root.to_owned());
        }
        build.package(id).map(|package| purl(&package.name, &package.version.to_string()))
    };
    let was_compiled = |id: &cargo_metadata::PackageId| build.artifacts.contains_key(id);
    for node in nodes.iter().filter(|node| was_compiled(&node.id)) {
        let Some(who) = name(&node.id) else { continue };
        let whom = node.dependencies.iter().filter(|id| was_compiled(id)).filter_map(name).filter(|whom| *whom != who);
        needs.entry(who.clone()).or_default().extend(whom);
    }
    needs.into_iter().map(|(who, whom)| json!({"ref": who, "dependsOn": whom})).collect()
}

/// The sums of Cargo.lock.
fn sums(workspace: &Path) -> Result<BTreeMap<(String, String), String>> {
    let lock = std::fs::read_to_string(workspace.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let mut found = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
            line.strip_suffix('"').map(str::to_owned)
        };
        if let (Some(name), Some(version), Some(sum)) = (value("name"), value("version"), value("checksum")) {
            found.insert((name, version), sum);
        }
    }
    Ok(found)
}
