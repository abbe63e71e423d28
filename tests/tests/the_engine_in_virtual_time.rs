//! nanova's real engine and an xenstored in memory, as a pair in virtual time: what takes minutes in a guest takes none
//! here, and what happens once in a year happens at every step.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use nanova_core::engine::{Action, Options as EngineOptions};
use nanova_tests::virtual_guest::{Event, SERVES, VirtualGuest};
use nanova_tests::xenstored::{Kernel, Options, Quotas, Xenstored};

const MINUTE: u64 = 60_000;

fn guest_with(options: Options) -> VirtualGuest {
    VirtualGuest::new(Xenstored::in_memory(options), Kernel::default(), SERVES)
}

fn guest() -> VirtualGuest {
    guest_with(Options::default())
}

/// A UUID's length and shape, so that lists are as long as nova's.
fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// Every request has its answer, written once; none is left.
fn assert_served(guest: &mut VirtualGuest, ids: &[String], what: &str) {
    assert_eq!(guest.requests(), [] as [String; 0], "{what}: requests are left");
    let changes = guest.changes().clone();
    for id in ids {
        assert!(changes.contains_key(id), "{what}: {id} has no answer");
    }
}

#[test]
fn the_host_is_answered_and_then_nothing_is_waited_for() {
    let mut guest = guest();
    guest.happens(VirtualGuest::probe("a"));
    assert_eq!(guest.run_for(10), Action::Wait { until: None, links: false });
    guest.happens(VirtualGuest::probe("b"));
    guest.run_for(10);
    assert_served(&mut guest, &["a".into(), "b".into()], "two");
    assert_eq!(guest.platform.runs, BTreeMap::from([("a".into(), 1), ("b".into(), 1)]));
    assert_eq!(guest.changes()["a"], 1);
    let said: Vec<_> = guest.said.iter().map(|(_, said)| said.as_str()).collect();
    assert_eq!(said, ["SettleIn", "TellReady"]);
    assert_eq!(guest.read("data/nanova/state").as_deref(), Some("ready"));
    assert_eq!(guest.violations(), [] as [String; 0]);
}

#[test]
fn answers_stay_ten_minutes_and_no_longer_than_the_next_request() {
    let mut guest = guest();
    guest.happens(VirtualGuest::probe("old"));
    guest.run_for(5 * MINUTE);
    guest.happens(VirtualGuest::probe("younger"));
    guest.run_for(5 * MINUTE);
    guest.happens(VirtualGuest::probe("at-ten-minutes"));
    guest.run_for(1_000);
    let mut there = guest.answers();
    there.sort();
    assert_eq!(there, ["at-ten-minutes", "old", "younger"]);
    guest.happens(VirtualGuest::probe("later"));
    guest.run_for(1_000);
    let mut there = guest.answers();
    there.sort();
    assert_eq!(there, ["at-ten-minutes", "later", "younger"], "only the oldest is too old");
    guest.run_for(60 * MINUTE);
    guest.happens(VirtualGuest::probe("an-hour-later"));
    guest.run_for(1_000);
    assert_eq!(guest.answers(), ["an-hour-later"]);
}

#[test]
fn no_more_than_five_hundred_answers_stay() {
    // Room for the names of all of them in one node, which C xenstored does not have.
    let quotas = Quotas { node_size: 100_000, ..Quotas::default() };
    let mut guest = guest_with(Options { quotas, ..Options::default() });
    for number in 0..600 {
        guest.happens(VirtualGuest::probe(&id(number)));
        guest.run_for(10);
        assert!(guest.answers().len() <= 500, "{number}");
    }
    // An eighth of the room is free again as soon as all have had the time to be read.
    guest.run_for(MINUTE);
    let there = guest.answers();
    assert_eq!((there.len(), there.contains(&id(161)), there.contains(&id(162))), (438, false, true));
}

