//! The agent's state machine: one request in, effects on the [`Platform`], one response out.

use crate::commands::password::Exchange;
use crate::commands::update::agentupdate;
use crate::commands::{Code, Command, Request, RequestError, Response, drop_in, identity, inject};
use crate::files::transaction::Batch;
use crate::network::managers::persistent::EVERYWHERE;
use crate::platform::{Files, Level, Log, Platform};
use crate::wire::json::{Text, Value};
use crate::wire::text::{Bounded, Printable};

/// Longest part of a name or message that is logged.
const SHOWN_MAX: usize = 128;

/// What becomes of a request.
#[expect(clippy::large_enum_variant, reason = "one value at a time, on the stack")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is answered.
    Ready(Response),
    /// It is about the network, of which xenstore knows more than the request: [`crate::network::reset`] answers it.
    NeedsNetwork,
}

/// What the agent remembers between requests.
#[derive(Default)]
pub struct Agent {
    exchange: Exchange,
    /// A new agent's file waits beside this one's.
    updated: bool,
}

impl Agent {
    /// An agent that has agreed on no key.
    pub const fn new() -> Agent {
        Agent { exchange: Exchange::new(), updated: false }
    }

    /// Whether a new agent waits to be executed.
    pub fn is_updated(&self) -> bool {
        self.updated
    }

    /// The caller has taken note of the update, and tries to execute it.
    pub fn forget_update(&mut self) {
        self.updated = false;
    }

    /// Removes what an earlier run, killed in between, may have left.
    pub fn tidy<P: Files>(&self, platform: &mut P) {
        Batch::<P::Staged>::tidy(platform, &EVERYWHERE);
    }

    /// Answers one request, any bytes. The bytes are made plain in place; wiping them afterwards is the caller's part.
    pub fn handle<P: Platform>(&mut self, request: &mut [u8], platform: &mut P) -> Answer {
        let request = match Request::parse(request) {
            Ok(request) => request,
            Err(error) => {
                let response = Response::failed(match error {
                    RequestError::Malformed => format_args!("Request is malformed"),
                    RequestError::NoName => format_args!("Request is missing 'name' key"),
                });
                platform.log(Level::Warn, format_args!("unreadable request: {}", response.message.as_str()));
                return Answer::Ready(response);
            }
        };
        let name = request.name.plain().unwrap_or_default();
        let disabled = drop_in::is_disabled(platform, name);
        let command = Command::named(name).filter(|_| !disabled);
        log_received(&request, command, platform);
        let response = match command {
            Some(Command::ResetNetwork) => return Answer::NeedsNetwork,
            Some(command) => self.run(command, request.value, platform),
            None => match drop_in::run(platform, if disabled { "" } else { name }, request.value) {
                Some(response) => {
                    // What the site's program says is between it and the host.
                    let shown = Response { code: response.code, message: Bounded::of(format_args!("(not shown)")) };
                    log_completed(request.name, &shown, platform);
                    return Answer::Ready(response);
                }
                None => Response::new(Code::NotFound, format_args!("No such agent command '{}'", request.name)),
            },
        };
        log_completed(request.name, &response, platform);
        Answer::Ready(response)
    }

    /// What there is to say about a request that needed more than itself.
    pub fn completed<P: Log>(&self, name: &'static str, response: &Response, platform: &mut P) {
        log_completed(name, response, platform);
    }

    fn run<P: Platform>(&mut self, command: Command, value: Value<'_>, platform: &mut P) -> Response {
        match command {
            Command::Version => identity::version(),
            Command::Features => identity::features(platform),
            Command::KeyInit => self.exchange.keyinit(value, platform),
            Command::Password => self.exchange.password(value, platform),
            Command::ResetNetwork => Response::done(),
            Command::InjectFile => inject::injectfile(value, platform),
            Command::FileInject => inject::file_inject(value, platform),
            Command::AgentUpdate => {
                let response = agentupdate(value, platform);
                self.updated |= response.code == Code::Done;
                response
            }
        }
    }
}

fn log_received<P: Log>(request: &Request<'_>, command: Option<Command>, platform: &mut P) {
    let argument = match request.value {
        Value::Missing | Value::Text(Text::EMPTY) => Shown::new(),
        Value::Text(text) if command.is_some_and(Command::shows_argument) => shown(text),
        _ => shown("(not shown)"),
    };
    let name = shown(request.name);
    platform
        .log(Level::Info, format_args!("Received command '{}' with argument: '{}'", name.as_str(), argument.as_str()));
}

fn log_completed<P: Log>(name: impl core::fmt::Display, response: &Response, platform: &mut P) {
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
