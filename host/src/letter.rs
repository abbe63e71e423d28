//! What is put into a guest's mailbox: a command for its agent, or an order for its kernel.

use zeroize::Zeroizing;

use crate::guests::Guest;
use crate::request::Request;

/// What is written, and where its answer appears.
pub(crate) struct Letter {
    /// The node that is written, below the guest's home.
    pub(crate) to: String,
    /// What is written there; overwritten when it is dropped.
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// The node that is watched, below the guest's home.
    pub(crate) answered_at: String,
    /// What counts as an answer there.
    pub(crate) kind: Kind,
}

/// How an answer looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A value appears, and it is JSON.
    Command,
    /// The value goes: the guest's kernel has taken the order (`drivers/xen/manage.c`).
    Order,
}

impl Letter {
    /// A request to the agent.
    pub(crate) fn request(id: &str, request: &Request) -> Letter {
        let body = Zeroizing::new(request.bytes().to_vec());
        Letter { to: format!("data/host/{id}"), body, answered_at: format!("data/guest/{id}"), kind: Kind::Command }
    }

    /// An order: `poweroff` or `reboot`.
    pub(crate) fn order(what: &str) -> Letter {
        let node = "control/shutdown".to_owned();
        Letter {
            to: node.clone(),
            body: Zeroizing::new(what.as_bytes().to_vec()),
            answered_at: node,
            kind: Kind::Order,
        }
    }

    /// How many bytes a request to this guest may have, if a payload may have so many.
    pub(crate) fn room(guest: &Guest, payload_max: usize) -> usize {
        /// A uuid and the zero byte behind a path.
        const ID_LEN: usize = 36 + 1;
        payload_max.saturating_sub(guest.path("data/host/").len() + ID_LEN)
    }

    /// How long the payload of its WRITE is.
    pub(crate) fn payload_len(&self, guest: &Guest) -> usize {
        guest.path(&self.to).len() + 1 + self.body.len()
    }
}
