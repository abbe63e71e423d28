//! `nanova network`, and what the first process does about the network: vm-data into the kernel, and into files below
//! /run for the real root, or below /etc for good.

use core::fmt::Write;

use nanova_core::cli::{Common, NetworkOptions, exit};
#[cfg(feature = "dhcp")]
use nanova_core::network::DhcpMode;
use nanova_core::network::Target;
use nanova_core::network::model::{Interface, Network};
use nanova_core::network::plan::{Step, carry_out};
use nanova_core::network::presence::present;
use nanova_core::network::reset::{self, Line, Outcome, Problems, Wanted};
use nanova_core::platform::{Level, Log};
use nanova_core::wire::errno::Errno;
use nanova_core::xenstore::Client;

#[cfg(feature = "dhcp")]
use crate::dhcp::Dhcp;
use crate::locate::{Candidates, Waited};
use crate::netlink::link_events;
use crate::output::{complain, print};
use crate::rt::Environment;
use crate::rt::place::{Filled, Place};
use crate::rt::signals::Signals;
use crate::serve::{denied, not_a_guest, open, out_of_memory, timed_out};
use crate::supervise::OrdinaryProcess;
use crate::system::System;
use crate::wait::{running_ms, sleep_until_event};
use crate::xenbus::Xenbus;

/// How long a xenstore that is there may take to answer, even if time is over otherwise (`--wait 0`).
const ANSWER_MS: u64 = 1000;

/// Runs it; returns the exit code.
#[inline(never)]
pub(crate) fn run(environment: &Environment, common: &Common<'_>, options: &NetworkOptions) -> i32 {
    let deadline = options.wait.map(|seconds| running_ms() + u64::from(seconds) * 1000);
    let candidates = Candidates::new(environment, common);
    if candidates.hopeless() {
        return not_a_guest(common);
    }
    let (opened, signals) = match open(common) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let mut system = System::of(opened);
    let xenbus = match candidates.wait(&mut system, &signals, &mut OrdinaryProcess, options.wait) {
        Waited::Connected(mut xenbus, _) => {
            if let Some(deadline) = deadline {
                xenbus.answer_until(deadline.max(running_ms() + ANSWER_MS));
            }
            xenbus
        }
        Waited::Stopped => return exit::FAILED,
        Waited::TimedOut(there) => return timed_out(there),
        Waited::Denied(path, error) => return denied(path, error),
    };
    // Whoever calls this goes on, and so does a network manager that is told.
    system.children.outlive = true;
    let wanted = options.wanted();
    let Ok(mut place) = Place::new() else { return out_of_memory() };
    let mut client = place.fill(Client::new(xenbus));
    let mut shown = options.dry_run.then_some(Out);
    let show = shown.as_mut().map(|out| -> &mut dyn Write { out });
    let mut before = |system: &mut System<'_>, network: &Network| {
        if let Some(deadline) = deadline {
            wait_for_links(system, &network.interfaces, &signals, deadline);
        }
    };
    let (Outcome { well, complete, line, problems }, network) =
        apply(&mut client, &mut system, &wanted, &mut before, show);
    #[cfg(feature = "selinux")]
    system.go_on_labelling();
    if !well {
        complain(format_args!("{}", problems.as_str()));
        return exit::FAILED;
    }
    if !complete {
        system.log(Level::Warn, format_args!("network: {}", problems.as_str()));
    }
    if options.dry_run {
        #[cfg(feature = "dhcp")]
        if let (true, Some(network)) = (options.dhcp != DhcpMode::Off, network) {
            Dhcp::show(options.dhcp, network, &mut system, &mut Out);
        }
        return print(line.as_str()).max(print("\n"));
    }
    system.log(Level::Info, format_args!("{}", line.as_str()));
    #[cfg(feature = "dhcp")]
    if options.dhcp != DhcpMode::Off {
        let until = deadline.unwrap_or(running_ms() + DHCP_MS);
        let Some(mut dhcp) = network.and_then(|network| Dhcp::begin(options.dhcp, network, &mut system)) else {
            return exit::FAILED;
        };
        if !dhcp.finish(&mut client, &mut system, until, &wanted) {
            complain(format_args!("not every interface that asked DHCP has an address that is handed over"));
            return exit::FAILED;
        }
    }
    exit::DONE
}

/// How long servers may take to answer if nothing is said.
#[cfg(feature = "dhcp")]
const DHCP_MS: u64 = 10_000;

/// Brings the loopback up, whatever xenstore holds: much of a system talks to itself. A plan for no interface is just
/// that.
pub(crate) fn bring_loopback_up(system: &mut System<'_>) {
    let mut failed = |system: &mut System<'_>, step: &Step<'_>, errno| {
        system.log(Level::Warn, format_args!("network: cannot {step}: {errno}"));
    };
    if let Err(errno) = carry_out(system, &[], &mut failed) {
        system.log(Level::Warn, format_args!("network: cannot talk to the kernel about the loopback: {errno}"));
    }
}

/// Standard output.
struct Out;

impl Write for Out {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        if print(text) == exit::DONE { Ok(()) } else { Err(core::fmt::Error) }
    }
}

/// Applies what xenstore holds. What has to be done for the interfaces in the kernel `before` that is done when they
/// are known. Returns what came of it, whose line the caller logs, and the network, if it could be read.
#[inline(never)]
pub(crate) fn apply(
    client: &mut Client<Xenbus<'_>>,
    system: &mut System<'_>,
    wanted: &Wanted<'_>,
    before: &mut dyn FnMut(&mut System<'_>, &Network),
    show: Option<&mut dyn Write>,
) -> (Outcome, Option<Filled<'static, Network>>) {
    let mut problems = Problems::new();
    let nothing = |problems| (Outcome { well: false, complete: false, line: Line::new(), problems }, None);
    let Ok(mut network) = Place::holding(Network::new) else {
        return nothing(Line::of(format_args!("not enough memory for the network")));
    };
    if let Err(error) = network.read(client, system, &mut problems) {
        if wanted.target != Target::Files && show.is_none() {
            bring_loopback_up(system);
        }
        return nothing(Line::of(format_args!("cannot read the network from xenstore: {error}")));
    }
    if wanted.target != Target::Files {
        before(system, &network);
    }
    (reset::apply(system, &mut network, wanted, problems, show), Some(network))
}

/// Waits until there is a link for each interface, or it is `deadline`, by [`running_ms`].
pub(crate) fn wait_for_links(system: &mut System<'_>, interfaces: &[Interface], signals: &Signals, deadline: u64) {
    if let Err(error) = try_to_wait(system, interfaces, signals, deadline) {
        system.log(Level::Warn, format_args!("cannot wait for network interfaces: {error}"));
    }
}

fn try_to_wait(
    system: &mut System<'_>,
    interfaces: &[Interface],
    signals: &Signals,
    deadline: u64,
) -> Result<(), Errno> {
    if interfaces.is_empty() {
        return Ok(());
    }
    let events = link_events()?;
    loop {
        // All anew: a link can go again.
        let there = present(system, interfaces)?;
        let left = deadline.saturating_sub(running_ms());
        if left == 0 || there.iter().take(interfaces.len()).all(|there| *there) || signals.stop() {
            return Ok(());
        }
        sleep_until_event(signals, Some(&events), Some(left));
    }
}
