//! vm-data/networking applied to a real xen-netfront interface.
//!
//! Guarantees: the addresses are those the guest's kernel has, and packets pass. Refuses, as skipped, an agent that has
//! no resetnetwork among its features.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::super::bench::{Bench, MAC};
use super::super::dom0;
use super::super::report::Outcome;
use super::passed;

const ADDRESS: &str = "10.99.0.2";
const ADDRESS6: &str = "fd99::2";
const HOSTNAME: &str = "xen-guest";

/// After resetnetwork the guest has the name, the addresses and the route it was given, and answers pings.
pub(super) fn applied_and_pinged(bench: &mut Bench<'_>) -> Result<Outcome> {
    let features = bench.ask("features", json!(""))?.ok()?;
    if !features.split(',').any(|name| name == "resetnetwork") {
        return Ok(Outcome::Skipped("this agent's features have no resetnetwork".into()));
    }
    let value = json!({
        "label": "public", "mac": MAC, "broadcast": "10.99.0.255", "gateway": dom0::ADDRESS, "gateway_v6": "fd99::1",
        "ips": [{ "ip": ADDRESS, "netmask": "255.255.255.0", "enabled": "1", "gateway": dom0::ADDRESS }],
        "ip6s": [{ "ip": ADDRESS6, "netmask": 64, "enabled": "1", "gateway": "fd99::1" }],
        "routes": [], "dns": ["10.99.0.53"],
    });
    let (dom0, guest) = bench.guest()?;
    let key = MAC.replace(':', "").to_uppercase();
    dom0.xenstore_write(&guest.path("vm-data/hostname"), HOSTNAME)?;
    dom0.xenstore_write(&guest.path(&format!("vm-data/networking/{key}")), &value.to_string())?;
    bench.ask("resetnetwork", json!(""))?.ok()?;
    let seen = bench.in_guest("hostname; ip addr show; ip route; ip -6 route")?;
    ensure!(seen.lines().next() == Some(HOSTNAME), "the guest's name is {:?}", seen.lines().next());
    for wanted in [&format!("{ADDRESS}/24"), &format!("{ADDRESS6}/64"), &format!("default via {}", dom0::ADDRESS)] {
        ensure!(seen.contains(wanted.as_str()), "the guest has no {wanted}:\n{seen}");
    }
    let script = format!("ping -c 3 -W 5 {ADDRESS} && ping6 -c 3 -W 5 {ADDRESS6}");
    bench.dom0.sh(&script).context("the guest cannot be pinged from dom0")?;
    passed(format!("{ADDRESS}, {ADDRESS6}, {HOSTNAME}; pinged from dom0"))
}
