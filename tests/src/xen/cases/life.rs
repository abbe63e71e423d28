//! What a guest may live through: it moves, waits, shrinks, gets and loses devices; dom0 stalls or takes rights away.
//!
//! Guarantees: requests are written while it happens, not only afterwards; that the agent came through is shown by an
//! answer, and by what dom0 sees of the guest. Refuses a failure that did not happen: a save that succeeds, a pause in
//! which the guest answered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::super::bench::Bench;
use super::super::dom0::{Dom0, Xenstored, quoted};
use super::super::guest::{Guest, Kind, SLOW, Spec};
use super::super::images::OBSERVE;
use super::super::mailbox::{self, alive};
use super::super::report::Outcome;
use super::lifecycle::save_and_restore;
use super::network::{give, give_one, seen};
use super::passed;
use crate::nova::Answer;

/// How often a guest moves, and is saved.
const MOVES: usize = 10;
/// How often xenstored replaces itself.
const UPDATES: usize = 3;
/// For how many seconds a guest is paused.
const PAUSED: u32 = 60;
/// How many requests wait meanwhile.
const WAITING: usize = 20;
/// For how many seconds xenstored is stopped.
const STALLED: u32 = 30;
/// What the agent may use of the processor in that time, in clock ticks: one that spins uses thousands.
const TICKS: u64 = 20;
/// Asks all the while.
const STREAM: &str = include_str!("../dom0/stream.sh");
/// Where it keeps what it knows.
const FOLDER: &str = "/tmp/stream";

/// Through ten live migrations a request every 0.3 s is answered once, in the domain that it was written to, unless
/// that was given up already; after each dom0 sees the same keys as before.
pub(super) fn migrations(bench: &mut Bench<'_>) -> Result<Outcome> {
    // Xen refuses to note a PV guest's writes here (EINVAL), without which nothing moves live.
    let spec = Spec { kind: Kind::Pvh, ..bench.spec("mover", OBSERVE) };
    let (dom0, guest) = bench.place(spec)?;
    give(dom0, guest)?;
    guest.unpause(dom0)?;
    seen(dom0, guest)?;
    let had = keys(dom0, guest)?;
    dom0.sh(&format!("echo {} >/tmp/stream.sh", quoted(&format!("folder={FOLDER}\n{STREAM}"))))?;
    dom0.sh("setsid sh /tmp/stream.sh >/tmp/stream.log 2>&1 & until [ -s /tmp/stream/sent ]; do sleep 0.1; done")?;
    for turn in 1..=MOVES {
        let before = guest.domid();
        let name = quoted(&guest.spec.name);
        dom0.sh_within(&format!("xl migrate -s '' {name} 'xl migrate-receive'"), SLOW)
            .with_context(|| format!("xl cannot migrate the guest, {turn} times"))?;
        ensure!(guest.find(dom0)? != before, "the domain id is still {before}: this tests nothing");
        seen(dom0, guest).with_context(|| format!("after migration {turn}"))?;
        let has = keys(dom0, guest)?;
        let differ: Vec<_> = had.symmetric_difference(&has).collect();
        ensure!(differ.is_empty(), "after migration {turn} there are other keys: {differ:?}");
    }
    let all = dom0.sh_within(
        &format!("touch {FOLDER}/stop; until [ -e {FOLDER}/done ]; do sleep 0.2; done; cat {FOLDER}/sent; echo; cat {FOLDER}/answers"),
        SLOW,
    )?;
    let (sent, answers) = all.split_once("\n\n").context("dom0 has no answers")?;
    let (answered, lost) = judge(sent, answers, guest.domid())?;
    // What it says now goes to another console's log.
    bench.discard_guest()?;
    passed(format!("{MOVES} migrations; {answered} answers, {lost} requests to domains that were left by then"))
}

