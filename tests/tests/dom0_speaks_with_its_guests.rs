//! `nanova-host` and real agents on the embedded xenstored: what it asks, what it leaves, and how it ends.

use anyhow::Result;
use nanova_tests::agent::Agent;
use nanova_tests::dom0::{Ran, StandIn, command, run, start};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::scene::{Scene, wait_until};
use nanova_tests::xenstored::{Client, Kernel, Options, Xenstored};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Nothing waits in the guest, and nothing is left for it to keep. (An agent removes a request behind its response.)
fn assert_mailbox_is_empty(client: &mut Client, home: &str) -> Result<()> {
    let answers = client.list(&format!("{home}/data/guest")).unwrap_or_default();
    assert_eq!(answers, [""; 0]);
    let requests = format!("{home}/data/host");
    wait_until("no request is left", || client.list(&requests).unwrap_or_default().is_empty());
    Ok(())
}

fn said(line: &str) -> Ran {
    Ran { code: 0, out: format!("{line}\n"), err: String::new() }
}

#[test]
fn a_guest_is_meant_by_id_name_or_uuid_and_keeps_no_answer() -> Result<()> {
    let mut scene = Scene::new()?;
    for guest in ["7", "guest", "7b3fd1ce-0f6b-4b0c-9d3c-2d4fb5ed8d2a", "all"] {
        let out = run(&scene.xenstored, &format!("{guest} version"))?;
        let named = if guest == "all" { format!("guest (domain 7): {VERSION}") } else { VERSION.to_owned() };
        assert_eq!(out, said(&named), "{guest}");
    }
    let features = run(&scene.xenstored, "guest features")?;
    assert!(features.out.starts_with("version,features,keyinit,password,"), "{features:?}");
    let json: Value = serde_json::from_str(&run(&scene.xenstored, "--json guest version")?.out)?;
    assert_eq!((json["message"].as_str(), json["id"].as_u64()), (Some(VERSION), Some(7)));
    let home = scene.xenstored.home();
    assert_mailbox_is_empty(scene.host.client(), &home)
}

#[test]
fn over_dom0s_device_one_request_is_under_way_at_a_time() -> Result<()> {
    let scene = Scene::new()?;
    for kernel in [Kernel::default(), Kernel { foreign_req_id: true, zero_watch_ack: true }] {
        let device = scene.xenstored.host_device(kernel)?;
        let out: Ran = command(device.path(), "guest version").output()?.into();
        assert_eq!(out, said(VERSION));
        let list: Ran = command(device.path(), "list --json").output()?.into();
        assert!(list.out.contains("\"name\":\"guest\""), "{list:?}");
        assert_eq!(device.violations(), Vec::<String>::new());
    }
    Ok(())
}

#[test]
fn what_the_agent_refuses_is_told_with_exit_code_1() -> Result<()> {
    let scene = Scene::new()?;
    let out = run(&scene.xenstored, "guest call frobnicate x")?;
    assert_eq!((out.code, out.out.as_str()), (1, ""));
    assert!(
        out.err.contains("guest (domain 7): the agent answered 404: No such agent command 'frobnicate'"),
        "{out:?}"
    );
    let unknown = run(&scene.xenstored, "nobody version")?;
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("'nobody'"), "{unknown:?}");
    assert_eq!(run(&scene.xenstored, "guest frobnicate")?.code, 2);
    Ok(())
}

#[test]
fn who_does_not_answer_in_time_loses_the_request_and_it_is_exit_code_3() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let out = run(&xenstored, "guest version --timeout 1")?;
    assert_eq!(out.code, 3);
    assert!(out.err.contains("no answer within 1 s"), "{out:?}");
    assert_mailbox_is_empty(&mut xenstored.host(), &xenstored.home())
}

#[test]
fn ctrl_c_takes_the_request_back() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let mut client = xenstored.host();
    let directory = format!("{}/data/host", xenstored.home());
    for signal in [Signal::INT, Signal::TERM] {
        let child = start(&xenstored, "guest version")?;
        wait_until("a request is written", || !client.list(&directory).unwrap_or_default().is_empty());
        kill_process(Pid::from_child(&child), signal)?;
        let out: Ran = child.wait_with_output()?.into();
        assert_eq!(out.code, 130, "{out:?}");
        assert_mailbox_is_empty(&mut client, &xenstored.home())?;
    }
    Ok(())
}

#[test]
fn a_guest_that_goes_is_noticed_at_once_and_followed_if_that_is_wanted() -> Result<()> {
    // Built before anybody waits for it.
    nanova_tests::agent::binary();
    let xenstored = Xenstored::start(Options::default())?;
    let mut client = xenstored.host();
    let wait_for_request = |client: &mut Client| {
        let directory = format!("{}/data/host", xenstored.home());
        wait_until("a request is written", || !client.list(&directory).unwrap_or_default().is_empty());
    };
    let child = start(&xenstored, "guest version")?;
    wait_for_request(&mut client);
    xenstored.migrate(8);
    let out: Ran = child.wait_with_output()?.into();
    assert_eq!(out.code, 3);
    assert!(out.err.contains("the guest is gone"), "{out:?}");

    let child = start(&xenstored, "guest version --follow")?;
    wait_for_request(&mut client);
    xenstored.migrate(9);
    let root = GuestRoot::new()?;
    let _agent = Agent::on(&xenstored.guest_socket(), root.path());
    assert_eq!(Ran::from(child.wait_with_output()?), said(VERSION));
    assert_mailbox_is_empty(&mut client, &xenstored.home())
}

