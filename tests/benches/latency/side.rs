//! A guest with something that serves it, nanova or the bare client, over a socket or over the device; and its host,
//! who measures.
//!
//! Guarantees: between two measurements everything is at rest; a request is gone before the next one comes.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nanova_tests::agent::Agent;
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::{Host, PATIENCE};
use nanova_tests::scene::wait_until;
use nanova_tests::strace;
use nanova_tests::xenstored::{Kernel, Options, Pty, Quotas, Xenstored};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::sched_yield;
use rustix::time::{ClockId, clock_gettime};

use crate::bare;

/// The request that is measured with.
const REQUEST: &str = r#"{"name":"version","value":"agent"}"#;
/// More than the agent keeps responses.
const LONG_AGO: Duration = Duration::from_secs(601);

/// What requests come over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Socket,
    /// The stand-in for Linux's device, behind a terminal.
    Device,
}

/// Who serves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Nanova,
    /// Nanova, which believes to have been started ten minutes ago, and to have waited since.
    NanovaAfterTenMinutes,
    Bare,
}

enum Running {
    Nanova(Agent),
    Bare { _process: bare::Process },
}

/// The parts go in this order.
pub(crate) struct Side {
    running: Running,
    pub(crate) host: Host,
    pub(crate) root: GuestRoot,
    _device: Option<Pty>,
    xenstored: Xenstored,
}

/// The id of a request, as long as a host's.
pub(crate) fn id(number: usize) -> String {
    format!("7b3fd1ce-0f6b-4b0c-9d3c-{number:012}")
}

