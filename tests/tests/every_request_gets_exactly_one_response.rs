//! Whatever a host writes, and whenever: one response, well formed, and the request is gone.
//!
//! Earlier agents died of several of these requests, and of the same one again after each restart.

use anyhow::Result;
use nanova_tests::agent::Agent;
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::{Answer, uuid};
use nanova_tests::scene::{Scene, Tally, path_and_contents, wait_until};
use nanova_tests::xenstored::{Kernel, Options, PAYLOAD_MAX, Quotas, Xenstored, op};

const COMMANDS: [&str; 6] = ["version", "features", "keyinit", "password", "injectfile", "file_inject"];

/// Room for the names of some hundred responses in one directory, as oxenstored has it: it limits values only.
fn roomy() -> Options {
    Options { quotas: Quotas { node_size: 64 * 1024, ..Quotas::default() }, ..Options::default() }
}

/// Asks, and holds the answer to what is true of every answer.
fn ask(scene: &mut Scene, body: impl AsRef<[u8]>) -> Result<Answer> {
    let mut tally = Tally::of(&scene.xenstored)?;
    let id = uuid()?;
    scene.host.send(&id, &body)?;
    // Fails when a field is no string, or the request still there.
    let answer = scene.host.wait_answer(&id)?;
    assert!(scene.agent.is_running());
    assert_eq!(tally.changes()?.get(&id), Some(&1), "{:?}", String::from_utf8_lossy(body.as_ref()));
    Ok(answer)
}

fn malformed(scene: &mut Scene, body: impl AsRef<[u8]>) -> Result<()> {
    let answer = ask(scene, &body)?;
    let wanted = Answer { code: "500".to_owned(), message: "Request is malformed".to_owned() };
    assert_eq!(answer, wanted, "{:?}", String::from_utf8_lossy(body.as_ref()));
    Ok(())
}

