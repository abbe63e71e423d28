//! Conversations with many guests at once, in one loop: a watch for each answer that is waited for, no polling.
//!
//! Guarantees: each guest's outcome is told once, as it comes. What is not answered in time is taken back, and so is
//! all that waits when somebody wants an end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use nanova_core::wire::xenstore::Refusal;

use crate::answer::Answer;
use crate::connection::{Connection, Happening, Tag};
use crate::conversation::{Conversation, Step, judged};
use crate::exchange::{Exchange, Outcome};
use crate::fault::Fault;
use crate::guests::{Guest, running};
use crate::letter::{Kind, Letter};
use crate::op::Op;
use crate::request::Request;

/// The tokens of the watches on domains that come and go.
const CAME: &str = "came";
const WENT: &str = "went";
/// How long taking everything back may take, after a signal.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// A domain that just came gets its uuid a moment later, which no watch tells.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For each answer.
    pub(crate) timeout: Duration,
    /// Whether a guest that reboots or migrates is asked again as the new domain.
    pub(crate) follow: bool,
}

/// A guest and what is said to it.
pub(crate) struct Job {
    /// Whom.
    pub(crate) guest: Guest,
    /// What.
    pub(crate) conversation: Box<dyn Conversation>,
}

/// What is told of a guest: what it answered, or why it did not.
pub(crate) type Told<'t> = dyn FnMut(&Guest, Result<Answer, Fault>) + 't;

struct Task {
    job: Job,
    exchange: Option<Exchange>,
    /// Counts its letters: an event or a deadline of an earlier one is none.
    serial: u64,
    /// What it said last, for when the guest comes back.
    said: Option<Said>,
    over: bool,
}

/// A letter that can be written once more.
enum Said {
    Request(Request),
    Order(&'static str),
}

impl Said {
    fn letter(&self) -> Result<Letter, Fault> {
        Ok(match self {
            Said::Request(request) => Letter::request(&fresh_id()?, request),
            Said::Order(what) => Letter::order(what),
        })
    }
}

/// The moments at which letters are given up: all of them wait equally long, so this is in order. A letter is a guest's
/// of this tag, the one of this number; those that were answered stay until their moment, and are none then.
#[derive(Default)]
struct Deadlines(VecDeque<(Instant, Tag, u64)>);

impl Deadlines {
    /// The first of them, of letters that wait.
    fn next(&mut self, waits: impl Fn(Tag, u64) -> bool) -> Option<Instant> {
        while self.0.pop_front_if(|(_, tag, serial)| !waits(*tag, *serial)).is_some() {}
        self.0.front().map(|(deadline, ..)| *deadline)
    }

    /// Whose letter waits for too long.
    fn due(&mut self, now: Instant, waits: impl Fn(Tag, u64) -> bool) -> Option<Tag> {
        self.next(waits)?;
        self.0.pop_front_if(|(deadline, ..)| *deadline <= now).map(|(_, tag, _)| tag)
    }
}

struct Runner<'r> {
    connection: &'r mut Connection,
    tasks: Vec<Task>,
    patience: Patience,
    deadlines: Deadlines,
    left: usize,
    told: &'r mut Told<'r>,
}

/// Runs all of them to their ends.
pub(crate) fn run<'r>(
    connection: &'r mut Connection,
    jobs: Vec<Job>,
    patience: Patience,
    told: &'r mut Told<'r>,
) -> Result<(), Fault> {
    let tasks: Vec<Task> =
        jobs.into_iter().map(|job| Task { job, exchange: None, serial: 0, said: None, over: false }).collect();
    let left = tasks.len();
    let mut runner = Runner { connection, tasks, patience, deadlines: Deadlines::default(), left, told };
    runner.begin()?;
    let ended = runner.serve();
    let watches = [("@releaseDomain", WENT), ("@introduceDomain", CAME)];
    let watches = watches.iter().filter(|(_, token)| *token == WENT || patience.follow);
    let _ = runner.connection.ask_all(watches.map(|(path, token)| Op::unwatch(*path, token)));
    ended
}

