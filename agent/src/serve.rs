//! `nanova agent`: poll(2) around the core's engine, which says what to do next.

use nanova_core::cli::{AgentOptions, Common, LogTarget, exit};
use nanova_core::engine::{Action, Engine, Options};
#[cfg(feature = "hotplug")]
use nanova_core::hotplug::Newcomers;
use nanova_core::network::DhcpMode;
use nanova_core::platform::{Level, Log};
use nanova_core::wire::text::Bounded;
use nanova_core::xenstore::{Client, Error, Lost};
use rustix::fd::OwnedFd;
use rustix::fs::Mode;
use rustix::process::Signal;

use crate::background;
use crate::dhcp::Dhcp;
use crate::errno::errno;
#[cfg(feature = "hotplug")]
use crate::hotplug;
use crate::locate::{Candidates, Waited};
#[cfg(feature = "lockdown")]
use crate::lockdown;
#[cfg(feature = "report")]
use crate::netlink::{address_events, drain};
use crate::notify::Notifier;
use crate::output::complain;
use crate::record::{self, Done};
use crate::rt::Environment;
use crate::rt::place::Place;
use crate::rt::signals::Signals;
use crate::sole::{self, Taken};
use crate::supervise::{OrdinaryProcess, Supervisor};
use crate::system::{Opened, System};
#[cfg(feature = "update")]
use crate::takeover::{is_update, settle_in, take_over};
use crate::wait::{running_ms, sleep, timespec, uptime_ms};
use crate::xenbus::{Wake, Xenbus};

/// For how long the first report may wait for the first addresses: a server that answers at all mostly has by then.
const REPORT_HELD_MS: u64 = 1_000;

/// Runs the agent; returns the exit code.
// In a frame of its own: inlined, its buffers would be pages of main's stack whatever the program was called to do.
#[inline(never)]
pub(crate) fn run(environment: &Environment, common: &Common<'_>, options: &AgentOptions<'_>) -> i32 {
    let candidates = Candidates::new(environment, common);
    if candidates.hopeless() {
        return not_a_guest(common);
    }
    #[cfg(not(feature = "update"))]
    let is_update = |_: &Environment| false;
    if options.background && !is_update(environment) {
        // Said here, as nobody hears the process in the background. That takes the tasks for itself: a lock is one
        // process's.
        if sole::take(common, options).is_err() {
            return exit::FAILED;
        }
        match background::detach(common.log == LogTarget::Stderr) {
            Ok(true) => {}
            Ok(false) => return exit::DONE,
            Err(error) => {
                complain(format_args!("cannot go to the background: {}; use --nofork", errno(error)));
                return exit::FAILED;
            }
        }
    }
    let (opened, signals) = match open(common) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let mut system = System::of(opened);
    system.log(Level::Info, format_args!("nanova {} starting", env!("CARGO_PKG_VERSION")));
    match sole::take(common, options) {
        Ok(None) => {}
        Ok(Some(errno)) => {
            system.log(Level::Warn, format_args!("cannot tell whether another nanova runs: {errno}"));
        }
        Err(Taken) => return exit::FAILED,
    }
    // Only now: of two agents with one such file it is the first one's.
    if let Some(path) = options.pidfile
        && let Err(error) = background::write_pidfile(path)
    {
        complain(format_args!("cannot write {path}: {}", errno(error)));
        return exit::FAILED;
    }
    let code = serve_for_ever(&candidates, &mut system, &signals, &mut OrdinaryProcess, options, None);
    if let Some(path) = options.pidfile {
        // One that is gone already is no matter.
        let _ = crate::paths::remove(path);
    }
    code
}

/// Log, root and signals of an ordinary process; or, when that was said on standard error, the exit code.
pub(crate) fn open<'a>(common: &Common<'a>) -> Result<(Opened<'a>, Signals), i32> {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    match (Opened::new(common), Signals::new(&[Signal::TERM, Signal::INT], &[Signal::HUP, Signal::CHILD])) {
        (Ok(opened), Ok(signals)) => return Ok((opened, signals)),
        (Err(error), _) => complain(format_args!("cannot open the root directory {}: {}", common.root, errno(error))),
        (_, Err(error)) => complain(format_args!("cannot wait for signals: {}", errno(error))),
    }
    Err(exit::FAILED)
}