/// The host puts these into the mailbox at once and looks at the answers twice a second, as nova does. Returns those
/// that it has seen, and how many milliseconds the last one took.
fn burst(guest: &mut VirtualGuest, ids: &[String]) -> (Vec<String>, u64) {
    let (begin, before) = (guest.now, guest.answers());
    for id in ids {
        guest.happens(VirtualGuest::probe(id));
    }
    let mut seen = Vec::new();
    while seen.len() < ids.len() && guest.now < begin + 10 * MINUTE {
        guest.run_for(500);
        let new: Vec<_> = guest.answers().into_iter().filter(|id| !seen.contains(id) && !before.contains(id)).collect();
        seen.extend(new);
    }
    (seen, guest.now - begin)
}

#[test]
fn a_burst_is_answered_on_both_kinds_of_xenstored() {
    let ids: Vec<_> = (0..200).map(id).collect();
    let oxenstored = Quotas { node_size: 100_000, ..Quotas::default() };
    for (what, quotas, directory_part) in [("C", Quotas::default(), true), ("O", oxenstored, false)] {
        let mut guest = guest_with(Options { quotas, directory_part, ..Options::default() });
        guest.run_for(10);
        let (seen, took) = burst(&mut guest, &ids);
        assert_eq!(seen.len(), ids.len(), "{what}xenstored: the host has missed answers");
        assert_served(&mut guest, &ids, what);
        assert!(ids.iter().all(|id| guest.platform.runs[id] == 1), "{what}");
        println!("{what} xenstored: 200 requests at once are answered within {took} ms");
        // Then everything is as before.
        guest.happens(VirtualGuest::probe("after"));
        guest.run_for(MINUTE);
        assert_eq!(guest.changes()["after"], 1);
    }
}

#[test]
fn a_guest_that_may_own_few_nodes_answers_all_the_same() {
    let mut guest = guest();
    guest.run_for(10);
    let owned = guest.xenstored.stats().nodes;
    guest.xenstored.set_quotas(Quotas { nodes: owned + 3, ..Quotas::default() });
    let ids: Vec<_> = (0..20).map(id).collect();
    for one in ids.chunks(1) {
        assert_eq!(burst(&mut guest, one).0, one);
    }
    assert_served(&mut guest, &ids, "few nodes");
    assert!(guest.answers().len() <= 3, "older ones make room");
}

#[test]
fn what_waited_in_a_list_that_was_too_long_is_served_when_the_list_is_short_enough() {
    let mut guest = guest_with(Options { directory_part: false, ..Options::default() });
    let ids: Vec<_> = (0..150).map(id).collect();
    for id in &ids {
        guest.happens(VirtualGuest::probe(id));
    }
    guest.run_for(MINUTE);
    for id in &ids[..100] {
        guest.take_back(id);
    }
    guest.happens(VirtualGuest::probe("new"));
    guest.run_for(MINUTE);
    assert_served(&mut guest, &ids[100..], "what is left");
    assert_eq!(guest.changes()["new"], 1);
}

#[test]
fn ready_is_said_when_nothing_waits_any_more() {
    let mut guest = guest();
    for number in 0..130 {
        guest.happens(VirtualGuest::probe(&id(number)));
    }
    while guest.said.iter().all(|(_, said)| said != "TellReady") {
        guest.run_for(500);
        assert!(guest.now < 1_000_000 + 10 * MINUTE, "it is never ready");
    }
    assert_eq!(guest.requests(), [] as [String; 0]);
}

#[test]
fn events_that_do_not_fit_are_not_requests_that_are_missed() {
    let mut guest = guest();
    guest.run_for(10);
    // More than a client has room for, while it waits for a reply: they come with it.
    for number in 0..400 {
        guest.plan(guest.steps() + 1, VirtualGuest::probe(&id(number)));
    }
    guest.happens(VirtualGuest::probe("first"));
    let ids: Vec<_> = (0..400).map(id).collect();
    for _ in 0..400 {
        guest.run_for(500);
        guest.changes();
    }
    assert_served(&mut guest, &ids, "overflow");
    assert!(ids.iter().all(|id| guest.platform.runs[id] == 1));
}

