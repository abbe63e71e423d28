//! What is said to a guest, letter by letter: each next one is decided by the last one's answer. No system call.
//!
//! A conversation can stand in another one's place: one that seals has the letters of the inner one in its own.

use crate::answer::Answer;
use crate::fault::Fault;
use crate::request::Request;

/// What to say next.
pub(crate) enum Step {
    /// A request to the agent.
    Request(Request),
    /// An order for the guest's kernel.
    Order(&'static str),
    /// Nothing more.
    Done(Result<Answer, Fault>),
}

/// What is said to one guest.
pub(crate) trait Conversation {
    /// What to say next, after this answer; at first there is none.
    fn next(&mut self, answer: Option<Answer>) -> Step;
}

/// One request, and its answer is all.
pub(crate) struct Once(Option<Request>);

impl Once {
    /// This one.
    pub(crate) fn new(request: Request) -> Once {
        Once(Some(request))
    }
}

impl Conversation for Once {
    fn next(&mut self, answer: Option<Answer>) -> Step {
        match (answer, self.0.take()) {
            (None, Some(request)) => Step::Request(request),
            (answer, _) => Step::Done(judged(answer)),
        }
    }
}

/// An order for the guest's kernel.
pub(crate) struct Ordered(pub &'static str);

impl Conversation for Ordered {
    fn next(&mut self, answer: Option<Answer>) -> Step {
        match answer {
            None => Step::Order(self.0),
            Some(_) => Step::Done(Ok(Answer::done("accepted"))),
        }
    }
}

/// An answer, or that there is none.
pub(crate) fn judged(answer: Option<Answer>) -> Result<Answer, Fault> {
    answer.ok_or_else(|| Fault::Guest("the guest's answer is no JSON object with a returncode".into()))
}
