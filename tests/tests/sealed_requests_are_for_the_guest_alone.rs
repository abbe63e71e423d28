//! Sealed requests, end to end: the release binary, nanova's own host, and one in Python that was written from
//! SEALED.md.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::nova::{Answer, Digest, crypt};
use nanova_tests::scene::{Scene, path_and_contents};
use serde_json::json;

/// Debian's, which has python3-cryptography.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sealed/sealed.py");
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/src/secret/sealed-vectors.json");

fn assert_password(root: &GuestRoot, password: &str) -> Result<()> {
    let field = &root.shadow_of_root()[1];
    assert!(field.starts_with("$6$"), "{field}");
    assert_eq!(&crypt(password, field)?, field);
    Ok(())
}

#[test]
fn a_password_and_a_file_come_sealed_and_the_weak_exchange_can_be_turned_off() -> Result<()> {
    let mut scene = Scene::new()?;
    std::fs::create_dir_all(scene.root.join("/etc/nanova"))?;
    std::fs::write(scene.root.join("/etc/nanova/disable"), "keyinit-107\n")?;
    let mut session = scene.host.begin_session()?;
    assert_eq!(scene.host.ask_sealed(&mut session, "version", "")?.ok()?, env!("CARGO_PKG_VERSION"));
    let password = "pässwörd ☃ with \"quotes\" and \\";
    scene.host.ask_sealed(&mut session, "password", password)?.ok()?;
    assert_password(&scene.root, password)?;
    let contents = "contents ".repeat(200);
    scene.host.ask_sealed(&mut session, "injectfile", path_and_contents("/etc/motd", &contents))?.ok()?;
    assert_eq!(scene.root.text("/etc/motd"), contents);
    let refused = scene.host.set_password("weak", Digest::Sha256).unwrap_err().to_string();
    assert!(refused.contains("disabled here"), "{refused}");
    // That was a keyinit, and so the end of the session.
    let lost = scene.host.ask_sealed(&mut session, "version", "").unwrap_err().to_string();
    assert!(lost.contains("answered 401: no session"), "{lost}");
    session = scene.host.begin_session()?;
    scene.restart_agent();
    let lost = scene.host.ask_sealed(&mut session, "version", "").unwrap_err().to_string();
    assert!(lost.contains("answered 401: no session"), "{lost}");
    Ok(())
}

#[test]
fn what_takes_long_or_needs_xenstore_is_answered_sealed_too() -> Result<()> {
    let mut scene = Scene::new()?;
    let mut session = scene.host.begin_session()?;
    let reset = scene.host.ask_sealed(&mut session, "resetnetwork", "")?;
    assert!(["0", "500"].contains(&reset.code.as_str()), "{reset:?}");
    let update = scene.host.ask_sealed(&mut session, "agentupdate", "http://127.0.0.1:1/x,00")?;
    assert_eq!(update.code, "500");
    Ok(())
}

/// What the agent's processor time was until now, in microseconds.
fn processor_us(scene: &Scene) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{}/schedstat", scene.agent.pid()))?;
    Ok(text.split(' ').next().context("a number")?.parse::<u64>()? / 1000)
}

/// What one of several does, on average.
fn apiece(scene: &mut Scene, what: &mut dyn FnMut(&mut Scene) -> Result<()>) -> Result<u64> {
    const TIMES: u64 = 50;
    what(scene)?;
    let before = processor_us(scene)?;
    (0..TIMES).try_for_each(|_| what(scene))?;
    Ok((processor_us(scene)? - before) / TIMES)
}

#[test]
#[ignore = "needs a kernel with CONFIG_SCHED_INFO"]
fn a_sealed_password_takes_three_milliseconds_more_at_the_most() -> Result<()> {
    let mut scene = Scene::new()?;
    let unsealed = apiece(&mut scene, &mut |scene| scene.host.set_password("x", Digest::Sha256)?.ok().map(drop))?;
    let sealed = apiece(&mut scene, &mut |scene| {
        let mut session = scene.host.begin_session()?;
        scene.host.ask_sealed(&mut session, "password", "x")?.ok().map(drop)
    })?;
    let mut session = scene.host.begin_session()?;
    let once = apiece(&mut scene, &mut |scene| scene.host.ask_sealed(&mut session, "password", "x")?.ok().map(drop))?;
    let version = apiece(&mut scene, &mut |scene| scene.host.ask("version", "")?.ok().map(drop))?;
    let sealed_version =
        apiece(&mut scene, &mut |scene| scene.host.ask_sealed(&mut session, "version", "")?.ok().map(drop))?;
    println!("a password with its exchange: {unsealed} us; sealed: {sealed} us; in a session that is there: {once} us");
    println!("version: {version} us; sealed: {sealed_version} us");
    assert!(sealed <= unsealed + 3000);
    Ok(())
}

#[test]
#[ignore = "needs python3-cryptography"]
fn another_implementation_speaks_it_to_the_agent() -> Result<()> {
    let mut scene = Scene::new()?;
    let asked = [
        json!({ "name": "version", "value": "" }),
        json!({ "name": "password", "value": "from Python" }),
        json!({ "name": "nothing", "value": "\u{1}".repeat(400) }),
        json!({ "name": "injectfile", "value": path_and_contents("/etc/motd", "m".repeat(1900)) }),
    ];
    let mut python = Command::new(PYTHON)
        .args([SCRIPT, "talk"])
        .args(asked.iter().map(ToString::to_string))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start python3")?;
    let mut answers = python.stdin.take().context("a pipe")?;
    for request in BufReader::new(python.stdout.take().context("a pipe")?).lines() {
        let Answer { code, message } = scene.host.ask_raw(request?)?;
        writeln!(answers, "{}", json!({ "returncode": code, "message": message }))?;
    }
    drop(answers);
    let mut said = String::new();
    python.stderr.take().context("a pipe")?.read_to_string(&mut said)?;
    assert!(python.wait()?.success(), "{said}");
    let answers = said.lines().map(Answer::parse).collect::<Result<Vec<_>>>()?;
    let codes: Vec<&str> = answers.iter().map(|answer| answer.code.as_str()).collect();
    assert_eq!(codes, ["0", "0", "404", "0"], "{said}");
    assert_eq!(answers[0].message, env!("CARGO_PKG_VERSION"));
    assert_password(&scene.root, "from Python")?;
    assert_eq!(scene.root.text("/etc/motd"), "m".repeat(1900));
    Ok(())
}

#[test]
#[ignore = "needs python3-cryptography"]
fn the_test_vectors_are_what_another_implementation_makes() -> Result<()> {
    let python = Command::new(PYTHON).args([SCRIPT, "check", VECTORS]).output()?;
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    Ok(())
}
