//! The command `resetnetwork`, and `nanova network`: vm-data into the kernel and into files. What fails does not keep
//! the rest from being done; all of it is told.

use core::fmt::Write;

use heapless::Vec;

use crate::files::read::read_start_if_possible;
use crate::network::Target;
#[cfg(feature = "handover")]
use crate::network::handover::{HandOver, hand_over};
use crate::network::model::{INTERFACES_MAX, Network, Placed, system_name};
use crate::network::plan::{Plan, Step, carry_out};
use crate::network::problems::{FilesOutcome, Findings};
pub use crate::network::problems::{Line, Problems};
use crate::platform::{Clock, Files, GuestPath, Identity, KernelNet, Level, Log, Programs};
use crate::wire::net::{Device, Family};
use crate::wire::text::{Bounded, number};
use crate::xenstore::{Client, Error, Transport};

/// Which files of the guest are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permanence {
    /// None: what is done is for this boot.
    Nothing,
    /// Those that the guest's distribution reads.
    Detected,
    /// Those of this manager.
    #[cfg(feature = "managers")]
    As(&'static crate::network::managers::Manager),
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Kernel, files, or both.
    pub target: Target,
    /// Which files.
    pub permanence: Permanence,
    /// The forms of the files below /run for the real root of an initramfs.
    #[cfg(feature = "handover")]
    pub handover: &'a [crate::network::Handover],
    #[cfg(not(feature = "handover"))]
    /// None.
    pub handover: core::marker::PhantomData<&'a ()>,
}

impl Wanted<'_> {
    /// With nothing for the real root of an initramfs.
    pub const fn of(target: Target, permanence: Permanence) -> Self {
        Wanted {
            target,
            permanence,
            #[cfg(feature = "handover")]
            handover: &[],
            #[cfg(not(feature = "handover"))]
            handover: core::marker::PhantomData,
        }
    }
}

/// What came of it.
pub struct Outcome {
    /// Whether there is a network: nothing of what matters failed.
    pub well: bool,
    /// Whether nothing failed at all: every address and every default route is in force, and every file written.
    pub complete: bool,
    /// What there is now.
    pub line: Line,
    /// What went wrong, or was left out.
    pub problems: Line,
}

/// Reads it into `network`, whatever was there, and applies it. Returns whether nothing failed, and what did or was
/// left out.
#[inline(never)]
pub(crate) fn reset<T: Transport, P: Files + Clock + Log + Identity + Programs + KernelNet>(
    client: &mut Client<T>,
    platform: &mut P,
    network: &mut Network,
    target: Target,
) -> Result<(bool, Line), Error> {
    if target == Target::Off {
        return Ok((false, Line::of(format_args!("the network is left alone: nanova runs with --network off"))));
    }
    let mut problems = Problems::new();
    network.clear();
    network.read(client, platform, &mut problems)?;
    let wanted = Wanted::of(target, Permanence::Detected);
    let outcome = apply(platform, network, &wanted, problems, None);
    for interface in network.interfaces.iter().filter(|interface| interface.speaks_of(Family::V4)) {
        platform.is_given(interface.mac);
    }
    if !outcome.complete {
        platform.log(Level::Warn, format_args!("network: {}", outcome.problems.as_str()));
    }
    Ok((outcome.complete, outcome.problems))
}

/// Interfaces that have a place.
type Places<'a> = Vec<Placed<'a>, INTERFACES_MAX>;

/// What is known of an interface once the kernel was asked.
#[derive(Clone, Default)]
struct KernelDevice {
    device: Option<Device>,
    /// Whether that is a bridge or bond that the interface is a part of.
    is_master: bool,
    /// Whether it has its addresses, or may be said to have them.
    chosen: bool,
}

/// The interfaces of which this is so.
#[inline(never)]
fn places<'a>(network: &'a Network, found: &'a [KernelDevice], is_so: fn(&KernelDevice) -> bool) -> Places<'a> {
    let mut places = Places::new();
    for (interface, found) in network.interfaces.iter().zip(found).filter(|(_, found)| is_so(found)) {
        let _ = places.push(Placed { interface, device: found.device.as_deref() });
    }
    places
}

