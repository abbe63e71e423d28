//! `cargo bench -p nanova-tests`: what nanova costs beside the least that would do, measured in one run.
//!
//! An answer is measured beside a bare client on the same xenstored that only reads the request and writes the response
//! (`bare.rs`); a program's start beside a static C program that only prints, or sets a watch (`bare.c`); a password
//! change beside crypt(3); the xenstore tools beside Debian's. They are measured in turns, so that what else the
//! machine does hits both, and all processes share one processor: how long another one takes to wake up, which in a
//! virtual machine is more than the whole answer, is up to the scheduler and differed between the two (0.8 to 3.1 for
//! the same binary). Figures are medians; no test depends on them. `-- --keep` (`cargo plots`) also keeps the plots for
//! README; `-- --quick` takes a tenth of the time. Needs musl-tools, strace, perl, openssl, binutils, iproute2 and
//! xenstore-utils, and root for namespaces.

mod answers;
mod bare;
mod figures;
mod idle;
mod password;
mod plot;
mod programs;
mod side;
mod table;

use std::path::Path;

use anyhow::{Context, Result};
use figures::Report;
use idle::Idle;
use nanova_tests::agent::{SIZE_MAX, binary};
use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};
use side::{Side, Way, Who};
use table::{Line, Samples, Table};

/// Over both ways, as an answer is at most to be.
const ANSWER_GOAL: f64 = 1.2;
const WAYS: [(Way, &str); 2] = [(Way::Socket, "socket"), (Way::Device, "device")];
const BARE: &str = "bare client";

fn main() -> Result<()> {
    if bare::was_asked_for()? {
        return Ok(());
    }
    // What a disk takes to keep a file is not nanova's.
    if Path::new("/dev/shm").is_dir() {
        let _ = tempfile::env::override_temp_dir(Path::new("/dev/shm"));
    }
    let program = programs::bare_program()?;
    binary();
    // Others on this machine only wait; not everybody may ask for that.
    let _ = setpriority_process(None, -20);
    let mut one = CpuSet::new();
    one.set(sched_getcpu());
    sched_setaffinity(None, &one)?;
    let report = measure(&program)?;
    print!("{}", report.table);
    println!("plots: {}", figures::write(&report)?.display());
    if std::env::args().any(|word| word == "--keep") {
        println!("kept: {}", figures::keep()?.display());
    }
    Ok(())
}

fn measure(program: &Path) -> Result<Report> {
    let mut lines = Vec::new();
    let idle = Idle::start()?;
    let mut singles = Vec::new();
    for (way, name) in WAYS {
        let single = answers::single(way)?;
        lines.push(answer(format!("version over a {name}"), &single));
        lines.push(answer("  after 500 old answers", &answers::after_old_ones(way)?));
        lines.push(answer("  after ten quiet minutes, with 450", &answers::after_ten_minutes(way)?));
        let burst = answers::burst(way)?;
        lines.push(Line::of("  200 at once, each of them", &burst.nanova, BARE, &burst.bare));
        singles.push(single);
    }
    let [socket, device] = singles.try_into().ok().context("two ways")?;
    let row = answers::in_a_row()?;
    in_a_row(&row, &mut lines)?;
    programs(program, &mut lines)?;
    let change = password::change()?;
    lines.push(Line::of("password change", &change.password, "crypt(3)", &change.crypt).goal(2.0));
    lines.push(Line::alone("  exchange of keys before it", "us", change.exchange.median()));
    memory(&mut lines)?;
    lines.push(Line::alone("an idle minute with default options", "calls", idle.calls()?).goal(4.0));
    let nanova = nanova(&lines);
    Ok(Report { table: Table(lines), socket, device, row, nanova })
}

fn answer(what: impl Into<String>, pair: &answers::Pair) -> Line {
    Line::of(what, &pair.nanova, BARE, &pair.bare).goal(ANSWER_GOAL)
}

/// What is compared with other agents, by the names in `peers.json`.
fn nanova(lines: &[Line]) -> figures::Agent {
    let figure = |what: &str| lines.iter().filter(|line| line.what.contains(what)).map(|line| line.nanova).sum::<f64>();
    let figures = [
        ("bytes", figure("bytes of the binary")),
        ("resident_kib", figure("resident memory of an idle agent")),
        ("start_ms", figure("start to the first watch") / 1000.0),
        ("idle_calls", figure("an idle minute")),
        ("version_ms", figure("version over a device") / 1000.0),
        ("password_ms", (figure("password change") + figure("exchange of keys")) / 1000.0),
    ];
    let figures = figures.map(|(name, figure)| (name.to_owned(), figure)).into();
    figures::Agent { name: "nanova".to_owned(), figures }
}

/// The first tenth and the last one.
fn in_a_row(row: &answers::Row, lines: &mut Vec<Line>) -> Result<()> {
    let tenth = row.nanova.len().div_ceil(10);
    for (what, range) in [("first", 0..tenth), ("last", row.nanova.len() - tenth..row.nanova.len())] {
        let part = |figures: &[f64]| figures[range.clone()].iter().copied().collect::<Samples>();
        let what = format!("{} in a row, the {what} {}", row.nanova.len() * answers::BLOCK, tenth * answers::BLOCK);
        lines.push(Line::of(what, &part(&row.nanova), BARE, &part(&row.bare)));
    }
    for (what, figures) in [("resident", &row.resident), ("anonymous", &row.anonymous)] {
        let first = *figures.first().context("there was a block")?;
        let last = *figures.last().context("there was a block")?;
        let line = Line::alone(format!("  {what} memory after them"), "KiB", last);
        lines.push(Line { beside: Some(("after the first 1000", first)), ..line });
    }
    Ok(())
}

fn programs(program: &Path, lines: &mut Vec<Line>) -> Result<()> {
    let [nanova, bare] = programs::start(program)?;
    lines.push(Line::of("start to the first watch", &nanova, "static C", &bare));
    let [nanova, bare, reads, debian] = programs::read(program)?;
    lines.push(Line::of("xenstore read", &nanova, "static C, prints", &bare).goal(1.5));
    lines.push(Line::of("xenstore read", &nanova, "static C, reads", &reads));
    lines.push(Line::of("xenstore read", &nanova, "xenstore-read", &debian));
    let [nanova, debian] = programs::list()?;
    lines.push(Line::of("xenstore ls of 5000 nodes", &nanova, "xenstore-ls", &debian));
    Ok(())
}

/// Of an agent that has nothing to do.
fn memory(lines: &mut Vec<Line>) -> Result<()> {
    let side = Side::new(Who::Nanova, Way::Socket, 0)?;
    let agent = side.agent().context("it is the agent")?;
    lines.push(Line::alone("anonymous memory of an idle agent", "KiB", agent.anonymous_kib() as f64).goal(80.0));
    lines.push(Line::alone("resident memory of an idle agent", "KiB", agent.status_number("VmRSS") as f64).goal(330.0));
    let bytes = std::fs::metadata(binary())?.len();
    lines.push(Line::alone("bytes of the binary", "B", bytes as f64).goal(SIZE_MAX as f64));
    Ok(())
}
