//! `nanova-host` seals what it asks where the agent knows that, and nothing less becomes of it.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use nanova_core::secret::host::HostExchange;
use nanova_tests::agent::{Agent, PATIENCE};
use nanova_tests::dom0::{Ran, StandIn, command, run, start};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::nova::crypt;
use nanova_tests::scene::{Scene, base64};
use nanova_tests::xenstored::{Options, Xenstored};
use serde_json::Value;

/// Runs it with a line and an input, on a socket between it and xenstored; returns all that went there and back, too.
fn overheard(xenstored: &Xenstored, line: &str, input: &[u8]) -> Result<(Ran, Vec<u8>)> {
    let directory = tempfile::tempdir()?;
    let place = directory.path().join("between");
    let listener = UnixListener::bind(&place)?;
    let (heard, there) = (Arc::<Mutex<Vec<u8>>>::default(), xenstored.host_socket());
    let mut child = command(&place, line).stdin(Stdio::piped()).spawn()?;
    child.stdin.take().context("it has an input")?.write_all(input)?;
    let near = listener.accept()?.0;
    let far = UnixStream::connect(there)?;
    let ways = [(near.try_clone()?, far.try_clone()?), (far, near)];
    let threads = ways.map(|(from, to)| {
        let heard = heard.clone();
        std::thread::spawn(move || pass_on(from, to, &heard))
    });
    let ran = child.wait_with_output()?.into();
    threads.into_iter().try_for_each(|thread| thread.join().ok()).context("nothing panics there")?;
    let heard = std::mem::take(&mut *heard.lock().expect("nothing panics with it"));
    Ok((ran, heard))
}

