//! vm-data/networking applied to a real xen-netfront interface by the first process, before anybody asks it to.
//!
//! Guarantees: the addresses are those the guest's kernel has, and packets pass; `resetnetwork` finds nothing to change
//! in them, and dom0 sees them where a toolstack looks.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::super::bench::{Bench, MAC};
use super::super::dom0::{self, Dom0};
use super::super::guest::Guest;
use super::super::report::Outcome;
use super::passed;

pub(super) const ADDRESS: &str = "10.99.0.2";
pub(super) const ADDRESS6: &str = "fd99::2";
const HOSTNAME: &str = "xen-guest";
/// The address on the VLAN.
const VLAN: &str = "10.5.0.2";

/// Writes what the guest is to be, while it is paused.
pub(in super::super) fn give(dom0: &mut Dom0, guest: &Guest) -> Result<()> {
    let value = json!({
        "label": "public", "mac": MAC, "broadcast": "10.99.0.255", "gateway": dom0::ADDRESS, "gateway_v6": "fd99::1",
        "ips": [{ "ip": ADDRESS, "netmask": "255.255.255.0", "enabled": "1", "gateway": dom0::ADDRESS }],
        "ip6s": [{ "ip": ADDRESS6, "netmask": 64, "enabled": "1", "gateway": "fd99::1" }],
        "routes": [], "dns": ["10.99.0.53"],
    });
    let key = MAC.replace(':', "").to_uppercase();
    dom0.xenstore_write(&guest.path("vm-data/hostname"), HOSTNAME)?;
    dom0.xenstore_write(&guest.path(&format!("vm-data/networking/{key}")), &value.to_string())
}

/// Writes what one interface is to be, while the guest is paused.
pub(super) fn give_one(dom0: &mut Dom0, guest: &Guest, mac: &str, address: &str) -> Result<()> {
    let value = json!({
        "label": "public", "mac": mac,
        "ips": [{ "ip": address, "netmask": "255.255.255.0", "enabled": "1" }], "routes": [], "dns": [],
    });
    let key = mac.replace(':', "").to_uppercase();
    dom0.xenstore_write(&guest.path(&format!("vm-data/networking/{key}")), &value.to_string())
}

/// The guest has the name, the addresses and the route it was given, and answers pings.
pub(super) fn applied_and_pinged(bench: &mut Bench<'_>) -> Result<Outcome> {
    let seen = bench.in_guest("hostname; ip addr show; ip route; ip -6 route")?;
    ensure!(seen.lines().next() == Some(HOSTNAME), "the guest's name is {:?}", seen.lines().next());
    for wanted in [&format!("{ADDRESS}/24"), &format!("{ADDRESS6}/64"), &format!("default via {}", dom0::ADDRESS)] {
        ensure!(seen.contains(wanted.as_str()), "the guest has no {wanted}:\n{seen}");
    }
    let script = format!("ping -c 3 -W 120 {ADDRESS} && ping6 -c 3 -W 120 {ADDRESS6}");
    bench.dom0.sh(&script).context("the guest cannot be pinged from dom0")?;
    bench.ask("resetnetwork", json!(""))?.ok().context("resetnetwork where all is as it should be")?;
    let again = bench.in_guest("hostname; ip addr show; ip route; ip -6 route")?;
    ensure!(again.contains(&format!("{ADDRESS}/24")), "resetnetwork has taken the address:\n{again}");
    passed(format!("{ADDRESS}, {ADDRESS6}, {HOSTNAME}; pinged from dom0"))
}

/// What a toolstack shows of the guest is there: its address, its kernel, the agent's version. Returns it.
pub(super) fn seen(dom0: &mut Dom0, guest: &Guest) -> Result<String> {
    let (address, installed) = (guest.path("attr/vif/0/ipv4/0"), guest.path("attr/PVAddons/Installed"));
    let home = guest.path("name");
    let script = format!(
        "await {address} {home} && await {installed} {home} || exit
         xenstore-read {address} {} {} {} {}",
        guest.path("data/os_uname"),
        guest.path("data/meminfo_total"),
        guest.path("attr/PVAddons/MajorVersion"),
        guest.path("data/host_name_dns")
    );
    let seen = dom0.sh(&script).context("a key that toolstacks read is missing")?;
    let lines: Vec<&str> = seen.lines().collect();
    ensure!(lines.first() == Some(&ADDRESS) && lines.get(4) == Some(&HOSTNAME), "dom0 sees {seen:?}");
    Ok(lines.join(" "))
}

/// dom0 sees the guest as XAPI would.
pub(super) fn published(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (dom0, guest) = bench.guest()?;
    passed(seen(dom0, guest)?)
}

/// The IPv4 addresses that dom0 sees of the guest's VIF, with their indices.
pub(super) fn addresses(dom0: &mut Dom0, guest: &Guest) -> Result<String> {
    dom0.sh(&format!("xenstore-ls {}", guest.path("attr/vif/0/ipv4")))
}

/// Addresses of a bond, and of a VLAN on it, are the VIF's that is in the bond. They stay for the cases that follow.
pub(super) fn bond_and_vlan(bench: &mut Bench<'_>) -> Result<Outcome> {
    bench.in_guest(
        "ip link set eth0 down && ip addr flush dev eth0 && echo +eth0 >/sys/class/net/bond0/bonding/slaves &&
         ip link set bond0 up && ip link add link bond0 name bond0.5 type vlan id 5 && ip link set bond0.5 up",
    )?;
    let (dom0, guest) = bench.guest()?;
    // What is seen later must not be what was there before.
    dom0.sh(&format!("await -v {}", guest.path("attr/vif/0/ipv4"))).context("the VIF keeps an address it has lost")?;
    guest.sh(
        dom0,
        &format!(
            "ip addr add {ADDRESS}/24 dev bond0 && ip addr add {ADDRESS6}/64 dev bond0 &&
             ip addr add {VLAN}/24 dev bond0.5"
        ),
    )?;
    let (last, last6) = (guest.path("attr/vif/0/ipv4/1"), guest.path("attr/vif/0/ipv6/0"));
    let home = guest.path("name");
    dom0.sh(&format!("await {last} {home} && await {last6} {home}")).context("dom0 sees no address of the VLAN")?;
    let (seen, seen6) = (addresses(dom0, guest)?, dom0.sh(&format!("xenstore-read {last6}"))?);
    let expected = format!("0 = \"{ADDRESS}\"\n1 = \"{VLAN}\"\n");
    ensure!(seen == expected && seen6.trim() == ADDRESS6, "dom0 sees {seen:?} and {seen6:?}, not {expected:?}");
    dom0.sh(&format!("ping -c 3 -W 120 {ADDRESS}")).context("the guest cannot be pinged through its bond")?;
    passed(format!("bond0 {ADDRESS}, {ADDRESS6}; bond0.5 {VLAN}"))
}
