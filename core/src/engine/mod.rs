//! The engine: requests below `data/host` are answered below `data/guest`.
//!
//! | file | is |
//! |---|---|
//! | `schedule` | what is done next, and when |
//! | `requests` | which request is next, and that each gets one response |
//! | `responses` | how long responses stay |
//! | `dispatch` | one request in, one response out |

pub mod dispatch;
pub mod requests;
mod responses;
pub mod schedule;

pub use requests::State;
pub use schedule::{Action, Engine, Options};
