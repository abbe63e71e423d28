//! The engine: requests below `data/host` are answered below `data/guest`.
//!
//! | file | is |
//! |---|---|
//! | `schedule` | what is done next, and when |
//! | `requests` | which request is next, and that each gets one response |
//! | `progress` | how far they are |
//! | `delivery` | how a response comes into xenstore, and its request out of it |
//! | `responses` | how long responses stay |
//! | `note` | what outlives the agent of what it was about |
//! | `dispatch` | one request in, one response out |

#[cfg(feature = "commands")]
mod delivery;
#[cfg(feature = "commands")]
pub mod dispatch;
#[cfg(feature = "commands")]
mod note;
pub mod progress;
#[cfg(feature = "commands")]
pub mod requests;
#[cfg(not(feature = "commands"))]
#[path = "no_requests.rs"]
pub mod requests;
#[cfg(feature = "commands")]
mod responses;
pub mod schedule;

pub use progress::State;
pub use schedule::{Action, Engine, Options};
