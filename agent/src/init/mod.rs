//! `nanova init`: the first process of an initramfs, or of an image that holds nothing else.
//!
//! It mounts what a system needs, loads the image's modules, applies the network and serves the host; with
//! `nanova.exec=` it looks after one program, with `nanova.root=` it hands over to the real root, with neither it stays
//! as the only process. It reaps orphans, passes signals on, and ends the system when it is told to: by SIGUSR2 (power
//! off), SIGTERM or SIGINT (reboot), SIGUSR1 (halt), as busybox's init is; `poweroff`, `reboot` and `halt` send these.
//!
//! What does not work is logged, and the rest is done all the same: a first process has nobody to give up to.

#[cfg(feature = "handover")]
mod device_names;
mod end;
mod modules;
mod mounts;
mod program;
mod root;

use nanova_core::boot::Boot;
use nanova_core::cli::{AgentOptions, Common, EndKind, LogTarget, exit};
#[cfg(feature = "network")]
use nanova_core::network::Network;
#[cfg(feature = "network")]
use nanova_core::network::reset::{Permanence, Wanted};
use nanova_core::network::{DhcpMode, Target};
use nanova_core::platform::{Level, Log};
use nanova_core::wire::errno::Errno;
use nanova_core::xenstore::Client;
use rustix::fs::Mode;
use rustix::process::{Pid, Signal};
use rustix::system::RebootCommand;

pub(crate) use end::end;

use crate::dhcp::Dhcp;
#[cfg(feature = "handover")]
use crate::locate::Attempt;
use crate::locate::{Candidates, Waited};
#[cfg(feature = "network")]
use crate::network;
use crate::output::complain;
use crate::rt::Environment;
#[cfg(feature = "network")]
use crate::rt::place::{Filled, Place};
use crate::rt::signals::Signals;
use crate::serve::serve_for_ever;
use crate::supervise::Supervisor;
use crate::system::{Opened, System};
use crate::wait::running_ms;
use crate::xenbus::Xenbus;
use program::FirstProcess;

/// How long the start of the program, or of the real root, waits for xenstore.
const XENSTORE_SECONDS: u32 = 10;
/// How long the interfaces that xenstore speaks of may take to appear.
const INTERFACES_MS: u64 = 5_000;
/// Room for a command line: twice what x86 kernels take.
const COMMAND_LINE_MAX: usize = 4096;

/// Ends the system for want of something that nothing goes without.
fn hopeless(what: &str) -> ! {
    complain(format_args!("there is no {what}; ending"));
    end::finish(EndKind::Reboot)
}

/// Runs the system. Returns only if this is not the first process.
// In a frame of its own: inlined, its buffers would be pages of main's stack whatever the program was called to do.
#[inline(never)]
pub(crate) fn run(environment: &Environment) -> i32 {
    if rustix::process::getpid() != Pid::INIT {
        complain(format_args!("init is for the first process; start 'nanova agent' instead"));
        return exit::FAILED;
    }
    // In a container there is no such key.
    let _ = rustix::system::reboot(RebootCommand::CadOff);
    rustix::process::umask(Mode::from_raw_mode(0o022));
    #[cfg(feature = "recorder")]
    crate::record::begin();
    let mounted = mounts::mount_all();
    mounts::open_console();
    mounts::lift_log_limit();
    // Not in places: the program that is named there is run by a child.
    let (mut image, mut kernel) = ([0; COMMAND_LINE_MAX], [0; COMMAND_LINE_MAX]);
    let mut boot = Boot::default();
    let wrong_in_image = boot.read(mounts::read("/etc/nanova/cmdline", &mut image));
    let wrong = boot.read(mounts::read("/proc/cmdline", &mut kernel)).or(wrong_in_image);
    run_by(&boot, environment, mounted, wrong)
}

