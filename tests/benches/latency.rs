//! `cargo bench -p nanova-tests`: what nanova costs beside the floor, measured in one run.
//!
//! The floor of an answer is a bare client in a process of its own that makes the same xenstore round trips on the same
//! xenstored (directory, read, write, rm) and nothing else: blocking reads, no signals, no log, no
//! JSON. Both are measured in turns, so that what else the machine does hits both, and all processes share one
//! processor: how long another one takes to wake up, which in a virtual machine is more than the whole answer, is up to
//! the scheduler and differed between the two (0.8 to 3.1 for the same binary). Figures are ratios and medians; no test
//! depends on them.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;
use nanova_tests::agent::{Agent, MEMORY_MAX, SIZE_MAX, binary};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::xenstored::{HEADER, Options, Packet, Xenstored, op};
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

const ROUNDS: usize = 2000;
const REQUEST: &str = r#"{"name":"version","value":"agent"}"#;
const RESPONSE: &str = r#"{"returncode":"0","message":"1.0.0"}"#;

fn main() -> Result<()> {
    if let Ok(socket) = std::env::var("NANOVA_BENCH_FLOOR") {
        return floor(Path::new(&socket));
    }
    let mut one = CpuSet::new();
    one.set(sched_getcpu());
    sched_setaffinity(None, &one)?;
    let bench = Side::new(|xenstored, root| {
        Running::Nanova(Agent::start([
            "--xenbus".as_ref(),
            xenstored.guest_socket().as_os_str(),
            "--root".as_ref(),
            root.path().as_os_str(),
            "-q".as_ref(),
        ]))
    })?;
    let floor = Side::new(|xenstored, _| {
        let this = std::env::current_exe().expect("this program has a path");
        let child =
            Command::new(this).env("NANOVA_BENCH_FLOOR", xenstored.guest_socket()).stdout(Stdio::null()).spawn();
        Running::Floor(child.expect("the floor starts"))
    })?;
    compare(bench, floor)
}

/// Whatever serves.
enum Running {
    Nanova(Agent),
    Floor(Child),
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Running::Floor(child) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// One xenstored with a guest on it.
struct Side {
    running: Running,
    host: Host,
    times: Vec<Duration>,
    _root: GuestRoot,
    _xenstored: Xenstored,
}

impl Side {
    fn new(start: impl FnOnce(&Xenstored, &GuestRoot) -> Running) -> Result<Side> {
        let xenstored = Xenstored::start(Options::default())?;
        let root = GuestRoot::new()?;
        let running = start(&xenstored, &root);
        let host = Host::of(&xenstored)?;
        Ok(Side { running, host, times: Vec::with_capacity(ROUNDS), _root: root, _xenstored: xenstored })
    }

    fn round(&mut self, number: usize) -> Result<()> {
        let id = format!("bench-{number}");
        let start = Instant::now();
        self.host.send(&id, REQUEST)?;
        let answer = self.host.wait_readable(&id)?;
        self.times.push(start.elapsed());
        assert_eq!(answer.code, "0");
        self.host.wait_answer(&id)?;
        // Without this both would answer into an ever longer directory; nanova prunes, the floor does not.
        let response = self.host.path(&format!("data/guest/{id}"));
        self.host.client().rm(&response)?;
        Ok(())
    }

    fn quantile(&mut self, part: f64) -> f64 {
        self.times.sort();
        let place = (self.times.len() as f64 * part) as usize;
        self.times[place].as_secs_f64() * 1e6
    }
}

fn compare(mut nanova: Side, mut floor: Side) -> Result<()> {
    for number in 0..ROUNDS {
        nanova.round(number)?;
        floor.round(number)?;
    }
    println!("request written -> response readable, {ROUNDS} rounds, microseconds");
    println!("            median     p90     p99");
    let rows = [("nanova", &mut nanova), ("floor", &mut floor)].map(|(name, side)| {
        let row = [0.5, 0.9, 0.99].map(|part| side.quantile(part));
        println!("  {name:<8} {:>7.0} {:>7.0} {:>7.0}", row[0], row[1], row[2]);
        row
    });
    let ratio = rows[0][0] / rows[1][0];
    println!("  nanova / floor = {ratio:.2} at the median (limit 1.5)");
    if let Running::Nanova(agent) = &nanova.running {
        println!("peak RSS after {ROUNDS} requests: {} KiB (limit {MEMORY_MAX})", agent.status_number("VmHWM"));
    }
    println!("binary: {} bytes (limit {SIZE_MAX})", std::fs::metadata(binary())?.len());
    Ok(())
}

/// The bare client.
fn floor(socket: &Path) -> Result<()> {
    let mut floor = Floor { stream: UnixStream::connect(socket)?, bytes: vec![0; 8192], filled: 0, event: false };
    floor.call(op::WATCH, b"data/host\0floor\0")?;
    loop {
        let names = floor.call(op::DIRECTORY, b"data/host\0")?;
        let name = names.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        // An error's name looks like a node's; no request of this benchmark is called that.
        if name.is_empty() || name.starts_with(b"E") {
            while !std::mem::take(&mut floor.event) {
                floor.packet()?;
            }
            continue;
        }
        let request = [b"data/host/", name.as_slice(), b"\0"].concat();
        let response = [b"data/guest/", name.as_slice(), b"\0", RESPONSE.as_bytes()].concat();
        floor.call(op::READ, &request)?;
        floor.call(op::WRITE, &response)?;
        floor.call(op::RM, &request)?;
    }
}

struct Floor {
    stream: UnixStream,
    bytes: Vec<u8>,
    filled: usize,
    /// An event came since this was looked at.
    event: bool,
}

impl Floor {
    /// One request; the payload of its reply.
    fn call(&mut self, kind: u32, payload: &[u8]) -> Result<Vec<u8>> {
        let packet = Packet { kind, req_id: 1, tx_id: 0, payload: payload.to_vec() };
        self.stream.write_all(&packet.to_bytes())?;
        loop {
            if let Some(payload) = self.packet()? {
                return Ok(payload);
            }
        }
    }

    /// The next packet's payload; an event is only noted.
    fn packet(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let word = |at: usize| u32::from_ne_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"));
            let end = HEADER + word(12) as usize;
            if self.filled >= HEADER && self.filled >= end {
                let event = word(0) == op::WATCH_EVENT;
                let payload = self.bytes[HEADER..end].to_vec();
                self.bytes.copy_within(end..self.filled, 0);
                self.filled -= end;
                self.event |= event;
                return Ok((!event).then_some(payload));
            }
            let n = self.stream.read(&mut self.bytes[self.filled..])?;
            anyhow::ensure!(n > 0, "the daemon is gone");
            self.filled += n;
        }
    }
}
