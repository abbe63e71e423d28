//! `nanova agent`: connect, serve, wait; and again when the connection is lost.

use nanova_core::cli::{AgentOptions, Common, LogTarget, exit};
use nanova_core::engine::requests::{Progress, Service, State};
use nanova_core::platform::{Level, Log};
use nanova_core::wire::text::Bounded;
use nanova_core::xenstore::{Client, Error, Lost};
use rustix::fs::Mode;
use rustix::process::Signal;

use crate::background;
use crate::errno::errno;
use crate::locate::{Candidates, Waited};
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::output::complain;
use crate::rt::Environment;
use crate::rt::signals::Signals;
use crate::sole::{Sole, Taken};
use crate::supervise::{Plain, Supervisor};
use crate::system::System;
use crate::takeover::{is_update, settle_in, take_over};
use crate::wait::{sleep, timespec};
use crate::xenbus::{Wake, Xenbus};

/// Why serving on a connection ended.
enum Ended {
    /// The program was told to end, or everything that was pending is served and that was all that was asked for.
    Done,
    /// The connection failed.
    Failed(Error),
}

/// How long to wait before connecting again when a connection served nothing, at first and at the most.
const PAUSE_MIN_MS: u64 = 100;
const PAUSE_MAX_MS: u64 = 10_000;

/// Runs the agent; returns the exit code.
// In a frame of its own: inlined, its buffers would be pages of main's stack whatever the program was called to do.
#[inline(never)]
pub(crate) fn run(environment: &Environment, common: &Common<'_>, options: &AgentOptions<'_>) -> i32 {
    let candidates = Candidates::new(environment, common);
    if candidates.hopeless() {
        complain(format_args!("not a Xen guest: neither xenstore nor Xen is here; nothing to do"));
        return exit::NOT_A_GUEST;
    }
    if options.background && !is_update(environment) {
        // Said here, as nobody hears the process in the background. That takes the tasks for itself: a lock is one process's.
        if Sole::take(common, options).is_err() {
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
    if let Some(path) = options.pidfile
        && let Err(error) = background::write_pidfile(path)
    {
        complain(format_args!("cannot write {path}: {}", errno(error)));
        return exit::FAILED;
    }
    let code = match open(common) {
        Ok((mut system, signals)) => {
            system.log(Level::Info, format_args!("nanova {} starting", env!("CARGO_PKG_VERSION")));
            match Sole::take(common, options) {
                Ok(sole) => {
                    if let Some(errno) = sole.unknown {
                        let text = format_args!("cannot tell whether another nanova runs: no lock in /run: {errno}");
                        system.log(Level::Warn, text);
                    }
                    serve_for_ever(&candidates, &mut system, &signals, &mut Plain, options)
                }
                Err(Taken) => exit::FAILED,
            }
        }
        Err(code) => code,
    };
    if let Some(path) = options.pidfile {
        let _ = crate::paths::remove(path);
    }
    code
}

/// Log, root and signals of an ordinary process; or, when that was said on standard error, the exit code.
pub(crate) fn open<'a>(common: &Common<'a>) -> Result<(System<'a>, Signals), i32> {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    match (System::open(common), Signals::new(&[Signal::TERM, Signal::INT], &[Signal::HUP])) {
        (Ok(system), Ok(signals)) => return Ok((system, signals)),
        (Err(error), _) => complain(format_args!("cannot open the root directory {}: {}", common.root, errno(error))),
        (_, Err(error)) => complain(format_args!("cannot wait for signals: {}", errno(error))),
    }
    Err(exit::FAILED)
}

/// Says that xenstore is there, but not for this user; returns the exit code.
pub(crate) fn denied(path: &str, error: rustix::io::Errno) -> i32 {
    complain(format_args!("cannot open {path}: {}; run nanova as root", errno(error)));
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

/// Connects, serves, and connects again, until the program is told to end or `options` are fulfilled; returns the exit code.
pub(crate) fn serve_for_ever<'a>(
    candidates: &Candidates<'a>,
    system: &mut System<'_>,
    signals: &'a Signals,
    supervisor: &mut dyn Supervisor,
    options: &AgentOptions<'_>,
) -> i32 {
    let mut service = Service::new(options.network);
    let mut metrics = Metrics::new(options);
    let mut notifier = Notifier::of(candidates.environment);
    let mut pause = PAUSE_MIN_MS;
    while !signals.stop() {
        let mut waiting = Waiting { supervisor, notifier: &mut notifier };
        let (xenbus, path) = match candidates.wait(system, signals, &mut waiting, options.wait) {
            Waited::Connected(xenbus, path) => (xenbus, path),
            Waited::Stopped => break,
            Waited::TimedOut(there) => return timed_out(there),
            Waited::Denied(path, error) => return denied(path, error),
        };
        let what = if options.commands { "serving data/host" } else { "reporting" };
        system.log(Level::Info, format_args!("{what} over {path}"));
        let mut serving = Serving {
            service: &mut service,
            metrics: &mut metrics,
            notifier: &mut notifier,
            signals,
            supervisor,
            options,
            served: false,
            environment: candidates.environment,
        };
        let result = serving.serve(xenbus, system);
        let served = serving.served;
        match result.map_or_else(Ended::Failed, |()| Ended::Done) {
            Ended::Done => break,
            Ended::Failed(Error::Lost(Lost::Stopped)) => break,
            Ended::Failed(error) => system.log(Level::Error, format_args!("{error}; connecting again")),
        }
        pause = if served { PAUSE_MIN_MS } else { (pause * 2).min(PAUSE_MAX_MS) };
        let timeout = [Some(pause), supervisor.wake_in_ms()].into_iter().flatten().min();
        sleep(signals, None, timeout);
        supervisor.woke(system, signals);
    }
    system.log(Level::Info, format_args!("nanova ending"));
    exit::DONE
}