#[test]
fn what_is_no_request_is_answered_too() -> Result<()> {
    let mut scene = Scene::new()?;
    let nested = [r#"{"name":"version","value":"#, &"[".repeat(1000), &"]".repeat(1000), "}"].concat();
    for body in [
        "",
        " ",
        "version",
        "{",
        "[]",
        r#"["version"]"#,
        r#""version""#,
        "null",
        "17",
        r#"{"name":"version","value":""#,
        r#"{"name" "version"}"#,
        r#"{'name':'version'}"#,
        r#"{"name":"version"}{"name":"version"}"#,
        r#"{"name":7,"value":""}"#,
        r#"{"name":["version"]}"#,
        r#"{"name":{"name":"version"}}"#,
        r#"{"name":true}"#,
        r#"{"name":"\ud83d"}"#,
        &nested,
    ] {
        malformed(&mut scene, body)?;
    }
    for body in [&b"\xff\xfe"[..], b"{\"name\":\"\xff\"}", b"{\"name\":\"a\0b\"}", b"\0", b"{\"name\":\"version\"}\0"] {
        malformed(&mut scene, body)?;
    }
    for body in ["{}", r#"{"value":"x"}"#, r#"{"name":null}"#, r#"{"Name":"version"}"#] {
        let answer = ask(&mut scene, body)?;
        assert_eq!((answer.code.as_str(), answer.message.as_str()), ("500", "Request is missing 'name' key"), "{body}");
    }
    assert_eq!(scene.host.ask("version", "")?.ok()?, env!("CARGO_PKG_VERSION"), "it is none the worse for it");
    Ok(())
}

#[test]
fn the_longest_value_that_the_host_can_write_is_answered() -> Result<()> {
    let mut scene = Scene::new()?;
    let id = uuid()?;
    let room = PAYLOAD_MAX - scene.host.path(&format!("data/host/{id}")).len() - 1;
    for (start, end, message) in [
        ("", "", "Request is malformed"),
        (r#"{"name":"version","value":""#, r#""}"#, env!("CARGO_PKG_VERSION")),
        (r#"{"name":"injectfile","value":""#, r#""}"#, "Invalid arguments: no comma between path and contents"),
        (r#"{"value":"","name":""#, r#""}"#, "No such agent command 'AAAA"),
    ] {
        // Four at a time are base64.
        let filling = "A".repeat((room - start.len() - end.len()) / 4 * 4);
        let body = [start, &filling, end].concat();
        assert!(room - body.len() < 4);
        scene.host.send(&id, &body)?;
        let answer = scene.host.wait_answer(&id)?;
        assert!(answer.message.starts_with(message), "{answer:?}");
        let response = scene.host.path(&format!("data/guest/{id}"));
        scene.host.client().rm(&response)?;
    }
    Ok(())
}

#[test]
fn an_unknown_command_is_named_in_its_answer() -> Result<()> {
    let mut scene = Scene::new()?;
    for (json, name) in [
        ("kmsactivate", "kmsactivate"),
        ("", ""),
        ("Version", "Version"),
        ("hostname_file", "hostname_file"),
        ("__init__", "__init__"),
        (r#"it's \"quoted\""#, r#"it's "quoted""#),
        (r"two\nlines\r\tand \u0007 a bell", "two\nlines\r\tand \u{7} a bell"),
        (r"C:\\dir\/x", r"C:\dir/x"),
        (r"\u00e9t\u00e9 \ud83d\ude00 \u2603", "été 😀 ☃"),
        ("été 😀 ☃", "été 😀 ☃"),
        (r"nul\u0000nul", "nul\0nul"),
        (r"ver\u0073ion\u0020", "version "),
    ] {
        let answer = ask(&mut scene, format!(r#"{{"name":"{json}","value":"x"}}"#))?;
        assert_eq!(answer.code, "404", "{json}");
        assert_eq!(answer.message, format!("No such agent command '{name}'"));
    }
    let answer = ask(&mut scene, r#"{"n\u0061me":"v\u0065rsion"}"#)?;
    assert_eq!(answer.ok()?, env!("CARGO_PKG_VERSION"), "an escaped name is the same name");
    Ok(())
}

#[test]
fn every_command_answers_to_every_kind_of_value() -> Result<()> {
    let mut scene = Scene::new()?;
    let number = "162259276829213363391578010288126162259276829213363391578010288126";
    let values =
        ["null", r#""""#, r#""x""#, "0", "-1.5e300", number, "true", "[]", "{}", r#"{"b64_path":1}"#, r#""\u0000,""#];
    let bodies = COMMANDS.iter().flat_map(|name| {
        let with = values.iter().map(move |value| format!(r#"{{"name":"{name}","value":{value}}}"#));
        with.chain([format!(r#"{{"name":"{name}"}}"#)])
    });
    for body in bodies {
        let answer = ask(&mut scene, &body)?;
        let harmless = body.contains("version") || body.contains("features");
        assert_eq!(answer.code, if harmless { "0" } else { "500" }, "{body}: {answer:?}");
        assert!(!answer.message.is_empty(), "{body}");
    }
    Ok(())
}

/// All ids answered, each once, in the order in which they were sent; and nothing else is left.
fn assert_all_answered(scene: &mut Scene, tally: &mut Tally, ids: &[String]) -> Result<()> {
    for id in ids {
        assert_eq!(scene.host.wait_answer(id)?.ok()?, env!("CARGO_PKG_VERSION"));
    }
    let changes = tally.changes()?;
    assert_eq!(changes.len(), ids.len());
    assert!(changes.values().all(|count| *count == 1), "{changes:?}");
    let (requests, responses) = (scene.host.path("data/host"), scene.host.path("data/guest"));
    assert_eq!(scene.host.client().list(&requests)?, Vec::<String>::new());
    assert_eq!(scene.host.client().list(&responses)?, ids);
    Ok(())
}

fn uuids(count: usize) -> Result<Vec<String>> {
    (0..count).map(|_| uuid()).collect()
}

#[test]
fn two_hundred_requests_that_waited_for_the_agent_are_answered_in_order() -> Result<()> {
    let xenstored = Xenstored::start(roomy())?;
    let mut host = Host::of(&xenstored)?;
    let ids = uuids(200)?;
    for id in &ids {
        host.send(id, r#"{"name":"version","value":"agent"}"#)?;
    }
    let mut tally = Tally::of(&xenstored)?;
    let root = GuestRoot::new()?;
    let agent = Agent::on(&xenstored.guest_socket(), root.path());
    let mut scene = Scene { host, agent, root, xenstored };
    assert_all_answered(&mut scene, &mut tally, &ids)?;
    assert!(scene.xenstored.stats().requests_of(op::DIRECTORY_PART) > 0, "their list is longer than a packet");
    Ok(())
}

#[test]
fn two_hundred_requests_in_one_burst_are_answered() -> Result<()> {
    let mut scene = Scene::with(roomy())?;
    scene.agent.wait_until_serving();
    let mut tally = Tally::of(&scene.xenstored)?;
    let ids = uuids(200)?;
    let paths: Vec<String> = ids.iter().map(|id| scene.host.path(&format!("data/host/{id}"))).collect();
    // One transaction: all of them are there at the same moment.
    scene.host.client().transaction(|client| {
        paths.iter().try_for_each(|path| client.write(path, r#"{"name":"version","value":"agent"}"#))
    })?;
    assert_all_answered(&mut scene, &mut tally, &ids)
}

#[test]
fn the_same_over_the_device() -> Result<()> {
    let xenstored = Xenstored::start(roomy())?;
    let device = xenstored.guest_device(Kernel::default())?;
    let mut host = Host::of(&xenstored)?;
    let mut tally = Tally::of(&xenstored)?;
    let mut ids = uuids(150)?;
    let root = GuestRoot::new()?;
    ids.iter().try_for_each(|id| host.send(id, r#"{"name":"version"}"#))?;
    let agent = Agent::on(device.path(), root.path());
    // These arrive while those are served.
    for id in uuids(50)? {
        host.send(&id, r#"{"name":"version"}"#)?;
        ids.push(id);
    }
    let mut scene = Scene { host, agent, root, xenstored };
    assert_all_answered(&mut scene, &mut tally, &ids)?;
    assert_eq!(device.violations(), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_burst_that_a_directory_has_no_room_for_is_answered_to_a_host_that_looks() -> Result<()> {
    // In C xenstored a directory has room for the names of about fifty responses.
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let mut tally = Tally::of(&scene.xenstored)?;
    let ids = uuids(200)?;
    for id in &ids {
        scene.host.send(id, r#"{"name":"version","value":"agent"}"#)?;
    }
    for id in &ids {
        assert_eq!(scene.host.wait_answer(id)?.ok()?, env!("CARGO_PKG_VERSION"));
    }
    let changes = tally.changes()?;
    assert!(ids.iter().all(|id| changes.get(id).is_some_and(|count| *count <= 2)), "written, and removed at the most");
    wait_until("all are logged", || scene.agent.log().matches("'version' completed with code '0'").count() == 200);
    Ok(())
}

#[test]
fn a_request_that_arrives_while_another_is_served_is_answered() -> Result<()> {
    let mut scene = Scene::with(roomy())?;
    let mut tally = Tally::of(&scene.xenstored)?;
    let mut ids = Vec::new();
    for round in 0..20 {
        // The second one is written as soon as the first one's answer begins to be worked on: no waiting in between.
        for _ in 0..=round % 3 {
            ids.push(uuid()?);
            scene.host.send(&ids[ids.len() - 1], r#"{"name":"version","value":""}"#)?;
        }
        scene.host.wait_answer(&ids[ids.len() - 1])?;
    }
    assert_all_answered(&mut scene, &mut tally, &ids)
}

#[test]
fn an_id_can_be_used_again() -> Result<()> {
    let mut scene = Scene::new()?;
    let mut tally = Tally::of(&scene.xenstored)?;
    let path = scene.host.path("data/guest/again");
    for name in ["version", "features", "nothing", "version"] {
        scene.host.send("again", format!(r#"{{"name":"{name}"}}"#))?;
        let answer = scene.host.wait_answer("again")?;
        assert_eq!(answer.code, if name == "nothing" { "404" } else { "0" });
        scene.host.client().rm(&path)?;
    }
    assert_eq!(tally.changes()?["again"], 8, "written four times, removed four times");
    // Without removing the old answer first, too.
    scene.host.send("over", r#"{"name":"nothing"}"#)?;
    assert_eq!(scene.host.wait_answer("over")?.code, "404");
    scene.host.send("over", r#"{"name":"version"}"#)?;
    let request = scene.host.path("data/host/over");
    let mut host = scene.xenstored.host();
    wait_until("the request is gone", || host.get(&request).is_ok_and(|value| value.is_none()));
    assert_eq!(scene.host.wait_answer("over")?.code, "0");
    Ok(())
}

#[test]
fn ids_need_not_be_uuids() -> Result<()> {
    let mut scene = Scene::new()?;
    let long = "x".repeat(1000);
    for id in ["1", "-", "_", "@", "a-B_9@", &long] {
        scene.host.send(id, r#"{"name":"version"}"#)?;
        assert_eq!(scene.host.wait_answer(id)?.ok()?, env!("CARGO_PKG_VERSION"));
    }
    Ok(())
}

#[test]
fn the_hosts_directory_may_go_and_come_back() -> Result<()> {
    let mut scene = Scene::new()?;
    let directory = scene.host.path("data/host");
    assert_eq!(scene.host.ask("version", "")?.code, "0");
    for _ in 0..10 {
        // Three that may or may not be taken back before they are seen, and the directory with them.
        let ids = uuids(3)?;
        ids.iter().try_for_each(|id| scene.host.send(id, r#"{"name":"features"}"#))?;
        scene.host.client().rm(&directory)?;
        assert_eq!(scene.host.ask("version", "")?.ok()?, env!("CARGO_PKG_VERSION"));
        for id in ids {
            if let Some(answer) = scene.host.answer(&id)? {
                assert_eq!(answer.code, "0");
            }
        }
    }
    let agents = scene.host.path("data");
    scene.host.client().rm(&directory)?;
    assert!(scene.host.client().list(&agents)?.iter().all(|name| name != "host"));
    assert_eq!(scene.host.ask("version", "")?.code, "0");
    assert_eq!(scene.agent.log().matches("serving data/host").count(), 1, "the connection was never given up");
    Ok(())
}

#[test]
fn a_request_taken_back_while_it_is_served_is_served_once() -> Result<()> {
    let mut scene = Scene::new()?;
    let directory = scene.host.path("data/host");
    for round in 0..10 {
        let (id, path) = (uuid()?, format!("/etc/taken-{round}"));
        let argument = path_and_contents(&path, "contents");
        scene.host.send(&id, format!(r#"{{"name":"injectfile","value":"{argument}"}}"#))?;
        // The file appears in the middle of the command; its host loses patience just then.
        wait_until("the file is there", || scene.root.join(&path).exists());
        scene.host.client().rm(&directory)?;
        assert_eq!(scene.host.wait_answer(&id)?.code, "0");
    }
    let injected = scene.agent.log().matches("Received command 'injectfile'").count();
    assert_eq!(injected, 10);
    Ok(())
}
