//! Every step of a letter, and what may come between any two.

use super::*;
use crate::request::Request;

fn guest() -> Guest {
    Guest { domid: 7, uuid: "u".into(), name: "web".into() }
}

fn begin(letter: Letter) -> (Exchange, Option<Op>) {
    let (exchange, op) = Exchange::begin(guest(), letter, "t".into());
    (exchange, Some(op))
}

fn command() -> Letter {
    Letter::request("id", &Request::text("version", "agent"))
}

fn shown(op: Option<Op>) -> String {
    op.map_or_else(String::new, |op| op.to_string().replace("/local/domain/7/", ""))
}

/// Up to the moment in which an answer is waited for.
fn waiting(letter: Letter) -> Exchange {
    let (mut exchange, _) = begin(letter);
    exchange.replied(Ok(b"web".to_vec()));
    exchange.replied(Ok(b"OK\0".to_vec()));
    exchange.fired();
    assert_eq!(shown(exchange.replied(Ok(b"OK\0".to_vec()))), "");
    exchange
}

#[test]
fn a_command_is_written_when_its_answer_is_watched_for_and_leaves_nothing() {
    let (mut exchange, op) = begin(command());
    assert_eq!(shown(op), "READ name");
    assert_eq!(shown(exchange.replied(Ok(b"web".to_vec()))), "WATCH data/guest/id t");
    assert_eq!(shown(exchange.replied(Ok(b"OK\0".to_vec()))), "");
    assert_eq!(shown(exchange.fired()), "WRITE data/host/id (34 bytes)");
    assert_eq!(shown(exchange.replied(Ok(b"OK\0".to_vec()))), "");
    assert_eq!(shown(exchange.fired()), "READ data/guest/id");
    assert_eq!(shown(exchange.replied(Ok(b"answer".to_vec()))), "RM data/guest/id");
    assert_eq!(exchange.outcome(), None);
    assert_eq!(shown(exchange.replied(Ok(b"OK\0".to_vec()))), "UNWATCH data/guest/id t");
    assert_eq!(shown(exchange.replied(Ok(b"OK\0".to_vec()))), "");
    assert_eq!(exchange.outcome(), Some(Outcome::Answered(b"answer".to_vec())));
}

#[test]
fn the_first_event_may_come_before_the_watch_is_acknowledged() {
    let (mut exchange, _) = begin(command());
    exchange.replied(Ok(b"web".to_vec()));
    assert_eq!(shown(exchange.fired()), "");
    assert_eq!(shown(exchange.replied(Ok(b"OK\0".to_vec()))), "WRITE data/host/id (34 bytes)");
    // The answer is there before the write is acknowledged.
    assert_eq!(shown(exchange.fired()), "");
    assert_eq!(shown(exchange.replied(Ok(b"OK\0".to_vec()))), "READ data/guest/id");
}

#[test]
fn an_event_without_an_answer_is_waited_over_unless_the_guest_is_gone() {
    let mut exchange = waiting(command());
    assert_eq!(shown(exchange.fired()), "READ data/guest/id");
    assert_eq!(shown(exchange.replied(Err(Refusal::NOENT))), "READ name");
    // An answer while that is looked up.
    assert_eq!(shown(exchange.fired()), "");
    assert_eq!(shown(exchange.replied(Ok(b"web".to_vec()))), "READ data/guest/id");
    assert_eq!(shown(exchange.replied(Ok(Vec::new()))), "READ name");
    assert_eq!(shown(exchange.replied(Ok(b"web".to_vec()))), "");
    assert_eq!(shown(exchange.released()), "READ data/guest/id");
    assert_eq!(shown(exchange.replied(Err(Refusal::NOENT))), "READ name");
    // The letter may have been written when the guest had gone, and is there.
    assert_eq!(shown(exchange.replied(Err(Refusal::NOENT))), "RM data/host/id");
    assert_eq!(shown(exchange.replied(Ok(Vec::new()))), "RM data/guest/id");
    assert_eq!(shown(exchange.replied(Err(Refusal::NOENT))), "UNWATCH data/guest/id t");
    exchange.replied(Err(Refusal::NOENT));
    assert_eq!(exchange.outcome(), Some(Outcome::Gone));
    let mut exchange = waiting(Letter::order("reboot"));
    exchange.released();
    assert_eq!(shown(exchange.replied(Ok(b"reboot".to_vec()))), "READ name");
    assert_eq!(shown(exchange.replied(Err(Refusal::NOENT))), "RM control/shutdown", "not written: that would make it");
    assert_eq!(shown(exchange.replied(Ok(Vec::new()))), "UNWATCH control/shutdown t");
    exchange.replied(Ok(Vec::new()));
    assert_eq!(exchange.outcome(), Some(Outcome::Gone));
}