/// How many requests were answered, and how many went with their domain; an error when that is not all there is.
fn judge(sent: &str, answers: &str, last: u32) -> Result<(usize, usize)> {
    let mut came = BTreeSet::new();
    for line in answers.lines() {
        let (path, answer) = line.split_once(": ").with_context(|| format!("dom0 read {line:?}"))?;
        let [domain, request] = [3, 6].map(|at| path.split('/').nth(at).unwrap_or_default().to_owned());
        let said = Answer::parse(answer)?.message;
        ensure!(said.contains(&format!("'{request}'")), "{request} was answered with {said:?}");
        ensure!(came.insert((domain, request)), "answered twice: {path}");
    }
    let mut lost: BTreeMap<&str, &str> = BTreeMap::new();
    let mut count = 0;
    for (domain, request) in sent.lines().filter_map(|line| line.split_once(' ')) {
        if came.remove(&(domain.to_owned(), request.to_owned())) {
            let earlier = lost.get(domain);
            ensure!(earlier.is_none(), "domain {domain} answered {request}, but not {earlier:?} before it");
            continue;
        }
        ensure!(domain != last.to_string(), "{request} was not answered by domain {last}, which is still there");
        lost.entry(domain).or_insert(request);
        count += 1;
    }
    ensure!(came.is_empty(), "answers to what nobody asked: {came:?}");
    Ok((answers.lines().count(), count))
}

/// The names of all that the agent has published.
fn keys(dom0: &mut Dom0, guest: &Guest) -> Result<BTreeSet<String>> {
    let listing =
        dom0.sh(&format!("cd /; xenstore-ls -f {} | grep -E '/(data|attr)/'", guest.path("").trim_end_matches('/')))?;
    let home = guest.path("");
    let names = listing.lines().filter_map(|line| line.split(" = ").next()?.strip_prefix(&home));
    let published = names.filter(|name| !["data/host", "data/guest"].iter().any(|folder| name.starts_with(folder)));
    Ok(published.map(str::to_owned).collect())
}

/// A guest is saved and restored ten times, and serves the request that it finds each time.
pub(super) fn saves(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (dom0, guest) = bench.guest()?;
    seen(dom0, guest)?;
    let had = keys(dom0, guest)?;
    for turn in 1..=MOVES {
        save_and_restore(dom0, guest).with_context(|| format!("time {turn}"))?;
        seen(dom0, guest).with_context(|| format!("after save {turn}"))?;
    }
    let has = keys(dom0, guest)?;
    ensure!(had == has, "there were the keys {had:?}, and are {has:?}");
    passed(format!("{MOVES} times, {} keys", has.len()))
}

/// A save that fails for want of space leaves the guest where it is, serving, with the request that came meanwhile.
pub(super) fn failed_save(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (dom0, guest) = bench.guest()?;
    alive(dom0, guest)?;
    let before = guest.domid();
    dom0.sh("mkdir -p /tmp/small && mount -t tmpfs -o size=1m tmpfs /tmp/small")?;
    let early = mailbox::send(dom0, guest, &mailbox::version_request())?;
    let reply = dom0.try_sh(&format!("xl save {} /tmp/small/saved", quoted(&guest.spec.name)), SLOW);
    dom0.sh("umount /tmp/small")?;
    ensure!(reply?.status != 0, "the save did not fail: this tests nothing");
    ensure!(guest.find(dom0)? == before, "the guest is in another domain after a save that failed");
    mailbox::receive(dom0, guest, &early).context("a request from before the save")?.ok()?;
    alive(dom0, guest).context("a request after the save")?;
    seen(dom0, guest)?;
    passed(format!("domain {before} goes on"))
}

/// xenstored replaces itself three times, with a request before and after.
pub(super) fn live_update(bench: &mut Bench<'_>) -> Result<Outcome> {
    if bench.machinery.xenstored != Xenstored::C {
        return Ok(Outcome::Skipped("for the C xenstored".into()));
    }
    let (dom0, guest) = bench.guest()?;
    for turn in 1..=UPDATES {
        let early = mailbox::send(dom0, guest, &mailbox::version_request())?;
        dom0.sh("xenstore-control live-update -t 60 /usr/lib/xen-*/bin/xenstored")?;
        mailbox::receive(dom0, guest, &early).with_context(|| format!("a request before update {turn}"))?.ok()?;
        alive(dom0, guest).with_context(|| format!("a request after update {turn}"))?;
    }
    // Else nothing was replaced.
    let line = dom0.sh("tr '\\0' ' ' </proc/$(pidof xenstored)/cmdline")?;
    ensure!(line.contains("-U"), "xenstored was started as {line:?}, not by an update");
    passed(format!("{UPDATES} times"))
}

