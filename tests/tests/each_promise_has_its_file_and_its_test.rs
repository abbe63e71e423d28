//! SECURITY.md's table of promises: each names a file that keeps it and a test, a benchmark or a step of CI that fails
//! without it, and all of these are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The first line of the table.
const HEAD: &str = "| promise | is kept by | fails without it |";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the workspace")
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The names of all tests of the workspace.
fn tests() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut left: Vec<PathBuf> =
        ["core/src", "host/src", "tests", "initramfs"].map(|directory| root().join(directory)).into();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(tests_of(&fs::read_to_string(&path)?));
        }
    }
    Ok(names)
}

/// The functions that stand below `#[test]`, other attributes in between.
fn tests_of(source: &str) -> impl Iterator<Item = String> {
    source.split("#[test]").skip(1).filter_map(|rest| {
        let line = rest.lines().map(str::trim_start).find(|line| !line.is_empty() && !line.starts_with('#'))?;
        Some(line.strip_prefix("fn ")?.split('(').next()?.to_owned())
    })
}

/// What a table names and is not there; and how many promises it has.
fn missing(page: &str, tests: &BTreeSet<String>, steps: &str) -> Result<(Vec<String>, usize)> {
    let table = page.split_once(HEAD).context("there is a table of promises")?.1;
    let (mut missing, mut promises) = (Vec::new(), 0);
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let ["", promise, files, guards, ""] = cells[..] else {
            missing.push(format!("three cells: {row}"));
            continue;
        };
        // A heading among them.
        if promise.starts_with("**") {
            continue;
        }
        promises += 1;
        for (what, cell) in [("a file", files), ("a test", guards)] {
            if quoted(cell).next().is_none() {
                missing.push(format!("{what} for: {promise}"));
            }
        }
        missing.extend(quoted(files).filter(|file| !root().join(file).is_file()).map(str::to_owned));
        let is_there = |guard: &str| match guard.strip_prefix(".ci/run ") {
            Some(step) => steps.contains(&format!("step_{step}()")),
            None => tests.contains(guard) || (guard.contains('/') && root().join(guard).is_file()),
        };
        missing.extend(quoted(guards).filter(|guard| !is_there(guard)).map(str::to_owned));
    }
    Ok((missing, promises))
}

#[test]
fn all_that_the_table_of_promises_names_is_there() -> Result<()> {
    let (page, steps) = (fs::read_to_string(root().join("SECURITY.md"))?, fs::read_to_string(root().join(".ci/run"))?);
    let (missing, promises) = missing(&page, &tests()?, &steps)?;
    assert_eq!(missing, [""; 0]);
    assert!(promises > 40, "{promises}");
    Ok(())
}

#[test]
fn what_is_not_there_is_noticed() -> Result<()> {
    let rows = "| **a chapter** | | |\n| one | `core/src/lib.rs` | `a_test`, `.ci/run format` |\n\
                | two | `core/src/lib.c` | `no_test`, `.ci/run nothing`, `a/file` |\n| three | it | that |\n";
    let page = format!("{HEAD}\n|---|---|---|\n{rows}\n`outside`");
    let (missing, promises) =
        missing(&page, &tests_of("#[test]\n#[ignore]\nfn a_test() {").collect(), "step_format() {")?;
    let expected = ["core/src/lib.c", "no_test", ".ci/run nothing", "a/file", "a file for: three", "a test for: three"];
    assert_eq!((missing, promises), (expected.map(str::to_owned).to_vec(), 3));
    Ok(())
}
