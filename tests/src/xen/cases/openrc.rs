//! A small system with OpenRC on a disk, to which nanova as the first process hands over.
//!
//! Guarantees: whether the service runs is told by OpenRC and by the process, not by the agent.

use anyhow::{Context, Result, ensure};

use super::super::bench::Bench;
use super::super::guest::Spec;
use super::super::images::Images;
use super::super::mailbox::{self, alive};
use super::super::report::Outcome;
use super::network::{give, seen};
use super::{lifecycle, passed};
use crate::nova::{Digest, crypt};

const APPEND: &str = "nanova.root=/dev/xvda nanova.rootfstype=ext4 rw";
/// Prints the process, once OpenRC says that the service is started, and what the network's service saw.
const FACTS: &str = "PATH=$PATH:/sbin:/bin
    for i in $(seq 60); do rc-service nanova status >/dev/null 2>&1 && [ -e /run/order ] && break; sleep 1; done
    tail -n 1 /run/order; rc-service nanova status";

/// As a service of OpenRC the agent is there before the network, sets a password, is started again when it is killed,
/// and the guest shuts down in order.
pub(super) fn service(bench: &mut Bench<'_>) -> Result<Outcome> {
    let spec = Spec { image: Images::ROOT.into(), disk: Some("/dev/vda"), ..bench.spec("openrc", APPEND) };
    let (dom0, guest) = bench.place(spec)?;
    give(dom0, guest)?;
    guest.unpause(dom0)?;
    guest.wait_console(dom0, "observer", |text| text.contains("\n@ready").then_some(()))?;
    let facts = guest.sh(dom0, FACTS)?;
    ensure!(facts.starts_with("before\n") && facts.contains("started"), "OpenRC says {facts:?}");
    seen(dom0, guest)?;
    let password = "open sesame";
    mailbox::set_password(dom0, guest, password, Digest::Sha256)?.ok()?;
    let shadow = guest.sh(dom0, "cat /etc/shadow")?;
    let hash = shadow.split(':').nth(1).unwrap_or_default();
    ensure!(crypt(password, hash)? == hash, "root's hash is not that of the password: {shadow:?}");
    guest.sh(dom0, "kill -9 $(pidof nanova)")?;
    alive(dom0, guest).context("after the agent was killed")?;
    let took = lifecycle::shut_down(bench)?;
    passed(format!("started before the network, started again when killed; gone after {:.2} s", took.as_secs_f64()))
}
