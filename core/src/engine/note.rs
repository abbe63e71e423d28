//! The note of what is under service, on a page that outlives the agent ([`Notes`]): so that a command that ends the
//! agent is not run again and again, and no request twice whose response is there.
//!
//! | words | are |
//! |---|---|
//! | 0 | what says that this is such a page |
//! | 1 … 4 | the command that is run, and the one that an errand is under way for: a name, and how far it is |
//! | 5 … 12 | those that earlier agents ended with, in the same form |
//! | 13, 14 … 77 | requests that were served and cannot be removed: which place is next, names |
//!
//! A name is a fingerprint of it. Of two words of a command the name is written first and cleared last, so that
//! whatever ends the agent in between leaves none that is half there.

use crate::platform::Notes;
use crate::wire::fingerprint;

/// `nanova 1`
const PAGE: u64 = 0x3120_6176_6f6e_616e;
const COMMANDS: usize = 1;
const EARLIER: usize = 5;
const EARLIER_COUNT: usize = 4;
const NEXT_STAY: usize = 13;
const STAYS: usize = 14;
const STAYS_COUNT: usize = 64;
/// How often a command is run that ends the agent: once more than the first time, as whatever ended that may have had
/// nothing to do with it.
const RUNS_MAX: u64 = 2;
/// Added to the number of runs when the response is written.
const WRITTEN: u64 = 1 << 8;

/// Where a command is noted.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// One that is run.
    Run = COMMANDS as isize,
    /// One that an errand is under way for.
    Errand = COMMANDS as isize + 2,
}

/// What earlier agents have done about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing that is known of.
    Nothing,
    /// One ended while it ran.
    Begun,
    /// As many did as are to.
    TooOften,
    /// Its response was written.
    Answered,
}

/// At the start of an agent: whatever is under service was that of an earlier one.
pub(crate) fn begin<P: Notes>(page: &mut P) {
    if page.word(0) != PAGE {
        (1..STAYS + STAYS_COUNT).for_each(|at| page.set_word(at, 0));
        page.set_word(0, PAGE);
    }
    for place in [Place::Run as usize, Place::Errand as usize] {
        let (name, state) = (page.word(place), page.word(place + 1));
        if state != 0 {
            keep(page, name, state);
        }
        page.set_word(place + 1, 0);
    }
}

/// Notes a command.
fn put<P: Notes>(page: &mut P, at: usize, name: u64, state: u64) {
    page.set_word(at + 1, 0);
    page.set_word(at, name);
    page.set_word(at + 1, state);
}

/// Keeps what an earlier agent ended with; the one that was kept longest makes room for it.
fn keep<P: Notes>(page: &mut P, name: u64, state: u64) {
    const LAST: usize = EARLIER + 2 * EARLIER_COUNT - 2;
    let free = earlier(page, name).or_else(|| (EARLIER..=LAST).step_by(2).find(|at| page.word(at + 1) == 0));
    if free.is_none() {
        for at in (EARLIER..LAST).step_by(2) {
            let (name, state) = (page.word(at + 2), page.word(at + 3));
            put(page, at, name, state);
        }
    }
    put(page, free.unwrap_or(LAST), name, state);
}

/// Where an earlier agent's command of this name is noted.
fn earlier<P: Notes>(page: &mut P, name: u64) -> Option<usize> {
    (EARLIER..EARLIER + 2 * EARLIER_COUNT).step_by(2).find(|at| page.word(at + 1) != 0 && page.word(*at) == name)
}

/// What is known of a request.
pub(crate) fn before<P: Notes>(page: &mut P, name: &str) -> Before {
    let Some(at) = earlier(page, fingerprint(name)) else { return Before::Nothing };
    match page.word(at + 1) {
        state if state >= WRITTEN => Before::Answered,
        runs if runs >= RUNS_MAX => Before::TooOften,
        _ => Before::Begun,
    }
}

/// A command is about to be run.
pub(crate) fn run<P: Notes>(page: &mut P, place: Place, name: &str) {
    let name = fingerprint(name);
    let earlier = earlier(page, name);
    let runs = earlier.map_or(0, |at| page.word(at + 1));
    put(page, place as usize, name, runs + 1);
    if let Some(at) = earlier {
        page.set_word(at + 1, 0);
    }
}

/// It was not run after all: it waits for its turn.
pub(crate) fn not_run<P: Notes>(page: &mut P) {
    let (name, runs) = (page.word(Place::Run as usize), page.word(Place::Run as usize + 1));
    if runs > 1 {
        keep(page, name, runs - 1);
    }
    page.set_word(Place::Run as usize + 1, 0);
}

