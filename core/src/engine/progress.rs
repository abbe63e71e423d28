//! How far the requests are, and what the guest is said to be.

use core::fmt;

use crate::wire::text::Bounded;

/// What a call of [`Requests::serve_one`](super::requests::Requests::serve_one) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// A request was answered; there may be more.
    Served,
    /// There is nothing left to serve until an event comes.
    Idle,
    /// A response waits for room in xenstore: call again at this moment.
    Waiting(u64),
    /// The next request waits until an errand has ended, and no other can be looked for meanwhile.
    Held,
}

/// What an event means for requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EventMeaning {
    /// Nothing.
    NoneOfOurs,
    /// There may be requests: [`Requests::look_again`](super::requests::Requests::look_again) after the last event.
    LookAgain,
    /// This one named a request, which comes first; those behind it wait.
    Named,
}

/// What `data/nanova/state` says: OpenStack's "is the guest ready?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Requests that waited are not served yet.
    Starting,
    /// They are, and the network is as the host wants it.
    Ready,
    /// The host's last `resetnetwork` failed, with this message.
    Failed(Bounded<128>),
    /// Nobody serves any more.
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Starting => f.write_str("starting"),
            State::Ready => f.write_str("ready"),
            State::Stopped => f.write_str("stopped"),
            State::Failed(why) => write!(f, "failed: {}", why.as_str()),
        }
    }
}
