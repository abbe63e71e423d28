//! Every command of the host, in one table: what is in it is served and advertised, what is not is answered with 404.
//!
//! A command is one entry here and one function elsewhere; the entry passes on what the function names, and no more.

use core::marker::PhantomData;

use crate::commands::identity;
#[cfg(feature = "inject")]
use crate::commands::inject;
#[cfg(feature = "long-commands")]
use crate::commands::long::Task;
#[cfg(all(feature = "inject", feature = "sealed"))]
use crate::commands::parts;
use crate::commands::password::Exchange;
#[cfg(feature = "recorder")]
use crate::commands::record::{Copied, RECORD, record};
#[cfg(feature = "network")]
use crate::commands::reset_network;
use crate::commands::response::Response;
#[cfg(feature = "sealed")]
use crate::commands::sealed::{SEALED, Sealed, refuse_inside};
#[cfg(feature = "update")]
use crate::commands::update;
#[cfg(all(feature = "inject", feature = "sealed"))]
use crate::files::parts::Parts;
#[cfg(feature = "network")]
use crate::network::Network;
use crate::network::Target;
use crate::platform::{Platform, ProgramsIfBuilt};
use crate::wire::json::Value;
use crate::xenstore::{Client, Error, Transport};

/// What commands remember from one request to the next.
pub struct Session {
    /// The key that was agreed on.
    pub(crate) exchange: Exchange,
    /// The session of sealed requests.
    #[cfg(feature = "sealed")]
    pub(crate) sealed: Sealed,
    /// The file that comes in parts.
    #[cfg(all(feature = "inject", feature = "sealed"))]
    pub(crate) parts: Parts,
    /// Room for the network of a reset: it is large.
    #[cfg(feature = "network")]
    pub(crate) network: Network,
    /// What the request in hand is answered from the flight recorder, if it is.
    #[cfg(feature = "recorder")]
    pub(crate) copied: Copied,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// One that remembers nothing.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub const fn new() -> Session {
        Session {
            exchange: Exchange::new(),
            #[cfg(feature = "sealed")]
            sealed: Sealed::new(),
            #[cfg(all(feature = "inject", feature = "sealed"))]
            parts: Parts::new(),
            #[cfg(feature = "network")]
            network: Network::new(),
            #[cfg(feature = "recorder")]
            copied: Copied::none(),
        }
    }

    /// Forgets what was remembered for too long. Returns when to ask again, if there is anything.
    pub fn forget_unused(&mut self, now: u64) -> Option<u64> {
        let key_at = self.exchange.forget_unused(now);
        #[cfg(feature = "sealed")]
        return [key_at, self.sealed.end_unused(now)].into_iter().flatten().min();
        #[cfg(not(feature = "sealed"))]
        key_at
    }

    /// `keyinit`, over the group that its value is of. Whatever was agreed on before is forgotten.
    fn keyinit<P: Platform>(&mut self, value: Value<'_>, platform: &mut P) -> Response {
        #[cfg(feature = "sealed")]
        {
            if self.sealed.is_in_hand() {
                return refuse_inside();
            }
            if let Value::Object(object) = value {
                self.exchange.forget();
                return self.sealed.keyinit(object, platform);
            }
            self.sealed.end();
        }
        self.exchange.keyinit(value, platform)
    }

    /// `file_inject`: a file, or a part of one.
    #[cfg(feature = "inject")]
    fn file_inject<P: Platform>(&mut self, value: Value<'_>, platform: &mut P) -> Response {
        #[cfg(feature = "sealed")]
        if parts::is_part(value) {
            return parts::file_part(value, &mut self.parts, platform);
        }
        inject::file_inject(value, platform)
    }

    /// `password`: under the key that was agreed on, or as it is where the whole request is sealed.
    fn password<P: Platform>(&mut self, value: Value<'_>, platform: &mut P) -> Response {
        #[cfg(feature = "sealed")]
        if self.sealed.is_in_hand() {
            return crate::commands::password::password_in_clear(value, platform);
        }
        self.exchange.password(value, platform)
    }
}

/// A function that is run with the client.
pub type OverXenstore<T, P> = fn(&mut Client<T>, &mut P, &mut Session, Target) -> Result<Response, Error>;

