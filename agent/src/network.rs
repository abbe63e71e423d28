//! `nanova network`, and what the first process does about the network: vm-data into the kernel, and into files below /run
//! for the real root.

use core::fmt::Write;

use heapless::Vec;
use nanova_core::cli::{Common, Handover, Network as Target, NetworkOptions, exit};
use nanova_core::errno::Errno;
use nanova_core::netlink::{Link, Message};
use nanova_core::network::handover::hand_over;
use nanova_core::network::kernel::{configure, describe, take_link};
use nanova_core::network::{INTERFACES_MAX, Interface, Network, Placed};
use nanova_core::platform::{Level, Platform};
use nanova_core::text::Bounded;
use nanova_core::xenstore::Client;

use crate::locate::{Candidates, Waited, sleep, uptime_ms};
use crate::netlink::{Netlink, link_events};
use crate::output::{complain, print};
use crate::rt::Environment;
use crate::rt::signals::Signals;
use crate::serve::{open, timed_out};
use crate::supervise::Plain;
use crate::system::{System, errno};
use crate::xenbus::Xenbus;

/// A line about what was done, or about what went wrong.
pub(crate) type Line = Bounded<512>;

/// What came of it.
pub(crate) struct Outcome {
    /// Whether nothing of what matters failed.
    pub(crate) well: bool,
    /// What there is now, or why there is nothing.
    pub(crate) line: Line,
}

/// How long a xenstore that is there may take to answer, even if time is over otherwise (`--wait 0`).
const ANSWER_MS: u64 = 1000;
/// Which link carries each interface.
type Links = Vec<Option<Link>, INTERFACES_MAX>;

/// What is to be done.
pub(crate) struct Wanted<'a> {
    /// Kernel, files, or both.
    pub(crate) target: Target,
    /// The forms of the files.
    pub(crate) handover: &'a [Handover],
    /// Until when interfaces may still appear, by [`uptime_ms`]; without, those that are there now count.
    pub(crate) deadline: Option<u64>,
    /// Say what would be done, and do nothing.
    pub(crate) dry_run: bool,
}

/// Runs it; returns the exit code.
pub(crate) fn run(environment: &Environment, common: &Common<'_>, options: &NetworkOptions<'_>) -> i32 {
    let deadline = options.wait.map(|seconds| uptime_ms() + u64::from(seconds) * 1000);
    let candidates = Candidates::new(environment, common);
    if candidates.hopeless() {
        // Without a word: initramfs hooks ask on every machine.
        return exit::NOT_A_GUEST;
    }
    if options.style.is_some() || options.network == Target::Files && options.handover.is_empty() {
        complain(format_args!("this build writes files for a real root only; name their form with --handover"));
        return exit::FAILED;
    }
    let (mut system, signals) = match open(common) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let xenbus = match candidates.wait(&mut system, &signals, &mut Plain, options.wait) {
        Waited::Connected(mut xenbus, _) => {
            if let Some(deadline) = deadline {
                xenbus.answer_until(deadline.max(uptime_ms() + ANSWER_MS));
            }
            xenbus
        }
        Waited::Stopped => return exit::FAILED,
        Waited::TimedOut(there) => return timed_out(there),
    };
    let wanted = Wanted { target: options.network, handover: &options.handover, deadline, dry_run: options.dry_run };
    let Outcome { well, line } = apply(&mut Client::new(xenbus), &mut system, &signals, &wanted);
    if !well {
        complain(format_args!("{}", line.as_str()));
        return exit::FAILED;
    }
    if options.dry_run {
        return print(line.as_str()).max(print("\n"));
    }
    system.log(Level::Info, format_args!("{}", line.as_str()));
    exit::DONE
}

