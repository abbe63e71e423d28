//! Waiting, and the clocks that it goes by.
//!
//! | clock | goes on while the guest is suspended | is for |
//! |---|---|---|
//! | [`uptime_ms`] | yes | what others count: requests and what is kept of them, keys, leases, reports, beats |
//! | [`running_ms`] | no | what this system is given time for: a program or another errand, a device, an answer |
//!
//! A guest is suspended when it is saved, migrated or told to sleep: whatever it waits for within itself has then had
//! none of that time. What poll(2) is told to wait goes by the second (Linux, fs/select.c: `ktime_get_ts64`). A guest
//! that its host pauses does not know of it: both clocks go on.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;

use crate::rt::clock::{Time, since_boot, while_running};
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
    in_ms(since_boot())
}

/// Milliseconds that the system has run: a child that is under way when the guest is suspended is not late for that.
pub(crate) fn running_ms() -> u64 {
    in_ms(while_running())
}

fn in_ms(time: Time) -> u64 {
    time.seconds as u64 * 1000 + time.nanoseconds as u64 / 1_000_000
}