/// How a command is run.
pub enum Entry<T, P> {
    /// With its value, which borrows from the packet, and what it may use.
    Local(fn(Value<'_>, &mut Session, &mut P) -> Response),
    /// With the client, for what else lies in xenstore; its value is not looked at.
    OverXenstore(OverXenstore<T, P>),
    /// By an errand: this begins it, or returns the response.
    #[cfg(feature = "long-commands")]
    Long(fn(Value<'_>, &mut P) -> Result<Task, Response>),
}

impl<T, P> Clone for Entry<T, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, P> Copy for Entry<T, P> {}

/// A command of the host's.
pub struct Command<T, P> {
    /// What the host calls it.
    pub name: &'static str,
    /// Whether its argument may be shown in a log. Only what is known to be harmless is: arguments carry passwords,
    /// keys and files.
    pub shows_argument: bool,
    /// How it is run.
    pub entry: Entry<T, P>,
}

impl<T, P> Command<T, P> {
    /// Whether it is not served by an agent that runs no program: what is done by an errand ends in one, or fetches
    /// one.
    pub fn needs_programs(&self) -> bool {
        #[cfg(feature = "long-commands")]
        return matches!(self.entry, Entry::Long(_));
        #[cfg(not(feature = "long-commands"))]
        false
    }
}

/// Whether this agent runs no program.
pub fn are_locked<P: ProgramsIfBuilt>(platform: &mut P) -> bool {
    #[cfg(feature = "errands")]
    return platform.are_locked();
    #[cfg(not(feature = "errands"))]
    {
        let _ = platform;
        false
    }
}

/// The table, for this transport and this platform.
pub struct Table<'t, T, P>(PhantomData<&'t (T, P)>);

impl<'t, T: Transport + 't, P: Platform + 't> Table<'t, T, P> {
    /// Every command that this build serves.
    pub const ALL: &'t [Command<T, P>] = &[
        Command { name: "version", shows_argument: true, entry: Entry::Local(|_, _, _| identity::version()) },
        Command {
            name: "features",
            shows_argument: true,
            entry: Entry::Local(|_, _, platform| {
                let locked = are_locked(platform);
                let served = Table::<T, P>::ALL.iter().filter(move |command| !(locked && command.needs_programs()));
                identity::features(platform, served.map(|command| command.name))
            }),
        },
        Command {
            name: "keyinit",
            shows_argument: false,
            entry: Entry::Local(|value, session, platform| session.keyinit(value, platform)),
        },
        Command {
            name: "password",
            shows_argument: false,
            entry: Entry::Local(|value, session, platform| session.password(value, platform)),
        },
        #[cfg(feature = "network")]
        Command {
            name: "resetnetwork",
            shows_argument: true,
            entry: Entry::OverXenstore(|client, platform, session, target| {
                reset_network::resetnetwork(client, platform, &mut session.network, target)
            }),
        },
        #[cfg(feature = "inject")]
        Command {
            name: "injectfile",
            shows_argument: false,
            entry: Entry::Local(|value, _, platform| inject::injectfile(value, platform)),
        },
        #[cfg(feature = "inject")]
        Command {
            name: "file_inject",
            shows_argument: false,
            entry: Entry::Local(|value, session, platform| session.file_inject(value, platform)),
        },
        #[cfg(feature = "update")]
        Command {
            name: "agentupdate",
            shows_argument: false,
            entry: Entry::Long(|value, platform| update::begin(value, platform).map(Task::Update)),
        },
        #[cfg(feature = "recorder")]
        Command {
            name: RECORD,
            shows_argument: true,
            entry: Entry::Local(|value, session, platform| record(value, &mut session.copied, platform)),
        },
        // It is opened before a command is looked up: what comes here was inside another one.
        #[cfg(feature = "sealed")]
        Command { name: SEALED, shows_argument: false, entry: Entry::Local(|_, _, _| refuse_inside()) },
    ];

    /// The command with this name.
    pub fn named(name: &str) -> Option<&'t Command<T, P>> {
        Self::ALL.iter().find(|command| command.name == name)
    }
}