/// Who is looked after while xenstore is waited for.
struct Waiting<'s> {
    supervisor: &'s mut dyn Supervisor,
    notifier: &'s mut Notifier,
}

impl Supervisor for Waiting<'_> {
    fn woke(&mut self, system: &mut System<'_>, signals: &Signals) {
        self.supervisor.woke(system, signals);
    }

    fn wake_in_ms(&mut self) -> Option<u64> {
        self.supervisor.wake_in_ms().into_iter().chain(self.notifier.beat()).min()
    }
}

/// What serves on a connection.
struct Serving<'s> {
    service: &'s mut Service,
    metrics: &'s mut Metrics,
    notifier: &'s mut Notifier,
    signals: &'s Signals,
    supervisor: &'s mut dyn Supervisor,
    options: &'s AgentOptions<'s>,
    /// Whether the connection was of any use.
    served: bool,
    environment: &'s Environment,
}

impl Serving<'_> {
    /// Serves until the connection fails or there is nothing more to do.
    fn serve(&mut self, xenbus: Xenbus<'_>, system: &mut System<'_>) -> Result<(), Error> {
        let client = &mut Client::new(xenbus);
        let mut told = State::Starting;
        if self.options.commands {
            self.service.start(client, system)?;
            Service::tell(client, &told)?;
        }
        // Before the first request: that may take longer than a new agent has.
        settle_in(self.environment, system);
        let mut started = false;
        while !self.signals.stop() {
            // However many requests wait, a sign of life is due between them.
            self.notifier.beat();
            let room_in = match self.options.commands.then(|| self.service.serve_one(client, system)).transpose()? {
                Some(Progress::Served) if self.service.is_updated() => {
                    self.service.forget_update();
                    take_over(self.environment, system);
                    continue;
                }
                Some(Progress::Served) => continue,
                Some(Progress::Waiting(seconds)) => Some(seconds * 1000),
                Some(Progress::Idle) | None => None,
            };
            self.served = true;
            if room_in.is_none() && self.service.take_events(client)? {
                continue;
            }
            // Requests that wait come first.
            if !core::mem::replace(&mut started, true) {
                self.metrics.start(client)?;
            }
            if self.service.news.life {
                told = State::Starting;
            }
            if self.metrics.run(self.service, client, system)? {
                continue;
            }
            if told != *self.service.state() {
                told.clone_from(self.service.state());
                if self.options.commands {
                    Service::tell(client, &told)?;
                }
                self.notifier.ready(Bounded::<160>::of(format_args!("{told}")).as_str());
                continue;
            }
            if room_in.is_none() && self.options.once {
                return Ok(());
            }
            self.wait(client, system, room_in)?;
        }
        Ok(())
    }

    /// Waits until something happens, or is due; at the latest in so many milliseconds.
    fn wait(
        &mut self,
        client: &mut Client<Xenbus<'_>>,
        system: &mut System<'_>,
        room_in: Option<u64>,
    ) -> Result<(), Error> {
        // Signals that came while an answer was waited for.
        if self.signals.any_came() {
            self.supervisor.woke(system, self.signals);
            return Ok(());
        }
        let (events, due) = self.metrics.waits_for();
        let timeout = [room_in, due, self.supervisor.wake_in_ms(), self.notifier.beat()]
            .into_iter()
            .flatten()
            .min()
            .map(timespec);
        match client.transport().wait(events, timeout.as_ref()) {
            Ok(Some(Wake::Readable)) => client.receive_events()?,
            Ok(Some(Wake::Other)) => self.metrics.links_changed(),
            Ok(_) => self.supervisor.woke(system, self.signals),
            Err(error) => return Err(Error::Lost(Lost::Errno(errno(error).0))),
        }
        Ok(())
    }
}
