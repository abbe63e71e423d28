//! What the engine does next, step by step, on a xenstore and a platform in memory.

use super::*;
use crate::test_platform::FakePlatform;
use crate::test_xenstore::FakeXenstore;
use crate::wire::xenstore::MessageType;
use crate::xenstore::Lost;

const ASKS: &str = r#"{"name":"version","value":""}"#;
const ALL: Options = Options {
    commands: true,
    report: true,
    once: false,
    network: Target::Kernel,
    report_interval: 0,
    beat_ms: 0,
    patience_ms: 10_000,
};

/// The watch of the guest's life has its first event after the guest is ready; then all is published, and it is ready
/// again.
const UP: [Action; 4] = [Action::SettleIn, Action::TellReady, Action::ListenForLinks, Action::TellReady];

fn up(until: Option<u64>) -> Vec<Action> {
    [&UP[..], &[wait(until, true)]].concat()
}

/// An agent, its host, and a clock.
struct Guest {
    engine: Engine,
    client: Client<FakeXenstore>,
    platform: FakePlatform,
    now: u64,
}

impl Guest {
    fn with(options: Options, nodes: &[(&str, &str)]) -> Guest {
        Guest {
            engine: Engine::new(options, 0),
            client: Client::new(FakeXenstore::with(nodes)),
            platform: FakePlatform::with(&[]),
            now: 0,
        }
    }

    fn store(&mut self) -> &mut FakeXenstore {
        self.client.transport()
    }

    /// Does what is to be done until it has to be waited; what it was, without the pieces of work, and the waiting.
    #[track_caller]
    fn run(&mut self) -> Vec<Action> {
        let mut done = Vec::new();
        for _ in 0..1000 {
            let errands = &self.platform.errands;
            let under_way = !errands.under_way.is_empty();
            self.engine.handle_errands(ErrandNews { ended: under_way && !errands.linger, under_way, programs: false });
            match self.engine.poll(self.now) {
                Action::Serve => self.engine.serve(&mut self.client, &mut self.platform, self.now).unwrap(),
                Action::Wait { .. } if self.store().has_news() => {
                    self.engine.handle_readable(&mut self.client).unwrap();
                }
                wait @ (Action::Wait { .. } | Action::Done | Action::Connect | Action::TakeOver) => {
                    done.push(wait);
                    return done;
                }
                action => done.push(action),
            }
        }
        panic!("never waits: {done:?}");
    }

    #[track_caller]
    fn connect(&mut self) -> Vec<Action> {
        self.engine.handle_connected();
        self.run()
    }

    /// The host has written something, and there are bytes to be read.
    fn host_writes(&mut self, path: &str, value: &str) -> Vec<Action> {
        self.store().put(path, value);
        self.run()
    }

    fn get(&mut self, path: &str) -> Option<String> {
        self.store().get(path).map(str::to_owned)
    }
}

const fn wait(until: Option<u64>, links: bool) -> Action {
    Action::Wait { until, links }
}

#[test]
fn a_guest_comes_up_with_its_requests_first_and_its_report_after_them() {
    let mut guest = Guest::with(ALL, &[("data/host/a", ASKS), ("data/host/b", ASKS)]);
    assert_eq!(guest.engine.poll(0), Action::Connect);
    assert_eq!(guest.connect(), up(None));
    let asked = guest.store().asked.clone();
    let first =
        |path: &str| asked.iter().position(|(kind, asked, _)| *kind == MessageType::WRITE && asked == path).unwrap();
    let order = ["data/guest/a", "data/guest/b", "data/os_uname", "attr/PVAddons/Installed"];
    assert!(order.windows(2).all(|pair| first(pair[0]) < first(pair[1])), "{asked:?}");
    let states: Vec<_> =
        asked.iter().filter(|(_, path, _)| path == "data/nanova/state").map(|(.., value)| value.as_str()).collect();
    assert_eq!(states, ["starting", "ready", "ready"]);
    assert_eq!(
        guest.store().watches.iter().map(|(path, token)| format!("{path}={token}")).collect::<Vec<_>>(),
        ["data/host=nanova", "unique-domain-id=nanova-life", "xenserver/device/vif=nanova-addresses"]
    );
    // Nothing has happened, so there is nothing to do.
    let asked = guest.store().asked.len();
    assert_eq!(guest.run(), [wait(None, true)]);
    assert_eq!(guest.store().asked.len(), asked);
    // Another request is answered, and nothing else is said.
    assert_eq!(guest.host_writes("data/host/c", ASKS), [wait(None, true)]);
    assert!(guest.get("data/guest/c").is_some());
    assert_eq!(guest.store().asked(MessageType::WRITE).iter().filter(|path| **path == "data/os_uname").count(), 1);
}

