//! The commands of the host: request JSON in, response JSON out, one file a family.
//!
//! [`COMMANDS`] is the one list: what is in it is served and advertised, what is not is answered with 404.

pub(crate) mod drop_in;
pub mod identity;
pub mod inject;
pub mod password;
pub mod request;
pub mod reset_network;
pub mod response;
pub mod static_ip;
pub mod update;

pub use request::{Request, RequestError};
pub use response::{Code, Response};

/// A command that this build serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Command {
    /// Who answers.
    Version,
    /// What can be asked.
    Features,
    /// Agree on a key.
    KeyInit,
    /// Set root's password.
    Password,
    /// Apply the network of vm-data.
    ResetNetwork,
    /// Write a file: base64 of `path,contents`.
    InjectFile,
    /// Write a file: path and contents apart.
    FileInject,
    /// Replace the agent.
    AgentUpdate,
}

/// Every command, by the name that the host calls it.
pub const COMMANDS: [(&str, Command); 8] = [
    ("version", Command::Version),
    ("features", Command::Features),
    ("keyinit", Command::KeyInit),
    ("password", Command::Password),
    ("resetnetwork", Command::ResetNetwork),
    ("injectfile", Command::InjectFile),
    ("file_inject", Command::FileInject),
    ("agentupdate", Command::AgentUpdate),
];

impl Command {
    /// The command with this name.
    pub fn named(name: &str) -> Option<Command> {
        COMMANDS.iter().find(|(known, _)| *known == name).map(|(_, command)| *command)
    }

    /// Whether the argument may be shown in a log. Only what is known to be harmless is: arguments carry passwords, keys
    /// and files.
    pub const fn shows_argument(self) -> bool {
        matches!(self, Command::Version | Command::Features | Command::ResetNetwork)
    }
}
