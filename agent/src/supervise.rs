//! What happens when a signal comes, apart from the end: the same event loop serves a plain agent and a first process.

use nanova_core::platform::{Level, Log};

use crate::rt::signals::Signals;
use crate::system::System;

/// Looks after what is not xenstore.
pub(crate) trait Supervisor {
    /// Signals came, or the time of [`Supervisor::wake_in_ms`] is over.
    fn woke(&mut self, system: &mut System<'_>, signals: &Signals);

    /// After how many milliseconds it wants to be woken, if at all.
    fn wake_in_ms(&mut self) -> Option<u64>;

    /// How many milliseconds a program may still run when the agent is told to end.
    fn patience_ms(&self) -> u64;
}

/// A plain agent: SIGHUP has it open its log again.
pub(crate) struct OrdinaryProcess;

impl Supervisor for OrdinaryProcess {
    fn woke(&mut self, system: &mut System<'_>, signals: &Signals) {
        if signals.take_came().has(rustix::process::Signal::HUP) {
            system.log.reopen();
            system.log(Level::Info, format_args!("log reopened"));
        }
    }

    fn wake_in_ms(&mut self) -> Option<u64> {
        None
    }

    fn patience_ms(&self) -> u64 {
        10_000
    }
}
