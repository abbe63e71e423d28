//! What the agent costs: no system call while nothing happens, few to begin with, little memory. The figures are
//! printed.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nanova_tests::agent::{ANONYMOUS_MAX, Agent, IDLE_MEMORY_MAX, MEMORY_MAX};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::{Digest, uuid};
use nanova_tests::scene::{Scene, base64, path_and_contents};
use nanova_tests::strace;
use nanova_tests::xenstored::{Kernel, Options, Quotas, Xenstored};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::NamedTempFile;

const IDLE: Duration = Duration::from_secs(60);
/// System calls from exec to the first watch. Four of them are for descriptors, standard error and dumps; fifteen make
/// the flight recorder's file, where /run is empty.
const START_MAX: usize = 58;

/// Every command once, and some again.
fn work(host: &mut Host) -> Result<()> {
    host.ask("version", "agent")?.ok()?;
    host.ask("features", "")?.ok()?;
    host.set_password("what a peak", Digest::Md5)?.ok()?;
    host.set_password("what a peak", Digest::Sha256)?.ok()?;
    let contents = "contents ".repeat(300);
    for path in ["/etc/new", "/etc/motd", "/etc/motd"] {
        host.ask("injectfile", path_and_contents(path, &contents))?.ok()?;
        let argument = json!({ "b64_path": base64(path), "b64_file": base64(format!("{contents}2")) });
        host.ask("file_inject", argument)?.ok()?;
    }
    let mut session = host.begin_session()?;
    host.ask_sealed(&mut session, "password", "what a peak")?.ok()?;
    host.ask_sealed(
        &mut session,
        "injectfile",
        path_and_contents("/etc/motd", contents.get(..1800).context("so many")?),
    )?
    .ok()?;
    host.ask_raw("[".repeat(4000))?;
    Ok(())
}

#[test]
#[ignore = "needs strace"]
fn a_minute_without_an_event_is_a_minute_without_a_system_call() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let device = xenstored.guest_device(Kernel::default())?;
    let (one, other) = (GuestRoot::new()?, GuestRoot::new()?);
    // Looking at memory and volumes once a minute is what `--metrics-interval 0` leaves out.
    let quiet = |xenbus: &Path, root: &Path| {
        let (interval, zero) = (OsStr::new("--metrics-interval"), OsStr::new("0"));
        Agent::start([
            OsStr::new("--xenbus"),
            xenbus.as_os_str(),
            OsStr::new("--root"),
            root.as_os_str(),
            interval,
            zero,
        ])
    };
    let over_socket = quiet(&xenstored.guest_socket(), one.path());
    over_socket.wait_for_log("published what the guest is");
    let mut host = Host::of(&xenstored)?;
    work(&mut host)?;
    let over_device = quiet(device.path(), other.path());
    over_device.wait_for_log("published what the guest is");
    host.ask("version", "")?.ok()?;
    // To be watched from outside disturbs one of them; the kernel's own count of the other shows that nothing is
    // missed.
    let trace = NamedTempFile::new()?;
    let pid = over_socket.pid().to_string();
    let mut tracer = Command::new("strace")
        .args(["-p", &pid, "-o"])
        .arg(trace.path())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start strace")?;
    let mut line = String::new();
    BufReader::new(tracer.stderr.take().context("a pipe")?).read_line(&mut line)?;
    assert!(line.contains("attached"), "{line}");
    let switches = |agent: &Agent| {
        agent.status_number("voluntary_ctxt_switches") + agent.status_number("nonvoluntary_ctxt_switches")
    };
    let before = switches(&over_device);
    std::thread::sleep(IDLE);
    assert_eq!(switches(&over_device) - before, 0, "the other one has run");
    kill_process(Pid::from_raw(tracer.id().cast_signed()).context("an id")?, Signal::INT)?;
    tracer.wait()?;
    let text = fs::read_to_string(trace.path())?;
    // The wait that strace itself interrupted by coming is one line, and it ends when strace goes.
    let calls: Vec<&str> = text.lines().filter(|line| !line.contains("detached")).collect();
    println!("{} s idle: {} system calls", IDLE.as_secs(), calls.len());
    assert_eq!(calls, Vec::<&str>::new());
    assert!(text.contains("poll"), "strace has seen it wait: {text}");
    host.ask("version", "")?.ok()?;
    Ok(())
}

