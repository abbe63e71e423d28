//! The commands of the host: request JSON in, response JSON out, one file a family. [`table`] is the one list of them.

pub mod drop_in;
pub mod identity;
pub mod inject;
pub mod password;
pub mod request;
pub mod reset_network;
pub mod response;
pub mod static_ip;
pub mod table;
pub mod update;

pub use request::{Request, RequestError};
pub use response::{Code, Response};
pub use table::{Command, Entry, Session, Table};
