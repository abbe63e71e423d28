//! A guest of which xenstore says nothing, on a bridge with a DHCP server: Debian's dnsmasq in dom0.
//!
//! Guarantees: what address was given is read from dnsmasq's leases, what was asked from its log; that the application
//! is reachable is tried from dom0. Refuses an agent that serves nobody until it has an address.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::bench::{Bench, MAC, NANOVA, first_answer};
use super::super::console::stamps;
use super::super::dom0::{Dom0, quoted};
use super::super::guest::{Guest, SLOW};
use super::super::lab::Lab;
use super::super::mailbox::alive;
use super::super::packages;
use super::super::report::Outcome;
use super::{lifecycle, network, passed};

/// The first process starts the application.
const APPEND: &str = r#"nanova.exec="/bin/busybox sh /application.sh 10.99.0.1""#;
/// What the application says when it has reached dom0.
const REACHED: &str = "application: reachable";
/// What the agent says when it asks, and when it serves.
const ASKS: &str = "DHCP: eth0 asks for an address";
const SERVES: &str = "serving data/host over";
/// What dnsmasq keeps its leases in.
const LEASES: &str = "/run/dnsmasq.leases";
/// Where it says what it was asked: among the logs that are saved, in memory, as it waits for each line to be written.
const LOG: &str = "/var/log/xen/dnsmasq.log";
/// How often each way is started; the fastest counts.
const ROUNDS: usize = 3;
/// What DHCP may take longer than vm-data, when nothing else runs on the build machine.
const GOAL: Duration = Duration::from_millis(60);

/// A guest without vm-data asks before it serves, and serves before there is a server; its application is reachable
/// under the address that dnsmasq gives it then, dom0 sees that address, and a restored guest asks for it again.
pub(super) fn leased(bench: &mut Bench<'_>) -> Result<Outcome> {
    let lab = bench.lab;
    stop_server(&mut bench.dom0)?;
    let spec = bench.spec("dhcp", APPEND);
    let (dom0, guest) = bench.place(spec)?;
    let (early, _) = first_answer(dom0, guest, NANOVA)?;
    early.ok().context("without a DHCP server")?;
    let marks = [ASKS, SERVES].map(|mark| stamps(&guest.console.text(), mark, 1).map(|(_, at)| at));
    ensure!(marks[0].is_some() && marks[0] < marks[1], "it does not ask before it serves: {marks:?}");
    start_server(lab, dom0)?;
    let address = reach(dom0, guest)?;
    alive(dom0, guest).context("a request after the lease")?;
    let asked = requests(dom0)?;
    let (before, after) = lifecycle::save_and_restore(dom0, guest)?;
    let again = reach(dom0, guest).context("after the restore")?;
    ensure!(again == address, "the restored guest has {again}, it had {address}");
    await_request(dom0, asked).context("the restored guest does not ask for its address again")?;
    stop_server(dom0)?;
    bench.discard_guest()?;
    passed(format!("{address}; asked for again after domain {before} -> {after}"))
}

/// PID 1's start to the application's first packet to dom0 and back, in the guest's time: with DHCP against vm-data.
pub(super) fn time(bench: &mut Bench<'_>) -> Result<Outcome> {
    let lab = bench.lab;
    start_server(lab, &mut bench.dom0)?;
    let (mut told, mut asked) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        told.push(boot(bench, true)?);
        asked.push(boot(bench, false)?);
    }
    stop_server(&mut bench.dom0)?;
    bench.discard_guest()?;
    let best = |all: &[Duration]| all.iter().min().map_or(0.0, |time| time.as_secs_f64() * 1e3);
    let (told, asked) = (best(&told), best(&asked));
    let missed = if asked - told > GOAL.as_secs_f64() * 1e3 { ", MISSED" } else { "" };
    passed(format!(
        "DHCP - vm-data = {:.1} ms (goal {} ms{missed}): {asked:.1} ms - {told:.1} ms, best of {ROUNDS}",
        asked - told,
        GOAL.as_millis()
    ))
}

/// Boots a guest; the time until its application is reachable.
fn boot(bench: &mut Bench<'_>, vm_data: bool) -> Result<Duration> {
    let spec = bench.spec(if vm_data { "vm-data" } else { "dhcp" }, APPEND);
    let (dom0, guest) = bench.place(spec)?;
    if vm_data {
        network::give(dom0, guest)?;
    }
    guest.unpause(dom0)?;
    let (init, reached) = guest.wait_console(dom0, "reachable application", |text| stamps(text, REACHED, 1))?;
    Ok(reached.saturating_sub(init))
}

/// Starts dnsmasq on the guests' bridge, with leases that are not renewed while a case runs.
fn start_server(lab: &Lab, dom0: &mut Dom0) -> Result<()> {
    let root = packages::dnsmasq(lab.dir())?;
    let root = format!("/lab/{}", root.file_name().unwrap_or_default().to_string_lossy());
    stop_server(dom0)?;
    dom0.sh(&format!(
        "export LD_LIBRARY_PATH={root}/lib/x86_64-linux-gnu:{root}/usr/lib/x86_64-linux-gnu
         rm -f {LEASES} {LOG}
         exec {root}/usr/sbin/dnsmasq --conf-file=/dev/null --user=root --pid-file=/run/dnsmasq.pid --port=0 \
             --interface=xenbr0 --bind-interfaces --no-ping --dhcp-range=10.99.0.50,10.99.0.99,12h \
             --dhcp-leasefile={LEASES} --log-facility={LOG}"
    ))
    .context("dnsmasq does not start in dom0")
    .map(drop)
}

/// Ends it, if it runs.
fn stop_server(dom0: &mut Dom0) -> Result<()> {
    dom0.sh("[ ! -e /run/dnsmasq.pid ] || kill $(cat /run/dnsmasq.pid); rm -f /run/dnsmasq.pid").map(drop)
}

/// Waits until dom0 sees an address of the guest's, which must be the one that dnsmasq gave; speaks to the application
/// there.
fn reach(dom0: &mut Dom0, guest: &Guest) -> Result<String> {
    let (key, home) = (guest.path("attr/vif/0/ipv4/0"), guest.path("name"));
    let seen = dom0.sh_within(&format!("await {key} {home} && xenstore-read {key}"), SLOW).context("no address")?;
    let seen = seen.trim().to_owned();
    let lease = dom0.sh(&format!("cat {LEASES}"))?;
    let words: Vec<_> = lease.split_whitespace().collect();
    ensure!(words.get(1..3) == Some(&[MAC, &seen]), "dom0 sees {seen}, dnsmasq's leases are {lease:?}");
    let heard = dom0.sh(&format!("echo 'is it you?' | nc -w 60 {} 7", quoted(&seen)))?;
    ensure!(heard == "is it you?\n", "the application at {seen} said {heard:?}");
    Ok(seen)
}

/// How often dnsmasq was asked for an address.
fn requests(dom0: &mut Dom0) -> Result<u32> {
    let said = dom0.sh(&format!("grep -c DHCPREQUEST {LOG} || true"))?;
    said.trim().parse().with_context(|| format!("grep said {said:?}"))
}

/// Waits until it was asked once more.
fn await_request(dom0: &mut Dom0, before: u32) -> Result<()> {
    let script =
        format!("for i in $(seq 60); do [ $(grep -c DHCPREQUEST {LOG}) -le {before} ] || exit 0; sleep 1; done; false");
    dom0.sh(&script).map(drop)
}