/// Says that this is no Xen guest, unless that is not to be said; returns the exit code.
pub(crate) fn not_a_guest(common: &Common<'_>) -> i32 {
    if !common.quiet {
        complain(format_args!("not a Xen guest: neither xenstore nor Xen is here; nothing to do"));
    }
    exit::NOT_A_GUEST
}

/// Says that xenstore is there, but not for this user; returns the exit code.
pub(crate) fn denied(path: &str, error: rustix::io::Errno) -> i32 {
    complain(format_args!("cannot open {path}: {}; run nanova as root", errno(error)));
    exit::FAILED
}

/// Says that there is no memory for what every subcommand needs; returns the exit code.
pub(crate) fn out_of_memory() -> i32 {
    complain(format_args!("not enough memory"));
    exit::FAILED
}

/// Says that time is over, and what is there and does not answer; returns the exit code.
pub(crate) fn timed_out(there: Option<(&str, rustix::io::Errno)>) -> i32 {
    match there {
        Some((path, error)) => complain(format_args!("{path} does not answer: {}", errno(error))),
        None => complain(format_args!("no xenstore appeared; is this a Xen guest? See --xenbus, --wait")),
    }
    exit::FAILED
}

/// Does what the engine says until it is done, or the program is told to end; returns the exit code. Who asks DHCP
/// already is `dhcp`; without, that begins when what waits is served, if it is among the options.
pub(crate) fn serve_for_ever<'a>(
    candidates: &Candidates<'a>,
    system: &mut System<'_>,
    signals: &'a Signals,
    supervisor: &mut dyn Supervisor,
    options: &AgentOptions<'_>,
    dhcp: Option<Dhcp>,
) -> i32 {
    let environment = candidates.environment;
    let notifier = Notifier::of(environment);
    let wanted = Options {
        commands: options.commands,
        report: options.reports(),
        once: options.once,
        network: options.network,
        report_interval: options.metrics_interval,
        beat_ms: notifier.beat_ms(),
        patience_ms: supervisor.patience_ms(),
    };
    let (Ok(mut place), Ok(mut client_place)) = (Place::new(), Place::new()) else { return out_of_memory() };
    #[cfg(feature = "notes")]
    if (options.commands || options.hotplug) && !system.open_notes() {
        return out_of_memory();
    }
    #[cfg(feature = "recorder")]
    system.open_recorder();
    let mut engine = place.fill(Engine::new(wanted, uptime_ms()));
    #[cfg(not(feature = "update"))]
    let is_update = |_: &Environment| false;
    // An agent in the place of another has its words, and that one's network.
    if options.reset_network && !is_update(environment) {
        engine.reset_network_first();
    }
    let mut agent = Agent {
        engine: &mut engine,
        environment,
        signals,
        supervisor,
        notifier,
        links: None,
        devices: None,
        #[cfg(feature = "hotplug")]
        newcomers: Newcomers::default(),
        hotplug_due: options.hotplug && !options.once,
        dhcp_mode: if options.once { DhcpMode::Off } else { options.dhcp },
        dhcp,
    };
    loop {
        match agent.next(system).0 {
            Action::Done => break,
            Action::Connect => {
                let mut waiting = Waiting {
                    supervisor: agent.supervisor,
                    agent: (&mut *agent.engine, &agent.notifier),
                    dhcp: agent.dhcp.as_mut(),
                };
                let (xenbus, path) = match candidates.wait(system, signals, &mut waiting, options.wait) {
                    Waited::Connected(xenbus, path) => (xenbus, path),
                    Waited::Stopped => break,
                    Waited::TimedOut(there) => return timed_out(there),
                    Waited::Denied(path, error) => return denied(path, error),
                };
                #[cfg(feature = "lockdown")]
                if !lockdown::begin(system, candidates, options) {
                    return exit::FAILED;
                }
                let what = if options.commands { "serving data/host" } else { "reporting" };
                system.log(Level::Info, format_args!("{what} over {path}"));
                record::done(Done::Connected, path.as_bytes(), 0);
                agent.engine.handle_connected();
                if let Err(error) = agent.serve(&mut client_place.fill(Client::new(xenbus)), system) {
                    if error != Error::Lost(Lost::Stopped) {
                        system.log(Level::Error, format_args!("{error}; connecting again"));
                        // It may be another host's by then.
                        if let Some(dhcp) = &mut agent.dhcp {
                            dhcp.ask_again(system);
                        }
                    }
                    agent.engine.handle_lost(uptime_ms());
                }
            }
            Action::Wait { until, .. } => agent.sleep(system, until),
            other => agent.act(other, system),
        }
    }
    #[cfg(feature = "errands")]
    system.wait_for_programs(signals, running_ms() + agent.supervisor.patience_ms());
    system.log(Level::Info, format_args!("nanova ending"));
    exit::DONE
}

