//! What the agent does next, and when: the order of requests, publications, readiness and signs of life, and how it
//! comes back to a connection that was lost. No system call, no clock: time is an argument, in milliseconds since any
//! fixed moment, and never goes back.
//!
//! * A: [`Engine::state`] tells what the guest is.
//! * B: what happened goes in by `handle_*`: a connection, its loss, bytes on it, news of links, a signal to end.
//! * C: [`Engine::poll`] says what to do next. When it says [`Action::Serve`], [`Engine::serve`] does one piece of work
//!   on the connection, which may be a command and take as long as that takes.
//!
//! The order to call: `poll`; do what it says; whatever happened meanwhile by `handle_*`; and again, until
//! [`Action::Done`].
//!
//! Guarantees: what takes long is an errand, for which nothing waits but its own answer; requests come first, the
//! report only when none waits; a response that waits for room holds up no report; the service manager hears of the
//! guest when all that waited is served, and gets its signs of life between two requests, however many there are; a
//! connection that was of no use is not made again at once.

#[cfg(feature = "xapi")]
use crate::commands::static_ip;
use crate::engine::progress::{EventMeaning, Progress, State};
use crate::engine::requests::Requests;
use crate::network::Target;
use crate::platform::{ErrandNews, Platform};
use crate::report::publisher::{LIFE_TOKEN, Report};
use crate::xenstore::{Client, Error, Event, Transport};

/// How long to wait before connecting again when a connection was of no use, at first and at the most.
pub const PAUSE_MIN_MS: u64 = 100;
/// See [`PAUSE_MIN_MS`].
pub const PAUSE_MAX_MS: u64 = 10_000;

/// What an engine is for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether the host's requests are served.
    pub commands: bool,
    /// Whether a report is published.
    pub report: bool,
    /// Whether it ends when nothing waits any more.
    pub once: bool,
    /// What `resetnetwork` changes.
    pub network: Target,
    /// How many seconds are between looks at memory and volumes; 0 for never.
    pub report_interval: u32,
    /// How many milliseconds are between signs of life; 0 for none.
    pub beat_ms: u64,
    /// For how many milliseconds a command may still be under way when the program is to end.
    pub patience_ms: u64,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Action {
    /// Connect to xenstored, however long that takes, then [`Engine::handle_connected`].
    Connect,
    /// Call [`Engine::serve`].
    Serve,
    /// This agent serves, which one that is an update has to show: now it takes the old one's place.
    SettleIn,
    /// Open what tells of links and addresses, so that nothing is missed that changes after they were looked at.
    ListenForLinks,
    /// Tell the service manager that the guest is ready, and [`Engine::state`].
    TellReady,
    /// Give the service manager a sign of life.
    Beat,
    /// Wait for bytes on the connection, for signals, and, if `links`, for news of links; at the latest until this
    /// moment.
    Wait {
        /// When to look again though nothing has happened.
        until: Option<u64>,
        /// Whether news of links are to end the waiting.
        links: bool,
    },
    /// Execute the new agent. Where that cannot be, go on.
    TakeOver,
    /// That was all.
    Done,
}

/// Where the connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is none; not to be made before this moment.
    Apart(u64),
    /// It was just made.
    Fresh,
    /// It is served.
    Serving,
}

/// What events told that is not about requests.
#[derive(Clone, Copy)]
struct News {
    /// The guest may have woken up elsewhere.
    life: bool,
    /// XAPI has set addresses.
    #[cfg(feature = "xapi")]
    addresses: bool,
}

impl News {
    const NONE: News = News {
        life: false,
        #[cfg(feature = "xapi")]
        addresses: false,
    };

    fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Fired { token: LIFE_TOKEN, .. } => self.life = true,
            #[cfg(feature = "xapi")]
            Event::Fired { token: static_ip::TOKEN, path } => self.addresses |= static_ip::is_news(path),
            Event::Fired { .. } => {}
            Event::Overflow => {
                self.life = true;
                #[cfg(feature = "xapi")]
                {
                    self.addresses = true;
                }
            }
        }
    }
}

