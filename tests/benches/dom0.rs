//! What `nanova-host` costs beside a client that does the bare round trips: one guest, and a thousand.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nanova_tests::dom0::{StandIn, run};
use nanova_tests::scene::Scene;
use nanova_tests::xenstored::{Client, Options, Xenstored};

const ROUNDS: usize = 51;
const GUESTS: u32 = 1000;

/// Writes a request, waits for its response, reads and removes it.
fn bare(client: &mut Client, home: &str, id: &str) -> Result<()> {
    let answer = format!("{home}/data/guest/{id}");
    client.watch(&answer, id)?;
    client.write(&format!("{home}/data/host/{id}"), r#"{"name":"version","value":"agent"}"#)?;
    while client.get(&answer)?.is_none() {
        ensure!(client.wait_event(Duration::from_secs(10))?.is_some(), "no answer");
    }
    client.rm(&answer)?;
    Ok(client.unwatch(&answer, id)?)
}

fn median(mut once: impl FnMut() -> Result<()>, rounds: usize) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let begin = Instant::now();
        once()?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    Ok(times[rounds / 2])
}

fn main() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let (mut client, home, mut id) = (scene.xenstored.host(), scene.xenstored.home(), 0);
    let trips = median(
        || {
            id += 1;
            bare(&mut client, &home, &format!("b{id}"))
        },
        ROUNDS,
    )?;
    let program = median(|| run(&scene.xenstored, "7 version").map(drop), ROUNDS)?;
    println!("one version: bare round trips {trips:?}, nanova-host as a process {program:?}");

    let mut xenstored = Xenstored::start(Options::default())?;
    for domid in 100..100 + GUESTS {
        xenstored.introduce(domid, &format!("u-{domid}"), &format!("g{domid}"))?;
    }
    let _agents = StandIn::start(&xenstored, |_, _| Some(("0".into(), "1".into())))?;
    let mut client = xenstored.host();
    let all = |client: &mut Client| {
        (100..100 + GUESTS).try_for_each(|domid| bare(client, &format!("/local/domain/{domid}"), &format!("c{domid}")))
    };
    let trips = median(|| all(&mut client), 3)?;
    let program = median(|| run(&xenstored, "all version").map(drop), 3)?;
    println!("{GUESTS} versions: bare round trips {trips:?}, nanova-host {program:?}");
    Ok(())
}
