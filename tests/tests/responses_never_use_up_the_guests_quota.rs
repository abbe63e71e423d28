//! No host removes responses, and a guest may own a thousand nodes: the agent makes room itself, and every command is
//! answered however many there are.

use std::thread;

use anyhow::{Result, ensure};
use nanova_tests::agent::Agent;
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::{Answer, uuid};
use nanova_tests::scene::{Scene, Tally, path_and_contents, wait_until};
use nanova_tests::xenstored::{Errno, Options, Quotas, Xenstored};

const VERSION: &str = r#"{"name":"version","value":"agent"}"#;

/// The limits of both real xenstoreds: C's counts the names of the children to a node's size, oxenstored's only values.
fn both_kinds() -> [Quotas; 2] {
    [Quotas::default(), oxenstored_like()]
}

fn oxenstored_like() -> Quotas {
    Quotas {
        node_size: 64 * 1024,
        nodes_refused_with: Errno::Equota,
        size_refused_with: Errno::E2big,
        ..Quotas::default()
    }
}

/// So many commands, one after the other; every answer is waited for.
fn ask_often(quotas: Quotas, count: usize) -> Result<()> {
    let allowed = quotas.nodes;
    let mut scene = Scene::with(Options { quotas, ..Options::default() })?;
    scene.agent.wait_for_log("published what the guest is");
    let before = scene.xenstored.stats().nodes;
    for place in 0..count {
        // Each under a name of its own, as long as a UUID.
        let id = format!("{place:036}");
        scene.host.send(&id, VERSION)?;
        let answer = scene.host.wait_answer(&id)?;
        ensure!(answer.code == "0", "{place}: {answer:?}");
    }
    let stats = scene.xenstored.stats();
    println!("{count} commands: at most {} nodes of {allowed}, {} before", stats.peak_nodes, before);
    // Two directories, the responses that are kept with the newest, and the next request.
    assert!(stats.peak_nodes <= before + 2 + 501 + 1, "{}", stats.peak_nodes);
    let log = scene.agent.log();
    assert!(!log.contains("cannot be answered"), "{log}");
    assert_eq!(log.matches("serving data/host").count(), 1);
    Ok(())
}

/// So many commands in a row on each kind: as an answer stays for five seconds, C xenstored has room for ten a second,
/// oxenstored for a hundred.
fn ask_both_often(counts: [usize; 2]) -> Result<()> {
    let both = both_kinds().into_iter().zip(counts);
    let runs: Vec<_> = both.map(|(quotas, count)| thread::spawn(move || ask_often(quotas, count))).collect();
    runs.into_iter().try_for_each(|run| run.join().expect("no panic"))
}

#[test]
fn many_commands_in_a_row() -> Result<()> {
    ask_both_often([150, 1500])
}

#[test]
#[ignore = "needs two minutes"]
fn many_more_commands_in_a_row() -> Result<()> {
    ask_both_often([1200, 12_000])
}

/// A xenstored on which an earlier agent has left so many responses.
fn with_leftovers(count: usize, quotas: Quotas) -> Result<(Xenstored, Host)> {
    with_leftovers_on(Options { quotas, ..Options::default() }, count)
}

