//! The engine on the strict model of Linux's device and an embedded xenstored, in virtual time, with requests, kills,
//! suspends and lost connections at any step: every request gets exactly one answer, is run once more for a kill at the
//! most, none is left, and the device is used as Linux wants it.
#![no_main]

use std::cell::LazyCell;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use nanova_bench::virtual_guest::{Event, SERVES, VirtualGuest};
use nanova_bench::xenstored::{Kernel, Options, Xenstored};

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Happens {
    Probe,
    Request(u8),
    Suspend,
    Lose,
    Kill,
}

#[derive(Arbitrary, Debug)]
struct Plan {
    foreign_req_id: bool,
    zero_watch_ack: bool,
    forgets: bool,
    refuses: u8,
    work_ms: u8,
    events: Vec<(u8, Happens)>,
}

/// Requests that are answered without a program.
const OTHERS: [&str; 6] = [
    r#"{"name":"version","value":""}"#,
    r#"{"name":"features","value":""}"#,
    r#"{"name":"nothing","value":{"a":[1,2]}}"#,
    "not JSON",
    r#"{"name":"resetnetwork","value":""}"#,
    r#"{"name":"injectfile","value":"L2EseA=="}"#,
];

thread_local! {
    static XENSTORED: LazyCell<Xenstored> = LazyCell::new(|| Xenstored::in_memory(Options::default()));
}

fuzz_target!(|plan: Plan| {
    let kernel = Kernel { foreign_req_id: plan.foreign_req_id, zero_watch_ack: plan.zero_watch_ack };
    let mut guest = XENSTORED.with(|xenstored| VirtualGuest::new(xenstored.fork(), kernel, SERVES));
    guest.platform.forgets = plan.forgets;
    guest.work_ms = u64::from(plan.work_ms % 4);
    guest.run_for(10);
    guest.refuse_connections(u32::from(plan.refuses % 4));
    let (begin, mut sent, mut kills) = (guest.steps(), vec!["first".to_owned()], 0);
    for (number, (step, happens)) in plan.events.iter().take(24).enumerate() {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let event = match happens {
            Happens::Probe => VirtualGuest::probe(&id),
            Happens::Request(which) => {
                Event::Request(id.clone(), OTHERS[usize::from(*which) % OTHERS.len()].to_owned())
            }
            Happens::Suspend => Event::Suspend,
            Happens::Lose => Event::Lose,
            Happens::Kill => Event::Kill,
        };
        kills += u32::from(event == Event::Kill);
        if matches!(event, Event::Request(..)) {
            sent.push(id);
        }
        guest.plan(begin + usize::from(*step), event);
    }
    guest.happens(VirtualGuest::probe("first"));
    // Long enough for a connection that is made again and again.
    guest.run_for(120_000);
    assert_eq!(guest.requests(), [] as [String; 0], "requests are left");
    assert_eq!(guest.violations(), [] as [String; 0]);
    let answers = guest.answers();
    for id in &sent {
        let runs = guest.platform.runs.get(id).copied().unwrap_or(0);
        assert!(runs <= 1 + kills, "{id} was run {runs} times");
        // What was planned for a step that never came was never sent.
        let changes = guest.changes().get(id).copied();
        if changes.is_none() && runs == 0 && id != "first" {
            continue;
        }
        assert_eq!(changes, Some(1), "the answer to {id} changed");
        assert!(answers.contains(id), "{id} has no answer");
        let answer = guest.read(&format!("data/guest/{id}")).expect("it is there");
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("an answer is JSON");
        assert!(answer["returncode"].is_string() && answer["message"].is_string(), "{answer}");
    }
});
