//! What a toolstack does with a guest: save, restore, reboot, shut down, give it another processor.
//!
//! Guarantees: times are dom0's, from xl's start to the domain's end; they are told, and nothing depends on them but
//! whether a guest waited for a program, half a minute or more: a machine that is busy with other things makes them
//! long. Refuses a guest that only seems to obey: a domain id that did not change, a kernel that did not end in order.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::super::bench::Bench;
use super::super::dom0::{Dom0, quoted};
use super::super::guest::{Guest, SLOW, Spec};
use super::super::images::OBSERVE;
use super::super::mailbox::{self, alive};
use super::super::report::Outcome;
use super::network::{addresses, seen};
use super::passed;

/// Half of what a program of commands.d may take: where that is reached, the guest has waited for the program.
const HALF_A_PROGRAM: Duration = Duration::from_secs(30);

/// A restored guest has another domain id and an empty tree; it serves the request it finds there, and dom0 sees the
/// addresses that it saw before.
pub(super) fn save_restore(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (dom0, guest) = bench.guest()?;
    alive(dom0, guest)?;
    seen(dom0, guest)?;
    let had = addresses(dom0, guest)?;
    let (before, after) = save_and_restore(dom0, guest)?;
    alive(dom0, guest).context("a request after the restore")?;
    seen(dom0, guest).context("after the restore, in an empty tree")?;
    let has = addresses(dom0, guest)?;
    ensure!(had == has, "dom0 saw the addresses {had:?}, and sees {has:?}");
    passed(format!("domain {before} -> {after}, addresses: {}", has.lines().count()))
}

/// Saves a guest and restores it; its domain id before and after, when it has served the request it found.
pub(super) fn save_and_restore(dom0: &mut Dom0, guest: &mut Guest) -> Result<(u32, u32)> {
    let before = guest.domid();
    let name = quoted(&guest.spec.name);
    dom0.sh_within(&format!("xl save {name} /tmp/saved"), SLOW).context("xl cannot save the guest")?;
    dom0.sh_within("xl restore -p /tmp/saved; status=$?; rm -f /tmp/saved; exit $status", SLOW)
        .context("xl cannot restore the guest")?;
    let after = guest.find(dom0)?;
    ensure!(before != after, "the domain id is still {before}: this tests nothing");
    let early = mailbox::send(dom0, guest, &mailbox::version_request())?;
    guest.unpause(dom0)?;
    mailbox::receive(dom0, guest, &early).context("the request the restored guest found")?.ok()?;
    Ok((before, after))
}

/// `xl reboot` ends the guest, and the next one serves again.
pub(super) fn reboot(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (dom0, guest) = bench.guest()?;
    alive(dom0, guest)?;
    passed(reboot_and_serve(dom0, guest)?)
}

/// `xl shutdown` ends the guest.
pub(super) fn shutdown(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (dom0, guest) = bench.guest()?;
    alive(dom0, guest)?;
    let took = shut_down(bench)?;
    passed(format!("gone after {:.2} s", took.as_secs_f64()))
}

/// Shuts the standing guest down in order; the time until it is gone.
pub(super) fn shut_down(bench: &mut Bench<'_>) -> Result<Duration> {
    let (dom0, guest) = bench.guest()?;
    let took = end(dom0, guest, "shutdown")?;
    let said = guest.console.text();
    // "Power down" or, where the kernel knows no power switch, "System halted".
    ensure!(said.contains("] reboot: "), "the guest is gone, but not because its kernel ended in order");
    bench.forget_guest();
    Ok(took)
}

/// A site's program that does not end when it is told to, and says when it is there.
const STAYING: &str = "#!/bin/busybox sh\ntrap '' TERM\n: >/stays\nwhile :; do sleep 1; done\n";

/// `xl shutdown` ends the guest while a program of commands.d is at work that ignores SIGTERM.
pub(super) fn busy_shutdown(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (dom0, guest) = bench.guest()?;
    let folder = "/etc/nanova/commands.d";
    let program = quoted(STAYING);
    guest.sh(dom0, &format!("mkdir -p {folder} && printf %s {program} >{folder}/stay && chmod 755 {folder}/stay"))?;
    mailbox::send(dom0, guest, &json!({ "name": "stay", "value": "" }).to_string())?;
    guest.sh(dom0, "for i in $(seq 60); do [ ! -e /stays ] || exit 0; sleep 1; done; false").context("no program")?;
    let took = shut_down(bench)?;
    ensure!(took < HALF_A_PROGRAM, "gone after {:.2} s: the guest waited for the program", took.as_secs_f64());
    passed(format!("gone after {:.2} s", took.as_secs_f64()))
}