#[test]
fn given_up_in_any_state_it_takes_the_letter_back() {
    let finish = |mut exchange: Exchange, mut op: Option<Op>| {
        let mut asked = Vec::new();
        while let Some(next) = op {
            asked.push(shown(Some(next.clone())));
            // The event that a watch begins with.
            op = exchange.replied(Ok(b"OK\0".to_vec())).or_else(|| {
                if matches!(exchange.state, State::Watching { fired: false, .. }) { exchange.fired() } else { None }
            });
        }
        (exchange.outcome(), asked)
    };
    let all = ["READ name", "WATCH data/guest/id t", "WRITE data/host/id (34 bytes)"];
    for (steps, first) in all.iter().enumerate() {
        let (mut exchange, mut op) = begin(command());
        for _ in 0..steps {
            op = exchange.replied(Ok(b"OK\0".to_vec())).or_else(|| exchange.fired());
        }
        assert!(exchange.give_up().is_none(), "something is under way");
        let (outcome, asked) = finish(exchange, op);
        assert_eq!(outcome, Some(Outcome::GivenUp), "after {steps}: {asked:?}");
        assert_eq!(asked[0], *first);
        if steps > 0 {
            assert_eq!(asked.last().unwrap(), "UNWATCH data/guest/id t");
        }
        assert_eq!(asked.contains(&"RM data/host/id".to_owned()), steps == 2);
    }
    let mut exchange = waiting(command());
    let op = exchange.give_up();
    let (outcome, asked) = finish(exchange, op);
    assert_eq!(outcome, Some(Outcome::GivenUp));
    assert_eq!(asked, ["RM data/host/id", "RM data/guest/id", "UNWATCH data/guest/id t"]);
}

#[test]
fn an_order_is_taken_when_the_guest_empties_it() {
    let mut exchange = waiting(Letter::order("poweroff"));
    // Our own write is an event, too.
    assert_eq!(shown(exchange.fired()), "READ control/shutdown");
    assert_eq!(shown(exchange.replied(Ok(b"poweroff".to_vec()))), "READ name");
    assert_eq!(shown(exchange.replied(Ok(b"web".to_vec()))), "");
    assert_eq!(shown(exchange.fired()), "READ control/shutdown");
    assert_eq!(shown(exchange.replied(Ok(Vec::new()))), "UNWATCH control/shutdown t");
    exchange.replied(Ok(Vec::new()));
    assert_eq!(exchange.outcome(), Some(Outcome::Answered(Vec::new())));

    let mut exchange = waiting(Letter::order("reboot"));
    assert_eq!(shown(exchange.give_up()), "WRITE control/shutdown (0 bytes)");
}

#[test]
fn what_xenstored_refuses_is_told() {
    let (mut exchange, _) = begin(command());
    exchange.replied(Ok(b"web".to_vec()));
    exchange.replied(Ok(b"OK\0".to_vec()));
    exchange.fired();
    assert_eq!(shown(exchange.replied(Err(Refusal::INVAL))), "UNWATCH data/guest/id t");
    exchange.replied(Ok(Vec::new()));
    assert_eq!(exchange.outcome(), Some(Outcome::Refused("to write the request", Refusal::INVAL)));
    let (mut exchange, _) = begin(command());
    exchange.replied(Err(Refusal::NOENT));
    assert_eq!(exchange.outcome(), Some(Outcome::Gone));
}