impl Runner<'_> {
    fn begin(&mut self) -> Result<(), Fault> {
        let mut watches = vec![Op::watch("@releaseDomain", WENT)];
        watches.extend(self.patience.follow.then(|| Op::watch("@introduceDomain", CAME)));
        // A daemon without these says nothing of domains that go; then a time-out does.
        self.connection.ask_all(watches)?;
        (0..self.tasks.len()).try_for_each(|tag| self.go_on(tag, None))
    }

    fn serve(&mut self) -> Result<(), Fault> {
        while self.left > 0 {
            let until = self.next_deadline();
            match self.connection.next(until)? {
                Happening::Reply(tag, reply) => self.advance(tag, |exchange| exchange.replied(reply))?,
                Happening::Fired(token) if token == WENT => self.each(Exchange::released)?,
                Happening::Fired(token) if token == CAME => self.look_for_followed()?,
                Happening::Fired(token) => self.fired(&token)?,
                Happening::Late => self.late()?,
                Happening::Interrupted => return self.take_all_back(),
            }
        }
        Ok(())
    }

    fn fired(&mut self, token: &str) -> Result<(), Fault> {
        let tag = token.split('.').next().and_then(|tag| tag.parse().ok());
        let is_of_it = |task: &Task| task.exchange.as_ref().is_some_and(|exchange| exchange.token() == token);
        match tag {
            Some(tag) if self.tasks.get(tag).is_some_and(is_of_it) => self.advance(tag, Exchange::fired),
            _ => Ok(()),
        }
    }

    fn each(&mut self, step: fn(&mut Exchange) -> Option<Op>) -> Result<(), Fault> {
        (0..self.tasks.len()).try_for_each(|tag| self.advance(tag, step))
    }

    /// A step of a letter, and what follows when that was its last.
    fn advance(&mut self, tag: Tag, step: impl FnOnce(&mut Exchange) -> Option<Op>) -> Result<(), Fault> {
        let Some(exchange) = self.tasks.get_mut(tag).and_then(|task| task.exchange.as_mut()) else { return Ok(()) };
        if let Some(op) = step(exchange) {
            self.connection.submit(tag, op);
        }
        match exchange.outcome() {
            None => Ok(()),
            Some(outcome) => self.over(tag, outcome),
        }
    }

    /// A letter is over.
    fn over(&mut self, tag: Tag, outcome: Outcome) -> Result<(), Fault> {
        let Some(task) = self.tasks.get_mut(tag) else { return Ok(()) };
        let kind = task.said.as_ref().map_or(Kind::Command, |said| match said {
            Said::Request(_) => Kind::Command,
            Said::Order(_) => Kind::Order,
        });
        task.exchange = None;
        let guest = &task.job.guest;
        let fault = match outcome {
            Outcome::Answered(_) if kind == Kind::Order => return self.go_on(tag, Some(Answer::done(""))),
            Outcome::Answered(value) => match judged(Answer::parse(&value)) {
                Ok(answer) => return self.go_on(tag, Some(answer)),
                Err(fault) => fault,
            },
            Outcome::Gone if self.patience.follow && !guest.uuid.is_empty() => return self.look_for_followed(),
            Outcome::Gone => Fault::Gone(
                "the guest is gone: it was shut down, rebooted or migrated; --follow asks it again as its next domain"
                    .into(),
            ),
            Outcome::GivenUp => Fault::Silent(silence(self.patience.timeout, kind)),
            Outcome::Refused(what, why) if why == Refusal::TOOBIG => Fault::here(format!(
                "xenstored refuses {what}: {why}; the request is too long for this guest's xenstore"
            )),
            Outcome::Refused(what, why) => {
                Fault::here(format!("xenstored refuses {what}: {why}; are you root in dom0?"))
            }
        };
        self.tell(tag, Err(fault));
        Ok(())
    }

    /// The conversation's next letter, or its end.
    fn go_on(&mut self, tag: Tag, answer: Option<Answer>) -> Result<(), Fault> {
        let Some(task) = self.tasks.get_mut(tag) else { return Ok(()) };
        let said = match task.job.conversation.next(answer) {
            Step::Request(request) => Said::Request(request),
            Step::Order(what) => Said::Order(what),
            Step::Done(outcome) => {
                self.tell(tag, outcome);
                return Ok(());
            }
        };
        task.said = Some(said);
        self.write(tag)
    }

    /// Writes what was said last.
    fn write(&mut self, tag: Tag) -> Result<(), Fault> {
        let Some(task) = self.tasks.get_mut(tag) else { return Ok(()) };
        let Some(letter) = task.said.as_ref().map(Said::letter).transpose()? else { return Ok(()) };
        let (len, max) = (letter.payload_len(&task.job.guest), self.connection.payload_max());
        if len > max {
            let more = len - max;
            self.tell(
                tag,
                Err(Fault::here(format!("the request is {more} bytes longer than a xenstore packet takes ({max})"))),
            );
            return Ok(());
        }
        task.serial += 1;
        let token = format!("{tag}.{}", task.serial);
        let (exchange, op) = Exchange::begin(task.job.guest.clone(), letter, token);
        task.exchange = Some(exchange);
        self.deadlines.0.push_back((Instant::now() + self.patience.timeout, tag, task.serial));
        self.connection.submit(tag, op);
        Ok(())
    }

    fn tell(&mut self, tag: Tag, outcome: Result<Answer, Fault>) {
        if let Some(task) = self.tasks.get_mut(tag).filter(|task| !task.over) {
            task.over = true;
            task.exchange = None;
            task.said = None;
            self.left -= 1;
            (self.told)(&task.job.guest, outcome);
        }
    }

    /// The next moment at which there is something to do.
    fn next_deadline(&mut self) -> Option<Instant> {
        let deadline = self.deadlines.next(waits_in(&self.tasks));
        if !self.patience.follow || !self.tasks.iter().any(is_followed) {
            return deadline;
        }
        deadline.map(|deadline| deadline.min(Instant::now() + LOOK_AGAIN))
    }

    /// A deadline has come, or it is time to look again.
    fn late(&mut self) -> Result<(), Fault> {
        while let Some(tag) = self.deadlines.due(Instant::now(), waits_in(&self.tasks)) {
            if self.tasks.get(tag).is_some_and(is_followed) {
                self.tell(tag, Err(Fault::Gone("the guest is gone, and did not come back in time".into())));
            }
            self.advance(tag, Exchange::give_up)?;
        }
        if self.tasks.iter().any(is_followed) { self.look_for_followed() } else { Ok(()) }
    }

    /// Whether those that are gone have come back as other domains.
    fn look_for_followed(&mut self) -> Result<(), Fault> {
        if !self.tasks.iter().any(is_followed) {
            return Ok(());
        }
        let guests = running(self.connection)?;
        for tag in 0..self.tasks.len() {
            let Some(task) = self.tasks.get_mut(tag).filter(|task| is_followed(task)) else { continue };
            let old = &task.job.guest;
            let new = guests.iter().find(|guest| guest.uuid == old.uuid && guest.domid != old.domid);
            if let Some(new) = new {
                task.job.guest = new.clone();
                self.write(tag)?;
            }
        }
        Ok(())
    }

    /// Somebody wants an end: every letter is taken back.
    fn take_all_back(&mut self) -> Result<(), Fault> {
        let end = Instant::now() + LAST_WORDS;
        (0..self.tasks.len()).for_each(|tag| self.close(tag, Exchange::give_up));
        while self.tasks.iter().any(|task| task.exchange.is_some()) {
            match self.connection.next(Some(end))? {
                Happening::Reply(tag, reply) => self.close(tag, |exchange| exchange.replied(reply)),
                Happening::Fired(token) => {
                    let tag = token.split('.').next().and_then(|tag| tag.parse().ok());
                    self.close(tag.unwrap_or(Tag::MAX), Exchange::fired);
                }
                Happening::Late => break,
                Happening::Interrupted => {}
            }
        }
        Err(Fault::Interrupted)
    }

    /// A step of a letter after which nothing more is said.
    fn close(&mut self, tag: Tag, step: impl FnOnce(&mut Exchange) -> Option<Op>) {
        let Some(task) = self.tasks.get_mut(tag) else { return };
        let Some(exchange) = task.exchange.as_mut() else { return };
        if let Some(op) = step(exchange) {
            self.connection.submit(tag, op);
        }
        if exchange.outcome().is_some() {
            task.exchange = None;
        }
    }
}

