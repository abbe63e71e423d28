//! What the toolstack sees of the guest, and the addresses that it sets: the core's report, and what tells it that
//! something has changed.

use nanova_core::cli::AgentOptions;
use nanova_core::commands::static_ip;
use nanova_core::engine::requests::Service;
use nanova_core::network::Target;
use nanova_core::platform::{Level, Log};
use nanova_core::report::publisher::Report;
use nanova_core::xenstore::{Client, Error};
use rustix::fd::OwnedFd;

use crate::netlink::{address_events, drain};
use crate::system::System;
use crate::wait::uptime_ms;
use crate::xenbus::Xenbus;

/// The report and the kernel's news for it.
pub(crate) struct Metrics {
    report: Report,
    /// Whether anything is to be published.
    wanted: bool,
    /// Whether that is all: nothing is waited for.
    once: bool,
    /// Whether XAPI may set addresses.
    takes_addresses: bool,
    /// Readable when addresses have changed; opened with the first report.
    events: Option<OwnedFd>,
}

impl Metrics {
    /// Whether these options ask for a report: not where only what is pending is served.
    pub(crate) fn are_wanted(options: &AgentOptions<'_>) -> bool {
        options.metrics && !(options.once && options.commands)
    }

    pub(crate) fn new(options: &AgentOptions<'_>) -> Metrics {
        let wanted = Metrics::are_wanted(options);
        let takes_addresses = wanted && options.commands && options.network != Target::Off;
        let report = Report::new(options.metrics_interval, takes_addresses);
        Metrics { report, wanted, once: options.once, takes_addresses, events: None }
    }

    /// Begins on a fresh connection.
    pub(crate) fn start(&mut self, client: &mut Client<Xenbus<'_>>) -> Result<(), Error> {
        if !self.wanted {
            return Ok(());
        }
        if self.once {
            self.report.begin_anew();
            return Ok(());
        }
        self.report.start(client)?;
        if self.takes_addresses { static_ip::watch(client) } else { Ok(()) }
    }

    /// Does what is due. Returns whether anything was.
    pub(crate) fn run(
        &mut self,
        service: &mut Service,
        client: &mut Client<Xenbus<'_>>,
        system: &mut System<'_>,
    ) -> Result<bool, Error> {
        let life = core::mem::take(&mut service.news.life);
        if !self.wanted {
            return Ok(false);
        }
        let report = &mut self.report;
        if life {
            report.begin_anew();
        }
        if service.news.addresses && self.takes_addresses {
            service.set_addresses(client, system)?;
            return Ok(true);
        }
        let now = uptime_ms();
        if report.due_in(now) != Some(0) {
            return Ok(false);
        }
        if self.events.is_none() {
            // Before the addresses are looked at, so that no change of them is missed.
            match address_events() {
                Ok(events) => self.events = Some(events),
                Err(error) => {
                    system.log(Level::Warn, format_args!("cannot hear of addresses: {error}; published once"));
                }
            }
        }
        report.run(client, system, Service::may_set_addresses, now)?;
        Ok(true)
    }

    /// What to wait for beside xenstore, and how long at the most.
    pub(crate) fn waits_for(&self) -> (Option<&OwnedFd>, Option<u64>) {
        let report = &self.report;
        if !self.wanted || !report.knows_time() {
            return (self.events.as_ref(), None);
        }
        let now = uptime_ms();
        (self.events.as_ref().filter(|_| !report.is_pausing(now)), report.due_in(now))
    }

    /// There are news of addresses.
    pub(crate) fn links_changed(&mut self) {
        if let Some(events) = &self.events {
            drain(events);
            self.report.link_changed();
        }
    }
}
