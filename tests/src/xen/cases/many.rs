//! Six guests at once, PV and PVH in turn, on one xenstored.
//!
//! Guarantees: each guest is asked something of its own, so that an answer tells whose it is; nothing of one guest is
//! in another's tree. Refuses to be content with guests that answer one after the other.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::super::bench::{Bench, MAC};
use super::super::dom0::{Dom0, quoted};
use super::super::guest::{Guest, Kind, SLOW, Spec};
use super::super::images::OBSERVE;
use super::super::report::Outcome;
use super::network;
use super::passed;
use crate::nova::Answer;

/// How many guests there are.
const GUESTS: usize = 6;
/// How many distinct requests each finds when it starts.
const FIRST: usize = 5;
/// How many it gets at once later.
const BURST: usize = 200;

/// Requests to all guests, written in one transaction before any of them runs, are each answered by their guest, which
/// publishes its own address; then two hundred more to each, written before the first is answered.
pub(super) fn six_at_once(bench: &mut Bench<'_>) -> Result<Outcome> {
    let guests = create(bench)?;
    let dom0 = &mut bench.dom0;
    write(dom0, &guests, 0..FIRST)?;
    dom0.sh(&guests.iter().map(|guest| format!("xl unpause {} || exit\n", guest.domid())).collect::<String>())?;
    expect(dom0, &guests, 0..FIRST)?;
    for (number, guest) in guests.iter().enumerate() {
        let key = guest.path("attr/vif/0/ipv4/0");
        let seen = dom0.sh(&format!("await {key} {} && xenstore-read {key}", guest.path("name")))?;
        ensure!(seen.trim() == address(number), "dom0 sees guest {number} at {seen:?}");
    }
    // C xenstored has room for a few of them at a time.
    let burst = FIRST..FIRST + if bench.machinery.xenstored.keeps_all() { BURST } else { 40 };
    let per_guest = burst.len();
    write(dom0, &guests, burst.clone())?;
    expect(dom0, &guests, burst)?;
    for guest in &guests {
        guest.destroy(dom0)?;
    }
    passed(format!("{GUESTS} guests, {FIRST} requests to each at their start, then {per_guest} at once to each"))
}

/// All guests, paused, with a network each.
fn create(bench: &mut Bench<'_>) -> Result<Vec<Guest>> {
    bench.discard_guest()?;
    let mut guests = Vec::new();
    for number in 0..GUESTS {
        let mac = format!("{}{number}", &MAC[..MAC.len() - 1]);
        let kind = if number % 2 == 0 { Kind::Pv } else { Kind::Pvh };
        let spec = Spec { kind, macs: vec![mac.clone()], ..bench.spec(&format!("many-{number}"), OBSERVE) };
        let guest = Guest::create(bench.lab, &mut bench.dom0, spec)?;
        network::give_one(&mut bench.dom0, &guest, &mac, &address(number))?;
        guests.push(guest);
    }
    Ok(guests)
}

fn address(number: usize) -> String {
    format!("10.99.0.{}", 20 + number)
}

/// The requests' keys are numbers; what is asked for does not exist, and names guest and number.
fn command(guest: &Guest, number: usize) -> String {
    format!("to-{}-{number}", guest.domid())
}

/// Writes these requests to all guests, in one transaction.
fn write(dom0: &mut Dom0, guests: &[Guest], numbers: std::ops::Range<usize>) -> Result<()> {
    let mut script = "xenstore-write".to_owned();
    for number in numbers {
        for guest in guests {
            let body = json!({ "name": command(guest, number), "value": "" }).to_string();
            script += &format!(" {} {}", guest.path(&format!("data/host/{number}")), quoted(&body));
        }
    }
    dom0.sh_within(&script, SLOW).context("dom0 cannot write all requests").map(drop)
}

/// Waits until no guest has a request; each has exactly its own answers then.
fn expect(dom0: &mut Dom0, guests: &[Guest], numbers: std::ops::Range<usize>) -> Result<()> {
    for guest in guests {
        let folder = guest.path("data/guest");
        let script = format!(
            "until [ -z \"$(xenstore-list {})\" ]; do xenstore-exists {} || exit; sleep 0.5; done
             set -- $(xenstore-list -p {folder}) && xenstore-read -p \"$@\" && xenstore-rm \"$@\"",
            guest.path("data/host"),
            guest.path("name")
        );
        let said = dom0.sh_within(&script, SLOW).with_context(|| format!("no answers of domain {}", guest.domid()))?;
        ensure!(said.lines().count() == numbers.len(), "{} answers of {}", said.lines().count(), numbers.len());
        for number in numbers.clone() {
            let name = format!("{folder}/{number}: ");
            let answer = said.lines().find_map(|line| line.strip_prefix(&name));
            let answer = Answer::parse(answer.with_context(|| format!("no answer at {name}"))?)?;
            let wanted = format!("'{}'", command(guest, number));
            ensure!(answer.message.contains(&wanted), "{name}{:?} does not name {wanted}", answer.message);
        }
    }
    Ok(())
}
