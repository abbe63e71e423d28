//! What the disassembled binary is said to do is what it does: every system call that strace sees is in the kept list
//! of the profile.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nanova_audit::build::{Build, Profile, workspace};
use nanova_tests::agent::Agent;
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::Digest;
use nanova_tests::scene::{path_and_contents, wait_until};
use nanova_tests::xenstored::{Options, Xenstored};

const SERVES: &str = "serving data/host";

/// The names of the calls in a trace of several processes.
fn seen(trace: &Path) -> Result<BTreeSet<String>> {
    let text = String::from_utf8_lossy(&fs::read(trace)?).into_owned();
    let name = |line: &str| line.split_once('(')?.0.rsplit(' ').next().map(str::to_owned);
    let is_name = |name: &String| name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_');
    Ok(text.lines().filter_map(name).filter(|name| is_name(name) && !name.is_empty()).collect())
}

fn listed(profile: &str) -> Result<BTreeSet<String>> {
    let path = workspace().join("agent/syscalls").join(std::env::consts::ARCH).join(format!("{profile}.txt"));
    let name = |line: &str| Ok(line.split_once(' ').context("a number and a name")?.1.to_owned());
    fs::read_to_string(path)?.lines().map(name).collect()
}

/// Runs a profile's agent for a while, in namespaces of its own, and compares. It is at work once it has logged this.
fn assert_only_listed(
    name: &str,
    subcommand: &str,
    at_work: &str,
    work: impl Fn(&mut Host) -> Result<()>,
) -> Result<()> {
    let profile = Profile::all(workspace())?.into_iter().find(|profile| profile.name == name).context("a profile")?;
    let binary = Build::of(&profile, None)?.binary;
    let (xenstored, root, traces) = (Xenstored::start(Options::default())?, GuestRoot::new()?, tempfile::tempdir()?);
    let trace = traces.path().join("agent");
    let agent_on = format!("--xenbus {} --root {}", xenstored.guest_socket().display(), root.path().display());
    let nanova = format!("exec strace -f -qq -o {} {}", trace.display(), binary.display());
    let start = |words: &str| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--uts", "sh", "-ec", &format!("hostname web01; {nanova} {words}")]);
        command
    };
    let agent = Agent::spawn(start(&format!("{subcommand} {agent_on}")));
    agent.wait_for_log(at_work);
    let (home, mut host) = (xenstored.home(), xenstored.host());
    host.write(&format!("{home}/vm-data/hostname"), "web02")?;
    work(&mut Host::of(&xenstored)?)?;
    wait_until("it has done what it does at its start", || {
        fs::read_to_string(&trace).is_ok_and(|text| text.contains("poll("))
    });
    std::thread::sleep(Duration::from_secs(1));
    agent.signal(rustix::process::Signal::TERM);
    drop(agent);
    let mut calls = seen(&trace)?;
    for words in ["--version", "--help", "agent --help", "no-such-thing"] {
        Command::new("sh").args(["-c", &format!("{nanova} {words}")]).output()?;
        calls.extend(seen(&trace)?);
    }
    // strace itself begins the program.
    calls.remove("execve");
    println!("{name}: {} calls seen: {calls:?}", calls.len());
    ensure!(calls.len() > 15, "strace saw next to nothing: {calls:?}");
    let more: Vec<_> = calls.difference(&listed(name)?).cloned().collect();
    assert!(more.is_empty(), "{name} makes {more:?}, which no list has");
    Ok(())
}

fn commands(host: &mut Host) -> Result<()> {
    host.ask("version", "agent")?.ok()?;
    host.ask("features", "")?.ok()?;
    host.ask("no-such-command", "")?;
    host.set_password("a part", Digest::Sha256)?.ok()?;
    Ok(())
}

#[test]
#[ignore = "needs root and strace"]
fn by_a_build_with_everything() -> Result<()> {
    assert_only_listed("full", "agent", SERVES, |host| {
        commands(host)?;
        host.ask("injectfile", path_and_contents("/etc/motd", "new\n"))?.ok()?;
        host.ask("resetnetwork", "")?;
        // Nobody listens there.
        host.ask("agentupdate", "http://127.0.0.1:9/x,00000000000000000000000000000000")?;
        Ok(())
    })
}

#[test]
#[ignore = "needs root and strace"]
fn by_one_that_sets_passwords_alone() -> Result<()> {
    assert_only_listed("commands", "agent", SERVES, commands)
}

#[test]
#[ignore = "needs root and strace"]
fn by_one_that_reports_alone() -> Result<()> {
    assert_only_listed("report", "report", "published what the guest is", |_| Ok(()))
}
