//! A conversation in sealed requests (`core/src/secret/SEALED.md`) where the agent knows them, as it is otherwise.
//!
//! Guarantees: what is said in a session is said nowhere else; a session that cannot be begun is an error, and nothing
//! falls back to less. A session that the agent lost is begun anew, and what it has not run is said again. An answer
//! that is not sealed is nobody's: it is told and never a success. Keys, requests and answers are overwritten when they
//! are dropped.
//!
//! ```text
//! features -> (sealed) -> keyinit with an object -> sealed requests, as many as the inner conversation has
//!          -> (none)   -> the inner conversation's own requests
//! ```

use std::mem::replace;

use nanova_core::secret::host::{HostExchange, HostSession, REQUEST_MAX};
use nanova_core::secret::with_wiped_stack;
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::conversation::{Conversation, Once, Step, judged};
use crate::fault::Fault;
use crate::op::printable;
use crate::random::random;
use crate::request::Request;

/// How often a session is begun for one request, before somebody else is thought to end it.
const SESSIONS_MAX: u32 = 5;
/// How the agent's message begins when it has run a request whose session ended meanwhile: it is not said again.
const RUN_ALREADY: &str = "the session ended before";
/// What is no secret, or cannot be sealed.
const NEVER_SEALED: [&str; 3] = ["keyinit", "sealed", "features"];

/// What is known of an agent before anything is said to it.
pub(crate) struct Terms {
    features: String,
    /// How many bytes a request may have.
    pub(crate) room: usize,
    /// Whether it is said sealed.
    pub(crate) is_sealed: bool,
}

impl Terms {
    /// Of an agent that answers so to `features`, and whose requests have so much room if they are not sealed.
    pub(crate) fn new(features: &str, room: usize) -> Terms {
        let mut terms = Terms { features: features.to_owned(), room, is_sealed: false };
        if terms.has("sealed") {
            (terms.is_sealed, terms.room) = (true, REQUEST_MAX);
        }
        terms
    }

    /// Whether the agent can do this.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.features.split(',').any(|feature| feature.trim() == name)
    }
}

/// Begins a conversation on these terms.
pub(crate) type Begin = Box<dyn FnOnce(&Terms) -> Result<Box<dyn Conversation>, Fault>>;

/// What is to be said to a guest.
pub(crate) enum Speech {
    /// As it is.
    Plain(Box<dyn Conversation>),
    /// Sealed, where the agent knows that.
    Sealed(Begin),
}

impl Speech {
    /// One request that is said as it is.
    pub(crate) fn plain(request: Request) -> Speech {
        Speech::Plain(Box::new(Once::new(request)))
    }

    /// One request of this command's, sealed if it may be.
    pub(crate) fn once(name: &str, request: Request) -> Speech {
        let once = Box::new(Once::new(request));
        match NEVER_SEALED.contains(&name) {
            true => Speech::Plain(once),
            false => Speech::Sealed(Box::new(|_| Ok(once))),
        }
    }

    /// The conversation with a guest whose requests have so much room.
    pub(crate) fn conversation(self, room: usize) -> Box<dyn Conversation> {
        match self {
            Speech::Plain(conversation) => conversation,
            Speech::Sealed(begin) => Box::new(Sealing::new(begin, room)),
        }
    }
}

/// The conversation around another one.
struct Sealing {
    begin: Option<Begin>,
    room: usize,
    inner: Option<Box<dyn Conversation>>,
    /// What the inner one says, until that is answered.
    request: Option<Request>,
    /// How many sessions were begun for it.
    sessions: u32,
    state: State,
}

enum State {
    Beginning,
    /// The agent was asked what it can do.
    Asked,
    /// It knows nothing of seals.
    Plain,
    Exchanging(Box<HostExchange>),
    /// The request of this counter is under way.
    Sealed(Box<HostSession>, u64),
}

fn failed(fault: Fault) -> Step {
    Step::Done(Err(fault))
}

impl Sealing {
    fn new(begin: Begin, room: usize) -> Sealing {
        Sealing { begin: Some(begin), room, inner: None, request: None, sessions: 0, state: State::Beginning }
    }