/// Applies what xenstore holds. The caller logs the line that it returns; what did not work beside what did is logged here.
#[inline(never)]
pub(crate) fn apply(
    client: &mut Client<Xenbus<'_>>,
    system: &mut System<'_>,
    signals: &Signals,
    wanted: &Wanted<'_>,
) -> Outcome {
    let mut problems = Line::new();
    let network = match Network::read(client, &mut problems) {
        Ok(network) => network,
        Err(error) => {
            let line = Line::of(format_args!("cannot read the network from xenstore: {error}"));
            return Outcome { well: false, line };
        }
    };
    let mut line = Line::of(format_args!("network:"));
    if let Some(name) = &network.hostname {
        let _ = write!(line, " {name}");
    }
    let kernel = wanted.target != Target::Files && !wanted.dry_run;
    if kernel {
        set_host_name(&network, &mut problems);
    }
    let mut links = Links::new();
    links.resize(network.interfaces.len(), None).unwrap_or_default();
    let mut chosen = Vec::<Placed<'_>, INTERFACES_MAX>::new();
    if kernel && !network.interfaces.is_empty() {
        match set_up(&network.interfaces, &mut links, signals, wanted.deadline, &mut problems) {
            Ok(done) => {
                let placed = network.interfaces.iter().zip(&links).zip(done).filter(|(_, done)| *done);
                chosen.extend(placed.map(|((interface, link), _)| Placed {
                    interface,
                    device: link.as_ref().map(|link| link.name.as_str()),
                }));
            }
            Err(error) => {
                let _ = write!(problems, "cannot talk to the kernel about links: {error}; ");
            }
        }
    } else {
        chosen.extend(network.interfaces.iter().map(|interface| Placed { interface, device: None }));
    }
    let mut well = !chosen.is_empty() || (network.interfaces.is_empty() && network.sound);
    if wanted.target != Target::Kernel && !wanted.dry_run && !chosen.is_empty() {
        let hostname = network.hostname.as_deref();
        for style in wanted.handover {
            well &= hand_over(system, *style, hostname, &chosen, &mut problems);
        }
    }
    let problems = problems.as_str().trim_end_matches([';', ' ']);
    if !well {
        return Outcome { well, line: Line::of(format_args!("{problems}")) };
    }
    if !problems.is_empty() {
        system.log(Level::Warn, format_args!("network: {problems}"));
    }
    chosen.iter().for_each(|placed| describe(&mut line, placed));
    if network.interfaces.is_empty() {
        let _ = line.write_str(" xenstore holds no interfaces");
    }
    Outcome { well, line }
}

fn set_host_name(network: &Network, problems: &mut Line) {
    if let Some(name) = &network.hostname
        && let Err(error) = rustix::system::sethostname(name.as_bytes())
    {
        let _ = write!(problems, "cannot set the host name: {}; ", errno(error));
    }
}

/// Finds the links of all interfaces and sets them up. Returns which are.
fn set_up(
    interfaces: &[Interface],
    links: &mut Links,
    signals: &Signals,
    deadline: Option<u64>,
    problems: &mut Line,
) -> Result<[bool; INTERFACES_MAX], Errno> {
    let netlink = Netlink::open()?;
    find(&netlink, interfaces, links, signals, deadline)?;
    let mut done = [false; INTERFACES_MAX];
    for ((interface, link), done) in interfaces.iter().zip(links).zip(&mut done) {
        match link {
            Some(link) => {
                *done = configure(interface, link, &mut |message| netlink.ask(message, &mut drop), problems);
            }
            None => {
                let _ = write!(problems, "no interface has the MAC address {}; ", interface.mac);
            }
        }
    }
    Ok(done)
}

/// Waits until there is a link for each interface, or time is over.
fn find(
    netlink: &Netlink,
    interfaces: &[Interface],
    links: &mut Links,
    signals: &Signals,
    deadline: Option<u64>,
) -> Result<(), Errno> {
    let events = link_events()?;
    loop {
        // All anew: a link can go again, and another take its number.
        links.iter_mut().for_each(|link| *link = None);
        netlink.ask(&Message::dump_links(0), &mut |link| {
            for (place, interface) in links.iter_mut().zip(interfaces) {
                take_link(place, interface, &link);
            }
        })?;
        let left = deadline.map_or(0, |deadline| deadline.saturating_sub(uptime_ms()));
        if left == 0 || links.iter().all(Option::is_some) || signals.stop() {
            return Ok(());
        }
        sleep(signals, Some(&events), Some(left));
    }
}