#[test]
fn a_migrated_guest_serves_its_new_domain() {
    let mut guest = guest();
    guest.happens(VirtualGuest::probe("before"));
    guest.run_for(10);
    guest.happens(Event::Migrate(12));
    guest.happens(VirtualGuest::probe("after"));
    guest.run_for(10);
    assert_served(&mut guest, &["after".into()], "migrated");
    assert_eq!(guest.violations(), [] as [String; 0]);
}

#[test]
fn addresses_are_published_at_once_and_then_after_a_pause() {
    let options = EngineOptions { report: true, ..SERVES };
    let mut guest = VirtualGuest::new(Xenstored::in_memory(Options::default()), Kernel::default(), options);
    guest.run_for(1_000);
    let said: Vec<_> = guest.said.iter().map(|(_, said)| said.as_str()).collect();
    // Ready when the requests are served; and again, when the report has begun anew for what may be another life.
    assert_eq!(said, ["SettleIn", "TellReady", "ListenForLinks", "TellReady"]);
    let asked = guest.platform.asked;
    assert!(asked > 0, "the report is there");
    guest.links_change();
    assert!(
        matches!(guest.run_for(1), Action::Wait { links: false, until: None | Some(_) })
            || guest.platform.asked > asked
    );
    let first = guest.platform.asked;
    assert!(first > asked, "the first change is published at once");
    guest.links_change();
    guest.run_for(5);
    guest.links_change();
    guest.run_for(5);
    assert_eq!(guest.platform.asked, first, "further ones wait");
    guest.run_for(10);
    let second = guest.platform.asked;
    assert!(second > first, "but not for long");
    guest.run_for(MINUTE);
    assert_eq!(guest.platform.asked, second, "and once for all of them");
}

#[test]
fn signs_of_life_come_in_time_however_much_is_to_be_done() {
    let options = EngineOptions { beat_ms: 100, ..SERVES };
    let mut guest = VirtualGuest::new(Xenstored::in_memory(Options::default()), Kernel::default(), options);
    guest.work_ms = 30;
    for number in 0..50 {
        guest.happens(VirtualGuest::probe(&id(number)));
    }
    guest.run_for(10_000);
    let beats: Vec<u64> = guest.said.iter().filter(|(_, said)| said == "Beat").map(|(at, _)| *at).collect();
    assert!(beats.len() > 80, "{}", beats.len());
    // A piece of work is not interrupted.
    assert!(beats.windows(2).all(|pair| (100..=130).contains(&(pair[1] - pair[0]))), "{beats:?}");
    let mut quiet = guest_with(Options::default());
    quiet.run_for(MINUTE);
    assert!(quiet.said.iter().all(|(_, said)| said != "Beat"), "only where they are asked for");
}

#[test]
fn a_connection_that_is_of_no_use_is_made_again_later_and_later() {
    let mut guest = guest();
    let begin = guest.now;
    guest.refuse_connections(10);
    guest.run_for(5 * MINUTE);
    let after: Vec<u64> = guest.connections.iter().map(|at| at - begin).collect();
    assert_eq!(after, [0, 200, 600, 1400, 3000, 6200, 12600, 22600, 32600, 42600, 52600]);
    // One that served is missed at once.
    guest.happens(Event::Lose);
    let lost = guest.now;
    guest.run_for(MINUTE);
    assert_eq!(guest.connections.last(), Some(&(lost + 100)));
    guest.happens(VirtualGuest::probe("after"));
    guest.run_for(10);
    assert_served(&mut guest, &["after".into()], "after all that");
}

#[test]
fn an_agent_for_what_is_pending_ends_when_that_is_answered() {
    let options = EngineOptions { once: true, ..SERVES };
    let mut guest = VirtualGuest::new(Xenstored::in_memory(Options::default()), Kernel::default(), options);
    for number in 0..5 {
        guest.happens(VirtualGuest::probe(&id(number)));
    }
    assert_eq!(guest.run_for(10), Action::Done);
    assert_served(&mut guest, &(0..5).map(id).collect::<Vec<_>>(), "once");
}

