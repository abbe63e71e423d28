//! No branch that is taken and no place in memory that is read depends on a secret, but where the answer says it anyway
//! (`valgrind/exceptions.supp` lists these by function, with reasons): what secrets go through is run in valgrind's
//! Memcheck with every secret byte marked as undefined. (`cargo bench -p nanova-tests --bench constant_time` measures
//! times.)

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use anyhow::Result;
use nanova_tests::agent::{TELL, cargo, executable, target_dir};

/// What valgrind ends with when it reports something.
const REPORTED: i32 = 99;
const EXCEPTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/valgrind/exceptions.supp");

/// The program, optimized as the agent is, with its functions' names.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut cargo = cargo();
        cargo.args(["build", "--quiet", "--release", "--package", "nanova-bench", "--example", "secrets", TELL]);
        cargo.env("CARGO_PROFILE_RELEASE_STRIP", "false").env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only");
        executable(cargo.arg("--target-dir").arg(target_dir().join("valgrind"))).expect("cargo builds the example")
    })
}

fn valgrind(what: &str, options: &[&str]) -> Result<(Output, String)> {
    let output = Command::new("valgrind")
        // An exception is a function of the binary, with what is inlined into it, but not what it calls.
        .args(["--leak-check=no", "-v", "--read-inline-info=no", &format!("--error-exitcode={REPORTED}")])
        .args(options)
        .arg(program())
        .arg(what)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output, said))
}

/// What is behind `name:` in a suppression.
fn names() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(EXCEPTIONS)?;
    let mut lines = text.lines();
    let mut names = Vec::new();
    while lines.any(|line| line == "{") {
        names.extend(lines.next().map(|name| name.trim().to_owned()));
    }
    Ok(names)
}

#[test]
#[ignore = "needs valgrind"]
fn what_is_done_with_a_secret_does_not_depend_on_it_but_for_the_exceptions() -> Result<()> {
    let (output, said) = valgrind("password", &[&format!("--suppressions={EXCEPTIONS}")])?;
    assert!(output.status.success(), "{said}");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(!printed.contains("no valgrind") && printed.contains("field: $6$"), "{printed}");
    // Whether the padding of what is opened is right is public: its sender is who made it.
    let (output, sealed) = valgrind("sealed", &[&format!("--suppressions={EXCEPTIONS}")])?;
    assert!(output.status.success(), "{sealed}");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(!printed.contains("no valgrind") && printed.contains("message: 40 bytes, true"), "{printed}");
    assert!(printed.contains("changed: Err(WrongCode)"), "{printed}");
    // An exception that is none any more goes.
    let names = names()?;
    assert!(!names.is_empty());
    for name in names {
        let said = format!("{said}{sealed}");
        assert!(said.lines().any(|line| line.contains("used_suppression:") && line.contains(&name)), "{name}: {said}");
    }
    Ok(())
}

#[test]
#[ignore = "needs valgrind"]
fn a_branch_and_an_index_that_depend_on_a_secret_are_noticed() -> Result<()> {
    for (what, error) in [
        ("branch", "Conditional jump or move depends on uninitialised value"),
        ("index", "Use of uninitialised value of size 8"),
        // What is an exception is noticed, too, where it is not one.
        ("password", "Conditional jump or move depends on uninitialised value"),
    ] {
        let (output, said) = valgrind(what, &[])?;
        assert_eq!(output.status.code(), Some(REPORTED), "{what}: {said}");
        assert!(said.contains(error), "{what}: {said}");
    }
    Ok(())
}