/// The requests that are there were looked at: those that were answered before and are not there are gone.
pub(crate) fn forget_answered<P: Notes>(page: &mut P) {
    for at in (EARLIER..EARLIER + 2 * EARLIER_COUNT).step_by(2) {
        if page.word(at + 1) >= WRITTEN {
            page.set_word(at + 1, 0);
        }
    }
}

/// A command that was run has begun an errand.
pub(crate) fn is_errand<P: Notes>(page: &mut P) {
    let (name, state) = (page.word(Place::Run as usize), page.word(Place::Run as usize + 1));
    put(page, Place::Errand as usize, name, state);
    page.set_word(Place::Run as usize + 1, 0);
}

/// The response of the request of this name is written.
pub(crate) fn written<P: Notes>(page: &mut P, name: &str) {
    for_state(page, name, &mut |state| state | WRITTEN);
}

/// Nothing more is to be done about the request of this name.
pub(crate) fn over<P: Notes>(page: &mut P, name: &str) {
    for_state(page, name, &mut |_| 0);
}

/// Changes how far the request of this name is, wherever that is noted.
fn for_state<P: Notes>(page: &mut P, name: &str, change: &mut dyn FnMut(u64) -> u64) {
    let name = fingerprint(name);
    for at in (COMMANDS..EARLIER + 2 * EARLIER_COUNT).step_by(2) {
        let state = page.word(at + 1);
        if state != 0 && page.word(at) == name {
            page.set_word(at + 1, change(state));
        }
    }
}

/// A request was served and cannot be removed. The last 64 are remembered.
pub(crate) fn stays<P: Notes>(page: &mut P, name: &str) {
    let next = page.word(NEXT_STAY) as usize % STAYS_COUNT;
    page.set_word(STAYS + next, fingerprint(name));
    page.set_word(NEXT_STAY, next as u64 + 1);
}

/// Whether that was so of a request.
pub(crate) fn does_stay<P: Notes>(page: &mut P, name: &str) -> bool {
    let name = fingerprint(name);
    (STAYS..STAYS + STAYS_COUNT).any(|at| page.word(at) == name)
}