#[test]
fn a_shutdown_is_done_when_the_guests_kernel_has_taken_it() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let mut client = xenstored.host();
    let node = format!("{}/control/shutdown", xenstored.home());
    for (word, order) in [("shutdown", "poweroff"), ("reboot", "reboot")] {
        let child = start(&xenstored, &format!("guest {word}"))?;
        wait_until("it is ordered", || client.get(&node).unwrap().as_deref() == Some(order));
        client.write(&node, "")?;
        assert_eq!(Ran::from(child.wait_with_output()?), said("accepted"));
    }
    let out = run(&xenstored, "guest shutdown --timeout 1")?;
    assert_eq!(out.code, 3, "{out:?}");
    assert_eq!(client.get(&node)?.as_deref(), Some(""), "it is taken back");
    assert_eq!(client.perms(&node)?, "n7");
    Ok(())
}

#[test]
fn six_guests_are_asked_at_once_and_the_worst_counts() -> Result<()> {
    let mut xenstored = Xenstored::start(Options::default())?;
    let root = GuestRoot::new()?;
    let mut agents = vec![Agent::on(&xenstored.guest_socket(), root.path())];
    let mut roots = Vec::new();
    for domid in 11..16 {
        let uuid = format!("00000000-0000-4000-8000-{domid:012}");
        let socket = xenstored.introduce(domid, &uuid, &format!("web{domid}"))?;
        let root = GuestRoot::new()?;
        agents.push(Agent::on(&socket, root.path()));
        roots.push(root);
    }
    let out = run(&xenstored, "all version")?;
    assert_eq!((out.code, out.out.lines().count()), (0, 6), "{out:?}");
    let out = run(&xenstored, "web12 11 --json version")?;
    assert_eq!(out.out.lines().count(), 2);
    // One of them ends.
    agents.pop();
    let out = run(&xenstored, "all version --timeout 2")?;
    assert_eq!((out.code, out.out.lines().count()), (3, 5), "{out:?}");
    assert!(out.err.contains("web15 (domain 15): no answer"), "{out:?}");
    Ok(())
}

#[test]
fn the_list_shows_what_guests_report_in_three_forms() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let listed = || run(&scene.xenstored, "list --json").map(|out| serde_json::from_str::<Value>(&out.out).unwrap());
    wait_until("it is ready", || listed().unwrap()[0]["state"] == "ready");
    let guest = listed()?[0].clone();
    assert_eq!((guest["agent"].as_str(), guest["version"].as_str()), (Some("nanova"), Some(VERSION)));
    let table = run(&scene.xenstored, "list")?;
    assert!(table.out.starts_with("ID  NAME") && table.out.contains("ready"), "{table:?}");
    let metrics = run(&scene.xenstored, "list --openmetrics")?;
    assert!(metrics.out.contains("nanova_guest_ready{id=\"7\"") && metrics.out.ends_with("# EOF\n"), "{metrics:?}");
    let status = run(&scene.xenstored, "guest status")?;
    assert!(status.code == 0 && status.out.contains("state        ready"), "{status:?}");
    Ok(())
}

#[test]
fn a_list_that_goes_on_shows_who_comes() -> Result<()> {
    use std::io::{BufRead, BufReader};
    let mut xenstored = Xenstored::start(Options::default())?;
    let mut child = start(&xenstored, "list --watch --json")?;
    let mut lines = BufReader::new(child.stdout.take().expect("it has an output")).lines();
    assert!(lines.next().expect("a first list")?.contains("\"guest\""));
    xenstored.introduce(12, "u-12", "newcomer")?;
    assert!(lines.any(|line| line.is_ok_and(|line| line.contains("\"newcomer\""))));
    kill_process(Pid::from_child(&child), Signal::INT)?;
    child.wait()?;
    Ok(())
}

#[test]
fn a_thousand_guests_are_asked_and_each_answers_once() -> Result<()> {
    let mut xenstored = Xenstored::start(Options::default())?;
    for domid in 100..1100 {
        xenstored.introduce(domid, &format!("u-{domid}"), &format!("g{domid}"))?;
    }
    let _agents = StandIn::start(&xenstored, |_, _| Some(("0".into(), "1.39".into())))?;
    let out = run(&xenstored, "all version")?;
    assert_eq!((out.code, out.out.lines().count()), (0, 1001), "{}", out.err);
    assert!(out.out.lines().all(|line| line.ends_with(": 1.39")));
    let left = xenstored.host().list("/local/domain/1099/data/guest")?;
    assert_eq!(left, [""; 0]);
    Ok(())
}

#[test]
fn the_wire_is_shown_without_values() -> Result<()> {
    let scene = Scene::new()?;
    let out = run(&scene.xenstored, "-v guest call version secret-argument")?;
    assert_eq!(out.out, format!("{VERSION}\n"));
    assert!(out.err.contains("WRITE /local/domain/7/data/host/") && !out.err.contains("secret-argument"), "{out:?}");
    Ok(())
}