/// Requests that come while the guest is paused for a minute are all answered when it goes on.
pub(super) fn pause(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (dom0, guest) = bench.guest()?;
    dom0.sh(&format!("xl pause {}", guest.domid()))?;
    let early: Vec<_> = (0..WAITING)
        .map(|number| mailbox::send(dom0, guest, &json!({ "name": format!("r{number}"), "value": "" }).to_string()))
        .collect::<Result<_>>()?;
    dom0.sh(&format!("sleep {PAUSED}"))?;
    let answers = dom0.sh(&format!("xenstore-list {}", guest.path("data/host")))?;
    ensure!(answers.lines().count() == WAITING, "a paused guest took requests: {answers:?} wait");
    guest.unpause(dom0)?;
    for (number, id) in early.iter().enumerate() {
        let answer = mailbox::receive(dom0, guest, id).with_context(|| format!("request {number}"))?;
        ensure!(answer.message.contains(&format!("'r{number}'")), "request {number} was answered with {answer:?}");
    }
    passed(format!("{WAITING} requests waited for {PAUSED} s"))
}

/// While xenstored is stopped for half a minute the agent waits without working, and then serves what came.
pub(super) fn stalled(bench: &mut Bench<'_>) -> Result<Outcome> {
    let daemon = bench.machinery.xenstored.name();
    let before = ticks(bench)?;
    let (dom0, guest) = bench.guest()?;
    let id = "stalled-request";
    dom0.sh_within(
        &format!(
            "kill -STOP $(pidof {daemon}) || exit
             xenstore-write {} {} & writer=$!
             sleep {STALLED}; kill -CONT $(pidof {daemon}); wait $writer",
            guest.path(&format!("data/host/{id}")),
            quoted(&mailbox::version_request())
        ),
        SLOW,
    )?;
    mailbox::receive(dom0, guest, id).context("the request that xenstored was stopped with")?.ok()?;
    alive(dom0, guest)?;
    let used = ticks(bench)?.saturating_sub(before);
    ensure!(used <= TICKS, "the agent used {used} hundredths of a second of the processor, {TICKS} are allowed");
    passed(format!("stopped for {STALLED} s; the agent used {used} hundredths of a second"))
}

/// The processor time that the first process has had, in hundredths of a second.
fn ticks(bench: &mut Bench<'_>) -> Result<u64> {
    let stat = bench.in_guest("cat /proc/1/stat")?;
    let fields: Vec<_> = stat.split_whitespace().collect();
    let &[user, system] = fields.get(13..15).context("/proc/1/stat is short")? else { bail!("no times") };
    Ok(user.parse::<u64>()? + system.parse::<u64>()?)
}

/// Where the host takes away the right to answer no request is lost: it is served, once, when the right is given back.
pub(super) fn permissions(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (dom0, guest) = bench.guest()?;
    let (folder, domid) = (guest.path("data/guest"), guest.domid());
    alive(dom0, guest)?;
    dom0.sh(&format!("xenstore-chmod {folder} n0 r{domid}"))?;
    let early = mailbox::send(dom0, guest, &mailbox::version_request())?;
    let refused = "data/guest cannot be written";
    guest.wait_console(dom0, "complaint", |text| text.contains(refused).then_some(()))?;
    let waits = dom0.sh(&format!("xenstore-list {}", guest.path("data/host")))?;
    ensure!(waits.trim() == early, "the request does not wait: {waits:?}");
    dom0.sh(&format!("xenstore-chmod {folder} n{domid}"))?;
    mailbox::receive(dom0, guest, &early).context("the request that waited")?.ok()?;
    alive(dom0, guest)?;
    passed("taken and given back")
}

/// The guest's clock jumps ten years ahead and back again; requests are answered all the while.
pub(super) fn clock(bench: &mut Bench<'_>) -> Result<Outcome> {
    for year in [2040, 1990, 2027] {
        bench.in_guest(&format!("date -s '{year}-01-02 03:04:05'"))?;
        let (dom0, guest) = bench.guest()?;
        alive(dom0, guest).with_context(|| format!("in the year {year}"))?;
        bench.ask("injectfile", json!("L3RtcC9jbG9jayx0aWNr"))?.ok().with_context(|| format!("in the year {year}"))?;
    }
    passed("2040, 1990, 2027")
}

/// The host's magic SysRq reaches the kernel, and its other triggers do no harm: the agent serves on.
pub(super) fn sysrq(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (dom0, guest) = bench.guest()?;
    dom0.sh(&format!("xl sysrq {} h", guest.domid()))?;
    guest.wait_console(dom0, "help of SysRq", |text| text.contains("sysrq: HELP").then_some(()))?;
    dom0.sh(&format!("xl trigger {} nmi", guest.domid()))?;
    alive(dom0, guest)?;
    passed("help, nmi")
}

