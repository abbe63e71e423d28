//! `nanova-host DOM network`: vm-data is judged, written with the right permissions, and set by the real agent.

use std::os::unix::fs::PermissionsExt;

use anyhow::Result;
use nanova_tests::dom0::{Ran, StandIn, command, run};
use nanova_tests::scene::Scene;
use nanova_tests::xenstored::{Layout, Options, Xenstored};

const NETWORK: &str = r#"{"hostname": "web01", "networking": {"BC764E000001": {"label": "public", "mac": "bc:76:4e:00:00:01",
    "ips": [{"ip": "10.0.0.5", "netmask": "255.255.255.0", "enabled": "1"}], "gateway": "10.0.0.1"}}}"#;

fn file(text: &str) -> Result<tempfile::NamedTempFile> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    Ok(file)
}

#[test]
fn a_network_is_written_so_that_the_guest_may_read_it_and_set_by_its_agent() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let home = scene.xenstored.home();
    scene.host.client().write(&format!("{home}/vm-data/networking/00163E000009"), "{}")?;
    let network = file(NETWORK)?;
    let out = run(&scene.xenstored, &format!("guest network {}", network.path().display()))?;
    // Nothing of this machine has such an interface: the agent says so, or has written its files.
    assert!(out.code <= 1 && out.out.contains("guest reports"), "{out:?}");
    scene.agent.wait_for_log("'resetnetwork'");
    let client = scene.host.client();
    let node = format!("{home}/vm-data/networking/BC764E000001");
    assert_eq!(client.perms(&node)?, "n0 r7");
    assert_eq!(client.list(&format!("{home}/vm-data/networking"))?, ["BC764E000001"], "what is not in it goes");
    assert_eq!(client.get(&format!("{home}/vm-data/hostname"))?.as_deref(), Some("web01"));
    let shown = run(&scene.xenstored, "guest network --show")?;
    let (shown, meant): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(&shown.out)?, serde_json::from_str(NETWORK)?);
    assert_eq!(shown, meant);
    Ok(())
}

#[test]
fn what_a_guest_would_not_take_is_not_written() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let agent = StandIn::start(&xenstored, |_, _| Some(("0".into(), String::new())))?;
    for (bad, named) in [(NETWORK.replace("10.0.0.5", "10.0.0.555"), "10.0.0.555"), ("{".into(), "no JSON")] {
        let network = file(&bad)?;
        let out = run(&xenstored, &format!("guest network {}", network.path().display()))?;
        assert!(out.code == 1 && out.err.contains(named), "{out:?}");
    }
    assert_eq!((agent.heard(), xenstored.host().get(&format!("{}/vm-data", xenstored.home()))?), (Vec::new(), None));
    Ok(())
}

#[test]
fn xapi_is_told_apart_and_what_keeps_it_is_printed() -> Result<()> {
    let xenstored = Xenstored::start(Options { layout: Layout::Xapi, ..Options::default() })?;
    let _agent = StandIn::start(&xenstored, |_, _| Some(("0".into(), String::new())))?;
    let network = file(NETWORK)?;
    let out = run(&xenstored, &format!("guest network {}", network.path().display()))?;
    assert_eq!(out.code, 0, "{out:?}");
    let command =
        "xe vm-param-set uuid=7b3fd1ce-0f6b-4b0c-9d3c-2d4fb5ed8d2a xenstore-data:vm-data/networking/BC764E000001='{";
    assert!(out.err.contains(command), "{out:?}");
    assert_eq!(xenstored.host().perms(&format!("{}/vm-data/hostname", xenstored.home()))?, "n7");
    Ok(())
}

#[test]
fn an_editor_changes_it_or_nothing_happens() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let agent = StandIn::start(&xenstored, |_, _| Some(("0".into(), String::new())))?;
    let hostname = format!("{}/vm-data/hostname", xenstored.home());
    xenstored.host().write(&hostname, "before")?;
    let directory = tempfile::tempdir()?;
    let editor = directory.path().join("editor");
    std::fs::write(&editor, "#!/bin/sh\nsed -i \"s/before/$NAME/\" \"$1\"\n")?;
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755))?;
    let edit = |name: &str| -> Result<Ran> {
        let mut command = command(&xenstored.host_socket(), "guest network --edit");
        Ok(command.env_remove("VISUAL").env("EDITOR", &editor).env("NAME", name).output()?.into())
    };
    assert!(edit("before")?.err.contains("nothing was changed"));
    assert_eq!(agent.heard(), []);
    assert_eq!(edit("after")?.code, 0);
    assert_eq!(xenstored.host().get(&hostname)?.as_deref(), Some("after"));
    assert_eq!(agent.heard()[0].0, "resetnetwork");
    Ok(())
}

#[test]
fn a_name_that_is_null_goes_and_one_that_is_not_spoken_of_stays() -> Result<()> {
    let xenstored = Xenstored::start(Options { layout: Layout::Xapi, ..Options::default() })?;
    let _agent = StandIn::start(&xenstored, |_, _| Some(("0".into(), String::new())))?;
    let hostname = format!("{}/vm-data/hostname", xenstored.home());
    xenstored.host().write(&hostname, "before")?;
    let set = |text: &str| -> Result<Ran> {
        let network = file(text)?;
        run(&xenstored, &format!("guest network {}", network.path().display()))
    };
    let interface = r#"{"mac": "bc:76:4e:00:00:01", "ips": []}"#;
    for text in [interface.to_owned(), format!(r#"{{"networking": {{"BC764E000001": {interface}}}}}"#)] {
        assert_eq!(set(&text)?.code, 0);
        assert_eq!(xenstored.host().get(&hostname)?.as_deref(), Some("before"), "{text}");
    }
    let out = set(r#"{"hostname": null, "networking": {}}"#)?;
    assert_eq!((out.code, xenstored.host().get(&hostname)?), (0, None), "{out:?}");
    for node in ["vm-data/hostname", "vm-data/networking/BC764E000001"] {
        let command = format!("param-name=xenstore-data param-key={node}\n");
        assert!(out.err.contains(&command), "{out:?}");
    }
    // It is none already.
    assert_eq!(set(r#"{"hostname": null, "networking": {}}"#)?.code, 0);
    Ok(())
}