/// Whether a letter is one that waits: its guest's last one.
fn waits_in(tasks: &[Task]) -> impl Fn(Tag, u64) -> bool {
    |tag, serial| tasks.get(tag).is_some_and(|task| !task.over && task.serial == serial)
}

/// Whether it waits for its guest to come back.
fn is_followed(task: &Task) -> bool {
    !task.over && task.exchange.is_none() && task.said.is_some()
}

fn silence(timeout: Duration, kind: Kind) -> String {
    let seconds = timeout.as_secs();
    match kind {
        Kind::Command => format!(
            "no answer within {seconds} s, the request is taken back; does an agent run in the guest? --timeout waits longer"
        ),
        Kind::Order => format!(
            "the guest's kernel did not take the order within {seconds} s, it is taken back; has it Xen's drivers?"
        ),
    }
}

/// A request's name, which nobody else uses.
fn fresh_id() -> Result<String, Fault> {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
    Ok(uuid.map_err(|error| Fault::here(format!("no uuid of the kernel's: {error}")))?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_guests_deadline_is_none_of_those_that_have_answered_and_were_asked_more() {
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(9));
        let mut deadlines = Deadlines(VecDeque::from([(now, 0, 1), (now, 1, 1), (now, 2, 1), (later, 1, 2)]));
        let waits = |tag, serial| [(0, 1), (1, 2), (2, 1)].contains(&(tag, serial));
        let due = [0, 1, 2].map(|_| deadlines.due(now, waits));
        assert_eq!((due, deadlines.next(waits)), ([Some(0), Some(2), None], Some(later)));
        assert_eq!((deadlines.due(later, waits), deadlines.next(waits)), (Some(1), None));
    }
}
