//! The cases, in the order they run; each says in its first line what it proves.
//!
//! Guarantees: a case that passes leaves the standing guest in a state the next one can use, or marks it as gone; no
//! case needs that another one passed, or ran.

mod commands;
mod debian;
mod dhcp;
mod life;
mod lifecycle;
mod many;
pub(super) mod network;
mod openrc;
mod start;
mod tools;
mod update;

use anyhow::Result;

use super::bench::Bench;
use super::report::Outcome;

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name in the report and on the command line.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&mut Bench<'_>) -> Result<Outcome>,
}

const fn case(name: &'static str, run: fn(&mut Bench<'_>) -> Result<Outcome>) -> Case {
    Case { name, run }
}

/// A success and its remark.
fn passed(remark: impl Into<String>) -> Result<Outcome> {
    Ok(Outcome::Passed(remark.into()))
}

/// What is asked of a guest that stands from case to case.
pub const STANDING: &[Case] = &[
    case("early-request", commands::early_request),
    case("version", commands::version),
    case("features", commands::features),
    case("password-md5", commands::password_md5),
    case("password-sha256", commands::password_sha256),
    case("injectfile", commands::injectfile),
    case("file-inject", commands::file_inject),
    case("malformed", commands::malformed),
    case("unknown", commands::unknown),
    case("burst", commands::burst),
    case("memory", commands::memory),
    case("network", network::applied_and_pinged),
    case("metrics", network::published),
    case("bond-vlan", network::bond_and_vlan),
    case("dhcp", dhcp::leased),
    case("save-restore", lifecycle::save_restore),
    case("reboot", lifecycle::reboot),
    case("shutdown", lifecycle::shutdown),
    case("busy-shutdown", lifecycle::busy_shutdown),
    case("vcpu-set", lifecycle::another_processor),
    case("agentupdate", update::agentupdate),
    case("xenstore-tools", tools::same_as_debian),
];

/// What is asked of a Debian that boots twice.
pub const DEBIAN: &[Case] = &[
    case("debian-vm-data", debian::with_vm_data),
    case("debian-without", debian::without_vm_data),
    case("debian-login", debian::with_login),
];
/// dom0's devices that hold a Debian: one for each of these cases.
pub const DISKS: [&str; 3] = ["/dev/vda", "/dev/vdb", "/dev/vdc"];

/// What is asked of a system with OpenRC.
pub const OPENRC: &[Case] = &[case("openrc", openrc::service)];

/// What guests live through.
pub const LIFE: &[Case] = &[
    case("pause", life::pause),
    case("stalled-xenstored", life::stalled),
    case("permissions", life::permissions),
    case("clock", life::clock),
    case("sysrq", life::sysrq),
    case("ballooning", life::ballooning),
    case("vif-attach", life::vif),
    case("live-update", life::live_update),
    case("failed-save", life::failed_save),
    case("ten-saves", life::saves),
    case("ten-migrations", life::migrations),
];

/// What is asked of several guests.
pub const MANY: &[Case] = &[case("six-at-once", many::six_at_once)];

/// What is asked of guests that only start.
pub const START: &[Case] = &[
    case("image", start::image),
    case("floor", start::floor),
    case("smallest", start::smallest),
    case("pv-cloud", start::pv_cloud),
    case("pvh-amd64", start::pvh_amd64),
    case("dhcp-time", dhcp::time),
];