#[test]
fn what_a_build_or_a_person_does_not_want_is_not_done() {
    let mut guest = Guest::with(Options { commands: false, ..ALL }, &[("data/host/a", ASKS)]);
    assert_eq!(guest.connect(), up(None));
    assert_eq!((guest.get("data/guest/a"), guest.get("data/nanova/state")), (None, None));
    assert_eq!(guest.get("attr/PVAddons/Installed").as_deref(), Some("1"));
    assert_eq!(guest.get("control/feature-static-ip-setting"), None, "nobody would set them");
    let mut guest = Guest::with(Options { report: false, ..ALL }, &[("data/host/a", ASKS)]);
    assert_eq!(guest.connect(), [Action::SettleIn, Action::TellReady, wait(None, false)]);
    assert_eq!((guest.get("data/guest/a").is_some(), guest.get("data/os_uname")), (true, None));
    let mut guest = Guest::with(
        Options { network: Target::Off, ..ALL },
        &[("xenserver/device/vif/0/static-ip-setting/enabled", "1")],
    );
    guest.connect();
    assert_eq!(guest.get("control/feature-static-ip-setting"), None);
    assert_eq!(guest.store().watches.len(), 2);
}

#[test]
fn once_is_once() {
    let mut guest = Guest::with(Options { once: true, ..ALL }, &[("data/host/a", ASKS)]);
    let up = [Action::SettleIn, Action::ListenForLinks, Action::TellReady, Action::Done];
    assert_eq!(guest.connect(), up);
    assert!(guest.get("data/guest/a").is_some() && guest.get("data/updated").is_some());
    assert_eq!(guest.get("data/nanova/state").as_deref(), Some("stopped"));
    assert_eq!(guest.store().watches, [("data/host".to_owned(), "nanova".to_owned())]);
    // A response that waits for room is waited for.
    let options = Options { once: true, report: false, ..ALL };
    let mut guest = Guest::with(options, &[("data/host/a", ASKS), ("data/host/b", ASKS)]);
    guest.store().quota = Some(("data/guest", 1, "ENOSPC"));
    assert_eq!(guest.connect(), [Action::SettleIn, wait(Some(5000), false)]);
    assert!(guest.get("data/guest/a").is_some() && guest.get("data/guest/b").is_none());
    guest.now = 5000;
    assert_eq!(guest.run(), [Action::TellReady, Action::Done]);
    assert!(guest.get("data/guest/b").is_some());
}