/// Who is looked after while xenstore is waited for.
struct Waiting<'s> {
    supervisor: &'s mut dyn Supervisor,
    agent: (&'s mut Engine, &'s Notifier),
    dhcp: Option<&'s mut Dhcp>,
}

impl Supervisor for Waiting<'_> {
    fn woke(&mut self, system: &mut System<'_>, signals: &Signals) {
        #[cfg(feature = "errands")]
        system.children.look(running_ms);
        if let Some(dhcp) = &mut self.dhcp {
            dhcp.go_on(system);
        }
        self.supervisor.woke(system, signals);
    }

    fn patience_ms(&self) -> u64 {
        self.supervisor.patience_ms()
    }

    fn wake_in_ms(&mut self) -> Option<u64> {
        let now = uptime_ms();
        let (engine, notifier) = &mut self.agent;
        if engine.take_beat(now) {
            notifier.beat();
        }
        let beat = engine.beat_at().map(|at| at.saturating_sub(now));
        let dhcp = self.dhcp.as_ref().and_then(|dhcp| dhcp.look_in_ms(now));
        [self.supervisor.wake_in_ms(), beat, dhcp].into_iter().flatten().min()
    }
}

/// The engine and what it is asked to act on.
struct Agent<'a, 's> {
    engine: &'s mut Engine,
    environment: &'a Environment,
    signals: &'a Signals,
    supervisor: &'s mut dyn Supervisor,
    notifier: Notifier,
    /// Readable when links or addresses have changed.
    links: Option<OwnedFd>,
    /// Readable when the kernel tells of devices.
    devices: Option<OwnedFd>,
    /// Devices that have come and were not ready.
    #[cfg(feature = "hotplug")]
    newcomers: Newcomers,
    /// Whether devices are yet to be listened for: that is done when what waited is served.
    hotplug_due: bool,
    /// When interfaces ask DHCP, and those that do.
    dhcp_mode: DhcpMode,
    dhcp: Option<Dhcp>,
}

impl Agent<'_, '_> {
    /// What to do next, and what time it is.
    fn next(&mut self, system: &mut System<'_>) -> (Action, u64) {
        // Signals that came while an answer was waited for.
        if self.signals.any_came() {
            self.look_around(system);
        }
        let now = uptime_ms();
        if self.signals.stop() {
            self.engine.handle_end(now);
        }
        #[cfg(feature = "selinux")]
        system.go_on_labelling();
        #[cfg(feature = "errands")]
        self.engine.handle_errands(system.children.news());
        let action = self.engine.poll(now);
        record::acts(&action);
        (action, now)
    }

    /// Looks at what a signal, or the time, may be about.
    fn look_around(&mut self, system: &mut System<'_>) {
        #[cfg(feature = "errands")]
        {
            system.children.look(running_ms);
            system.go_on_telling();
        }
        self.go_on_asking(system);
        #[cfg(feature = "hotplug")]
        if self.newcomers.next_at().is_some() {
            self.newcomers.handle_time(system, running_ms());
        }
        self.supervisor.woke(system, self.signals);
    }

    /// Goes on with DHCP. With an address for each, the report has nothing more to wait for.
    fn go_on_asking(&mut self, system: &mut System<'_>) {
        if let Some(dhcp) = &mut self.dhcp {
            dhcp.go_on(system);
            if !dhcp.lacks_an_address() {
                self.engine.hold_report(0);
            }
        }
    }

    /// Serves a connection until it fails, or there is nothing more to do.
    fn serve(&mut self, client: &mut Client<Xenbus<'_>>, system: &mut System<'_>) -> Result<(), Error> {
        let mut dhcp_due = self.dhcp.is_none() && self.dhcp_mode != DhcpMode::Off;
        // What waits is served first, and the report after that.
        if dhcp_due || self.dhcp.as_ref().is_some_and(Dhcp::lacks_an_address) {
            self.engine.hold_report(uptime_ms() + REPORT_HELD_MS);
        }
        loop {
            let (action, now) = self.next(system);
            match action {
                Action::Serve => {
                    self.engine.serve(client, system, now)?;
                    // A server does not wait until all is served.
                    if self.dhcp.as_ref().is_some_and(Dhcp::listens) {
                        self.go_on_asking(system);
                    }
                }
                Action::Wait { .. } if core::mem::take(&mut dhcp_due) => {
                    self.dhcp = Dhcp::read_and_begin(self.dhcp_mode, client, system)?;
                    if !self.dhcp.as_ref().is_some_and(Dhcp::lacks_an_address) {
                        self.engine.hold_report(0);
                    }
                }
                Action::Wait { until, links } => self.wait(client, system, (now, until), links)?,
                Action::Done | Action::Connect => return Ok(()),
                other => self.act(other, system),
            }
        }
    }