/// So much of its memory a guest gives up, in MB.
const GIVEN: u32 = 30;

/// The memory that dom0 sees the guest have follows what it gives up and gets back.
pub(super) fn ballooning(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (dom0, guest) = bench.guest()?;
    let domid = guest.domid();
    let key = guest.path("data/meminfo_total");
    seen(dom0, guest)?;
    let full = total(dom0, &key)?;
    dom0.sh(&format!("xl mem-set {domid} {}", guest.spec.memory - GIVEN))?;
    let less =
        await_total(dom0, &key, |kib| kib + 1024 * (GIVEN as u64 - 5) < full).context("the guest gave up memory")?;
    dom0.sh(&format!("xl mem-set {domid} {}", guest.spec.memory))?;
    let again = await_total(dom0, &key, |kib| kib + 5 * 1024 > full).context("the guest got its memory back")?;
    alive(dom0, guest)?;
    passed(format!("{full} KiB, {less} KiB, {again} KiB"))
}

fn total(dom0: &mut Dom0, key: &str) -> Result<u64> {
    let said = dom0.sh(&format!("xenstore-read {key}"))?;
    said.trim().parse().with_context(|| format!("{key} is {said:?}"))
}

/// Waits until dom0 sees what it should; the agent looks once a minute.
fn await_total(dom0: &mut Dom0, key: &str, right: impl Fn(u64) -> bool) -> Result<u64> {
    for _ in 0..120 {
        let kib = total(dom0, key)?;
        if right(kib) {
            return Ok(kib);
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    bail!("{key} still says {} KiB", total(dom0, key)?)
}

/// A VIF that is attached is given what vm-data says by `resetnetwork`, dom0 sees its address, and sees it no more when
/// the VIF is detached; twice.
pub(super) fn vif(bench: &mut Bench<'_>) -> Result<Outcome> {
    const SECOND: &str = "00:16:3e:00:00:02";
    const ADDRESS: &str = "10.99.0.77";
    let (dom0, guest) = bench.guest()?;
    let (domid, home) = (guest.domid(), guest.path("name"));
    give_one(dom0, guest, SECOND, ADDRESS)?;
    let key = guest.path("attr/vif/1/ipv4/0");
    for turn in 1..=2 {
        dom0.sh(&format!("xl network-attach {domid} mac={SECOND} bridge=xenbr0"))?;
        guest.sh(dom0, "for i in $(seq 60); do [ ! -e /sys/class/net/eth1 ] || exit 0; sleep 1; done; false")?;
        mailbox::ask(dom0, guest, "resetnetwork", json!(""))?.ok().with_context(|| format!("attached {turn} times"))?;
        dom0.sh(&format!("await {key} {home}")).with_context(|| format!("no address, attached {turn} times"))?;
        let seen = dom0.sh(&format!("xenstore-read {key}"))?;
        ensure!(seen.trim() == ADDRESS, "dom0 sees {seen:?}, not {ADDRESS}");
        dom0.sh(&format!("xl network-detach {domid} {SECOND}"))?;
        dom0.sh(&format!("await -v {key}")).with_context(|| format!("dom0 sees a VIF that is gone, time {turn}"))?;
        alive(dom0, guest)?;
    }
    passed(format!("{ADDRESS}, twice"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(domain: u32, request: &str) -> String {
        let said = format!("No such agent command '{request}'");
        let answer = json!({ "returncode": "404", "message": said });
        format!("/local/domain/{domain}/data/guest/{request}: {answer}\n")
    }

    #[test]
    fn what_is_lost_is_lost_with_its_domain() {
        let sent = "1 r1\n1 r2\n1 r3\n2 r4\n";
        let all = [answer(1, "r1"), answer(2, "r4")].concat();
        assert_eq!(judge(sent, &all, 2).unwrap(), (2, 2));
        assert!(judge(sent, &answer(1, "r1"), 2).is_err(), "the last domain answers all");
        assert!(judge(sent, &[answer(1, "r1"), answer(1, "r3"), answer(2, "r4")].concat(), 2).is_err(), "r2 was lost");
        assert!(judge(sent, &[all.clone(), answer(1, "r1")].concat(), 2).is_err(), "answered twice");
        assert!(judge("1 r1\n", &all, 1).is_err(), "nobody asked r4");
        assert!(judge("1 r1\n", &answer(1, "r1").replace("'r1'", "'r2'"), 1).is_err(), "another's answer");
    }
}