fn with_leftovers_on(options: Options, count: usize) -> Result<(Xenstored, Host)> {
    let xenstored = Xenstored::start(options)?;
    let mut host = Host::of(&xenstored)?;
    for _ in 0..count {
        let path = host.path(&format!("data/guest/{}", uuid()?));
        host.client().write(&path, r#"{"returncode": "0", "message": ""}"#)?;
    }
    Ok((xenstored, host))
}

#[test]
fn what_an_earlier_agent_left_is_taken_over_and_pruned() -> Result<()> {
    for quotas in both_kinds() {
        let (xenstored, mut host) = with_leftovers(900, quotas)?;
        let responses = host.path("data/guest");
        let left = host.client().list(&responses)?;
        let root = GuestRoot::new()?;
        let agent = Agent::on(&xenstored.guest_socket(), root.path());
        for _ in 0..10 {
            assert_eq!(host.ask("version", "")?.code, "0");
        }
        let kept = host.client().list(&responses)?;
        assert!(kept.len() <= 510, "{} are left", kept.len());
        // The youngest stay, whichever are gone.
        let old: Vec<_> = kept.iter().filter(|id| left.contains(id)).collect();
        assert!(old.iter().eq(&left[left.len() - old.len()..].iter().collect::<Vec<_>>()));
        assert!(!agent.log().contains("cannot be answered"), "{}", agent.log());
    }
    Ok(())
}

#[test]
fn leftovers_that_fill_the_quota_are_no_reason_not_to_answer() -> Result<()> {
    let (xenstored, mut host) = with_leftovers(1200, Quotas::default())?;
    assert!(xenstored.stats().nodes > 1000);
    let root = GuestRoot::new()?;
    let _agent = Agent::on(&xenstored.guest_socket(), root.path());
    // Those of an earlier agent go at once.
    for _ in 0..50 {
        assert_eq!(host.ask("version", "")?.ok()?, env!("CARGO_PKG_VERSION"));
    }
    Ok(())
}

#[test]
fn leftovers_that_may_not_be_removed_stop_nothing() -> Result<()> {
    let (xenstored, mut host) = with_leftovers(700, Quotas { nodes: 5000, ..oxenstored_like() })?;
    let responses = host.path("data/guest");
    for id in host.client().list(&responses)? {
        host.client().set_perms(&format!("{responses}/{id}"), "n0")?;
    }
    let root = GuestRoot::new()?;
    let mut agent = Agent::on(&xenstored.guest_socket(), root.path());
    for _ in 0..10 {
        assert_eq!(host.ask("version", "")?.ok()?, env!("CARGO_PKG_VERSION"));
    }
    agent.signal(rustix::process::Signal::TERM);
    assert!(agent.wait().success());
    Ok(())
}

#[test]
fn leftovers_that_fill_the_quota_and_cannot_be_listed_make_room_all_the_same() -> Result<()> {
    let options = Options { directory_part: false, quotas: oxenstored_like(), ..Options::default() };
    let (xenstored, mut host) = with_leftovers_on(options, 988)?;
    let root = GuestRoot::new()?;
    let _agent = Agent::on(&xenstored.guest_socket(), root.path());
    for _ in 0..20 {
        assert_eq!(host.ask("version", "")?.ok()?, env!("CARGO_PKG_VERSION"));
    }
    Ok(())
}

/// Fills the guest's quota with nodes that are none of the agent's business.
fn fill(xenstored: &Xenstored) -> Result<()> {
    let mut guest = xenstored.guest();
    for place in 0.. {
        // A directory of its own for a few, as a directory's size is limited, too.
        match guest.write(&format!("attr/somebody/{}/{}", place / 50, place % 50), "") {
            Ok(()) => {}
            Err(error) if error.errno() == Some(Errno::Enospc) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[test]
fn a_quota_that_somebody_else_has_filled_is_enough_for_answers() -> Result<()> {
    let mut scene = Scene::new()?;
    assert_eq!(scene.host.ask("version", "")?.code, "0");
    fill(&scene.xenstored)?;
    // A request is the guest's node as well, and its answer takes its place.
    for _ in 0..5 {
        assert_eq!(scene.host.ask("version", "")?.ok()?, env!("CARGO_PKG_VERSION"));
    }
    Ok(())
}

#[test]
fn without_any_room_a_command_is_executed_once_all_the_same() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    fill(&scene.xenstored)?;
    // Not even the place of the request is free.
    scene.xenstored.set_quotas(Quotas { nodes: 100, ..Quotas::default() });
    let argument = path_and_contents("/etc/once", "once\n");
    scene.host.send("mute", format!(r#"{{"name":"injectfile","value":"{argument}"}}"#))?;
    let request = scene.host.path("data/host/mute");
    let mut host = scene.xenstored.host();
    wait_until("the request is gone", || host.get(&request).is_ok_and(|value| value.is_none()));
    scene.agent.wait_for_log("request mute cannot be answered as it should");
    scene.xenstored.set_quotas(Quotas::default());
    assert_eq!(scene.agent.log().matches("Received command 'injectfile'").count(), 1);
    let somebodys = scene.host.path("attr/somebody");
    scene.host.client().rm(&somebodys)?;
    assert_eq!(scene.host.ask("version", "")?.code, "0");
    assert_eq!(scene.agent.log().matches("Received command 'injectfile'").count(), 1);
    Ok(())
}

#[test]
fn commits_that_are_refused_cost_no_answer_and_make_no_second_one() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let mut tally = Tally::of(&scene.xenstored)?;
    for (round, refused) in [1, 2, 10, 99, 100, 150].into_iter().enumerate() {
        scene.xenstored.refuse_commits(refused);
        let (id, path) = (format!("conflict-{round}"), format!("/etc/conflict-{round}"));
        let argument = path_and_contents(&path, "x");
        scene.host.send(&id, format!(r#"{{"name":"injectfile","value":"{argument}"}}"#))?;
        assert_eq!(answer_once_request_is_gone(&mut scene, &id)?.code, "0", "{refused} refusals");
        assert_eq!(tally.changes()?[&id], 1, "{refused} refusals");
        scene.xenstored.refuse_commits(0);
    }
    assert_eq!(scene.agent.log().matches("Received command 'injectfile'").count(), 6);
    Ok(())
}

/// Where response and request do not change in one transaction, the response is there first.
fn answer_once_request_is_gone(scene: &mut Scene, id: &str) -> Result<Answer> {
    let request = scene.host.path(&format!("data/host/{id}"));
    let mut host = scene.xenstored.host();
    wait_until("the request is gone", || host.get(&request).is_ok_and(|value| value.is_none()));
    scene.host.wait_answer(id)
}
