//! One request in, one response out: the request is parsed, its command looked up in the table and run, and what
//! happened is logged.

use crate::commands::disabled::is_disabled;
#[cfg(feature = "drop-in")]
use crate::commands::drop_in;
#[cfg(feature = "long-commands")]
use crate::commands::long::Long;
#[cfg(feature = "drop-in")]
use crate::commands::long::Task;
use crate::commands::table::{OverXenstore, are_locked};
use crate::commands::{Code, Command, Entry, Request, RequestError, Response, Session, Table};
use crate::network::Target;
use crate::platform::{Level, Log, Platform};
use crate::wire::json::{Text, Value};
use crate::wire::text::{Bounded, Printable};
use crate::xenstore::{Client, Error, Transport};

/// Longest part of a name or message that is logged.
const SHOWN_MAX: usize = 128;

/// What has become of a request.
#[expect(clippy::large_enum_variant, reason = "one value at a time, on the stack")]
pub enum Dispatched<T, P> {
    /// This is its response.
    Answered(Response),
    /// The command of this name is to be run so, with the client, whose buffer the request was in until now.
    OverXenstore(&'static str, OverXenstore<T, P>),
    /// An errand was begun for it: [`Dispatcher::go_on`] will return its response.
    #[cfg(feature = "long-commands")]
    Begun,
    /// It needs an errand, and waits until the one that is under way has ended.
    #[cfg(feature = "long-commands")]
    Later,
}

/// Runs commands.
pub struct Dispatcher {
    session: Session,
    /// The command that an errand is under way for.
    #[cfg(feature = "long-commands")]
    long: Option<Long>,
    /// Whether a new agent lies ready to be executed.
    update_is_ready: bool,
}

impl Default for Dispatcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Dispatcher {
    /// One that has run nothing.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub const fn new() -> Dispatcher {
        Dispatcher {
            session: Session::new(),
            #[cfg(feature = "long-commands")]
            long: None,
            update_is_ready: false,
        }
    }

    /// Whether a new agent lies ready to be executed.
    pub fn update_is_ready(&self) -> bool {
        self.update_is_ready
    }

    /// The new agent is being executed, or cannot be.
    pub fn forget_update(&mut self) {
        self.update_is_ready = false;
    }

    /// Forgets a key that was not used in time. Returns when to ask again, if there is one.
    pub fn forget_unused(&mut self, now: u64) -> Option<u64> {
        self.session.forget_unused(now)
    }

    /// Runs a command with the client.
    pub fn run<T: Transport, P: Platform>(
        &mut self,
        run: OverXenstore<T, P>,
        client: &mut Client<T>,
        platform: &mut P,
        target: Target,
    ) -> Result<Response, Error> {
        run(client, platform, &mut self.session, target)
    }

