//! What the core needs done: small traits that the agent binary implements, and tests imitate.
//!
//! The core decides *what* and in *which order*; an implementation makes one system call or a few for each method and
//! decides nothing. A function asks for the traits that it needs and no more: what it may do is in its signature.

pub mod clock;
pub mod download;
pub mod entropy;
pub mod files;
pub mod identity;
pub mod kernel_net;
pub mod log;
pub mod path;
pub mod programs;

pub use clock::Clock;
pub use download::Download;
pub use entropy::Entropy;
pub use files::{Durability, Files, STAGED_MAX, STAGED_NAME, UPDATE_NAME, UPDATE_NUMBER};
pub use identity::Identity;
pub use kernel_net::KernelNet;
pub use log::{Level, Log};
pub use path::{Distrust, FileError, FileKind, GUEST_PATH_MAX, GuestPath, LinkNotFollowed, PathError, Unsynced};
pub use programs::{Ended, Program, Programs};

/// All of it: what the engine passes on, part by part. Below the engine no function asks for this.
pub trait Platform: Files + Clock + Entropy + Log + Identity + KernelNet + Programs + Download {}

impl<P: Files + Clock + Entropy + Log + Identity + KernelNet + Programs + Download> Platform for P {}