/// How many calls the agent makes before it watches, execve(2) among them.
fn calls_to_watch(environment: &[(&str, &OsStr)], options: &[&OsStr]) -> Result<usize> {
    let trace = NamedTempFile::new()?;
    let path = trace.path().to_str().context("text")?;
    let root = GuestRoot::new()?;
    let mut command = strace::nanova(["-o", path, "-xx"]);
    command.arg("agent").args(options).arg("--root").arg(root.path()).envs(environment.iter().copied());
    let agent = Agent::spawn(command);
    agent.wait_until_serving();
    // A WATCH on `data/host`, whose header begins with the number 4.
    let watch = |line: &str| line.starts_with("write(") && line.contains(r#""\x04\x00\x00\x00"#);
    nanova_tests::scene::wait_until("there is a watch", || {
        fs::read_to_string(trace.path()).is_ok_and(|text| text.lines().any(watch))
    });
    let text = fs::read_to_string(trace.path())?;
    assert!(text.starts_with("execve("), "{text}");
    let calls = text.lines().position(watch).context("there was one")? + 1;
    if calls > START_MAX {
        println!("{text}");
    }
    Ok(calls)
}

#[test]
#[ignore = "needs strace"]
fn it_begins_with_few_system_calls() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let device = xenstored.guest_device(Kernel::default())?;
    let socket = xenstored.guest_socket();
    let option = OsStr::new("--xenbus");
    for (how, calls) in [
        ("--xenbus SOCKET", calls_to_watch(&[], &[option, socket.as_os_str()])?),
        ("--xenbus DEVICE", calls_to_watch(&[], &[option, device.path().as_os_str()])?),
        ("XENSTORED_PATH", calls_to_watch(&[("XENSTORED_PATH", socket.as_os_str())], &[])?),
    ] {
        println!("exec to first watch with {how}: {calls} system calls");
        assert!(calls <= START_MAX, "{how}: {calls}");
    }
    Ok(())
}

fn open_files(scene: &Scene) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{}/fd", scene.agent.pid()))?.count())
}

#[test]
fn memory_stays_small_whatever_is_asked() -> Result<()> {
    // Room for as many answers as are kept.
    let quotas = Quotas { node_size: 1 << 20, ..Quotas::default() };
    let mut scene = Scene::with(Options { quotas, ..Options::default() })?;
    scene.agent.wait_for_log("published what the guest is");
    let anonymous = scene.agent.anonymous_kib();
    println!("anonymous memory of an idle agent: {anonymous} KiB (limit {ANONYMOUS_MAX})");
    assert!(anonymous <= ANONYMOUS_MAX, "{anonymous} KiB");
    let idle = scene.agent.status_number("VmRSS");
    println!("RSS of an idle agent: {idle} KiB (limit {IDLE_MEMORY_MAX})");
    assert!(idle <= IDLE_MEMORY_MAX, "{idle} KiB");
    let before = open_files(&scene)?;
    work(&mut scene.host)?;
    for _ in 0..200 {
        scene.host.ask("version", "agent")?.ok()?;
    }
    // And many at once, whose list is longer than a packet.
    let ids = (0..120).map(|_| uuid()).collect::<Result<Vec<_>>>()?;
    for id in &ids {
        scene.host.send(id, r#"{"name":"version"}"#)?;
    }
    scene.host.wait_answer(&ids[119])?;
    let (peak, now) = (scene.agent.status_number("VmHWM"), scene.agent.status_number("VmRSS"));
    println!("peak RSS {peak} KiB, now {now} KiB, {} KiB of it the stack", scene.agent.status_number("VmStk"));
    assert!(peak <= MEMORY_MAX, "{peak} KiB");
    assert_eq!(scene.agent.status_number("Threads"), 1);
    assert_eq!(open_files(&scene)?, before, "every file is closed again");
    Ok(())
}
