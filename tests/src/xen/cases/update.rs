//! agentupdate: a web server in dom0, and a guest whose agent is a service, as nanova's notes for busybox's init have
//! it.
//!
//! Guarantees: what the guest runs is told by the observer from the process itself, not by the agent. Refuses an update
//! that only seems to be one: a file that is not what dom0 serves, another process, an old agent that is not kept.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::super::bench::Bench;
use super::super::dom0::ADDRESS;
use super::super::images::SERVICE;
use super::super::mailbox::{self, alive};
use super::super::report::Outcome;
use super::passed;

/// Prints the sums of the present agent and of one that is another file, and serves the latter.
pub(super) const SERVE: &str =
    "mkdir -p /tmp/www && cp /lab/images/nanova /tmp/www/agent && echo another >>/tmp/www/agent || exit
    for file in /lab/images/nanova /tmp/www/agent; do sha256sum $file | cut -d ' ' -f 1; done
    httpd -h /tmp/www";
/// Prints which process is the agent, and the sums of what it runs and of all files there are of it.
const LOOK: &str = "cd /usr/sbin; pid=$(pidof nanova); echo $pid
    for file in /proc/$pid/exe *nanova* .*nanova*; do [ ! -f $file ] || echo $file $(sha256sum $file | cut -d ' ' -f 1); done";

/// The agent becomes what dom0 serves, in the same process, and refuses what has another sum.
pub(super) fn agentupdate(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (dom0, guest) = bench.replace_guest("service", SERVICE)?;
    let early = mailbox::send(dom0, guest, &mailbox::version_request())?;
    guest.unpause(dom0)?;
    mailbox::receive(dom0, guest, &early).context("the request from before the guest's start")?.ok()?;
    mailbox::ask(dom0, guest, "resetnetwork", json!(""))?.ok()?;
    let sums = dom0.sh(SERVE)?;
    let (old, new) = sums.trim().split_once('\n').with_context(|| format!("dom0 printed {sums:?} as sums"))?;
    let before = guest.sh(dom0, LOOK)?;
    let pid = before.lines().next().unwrap_or_default().to_owned();
    let expected = format!("{pid}\n/proc/{pid}/exe {old}\nnanova {old}\n");
    ensure!(before == expected, "before the update the agent is {before:?}, not {expected:?}");

    let url = format!("http://{ADDRESS}/agent");
    let refused = mailbox::ask(dom0, guest, "agentupdate", json!(format!("{url},{old}")))?;
    let said = &refused.message;
    ensure!(refused.code == "500" && said.contains("sums do not match"), "a wrong sum is answered with {refused:?}");
    let unchanged = guest.sh(dom0, LOOK)?;
    ensure!(unchanged == before, "what was refused left {unchanged:?} of {before:?}");

    mailbox::ask(dom0, guest, "agentupdate", json!(format!("{url},{new}")))?.ok()?;
    alive(dom0, guest).context("a request after the update")?;
    // Before that there is a second process, which would put the old agent back.
    let serves = "the new agent serves";
    guest.wait_console(dom0, serves, |text| text.contains(serves).then_some(()))?;
    let after = guest.sh(dom0, LOOK)?;
    let expected = format!("{pid}\n/proc/{pid}/exe {new}\nnanova {new}\nnanova.prev {old}\n");
    ensure!(after == expected, "after the update the agent is {after:?}, not {expected:?}");
    bench.discard_guest()?;
    passed(format!("process {pid} runs {new:.8}…, {old:.8}… is kept; refused: {said:.60}…"))
}