/// Applies a network, or, if there is `show`, shows there what would be done. What did not work beside what did is
/// logged here; the caller logs the line of the outcome.
#[inline(never)]
pub fn apply<P: Files + Clock + Log + Identity + Programs + KernelNet>(
    platform: &mut P,
    network: &mut Network,
    wanted: &Wanted<'_>,
    mut problems: Problems,
    mut show: Option<&mut dyn Write>,
) -> Outcome {
    if !network.interfaces.is_empty() {
        network.decide(platform, &mut problems);
    }
    let kernel = wanted.target != Target::Files;
    let files = wanted.target != Target::Kernel;
    let former_name = platform.host_name();
    if let (Some(name), true, None) = (&network.hostname, kernel, &show)
        && let Err(errno) = platform.set_host_name(system_name(name))
    {
        Findings { log: platform, problems: &mut problems }.fail(format_args!("cannot set the host name: {errno}"));
    }
    let mut found = Vec::<KernelDevice, INTERFACES_MAX>::new();
    found.resize(network.interfaces.len(), KernelDevice::default()).unwrap_or_default();
    // Without any there is the loopback, which is brought up whatever xenstore holds.
    if kernel || !network.interfaces.is_empty() {
        let show = show.as_mut().map(|show| -> &mut dyn Write { *show }).filter(|_| kernel);
        in_kernel(platform, network, kernel, &mut found, &mut problems, show);
    }
    let none_is_there = found.iter().all(|found| found.device.is_none());
    for (interface, found) in network.interfaces.iter().zip(&mut found) {
        let mac = interface.mac;
        if found.device.is_none() && kernel {
            let mut findings = Findings { log: platform, problems: &mut problems };
            let text = format_args!("no interface has the MAC address {mac}");
            if none_is_there {
                findings.fail(text)
            } else {
                findings.leave_out(text)
            }
            found.chosen = show.is_some();
        }
        found.chosen |= !kernel;
        if let (true, Some(device)) = (found.is_master && files, &found.device) {
            let text = format_args!("network: {mac} is a part of {device}, whose files are left alone");
            platform.log(Level::Warn, text);
        }
    }
    let placed = places(network, &found, |found| found.chosen);
    let is_empty = network.interfaces.is_empty() && network.sound;
    let mut well = !placed.is_empty() || is_empty;
    let mut complete = well && network.sound;
    if files {
        let show = show.map(|show| -> &mut dyn Write { show });
        let files = in_files(platform, network, wanted, &found, former_name.as_str(), &mut problems, show);
        complete &= files.written && files.undisturbed;
        well &= files.written;
    }
    complete &= problems.is_complete();
    let problems = problems.message(platform);
    if complete && !problems.as_str().is_empty() {
        platform.log(Level::Warn, format_args!("network: {}", problems.as_str()));
    }
    Outcome { well, complete, line: describe(network, &placed), problems }
}

/// Plans and does what the kernel lacks, or shows it, or only finds out which device is whose.
fn in_kernel<P: Files + Log + Programs + KernelNet>(
    platform: &mut P,
    network: &Network,
    kernel: bool,
    found: &mut [KernelDevice],
    problems: &mut Problems,
    show: Option<&mut dyn Write>,
) {
    let (shown, mut unwanted) = (show.is_some(), false);
    // An interface that cannot be brought up, or of whose addresses none could be added, is none that there is.
    let mut refused = Vec::<(u32, u32), INTERFACES_MAX>::new();
    let plan = match show {
        Some(out) => Plan::read(platform, &network.interfaces).inspect(|plan| {
            plan.steps(&mut |step| {
                let _ = writeln!(out, "{step}");
            });
        }),
        None if !kernel => Plan::read(platform, &network.interfaces),
        None => carry_out(platform, &network.interfaces, &mut |platform, step, errno| {
            let mut findings = Findings { log: platform, problems };
            if step.is_unwanted(errno, unwanted) {
                unwanted = true;
                return findings.leave_out(format_args!("cannot {step}: {errno}; is IPv6 turned off here?"));
            }
            let text = format_args!("cannot {step}: {errno}");
            if step.matters() {
                findings.fail(text)
            } else {
                findings.leave_out(text)
            }
            let (index, weight) = match step {
                Step::Up(link) => (link.index, u32::MAX),
                Step::AddAddress(link, ..) => (link.index, 1),
                _ => return,
            };
            match refused.iter_mut().find(|(known, _)| *known == index) {
                Some((_, count)) => *count = count.saturating_add(weight),
                None => drop(refused.push((index, weight))),
            }
        }),
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(errno) => {
            let text = format_args!("cannot talk to the kernel about links: {errno}");
            let mut findings = Findings { log: platform, problems };
            return if kernel { findings.fail(text) } else { findings.leave_out(text) };
        }
    };
    let changes = kernel && !shown;
    for (place, (found, interface)) in found.iter_mut().zip(&network.interfaces).enumerate() {
        let Some(link) = plan.link(place) else { continue };
        let count = refused.iter().find(|(index, _)| *index == link.index).map_or(0, |(_, count)| *count);
        found.device = Some(link.name.clone());
        found.is_master = plan.is_master(place);
        // Its address stays while it may be the one that could not be read.
        if changes && interface.speaks_of(Family::V4) && !interface.is_unread {
            end_dhcp(platform, &link.name);
        }
        found.chosen = count == 0 || (count as usize) < interface.addresses.len();
    }
}

