//! What the service manager is told: that the guest is ready, what it is at, and that it is alive.
//!
//! Datagrams to the socket that `NOTIFY_SOCKET` names, as sd_notify(3) documents them; without it nothing is said, and
//! nothing wakes the agent.

use nanova_core::wire::text::{Bounded, Printable, number};

use crate::datagrams::Receiver;
use crate::rt::Environment;

/// The manager's socket.
pub(crate) struct Notifier {
    socket: Option<Receiver>,
    beat_ms: u64,
}

impl Notifier {
    pub(crate) fn of(environment: &Environment) -> Notifier {
        let socket = environment.variable("NOTIFY_SOCKET").and_then(Receiver::of);
        let number = |name| -> Option<u64> { number(core::str::from_utf8(environment.variable(name)?).ok()?) };
        let own = crate::pid::pid_number(rustix::process::getpid());
        let ours = socket.is_some() && number("WATCHDOG_PID").is_none_or(|pid| pid == own);
        let beat_ms = if ours { number("WATCHDOG_USEC").unwrap_or(0) / 2000 } else { 0 };
        Notifier { socket, beat_ms }
    }

    /// How often the manager wants a sign of life, in milliseconds: half of the time after which it loses patience; 0
    /// for never.
    pub(crate) fn beat_ms(&self) -> u64 {
        self.beat_ms
    }

    /// Says that the guest is ready, and what it is at.
    pub(crate) fn ready(&self, state: &str) {
        self.send(&Bounded::of(format_args!("READY=1\nSTATUS={}", Printable(state))));
    }

    /// Gives a sign of life.
    pub(crate) fn beat(&self) {
        self.send(&Bounded::of(format_args!("WATCHDOG=1")));
    }

    fn send(&self, text: &Bounded<256>) {
        if let Some(socket) = &self.socket {
            // A manager that does not read is no reason to wait.
            let _ = socket.send(text.as_str());
        }
    }
}