/// Runs two requests with these events at these steps, and judges. Returns how many steps it took.
fn judge(xenstored: &Xenstored, plan: &[(usize, Event)], forgets: bool) -> usize {
    let mut guest = VirtualGuest::new(xenstored.fork(), Kernel::default(), SERVES);
    guest.platform.forgets = forgets;
    guest.run_for(10);
    let begin = guest.steps();
    for (step, event) in plan {
        guest.plan(begin + step, event.clone());
    }
    guest.happens(VirtualGuest::probe("a"));
    // Long enough for a connection that is made again and again.
    guest.run_for(MINUTE);
    let kills = plan.iter().filter(|(_, event)| *event == Event::Kill).count() as u32;
    let sent: Vec<String> = plan
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Request(id, _) => Some(id.clone()),
            _ => None,
        })
        .chain(["a".to_owned()])
        .collect();
    let answers = guest.answers();
    for id in &sent {
        let (runs, changes) = (guest.platform.runs.get(id).copied().unwrap_or(0), guest.changes().get(id).copied());
        // What was planned for a step that never came was never sent.
        if runs == 0 && !guest.requests().contains(id) && id != "a" {
            continue;
        }
        assert!((1..=1 + kills).contains(&runs), "{id} was run {runs} times: {plan:?}");
        assert_eq!(changes, Some(1), "the answer to {id} changed: {plan:?}");
        assert!(answers.contains(id), "{id} has no answer: {plan:?}");
    }
    assert_eq!(guest.requests(), [] as [String; 0], "requests are left: {plan:?}");
    assert_eq!(guest.violations(), [] as [String; 0], "{plan:?}");
    guest.steps() - begin
}

/// Does a job for each number below this one, on every processor.
fn in_parallel(count: usize, job: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    job(number);
                }
            });
        }
    });
}

/// Two requests, and of a kill, a suspend and a lost connection any two: at every combination of steps.
#[test]
fn whatever_comes_between_two_requests_each_gets_one_answer_and_is_run_twice_at_most() {
    let xenstored = Xenstored::in_memory(Options::default());
    let steps = judge(&xenstored, &[(10, VirtualGuest::probe("b"))], false);
    let faults = [Event::Kill, Event::Suspend, Event::Lose];
    let runs = AtomicUsize::new(0);
    in_parallel(steps, |second| {
        let xenstored = Xenstored::in_memory(Options::default());
        let second = (second, VirtualGuest::probe("b"));
        let judge = |plan: &[(usize, Event)]| {
            judge(&xenstored, plan, false);
            runs.fetch_add(1, Ordering::Relaxed);
        };
        judge(std::slice::from_ref(&second));
        for (place, one) in faults.iter().enumerate() {
            for at in 0..steps {
                judge(&[second.clone(), (at, one.clone())]);
                for (other, later) in faults.iter().skip(place + 1).flat_map(|one| (0..steps).map(move |at| (one, at)))
                {
                    judge(&[second.clone(), (at, one.clone()), (later, other.clone())]);
                }
            }
        }
    });
    println!("{} runs of two requests, which take {steps} steps", runs.into_inner());
}

/// Longer ones: a dozen requests and some of everything that can happen, at steps that a seed (`NANOVA_SEED`) chooses.
#[test]
fn ten_thousand_schedules_by_a_seed_lose_nothing() {
    let seed = std::env::var("NANOVA_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_126_u64);
    in_parallel(10_000, |schedule| {
        // SplitMix64 (Steele, Lea, Flood 2014): good enough, and the same everywhere.
        let mut state = seed.wrapping_add(schedule as u64);
        let mut random = |below: usize| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) % below as u64) as usize
        };
        let mut plan: Vec<_> = (0..12).map(|number| (random(150), VirtualGuest::probe(&id(number)))).collect();
        for _ in 0..random(4) {
            plan.push((random(200), Event::Suspend));
        }
        for _ in 0..random(4) {
            plan.push((random(200), Event::Lose));
        }
        if random(2) == 0 {
            plan.push((random(200), Event::Kill));
        }
        // Every other one where nothing outlives the agent.
        judge(&Xenstored::in_memory(Options::default()), &plan, schedule % 2 == 1);
    });
}