    /// Does what the command `resetnetwork` does, though nobody has asked over xenstore.
    #[cfg(feature = "network")]
    pub fn reset_network<T: Transport, P: Platform>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
        target: Target,
    ) -> Result<Response, Error> {
        crate::commands::reset_network::resetnetwork(client, platform, &mut self.session.network, target)
    }

    /// Applies the addresses that XAPI has set, if it has; returns the answer.
    #[cfg(feature = "xapi")]
    pub fn set_addresses<T: Transport, P: Platform>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
        target: Target,
    ) -> Result<Option<Response>, Error> {
        crate::commands::static_ip::apply(client, platform, &mut self.session.network, target)
    }

    /// Runs the command of a request, which may be any bytes.
    pub fn handle<T: Transport, P: Platform>(&mut self, request: &mut [u8], platform: &mut P) -> Dispatched<T, P> {
        let request = match Request::parse(request) {
            Ok(request) => request,
            Err(error) => {
                let response = Response::failed(match error {
                    RequestError::Malformed => format_args!("Request is malformed"),
                    RequestError::NoName => format_args!("Request is missing 'name' key"),
                });
                platform.log(Level::Warn, format_args!("unreadable request: {}", response.message.as_str()));
                return Dispatched::Answered(response);
            }
        };
        let name = request.name.plain().unwrap_or_default();
        let disabled = is_disabled(platform, name);
        let locked = are_locked(platform);
        let is_served = |command: &&Command<T, P>| !(disabled || locked && command.needs_programs());
        let Some(command) = Table::<T, P>::named(name).filter(is_served) else {
            #[cfg(feature = "drop-in")]
            if let (false, Some(program)) = (disabled, drop_in::program(platform, name)) {
                return self.handle_site(&request, program, platform);
            }
            log_received(&request, false, platform);
            let response = Response::new(Code::NotFound, format_args!("No such agent command '{}'", request.name));
            log_completed(request.name, &response, platform);
            return Dispatched::Answered(response);
        };
        #[cfg(feature = "long-commands")]
        if self.long.is_some() && matches!(command.entry, Entry::Long(_)) {
            return Dispatched::Later;
        }
        log_received(&request, command.shows_argument, platform);
        let response = match command.entry {
            Entry::OverXenstore(run) => return Dispatched::OverXenstore(command.name, run),
            Entry::Local(run) => run(request.value, &mut self.session, platform),
            #[cfg(feature = "long-commands")]
            Entry::Long(begin) => match begin(request.value, platform) {
                Ok(task) => return self.begun(Long { name: shown_name(&request), shows_response: true, task }),
                Err(response) => response,
            },
        };
        log_completed(request.name, &response, platform);
        Dispatched::Answered(response)
    }

    /// A site's own command. What its program says is between it and the host.
    #[cfg(feature = "drop-in")]
    #[expect(clippy::result_large_err, reason = "there is no heap to box a response in that comes early")]
    fn handle_site<T, P: Platform>(
        &mut self,
        request: &Request<'_>,
        program: Result<drop_in::ProgramPath, Response>,
        platform: &mut P,
    ) -> Dispatched<T, P> {
        if self.long.is_some() && program.is_ok() {
            return Dispatched::Later;
        }
        log_received(request, false, platform);
        let begun = program.and_then(|path| drop_in::begin(platform, &path, request.value).map(|()| path));
        match begun {
            Ok(path) => self.begun(Long { name: shown_name(request), shows_response: false, task: Task::Site(path) }),
            Err(response) => {
                log_completed(request.name, &not_shown(&response), platform);
                Dispatched::Answered(response)
            }
        }
    }

    #[cfg(feature = "long-commands")]
    fn begun<T, P>(&mut self, long: Long) -> Dispatched<T, P> {
        self.long = Some(long);
        Dispatched::Begun
    }

    /// Goes on with the command that an errand is under way for, if that has ended; returns the response, if there is
    /// one. If `ending`, the errand is ended.
    #[cfg(feature = "long-commands")]
    pub fn go_on<P: Platform>(&mut self, ending: bool, platform: &mut P) -> Option<Response> {
        let Long { name, shows_response, task } = self.long.take()?;
        let updates = task.is_update();
        let response = match task.go_on(platform) {
            Ok(task) if ending => task.give_up(platform),
            Ok(task) => {
                self.long = Some(Long { name, shows_response, task });
                return None;
            }
            Err(response) => response,
        };
        self.update_is_ready |= updates && response.code == Code::Done;
        let shown = if shows_response { response.clone() } else { not_shown(&response) };
        log_completed(name.as_str(), &shown, platform);
        Some(response)
    }
}

#[cfg(feature = "long-commands")]
fn shown_name(request: &Request<'_>) -> Bounded<64> {
    Bounded::of(format_args!("{}", Printable(request.name)))
}

#[cfg(feature = "long-commands")]
fn not_shown(response: &Response) -> Response {
    Response { code: response.code, message: Bounded::of(format_args!("(not shown)")) }
}

fn log_received<P: Log>(request: &Request<'_>, shows_argument: bool, platform: &mut P) {
    let argument = match request.value {
        Value::Missing | Value::Text(Text::EMPTY) => Shown::new(),
        Value::Text(text) if shows_argument => shown(text),
        _ => shown("(not shown)"),
    };
    let name = shown(request.name);
    platform
        .log(Level::Info, format_args!("Received command '{}' with argument: '{}'", name.as_str(), argument.as_str()));
}

pub(crate) fn log_completed<P: Log>(name: impl core::fmt::Display, response: &Response, platform: &mut P) {
    let (level, message) = match response.code {
        Code::Done => (Level::Info, shown(response.message.as_str())),
        Code::KeyReady => (Level::Info, shown("(public key)")),
        Code::NotFound | Code::Failed | Code::Site(_) => (Level::Warn, shown(response.message.as_str())),
    };
    let (name, code) = (shown(name), response.code.as_str());
    platform
        .log(level, format_args!("'{}' completed with code '{code}', message '{}'", name.as_str(), message.as_str()));
}

type Shown = Bounded<SHOWN_MAX>;

fn shown(text: impl core::fmt::Display) -> Shown {
    Bounded::of(format_args!("{}", Printable(text)))
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