fn pass_on(mut from: UnixStream, mut to: UnixStream, heard: &Mutex<Vec<u8>>) {
    let mut room = [0; 8192];
    while let Ok(len @ 1..) = from.read(&mut room) {
        heard.lock().expect("nothing panics with it").extend_from_slice(&room[..len]);
        if to.write_all(&room[..len]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

fn has(heard: &[u8], text: &str) -> bool {
    heard.windows(text.len()).any(|window| window == text.as_bytes())
}

fn assert_done(ran: &Ran) {
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
}

fn inject(local: &Path) -> String {
    format!("guest inject {} /etc/motd", local.display())
}

#[test]
fn who_reads_along_learns_neither_what_is_asked_nor_what_is_answered() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let directory = tempfile::tempdir()?;
    let local = directory.path().join("motd");
    std::fs::write(&local, "contents of a file")?;
    // Until a site turns seals off: then all of it can be read, but the password.
    for sealed in [true, false] {
        if !sealed {
            std::fs::create_dir_all(scene.root.path().join("etc/nanova"))?;
            std::fs::write(scene.root.path().join("etc/nanova/disable"), "sealed\n")?;
        }
        let password = format!("pässwörd, sealed: {sealed}");
        let (ran, heard) = overheard(&scene.xenstored, "guest password --stdin", format!("{password}\n").as_bytes())?;
        assert_done(&ran);
        let field = scene.root.shadow_of_root()[1].to_string();
        assert_eq!(crypt(&password, &field)?, field);
        assert_eq!((has(&heard, &password), has(&heard, r#""password""#)), (false, !sealed));

        let (ran, heard) = overheard(&scene.xenstored, &inject(&local), b"")?;
        assert_done(&ran);
        assert_eq!(scene.root.text("/etc/motd"), "contents of a file");
        for text in [&base64("/etc/motd"), &base64("contents of a file"), r#""name":"file_inject""#] {
            assert_eq!(has(&heard, text), !sealed, "{text}");
        }

        let (ran, heard) = overheard(&scene.xenstored, "guest call version a-word", b"")?;
        assert_eq!(ran.out.trim_end(), env!("CARGO_PKG_VERSION"));
        for text in ["a-word", env!("CARGO_PKG_VERSION")] {
            assert_eq!(has(&heard, text), !sealed, "{text}");
        }

        let (ran, heard) = overheard(&scene.xenstored, "guest update http://127.0.0.1:1/x 00", b"")?;
        assert!(ran.code == 1 && ran.err.contains("answered 500: "), "{ran:?}");
        assert_eq!(has(&heard, "127.0.0.1:1"), !sealed);
    }
    let log = scene.agent.log();
    for name in ["password", "file_inject", "version", "agentupdate"] {
        assert!(log.contains(&format!("Received sealed command '{name}'")), "{name}");
    }
    Ok(())
}

/// What an agent that offers seals was asked, and what came of a call, if it answers so to keyinit and to what is
/// sealed.
fn call(keyinit: (&str, &str), sealed: (&str, &str)) -> Result<(Ran, Vec<String>)> {
    let xenstored = Xenstored::start(Options::default())?;
    let owned = |(code, message): (&str, &str)| (code.to_owned(), message.to_owned());
    let (keyinit, sealed) = (owned(keyinit), owned(sealed));
    let agent = StandIn::start(&xenstored, move |name, _| {
        Some(match name {
            "features" => ("0".into(), "version,sealed".into()),
            "keyinit" => keyinit.clone(),
            _ => sealed.clone(),
        })
    })?;
    let ran = run(&xenstored, "guest call version hunter2")?;
    Ok((ran, agent.heard().into_iter().map(|(name, _)| name).collect()))
}

/// A public key that can be one.
fn public() -> Result<String> {
    let value: Value = serde_json::from_str(&HostExchange::new(&[7; 32]).value())?;
    Ok(value["public"].as_str().context("a key is text")?.to_owned())
}

#[test]
fn an_agent_that_begins_no_session_is_asked_nothing() -> Result<()> {
    for keyinit in [("500", "no\x1b[2J"), ("0", "done"), ("D0", "5")] {
        let (ran, heard) = call(keyinit, ("0", "1.0"))?;
        assert!(ran.code == 1 && ran.out.is_empty() && !ran.err.contains('\x1b'), "{ran:?}");
        assert_eq!(heard, ["features", "keyinit"]);
    }
    Ok(())
}

#[test]
fn an_answer_that_is_not_sealed_is_no_success() -> Result<()> {
    let public = public()?;
    for sealed in [("0", "1.0"), ("0", "AAAA"), ("404", "disabled"), ("D0", ""), ("401", "the session ended before …")]
    {
        let (ran, heard) = call(("D0", &public), sealed)?;
        assert!(ran.code == 1 && ran.out.is_empty() && ran.err.contains("sealed"), "{ran:?}");
        assert_eq!(heard, ["features", "keyinit", "sealed"], "it is asked once");
    }
    Ok(())
}

#[test]
fn a_session_that_is_lost_again_and_again_is_given_up() -> Result<()> {
    let (ran, heard) = call(("D0", &public()?), ("401", "no session of sealed requests is there"))?;
    assert!(ran.code == 1 && ran.err.contains("does somebody else seal requests for it?"), "{ran:?}");
    assert_eq!(heard.iter().filter(|name| *name == "sealed").count(), 5);
    Ok(())
}

#[test]
fn a_guest_that_comes_back_as_another_domain_is_followed_from_every_step() -> Result<()> {
    nanova_tests::agent::binary();
    let half: Value = serde_json::from_str(&HostExchange::new(&[9; 32]).value())?;
    let public = half["public"].as_str().context("a key is text")?.to_owned();
    for step in ["features", "keyinit", "sealed"] {
        let xenstored = Xenstored::start(Options::default())?;
        let (reached, reaches) = std::sync::mpsc::channel();
        let public = public.clone();
        let stand_in = StandIn::start(&xenstored, move |name, _| {
            if name == step {
                let _ = reached.send(());
                return None;
            }
            let features = "version,features,keyinit,password,sealed".into();
            Some(if name == "features" { ("0".into(), features) } else { ("D0".into(), public.clone()) })
        })?;
        let child = start(&xenstored, "guest password --generate --follow")?;
        reaches.recv_timeout(PATIENCE)?;
        drop(stand_in);
        xenstored.migrate(8);
        let root = GuestRoot::new()?;
        let _agent = Agent::on(&xenstored.guest_socket(), root.path());
        let out: Ran = child.wait_with_output()?.into();
        assert_eq!((out.code, out.err.as_str()), (0, ""), "{step}");
        let field = root.shadow_of_root()[1].to_string();
        assert_eq!(crypt(out.out.trim_end(), &field)?, field, "{step}");
        for directory in ["data/host", "data/guest"] {
            let left = xenstored.host().list(&format!("{}/{directory}", xenstored.home())).unwrap_or_default();
            assert_eq!(left, [""; 0], "{step}: {directory}");
        }
    }
    Ok(())
}
