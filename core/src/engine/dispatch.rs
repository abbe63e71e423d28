//! One request in, one response out: the request is parsed, its command looked up in the table and run, and what
//! happened is logged.

use crate::commands::disabled::is_disabled;
#[cfg(feature = "drop-in")]
use crate::commands::drop_in;
#[cfg(feature = "long-commands")]
use crate::commands::long::Long;
#[cfg(feature = "long-commands")]
use crate::commands::long::Task;
#[cfg(feature = "sealed")]
use crate::commands::request::Located;
use crate::commands::response::Json;
#[cfg(not(feature = "sealed"))]
use crate::commands::response::RESPONSE_MAX;
#[cfg(all(feature = "sealed", feature = "long-commands"))]
use crate::commands::sealed::Reply;
#[cfg(feature = "sealed")]
use crate::commands::sealed::SEALED;
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
    /// What its response needs, if it came sealed.
    #[cfg(all(feature = "sealed", feature = "long-commands"))]
    long_reply: Option<Reply>,
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
            #[cfg(all(feature = "sealed", feature = "long-commands"))]
            long_reply: None,
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
        // Where the connection was lost, the request is there again on the next one, and is to be run.
        run(client, platform, &mut self.session, target).inspect_err(|_| self.give_back())
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

    /// Writes the response of the request that was handled last: sealed, if that was.
    pub fn write(&mut self, response: &Response, json: &mut Json) {
        #[cfg(feature = "recorder")]
        let copied = self.session.copied.take();
        let plain = |most, json: &mut Json| {
            #[cfg(feature = "recorder")]
            if !copied.is_empty() {
                return Response::write_base64(copied, json);
            }
            response.to_json(most, json);
        };
        #[cfg(feature = "sealed")]
        self.session.sealed.write(json, &plain);
        #[cfg(not(feature = "sealed"))]
        plain(RESPONSE_MAX, json);
    }

    /// Runs the command of a request, which may be any bytes.
    pub fn handle<T: Transport, P: Platform>(&mut self, request: &mut [u8], platform: &mut P) -> Dispatched<T, P> {
        let request = match self.open(request, platform) {
            Ok(request) => request,
            Err(error) => {
                let response = Response::new(error.code(), format_args!("{error}"));
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
            self.log_received(&request, false, platform);
            let response = Response::new(Code::NotFound, format_args!("No such agent command '{}'", request.name));
            log_completed(request.name, &response, platform);
            return Dispatched::Answered(response);
        };
        #[cfg(feature = "long-commands")]
        if self.long.is_some() && matches!(command.entry, Entry::Long(_)) {
            return self.later();
        }
        let is_routine = is_routine(&request);
        if !is_routine {
            self.log_received(&request, command.shows_argument, platform);
        }
        let response = match command.entry {
            Entry::OverXenstore(run) => return Dispatched::OverXenstore(command.name, run),
            Entry::Local(run) => run(request.value, &mut self.session, platform),
            #[cfg(feature = "long-commands")]
            Entry::Long(begin) => match begin(request.value, platform) {
                Ok(task) => return self.begun(&request, true, task),
                Err(response) => response,
            },
        };
        if !is_routine || response.code != Code::Done {
            log_completed(request.name, &response, platform);
        }
        Dispatched::Answered(response)
    }

    /// When what a command has begun is to be given up if no other goes on with it.
    pub fn give_up_at(&self) -> Option<u64> {
        #[cfg(all(feature = "inject", feature = "sealed"))]
        return self.session.parts.give_up_at();
        #[cfg(not(all(feature = "inject", feature = "sealed")))]
        None
    }

    /// Gives that up, if it is time.
    pub fn give_up_silent<P: Platform>(&mut self, platform: &mut P, now: u64) {
        #[cfg(all(feature = "inject", feature = "sealed"))]
        self.session.parts.give_up_silent(platform, now);
        #[cfg(not(all(feature = "inject", feature = "sealed")))]
        let _ = (platform, now);
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
            return self.later();
        }
        self.log_received(request, false, platform);
        let begun = program.and_then(|path| drop_in::begin(platform, &path, request.value).map(|()| path));
        match begun {
            Ok(path) => self.begun(request, false, Task::Site(path)),
            Err(response) => {
                log_completed(request.name, &not_shown(&response), platform);
                Dispatched::Answered(response)
            }
        }
    }

    #[cfg(feature = "long-commands")]
    fn begun<T, P>(&mut self, request: &Request<'_>, shows_response: bool, task: Task) -> Dispatched<T, P> {
        #[cfg(feature = "sealed")]
        {
            self.long_reply = self.session.sealed.put_aside();
        }
        self.long = Some(Long { name: shown_name(request), shows_response, task });
        Dispatched::Begun
    }

    #[cfg(feature = "long-commands")]
    fn later<T, P>(&mut self) -> Dispatched<T, P> {
        self.give_back();
        Dispatched::Later
    }

    /// The request in hand was not run: it comes again.
    fn give_back(&mut self) {
        #[cfg(feature = "sealed")]
        self.session.sealed.give_back();
    }

    /// Reads a request; of a sealed one, what is in it.
    #[cfg(feature = "sealed")]
    fn open<'r, P: Platform>(&mut self, bytes: &'r mut [u8], platform: &mut P) -> Result<Request<'r>, RequestError> {
        self.session.sealed.put_aside();
        let located = Located::of(bytes)?;
        if located.request(bytes)?.name.plain() == Some(SEALED) && !is_disabled(platform, SEALED) {
            let opened = self.session.sealed.open(located.text_mut(bytes), platform.uptime_ms());
            return Request::parse(opened.map_err(RequestError::Sealed)?);
        }
        located.request(bytes)
    }

    #[cfg(not(feature = "sealed"))]
    fn open<'r, P>(&mut self, bytes: &'r mut [u8], _: &mut P) -> Result<Request<'r>, RequestError> {
        Request::parse(bytes)
    }

    fn log_received<P: Log>(&self, request: &Request<'_>, shows_argument: bool, platform: &mut P) {
        #[cfg(feature = "sealed")]
        let sealed = self.session.sealed.is_in_hand();
        #[cfg(not(feature = "sealed"))]
        let sealed = false;
        let argument = match request.value {
            Value::Missing | Value::Text(Text::EMPTY) => Shown::new(),
            Value::Text(text) if shows_argument && !sealed => shown(text),
            _ => shown("(not shown)"),
        };
        let (name, sealed) = (shown(request.name), if sealed { "sealed " } else { "" });
        let (name, argument) = (name.as_str(), argument.as_str());
        platform.log(Level::Info, format_args!("Received {sealed}command '{name}' with argument: '{argument}'"));
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
        #[cfg(feature = "sealed")]
        self.session.sealed.take_up(self.long_reply.take());
        self.update_is_ready |= updates && response.code == Code::Done;
        let shown = if shows_response { response.clone() } else { not_shown(&response) };
        log_completed(name.as_str(), &shown, platform);
        Some(response)
    }
}

/// Whether a request is one of so many that only their end and what fails is logged.
fn is_routine(request: &Request<'_>) -> bool {
    #[cfg(all(feature = "inject", feature = "sealed"))]
    return request.name.plain() == Some("file_inject") && crate::commands::parts::is_later_part(request.value);
    #[cfg(not(all(feature = "inject", feature = "sealed")))]
    {
        let _ = request;
        false
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

pub(crate) fn log_completed<P: Log>(name: impl core::fmt::Display, response: &Response, platform: &mut P) {
    let (level, message) = match response.code {
        Code::Done => (Level::Info, shown(response.message.as_str())),
        Code::KeyReady => (Level::Info, shown("(public key)")),
        Code::NotFound | Code::Failed | Code::Site(_) => (Level::Warn, shown(response.message.as_str())),
    };
    let (name, code) = (shown(name), response.code.as_str());
    platform.completed(name.as_str(), code.as_ref());
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

#[cfg(all(test, feature = "sealed"))]
#[path = "sealed_tests.rs"]
mod sealed_tests;
