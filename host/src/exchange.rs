//! One letter to one guest, until its answer: what is asked of xenstored next, and what came of it. No system call.
//!
//! Guarantees: one request of xenstored's is under way at a time. The letter goes to a guest that is there, when its
//! answer is watched for. The answer is removed after it was read, so that none piles up in the guest's quota; when it
//! is given up the letter is taken back. Afterwards nothing of it is left.
//!
//! ```text
//! look for the guest -> watch -> (first event) -> write -> (event) -> read -> remove the answer -> watch no more
//! ```

use nanova_core::wire::xenstore::Refusal;

use crate::guests::Guest;
use crate::letter::{Kind, Letter};
use crate::op::{Op, Reply};

/// What comes of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The answer's value.
    Answered(Vec<u8>),
    /// The guest is not there any more.
    Gone,
    /// Given up, and taken back.
    GivenUp,
    /// xenstored refused this.
    Refused(&'static str, Refusal),
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Whether the guest is there at all.
    Finding,
    /// The watch, and the event that it begins with: an event that comes later means an answer.
    Watching {
        acknowledged: bool,
        fired: bool,
    },
    Writing,
    /// An event.
    Waiting,
    Reading,
    /// Whether the guest is still there.
    Looking,
    /// Until the letter is taken back.
    TakingBack,
    /// Until the answer is removed.
    Removing,
    /// Until the watch is gone.
    Leaving,
    Done,
}

/// A letter under way.
pub(crate) struct Exchange {
    guest: Guest,
    letter: Letter,
    /// The token of its watch.
    token: String,
    state: State,
    /// A watch fired while something else was waited for: the answer may be there, and the guest not.
    again: bool,
    /// It is to be given up as soon as nothing is under way.
    giving_up: bool,
    outcome: Option<Outcome>,
}

impl Exchange {
    /// A letter to a guest, and what to ask first.
    pub(crate) fn begin(guest: Guest, letter: Letter, token: String) -> (Exchange, Op) {
        let first = Op::read(guest.path("name"));
        let state = State::Finding;
        (Exchange { guest, letter, token, state, again: false, giving_up: false, outcome: None }, first)
    }

    /// The watch's token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// What came of it, when it is over.
    pub(crate) fn outcome(&mut self) -> Option<Outcome> {
        if self.state == State::Done { self.outcome.take() } else { None }
    }

    /// The reply to what was asked last has come. Returns what to ask next.
    pub(crate) fn replied(&mut self, reply: Reply) -> Option<Op> {
        match (self.state, reply) {
            (State::Finding, Ok(_)) if self.giving_up => self.finish(Outcome::GivenUp),
            (State::Finding, Ok(_)) => {
                self.state = State::Watching { acknowledged: false, fired: false };
                Some(Op::watch(self.watched(), &self.token))
            }
            (State::Watching { fired, .. }, Ok(_)) => self.watching(true, fired),
            (State::Writing, Ok(_)) => self.wait(),
            (State::Reading, Ok(value)) if self.is_answer(&value) => self.answered(value),
            (State::Reading, Err(Refusal::NOENT)) if self.letter.kind == Kind::Order => self.answered(Vec::new()),
            // It fired for something else.
            (State::Reading, Ok(_) | Err(Refusal::NOENT)) => {
                self.ask(State::Looking, Op::read(self.guest.path("name")))
            }
            (State::Looking, Ok(_)) => self.wait(),
            (State::Finding, Err(Refusal::NOENT)) => self.finish(Outcome::Gone),
            (State::Looking, Err(Refusal::NOENT)) => self.gone(),
            // What is removed may be gone.
            (State::TakingBack, _) => self.remove(),
            (State::Removing, _) => self.leave(Outcome::GivenUp),
            (State::Leaving, _) => {
                self.state = State::Done;
                None
            }
            (State::Finding | State::Watching { .. }, Err(why)) => {
                self.finish(Outcome::Refused("to watch the guest", why))
            }
            (State::Writing, Err(why)) => self.leave(Outcome::Refused("to write the request", why)),
            (State::Reading | State::Looking, Err(why)) => {
                self.outcome = Some(Outcome::Refused("to read the answer", why));
                self.take_back()
            }
            (State::Waiting | State::Done, _) => None,
        }
    }

