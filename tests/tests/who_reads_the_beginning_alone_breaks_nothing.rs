//! `cargo demo | head`, `nanova-host … | head`: whoever has read enough goes, and nothing is left: no agent, no file,
//! no core image.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nanova_tests::dom0::command;
use nanova_tests::xenstored::{Options, Xenstored};

#[test]
fn the_demo_ends_with_all_that_it_began() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    let mut demo = demo.env("TMPDIR", home.path()).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut first = String::new();
    BufReader::new(demo.stdout.take().context("a pipe")?).read_line(&mut first)?;
    assert!(first.contains("serving a host"), "{first}");
    assert!(demo.wait()?.success());
    assert_eq!(fs::read_dir(home.path())?.count(), 0, "files are left");
    let here = home.path().to_string_lossy().into_owned();
    let processes = fs::read_dir("/proc")?.filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    assert_eq!(processes.filter(|line| String::from_utf8_lossy(line).contains(&here)).count(), 0, "an agent is left");
    Ok(())
}

#[test]
fn nanova_host_says_that_nobody_reads() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    for line in ["--help", "--version", "list", "guest network --show", "guest --timeout 1 version"] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let output = command(&xenstored.host_socket(), line).stdout(writer).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        // No signal: a program that aborts leaves an image of its memory, in which passwords may be.
        let code = if line.ends_with("version") && line != "--version" { 3 } else { 1 };
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
        assert!(code == 3 || said.starts_with("nanova-host: cannot print: "), "{line}: {said}");
    }
    Ok(())
}