/// The same by these options; `wrong` is one that makes no sense.
// In a frame of its own: with the command lines in it, it would be too large.
#[inline(never)]
fn run_by(
    boot: &Boot<'_>,
    environment: &Environment,
    mounted: Result<(), (&'static str, Errno)>,
    wrong: Option<&str>,
) -> i32 {
    let common = Common { level: boot.level, log: LogTarget::Kmsg, ..Common::default() };
    let ending = [Signal::TERM, Signal::INT, Signal::USR1, Signal::USR2, Signal::POWER];
    let others = [Signal::CHILD, Signal::HUP, Signal::CONT, Signal::WINCH, Signal::ALARM];
    let Ok(opened) = Opened::new(&common) else { hopeless("root directory") };
    let mut system = System::of(opened);
    let Ok(signals) = Signals::new(&ending, &others) else { hopeless("descriptor for signals") };
    system.log.show_on_console(mounts::console_loglevel());
    system.log(Level::Info, format_args!("nanova {} is the first process", env!("CARGO_PKG_VERSION")));
    if let Err((what, errno)) = mounted {
        system.log(Level::Error, format_args!("cannot mount {what}: {errno}"));
    }
    if let Some(wrong) = wrong {
        system.log(Level::Warn, format_args!("the boot option '{wrong}' makes no sense; passed over"));
    }
    modules::load(&mut system);

    #[cfg(feature = "network")]
    if boot.network != Target::Off {
        network::bring_loopback_up(&mut system);
    }
    let candidates = Candidates::new(environment, &common);
    let mut first = FirstProcess::new(environment, boot);
    let usual = if boot.root.is_some() { DhcpMode::Off } else { DhcpMode::Auto };
    let mode = if boot.network == Target::Off { DhcpMode::Off } else { boot.dhcp.unwrap_or(usual) };
    let (there, dhcp) = first_contact(&candidates, &mut system, &signals, &mut first, boot, mode);
    if let (Some(device), false) = (boot.root, signals.stop())
        && let Some(init) = root::find(device, boot, &mut system, &signals)
    {
        #[cfg(feature = "handover")]
        if there {
            hand_network_over(&candidates, &mut system, &signals, boot);
        }
        root::hand_over(init, device, environment, &mut system, &signals);
    }
    if !signals.stop() {
        first.start(&mut system);
    }
    let options = AgentOptions { dhcp: mode, ..AgentOptions::default() };
    serve_for_ever(&candidates, &mut system, &signals, &mut first, &options, dhcp);
    // Whichever signal ended it may not have been looked at yet.
    first.woke(&mut system, &signals);
    end::end_system(&mut system, &signals, first.end())
}

/// Waits for xenstore, not for ever, and applies the network that it holds, so that what is started next finds it; of
/// what that says nothing, DHCP is asked, unless a real root is to come first. Returns whether xenstore is there, and
/// who asks.
#[inline(never)]
fn first_contact<'a>(
    candidates: &Candidates<'a>,
    system: &mut System<'_>,
    signals: &'a Signals,
    first: &mut FirstProcess<'_>,
    boot: &Boot<'_>,
    mode: DhcpMode,
) -> (bool, Option<Dhcp>) {
    if candidates.hopeless() {
        system.log(Level::Warn, format_args!("this is no Xen guest, or its kernel has no xenbus"));
        return (false, None);
    }
    if boot.network == Target::Off {
        return (false, None);
    }
    match candidates.wait(system, signals, first, Some(XENSTORE_SECONDS)) {
        Waited::Connected(xenbus, path) => {
            system.log(Level::Debug, format_args!("xenstore is there: {path}"));
            #[cfg(feature = "network")]
            if boot.root.is_none() || boot.network != Target::Files {
                let deadline = running_ms() + INTERFACES_MS;
                let wanted = Wanted::of(Target::Kernel, Permanence::Nothing);
                let network = apply_network(xenbus, system, &wanted, Level::Info, &mut |system, network| {
                    network::wait_for_links(system, &network.interfaces, signals, deadline);
                });
                let asks = boot.root.is_none() && mode != DhcpMode::Off;
                return (true, network.filter(|_| asks).and_then(|network| Dhcp::begin(mode, network, system)));
            }
            return (true, None);
        }
        Waited::Stopped => {}
        // (Nothing is denied the first process.)
        Waited::TimedOut(_) | Waited::Denied(..) => system.log(
            Level::Warn,
            format_args!(
                "no xenstore after {} s; going on without, and waiting for it meanwhile",
                u64::from(XENSTORE_SECONDS)
            ),
        ),
    }
    (false, None)
}

/// Gives the interfaces the names that the real root's udev would give them, and leaves files below /run, from which
/// its network manager takes them over as they are.
#[cfg(feature = "handover")]
#[inline(never)]
fn hand_network_over(candidates: &Candidates<'_>, system: &mut System<'_>, signals: &Signals, boot: &Boot<'_>) {
    use nanova_core::network::Handover::{Ifupdown, Keyfile, Klibc, Networkd};
    let mut wanted = Wanted::of(boot.network, Permanence::Nothing);
    if boot.network != Target::Kernel {
        wanted.handover = &[Klibc, Networkd, Keyfile, Ifupdown];
    }
    if let Attempt::Yes(fd, kind, _) = candidates.connect() {
        let xenbus = Xenbus::new(fd, kind, Some(signals));
        apply_network(xenbus, system, &wanted, Level::Debug, &mut |system, network| {
            device_names::settle(system, &network.interfaces, signals);
        });
    }
}

/// Applies the network that xenstore holds, and says at this level what there is then. Returns it, if it could be read.
#[cfg(feature = "network")]
#[inline(never)]
fn apply_network(
    mut xenbus: Xenbus<'_>,
    system: &mut System<'_>,
    wanted: &Wanted<'_>,
    level: Level,
    before: &mut dyn FnMut(&mut System<'_>, &Network),
) -> Option<Filled<'static, Network>> {
    xenbus.answer_until(running_ms() + u64::from(XENSTORE_SECONDS) * 1000);
    let Ok(mut place) = Place::new() else {
        system.log(Level::Error, format_args!("not enough memory for the network"));
        return None;
    };
    let (outcome, network) = network::apply(&mut place.fill(Client::new(xenbus)), system, wanted, before, None);
    if !outcome.complete {
        system.log(Level::Warn, format_args!("network: {}", outcome.problems.as_str()));
    }
    if outcome.well {
        system.log(level, format_args!("{}", outcome.line.as_str()));
    }
    network
}