    /// Its watch has fired. Returns what to ask next.
    pub(crate) fn fired(&mut self) -> Option<Op> {
        match self.state {
            State::Watching { acknowledged, .. } => self.watching(acknowledged, true),
            State::Waiting => self.read(),
            _ => {
                self.again = true;
                None
            }
        }
    }

    /// Some guest is gone; whether it is this one is looked up.
    pub(crate) fn released(&mut self) -> Option<Op> {
        match self.state {
            State::Waiting => self.read(),
            _ => {
                self.again = true;
                None
            }
        }
    }

    /// Nobody waits any more.
    pub(crate) fn give_up(&mut self) -> Option<Op> {
        self.giving_up = true;
        if self.state == State::Waiting { self.take_back() } else { None }
    }

    fn watched(&self) -> String {
        self.guest.path(&self.letter.answered_at)
    }

    fn is_answer(&self, value: &[u8]) -> bool {
        (self.letter.kind == Kind::Order) == value.is_empty()
    }

    fn ask(&mut self, state: State, op: Op) -> Option<Op> {
        self.state = state;
        Some(op)
    }

    fn watching(&mut self, acknowledged: bool, fired: bool) -> Option<Op> {
        self.state = State::Watching { acknowledged, fired };
        match (acknowledged, fired) {
            (true, true) if self.giving_up => self.leave(Outcome::GivenUp),
            (true, true) => {
                self.again = false;
                let body = std::mem::take(&mut *self.letter.body);
                self.ask(State::Writing, Op::write(self.guest.path(&self.letter.to), body))
            }
            _ => None,
        }
    }

    /// Nothing is under way: an event is waited for, unless there was one.
    fn wait(&mut self) -> Option<Op> {
        self.state = State::Waiting;
        if self.giving_up {
            return self.take_back();
        }
        if self.again { self.read() } else { None }
    }

    fn read(&mut self) -> Option<Op> {
        self.again = false;
        self.ask(State::Reading, Op::read(self.watched()))
    }

    fn answered(&mut self, value: Vec<u8>) -> Option<Op> {
        self.outcome = Some(Outcome::Answered(value));
        match self.letter.kind {
            Kind::Command => self.remove(),
            Kind::Order => self.unwatch(),
        }
    }

    /// The letter goes; an order is written over, as the node is the guest's.
    fn take_back(&mut self) -> Option<Op> {
        let node = self.guest.path(&self.letter.to);
        let op = if self.letter.kind == Kind::Command { Op::remove(node) } else { Op::write(node, []) };
        self.ask(State::TakingBack, op)
    }

    /// What was written to a guest that had just gone has made its nodes anew, and nobody else removes them.
    fn gone(&mut self) -> Option<Op> {
        self.outcome = Some(Outcome::Gone);
        self.ask(State::TakingBack, Op::remove(self.guest.path(&self.letter.to)))
    }

    /// What the guest has answered goes, even if nobody has read it.
    fn remove(&mut self) -> Option<Op> {
        match self.letter.kind {
            Kind::Command => self.ask(State::Removing, Op::remove(self.watched())),
            Kind::Order => self.leave(Outcome::GivenUp),
        }
    }

    fn leave(&mut self, outcome: Outcome) -> Option<Op> {
        self.outcome.get_or_insert(outcome);
        self.unwatch()
    }

    fn unwatch(&mut self) -> Option<Op> {
        self.ask(State::Leaving, Op::unwatch(self.watched(), &self.token))
    }

    fn finish(&mut self, outcome: Outcome) -> Option<Op> {
        self.outcome = Some(outcome);
        self.state = State::Done;
        None
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