impl Side {
    /// With so many responses that lie there already, with the ids of the numbers from 0.
    pub(crate) fn new(who: Who, way: Way, old: usize) -> Result<Side> {
        let quotas = Quotas { nodes: 1 << 20, node_size: 1 << 20, ..Quotas::default() };
        let xenstored = Xenstored::start(Options { quotas, ..Options::default() })?;
        let mut host = Host::of(&xenstored)?;
        for number in 0..old {
            let path = host.path(&format!("data/guest/{}", id(number)));
            host.client().write(&path, r#"{"returncode":"0","message":"1.0.0"}"#)?;
        }
        let device = (way == Way::Device).then(|| xenstored.guest_device(Kernel::default())).transpose()?;
        let xenbus = device.as_ref().map_or_else(|| xenstored.guest_socket(), |device| device.path().to_owned());
        let root = GuestRoot::new()?;
        let running = match who {
            Who::Nanova => Running::Nanova(Agent::start(options(&xenbus, root.path()))),
            Who::NanovaAfterTenMinutes => Running::Nanova(start_long_ago(&xenbus, root.path())?),
            Who::Bare => Running::Bare { _process: bare::Process::start(&xenbus)? },
        };
        let mut side = Side { running, host, root, _device: device, xenstored };
        side.wait_for_rest();
        if let (Who::NanovaAfterTenMinutes, Running::Nanova(agent)) = (who, &side.running) {
            wake_up(agent)?;
        }
        side.rest()?;
        Ok(side)
    }

    /// The agent, where it is one.
    pub(crate) fn agent(&self) -> Option<&Agent> {
        if let Running::Nanova(agent) = &self.running { Some(agent) } else { None }
    }

    /// Waits until a watch is set and nothing more is asked for.
    fn wait_for_rest(&mut self) {
        let (mut before, mut since) = (None, Instant::now());
        wait_until("it is at rest", || {
            let stats = self.xenstored.stats();
            if before.as_ref() != Some(&stats) || stats.watches == 0 {
                (before, since) = (Some(stats), Instant::now());
            }
            since.elapsed() > Duration::from_millis(40)
        });
    }

    /// A request, until its answer can be read, in microseconds: until it is in xenstore, whoever the one processor
    /// goes on with then.
    pub(crate) fn ask(&mut self, id: &str) -> Result<f64> {
        self.xenstored.await_change(&self.host.path(&format!("data/guest/{id}")));
        let start = Instant::now();
        self.host.send(id, REQUEST)?;
        let answer = self.host.wait_readable(id)?;
        let time = self.xenstored.changed_at().context("the answer was written")? - start;
        ensure!(answer.code == "0", "{id} was answered with {}", answer.code);
        Ok(micros(time))
    }

    /// Has the request gone: nanova removes it itself.
    pub(crate) fn tidy(&mut self, id: &str) -> Result<()> {
        match self.running {
            Running::Nanova(_) => self.host.wait_answer(id).map(drop),
            Running::Bare { .. } => {
                let path = self.host.path(&format!("data/host/{id}"));
                Ok(self.host.client().rm(&path)?)
            }
        }
    }

    /// Removes a response.
    pub(crate) fn forget(&mut self, id: &str) -> Result<()> {
        let path = self.host.path(&format!("data/guest/{id}"));
        Ok(self.host.client().rm(&path)?)
    }

    /// Lets everything come to rest, and forgets what happened until then. It does not sleep: a processor that wakes up
    /// is slow for longer than an answer takes.
    pub(crate) fn rest(&mut self) -> Result<()> {
        let name = self.host.path("name");
        let mut before = None;
        loop {
            // All share one processor, so whoever has something to do does it now.
            for _ in 0..3 {
                sched_yield();
                self.host.client().get(&name)?;
            }
            let now = Some(self.xenstored.stats());
            if std::mem::replace(&mut before, now.clone()) == now {
                break;
            }
        }
        while self.host.client().wait_event(Duration::ZERO)?.is_some() {}
        Ok(())
    }

    /// Requests that are there at once, until the last answer is, in microseconds.
    pub(crate) fn ask_at_once(&mut self, ids: &[String]) -> Result<f64> {
        let paths: Vec<String> = ids.iter().map(|id| self.host.path(&format!("data/host/{id}"))).collect();
        let directory = self.host.path("data/guest/");
        let mut missing: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let client = self.host.client();
        client.begin()?;
        for path in &paths {
            client.write(path, REQUEST)?;
        }
        let start = Instant::now();
        client.commit()?;
        while !missing.is_empty() {
            let event = client.wait_event(PATIENCE)?.context("an answer is missing")?;
            event.path.strip_prefix(&directory).map(|id| missing.remove(id));
        }
        Ok(micros(start.elapsed()))
    }
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn options(xenbus: &Path, root: &Path) -> [OsString; 5] {
    ["--xenbus".into(), xenbus.into(), "--root".into(), root.into(), "-q".into()]
}

/// Starts an agent whose clock stands, ten minutes ago: strace writes that time where clock_gettime(2) wrote its own.
fn start_long_ago(xenbus: &Path, root: &Path) -> Result<Agent> {
    let now = clock_gettime(ClockId::Monotonic);
    let then = now.tv_sec - LONG_AGO.as_secs().cast_signed();
    ensure!(then > 0, "ten minutes ago this machine was not there");
    let time: String = [then.to_ne_bytes(), now.tv_nsec.to_ne_bytes()].as_flattened().iter().map(hex).collect();
    let inject = format!("--inject=clock_gettime:poke_exit=@arg2={time}");
    let mut command = strace::nanova(["-o", "/dev/null", "--interruptible=anywhere", "--trace=clock_gettime", &inject]);
    command.arg("agent").args(options(xenbus, root));
    Ok(Agent::spawn(command))
}

fn hex(byte: &u8) -> String {
    format!("{byte:02x}")
}

/// Ends the strace of such an agent: it finds that ten minutes have passed.
fn wake_up(agent: &Agent) -> Result<()> {
    let tracer = agent.status_number("TracerPid");
    kill_process(Pid::from_raw(i32::try_from(tracer)?).context("strace is not there")?, Signal::TERM)?;
    wait_until("strace goes", || agent.status_number("TracerPid") == 0);
    Ok(())
}