/// Ends the DHCP client of a device, if one has left its number where ifupdown and the initscripts have it: it would
/// bring its address back when it renews it. At once, as it would take our addresses away if it could say goodbye.
#[inline(never)]
fn end_dhcp<P: Files + Log + Programs>(platform: &mut P, device: &str) {
    for (client, between) in [("dhclient", "."), ("dhclient", "-"), ("udhcpc", "."), ("dhcpcd", "/")] {
        let path = Bounded::<64>::of(format_args!("/run/{client}{between}{device}.pid"));
        let mut room = [0; 16];
        let Some(process) = first_line(platform, path.as_str(), &mut room).and_then(number::<u32>) else { continue };
        let path = Bounded::<64>::of(format_args!("/proc/{}/comm", u64::from(process)));
        if first_line(platform, path.as_str(), &mut [0; 16]) == Some(client) {
            platform.log(Level::Info, format_args!("ending {client} of {device}, process {}", u64::from(process)));
            platform.end_process(process);
        }
    }
}

fn first_line<'r, P: Files + Log>(platform: &mut P, path: &str, room: &'r mut [u8]) -> Option<&'r str> {
    let len = read_start_if_possible(platform, GuestPath::new(path).ok()?, room)?;
    core::str::from_utf8(room.get(..len)?).ok()?.lines().next()
}

/// A build without the files of any network manager: the kernel has it all.
#[cfg(not(feature = "managers"))]
fn in_files<'w, P: Files + Log>(
    _platform: &'w mut P,
    _network: &Network,
    _wanted: &Wanted<'_>,
    _found: &[KernelDevice],
    _former_name: &str,
    _problems: &'w mut Problems,
    _show: Option<&'w mut dyn Write>,
) -> FilesOutcome {
    FilesOutcome { written: true, undisturbed: true }
}

/// Writes the files.
#[cfg(feature = "managers")]
fn in_files<'w, P: Files + Clock + Log + Identity + Programs + KernelNet>(
    platform: &'w mut P,
    network: &Network,
    wanted: &Wanted<'_>,
    found: &[KernelDevice],
    former_name: &str,
    problems: &'w mut Problems,
    show: Option<&'w mut dyn Write>,
) -> FilesOutcome {
    let hostname = network.hostname.as_deref();
    #[cfg_attr(not(feature = "handover"), expect(unused_mut, reason = "only a hand-over can fail here"))]
    let mut done = true;
    #[cfg(feature = "handover")]
    let handed = places(network, found, |found| found.chosen && !found.is_master);
    #[cfg(feature = "handover")]
    if show.is_none() && !handed.is_empty() {
        for style in wanted.handover {
            let what = HandOver { style: *style, network, interfaces: &handed, leases: None };
            done &= hand_over(platform, &what, problems);
        }
    }
    let manager = match wanted.permanence {
        Permanence::Nothing => return FilesOutcome { written: done, undisturbed: true },
        Permanence::Detected => match crate::network::managers::registry::detect(platform) {
            Ok(manager) => manager,
            Err(error) => {
                let mut findings = Findings { log: platform, problems };
                findings.fail(format_args!("cannot tell which files this guest has: {error}"));
                return FilesOutcome { written: false, undisturbed: true };
            }
        },
        Permanence::As(manager) => manager,
    };
    platform.log(Level::Debug, format_args!("network files: {}", manager.name));
    // An address that the kernel refuses today is in the files all the same.
    let mut placed = places(network, found, |found| (found.chosen || found.device.is_some()) && !found.is_master);
    // Of one whose addresses cannot be read files that have some are better than ours would be.
    let len = placed.len();
    placed.retain(|placed| !(placed.interface.is_unread && placed.interface.addresses.is_empty()));
    let sound = network.sound && placed.len() == len;
    let (placed, interfaces) = (&placed[..], &network.interfaces[..]);
    // The files of a part of something are not looked for.
    let tidy = !found.iter().any(|found| found.is_master);
    let config =
        crate::network::managers::PersistentConfig { manager, hostname, former_name, placed, interfaces, sound, tidy };
    let files = config.write(platform, problems, show);
    FilesOutcome { written: done & files.written, ..files }
}

/// `network: web01 eth0 10.0.0.5/24 via 10.0.0.1`
#[inline(never)]
fn describe(network: &Network, placed: &[Placed<'_>]) -> Line {
    let mut line = Line::of(format_args!("network:"));
    if let Some(name) = &network.hostname {
        let _ = write!(line, " {name}");
    }
    if network.interfaces.is_empty() {
        let _ = line.write_str(" xenstore holds no interfaces");
    }
    for Placed { interface, device } in placed {
        let _ = match device {
            Some(device) => write!(line, " {device}"),
            None => write!(line, " {}", interface.mac),
        };
        for address in &interface.addresses {
            let _ = write!(line, " {address}");
        }
        for via in Family::BOTH.into_iter().filter_map(|family| interface.gateway(family)) {
            let _ = write!(line, " via {via}");
        }
    }
    line
}

#[cfg(test)]
#[path = "reset_tests.rs"]
mod tests;
