//! The service on a xenstore in memory: what is asked below data/host, and what is there afterwards.

use super::*;
use crate::test_platform::FakePlatform;
use crate::test_xenstore::{FakeXenstore, events};
use crate::wire::errno::Errno;
use crate::wire::xenstore::MessageType;
use crate::xenstore::Lost;

const ASKS: &str = r#"{"name":"version","value":""}"#;
const ANSWER: &str = concat!(r#"{"returncode":"0","message":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

/// An agent and its host.
struct Guest {
    requests: Requests,
    client: Client<FakeXenstore>,
    platform: FakePlatform,
}

impl Guest {
    /// A host that asks for the version under each of these names; the agent was just started.
    fn asked(names: &[&str]) -> Guest {
        let mut store = FakeXenstore::with(&[("data/host", "")]);
        names.iter().for_each(|name| store.put(&format!("data/host/{name}"), ASKS));
        Guest::with(store)
    }

    fn with(store: FakeXenstore) -> Guest {
        let mut guest = Guest {
            requests: Requests::new(Target::Off),
            client: Client::new(store),
            platform: FakePlatform::with(&[("/etc/motd", "old")]),
        };
        guest.requests.start(&mut guest.client, &mut guest.platform).unwrap();
        guest
    }

    /// The same where nothing outlives the agent.
    fn without_note(names: &[&str]) -> Guest {
        let mut guest = Guest::asked(names);
        guest.platform.notes_last = false;
        guest
    }

    /// The agent is killed, and another one started.
    fn restart(&mut self) {
        self.requests = Requests::new(Target::Off);
        self.reconnect();
    }

    fn store(&mut self) -> &mut FakeXenstore {
        self.client.transport()
    }

    fn serve(&mut self, now: u64) -> Result<Progress, Error> {
        self.requests.serve_one(&mut self.client, &mut self.platform, now)
    }

    /// Serves until nothing is left; returns how many got an answer.
    #[track_caller]
    fn serve_all(&mut self, now: u64) -> usize {
        for served in 0..10_000 {
            match self.serve(now).unwrap() {
                Progress::Served => {}
                Progress::Idle => return served,
                Progress::Waiting(until) => panic!("waits until {until}"),
                Progress::Held => panic!("waits for an errand"),
            }
        }
        panic!("never idle");
    }

    /// The same after the watch has fired.
    #[track_caller]
    fn serve_again(&mut self, now: u64) -> usize {
        self.requests.look_again();
        self.serve_all(now)
    }

    /// Removes old responses until there are none; returns when there will be.
    #[track_caller]
    fn tidy_all(&mut self, now: u64) -> Option<u64> {
        for _ in 0..1000 {
            match self.requests.tidy(&mut self.client, now).unwrap() {
                Progress::Served => {}
                Progress::Waiting(until) => return Some(until),
                progress => {
                    assert_eq!(progress, Progress::Idle);
                    return None;
                }
            }
        }
        panic!("never tidy");
    }

    /// Takes note of all events, as the engine does.
    fn hear(&mut self) {
        while self.store().has_news() {
            self.client.receive_events().unwrap();
        }
        while let Some(event) = self.client.next_event().unwrap() {
            if self.requests.take_event(event) == EventMeaning::Named {
                return;
            }
        }
        self.requests.look_again();
    }

    /// What was asked since the last time.
    fn asked_since(&mut self) -> Vec<(MessageType, String)> {
        core::mem::take(&mut self.store().asked).into_iter().map(|(kind, path, _)| (kind, path)).collect()
    }

    /// The connection is lost and made again.
    fn reconnect(&mut self) {
        let mut store = core::mem::take(self.store());
        store.reconnect();
        self.client = Client::new(store);
        self.requests.start(&mut self.client, &mut self.platform).unwrap();
    }

    fn names_below(&mut self, path: &str) -> Vec<String> {
        self.store().below(path).into_iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// How many commands were run.
    fn runs(&self) -> usize {
        self.platform.logged().matches("Received command").count()
    }
}

#[test]
fn every_request_is_answered_in_the_order_of_the_list_and_gone() {
    for (outlives, transactions) in [(true, 0), (false, 3)] {
        every_request_is_answered(outlives, transactions);
    }
}

fn every_request_is_answered(outlives: bool, transactions: usize) {
    let mut guest = Guest::asked(&["b", "a", "c"]);
    guest.platform.notes_last = outlives;
    assert_eq!(events(&mut guest.client), ["data/host=nanova"]);
    assert_eq!(guest.serve(0), Ok(Progress::Served));
    assert_eq!(
        (guest.names_below("data/guest"), guest.names_below("data/host")),
        (vec!["a".into()], vec!["b".into(), "c".into()])
    );
    assert_eq!(guest.serve(0), Ok(Progress::Served));
    assert_eq!(guest.serve(0), Ok(Progress::Served));
    assert_eq!(guest.serve(0), Ok(Progress::Idle));
    assert_eq!(guest.store().below("data/guest"), [("a", ANSWER), ("b", ANSWER), ("c", ANSWER)]);
    assert_eq!(guest.names_below("data/host"), [""; 0]);
    assert_eq!(guest.runs(), 3);
    assert_eq!(guest.store().asked(MessageType::TRANSACTION_END), vec!["T"; transactions]);
    // What comes later is found once it is looked for.
    guest.store().put("data/host/d", ASKS);
    assert_eq!(guest.serve(0), Ok(Progress::Idle));
    assert_eq!(guest.serve_again(0), 1);
    assert_eq!(guest.store().get("data/guest/d"), Some(ANSWER));
}

#[test]
fn a_host_without_a_directory_of_requests_has_none() {
    let mut guest = Guest::with(FakeXenstore::with(&[("data", "")]));
    assert_eq!(guest.serve_all(0), 0);
    guest.store().put("data/host/a", ASKS);
    assert_eq!(guest.serve_again(0), 1);
}

#[test]
fn a_request_that_the_host_takes_back_is_none() {
    let mut guest = Guest::asked(&["a", "b"]);
    // The watch, the list, and then the value.
    guest.store().meanwhile.push((2, "data/host/a", None));
    assert_eq!(guest.serve_all(0), 1);
    assert_eq!(guest.names_below("data/guest"), ["b"]);
    // While it is run: it is answered all the same.
    let mut guest = Guest::asked(&["a"]);
    guest.store().meanwhile.push((4, "data/host", None));
    assert_eq!(guest.serve_all(0), 1);
    assert_eq!(guest.names_below("data/guest"), ["a"]);
    assert!(!guest.platform.logged().contains("cannot be answered"), "{}", guest.platform.logged());
}

/// Read, answered, and removed when the answer is there.
fn two_trips_and_one(name: &str) -> [(MessageType, String); 3] {
    [
        (MessageType::READ, format!("data/host/{name}")),
        (MessageType::WRITE, format!("data/guest/{name}")),
        (MessageType::RM, format!("data/host/{name}")),
    ]
}

fn the_list() -> (MessageType, String) {
    (MessageType::DIRECTORY, "data/host".into())
}

#[test]
fn a_request_that_comes_alone_is_answered_in_two_round_trips() {
    let mut guest = Guest::asked(&[]);
    guest.serve_all(0);
    guest.hear();
    guest.serve_all(0);
    guest.asked_since();
    guest.store().put("data/host/a", ASKS);
    // Written twice, as by a host that sets permissions: one event, or two.
    guest.store().put("data/host/a", ASKS);
    guest.hear();
    assert_eq!(guest.serve_all(0), 1);
    assert_eq!(guest.asked_since(), two_trips_and_one("a"));
    // Its removal is an event, too: then the list shows that nothing is left.
    guest.hear();
    assert_eq!(guest.serve_all(0), 0);
    assert_eq!(guest.asked_since(), [the_list()]);
    // That event and the next request's together.
    for (name, before) in [("b", "a"), ("c", "b")] {
        guest.store().put(&format!("data/host/{name}"), ASKS);
        if before == "b" {
            // The host asks under the name of the one that was just answered.
            guest.store().put("data/host/b", ASKS);
        }
        guest.hear();
        let again = usize::from(before == "b");
        assert_eq!(guest.serve_all(0), 1 + again);
        let mut expected = two_trips_and_one(name).to_vec();
        if again > 0 {
            expected.push(the_list());
            expected.extend(two_trips_and_one("b"));
        }
        assert_eq!(guest.asked_since(), expected);
    }
}

#[test]
fn of_several_requests_at_once_one_list_is_fetched() {
    let mut guest = Guest::asked(&[]);
    guest.serve_all(0);
    guest.hear();
    guest.serve_all(0);
    guest.asked_since();
    for first in [&["b", "a", "c"][..], &["g", "d", "f", "e"]] {
        first.iter().for_each(|name| guest.store().put(&format!("data/host/{name}"), ASKS));
        guest.hear();
        assert_eq!(guest.serve_all(0), first.len());
        let mut names = first.to_vec();
        names.sort_unstable();
        let mut expected = vec![the_list()];
        expected.extend(names.iter().flat_map(|name| two_trips_and_one(name)));
        assert_eq!(guest.asked_since(), expected);
        // And one for all the removals.
        guest.hear();
        assert_eq!((guest.serve_all(0), guest.asked_since()), (0, vec![the_list()]));
    }
}

#[test]
fn an_event_is_followed_by_a_look_at_requests_if_it_is_ours() {
    let mut guest = Guest::asked(&[]);
    guest.serve_all(0);
    let ours = Event::Fired { path: "data/host/a", token: "nanova" };
    assert_eq!(
        guest.requests.take_event(Event::Fired { path: "data/host/a", token: "other" }),
        EventMeaning::NoneOfOurs
    );
    assert_eq!(guest.requests.take_event(ours), EventMeaning::LookAgain);
    assert_eq!(guest.requests.take_event(Event::Overflow), EventMeaning::LookAgain);
    // Where lists have no parts.
    let mut guest = Guest::asked(&[]);
    guest.store().part = 0;
    guest.serve_all(0);
    assert_eq!(guest.requests.take_event(ours), EventMeaning::Named);
    assert_eq!(guest.requests.take_event(Event::Overflow), EventMeaning::LookAgain);
    for path in ["data/host", "data/host/a/b", "data/hosts/a", "data"] {
        assert_eq!(
            guest.requests.take_event(Event::Fired { path, token: "nanova" }),
            EventMeaning::LookAgain,
            "{path}"
        );
    }
}

#[test]
fn a_list_that_is_longer_than_a_packet_is_served_in_order_and_whole() {
    let names: Vec<String> = (0..200).map(|number| format!("{number:060}")).collect();
    let mut guest = Guest::asked(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(guest.serve_all(0), 200);
    assert_eq!(guest.names_below("data/guest"), names);
    let written: Vec<_> = guest.store().asked(MessageType::WRITE).into_iter().map(str::to_owned).collect();
    assert_eq!(written, names.iter().map(|name| format!("data/guest/{name}")).collect::<Vec<_>>());
    assert!(guest.store().asked(MessageType::DIRECTORY_PART).len() > 3);
}

#[test]
fn where_a_long_list_cannot_be_had_events_name_the_requests_and_the_list_comes_last() {
    let names: Vec<String> = (0..100).map(|number| format!("{number:060}")).collect();
    let mut guest = Guest::asked(&names.iter().map(String::as_str).collect::<Vec<_>>());
    guest.store().part = 0;
    assert_eq!(guest.serve_all(0), 0);
    let path = format!("data/host/{}", names[7]);
    assert_eq!(guest.requests.take_event(Event::Fired { path: &path, token: "nanova" }), EventMeaning::Named);
    assert_eq!(guest.serve(0), Ok(Progress::Served));
    assert_eq!(guest.names_below("data/guest"), [names[7].as_str()]);
    // That list is still too long, and owed.
    assert_eq!(guest.serve(0), Ok(Progress::Idle));
    // The host takes most of them back: the next event brings the others as well.
    for name in &names[10..] {
        guest.store().take(&format!("data/host/{name}"));
    }
    guest.store().put("data/host/z", ASKS);
    assert_eq!(guest.requests.take_event(Event::Fired { path: "data/host/z", token: "nanova" }), EventMeaning::Named);
    assert_eq!(guest.serve(0), Ok(Progress::Served));
    assert_eq!(guest.store().get("data/guest/z"), Some(ANSWER), "what is named comes first");
    assert_eq!(guest.serve_all(0), 9);
    assert_eq!(guest.names_below("data/host"), [""; 0]);
    // Nothing is owed any more: what an event names is all that is looked at.
    guest.store().asked.clear();
    guest.requests.take_event(Event::Fired { path: "data/host/none", token: "nanova" });
    assert_eq!(guest.serve_all(0), 0);
    assert!(guest.store().asked(MessageType::DIRECTORY).is_empty());
}

#[test]
fn an_event_that_names_none_is_not_forgotten_over_one_that_does() {
    for nameless in [Event::Fired { path: "data/host", token: "nanova" }, Event::Overflow] {
        let mut guest = Guest::asked(&[]);
        guest.store().part = 0;
        guest.serve_all(0);
        // A guest wakes up: what was written before its watch was set, that watch, and a request behind it.
        ["a", "b", "c"].iter().for_each(|name| guest.store().put(&format!("data/host/{name}"), ASKS));
        assert_eq!(guest.requests.take_event(nameless), EventMeaning::LookAgain);
        let named = Event::Fired { path: "data/host/c", token: "nanova" };
        assert_eq!(guest.requests.take_event(named), EventMeaning::Named);
        assert_eq!(guest.serve_all(0), 3, "{nameless:?}");
        assert_eq!(guest.names_below("data/host"), [""; 0]);
    }
}

#[test]
fn a_request_that_cannot_be_read_is_told_once_and_holds_up_no_other() {
    let mut guest = Guest::asked(&["a", "b", "bad", "c"]);
    guest.store().refuses.push((MessageType::READ, "data/host/bad", "EACCES"));
    assert_eq!(guest.serve_all(0), 3);
    assert_eq!(guest.serve_again(0), 0);
    assert_eq!(guest.platform.logged().matches("request bad cannot be read: EACCES").count(), 1);
    assert_eq!(guest.store().asked(MessageType::READ).iter().filter(|path| **path == "data/host/bad").count(), 1);
    assert_eq!(guest.names_below("data/host"), ["bad"]);
}

#[test]
fn a_list_that_is_refused_is_an_error_and_not_a_host_without_requests() {
    let mut guest = Guest::asked(&["a"]);
    guest.store().refuses.push((MessageType::DIRECTORY, "data/host", "EACCES"));
    assert_eq!(guest.serve(0), Err(Error::Refused(Refusal::named("EACCES"))));
    let mut guest = Guest::asked(&["a"]);
    guest.store().lose = Some((0, false));
    assert_eq!(guest.serve(0), Err(Error::Lost(Lost::Closed)));
    assert_eq!(guest.store().asked(MessageType::DIRECTORY), [""; 0]);
}

#[test]
fn a_request_whose_name_is_no_path_stays_and_holds_up_no_other() {
    let long = "x".repeat(2040);
    let mut store = FakeXenstore::with(&[]);
    // The host's paths may be longer than the guest's.
    for name in ["a", &long, "y"] {
        store.put(&format!("/local/domain/7/data/host/{name}"), ASKS);
    }
    let mut guest = Guest::with(store);
    assert_eq!(guest.serve_all(0), 2);
    assert_eq!(guest.names_below("data/guest"), ["a", "y"]);
    assert_eq!(guest.serve_again(0), 0);
}

#[test]
fn requests_that_cannot_be_removed_are_answered_once_in_lists_of_any_length() {
    // Longer than what is listed at once, and some of them stay.
    let names: Vec<String> = (0..150).map(|number| format!("{number:060}")).collect();
    let mut guest = Guest::asked(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for stays in [
        "data/host/000000000000000000000000000000000000000000000000000000000003",
        "data/host/000000000000000000000000000000000000000000000000000000000066",
        "data/host/000000000000000000000000000000000000000000000000000000000149",
    ] {
        guest.store().refuses.push((MessageType::RM, stays, "EACCES"));
    }
    assert_eq!(guest.serve_all(0), 147);
    assert_eq!(
        (guest.runs(), guest.names_below("data/guest").len(), guest.names_below("data/host").len()),
        (150, 150, 3)
    );
    // What is skipped of the list are whole names.
    let asked: Vec<_> = guest.store().asked(MessageType::READ).into_iter().map(str::to_owned).collect();
    assert!(asked.iter().all(|path| names.iter().any(|name| path.ends_with(name))), "{asked:?}");
    guest.store().put("data/host/new", ASKS);
    assert_eq!((guest.serve_again(0), guest.runs()), (1, 151));
    assert_eq!((guest.serve_again(0), guest.runs()), (0, 151));
}

#[test]
fn a_request_that_stays_takes_no_place_in_a_list_that_was_begun_after_it() {
    let mut guest = Guest::asked(&[]);
    guest.store().quota = Some(("data/guest", 1, "ENOSPC"));
    guest.serve_all(0);
    ["a", "b"].iter().for_each(|name| guest.store().put(&format!("data/host/{name}"), ASKS));
    guest.requests.look_again();
    assert_eq!((guest.serve(0), guest.serve(0)), (Ok(Progress::Served), Ok(Progress::Waiting(5000))));
    guest.store().put("data/host/0", ASKS);
    guest.store().refuses.push((MessageType::RM, "data/host/b", "EACCES"));
    guest.requests.look_again();
    assert_eq!(guest.serve(5000), Ok(Progress::Served));
    assert_eq!((guest.names_below("data/guest"), guest.names_below("data/host")), (vec!["0".into()], vec!["b".into()]));
}

#[test]
fn sixty_four_requests_that_stay_are_remembered() {
    let names: Vec<String> = (0..64).map(|number| format!("n{number}")).collect();
    let mut guest = Guest::asked(&names.iter().map(String::as_str).collect::<Vec<_>>());
    guest.store().refuses.push((MessageType::RM, "data/host", "EACCES"));
    assert_eq!((guest.serve_all(0), guest.runs()), (0, 64));
    assert_eq!((guest.serve_again(0), guest.runs()), (0, 64));
    // With one more the oldest is forgotten, and then found again, and so on.
    guest.store().put("data/host/zz", ASKS);
    assert_eq!((guest.serve_again(0), guest.runs()), (0, 65));
    guest.requests.look_again();
    let _ = guest.serve_all(0);
    assert!(guest.runs() > 65);
}

#[test]
fn a_transaction_that_is_refused_for_ever_is_done_in_parts() {
    let mut guest = Guest::without_note(&["a"]);
    guest.store().conflicts = 1000;
    assert_eq!(guest.serve_all(0), 1);
    assert_eq!((guest.names_below("data/guest"), guest.names_below("data/host")), (vec!["a".to_owned()], vec![]));
    assert_eq!(guest.runs(), 1);
    let mut guest = Guest::without_note(&["a"]);
    guest.store().conflicts = 3;
    assert_eq!((guest.serve_all(0), guest.runs()), (1, 1));
    assert!(!guest.platform.logged().contains("cannot be answered"));
}

#[test]
fn a_response_that_may_not_be_written_costs_the_host_an_answer_and_nobody_else_anything() {
    let mut guest = Guest::asked(&["a", "b"]);
    guest.store().refuses.push((MessageType::WRITE, "data/guest/a", "EACCES"));
    assert_eq!(guest.serve_all(0), 2);
    assert_eq!((guest.names_below("data/guest"), guest.names_below("data/host")), (vec!["b".to_owned()], vec![]));
    assert!(guest.platform.logged().contains("request a cannot be answered as it should: xenstored answered EACCES"));
    assert!(guest.store().asked(MessageType::TRANSACTION_START).is_empty(), "that is for want of room");
}

#[test]
fn an_answer_is_written_on_the_next_connection_and_the_command_not_run_again() {
    for (requests, carried_out) in (0..9).flat_map(|requests| [(requests, false), (requests, true)]) {
        let mut guest = Guest::asked(&["a"]);
        guest.store().lose = Some((requests, carried_out));
        let Err(error) = guest.serve(0) else { continue };
        assert_eq!(error, Error::Lost(Lost::Closed));
        let before = guest.runs();
        guest.reconnect();
        let served = guest.serve_all(0);
        assert_eq!(guest.store().below("data/guest"), [("a", ANSWER)], "{requests} {carried_out}");
        assert_eq!((guest.names_below("data/host").len(), guest.runs()), (0, 1), "{requests} {carried_out}");
        assert_eq!(served, 1, "{requests} {carried_out}");
        // From the answer to the read on it has been run.
        assert_eq!(before, usize::from(requests >= 2), "{requests} {carried_out}");
    }
}

#[test]
fn an_answer_that_is_there_already_is_not_written_again() {
    let mut guest = Guest::without_note(&["a"]);
    // List, value, start, removal, write, commit: lost behind it.
    guest.store().lose = Some((5, true));
    assert!(guest.serve(0).is_err());
    // The host asks again under this name: that request is not the one that was answered, but nobody can tell.
    guest.reconnect();
    guest.store().asked.clear();
    assert_eq!(guest.serve_all(0), 1);
    assert_eq!(guest.store().asked(MessageType::WRITE), [""; 0]);
    // An old answer of that name is none to this request.
    let mut guest = Guest::without_note(&["a"]);
    guest.store().put("data/guest/a", "old");
    guest.store().lose = Some((2, false));
    assert!(guest.serve(0).is_err());
    guest.reconnect();
    assert_eq!(guest.serve_all(0), 1);
    assert_eq!(guest.store().below("data/guest"), [("a", ANSWER)]);
}

#[test]
fn a_request_that_stays_after_its_answer_was_found_is_left_alone() {
    let mut guest = Guest::without_note(&["a"]);
    guest.store().lose = Some((5, true));
    assert!(guest.serve(0).is_err());
    guest.reconnect();
    guest.store().put("data/host/a", ASKS);
    guest.store().refuses.push((MessageType::RM, "data/host", "EACCES"));
    assert_eq!((guest.serve_all(0), guest.runs()), (0, 1));
    assert_eq!(guest.names_below("data/host"), ["a"]);
}

#[test]
fn what_the_guest_is_is_how_its_network_was_last_set() {
    let network = r#"{"name":"resetnetwork","value":""}"#;
    let mut guest = Guest::asked(&["a"]);
    assert_eq!(guest.requests.state(), &State::Ready);
    guest.store().put("data/host/b", network);
    guest.serve_all(0);
    let why = "the network is left alone: nanova runs with --network off";
    assert_eq!(guest.requests.state().to_string(), format!("failed: {why}"));
    assert_eq!(guest.store().get("data/guest/b"), Some(&*format!(r#"{{"returncode":"500","message":"{why}"}}"#)));
    assert!(guest.platform.logged().contains(&format!("'resetnetwork' completed with code '500', message '{why}'")));
    // Another command says nothing of the network.
    guest.store().put("data/host/c", ASKS);
    guest.serve_again(0);
    assert_ne!(guest.requests.state(), &State::Ready);
    guest.requests.network = Target::Kernel;
    guest.store().put("data/host/d", network);
    guest.serve_again(0);
    assert_eq!(guest.requests.state(), &State::Ready);
    assert_eq!(guest.store().get("data/guest/d"), Some(r#"{"returncode":"0","message":""}"#));
}

#[test]
fn the_host_is_told_what_the_guest_is_where_it_may_be() {
    let mut client = Client::new(FakeXenstore::with(&[]));
    Requests::tell(&mut client, &State::Starting).unwrap();
    assert_eq!(
        client.transport().below("data/nanova"),
        [("state", "starting"), ("version", env!("CARGO_PKG_VERSION"))]
    );
    Requests::tell(&mut client, &State::Ready).unwrap();
    assert_eq!(client.transport().get("data/nanova/state"), Some("ready"));
    client.transport().refuses.push((MessageType::WRITE, "data/nanova", "EACCES"));
    assert_eq!(Requests::tell(&mut client, &State::Failed(Bounded::new())), Ok(()));
    client.transport().lose = Some((0, false));
    assert!(Requests::tell(&mut client, &State::Ready).is_err());
}

#[test]
fn what_a_killed_agent_left_beside_files_is_looked_for_where_files_are_staged() {
    let places: Vec<_> = places().map(|path| path.as_str().to_owned()).collect();
    for path in ["/etc/shadow", "/etc/hostname", "/etc/network/interfaces", "/etc/netplan/90-nanova.yaml"] {
        let directory = &path[..path.rfind('/').unwrap()];
        let is_there = places.iter().any(|place| &place[..place.rfind('/').unwrap()] == directory);
        assert!(is_there, "{directory}: {places:?}");
    }
}

#[test]
fn an_update_is_ready_when_its_answer_is_written_until_it_is_forgotten() {
    let mut guest = Guest::asked(&[]);
    let (body, sum) = crate::update::tests::program_and_sum();
    guest.platform.put("/etc/agent", "old agent");
    guest.platform.servers = vec![crate::update::tests::with_length(&body)];
    let asks = format!(r#"{{"name":"agentupdate","value":"http://192.0.2.7/agent,{sum}"}}"#);
    guest.store().put("data/host/a", &asks);
    assert!(!guest.requests.update_is_ready());
    // The list, the value, and then the transaction.
    guest.store().lose = Some((2, false));
    assert!(guest.serve(0).is_err());
    assert!(!guest.requests.update_is_ready(), "its answer is not there");
    guest.reconnect();
    assert_eq!(guest.serve(0), Ok(Progress::Served));
    assert!(guest.requests.update_is_ready());
    assert_eq!(guest.store().get("data/guest/a"), Some(r#"{"returncode":"0","message":""}"#));
    guest.requests.forget_update();
    assert!(!guest.requests.update_is_ready());
    // One that fails is none, and takes none away.
    guest.store().put("data/host/b", &asks);
    guest.serve_again(0);
    assert!(!guest.requests.update_is_ready());
}

/// How many responses there may be in these tests.
const ROOM: usize = 5;

fn crowded(names: &[&str], old: &[&str]) -> Guest {
    let mut guest = Guest::asked(names);
    old.iter().for_each(|name| guest.store().put(&format!("data/guest/{name}"), "old"));
    guest.store().quota = Some(("data/guest", ROOM, "ENOSPC"));
    guest
}

#[test]
fn responses_of_an_earlier_agent_make_room_the_oldest_first() {
    for quota in ["ENOSPC", "EQUOTA", "E2BIG"] {
        let mut guest = crowded(&["x", "y"], &["1", "2", "3", "4", "5"]);
        guest.store().quota = Some(("data/guest", ROOM, quota));
        assert_eq!(guest.serve_all(0), 2);
        assert_eq!(guest.names_below("data/guest"), ["3", "4", "5", "x", "y"], "{quota}");
        assert!(guest.platform.logged().contains("no room for the answer to y: that to 2 goes, after 5 s"));
    }
}

#[test]
fn the_responses_of_a_burst_stay_until_a_host_has_seen_them() {
    let mut guest = crowded(&[], &[]);
    guest.serve_all(0);
    for name in ["1", "2", "3", "4", "5", "6", "7"] {
        guest.store().put(&format!("data/host/{name}"), ASKS);
    }
    guest.requests.look_again();
    for _ in 0..5 {
        assert_eq!(guest.serve(1000), Ok(Progress::Served));
    }
    assert_eq!(guest.serve(1500), Ok(Progress::Waiting(6000)));
    assert_eq!(guest.serve(5999), Ok(Progress::Waiting(6000)));
    assert_eq!((guest.runs(), guest.names_below("data/guest").len()), (6, 5), "it is run once");
    assert_eq!(guest.serve(6000), Ok(Progress::Served));
    assert_eq!(guest.names_below("data/guest"), ["2", "3", "4", "5", "6"]);
    assert_eq!(guest.serve(6999), Ok(Progress::Served));
    assert_eq!(guest.serve(6999), Ok(Progress::Idle));
    assert_eq!(guest.names_below("data/guest"), ["3", "4", "5", "6", "7"]);
    assert!(guest.platform.logged().contains("no room for the answer to 7: that to 2 goes, after 5 s"));
    // A pause between requests makes none of them older.
    ["8", "9", "a", "b"].iter().for_each(|name| guest.store().put(&format!("data/host/{name}"), ASKS));
    guest.requests.look_again();
    for _ in 0..3 {
        assert_eq!(guest.serve(7000), Ok(Progress::Served));
    }
    assert_eq!(guest.serve(7000), Ok(Progress::Waiting(11_000)));
    assert_eq!(guest.names_below("data/guest"), ["6", "7", "8", "9", "a"]);
}

#[test]
fn the_responses_of_the_first_burst_stay_too_though_those_before_them_are_looked_for_in_its_midst() {
    let mut guest = crowded(&["1", "2", "3", "4", "5", "6", "7"], &["0"]);
    for _ in 0..4 {
        assert_eq!(guest.serve(1000), Ok(Progress::Served));
    }
    assert_eq!(guest.serve(1500), Ok(Progress::Waiting(6500)));
    assert_eq!(guest.names_below("data/guest"), ["0", "1", "2", "3", "4"]);
    for _ in 0..3 {
        assert_eq!(guest.serve(6500), Ok(Progress::Served));
    }
    assert_eq!(guest.names_below("data/guest"), ["3", "4", "5", "6", "7"]);
}

#[test]
fn a_response_of_the_same_name_is_overwritten_and_not_removed() {
    let mut guest = crowded(&["2"], &["1", "2", "3", "4", "5"]);
    assert_eq!(guest.serve_all(0), 1);
    assert_eq!(guest.names_below("data/guest"), ["1", "2", "3", "4", "5"]);
    assert_eq!(guest.store().get("data/guest/2"), Some(ANSWER));
}

#[test]
fn where_nothing_is_known_that_could_go_all_goes_and_then_the_answer_is_given_up() {
    let mut guest = crowded(&["a", "b"], &[]);
    // Somebody else's, that cannot be listed.
    guest.store().put("data/guest/1", "x");
    guest.store().refuses.push((MessageType::DIRECTORY, "data/guest", "EACCES"));
    guest.store().quota = Some(("data/guest", 1, "ENOSPC"));
    assert_eq!(guest.serve(0), Ok(Progress::Served));
    assert_eq!(guest.names_below("data/guest"), ["a"]);
    assert!(guest.platform.logged().contains("no room for responses (ENOSPC): removing all old ones"));
    let mut guest = crowded(&["a"], &[]);
    guest.store().quota = Some(("data/guest", 0, "EQUOTA"));
    assert_eq!(guest.serve_all(0), 1);
    assert_eq!((guest.names_below("data/guest").len(), guest.names_below("data/host").len(), guest.runs()), (0, 0, 1));
    assert!(guest.platform.logged().contains("request a cannot be answered as it should: xenstored answered EQUOTA"));
    assert_eq!(guest.platform.logged().matches("removing all old ones").count(), 1);
}

#[test]
fn a_response_stays_for_ten_minutes_and_goes_when_there_is_nothing_else_to_do() {
    let mut guest = Guest::asked(&["a"]);
    guest.serve_all(1000);
    for (name, now, left) in [("b", 601_000, vec!["a", "b"]), ("c", 601_100, vec!["b", "c"])] {
        guest.store().put(&format!("data/host/{name}"), ASKS);
        guest.store().asked.clear();
        assert_eq!(guest.serve_again(now), 1);
        assert_eq!(guest.store().asked(MessageType::RM), [format!("data/host/{name}")], "its request's alone");
        guest.tidy_all(now);
        assert_eq!(guest.names_below("data/guest"), left, "{now}");
    }
}

#[test]
fn an_eighth_of_the_room_is_kept_free_so_that_no_answer_waits_for_it() {
    // As much as C xenstored has for UUIDs.
    let mut guest = Guest::asked(&[]);
    guest.store().quota = Some(("data/guest", 53, "ENOSPC"));
    guest.serve_all(0);
    let ask = |guest: &mut Guest, number: usize, now: u64| {
        guest.store().put(&format!("data/host/{number:03}"), ASKS);
        guest.store().asked.clear();
        assert_eq!(guest.serve_again(now), 1);
        guest.store().asked(MessageType::WRITE).len()
    };
    for number in 0..53 {
        assert_eq!(ask(&mut guest, number, 0), 1);
    }
    // The first that is refused says how much room there is.
    assert_eq!(ask(&mut guest, 53, 10_000), 3);
    assert_eq!(guest.tidy_all(10_000), None);
    let left = guest.names_below("data/guest");
    assert_eq!((left.len(), left[0].as_str()), (47, "007"));
    // From then on it is there, for six at once.
    for burst in 0..20 {
        for number in 0..6 {
            let number = 54 + 6 * burst + number;
            assert_eq!(ask(&mut guest, number, 20_000 + 10_000 * burst as u64), 1, "{number}");
        }
        guest.tidy_all(20_000 + 10_000 * burst as u64);
        assert_eq!(guest.names_below("data/guest").len(), 47);
    }
    // Another connection may be to a xenstored with more room.
    guest.reconnect();
    for number in 180..183 {
        assert_eq!(ask(&mut guest, number, 230_000), 1);
    }
    guest.tidy_all(240_000);
    assert_eq!(guest.names_below("data/guest").len(), 50);
    for number in 183..190 {
        ask(&mut guest, number, 250_000);
    }
    guest.tidy_all(250_000);
    assert_eq!(guest.names_below("data/guest").len(), 47);
    // More fit later: that is learned as well.
    guest.store().quota = None;
    for number in 200..300 {
        ask(&mut guest, number, 300_000);
    }
    assert_eq!(guest.tidy_all(310_000), None);
    assert_eq!(guest.names_below("data/guest").len(), 147 - 147 / 8);
}

#[test]
fn a_crowd_of_responses_waits_until_hosts_have_read_them_or_taken_them_away() {
    let mut guest = Guest::asked(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    guest.store().quota = Some(("data/guest", 8, "ENOSPC"));
    assert_eq!((0..8).map(|_| guest.serve(0)).collect::<Vec<_>>(), vec![Ok(Progress::Served); 8]);
    assert_eq!(guest.serve(0), Ok(Progress::Waiting(5000)));
    // The host removes what it has read: there is nothing to wait for.
    guest.store().take("data/guest/a");
    assert_eq!(guest.serve(10), Ok(Progress::Served));
    assert_eq!((guest.serve(10), guest.tidy_all(10)), (Ok(Progress::Idle), None));
    assert_eq!(guest.names_below("data/guest").len(), 8);
    // Two more than seven eighths of all, which nobody has had the time to read.
    let mut guest = Guest::asked(&[]);
    guest.serve_all(0);
    (0..440).for_each(|number| guest.store().put(&format!("data/host/{number:03}"), ASKS));
    assert_eq!((guest.serve_again(0), guest.tidy_all(0)), (440, Some(5000)));
    // One that the host has taken away is not counted any more.
    guest.store().take("data/guest/000");
    assert_eq!(guest.tidy_all(10), Some(5000));
    assert_eq!((guest.tidy_all(4999), guest.names_below("data/guest").len()), (Some(5000), 439));
    assert_eq!((guest.tidy_all(5000), guest.names_below("data/guest").len()), (None, 438));
    // Nothing is removed where nothing can be written.
    let mut guest = Guest::asked(&["a"]);
    guest.serve_all(0);
    guest.store().refuses.push((MessageType::MKDIR, "data/guest", "EACCES"));
    guest.reconnect();
    assert_eq!(guest.tidy_all(1_000_000), None);
    assert_eq!(guest.names_below("data/guest"), ["a"]);
}

#[test]
fn no_more_than_five_hundred_responses_are_kept() {
    // Those of an earlier agent, in more than one packet.
    let mut guest = Guest::asked(&[]);
    for number in 0..510 {
        guest.store().put(&format!("data/guest/{number:036}"), "old");
    }
    guest.serve_all(0);
    let left = guest.names_below("data/guest");
    assert_eq!((left.len(), left[0].as_str()), (500, "000000000000000000000000000000000010"));
    // They go when there is one too many, and so do those of this one, oldest first, again and again through the room
    // for their names.
    for number in 0..600 {
        guest.store().put(&format!("data/host/new{number:033}"), ASKS);
        assert_eq!(guest.serve_again(number * 12), 1);
        let left = guest.names_below("data/guest");
        let oldest = if number < 499 { format!("{:036}", number + 11) } else { format!("new{:033}", number - 499) };
        assert_eq!((left.len(), left[0].as_str()), (500, oldest.as_str()), "{number}");
    }
    let left = guest.names_below("data/guest");
    assert_eq!((left.len(), left[0].as_str()), (500, "new000000000000000000000000000000100"));
}

#[test]
fn long_names_take_the_room_of_several() {
    let mut guest = Guest::asked(&[]);
    for number in 0..300 {
        guest.store().put(&format!("data/host/{number:0100}"), ASKS);
        assert_eq!(guest.serve_again(number * 30), 1);
    }
    // 21,000 bytes of room for names of 106 bytes, what goes with each included.
    assert_eq!(guest.names_below("data/guest").len(), 198);
    assert_eq!(guest.names_below("data/guest")[0], format!("{:0100}", 102));
}

#[test]
fn a_response_that_may_not_be_removed_is_nothing_to_stop_for() {
    let mut guest = crowded(&["x"], &["1", "2", "3", "4", "5"]);
    guest.store().refuses.push((MessageType::RM, "data/guest/1", "EACCES"));
    assert_eq!(guest.serve_all(0), 1);
    assert_eq!(guest.names_below("data/guest"), ["1", "3", "4", "5", "x"]);
}

#[test]
fn responses_are_remembered_over_a_connection_where_they_cannot_be_listed() {
    let mut guest = crowded(&["a", "b"], &[]);
    guest.serve_all(0);
    guest.reconnect();
    guest.store().refuses.push((MessageType::DIRECTORY, "data/guest", "EACCES"));
    guest.store().quota = Some(("data/guest", 2, "ENOSPC"));
    guest.store().put("data/host/c", ASKS);
    assert_eq!(guest.serve_again(5000), 1);
    assert_eq!(guest.names_below("data/guest"), ["b", "c"]);
}

#[test]
fn whatever_an_agent_was_killed_at_the_next_one_gives_the_answer_and_runs_the_command_once_more_at_most() {
    for (requests, carried_out) in (0..9).flat_map(|requests| [(requests, false), (requests, true)]) {
        let mut guest = Guest::asked(&["a"]);
        guest.store().lose = Some((requests, carried_out));
        let Err(_) = guest.serve(0) else { continue };
        let written = guest.store().get("data/guest/a").is_some();
        guest.restart();
        guest.store().asked.clear();
        guest.serve_all(0);
        let what = format!("{requests} {carried_out}");
        assert_eq!(guest.store().below("data/guest"), [("a", ANSWER)], "{what}");
        assert_eq!(guest.names_below("data/host"), [""; 0], "{what}");
        assert_eq!(guest.store().asked(MessageType::WRITE).len(), usize::from(!written), "{what}");
        assert!(guest.runs() <= 2 && (!written || guest.runs() == 1), "{what}");
        // Nothing is left on the note: under the same name another request is one.
        guest.store().put("data/host/a", ASKS);
        guest.restart();
        let runs = guest.runs();
        assert_eq!((guest.serve_all(0), guest.runs()), (1, runs + 1), "{what}");
    }
}

#[test]
fn a_command_that_ends_the_agent_each_time_is_answered_by_the_third() {
    let mut guest = Guest::asked(&["a", "b"]);
    for run in 1..=2 {
        // The list, whether there is a response, and the request; it is run, and then there is no agent.
        guest.store().lose = Some((run + 1, false));
        assert!(guest.serve(0).is_err());
        assert_eq!(guest.runs(), run);
        guest.restart();
    }
    assert!(guest.platform.logged().contains("request a was under way when an agent ended: once more"));
    guest.serve_all(0);
    let refused = r#"{"returncode":"500","message":"this command ended the agent each time: not run again"}"#;
    assert_eq!(guest.store().below("data/guest"), [("a", refused), ("b", ANSWER)]);
    assert_eq!(guest.runs(), 3, "b is run, too");
}

#[test]
fn an_answer_that_the_second_of_two_killed_agents_has_written_stays() {
    let mut guest = Guest::asked(&["a"]);
    // The list, the request, and then no answer; the next one looks for that first, and writes it.
    for lose in [(2, false), (3, true)] {
        guest.store().lose = Some(lose);
        assert!(guest.serve(0).is_err());
        guest.restart();
    }
    assert_eq!((guest.serve_all(0), guest.runs()), (0, 2));
    assert_eq!(guest.store().below("data/guest"), [("a", ANSWER)]);
    assert_eq!(guest.names_below("data/host"), [""; 0]);
}

#[test]
fn a_request_that_could_not_be_removed_is_not_run_by_the_next_agent() {
    for lost_at in [None, Some((3, false))] {
        let mut guest = Guest::asked(&["a"]);
        guest.store().refuses.push((MessageType::RM, "data/host", "EACCES"));
        guest.store().lose = lost_at;
        let _ = guest.serve(0);
        assert_eq!((guest.runs(), guest.store().get("data/guest/a")), (1, Some(ANSWER)));
        for _ in 0..3 {
            guest.restart();
            guest.serve_all(0);
            assert_eq!(guest.runs(), 1, "{lost_at:?}");
        }
    }
}

#[test]
fn a_request_that_could_not_be_read_is_served_when_the_host_has_changed_it() {
    let mut guest = Guest::asked(&["a"]);
    guest.store().refuses.push((MessageType::READ, "data/host/a", "EACCES"));
    assert_eq!((guest.serve_all(0), guest.serve_again(0)), (0, 0));
    // Changed, and still not to be read: it is tried, and not told again.
    guest.requests.take_event(Event::Fired { path: "data/host/a", token: TOKEN });
    guest.store().asked.clear();
    assert_eq!((guest.serve_again(0), guest.serve_again(0)), (0, 0));
    assert_eq!(guest.store().asked(MessageType::READ), ["data/host/a"]);
    assert_eq!(guest.platform.logged().matches("request a cannot be read").count(), 1);
    guest.store().refuses.clear();
    assert_eq!(guest.serve_again(0), 0, "it is not tried again and again");
    let fired = |path| Event::Fired { path, token: TOKEN };
    guest.requests.take_event(fired("data/host/b"));
    assert_eq!(guest.serve_again(0), 0);
    guest.requests.take_event(fired("data/host/a"));
    assert_eq!(guest.serve_again(0), 1);
}

#[test]
fn no_command_is_run_while_no_answer_can_be_written() {
    let mut store = FakeXenstore::with(&[("data/host", ""), ("data/guest", "")]);
    store.put("data/host/a", ASKS);
    for kind in [MessageType::MKDIR, MessageType::WRITE] {
        store.refuses.push((kind, "data/guest", "EACCES"));
    }
    let mut guest = Guest::with(store);
    assert_eq!((guest.serve_all(0), guest.runs()), (0, 0));
    let watch = ("data/guest".to_owned(), GUEST_TOKEN.to_owned());
    assert!(guest.store().watches.contains(&watch));
    // A watch fires when it is set, and whenever something else is changed there.
    for _ in 0..2 {
        let meaning = guest.requests.take_event(Event::Fired { path: "data/guest", token: GUEST_TOKEN });
        assert_eq!((meaning, guest.serve_again(0), guest.runs()), (EventMeaning::LookAgain, 0, 0));
    }
    assert_eq!(guest.platform.logged().matches("data/guest cannot be written: ").count(), 1);
    guest.store().refuses.clear();
    assert_eq!(guest.serve_again(0), 0, "nothing has told of it");
    guest.requests.take_event(Event::Fired { path: "data/guest", token: GUEST_TOKEN });
    assert_eq!((guest.serve_all(0), guest.runs()), (1, 1));
    assert!(!guest.store().watches.contains(&watch), "that watch is for this state alone");
}

#[test]
fn an_answer_that_could_not_be_written_is_when_it_can() {
    let mut guest = Guest::asked(&["a", "b"]);
    guest.serve(0).unwrap();
    for kind in [MessageType::MKDIR, MessageType::WRITE] {
        guest.store().refuses.push((kind, "data/guest", "EACCES"));
    }
    assert_eq!((guest.serve_all(0), guest.runs()), (0, 2));
    assert_eq!((guest.serve_again(0), guest.runs(), guest.names_below("data/host")), (0, 2, vec!["b".to_owned()]));
    guest.store().refuses.clear();
    guest.requests.take_event(Event::Overflow);
    assert_eq!((guest.serve_all(0), guest.runs()), (1, 2));
    assert_eq!(guest.store().get("data/guest/b"), Some(ANSWER));
}

/// A request for the site's command `site`, which prints its value.
fn asks_site(value: &str) -> String {
    format!(r#"{{"name":"site","value":"{value}"}}"#)
}

/// A guest whose site has a command, with these requests for it.
fn with_site(names: &[&str]) -> Guest {
    let mut store = FakeXenstore::with(&[("data/host", "")]);
    names.iter().for_each(|name| store.put(&format!("data/host/{name}"), &asks_site(name)));
    let mut guest = Guest::with(store);
    guest.platform.program("/etc/nanova/commands.d/site");
    guest.platform.errands.linger = true;
    guest
}

#[test]
fn commands_that_take_long_are_answered_one_after_the_other_and_others_meanwhile() {
    let mut guest = with_site(&["a", "b", "c"]);
    guest.store().put("data/host/v", ASKS);
    assert_eq!(guest.serve_all(0), 1);
    assert_eq!(guest.names_below("data/guest"), ["v"]);
    assert_eq!((guest.requests.is_under_way(), guest.platform.errands.begun.len()), (true, 1));
    // An event has nothing begun twice, nor read.
    guest.store().asked.clear();
    assert_eq!((guest.serve_again(0), guest.platform.errands.begun.len()), (0, 1));
    assert_eq!(guest.store().asked(MessageType::READ), [""; 0]);
    for (name, left) in [("a", 2), ("b", 1), ("c", 0)] {
        guest.platform.errands.linger = false;
        assert_eq!(guest.serve(0), Ok(Progress::Served));
        guest.platform.errands.linger = true;
        let said = format!(r#"{{"returncode":"0","message":"{name}"}}"#);
        assert_eq!(guest.store().get(&format!("data/guest/{name}")), Some(&*said));
        assert_eq!(guest.serve_all(0), 0);
        assert_eq!(guest.names_below("data/host").len(), left);
        // What comes meanwhile is served at once.
        guest.store().put("data/host/w", ASKS);
        assert_eq!(guest.serve_again(0), 1);
    }
    assert_eq!((guest.requests.is_under_way(), guest.platform.errands.begun.len()), (false, 3));
}

#[test]
fn more_commands_that_wait_than_are_remembered_are_all_served() {
    let names: Vec<String> = (0..100).map(|number| format!("n{number:03}")).collect();
    let mut guest = with_site(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(guest.serve_all(0), 0);
    guest.platform.errands.linger = false;
    assert_eq!(guest.serve_all(0), 100);
    assert_eq!((guest.names_below("data/host").len(), guest.platform.errands.begun.len()), (0, 100));
}

#[test]
fn where_requests_cannot_be_listed_the_next_long_one_is_waited_for() {
    let mut guest = with_site(&[]);
    guest.serve_all(0);
    guest.requests.lists_in_parts = false;
    ["a", "b"].iter().for_each(|name| guest.store().put(&format!("data/host/{name}"), &asks_site(name)));
    let fired = |path| Event::Fired { path, token: TOKEN };
    assert_eq!(guest.requests.take_event(fired("data/host/a")), EventMeaning::Named);
    assert_eq!(guest.serve(0), Ok(Progress::Idle));
    assert_eq!(guest.requests.take_event(fired("data/host/b")), EventMeaning::Named);
    assert_eq!((guest.serve(0), guest.serve(0)), (Ok(Progress::Held), Ok(Progress::Held)));
    guest.platform.errands.linger = false;
    assert_eq!((guest.serve(0), guest.serve(0)), (Ok(Progress::Served), Ok(Progress::Served)));
    assert_eq!(guest.names_below("data/guest"), ["a", "b"]);
}

#[test]
fn a_command_that_is_under_way_outlives_a_connection_and_not_the_agent() {
    let mut guest = with_site(&["a"]);
    guest.serve_all(0);
    guest.reconnect();
    assert_eq!((guest.serve_all(0), guest.platform.errands.begun.len()), (0, 1));
    guest.platform.errands.linger = false;
    assert_eq!((guest.serve_all(0), guest.platform.errands.begun.len()), (1, 1));
    // When the agent is to end it is stopped, and answered.
    let mut guest = with_site(&["a", "b"]);
    guest.serve_all(0);
    guest.requests.finish(&mut guest.client, &mut guest.platform, false, 0).unwrap();
    assert!(guest.requests.is_under_way() && guest.names_below("data/guest").is_empty());
    guest.requests.finish(&mut guest.client, &mut guest.platform, true, 0).unwrap();
    let said = r#"{"returncode":"500","message":"nanova was told to end before this command had: it was stopped"}"#;
    assert_eq!(guest.store().get("data/guest/a"), Some(said));
    assert_eq!((guest.names_below("data/host"), guest.platform.errands.given_up.len()), (vec!["b".to_owned()], 1));
    // Killed with it, it is run once more, and then no more.
    let mut guest = with_site(&["a"]);
    for run in 1..=2 {
        guest.serve_all(0);
        assert_eq!(guest.platform.errands.begun.len(), run);
        guest.platform.errands.under_way.clear();
        guest.restart();
    }
    assert_eq!((guest.serve_all(0), guest.platform.errands.begun.len()), (1, 2));
    assert!(guest.store().get("data/guest/a").unwrap().contains("ended the agent each time"));
}

#[test]
fn a_guest_without_room_for_a_process_says_so() {
    for (errno, said) in [
        (Errno::AGAIN, "the guest has no room for one more process"),
        (Errno::NOMEM, "the guest has no room for one more process"),
        (Errno::BUSY, "two earlier programs cannot be ended"),
    ] {
        let mut guest = with_site(&["a"]);
        guest.platform.errands.refused = Some(errno);
        assert_eq!(guest.serve_all(0), 1);
        let answer = guest.store().get("data/guest/a").unwrap().to_owned();
        assert!(answer.contains(r#""returncode":"500""#) && answer.contains(said), "{answer}");
    }
}

#[test]
fn a_new_agents_file_that_was_left_is_removed_at_a_start_and_not_while_one_is_tried() {
    let mut guest = Guest::asked(&[]);
    let tidied = |guest: &Guest| {
        guest.platform.tidied.iter().filter(|(_, number)| *number == crate::platform::UPDATE_NUMBER).count()
    };
    assert_eq!(tidied(&guest), 1);
    guest.reconnect();
    assert_eq!(tidied(&guest), 1);
    guest.restart();
    assert_eq!(tidied(&guest), 2);
}

#[test]
fn a_request_that_the_host_takes_back_meanwhile_is_answered_all_the_same() {
    let mut guest = Guest::without_note(&["a", "b"]);
    guest.store().quota = Some(("data/guest", 1, "ENOSPC"));
    assert_eq!((guest.serve(0), guest.serve(0)), (Ok(Progress::Served), Ok(Progress::Waiting(5000))));
    guest.store().take("data/host/b");
    assert_eq!(guest.serve(5000), Ok(Progress::Served));
    assert_eq!(guest.names_below("data/guest"), ["b"]);
    assert!(!guest.platform.logged().contains("cannot be answered"), "{}", guest.platform.logged());
}

#[test]
fn a_transaction_that_is_gone_when_the_guest_wakes_up_is_begun_anew() {
    let mut guest = Guest::without_note(&["a"]);
    guest.store().refuses.push((MessageType::WRITE, "data/guest/a", "ENOENT"));
    guest.serve_all(0);
    assert!(guest.store().asked(MessageType::TRANSACTION_START).len() > 1);
    assert!(guest.platform.logged().contains("cannot be answered as it should: xenstored answered EAGAIN"));
}

#[test]
fn whether_answers_can_be_written_is_no_question_of_room_nor_answered_by_a_connection_that_is_lost() {
    let mut store = FakeXenstore::with(&[("data/host", "")]);
    store.put("data/host/a", ASKS);
    store.refuses.push((MessageType::MKDIR, "data/guest", "ENOSPC"));
    let mut guest = Guest::with(store);
    assert_eq!(guest.serve_all(0), 1);
    // Behind the watch.
    let mut store = FakeXenstore::with(&[("data/host", "")]);
    store.lose = Some((1, false));
    let (mut requests, mut platform) = (Requests::new(Target::Off), FakePlatform::with(&[]));
    let lost = requests.start(&mut Client::new(store), &mut platform);
    assert_eq!(lost, Err(Error::Lost(Lost::Closed)));
}

/// A session with the agent, begun over xenstore.
#[cfg(feature = "sealed")]
fn keyinit(guest: &mut Guest) -> crate::secret::host::HostSession {
    let exchange = crate::secret::host::HostExchange::new(&[7; 32]);
    let request = format!(r#"{{"name":"keyinit","value":{}}}"#, exchange.value());
    guest.store().put("data/host/keyinit", &request);
    guest.serve_again(0);
    let answer: serde_json::Value = serde_json::from_str(guest.store().get("data/guest/keyinit").unwrap()).unwrap();
    exchange.agree(answer["message"].as_str().unwrap()).unwrap()
}

/// Asks something sealed, under the name a; the counter of the answer.
#[cfg(feature = "sealed")]
fn ask_sealed(guest: &mut Guest, session: &mut crate::secret::host::HostSession, request: &str) -> u64 {
    let (counter, sealed) = session.seal(request.as_bytes()).unwrap();
    guest.store().put("data/host/a", core::str::from_utf8(&sealed).unwrap());
    guest.requests.look_again();
    counter
}

#[test]
#[cfg(feature = "sealed")]
fn a_sealed_reset_of_the_network_whose_connection_is_lost_is_run_on_the_next_one() {
    let mut lost = 0;
    for (requests, carried_out) in (0..30).flat_map(|requests| [(requests, false), (requests, true)]) {
        let mut guest = Guest::asked(&[]);
        guest.requests.network = Target::Kernel;
        let mut session = keyinit(&mut guest);
        let counter = ask_sealed(&mut guest, &mut session, r#"{"name":"resetnetwork","value":""}"#);
        guest.store().lose = Some((requests, carried_out));
        let ended = (0..9).map(|_| guest.serve(0)).find(|progress| *progress != Ok(Progress::Served));
        lost += usize::from(ended.is_some_and(|ended| ended.is_err()));
        guest.reconnect();
        guest.serve_all(0);
        let answer: serde_json::Value = serde_json::from_str(guest.store().get("data/guest/a").unwrap()).unwrap();
        let message = answer["message"].as_str().unwrap();
        assert_eq!(answer["returncode"], "0", "{requests} {carried_out}: {message}");
        let opened = session.open(counter, message, &mut [0; RESPONSE_MAX]).unwrap().to_vec();
        assert_eq!(core::str::from_utf8(&opened), Ok(r#"{"returncode":"0","message":""}"#));
    }
    // The request is read, vm-data is looked at, the answer written and the request removed: before, and behind it.
    assert!(lost >= 8, "{lost}");
}

#[test]
#[cfg(feature = "sealed")]
fn a_sealed_request_that_an_agent_ended_with_is_not_said_not_to_have_been_run() {
    // The list, whether there is a response, the request; it is run, and then there is no agent.
    for (runs, start) in [(false, "no session of sealed requests"), (true, "the session ended before")] {
        let mut guest = Guest::asked(&[]);
        let mut session = keyinit(&mut guest);
        ask_sealed(&mut guest, &mut session, ASKS);
        guest.store().lose = Some((if runs { 2 } else { 1 }, false));
        assert!(guest.serve(0).is_err());
        guest.restart();
        guest.serve_all(0);
        let answer: serde_json::Value = serde_json::from_str(guest.store().get("data/guest/a").unwrap()).unwrap();
        assert_eq!(answer["returncode"], "401");
        assert!(answer["message"].as_str().unwrap().starts_with(start), "{runs}: {answer}");
    }
}
