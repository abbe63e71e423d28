//! `nanova-host` sets passwords and injects files: with nanova, and with stand-ins for the agents before it.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use nanova_tests::agent::Agent;
use nanova_tests::dom0::{StandIn, run, run_with};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::nova::{Exchange, crypt};
use nanova_tests::scene::Scene;
use nanova_tests::xenstored::{Options, Xenstored};

fn assert_password(root: &GuestRoot, password: &str) -> Result<()> {
    let field = root.shadow_of_root()[1].to_string();
    assert_eq!(crypt(password, &field)?, field);
    Ok(())
}

/// What an agent before nanova makes of a password: OpenSSL's program with MD5.
fn openssl_md5(secret: &str, base64: &str) -> Result<Vec<u8>> {
    let pass = format!("pass:{secret}");
    let mut child = Command::new("openssl")
        .args(["enc", "-d", "-aes-128-cbc", "-A", "-a", "-nosalt", "-md", "md5", "-pass", &pass])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    child.stdin.take().context("openssl has an input")?.write_all(base64.as_bytes())?;
    Ok(child.wait_with_output()?.stdout)
}

#[test]
fn a_password_of_standard_input_is_roots_and_is_said_nowhere() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let out = run_with(&scene.xenstored, "-v guest password --stdin", "pässwörd with spaces\n".as_bytes())?;
    assert_eq!((out.code, out.out.as_str()), (0, ""), "{out:?}");
    assert!(!out.err.contains("with spaces"));
    assert_password(&scene.root, "pässwörd with spaces")
}

#[test]
fn a_generated_password_is_printed_when_it_is_set() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let out = run(&scene.xenstored, "guest password --generate")?;
    assert_eq!(out.code, 0, "{out:?}");
    assert_eq!(out.out.trim_end().len(), 24);
    assert_password(&scene.root, out.out.trim_end())
}

#[test]
fn a_password_that_no_agent_takes_reaches_none_and_no_message() -> Result<()> {
    let mut scene = Scene::new()?;
    for bad in [&b"\n"[..], b"secret\x07bell\n", b"secret\xff\n"] {
        let out = run_with(&scene.xenstored, "guest password --stdin", bad)?;
        assert!(out.code == 1 && out.err.contains("nothing was changed") && !out.err.contains("secret"), "{out:?}");
    }
    let out = run(&scene.xenstored, "guest password hunter2")?;
    assert!(out.code == 2 && !out.err.contains("hunter2"), "{out:?}");
    let home = scene.xenstored.home();
    assert_eq!(scene.host.client().list(&format!("{home}/data/guest")).unwrap_or_default(), [""; 0]);
    Ok(())
}

#[test]
fn agents_that_know_md5_alone_get_the_password_and_no_noise() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let exchange = Exchange::new()?;
    let (secret, got) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(Vec::new())));
    let (shared, password) = (secret.clone(), got.clone());
    let agent = StandIn::start(&xenstored, move |name, value| {
        let value = value.as_str().unwrap_or_default();
        Some(match name {
            "keyinit" => {
                *shared.lock().unwrap() = exchange.secret(value).unwrap();
                ("D0".into(), exchange.public())
            }
            "password" => {
                *password.lock().unwrap() = openssl_md5(&shared.lock().unwrap(), value).unwrap();
                ("0".into(), String::new())
            }
            _ => ("404".into(), format!("No such agent command '{name}'")),
        })
    })?;
    let out = run_with(&xenstored, "guest password --stdin", b"correct horse\n")?;
    assert_eq!((out.code, out.err.as_str()), (0, ""));
    assert_eq!(*got.lock().unwrap(), b"correct horse\n");
    let names: Vec<String> = agent.heard().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["features", "keyinit", "password"]);
    Ok(())
}

#[test]
fn a_nanova_that_may_not_say_who_it_is_and_forbids_md5_gets_it_too() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let root = GuestRoot::new()?;
    std::fs::create_dir_all(root.path().join("etc/nanova"))?;
    std::fs::write(root.path().join("etc/nanova/disable"), "md5\n")?;
    let agent = Agent::on(&xenstored.guest_socket(), root.path());
    agent.wait_until_serving();
    let mut client = xenstored.host();
    let _ = client.rm(&format!("{}/data/nanova", xenstored.home()));
    let out = run_with(&xenstored, "guest password --stdin", b"once more\n")?;
    assert_eq!((out.code, out.err.as_str()), (0, ""));
    assert_password(&root, "once more")
}

#[test]
fn a_public_key_that_is_none_is_the_guests_fault() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let _agent = StandIn::start(&xenstored, |_, _| Some(("D0".into(), "1".into())))?;
    let out = run_with(&xenstored, "guest password --stdin", b"x\n")?;
    assert!(out.code == 1 && out.err.contains("public key"), "{out:?}");
    Ok(())
}

#[test]
fn a_file_is_injected_by_the_form_that_the_agent_has() -> Result<()> {
    let scene = Scene::new()?;
    let directory = tempfile::tempdir()?;
    let local = directory.path().join("motd");
    std::fs::write(&local, [b"bytes \0\xff, and more".as_slice(), &[b'x'; 2000]].concat())?;
    let line = format!("guest inject {} /etc/motd", local.display());
    let out = run(&scene.xenstored, &line)?;
    assert_eq!(out.code, 0, "{out:?}");
    assert_eq!(std::fs::read(scene.root.path().join("etc/motd"))?, std::fs::read(&local)?);

    let xenstored = Xenstored::start(Options::default())?;
    std::fs::write(&local, b"old")?;
    let old = StandIn::start(&xenstored, |name, _| {
        Some(("0".into(), if name == "features" { "version,injectfile".into() } else { String::new() }))
    })?;
    assert_eq!(run(&xenstored, &line)?.code, 0);
    assert_eq!(old.heard()[1], ("injectfile".into(), "L2V0Yy9tb3RkLG9sZA==".into()));
    Ok(())
}
