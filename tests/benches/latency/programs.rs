//! Programs from their start: the xenstore tools to their end, beside Debian's and a static C program that only prints;
//! the agent to its first watch, beside a static C program that sets one.

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nanova_tests::agent::{binary, target_dir};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::xenstored::{HEADER, Options, Quotas, Xenstored, op};

use crate::side::micros;
use crate::table::Samples;

const READS: usize = 300;
const LISTS: usize = 15;
const NODES: usize = 5000;
const STARTS: usize = 200;

/// The figures of programs that were run in turns.
pub(crate) type Figures<const N: usize> = [Samples; N];

/// The C program, compiled; by musl's compiler, whose programs start faster.
pub(crate) fn bare_program() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/latency/bare.c");
    let program = target_dir().join("bench/bare");
    std::fs::create_dir_all(target_dir().join("bench"))?;
    let mut command = Command::new("musl-gcc");
    let status = command.args(["-static", "-Os", "-Wall", "-Werror", "-o"]).arg(&program).arg(source).status();
    ensure!(status.context("musl-gcc is missing: install musl-tools")?.success(), "bare.c cannot be compiled");
    Ok(program)
}

/// `nanova xenstore read`, the C program that prints, the one that reads, `xenstore-read`.
pub(crate) fn read(bare: &Path) -> Result<Figures<4>> {
    let xenstored = Xenstored::start(Options::default())?;
    let mut reads = Command::new(bare);
    reads.arg(xenstored.guest_socket()).arg("name");
    let mut nanova = Command::new(binary());
    nanova.args(["xenstore", "read", "name"]);
    let mut debian = Command::new("xenstore-read");
    debian.arg("name");
    in_turns(READS, &xenstored, [nanova, Command::new(bare), reads, debian])
}

/// `nanova xenstore ls` and `xenstore-ls`, of many nodes.
pub(crate) fn list() -> Result<Figures<2>> {
    let quotas = Quotas { nodes: 1 << 20, node_size: 1 << 20, ..Quotas::default() };
    let xenstored = Xenstored::start(Options { quotas, ..Options::default() })?;
    let (mut host, home) = (xenstored.host(), xenstored.home());
    for number in 0..NODES {
        host.write(&format!("{home}/data/{}/{number}", number % 70), "a value of some length")?;
    }
    let mut nanova = Command::new(binary());
    nanova.args(["xenstore", "ls", "data"]);
    let mut debian = Command::new("xenstore-ls");
    debian.arg("data");
    in_turns(LISTS, &xenstored, [nanova, debian])
}

fn in_turns<const N: usize>(rounds: usize, xenstored: &Xenstored, mut commands: [Command; N]) -> Result<Figures<N>> {
    let mut figures = [const { Samples::new() }; N];
    for command in &mut commands {
        command.env("XENSTORED_PATH", xenstored.guest_socket()).stdin(Stdio::null()).stdout(Stdio::null());
    }
    for _ in 0..rounds {
        for (command, samples) in commands.iter_mut().zip(&mut figures) {
            let start = Instant::now();
            let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
            samples.add(micros(start.elapsed()));
            ensure!(status.success(), "{command:?}: {status}");
        }
    }
    Ok(figures)
}

/// `nanova agent` and the C program, until xenstored has the first watch.
pub(crate) fn start(bare: &Path) -> Result<Figures<2>> {
    let (directory, root) = (tempfile::tempdir()?, GuestRoot::new()?);
    let socket = directory.path().join("xenstored");
    let listener = UnixListener::bind(&socket)?;
    let mut nanova = Command::new(binary());
    nanova.args(["agent", "-q", "--root"]).arg(root.path()).arg("--xenbus").arg(&socket);
    let mut other = Command::new(bare);
    other.arg(&socket);
    let mut figures = [const { Samples::new() }; 2];
    for _ in 0..STARTS {
        for (command, samples) in [&mut nanova, &mut other].into_iter().zip(&mut figures) {
            samples.add(time_to_watch(command, &listener)?);
        }
    }
    Ok(figures)
}

fn time_to_watch(command: &mut Command, listener: &UnixListener) -> Result<f64> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let mut header = [0; HEADER];
    listener.accept()?.0.read_exact(&mut header)?;
    let time = micros(start.elapsed());
    child.kill()?;
    child.wait()?;
    ensure!(header[..4] == op::WATCH.to_ne_bytes(), "the first request is no watch: {header:?}");
    Ok(time)
}
