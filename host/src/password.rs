//! Root's password: sealed as it is, or keys are exchanged and it goes encrypted, as nova does it.
//!
//! Guarantees: it is in no argument, log or error, and overwritten. An agent that may know MD5 only is never sent
//! another derivation: once in 256 times it would take noise for a password.

use std::collections::BTreeSet;
use std::rc::Rc;

use nanova_core::secret::encrypt::{Derivation, ENCRYPTED_MAX, encrypt};
use nanova_core::secret::exchange::RANDOM_LEN;
use nanova_core::secret::{KeyPair, PASSWORD_MAX};
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::args::PasswordFrom;
use crate::connection::Connection;
use crate::conversation::{Conversation, Step, judged};
use crate::fault::Fault;
use crate::guests::Guest;
use crate::op::Op;
use crate::prompt;
use crate::random::random;
use crate::request::Request;
use crate::sealing::{Begin, Speech};

/// What a generated one is made of: what is not mistaken for another on paper, 5 bits each.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 120 bits.
const GENERATED_LEN: usize = 24;

/// A password, which several guests may get.
pub(crate) type Secret = Rc<Zeroizing<Vec<u8>>>;

/// Where the guests' passwords come from: one for all, or one for each.
pub(crate) enum Passwords {
    Same(Secret),
    Generated,
}

impl Passwords {
    /// Asks for it, if somebody is to be asked.
    pub(crate) fn of(from: PasswordFrom) -> Result<Passwords, Fault> {
        let password = match from {
            PasswordFrom::Generated => return Ok(Passwords::Generated),
            PasswordFrom::Stdin => prompt::standard_input()?,
            PasswordFrom::Prompt => prompt::ask()?,
        };
        check(&password)?;
        Ok(Passwords::Same(Rc::new(password)))
    }

    /// A change for the next guest.
    pub(crate) fn change(&mut self, nanova: bool) -> Result<Speech, Fault> {
        let derivation = if nanova { Derivation::Sha256 } else { Derivation::Md5 };
        let (password, shown) = match self {
            Passwords::Same(password) => (password.clone(), false),
            Passwords::Generated => (Rc::new(generate()?), true),
        };
        let begin: Begin = Box::new(move |terms| {
            Ok(match terms.is_sealed {
                true => Box::new(Plain { password, shown }),
                false => Box::new(Change::new(password, derivation, shown)?),
            })
        });
        Ok(Speech::Sealed(begin))
    }
}

/// Which of the guests have nanova, which knows both derivations. One of which that cannot be told is not among them:
/// MD5 every agent knows, and a nanova that does not want it says so ([`Change::sent`]).
pub(crate) fn nanovas(connection: &mut Connection, guests: &[Guest]) -> Result<BTreeSet<u32>, Fault> {
    let replies = connection.ask_all(guests.iter().map(|guest| Op::read(guest.path("data/nanova/version"))))?;
    let known = guests.iter().zip(replies).filter(|(_, reply)| reply.is_ok());
    Ok(known.map(|(guest, _)| guest.domid).collect())
}

/// What no agent takes is not sent to any.
fn check(password: &[u8]) -> Result<(), Fault> {
    let why = match std::str::from_utf8(password) {
        Ok("") => "the password is empty",
        Ok(_) if password.len() > PASSWORD_MAX => "the password is longer than 511 bytes",
        Ok(text) if text.chars().any(|c| c.is_control() && c != '\t') => "the password has a control character in it",
        Ok(_) => return Ok(()),
        Err(_) => "the password is no UTF-8",
    };
    Err(Fault::here(format!("{why}; nothing was changed")))
}

/// A new one.
pub(crate) fn generate() -> Result<Zeroizing<Vec<u8>>, Fault> {
    let random = random::<GENERATED_LEN>()?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'a');
    Ok(Zeroizing::new(random.iter().map(letter).collect()))
}

/// The conversation that changes it in a sealed request.
struct Plain {
    password: Secret,
    shown: bool,
}

impl Conversation for Plain {
    fn next(&mut self, answer: Option<Answer>) -> Step {
        match (answer, std::str::from_utf8(&self.password)) {
            (None, Ok(password)) => Step::Request(Request::text("password", password)),
            (answer, _) => Step::Done(judged(answer).map(|answer| told(answer, &self.password, self.shown))),
        }
    }
}

/// The agent's answer; a success has the password in it if that is to be shown.
fn told(mut answer: Answer, password: &[u8], shown: bool) -> Answer {
    if shown && answer.is_success() {
        answer.message = String::from_utf8_lossy(password).into_owned();
    }
    answer
}

/// The conversation that exchanges keys and changes it.
pub(crate) struct Change {
    password: Secret,
    derivation: Derivation,
    /// Whether the password is what is answered in the end.
    shown: bool,
    keys: KeyPair,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Beginning,
    Exchanging,
    Sent,
}

impl Change {
    /// With this derivation; what the agent answers is the password itself, if it is to be shown.
    pub(crate) fn new(password: Secret, derivation: Derivation, shown: bool) -> Result<Change, Fault> {
        let keys = KeyPair::new(*random::<RANDOM_LEN>()?);
        Ok(Change { password, derivation, shown, keys, state: State::Beginning })
    }

    fn begin(&mut self) -> Step {
        self.state = State::Exchanging;
        Step::Request(Request::text("keyinit", self.keys.public().as_str()))
    }

    /// With the agent's public key.
    fn send(&mut self, theirs: &str) -> Step {
        let Ok(secret) = self.keys.agree(theirs.trim()) else {
            return Step::Done(Err(Fault::Guest(
                "the agent's public key cannot be one; is it an agent at all?".into(),
            )));
        };
        let mut room = [0; ENCRYPTED_MAX];
        match encrypt(&secret, &self.password, self.derivation, &mut room) {
            None => Step::Done(Err(Fault::here("the password is too long"))),
            Some(base64) => {
                self.state = State::Sent;
                Step::Request(Request::text("password", base64))
            }
        }
    }

    fn sent(&mut self, answer: Answer) -> Step {
        // nanova's answer where /etc/nanova/disable forbids it: this agent knows the other one.
        if !answer.is_success() && self.derivation == Derivation::Md5 && answer.message.contains("derived with MD5") {
            self.derivation = Derivation::Sha256;
            return self.begin();
        }
        Step::Done(Ok(told(answer, &self.password, self.shown)))
    }
}

impl Conversation for Change {
    fn next(&mut self, answer: Option<Answer>) -> Step {
        match (self.state, answer) {
            (State::Beginning, _) => self.begin(),
            (State::Exchanging, Some(answer)) if answer.code == "D0" => self.send(&answer.message),
            (State::Sent, Some(answer)) => self.sent(answer),
            (_, answer) => Step::Done(judged(answer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_agent_takes_is_refused_and_not_shown() {
        let long = "x".repeat(PASSWORD_MAX + 1);
        for bad in ["", "two\nlines", "nul\0", long.as_str()] {
            let fault = check(bad.as_bytes()).unwrap_err();
            assert!(bad.is_empty() || !fault.to_string().contains(bad));
        }
        assert!(check(b"\xff").is_err());
        assert!(check("tab\t and pässwörd".as_bytes()).is_ok());
    }

    #[test]
    fn generated_ones_differ_and_have_their_letters() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(*one, *other);
        assert!(one.len() == GENERATED_LEN && one.iter().all(|byte| LETTERS.contains(byte)));
    }
}
