//! Builds in parts: the real binary of each profile answers what it has, with 404 what it has not, and says at the
//! command line what it was made without.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Result;
use nanova_tests::agent::{self, Agent, cargo, lockdown};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::Digest;
use nanova_tests::scene::{path_and_contents, wait_until};
use nanova_tests::xenstored::{Options, Xenstored};

/// The release binary with these features, in a target directory of its own.
fn build(profile: &str, features: &str) -> Result<PathBuf> {
    let target = agent::target_dir().join("profiles").join(profile);
    agent::build(&mut cargo(), &target, &["--no-default-features", "--features", features])
}

/// What a profile is made of.
const COMMANDS: &str = "commands,lockdown";
const REPORT: &str = "report,lockdown";
const EARLY_BOOT: &str = "init,commands,inject,network,dhcp,report,hotplug,lockdown";

struct Guest {
    host: Host,
    agent: Agent,
    root: GuestRoot,
    xenstored: Xenstored,
}

fn run(binary: &Path, arguments: &[&str]) -> Result<Guest> {
    let xenstored = Xenstored::start(Options::default())?;
    let root = GuestRoot::new()?;
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .args(lockdown())
        .arg("--xenbus")
        .arg(xenstored.guest_socket())
        .arg("--root")
        .arg(root.path());
    let agent = Agent::spawn(command);
    Ok(Guest { host: Host::of(&xenstored)?, agent, root, xenstored })
}

fn said(binary: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(binary).args(arguments).output()?)
}

fn assert_has_no(binary: &Path, part: &str, arguments: &[&str]) -> Result<()> {
    let output = said(binary, arguments)?;
    let error = String::from_utf8(output.stderr)?;
    let beginning = format!("nanova: this build has no '{part}'; see nanova");
    assert!(error.starts_with(&beginning) && error.ends_with(" --help\n"), "{arguments:?}: {error}");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    Ok(())
}

#[test]
#[ignore = "needs another build"]
fn commands_sets_passwords_and_nothing_else() -> Result<()> {
    let binary = build("commands", COMMANDS)?;
    let mut guest = run(&binary, &["agent"])?;
    wait_until("it has told what it is", || {
        guest
            .host
            .client()
            .get(&format!("{}/data/nanova/state", guest.xenstored.home()))
            .is_ok_and(|state| state.as_deref() == Some("ready"))
    });
    let anonymous = guest.agent.anonymous_kib();
    println!("anonymous memory of `commands`: {anonymous} KiB");
    assert!(anonymous <= 64, "{anonymous} KiB");
    assert_eq!(guest.host.ask("features", "")?.ok()?, "version,features,keyinit,password");
    guest.host.set_password("a part", Digest::Sha256)?.ok()?;
    assert!(guest.root.shadow_of_root()[1].starts_with("$6$"));
    for gone in ["resetnetwork", "injectfile", "file_inject", "agentupdate"] {
        assert_eq!(guest.host.ask(gone, path_and_contents("/etc/motd", "x"))?.code, "404", "{gone}");
    }
    assert_eq!(guest.root.text("/etc/motd"), "Welcome.\n");
    let home = guest.xenstored.home();
    assert_eq!(guest.host.client().get(&format!("{home}/attr/PVAddons/Installed"))?, None, "nothing is published");
    for (part, arguments) in [
        ("network", &["network"][..]),
        ("report", &["report"]),
        ("tools", &["xenstore", "ls"]),
        ("status", &["status"]),
        ("recorder", &["record"]),
        ("init", &["init"]),
        ("init", &["init", "--help"]),
        ("network", &["agent", "--network", "off"]),
        ("report", &["agent", "--no-metrics"]),
    ] {
        assert_has_no(&binary, part, arguments)?;
    }
    let help = String::from_utf8(said(&binary, &["--help"])?.stdout)?;
    assert!(help.contains("nanova agent ") && !help.contains("nanova network") && !help.contains("TOOL"), "{help}");
    Ok(())
}

#[test]
#[ignore = "needs another build"]
fn report_publishes_and_serves_nobody() -> Result<()> {
    let binary = build("report", REPORT)?;
    let mut guest = run(&binary, &["report"])?;
    let installed = format!("{}/attr/PVAddons/Installed", guest.xenstored.home());
    let client = guest.host.client();
    wait_until("it is published", || client.get(&installed).is_ok_and(|value| value.as_deref() == Some("1")));
    guest.host.send("request", r#"{"name":"version"}"#)?;
    guest.agent.wait_for_log("published what the guest is");
    assert_eq!(guest.host.answer("request")?, None, "nobody answers");
    for (part, arguments) in [("commands", &["agent"][..]), ("network", &["network"]), ("init", &["init"])] {
        assert_has_no(&binary, part, arguments)?;
    }
    Ok(())
}

#[test]
#[ignore = "needs another build"]
fn early_boot_sets_the_kernels_network_and_writes_no_managers_files() -> Result<()> {
    let binary = build("early-boot", EARLY_BOOT)?;
    let mut guest = run(&binary, &["agent", "--network", "files"])?;
    let listed = "version,features,keyinit,password,resetnetwork,injectfile,file_inject";
    assert_eq!(guest.host.ask("features", "")?.ok()?, listed);
    guest.host.ask("injectfile", path_and_contents("/etc/motd", "injected\n"))?.ok()?;
    assert_eq!(guest.root.text("/etc/motd"), "injected\n");
    let hostname = format!("{}/vm-data/hostname", guest.xenstored.home());
    guest.host.client().write(&hostname, "web01")?;
    guest.host.ask("resetnetwork", "")?.ok()?;
    assert_eq!(guest.root.text("/etc/hostname"), "guest\n", "files are another part");
    assert_eq!(guest.host.ask("agentupdate", "http://127.0.0.1/,0")?.code, "404");
    for (part, arguments) in [
        ("managers", &["network", "--style", "netplan"][..]),
        ("handover", &["network", "--handover", "klibc"]),
        ("tools", &["xenstore", "ls"]),
    ] {
        assert_has_no(&binary, part, arguments)?;
    }
    Ok(())
}