#[test]
fn a_connection_that_was_of_no_use_is_made_again_later_and_later() {
    let mut guest = Guest::with(ALL, &[]);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        assert_eq!(guest.engine.poll(guest.now), Action::Connect);
        guest.engine.handle_connected();
        guest.engine.handle_lost(guest.now);
        let [Action::Wait { until: Some(until), links: false }] = guest.run()[..] else { panic!() };
        assert_eq!(guest.engine.poll(until - 1), wait(Some(until), false));
        pauses.push(until - guest.now);
        guest.now = until;
    }
    assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
    // One that was of use begins anew.
    guest.connect();
    guest.engine.handle_lost(guest.now);
    assert_eq!(guest.run(), [wait(Some(guest.now + 100), false)]);
    // One on which there were but first words was of none.
    let mut guest = Guest::with(ALL, &[]);
    guest.engine.handle_connected();
    guest.engine.serve(&mut guest.client, &mut guest.platform, 0).unwrap();
    guest.engine.handle_lost(0);
    assert_eq!(guest.run(), [wait(Some(200), false)]);
    // Nothing was found to be there, but it was looked for.
    let mut guest = Guest::with(Options { commands: false, report: false, ..ALL }, &[]);
    guest.connect();
    guest.engine.handle_lost(0);
    assert_eq!(guest.run(), [wait(Some(100), false)]);
}

#[test]
fn one_answer_is_use_enough() {
    let mut guest = Guest::with(ALL, &[("data/host/a", ASKS)]);
    guest.engine.handle_connected();
    for _ in 0..2 {
        guest.engine.serve(&mut guest.client, &mut guest.platform, 0).unwrap();
    }
    assert!(guest.get("data/guest/a").is_some());
    guest.engine.handle_lost(0);
    assert_eq!(guest.run(), [wait(Some(100), false)]);
}

#[test]
fn all_is_said_again_on_a_new_connection() {
    let mut guest = Guest::with(ALL, &[]);
    guest.connect();
    guest.now = 5000;
    guest.engine.handle_lost(5000);
    guest.store().take("data");
    guest.store().reconnect();
    guest.client = Client::new(core::mem::take(guest.client.transport()));
    let up = [Action::SettleIn, Action::TellReady, Action::TellReady, wait(None, true)];
    assert_eq!(guest.connect(), up, "links are listened for already");
    assert_eq!(guest.get("data/nanova/state").as_deref(), Some("ready"));
    assert_eq!(guest.get("data/updated").as_deref(), Some("1"));
    assert_eq!(guest.store().watches.len(), 3);
}

#[test]
fn a_guest_that_woke_up_elsewhere_publishes_all_and_is_ready_anew() {
    let mut guest = Guest::with(ALL, &[("unique-domain-id", "a")]);
    guest.connect();
    guest.store().take("data/nanova");
    guest.store().take("data/os_uname");
    guest.now = 60_000;
    assert_eq!(guest.host_writes("unique-domain-id", "b"), [Action::TellReady, wait(None, true)]);
    assert_eq!(guest.get("data/os_uname").as_deref(), Some("6.1.0-test"));
    assert_eq!(guest.get("data/nanova/state").as_deref(), Some("ready"));
    // Where no requests are served nothing is said of them.
    let mut guest = Guest::with(Options { commands: false, ..ALL }, &[]);
    guest.connect();
    assert_eq!(guest.host_writes("unique-domain-id", "b"), [Action::TellReady, wait(None, true)]);
    assert_eq!(guest.get("data/nanova/state"), None);
}

#[test]
fn too_many_events_are_taken_for_every_event() {
    let mut news = News::NONE;
    news.take(&Event::Fired { path: "x", token: "other" });
    assert_eq!((news.life, news.addresses), (false, false));
    news.take(&Event::Fired { path: "xenserver/device/vif/0/static-ip-setting/error-code", token: static_ip::TOKEN });
    assert_eq!((news.life, news.addresses), (false, false), "that is ours");
    news.take(&Event::Fired { path: "xenserver/device/vif/0/static-ip-setting/enabled", token: static_ip::TOKEN });
    assert_eq!((news.life, news.addresses), (false, true));
    // News that came before stay.
    news.take(&Event::Fired { path: "xenserver/device/vif/0/static-ip-setting/error-code", token: static_ip::TOKEN });
    assert!(news.addresses);
    let mut news = News::NONE;
    news.take(&Event::Fired { path: "unique-domain-id", token: LIFE_TOKEN });
    assert_eq!((news.life, news.addresses), (true, false));
    let mut news = News::NONE;
    news.take(&Event::Overflow);
    assert_eq!((news.life, news.addresses), (true, true));
}

