//! Files in parts, on the release binary: whole after the last part, and nothing of them before or without it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nanova_core::secret::host::HostSession;
use nanova_core::wire::sha256::sha256;
use nanova_tests::nova::{Answer, uuid};
use nanova_tests::scene::{Scene, base64, wait_until};
use serde_json::{Value, json};

const PATH: &str = "/srv/large/file";
/// Bytes of a part that fit a sealed request.
const PART: usize = 2000;

fn contents(len: usize) -> Vec<u8> {
    (0..len).map(|place| (place * 7 + place / 256) as u8).collect()
}

fn part(contents: &[u8], offset: usize) -> Value {
    json!({
        "b64_path": base64(PATH),
        "b64_file": base64(&contents[offset..contents.len().min(offset + PART)]),
        "offset": offset,
        "size": contents.len(),
        "b64_sha256": base64(sha256(&[contents])),
    })
}

/// Asks, and removes the answer: a host that sends so many leaves none of them in the guest's quota.
fn ask(scene: &mut Scene, session: &mut Option<HostSession>, value: Value) -> Result<Answer> {
    let request = json!({ "name": "file_inject", "value": value }).to_string();
    let (id, host) = (uuid()?, &mut scene.host);
    let Some(session) = session else {
        host.send(&id, request)?;
        let answer = host.wait_answer(&id)?;
        let path = host.path(&format!("data/guest/{id}"));
        host.client().rm(&path)?;
        return Ok(answer);
    };
    let (counter, sealed) = session.seal(request.as_bytes()).context("it is short")?;
    host.send(&id, sealed)?;
    let answer = host.wait_answer(&id)?.ok()?;
    let path = host.path(&format!("data/guest/{id}"));
    host.client().rm(&path)?;
    let mut room = vec![0; answer.len()];
    let opened = session.open(counter, &answer, &mut room).map_err(|why| anyhow!("{why}"))?;
    Answer::parse(std::str::from_utf8(opened)?)
}

fn send(scene: &mut Scene, session: &mut Option<HostSession>, contents: &[u8]) -> Result<()> {
    (0..contents.len()).step_by(PART).try_for_each(|offset| ask(scene, session, part(contents, offset))?.ok().map(drop))
}

/// Descriptors of the agent's that lead to this file or to one that has no name.
fn open_files(scene: &Scene) -> Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(format!("/proc/{}/fd", scene.agent.pid()))? {
        count += usize::from(fs::read_link(entry?.path())?.to_string_lossy().contains("/srv/large"));
    }
    Ok(count)
}

#[test]
fn a_long_file_comes_whole_sealed_or_not_and_replaces_what_was_there() -> Result<()> {
    let mut scene = Scene::new()?;
    assert!(scene.host.ask("features", "")?.ok()?.split(',').any(|name| name == "file_inject_parts"));
    let first = contents(200_000);
    send(&mut scene, &mut None, &first)?;
    assert!(fs::read(scene.root.join(PATH))? == first);
    assert_eq!(scene.root.mode(PATH), 0o600);
    fs::set_permissions(scene.root.join(PATH), std::os::unix::fs::PermissionsExt::from_mode(0o754))?;
    let mut session = Some(scene.host.begin_session()?);
    let second = contents(60_001);
    send(&mut scene, &mut session, &second)?;
    assert!(fs::read(scene.root.join(PATH))? == second);
    assert_eq!((scene.root.mode(PATH), open_files(&scene)?), (0o754, 0));
    let names: Vec<String> = scene.root.files().into_iter().filter(|name| name.contains("large")).collect();
    assert_eq!(names.len(), 2, "the file and what it was before: {names:?}");
    // The log is not full of it.
    let lines = scene.agent.log().lines().filter(|line| line.contains("'file_inject'")).count();
    assert_eq!(lines, 4, "two files, the first part of each");
    Ok(())
}

#[test]
fn an_agent_that_ends_amidst_leaves_nothing_beside_the_old_file() -> Result<()> {
    let mut scene = Scene::new()?;
    let (old, new) = (contents(3000), contents(9000));
    send(&mut scene, &mut None, &old)?;
    let before = scene.root.files();
    for kept in 1..5 {
        for place in 0..kept {
            ask(&mut scene, &mut None, part(&new, place * PART))?.ok()?;
        }
        assert_eq!((scene.root.files(), open_files(&scene)?), (before.clone(), 2), "the file and its directory");
        scene.restart_agent();
        assert_eq!(scene.root.files(), before);
        let lost = ask(&mut scene, &mut None, part(&new, kept * PART))?;
        assert_eq!((lost.code.as_str(), lost.message.contains("send its first part again")), ("500", true));
    }
    assert!(fs::read(scene.root.join(PATH))? == old);
    Ok(())
}

#[test]
fn a_directory_that_was_moved_away_amidst_does_not_get_the_file() -> Result<()> {
    let mut scene = Scene::new()?;
    let new = contents(3000);
    ask(&mut scene, &mut None, part(&new, 0))?.ok()?;
    fs::rename(scene.root.join("/srv/large"), scene.root.join("/srv/old"))?;
    ask(&mut scene, &mut None, part(&new, PART))?.ok()?;
    assert!(fs::read(scene.root.join(PATH))? == new, "where it was said to be");
    assert_eq!(fs::read_dir(scene.root.join("/srv/old"))?.count(), 0);
    Ok(())
}

#[test]
#[ignore = "needs a minute"]
fn a_file_that_is_not_gone_on_with_is_given_up_after_a_minute() -> Result<()> {
    let mut scene = Scene::new()?;
    ask(&mut scene, &mut None, part(&contents(9000), 0))?.ok()?;
    assert_eq!(open_files(&scene)?, 2);
    std::thread::sleep(Duration::from_secs(57));
    assert_eq!(open_files(&scene)?, 2);
    wait_until("it is given up", || scene.agent.log().contains("given up: no part of it came for a minute"));
    assert_eq!(open_files(&scene)?, 0);
    Ok(())
}
