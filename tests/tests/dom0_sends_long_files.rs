//! `nanova-host` sends a file that is longer than a request in parts: with the real agent, whatever comes between two.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nanova_core::wire::sha256::sha256;
use nanova_tests::dom0::{Ran, binary, run, start};
use nanova_tests::scene::{Scene, wait_until};
use tempfile::TempDir;

/// A local file of so many bytes, and the line that injects it.
fn local(len: usize) -> Result<(TempDir, Vec<u8>, String)> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("file");
    let contents: Vec<u8> = (0..len).map(|place| (place * 7 + place / 256) as u8).collect();
    fs::write(&path, &contents)?;
    let line = format!("guest inject {} /srv/file", path.display());
    Ok((directory, contents, line))
}

fn injected(scene: &Scene) -> PathBuf {
    scene.root.path().join("srv/file")
}

fn disable(scene: &Scene, what: &str) -> Result<()> {
    fs::create_dir_all(scene.root.path().join("etc/nanova"))?;
    Ok(fs::write(scene.root.path().join("etc/nanova/disable"), what)?)
}

fn assert_same(scene: &Scene, contents: &[u8]) -> Result<()> {
    assert_eq!(sha256(&[&fs::read(injected(scene))?]), sha256(&[contents]));
    Ok(())
}

#[test]
fn a_long_file_is_there_as_a_whole_sealed_or_not_and_the_tree_is_empty() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let home = scene.xenstored.home();
    for (without, len, sealed) in [("", 100_001, true), ("sealed\n", 50_000, false)] {
        disable(&scene, without)?;
        let (_directory, contents, line) = local(len)?;
        let ran = run(&scene.xenstored, &line)?;
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
        assert_same(&scene, &contents)?;
        assert_eq!(scene.agent.log().contains("Received command 'file_inject'"), !sealed);
        for of in ["host", "guest"] {
            assert_eq!(scene.host.client().list(&format!("{home}/data/{of}")).unwrap_or_default(), [""; 0]);
        }
    }
    Ok(())
}

#[test]
fn an_agent_without_parts_gets_none_and_the_limit_is_named() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let (directory, _, line) = local(5000)?;
    for (without, limit) in [("file_inject_parts\n", "takes 2"), ("file_inject_parts\nsealed\n", "takes 29")] {
        disable(&scene, without)?;
        let ran = run(&scene.xenstored, &line)?;
        let limit = format!("the file has 5000 bytes; one request to this agent {limit}");
        assert!(ran.code == 1 && ran.err.contains(&limit) && ran.err.contains("no parts"), "{ran:?}");
    }
    fs::File::create(directory.path().join("file"))?.set_len((16 << 20) + 1)?;
    let ran = run(&scene.xenstored, &line)?;
    assert!(ran.code == 1 && ran.err.contains("more than the 16777216 bytes that agents take"), "{ran:?}");
    assert!(!injected(&scene).exists());
    Ok(())
}

#[test]
fn another_hosts_session_and_an_agent_that_is_started_anew_come_between_two_parts() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let (_directory, contents, line) = local(2_000_000)?;
    let child = start(&scene.xenstored, &line)?;
    wait_until("the first part is there", || scene.agent.log().contains("Received sealed command 'file_inject'"));
    scene.host.begin_session()?;
    let mut restarted = scene;
    restarted.restart_agent();
    wait_until("it is begun again", || restarted.agent.log().contains("Received sealed command 'file_inject'"));
    let ran: Ran = child.wait_with_output()?.into();
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    assert_same(&restarted, &contents)
}

#[test]
fn a_terminal_shows_how_far_it_is_and_nothing_else_does() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let (_directory, contents, line) = local(30_000)?;
    let program = format!("{} --xenbus {} {line}", binary().display(), scene.xenstored.host_socket().display());
    let shown = Command::new("/usr/bin/script").args(["-qefc", &program, "/dev/null"]).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success() && text.contains("] 100 %"), "{text:?}");
    let rest = text.rsplit_once("\r\x1b[K").context("the line is emptied in the end")?.1;
    assert_eq!(rest.trim(), "");
    assert_same(&scene, &contents)
}