/// How often a processor is added and taken away: an agent that is there before the kernel is ready for it loses a
/// race, not every time.
const ROUNDS: usize = 5;

/// What Linux 6.12 says of any processor that is added to a PVH guest.
const NO_APIC: &str = "has invalid APIC ID";

/// A processor that the toolstack adds is set online, each time; there is no udev that would do it.
pub(super) fn another_processor(bench: &mut Bench<'_>) -> Result<Outcome> {
    let spec = Spec { vcpus: 2, ..bench.spec("processors", OBSERVE) };
    let (dom0, guest) = bench.place(spec)?;
    guest.unpause(dom0)?;
    alive(dom0, guest)?;
    expect_online(dom0, guest, "0").context("before a processor is added")?;
    for round in 1..=ROUNDS {
        let domid = guest.domid();
        dom0.sh(&format!("xl vcpu-set --ignore-host {domid} 2"))?;
        let added = expect_online(dom0, guest, "0-1");
        if added.is_err() && guest.console.text().contains(NO_APIC) {
            alive(dom0, guest).context("a request after a processor that the kernel refuses")?;
            bench.discard_guest()?;
            return Ok(Outcome::Skipped("this kernel brings up no processor that a PVH guest gets later".into()));
        }
        added.with_context(|| format!("the second processor is added, {round} times"))?;
        // The kernel obeys this by itself.
        dom0.sh(&format!("xl vcpu-set {domid} 1"))?;
        expect_online(dom0, guest, "0").with_context(|| format!("the second processor is taken, {round} times"))?;
    }
    alive(dom0, guest).context("a request after that")?;
    bench.discard_guest()?;
    passed(format!("added {ROUNDS} times, and online each time"))
}

/// Waits until these processors are online, as the kernel writes their numbers.
fn expect_online(dom0: &mut Dom0, guest: &mut Guest, wanted: &str) -> Result<()> {
    let online = "cat /sys/devices/system/cpu/online";
    let script = format!("for i in $(seq 20); do [ $({online}) != {wanted} ] || break; sleep 1; done; {online}");
    let seen = guest.sh(dom0, &script)?;
    ensure!(seen.trim() == wanted, "the processors {} are online, not {wanted}", seen.trim());
    Ok(())
}

/// Reboots a guest and waits until the next one serves.
pub(super) fn reboot_and_serve(dom0: &mut Dom0, guest: &mut Guest) -> Result<String> {
    let before = guest.domid();
    guest.console.next_boot();
    let took = end(dom0, guest, "reboot")?;
    dom0.sh_within(&format!("await -d {}", quoted(&guest.spec.name)), SLOW).context("the guest did not come back")?;
    let after = guest.find(dom0)?;
    ensure!(before != after, "the domain id is still {before}: no new guest was made");
    let id = mailbox::send(dom0, guest, &mailbox::version_request())?;
    mailbox::receive(dom0, guest, &id).context("a request after the reboot")?.ok()?;
    Ok(format!("gone after {:.2} s, domain {before} -> {after} serves", took.as_secs_f64()))
}

/// Tells the guest to end, by `xl reboot` or `xl shutdown`; the time until it is gone.
pub(super) fn end(dom0: &mut Dom0, guest: &Guest, verb: &str) -> Result<Duration> {
    let home = guest.path("name");
    let script = format!(
        "read -r start rest </proc/uptime
         xl {verb} {} || exit
         await -v {home} || exit
         read -r end rest </proc/uptime
         echo $start $end",
        guest.domid()
    );
    let said = dom0.sh_within(&script, SLOW).with_context(|| format!("the guest is still there after xl {verb}"))?;
    let line = said.lines().last().unwrap_or_default();
    let (start, end) = line.split_once(' ').with_context(|| format!("dom0 said {said:?}"))?;
    Ok(Duration::try_from_secs_f64(end.parse::<f64>()? - start.parse::<f64>()?)?)
}