#[test]
fn signs_of_life_are_given_in_time_whatever_else_there_is_to_do() {
    let options = Options { beat_ms: 1000, ..ALL };
    let mut guest = Guest::with(options, &[("data/host/a", ASKS)]);
    assert_eq!(guest.engine.beat_at(), Some(1000));
    assert_eq!((guest.engine.take_beat(999), guest.engine.take_beat(1000)), (false, true));
    assert_eq!(guest.engine.beat_at(), Some(2000));
    guest.now = 2500;
    assert_eq!(guest.engine.poll(2500), Action::Beat);
    assert_eq!(guest.engine.beat_at(), Some(3500));
    assert_eq!(guest.connect(), up(Some(3500)));
    // While it is apart, too: whichever comes first.
    guest.engine.handle_lost(3450);
    assert_eq!(guest.engine.poll(3450), wait(Some(3500), false));
    guest.engine.handle_connected();
    guest.engine.handle_lost(3000);
    assert_eq!(guest.engine.poll(3000), wait(Some(3200), false));
    let guest = Guest::with(ALL, &[]);
    assert_eq!(guest.engine.beat_at(), None);
    let mut guest = guest;
    assert!(!guest.engine.take_beat(u64::MAX));
}

#[test]
fn what_is_to_end_ends() {
    let mut guest = Guest::with(ALL, &[("data/host/a", ASKS)]);
    guest.engine.handle_connected();
    guest.engine.handle_end(guest.now);
    assert_eq!(guest.run(), [Action::Done]);
    assert_eq!(guest.get("data/guest/a"), None);
}

#[test]
fn the_host_is_told_that_nobody_serves_any_more() {
    for (options, state) in [(ALL, Some("stopped")), (Options { commands: false, ..ALL }, None)] {
        let mut guest = Guest::with(options, &[]);
        guest.connect();
        assert_eq!(guest.get("data/nanova/state").as_deref(), state.and(Some("ready")));
        guest.engine.handle_end(guest.now);
        assert_eq!(guest.run(), [Action::Done]);
        assert_eq!(guest.get("data/nanova/state").as_deref(), state);
    }
    // It ends though it cannot say so.
    let mut guest = Guest::with(ALL, &[]);
    guest.connect();
    guest.engine.handle_end(guest.now);
    guest.store().lose = Some((0, false));
    assert_eq!(guest.engine.poll(guest.now), Action::Serve);
    assert!(guest.engine.serve(&mut guest.client, &mut guest.platform, 0).is_err());
    guest.engine.handle_lost(0);
    assert_eq!(guest.engine.poll(guest.now), Action::Done);
}