/// A name, to recognise it again. Two names with one fingerprint cost one of them its answer, and only where the host
/// has made requests that its guest may not remove, or that end its agent.
pub(crate) fn fingerprint(name: &str) -> u64 {
    fingerprint::fingerprint(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_platform::FakePlatform;

    fn page() -> FakePlatform {
        let mut page = FakePlatform::with(&[]);
        begin(&mut page);
        page
    }

    #[test]
    fn a_command_that_ends_the_agent_is_run_once_more_and_then_no_more() {
        for errand in [false, true] {
            let mut page = page();
            for known in [Before::Nothing, Before::Begun, Before::TooOften, Before::TooOften] {
                assert_eq!((before(&mut page, "a"), before(&mut page, "b")), (known, Before::Nothing));
                if known != Before::TooOften {
                    run(&mut page, Place::Run, "a");
                    if errand {
                        is_errand(&mut page);
                    }
                }
                begin(&mut page);
            }
            over(&mut page, "a");
            assert_eq!(before(&mut page, "a"), Before::Nothing);
        }
    }

    #[test]
    fn a_request_whose_response_was_written_is_known_until_it_is_gone() {
        let mut page = page();
        run(&mut page, Place::Run, "a");
        written(&mut page, "a");
        assert_eq!(before(&mut page, "a"), Before::Nothing, "it is this agent's");
        begin(&mut page);
        assert_eq!(before(&mut page, "a"), Before::Answered);
        begin(&mut page);
        assert_eq!(before(&mut page, "a"), Before::Answered);
        over(&mut page, "a");
        assert_eq!(before(&mut page, "a"), Before::Nothing);
        run(&mut page, Place::Run, "a");
        over(&mut page, "a");
        begin(&mut page);
        assert_eq!(before(&mut page, "a"), Before::Nothing);
        // One that is not there any more is forgotten; one that ended an agent is not.
        run(&mut page, Place::Run, "a");
        written(&mut page, "a");
        run(&mut page, Place::Errand, "b");
        begin(&mut page);
        forget_answered(&mut page);
        assert_eq!((before(&mut page, "a"), before(&mut page, "b")), (Before::Nothing, Before::Begun));
    }

    #[test]
    fn all_that_were_answered_before_and_are_gone_are_forgotten() {
        let mut page = page();
        for name in ["a", "b", "c", "d"] {
            run(&mut page, Place::Run, name);
            written(&mut page, name);
            begin(&mut page);
        }
        forget_answered(&mut page);
        let left = (0..EARLIER_COUNT).filter(|place| page.word(EARLIER + 2 * place + 1) != 0).count();
        assert_eq!(left, 0);
    }

    #[test]
    fn one_that_has_to_wait_was_not_run() {
        let mut page = page();
        run(&mut page, Place::Run, "a");
        not_run(&mut page);
        assert_eq!(page.word(Place::Run as usize + 1), 0);
        begin(&mut page);
        assert_eq!(before(&mut page, "a"), Before::Nothing);
        run(&mut page, Place::Run, "a");
        for _ in 0..3 {
            begin(&mut page);
            assert_eq!(before(&mut page, "a"), Before::Begun);
            run(&mut page, Place::Run, "a");
            not_run(&mut page);
        }
        assert_eq!(before(&mut page, "a"), Before::Begun);
    }

    #[test]
    fn others_that_are_served_do_not_make_what_ended_an_agent_forgotten() {
        let mut page = page();
        run(&mut page, Place::Run, "deadly");
        begin(&mut page);
        for name in ["a", "b", "c"] {
            run(&mut page, Place::Run, name);
            over(&mut page, name);
        }
        assert_eq!(before(&mut page, "deadly"), Before::Begun);
        // Four of earlier agents are known; of a fifth the first is forgotten.
        for (place, name) in ["p", "q", "r", "s"].iter().enumerate() {
            assert_eq!(before(&mut page, "deadly"), Before::Begun, "{place}");
            run(&mut page, if place % 2 == 0 { Place::Run } else { Place::Errand }, name);
            begin(&mut page);
        }
        let known = ["deadly", "p", "q", "r", "s"].map(|name| before(&mut page, name) == Before::Begun);
        assert_eq!(known, [false, true, true, true, true]);
    }

    #[test]
    fn both_of_two_commands_at_once_are_known_after_the_end() {
        let mut page = page();
        run(&mut page, Place::Run, "long");
        is_errand(&mut page);
        run(&mut page, Place::Run, "short");
        begin(&mut page);
        assert_eq!((before(&mut page, "long"), before(&mut page, "short")), (Before::Begun, Before::Begun));
    }

    #[test]
    fn sixty_four_requests_that_stay_are_remembered_over_a_start() {
        let mut page = page();
        let names: Vec<String> = (0..65).map(|number| number.to_string()).collect();
        names.iter().for_each(|name| stays(&mut page, name));
        begin(&mut page);
        let known: Vec<bool> = names.iter().map(|name| does_stay(&mut page, name)).collect();
        assert!(!known[0] && known[1..].iter().all(|known| *known));
    }

    #[test]
    fn a_page_of_anything_else_says_nothing() {
        let mut page = FakePlatform::with(&[]);
        (0..100).for_each(|at| page.set_word(at, fingerprint("a")));
        begin(&mut page);
        assert_eq!((before(&mut page, "a"), does_stay(&mut page, "a")), (Before::Nothing, false));
        // Whatever is where the next place is told.
        page.set_word(NEXT_STAY, u64::MAX);
        stays(&mut page, "a");
        assert!(does_stay(&mut page, "a"));
    }

    /// Killed between any two changes of a word, a page still says what is so: never a name with another's state.
    #[test]
    fn whatever_ends_the_agent_leaves_no_note_that_is_half_there() {
        struct Cut(FakePlatform, usize);
        impl Notes for Cut {
            fn word(&mut self, at: usize) -> u64 {
                self.0.word(at)
            }
            fn set_word(&mut self, at: usize, value: u64) {
                if let Some(left) = self.1.checked_sub(1) {
                    self.1 = left;
                    self.0.set_word(at, value);
                }
            }
            fn outlives(&self) -> bool {
                true
            }
        }
        for left in 0..60 {
            let mut page = Cut(page(), left);
            run(&mut page, Place::Run, "old");
            written(&mut page, "old");
            over(&mut page, "old");
            run(&mut page, Place::Run, "long");
            is_errand(&mut page);
            run(&mut page, Place::Run, "new");
            begin(&mut page);
            page.1 = usize::MAX;
            begin(&mut page);
            assert_ne!(before(&mut page, "new"), Before::Answered, "{left}");
            assert_ne!(before(&mut page, "long"), Before::Answered, "{left}");
            assert_ne!(before(&mut page, "old"), Before::TooOften, "{left}");
        }
    }
}
