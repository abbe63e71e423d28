//! What an agent with default options, and the children that look at its one volume, ask of the kernel while nothing
//! happens. It is watched by strace from the start of the benchmark to its end, on a guest of its own.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nanova_tests::agent::Agent;
use nanova_tests::scene::wait_until;
use nanova_tests::toolstack::{Guest, LINKS};
use nanova_tests::xenstored::Layout;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

/// Addresses are not the kernel's last word before this.
const AT_REST: Duration = Duration::from_secs(4);
const MINUTE: Duration = Duration::from_secs(60);

/// The parts go in this order.
pub(crate) struct Idle {
    tracer: Child,
    trace: NamedTempFile,
    since: Instant,
    agent: Agent,
    _guest: Guest,
}

impl Idle {
    /// Starts the agent, and waits until it is idle.
    pub(crate) fn start() -> Result<Idle> {
        let guest = Guest::new(Layout::default())?;
        let agent = guest.agent(LINKS, "");
        agent.wait_for_log("published what the guest is");
        std::thread::sleep(AT_REST);
        let trace = NamedTempFile::new()?;
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "--interruptible=anywhere", "-p", &agent.pid().to_string(), "-o"]).arg(trace.path());
        let tracer = command.stdin(Stdio::null()).spawn().context("cannot start strace")?;
        wait_until("strace is there", || agent.status_number("TracerPid") != 0);
        Ok(Idle { tracer, trace, since: Instant::now(), agent, _guest: guest })
    }

    /// The system calls of a minute, on average over the whole minutes that have passed; of one at least.
    pub(crate) fn calls(mut self) -> Result<f64> {
        let minutes = self.since.elapsed().as_secs().div_ceil(MINUTE.as_secs()).max(1);
        std::thread::sleep((MINUTE * u32::try_from(minutes)?).saturating_sub(self.since.elapsed()));
        kill_process(Pid::from_raw(self.tracer.id().cast_signed()).context("an id")?, Signal::TERM)?;
        self.tracer.wait()?;
        ensure!(self.agent.is_running(), "the agent has ended:\n{}", self.agent.log());
        let text = std::fs::read_to_string(self.trace.path())?;
        // The wait in which strace goes has not ended.
        Ok(text.lines().filter(|line| !line.contains("detached")).count() as f64 / minutes as f64)
    }
}
