//! How long a host waits for the answer to `version`, beside the bare client, in turns.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::side::{Side, Way, Who, id};
use crate::table::Samples;

const ROUNDS: usize = 2000;
/// Of each of these a new guest is needed.
const REPEATS: usize = 12;
/// As many as the agent keeps.
const OLD: usize = 500;
/// So many more rounds each remove one of them, and none that hosts may not have read yet.
const OLD_ROUNDS: usize = 400;
const OLD_QUIET: usize = 450;
const BURST: usize = 200;
/// What is left of rounds, repeats and blocks where a quick look is asked for (`-- --quick`, as `.ci/run` does): a
/// tenth, which shows what is grossly wrong.
const QUICK: usize = 10;
/// Requests between two looks at time and memory.
pub(crate) const BLOCK: usize = 1000;
const BLOCKS: usize = 100;
/// When to be content with fewer.
const ROW_LIMIT: Duration = Duration::from_secs(90);

/// Both sides of a measurement, in microseconds.
#[derive(Default)]
pub(crate) struct Pair {
    pub(crate) nanova: Samples,
    pub(crate) bare: Samples,
}

/// So many, or a tenth of them; one at least.
fn some_of(count: usize) -> usize {
    if std::env::args().any(|word| word == "--quick") { count.div_ceil(QUICK) } else { count }
}

/// One request, with everything at rest before.
pub(crate) fn single(way: Way) -> Result<Pair> {
    let (mut nanova, mut bare) = (Side::new(Who::Nanova, way, 0)?, Side::new(Who::Bare, way, 0)?);
    let mut pair = Pair::default();
    for number in 0..some_of(ROUNDS) {
        let id = id(number);
        for (side, samples) in [(&mut nanova, &mut pair.nanova), (&mut bare, &mut pair.bare)] {
            samples.add(side.ask(&id)?);
            side.tidy(&id)?;
            side.forget(&id)?;
            side.rest()?;
        }
    }
    Ok(pair)
}

/// One request, when as many old responses lie there as the agent keeps.
pub(crate) fn after_old_ones(way: Way) -> Result<Pair> {
    let (mut nanova, mut bare) = (Side::new(Who::Nanova, way, OLD)?, Side::new(Who::Bare, way, OLD)?);
    let mut pair = Pair::default();
    for number in 0..some_of(OLD_ROUNDS) {
        let new = id(OLD + number);
        pair.nanova.add(nanova.ask(&new)?);
        nanova.tidy(&new)?;
        nanova.rest()?;
        pair.bare.add(bare.ask(&new)?);
        bare.tidy(&new)?;
        bare.forget(&id(number))?;
        bare.rest()?;
    }
    Ok(pair)
}

/// The first request after ten quiet minutes, in which every old response has become too old.
pub(crate) fn after_ten_minutes(way: Way) -> Result<Pair> {
    let mut pair = Pair::default();
    for _ in 0..some_of(REPEATS) {
        let mut nanova = Side::new(Who::NanovaAfterTenMinutes, way, OLD_QUIET)?;
        let mut bare = Side::new(Who::Bare, way, OLD_QUIET)?;
        pair.nanova.add(nanova.ask("first")?);
        pair.bare.add(bare.ask("first")?);
    }
    Ok(pair)
}

/// Many requests at once: time for each.
pub(crate) fn burst(way: Way) -> Result<Pair> {
    let ids: Vec<String> = (0..BURST).map(id).collect();
    let mut pair = Pair::default();
    for _ in 0..some_of(REPEATS) {
        let (mut nanova, mut bare) = (Side::new(Who::Nanova, way, 0)?, Side::new(Who::Bare, way, 0)?);
        pair.nanova.add(nanova.ask_at_once(&ids)? / BURST as f64);
        pair.bare.add(bare.ask_at_once(&ids)? / BURST as f64);
    }
    Ok(pair)
}

/// Requests in a row, each as soon as the answer to the one before was read: of each block the median time, and the
/// agent's memory after it, in KiB.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) nanova: Vec<f64>,
    pub(crate) bare: Vec<f64>,
    pub(crate) resident: Vec<f64>,
    pub(crate) anonymous: Vec<f64>,
}

/// 100,000 requests over a socket; fewer where that would take too long, as it does where responses stay five seconds
/// for whoever reads them.
pub(crate) fn in_a_row() -> Result<Row> {
    let (mut nanova, mut bare) = (Side::new(Who::Nanova, Way::Socket, 0)?, Side::new(Who::Bare, Way::Socket, 0)?);
    let mut row = Row::default();
    let begin = Instant::now();
    for block in (0..some_of(BLOCKS)).take_while(|_| begin.elapsed() < ROW_LIMIT) {
        row.nanova.push(one_block(&mut nanova, block)?);
        row.bare.push(one_block(&mut bare, block)?);
        let agent = nanova.agent().context("it is the agent")?;
        row.resident.push(agent.status_number("VmRSS") as f64);
        row.anonymous.push(agent.anonymous_kib() as f64);
    }
    Ok(row)
}

fn one_block(side: &mut Side, block: usize) -> Result<f64> {
    let mut samples = Samples::default();
    for number in block * BLOCK..(block + 1) * BLOCK {
        let id = id(number);
        samples.add(side.ask(&id)?);
        side.tidy(&id)?;
        side.forget(&id)?;
    }
    Ok(samples.median())
}