#[test]
fn a_new_agent_takes_over_once_its_answer_is_written() {
    let mut guest = Guest::with(ALL, &[]);
    let (body, sum) = crate::update::tests::program_and_sum();
    guest.platform.put("/etc/agent", "old agent");
    guest.platform.servers = vec![crate::update::tests::with_length(&body)];
    let asks = format!(r#"{{"name":"agentupdate","value":"http://192.0.2.7/agent,{sum}"}}"#);
    guest.store().put("data/host/a", &asks);
    guest.store().put("data/host/b", ASKS);
    guest.platform.errands.linger = true;
    let meanwhile = guest.connect();
    assert_eq!((meanwhile[0], meanwhile.contains(&Action::TakeOver)), (Action::SettleIn, false));
    // Others are answered while it is fetched and tries itself.
    assert_eq!((guest.get("data/guest/a"), guest.get("data/guest/b").is_some()), (None, true));
    guest.platform.errands.linger = false;
    guest.store().put("data/host/c", ASKS);
    assert_eq!(guest.run(), [Action::TakeOver]);
    assert!(guest.get("data/guest/a").is_some());
    // Where that cannot be it goes on.
    assert_eq!(guest.run(), [wait(None, true)]);
    assert!(guest.get("data/guest/c").is_some());
}

#[test]
fn a_report_that_is_held_waits_for_its_moment_and_no_request_with_it() {
    let mut guest = Guest::with(ALL, &[("data/host/a", ASKS)]);
    guest.engine.hold_report(1000);
    assert_eq!(guest.connect(), [Action::SettleIn, Action::TellReady, Action::TellReady, wait(Some(1000), true)]);
    assert_eq!((guest.get("data/guest/a").is_some(), guest.get("data/os_uname")), (true, None));
    guest.now = 10;
    assert_eq!(guest.host_writes("data/host/b", ASKS), [wait(Some(1000), true)]);
    assert!(guest.get("data/guest/b").is_some());
    // Its reason is gone.
    guest.engine.hold_report(0);
    assert_eq!(guest.run(), [Action::ListenForLinks, wait(None, true)]);
    assert!(guest.get("data/os_uname").is_some());
}

#[test]
fn a_response_that_waits_for_room_holds_up_no_report() {
    let mut guest = Guest::with(ALL, &[("data/guest/old", "x")]);
    guest.connect();
    guest.store().quota = Some(("data/guest", 1, "ENOSPC"));
    guest.store().put("data/host/a", ASKS);
    assert_eq!(guest.host_writes("data/host/b", ASKS), [wait(Some(5000), true)]);
    assert!(guest.get("data/guest/a").is_some() && guest.get("data/guest/b").is_none());
    // Links change meanwhile.
    guest.now = 1000;
    guest.engine.handle_links_changed();
    assert_eq!(guest.run(), [wait(Some(5000), true)]);
    // Whatever is heard before: that moment stays, and then it is served.
    guest.now = 2999;
    assert_eq!(guest.host_writes("unique-domain-id", "b"), [wait(Some(5000), true)]);
    assert!(guest.get("data/guest/b").is_none());
    guest.now = 5000;
    assert_eq!(guest.run(), [Action::TellReady, wait(None, true)]);
    assert!(guest.get("data/guest/b").is_some());
}

#[test]
fn old_responses_go_when_nothing_else_is_to_be_done() {
    let crowd: Vec<_> = (0..440).map(|number| format!("data/host/{number:03}")).collect();
    for once in [false, true] {
        let mut guest = Guest::with(Options { report: false, once, ..ALL }, &[]);
        guest.connect();
        crowd.iter().for_each(|path| guest.store().put(path, ASKS));
        if once {
            // Whoever ends does not wait for that.
            assert_eq!(guest.run().last(), Some(&Action::Done));
            continue;
        }
        assert_eq!(guest.run().last(), Some(&wait(Some(5000), false)));
        guest.now = 5000;
        assert_eq!(guest.run(), [wait(None, false)]);
        assert_eq!(guest.store().below("data/guest").len(), 438);
        // A request that comes when there is much to remove is answered before that.
        guest.now = 700_000;
        guest.store().asked.clear();
        guest.host_writes("data/host/x", ASKS);
        let asked: Vec<_> = guest.store().asked.iter().map(|(kind, ..)| *kind).collect();
        assert_eq!(asked[..3], [MessageType::READ, MessageType::WRITE, MessageType::RM]);
        assert_eq!(guest.store().below("data/guest").len(), 1);
    }
}

#[test]
fn memory_is_looked_at_after_each_interval_and_links_after_each_pause() {
    let mut guest = Guest::with(Options { report_interval: 60, ..ALL }, &[]);
    guest.now = 500;
    guest.platform.put("/proc/meminfo", "MemTotal: 6400 kB\nMemAvailable: 3000 kB\n");
    assert_eq!(guest.connect(), up(Some(60_500)));
    assert_eq!(guest.get("data/meminfo_free").as_deref(), Some("3000"));
    guest.platform.put("/proc/meminfo", "MemTotal: 6400 kB\nMemAvailable: 2000 kB\n");
    guest.now = 60_499;
    assert_eq!(guest.run(), [wait(Some(60_500), true)]);
    assert_eq!(guest.get("data/meminfo_free").as_deref(), Some("3000"));
    guest.now = 60_500;
    assert_eq!(guest.run(), [wait(Some(120_500), true)]);
    assert_eq!(guest.get("data/meminfo_free").as_deref(), Some("2000"));
    // News of links that come at once are not waited for until the pause is over.
    guest.engine.handle_links_changed();
    assert_eq!(guest.run(), [wait(Some(120_500), true)]);
    guest.engine.handle_links_changed();
    assert_eq!(guest.run(), [wait(Some(60_515), false)]);
    guest.now = 60_515;
    assert_eq!(guest.run(), [wait(Some(120_500), true)]);
}

const SETTING: [(&str, &str); 4] = [
    ("xenserver/device/vif/0/static-ip-setting/mac", "bc:76:4e:04:cf:e5"),
    ("xenserver/device/vif/0/static-ip-setting/enabled", "1"),
    ("xenserver/device/vif/0/static-ip-setting/address", "10.0.0.5/24"),
    ("xenserver/device/vif/0/static-ip-setting/gateway", "10.0.0.1"),
];

/// A link that the setting is of.
fn with_link(guest: &mut Guest) {
    let mac = crate::wire::net::Mac::parse("BC764E04CFE5");
    let link =
        crate::wire::netlink::Link { index: 2, name: "eth0".try_into().unwrap(), mac, mtu: 1500, ..Default::default() };
    guest.platform.kernel.links.push(link);
}

#[test]
fn addresses_that_the_toolstack_sets_are_applied_and_answered_once() {
    let mut guest = Guest::with(ALL, &SETTING);
    with_link(&mut guest);
    guest.connect();
    assert_eq!(guest.get("xenserver/device/vif/0/static-ip-setting/error-code").as_deref(), Some("0"));
    assert_eq!(guest.get("xenserver/device/vif/0/static-ip-setting/error-msg").as_deref(), Some(""));
    // Up, an address, a route.
    assert_eq!(guest.platform.kernel.asked, [19, 20, 24]);
    let done = "'static-ip-setting' completed with code '0', message ''";
    assert_eq!(guest.platform.logged().matches(done).count(), 1);
    // Our own answer is no news.
    guest.host_writes("data/host/a", ASKS);
    assert_eq!(guest.platform.logged().matches(done).count(), 1);
    guest.host_writes("xenserver/device/vif/0/static-ip-setting/address", "10.0.0.6/24");
    assert_eq!(guest.platform.logged().matches(done).count(), 2);
    assert_eq!(guest.get("control/feature-static-ip-setting").as_deref(), Some("1"));
}

#[test]
fn a_site_that_takes_resetnetwork_away_takes_the_setting_of_addresses_away() {
    let mut guest = Guest::with(ALL, &SETTING);
    with_link(&mut guest);
    guest.platform.nodes.insert("/etc/nanova".to_owned(), crate::test_platform::Node::Directory);
    guest.platform.put("/etc/nanova/disable", "resetnetwork\n");
    guest.connect();
    assert_eq!(guest.get("xenserver/device/vif/0/static-ip-setting/error-code"), None);
    assert!(guest.platform.kernel.asked.is_empty());
    assert_eq!(guest.get("control/feature-static-ip-setting"), None);
}

#[test]
fn a_connection_that_is_lost_is_told_wherever_it_is_noticed() {
    let mut requests = 0;
    let mut lost = 0;
    loop {
        let mut guest = Guest::with(ALL, &SETTING);
        with_link(&mut guest);
        guest.store().put("data/host/a", ASKS);
        guest.store().lose = Some((requests, false));
        guest.engine.handle_connected();
        let mut result = Ok(());
        for _ in 0..100 {
            match guest.engine.poll(0) {
                Action::Serve => result = guest.engine.serve(&mut guest.client, &mut guest.platform, 0),
                Action::Wait { .. } => break,
                _ => {}
            }
            if result.is_err() {
                break;
            }
        }
        match result {
            Err(error) => assert_eq!(error, Error::Lost(Lost::Closed), "{requests}"),
            Ok(()) => break,
        }
        lost += 1;
        requests += 1;
    }
    assert!(lost > 30, "{lost}");
}

#[test]
fn a_command_that_is_under_way_has_time_to_end_when_the_agent_is_to() {
    let asks = r#"{"name":"site","value":""}"#;
    for (ends_itself, code) in [(true, "0"), (false, "500")] {
        let mut guest = Guest::with(ALL, &[("data/host/a", asks)]);
        guest.platform.program("/etc/nanova/commands.d/site");
        guest.platform.errands.linger = true;
        guest.connect();
        assert_eq!(guest.get("data/guest/a"), None);
        guest.now = 100;
        guest.engine.handle_end(guest.now);
        // Told once more it has no more time.
        guest.now = 5_000;
        guest.engine.handle_end(guest.now);
        // Nothing else is served.
        assert_eq!(guest.host_writes("data/host/b", ASKS), [wait(Some(10_100), false)]);
        guest.platform.errands.linger = !ends_itself;
        guest.now = if ends_itself { 6_000 } else { 10_100 };
        assert_eq!(guest.run(), [Action::Done]);
        assert!(guest.get("data/guest/a").unwrap().contains(&format!(r#""returncode":"{code}""#)));
        assert_eq!(guest.get("data/guest/b"), None);
    }
    // Without a connection nobody could be told.
    let mut guest = Guest::with(ALL, &[("data/host/a", asks)]);
    guest.platform.program("/etc/nanova/commands.d/site");
    guest.platform.errands.linger = true;
    guest.connect();
    guest.engine.handle_lost(0);
    guest.engine.handle_end(0);
    assert_eq!(guest.engine.poll(0), Action::Done);
}

#[test]
fn an_agent_for_what_is_pending_waits_for_what_takes_long() {
    let mut guest = Guest::with(Options { once: true, ..ALL }, &[("data/host/a", r#"{"name":"site"}"#)]);
    guest.platform.program("/etc/nanova/commands.d/site");
    guest.platform.errands.linger = true;
    let done = guest.connect();
    assert!(matches!(done.last(), Some(Action::Wait { .. })), "{done:?}");
    guest.platform.errands.linger = false;
    assert_eq!(guest.run().last(), Some(&Action::Done));
    assert!(guest.get("data/guest/a").is_some());
}

#[test]
fn a_network_that_is_to_be_reset_first_is_reset_once_and_before_the_first_request() {
    let mut guest = Guest::with(ALL, &[("data/host/a", ASKS), ("vm-data/hostname", "web01")]);
    guest.engine.reset_network_first();
    guest.connect();
    let log = guest.platform.logged();
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("no {words:?} in {log}"));
    assert!(at("'resetnetwork' completed with code") < at("Received command 'version'"), "{log}");
    guest.engine.handle_lost(0);
    guest.now = 1000;
    guest.connect();
    assert_eq!(guest.platform.logged().matches("'resetnetwork' completed").count(), 1);
}

#[test]
fn a_key_that_is_not_used_is_forgotten_without_any_other_event() {
    let mut guest = Guest::with(ALL, &[("data/host/a", r#"{"name":"keyinit","value":"123456789"}"#)]);
    let waits = guest.connect();
    assert_eq!(waits.last(), Some(&wait(Some(300_000), true)));
    guest.now = 300_000;
    assert_eq!(guest.run(), [wait(None, true)]);
}
