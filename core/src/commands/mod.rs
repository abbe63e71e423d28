//! The commands of the host: request JSON in, response JSON out, one file a family. [`table`] is the one list of them.

#![cfg_attr(
    feature = "long-commands",
    expect(clippy::result_large_err, reason = "there is no heap to box a response in that comes early")
)]

pub mod disabled;
#[cfg(feature = "drop-in")]
pub mod drop_in;
pub mod identity;
#[cfg(feature = "inject")]
pub mod inject;
#[cfg(feature = "long-commands")]
pub mod long;
#[cfg(all(feature = "inject", feature = "sealed"))]
pub mod parts;
pub mod password;
#[cfg(feature = "recorder")]
pub mod record;
pub mod request;
#[cfg(feature = "network")]
pub mod reset_network;
pub mod response;
#[cfg(feature = "sealed")]
pub mod sealed;
#[cfg(feature = "xapi")]
pub mod static_ip;
pub mod table;
#[cfg(feature = "update")]
pub mod update;

pub use request::{Request, RequestError};
pub use response::{Code, Response};
pub use table::{Command, Entry, Session, Table};
