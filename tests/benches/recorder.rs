//! What the flight recorder costs: `version` of an agent with it beside one without, in turns; bytes of the program,
//! and nanoseconds of a record. `cargo bench -p nanova-tests --bench recorder`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use nanova_record::elf::Elf;
use nanova_record::records::{Frames, Reader};
use nanova_tests::agent::{Agent, binary, build, cargo, target_dir};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::uuid;
use nanova_tests::scene::Scene;
use nanova_tests::xenstored::{Options, Xenstored};
use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

/// The same agent without the recorder.
fn without_recorder() -> Result<PathBuf> {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../agent/Cargo.toml"))?;
    let defaults = manifest.split_once("default = [").and_then(|(_, rest)| rest.split_once(']')).context("defaults")?.0;
    let features = defaults.split('"').skip(1).step_by(2).filter(|name| *name != "recorder");
    let options = ["--no-default-features", "--features", &features.collect::<Vec<_>>().join(",")];
    build(&mut cargo(), &target_dir().join("without-recorder"), &options)
}

/// How many microseconds it takes until an answer can be read, of so many. Each is gone before the next one comes.
fn latency(host: &mut Host, requests: usize) -> Result<Vec<f64>> {
    let mut took = Vec::new();
    for _ in 0..requests {
        let id = uuid()?;
        let start = Instant::now();
        host.send(&id, r#"{"name":"version","value":"agent"}"#)?;
        host.wait_readable(&id)?;
        took.push(start.elapsed().as_secs_f64() * 1e6);
        host.wait_answer(&id)?;
        let path = host.path(&format!("data/guest/{id}"));
        host.client().rm(&path)?;
    }
    Ok(took)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() -> Result<()> {
    let other = without_recorder()?;
    binary();
    // As in the other benchmark: on one processor, before whoever else there is.
    let _ = setpriority_process(None, -20);
    let mut one = CpuSet::new();
    one.set(sched_getcpu());
    sched_setaffinity(None, &one)?;
    let start = |binary: &Path| -> Result<Scene> {
        let (xenstored, root) = (Xenstored::start(Options::default())?, GuestRoot::new()?);
        let mut command = Command::new("unshare");
        command.arg("--uts").arg(binary).args(["agent", "--xenbus"]).arg(xenstored.guest_socket());
        command.arg("--root").arg(root.path());
        Ok(Scene { host: Host::of(&xenstored)?, agent: Agent::spawn(command), root, xenstored })
    };
    let mut scenes = [start(binary())?, start(&other)?];
    scenes.iter().for_each(|scene| scene.agent.wait_until_serving());
    let cpu = |scene: &Scene| -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/schedstat", scene.agent.pid()))?;
        Ok(text.split(' ').next().context("nanoseconds")?.parse::<f64>()?)
    };
    let (mut took, mut used) = ([Vec::new(), Vec::new()], [0.0; 2]);
    for round in 0..80 {
        for place in [round % 2, 1 - round % 2] {
            let before = cpu(&scenes[place])?;
            took[place].extend(latency(&mut scenes[place].host, 50)?);
            used[place] += (cpu(&scenes[place])? - before) / 4000.0;
        }
    }
    let frames = Frames::read(&fs::read(scenes[0].root.join("/run/nanova/recorder"))?)?;
    let elf = Elf::read(&binary().with_file_name("nanova.elf"), &frames.build_id)?;
    let mut reader = Reader::new(&elf);
    let read = reader.read_all(&frames);
    let requests = read.iter().filter(|record| record.text.starts_with("request ")).count();
    let records = reader.counts.0 as f64 / requests as f64;
    let [with, without] = took.map(median);
    println!(
        "version at the median: {with:.1} us, without the recorder {without:.1} us ({:+.1} %)",
        (with / without - 1.0) * 100.0
    );
    println!(
        "time of a processor for a request: {:.1} us, without {:.1}; {records:.1} records: {:.0} ns a record, clock among it",
        used[0] / 1e3,
        used[1] / 1e3,
        (used[0] - used[1]) / records
    );
    let sizes = [binary(), &other].map(|path| fs::metadata(path).map_or(0, |file| file.len()));
    println!("bytes: {} with, {} without: {}", sizes[0], sizes[1], sizes[0] - sizes[1]);
    Ok(())
}