/// The agent's mind.
///
/// # Invariants
/// `idle` says that the last [`Engine::serve`] on this connection found nothing to do, and nothing has happened since.
pub struct Engine {
    options: Options,
    requests: Requests,
    report: Report,
    news: News,
    phase: Phase,
    /// Whether anything was served, or found not to be there, on this connection.
    useful: bool,
    pause: u64,
    idle: bool,
    /// When the response that waits for room in xenstore is to be tried again.
    room_at: Option<u64>,
    /// When there is an old response to be removed.
    tidy_at: Option<u64>,
    /// What is still to be said once on this connection.
    settle_due: bool,
    report_begun: bool,
    /// No report before this moment.
    report_held_until: u64,
    links_asked: bool,
    ready_due: bool,
    told: State,
    next_beat: u64,
    /// When a key is to be forgotten that was not used.
    forget_at: Option<u64>,
    /// The next request waits for an errand.
    held: bool,
    errands: ErrandNews,
    /// Until when a command that is under way may go on, once the program is to end.
    ending: Option<u64>,
    reset_due: bool,
}

impl Engine {
    /// An engine that has done nothing, at this moment.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub const fn new(options: Options, now: u64) -> Engine {
        let takes_addresses =
            cfg!(feature = "xapi") && options.report && options.commands && !matches!(options.network, Target::Off);
        Engine {
            options,
            requests: Requests::new(options.network),
            report: Report::new(options.report_interval, takes_addresses),
            news: News::NONE,
            phase: Phase::Apart(0),
            useful: false,
            pause: PAUSE_MIN_MS,
            idle: false,
            room_at: None,
            tidy_at: None,
            settle_due: false,
            report_begun: false,
            report_held_until: 0,
            links_asked: false,
            ready_due: false,
            told: State::Starting,
            next_beat: now + options.beat_ms,
            forget_at: None,
            held: false,
            errands: ErrandNews { ended: false, under_way: false, programs: false },
            ending: None,
            reset_due: false,
        }
    }

    /// The network is to be reset before the first request, though no host asks for it.
    pub fn reset_network_first(&mut self) {
        self.reset_due = true;
    }

    /// What the guest is, now that nothing waits.
    pub fn state(&self) -> &State {
        self.requests.state()
    }

    /// When the next sign of life is due.
    pub fn beat_at(&self) -> Option<u64> {
        (self.options.beat_ms > 0).then_some(self.next_beat)
    }

    /// Whether a sign of life is due. It is for whoever cannot call [`Engine::poll`] now, as [`Action::Connect`] takes
    /// time.
    pub fn take_beat(&mut self, now: u64) -> bool {
        let due = self.beat_at().is_some_and(|at| now >= at);
        if due {
            self.next_beat = now + self.options.beat_ms;
        }
        due
    }

    /// There is a connection to xenstored, on which nothing was said yet.
    pub fn handle_connected(&mut self) {
        self.phase = Phase::Fresh;
        (self.useful, self.idle, self.room_at, self.tidy_at) = (false, false, None, None);
    }

    /// The connection is lost.
    pub fn handle_lost(&mut self, now: u64) {
        self.pause = if self.useful { PAUSE_MIN_MS } else { (self.pause * 2).min(PAUSE_MAX_MS) };
        self.phase = Phase::Apart(now + self.pause);
    }

    /// There are bytes to be read.
    pub fn handle_readable<T: Transport>(&mut self, client: &mut Client<T>) -> Result<(), Error> {
        self.idle = false;
        client.receive_events()
    }

    /// Links or addresses have changed.
    pub fn handle_links_changed(&mut self) {
        self.report.link_changed();
    }

    /// No report until this moment, as something that does not last is going on that it would hold up: it is some
    /// thirty round trips. A moment that is over ends that.
    pub fn hold_report(&mut self, until: u64) {
        self.report_held_until = until;
    }

    /// In how many milliseconds there is something to report, if it is known.
    fn report_in(&self, now: u64) -> Option<u64> {
        let due = self.report.due_in(now).filter(|_| self.options.report)?;
        Some(due.max(self.report_held_until.saturating_sub(now)))
    }

    /// What has become of errands. To be told after each [`Engine::serve`], too, as that may begin some.
    pub fn handle_errands(&mut self, news: ErrandNews) {
        self.errands = news;
        if news.ended {
            (self.idle, self.held) = (false, false);
        }
    }

    /// The program is to end. A piece of work that was begun is finished; a command that is under way is given
    /// [`Options::patience_ms`], and answered.
    pub fn handle_end(&mut self, now: u64) {
        self.ending.get_or_insert(now + self.options.patience_ms);
    }

    /// What is to be done next.
    pub fn poll(&mut self, now: u64) -> Action {
        self.forget_at = self.requests.forget_unused(now);
        if let Some(until) = self.ending {
            return self.poll_end(until, now);
        }
        if self.take_beat(now) {
            return Action::Beat;
        }
        match self.phase {
            Phase::Apart(until) if now < until => return self.wait([Some(until), None, None, None], false),
            Phase::Apart(_) => return Action::Connect,
            Phase::Fresh => return Action::Serve,
            Phase::Serving => {}
        }
        // Before the first request: that may take longer than a new agent has.
        if core::mem::take(&mut self.settle_due) {
            return Action::SettleIn;
        }
        // It would not know what it is the parent of.
        if self.requests.update_is_ready() && !self.errands.under_way {
            self.requests.forget_update();
            return Action::TakeOver;
        }
        if core::mem::take(&mut self.ready_due) {
            return Action::TellReady;
        }
        let report_in = self.report_in(now);
        if report_in == Some(0) && !core::mem::replace(&mut self.links_asked, true) {
            return Action::ListenForLinks;
        }
        let give_up_at = self.requests.give_up_at();
        let moments = [self.room_at, self.tidy_at, give_up_at];
        if !self.idle || report_in == Some(0) || moments.into_iter().flatten().any(|at| now >= at) {
            return Action::Serve;
        }
        if self.options.once && self.room_at.is_none() && !self.errands.under_way {
            self.handle_end(now);
            return self.poll_end(now, now);
        }
        let is_timed = self.report.knows_time() || now < self.report_held_until;
        let report_at = report_in.filter(|_| is_timed).map(|left| now + left);
        self.wait(
            [self.room_at, self.tidy_at, give_up_at, report_at],
            self.options.report && !self.report.is_pausing(now),
        )
    }

    /// What is to be done before the end: what is under way, and that the host is told of it.
    fn poll_end(&self, until: u64, now: u64) -> Action {
        if self.phase != Phase::Serving || matches!(self.told, State::Stopped) {
            return Action::Done;
        }
        let waits = self.idle && now < until && self.requests.is_under_way();
        if waits { self.wait([Some(until), None, None, None], false) } else { Action::Serve }
    }

    fn wait(&self, moments: [Option<u64>; 4], links: bool) -> Action {
        let until = moments.into_iter().chain([self.beat_at(), self.forget_at]).flatten().min();
        Action::Wait { until, links }
    }

    /// Does one piece of work.
    #[inline(never)]
    pub fn serve<T: Transport, P: Platform>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
        now: u64,
    ) -> Result<(), Error> {
        self.idle = false;
        if self.phase != Phase::Serving {
            return self.begin(client, platform);
        }
        if let Some(until) = self.ending {
            self.requests.finish(client, platform, now >= until, now)?;
            self.idle = true;
            if self.requests.is_under_way() {
                return Ok(());
            }
            self.told = State::Stopped;
            return self.tell(client);
        }
        self.requests.give_up_silent(platform, now);
        (self.room_at, self.tidy_at, self.held) = (None, None, false);
        #[cfg(all(feature = "commands", feature = "network"))]
        if self.reset_due {
            self.requests.reset_network(client, platform)?;
            self.reset_due = false;
            return Ok(());
        }
        let requests_wait = loop {
            if self.options.commands {
                match self.requests.serve_one(client, platform, now)? {
                    Progress::Served => {
                        self.useful = true;
                        return Ok(());
                    }
                    Progress::Waiting(until) => self.room_at = Some(until),
                    Progress::Held => self.held = true,
                    Progress::Idle => {}
                }
            }
            self.useful = true;
            let requests_wait = self.room_at.is_some() || self.held;
            if !requests_wait && self.take_events(client)? {
                continue;
            }
            if !self.options.report || !self.report(client, platform, now)? {
                break requests_wait;
            }
            // Before the first report links have to be listened for, which [`Engine::poll`] asks for.
            if !self.links_asked {
                return Ok(());
            }
        };
        if !requests_wait && self.told != *self.requests.state() {
            self.told.clone_from(self.requests.state());
            self.tell(client)?;
            self.ready_due = true;
            return Ok(());
        }
        if self.options.commands && !requests_wait {
            match self.requests.tidy(client, now)? {
                Progress::Served => return Ok(()),
                Progress::Waiting(until) => self.tidy_at = Some(until),
                Progress::Held | Progress::Idle => {}
            }
        }
        self.idle = true;
        Ok(())
    }

    /// The first words on a connection.
    fn begin<T: Transport, P: Platform>(&mut self, client: &mut Client<T>, platform: &mut P) -> Result<(), Error> {
        self.told = State::Starting;
        if self.options.commands {
            self.requests.start(client, platform)?;
        }
        self.tell(client)?;
        (self.phase, self.settle_due, self.report_begun) = (Phase::Serving, true, false);
        Ok(())
    }

    /// Tells the host what the guest is, if it is one that serves.
    fn tell<T: Transport>(&self, client: &mut Client<T>) -> Result<(), Error> {
        if self.options.commands { Requests::tell(client, &self.told) } else { Ok(()) }
    }

    /// Takes note of the events that came. Returns whether there may be requests.
    fn take_events<T: Transport>(&mut self, client: &mut Client<T>) -> Result<bool, Error> {
        let mut any = false;
        while let Some(event) = client.next_event()? {
            self.news.take(&event);
            match self.requests.take_event(event) {
                EventMeaning::NoneOfOurs => {}
                EventMeaning::LookAgain => any = true,
                EventMeaning::Named => return Ok(true),
            }
        }
        if any {
            self.requests.look_again();
        }
        // Where no requests are served there is nothing to look for.
        Ok(any && self.options.commands)
    }

    /// What toolstacks see, and the addresses that XAPI sets. Returns whether there was anything to do.
    fn report<T: Transport, P: Platform>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
        now: u64,
    ) -> Result<bool, Error> {
        if !core::mem::replace(&mut self.report_begun, true) {
            self.begin_report(client)?;
        }
        if core::mem::take(&mut self.news.life) {
            self.told = State::Starting;
            self.report.begin_anew();
        }
        #[cfg(feature = "xapi")]
        if core::mem::take(&mut self.news.addresses) && self.report.takes_addresses() {
            if may_set_addresses(platform)
                && let Some(response) = self.requests.set_addresses(client, platform)?
            {
                crate::engine::dispatch::log_completed("static-ip-setting", &response, platform);
            }
            return Ok(true);
        }
        if self.report.take_volumes(client, platform)? {
            return Ok(true);
        }
        let due = self.report_in(now) == Some(0);
        // First they have to be listened for, which [`Engine::poll`] asks for.
        if due && self.links_asked {
            self.report.run(client, platform, may_set_addresses, now)?;
        }
        Ok(due)
    }

    fn begin_report<T: Transport>(&mut self, client: &mut Client<T>) -> Result<(), Error> {
        // A single report is no reason to watch anything.
        if self.options.once {
            self.report.begin_anew();
            return Ok(());
        }
        self.report.start(client)?;
        #[cfg(feature = "xapi")]
        if self.report.takes_addresses() {
            return static_ip::watch(client);
        }
        Ok(())
    }
}

/// Whether the host may have addresses set: it is `resetnetwork` under another name.
#[cfg(feature = "xapi")]
fn may_set_addresses<P: Platform>(platform: &mut P) -> bool {
    !crate::commands::disabled::is_disabled(platform, "resetnetwork")
}

/// Nobody sets any.
#[cfg(not(feature = "xapi"))]
fn may_set_addresses<P: Platform>(_platform: &mut P) -> bool {
    false
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
