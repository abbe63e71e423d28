//! Waiting, and the clock that it goes by.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;

use crate::rt::clock::since_boot;
use crate::rt::signals::Signals;

/// Sleeps until there is something to read, a signal comes, or time is over.
pub(crate) fn sleep(signals: &Signals, from: Option<&OwnedFd>, timeout_ms: Option<u64>) {
    let timeout = timeout_ms.map(timespec);
    let mut fds = [PollFd::new(signals.fd(), PollFlags::IN), PollFd::new(from.unwrap_or(signals.fd()), PollFlags::IN)];
    // Whatever ends it, the caller looks at everything anew.
    let _ = poll(&mut fds, timeout.as_ref());
    signals.take();
}

/// The same for events that say no more than that something has happened: they are gone then.
pub(crate) fn sleep_until_event(signals: &Signals, events: Option<&OwnedFd>, timeout_ms: Option<u64>) {
    sleep(signals, events, timeout_ms);
    if let Some(events) = events {
        let mut room = [0; 1024];
        while rustix::io::read(events, &mut room[..]).is_ok_and(|n| n > 0) {}
    }
}

/// Milliseconds as the kernel wants them.
pub(crate) fn timespec(ms: u64) -> Timespec {
    Timespec { tv_sec: (ms / 1000) as i64, tv_nsec: (ms % 1000 * 1_000_000) as _ }
}

/// Milliseconds since the system began: the same to an agent that comes later, and counted on while the guest is
/// suspended. Who waits for us does not stand still with it: the server whose address we have, the host whose request
/// is late. What the kernel is told to wait for meanwhile (poll(2)) comes later by as long; that a resumed guest's
/// links and watches come back wakes the agent before.
pub(crate) fn uptime_ms() -> u64 {
    let now = since_boot();
    now.seconds as u64 * 1000 + now.nanoseconds as u64 / 1_000_000
}
