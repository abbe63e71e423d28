//! A host that takes the guest's rights on a request away gets its command executed once, and costs no time otherwise.

use anyhow::Result;
use nanova_tests::nova::Answer;
use nanova_tests::scene::{Scene, Tally, path_and_contents, wait_until};
use nanova_tests::xenstored::op;

const VERSION: &str = r#"{"name":"version","value":""}"#;

/// Writes a request that the guest has these rights on, from the first moment it is there.
fn send_with_rights(scene: &mut Scene, id: &str, body: &str, rights: &str) -> Result<()> {
    let path = scene.host.path(&format!("data/host/{id}"));
    Ok(scene.host.client().transaction(|client| {
        client.write(&path, body)?;
        client.set_perms(&path, rights)
    })?)
}

/// The answer to a request that is still there.
fn answer_beside_request(scene: &mut Scene, id: &str) -> Result<Answer> {
    let path = scene.host.path(&format!("data/guest/{id}"));
    let mut host = scene.xenstored.host();
    wait_until("the answer is there", || host.get(&path).is_ok_and(|answer| answer.is_some()));
    Answer::parse(&host.get(&path)?.unwrap_or_default())
}

/// How many requests of the agent it takes until it rests: a request that is answered for certain comes and goes.
fn requests_until_rest(scene: &mut Scene) -> Result<u64> {
    scene.host.ask("version", "")?;
    let total = |scene: &Scene| scene.xenstored.stats().requests.values().sum::<u64>();
    let before = total(scene);
    scene.host.ask("version", "")?;
    Ok(total(scene) - before)
}

#[test]
fn a_read_only_request_is_executed_once_and_answered() -> Result<()> {
    let mut scene = Scene::new()?;
    let mut tally = Tally::of(&scene.xenstored)?;
    let argument = path_and_contents("/etc/once", "once\n");
    let body = format!(r#"{{"name":"injectfile","value":"{argument}"}}"#);
    send_with_rights(&mut scene, "stays", &body, "n0 r7")?;
    assert_eq!(answer_beside_request(&mut scene, "stays")?.code, "0");
    assert_eq!(scene.root.text("/etc/once"), "once\n");
    // Were it executed again, this would be backed up.
    std::fs::write(scene.root.join("/etc/once"), "changed by hand\n")?;
    for _ in 0..20 {
        assert_eq!(scene.host.ask("version", "")?.ok()?, env!("CARGO_PKG_VERSION"));
    }
    assert_eq!(scene.root.text("/etc/once"), "changed by hand\n");
    assert_eq!(scene.agent.log().matches("Received command 'injectfile'").count(), 1);
    assert_eq!(tally.changes()?["stays"], 1);
    let request = scene.host.path("data/host/stays");
    assert_eq!(scene.host.client().get(&request)?.as_deref(), Some(body.as_str()), "it is not ours to remove");
    Ok(())
}

#[test]
fn a_hidden_request_is_left_alone_and_those_beside_it_are_served() -> Result<()> {
    let mut scene = Scene::new()?;
    send_with_rights(&mut scene, "hidden", VERSION, "n0")?;
    for id in ["before", "after"] {
        scene.host.send(id, VERSION)?;
        assert_eq!(scene.host.wait_answer(id)?.code, "0");
    }
    assert!(scene.host.answer("hidden")?.is_none());
    assert_eq!(scene.agent.log().matches("request hidden cannot be read").count(), 1, "once is enough");
    Ok(())
}

#[test]
fn such_requests_cost_nothing_while_nothing_happens() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_for_log("published what the guest is");
    let before = scene.xenstored.stats().requests_of(op::READ);
    let alone = requests_until_rest(&mut scene)?;
    for i in 0..20 {
        let rights = if i % 2 == 0 { "n0 r7" } else { "n0" };
        send_with_rights(&mut scene, &format!("stays-{i}"), VERSION, rights)?;
    }
    // Twenty names are passed over now, without asking xenstored about any of them.
    let beside = requests_until_rest(&mut scene)?;
    assert!(beside <= alone + 2, "{beside} requests for one command, {alone} when it was alone");
    let reads = scene.xenstored.stats().requests_of(op::READ) - before;
    // The commands of both measurements, and each of the twenty once.
    assert!(reads <= 4 + 20 + 1, "{reads} reads");
    // The kernel's account of how often the process has run: no change without an event.
    wait_until("it rests", || {
        std::fs::read_to_string(format!("/proc/{}/stat", scene.agent.pid())).is_ok_and(|stat| stat.contains(") S "))
    });
    Ok(())
}

#[test]
fn a_directory_that_the_guest_may_not_write_to_does_not_stop_it() -> Result<()> {
    let mut scene = Scene::new()?;
    let mut tally = Tally::of(&scene.xenstored)?;
    let answers = scene.host.path("data/guest");
    assert_eq!(scene.host.ask("version", "")?.code, "0");
    // The answer cannot be written: it is when it can. What comes meanwhile is not run.
    scene.host.client().set_perms(&answers, "n0 r7")?;
    let inject = |path: &str| {
        let argument = path_and_contents(path, "once\n");
        format!(r#"{{"name":"injectfile","value":"{argument}"}}"#)
    };
    scene.host.send("first", inject("/etc/first"))?;
    scene.agent.wait_for_log("data/guest cannot be written: EACCES; no command is run until it can be");
    scene.host.send("second", inject("/etc/second"))?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(scene.agent.log().matches("Received command 'injectfile'").count(), 1);
    assert_eq!(tally.changes()?.get("first"), None);
    scene.host.client().set_perms(&answers, "n7")?;
    assert_eq!(scene.host.wait_answer("first")?.code, "0");
    assert_eq!(scene.host.wait_answer("second")?.code, "0");
    assert_eq!(scene.agent.log().matches("Received command 'injectfile'").count(), 2);
    assert_eq!(scene.agent.log().matches("data/guest cannot be written").count(), 1);
    Ok(())
}
