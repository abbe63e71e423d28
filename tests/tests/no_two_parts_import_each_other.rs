//! The parts of the program stand by themselves: no two modules at the top of the core import each other, in whatever
//! way around, and no two files do, neither there nor in the agent. Who audits a command reads its closure of imports
//! and no more.

use std::path::{Path, PathBuf};

use anyhow::Result;
use nanova_tests::imports::Imports;

fn src(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the workspace").join(name).join("src")
}

#[test]
fn there_are_no_circles() -> Result<()> {
    let core = Imports::of(&src("core"))?;
    assert_eq!(core.circles(), [] as [std::collections::BTreeSet<String>; 0], "files of core");
    assert_eq!(core.module_circles(), [] as [std::collections::BTreeSet<String>; 0], "modules of core");
    let agent = Imports::of(&src("agent"))?;
    assert_eq!(agent.circles(), [] as [std::collections::BTreeSet<String>; 0], "files of the agent");
    let host = Imports::of(&src("host"))?;
    assert_eq!(host.circles(), [] as [std::collections::BTreeSet<String>; 0], "files of nanova-host");
    Ok(())
}

/// The most lines of code that setting a password needs.
const ACCOUNT_MAX: usize = 1800;

#[test]
fn what_a_command_needs_is_a_part() -> Result<()> {
    let core = Imports::of(&src("core"))?;
    let all = core.code_lines(core.files());
    println!("code lines that each needs, of {all}:");
    let mut commands: Vec<_> = core.files().filter(|file| file.starts_with("commands/")).collect();
    commands.retain(|file| !file.ends_with("mod.rs"));
    for file in commands.into_iter().map(String::as_str).chain(["report/publisher.rs", "engine/requests.rs"]) {
        println!("{:6}  {file}", core.code_lines(&core.closure(file)));
    }
    let account = core.closure("account/shadow.rs");
    let lines = core.code_lines(&account);
    println!("{lines:6}  account/shadow.rs: {}", account.into_iter().collect::<Vec<_>>().join(" "));
    assert!(lines < ACCOUNT_MAX, "setting a password needs {lines} lines");
    assert!(all > 5000, "the reading has gone wrong: {all} lines are all");
    Ok(())
}
