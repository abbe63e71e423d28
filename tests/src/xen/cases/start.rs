//! Guests that only start: nanova against the floor, and the kernels and types the standing guests are not.
//!
//! Guarantees: both sides of a comparison are timed on one machine, in turn, by the guest kernel's own clock. Refuses
//! an image over its limit. Times are told, with the goal they are to be judged by on an idle machine.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::agent::SIZE_MAX;

use super::super::bench::{Bench, FLOOR, Marks, Milestones, NANOVA, first_answer};
use super::super::guest::{Guest, Kind, MEMORY, Spec};
use super::super::packages::Flavour;
use super::super::report::Outcome;
use super::{lifecycle, passed};

/// How often each is started; the median of each counts.
const ROUNDS: usize = 5;
/// What an image with the agent alone may have, in bytes: the agent's own limit, and room for the archive around it.
const IMAGE: u64 = SIZE_MAX + 3 * 1024;
/// What nanova may take longer than the floor, when nothing else runs on the build machine.
const GOAL: Duration = Duration::from_millis(40);
/// The memory of the smallest guest, in MB: Debian's kernel needs all of that itself.
const SMALLEST: u32 = 88;

/// An image with the agent alone is small.
pub(super) fn image(bench: &mut Bench<'_>) -> Result<Outcome> {
    let bytes = fs::metadata(bench.lab.dir().join(&bench.images.bare))?.len();
    ensure!(bytes <= IMAGE, "the image with the agent alone has {bytes} bytes, {IMAGE} are allowed");
    passed(format!("{:.1} KiB uncompressed (limit {} KiB)", bytes as f64 / 1024.0, IMAGE / 1024))
}

/// PID 1's start to its first answer, in the guest's time: nanova's image alone against the least that answers at all.
pub(super) fn floor(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (floor, bare) = (bench.images.floor.clone(), bench.images.bare.clone());
    let (mut least, mut ours) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        least.push(start(bench, &format!("floor-{round}"), &floor, FLOOR, MEMORY)?);
        ours.push(start(bench, &format!("nanova-{round}"), &bare, NANOVA, MEMORY)?);
    }
    let (least, ours) = (median(&least)?, median(&ours)?);
    bench.boots.extend([least.of("C echo"), ours.of("nanova")]);
    let more = ours.to_answer().saturating_sub(least.to_answer());
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    passed(format!(
        "nanova - floor = {:.1} ms (goal {} ms{}): {:.1} ms - {:.1} ms, medians of {ROUNDS}; {}",
        ms(more),
        GOAL.as_millis(),
        if more > GOAL { ", MISSED" } else { "" },
        ms(ours.to_answer()),
        ms(least.to_answer()),
        ours.describe()
    ))
}

/// The boot in the middle, by the time to its answer.
fn median(boots: &[Milestones]) -> Result<Milestones> {
    let mut boots = boots.to_vec();
    boots.sort_by_key(Milestones::to_answer);
    boots.get(boots.len() / 2).copied().context("no boots")
}

/// In so little memory the agent still serves.
pub(super) fn smallest(bench: &mut Bench<'_>) -> Result<Outcome> {
    let bare = bench.images.bare.clone();
    let times = start(bench, "smallest", &bare, NANOVA, SMALLEST)?;
    passed(format!("{SMALLEST} MB; {}", times.describe()))
}

/// Starts an image, lets it answer once, and ends it.
fn start(bench: &mut Bench<'_>, name: &str, image: &str, marks: Marks, memory: u32) -> Result<Milestones> {
    let Bench { lab, dom0, machinery, .. } = bench;
    let spec = Spec {
        name: name.into(),
        kind: machinery.kind,
        flavour: machinery.flavour,
        image: image.into(),
        macs: Vec::new(),
        append: String::new(),
        memory,
        vcpus: 1,
        disk: None,
    };
    let guest = Guest::create(lab, dom0, spec)?;
    let first = first_answer(dom0, &guest, marks);
    guest.destroy(dom0)?;
    Ok(first?.1)
}

/// A paravirtualised guest with the cloud kernel serves, reboots and shuts down.
pub(super) fn pv_cloud(bench: &mut Bench<'_>) -> Result<Outcome> {
    serve_and_end(bench, "pv-cloud", Kind::Pv, Flavour::Cloud)
}

/// A PVH guest with the ordinary kernel serves, reboots and shuts down.
pub(super) fn pvh_amd64(bench: &mut Bench<'_>) -> Result<Outcome> {
    serve_and_end(bench, "pvh-amd64", Kind::Pvh, Flavour::Amd64)
}

/// Boots nanova's image alone, reboots it and shuts it down.
fn serve_and_end(bench: &mut Bench<'_>, name: &str, kind: Kind, flavour: Flavour) -> Result<Outcome> {
    let image = bench.images.bare.clone();
    let Bench { lab, dom0, boots, .. } = bench;
    let spec = Spec {
        name: name.into(),
        kind,
        flavour,
        image,
        macs: Vec::new(),
        append: String::new(),
        memory: MEMORY,
        vcpus: 1,
        disk: None,
    };
    let mut guest = Guest::create(lab, dom0, spec)?;
    let served = first_answer(dom0, &guest, NANOVA).and_then(|(answer, milestones)| {
        answer.ok()?;
        boots.push(milestones.of(name));
        let reboot = lifecycle::reboot_and_serve(dom0, &mut guest)?;
        let took = lifecycle::end(dom0, &guest, "shutdown")?;
        let times = milestones.describe();
        Ok(format!("{times}; reboot: {reboot}; shutdown: gone after {:.2} s", took.as_secs_f64()))
    });
    guest.destroy(dom0)?;
    passed(served?)
}