    /// With what the agent can do. One that does not say can do nothing more than what it is asked.
    fn learned(&mut self, answer: Option<Answer>) -> Step {
        let answer = answer.filter(Answer::is_success);
        let terms = Terms::new(answer.as_ref().map_or("", |answer| &answer.message), self.room);
        let Some(begin) = self.begin.take() else { return Step::Done(judged(None)) };
        match begin(&terms) {
            Ok(inner) => self.inner = Some(inner),
            Err(fault) => return failed(fault),
        }
        match self.inner_says(None) {
            Step::Request(request) if terms.is_sealed => {
                self.request = Some(request);
                self.exchange()
            }
            step => step,
        }
    }

    fn inner_says(&mut self, answer: Option<Answer>) -> Step {
        match &mut self.inner {
            Some(inner) => inner.next(answer),
            None => Step::Done(judged(None)),
        }
    }

    /// Begins a session for the request that waits.
    fn exchange(&mut self) -> Step {
        self.sessions += 1;
        if self.sessions > SESSIONS_MAX {
            let text =
                "the agent knows no session a moment after it was begun; does somebody else seal requests for it?";
            return failed(Fault::Guest(text.into()));
        }
        let random = match random() {
            Ok(random) => random,
            Err(fault) => return failed(fault),
        };
        let exchange = with_wiped_stack(|| Box::new(HostExchange::new(&random)));
        let request = Request::json("keyinit", &exchange.value());
        self.state = State::Exchanging(exchange);
        Step::Request(request)
    }

    fn agreed(&mut self, exchange: &HostExchange, answer: &Answer) -> Step {
        if answer.code != "D0" {
            let (code, message) = (printable(answer.code.as_bytes()), printable(answer.message.as_bytes()));
            let text = format!(
                "no session of sealed requests, so that nothing was asked; the agent answered {code}: {message}"
            );
            return failed(Fault::Guest(text));
        }
        match with_wiped_stack(|| exchange.agree(answer.message.trim()).ok().map(Box::new)) {
            Some(session) => self.say(session),
            None => failed(Fault::Guest("the agent's public key cannot be one; is it an agent at all?".into())),
        }
    }

    /// Says what waits.
    fn say(&mut self, mut session: Box<HostSession>) -> Step {
        let request = self.request.as_ref().map(Request::bytes).unwrap_or_default();
        match with_wiped_stack(|| session.seal(request).map(|(counter, sealed)| (counter, Request::whole(&sealed)))) {
            Some((counter, sealed)) => {
                self.state = State::Sealed(session, counter);
                Step::Request(sealed)
            }
            None => {
                let len = request.len();
                failed(Fault::here(format!(
                    "the request has {len} bytes; sealed, {REQUEST_MAX} fit one packet of xenstore's (4,096), and what \
                     this agent can be told sealed is told it no other way; a long text can go as a file, by inject"
                )))
            }
        }
    }

    fn answered(&mut self, session: Box<HostSession>, counter: u64, answer: &Answer) -> Step {
        match answer.code.as_str() {
            "0" => {}
            "401" if !answer.message.starts_with(RUN_ALREADY) => return self.exchange(),
            code => {
                let (code, message) = (printable(code.as_bytes()), printable(answer.message.as_bytes()));
                let text = format!("the answer is not sealed, so that nothing proves whose it is: {code}: {message}");
                return failed(Fault::Guest(text));
            }
        }
        let mut room = Zeroizing::new(vec![0; answer.message.len()]);
        let opened = with_wiped_stack(|| session.open(counter, &answer.message, &mut room).map(|opened| &*opened));
        let Ok(opened) = opened else {
            let text = "the answer is sealed by somebody else than the guest, or for another request";
            return failed(Fault::Guest(text.into()));
        };
        let inner = match judged(Answer::parse(opened)) {
            Ok(answer) => answer,
            Err(fault) => return failed(fault),
        };
        (self.sessions, self.request) = (0, None);
        match self.inner_says(Some(inner)) {
            Step::Request(request) => {
                self.request = Some(request);
                self.say(session)
            }
            step => step,
        }
    }
}

impl Conversation for Sealing {
    fn next(&mut self, answer: Option<Answer>) -> Step {
        match (replace(&mut self.state, State::Plain), answer) {
            (State::Beginning, _) => {
                self.state = State::Asked;
                Step::Request(Request::text("features", ""))
            }
            (State::Asked, answer) => self.learned(answer),
            (State::Plain, answer) => self.inner_says(answer),
            (State::Exchanging(exchange), Some(answer)) => self.agreed(&exchange, &answer),
            (State::Sealed(session, counter), Some(answer)) => self.answered(session, counter, &answer),
            (_, None) => Step::Done(judged(None)),
        }
    }
}