    /// Does what needs no connection.
    fn act(&mut self, action: Action, system: &mut System<'_>) {
        match action {
            #[cfg(feature = "update")]
            Action::SettleIn => settle_in(self.environment, system),
            #[cfg(feature = "update")]
            Action::TakeOver => take_over(self.environment, system),
            Action::Beat => self.notifier.beat(),
            Action::TellReady => {
                self.notifier.ready(Bounded::<160>::of(format_args!("{}", self.engine.state())).as_str());
                #[cfg(feature = "hotplug")]
                if core::mem::take(&mut self.hotplug_due) {
                    self.devices = hotplug::begin(system);
                }
            }
            #[cfg(feature = "report")]
            Action::ListenForLinks => match address_events() {
                Ok(events) => self.links = Some(events),
                Err(error) => {
                    system.log(Level::Warn, format_args!("cannot hear of addresses: {error}; published once"));
                }
            },
            // What is about the connection is done where that is.
            _ => {}
        }
    }

    /// Waits from this moment on until something happens on the connection or beside it; at the latest until that one.
    fn wait(
        &mut self,
        client: &mut Client<Xenbus<'_>>,
        system: &mut System<'_>,
        (now, until): (u64, Option<u64>),
        links: bool,
    ) -> Result<(), Error> {
        let timeout = self.left(system, now, until).map(timespec);
        let links = self.links.as_ref().filter(|_| links);
        #[cfg(feature = "errands")]
        let pipe = system.children.pipe.as_ref();
        #[cfg(not(feature = "errands"))]
        let pipe = None;
        let [changes, packets] = self.dhcp.as_ref().map_or([None; 2], |dhcp| dhcp.descriptors());
        let others = [links, self.devices.as_ref(), pipe, changes, packets];
        match client.transport().wait(others, timeout.as_ref()) {
            Ok(Some(Wake::Readable)) => self.engine.handle_readable(client)?,
            Ok(Some(Wake::Other)) => {
                #[cfg(feature = "report")]
                if let Some(events) = &self.links
                    && drain(events)
                {
                    self.engine.handle_links_changed();
                }
                #[cfg(feature = "hotplug")]
                if let Some(events) = &self.devices {
                    hotplug::read(events, &mut self.newcomers, system);
                }
                self.look_around(system);
            }
            Ok(_) => self.look_around(system),
            Err(error) => return Err(Error::Lost(Lost::Errno(errno(error).0))),
        }
        Ok(())
    }

    /// The same without a connection.
    fn sleep(&mut self, system: &mut System<'_>, until: Option<u64>) {
        let left = self.left(system, uptime_ms(), until);
        // Packets wake nobody here.
        let looks = self.dhcp.as_ref().and_then(|dhcp| dhcp.look_in_ms(uptime_ms()));
        sleep(self.signals, None, [left, looks].into_iter().flatten().min());
        self.look_around(system);
    }

    /// In how many milliseconds to go on at the latest: at this moment, when an errand is late, or when the supervisor
    /// wants to.
    fn left(&mut self, system: &System<'_>, now: u64, until: Option<u64>) -> Option<u64> {
        #[cfg(feature = "errands")]
        let late_at = system.children.until();
        #[cfg(not(feature = "errands"))]
        let late_at: Option<u64> = None;
        #[cfg(feature = "hotplug")]
        let late_at = [late_at, self.newcomers.next_at()].into_iter().flatten().min();
        let left = until.map(|until| until.saturating_sub(now));
        let late = late_at.map(|at| at.saturating_sub(running_ms()));
        let dhcp = self.dhcp.as_ref().and_then(|dhcp| dhcp.wake_in_ms(now));
        [left, late, dhcp, self.supervisor.wake_in_ms()].into_iter().flatten().min()
    }
}
