//! Tests of requests.rs and daemon.rs: packets in, packets out.

use std::sync::Arc;

use super::super::daemon::Hub;
use super::super::outbox::Outbox;
use super::super::{Options, Quotas};
use super::*;

/// A connection to a daemon of its own.
struct Wire {
    hub: Arc<Hub>,
    id: u64,
    outbox: Arc<Outbox>,
}

fn guest_of(options: Options) -> Wire {
    Wire::connect(Arc::new(Hub::new(options)), 7)
}

fn guest() -> Wire {
    guest_of(Options::default())
}

impl Wire {
    fn connect(hub: Arc<Hub>, domid: u32) -> Wire {
        let outbox = Arc::new(Outbox::new().unwrap());
        let id = hub.lock().connect(domid, outbox.clone());
        Wire { hub, id, outbox }
    }

    fn beside(&self, domid: u32) -> Wire {
        Wire::connect(self.hub.clone(), domid)
    }

    /// All packets that wait after a request, as text: `TYPE payload`.
    fn ask(&self, kind: u32, tx_id: u32, payload: &[u8]) -> Vec<String> {
        self.hub.lock().handle(self.id, &Packet { kind, req_id: 99, tx_id, payload: payload.to_vec() });
        self.waiting()
    }

    fn waiting(&self) -> Vec<String> {
        let text = |packet: Packet| {
            format!("{} {}", op::name(packet.kind), String::from_utf8(packet.payload).unwrap().replace('\0', "|"))
        };
        std::iter::from_fn(|| self.outbox.pop()).map(text).collect()
    }

    /// The only packet.
    fn one(&self, kind: u32, tx_id: u32, payload: &[u8]) -> String {
        let [reply] = self.ask(kind, tx_id, payload).try_into().unwrap();
        reply
    }
}

#[test]
fn a_reply_carries_the_requests_numbers() {
    let guest = guest();
    let request = Packet { kind: op::READ, req_id: 0xdead, tx_id: 0, payload: b"name\0".to_vec() };
    guest.hub.lock().handle(guest.id, &request);
    assert_eq!(guest.outbox.pop(), Some(Packet { payload: b"guest".to_vec(), ..request }));
}

#[test]
fn malformed_payloads_are_einval() {
    let guest = guest();
    for (kind, payload) in [
        (op::READ, b"name".as_slice()),
        (op::READ, b""),
        (op::READ, b"name\0\0"),
        (op::WRITE, b"data/x"),
        (op::SET_PERMS, b"data\0"),
        (op::SET_PERMS, b"data\0q7\0"),
        (op::WATCH, b"data\0"),
        (op::WATCH, b"data\0token"),
        (op::WATCH, b"data\0token\x003\0"),
        (op::DIRECTORY_PART, b"data\0"),
        (op::DIRECTORY_PART, b"data\0x\0"),
        (op::GET_DOMAIN_PATH, b"x\0"),
        (op::TRANSACTION_END, b"Y\0"),
        (op::TRANSACTION_END, b"T"),
        (op::READ, b"@releaseDomain\0"),
    ] {
        assert_eq!(guest.one(kind, 0, payload), "ERROR EINVAL|", "{} {payload:?}", op::name(kind));
    }
}

#[test]
fn what_is_not_for_guests_is_eacces_and_what_nobody_knows_enosys() {
    let guest = guest();
    assert_eq!(guest.one(op::IS_DOMAIN_INTRODUCED, 0, b"7\0"), "ERROR EACCES|");
    assert_eq!(guest.one(op::CONTROL, 0, b"help\0"), "ERROR EACCES|");
    for kind in [15, 16, 20, 23, 128, u32::MAX] {
        assert_eq!(guest.one(kind, 0, b"\0"), "ERROR ENOSYS|");
    }
    let host = guest.beside(0);
    assert_eq!(host.one(op::CONTROL, 0, b"help\0"), "ERROR ENOSYS|");
    assert_eq!(host.one(op::IS_DOMAIN_INTRODUCED, 0, b"7\0"), "IS_DOMAIN_INTRODUCED T|");
    assert_eq!(host.one(op::IS_DOMAIN_INTRODUCED, 0, b"8\0"), "IS_DOMAIN_INTRODUCED F|");
    assert_eq!(guest.one(op::GET_DOMAIN_PATH, 0, b"9\0"), "GET_DOMAIN_PATH /local/domain/9|");
}

#[test]
fn an_event_comes_before_the_reply_to_the_change_but_behind_the_reply_to_watch() {
    let guest = guest();
    assert_eq!(guest.ask(op::WATCH, 0, b"data/host\0a b\0"), ["WATCH OK|", "WATCH_EVENT data/host|a b|"]);
    let reply = guest.ask(op::WRITE, 0, b"data/host/1\0x");
    assert_eq!(reply, ["WATCH_EVENT data/host/1|a b|", "WRITE OK|"]);
    assert_eq!(guest.ask(op::RM, 0, b"data\0"), ["WATCH_EVENT data/host|a b|", "RM OK|"]);
}

#[test]
fn a_watch_reports_paths_as_it_was_set() {
    let guest = guest();
    let absolute = guest.ask(op::WATCH, 0, b"/local/domain/7/data\0t\0");
    assert_eq!(absolute[1], "WATCH_EVENT /local/domain/7/data|t|");
    let relative = guest.ask(op::WATCH, 0, b"data\0t\0");
    // The same node and the same token, whatever its spelling.
    assert_eq!(relative, ["ERROR EEXIST|"]);
    assert_eq!(guest.ask(op::WATCH, 0, b"data/other\0t\0").len(), 2);
    assert_eq!(guest.one(op::UNWATCH, 0, b"data\0t\0"), "UNWATCH OK|");
    assert_eq!(guest.one(op::UNWATCH, 0, b"data\0t\0"), "ERROR ENOENT|");
    assert_eq!(guest.ask(op::WRITE, 0, b"data/x\0"), ["WRITE OK|"]);
}

#[test]
fn others_hear_only_of_what_they_may_read_and_the_bell_rings_for_them() {
    let guest = guest();
    let host = guest.beside(0);
    guest.ask(op::WATCH, 0, b"/\0all\0");
    host.ask(op::WATCH, 0, b"/\0all\0");
    host.ask(op::WRITE, 0, b"/tool/secret\0x");
    assert_eq!(guest.waiting(), [""; 0]);
    host.ask(op::WRITE, 0, b"/local/domain/7/data/x\0x");
    assert!(guest.outbox.wait(), "this would hang without a bell");
    assert_eq!(guest.waiting(), ["WATCH_EVENT /local/domain/7/data/x|all|"]);
    // A node that is closed to the guest below a directory it may read: the guest hears that it came.
    host.ask(op::WRITE, 0, b"/local/domain/7/hidden\0x");
    guest.waiting();
    host.ask(op::SET_PERMS, 0, b"/local/domain/7/hidden\0n0\0");
    assert_eq!(guest.waiting(), ["WATCH_EVENT /local/domain/7/hidden|all|"]);
    host.ask(op::WRITE, 0, b"/local/domain/7/hidden\0y");
    assert_eq!(guest.waiting(), ["WATCH_EVENT /local/domain/7/hidden|all|"]);
    host.ask(op::WRITE, 0, b"/local/domain/7/hidden/below\0y");
    assert_eq!(guest.waiting(), [""; 0]);
}

#[test]
fn transactions_are_numbered_anew_isolated_and_heard_of_at_the_commit() {
    let guest = guest();
    guest.ask(op::WATCH, 0, b"data\0t\0");
    assert_eq!(guest.one(op::TRANSACTION_START, 0, b"\0"), "TRANSACTION_START 1|");
    assert_eq!(guest.one(op::TRANSACTION_START, 1, b"\0"), "ERROR EBUSY|");
    assert_eq!(guest.one(op::TRANSACTION_START, 9, b"\0"), "ERROR ENOENT|");
    assert_eq!(guest.one(op::WRITE, 1, b"data/x\0in"), "WRITE OK|");
    assert_eq!(guest.one(op::READ, 1, b"data/x\0"), "READ in");
    assert_eq!(guest.one(op::READ, 0, b"data/x\0"), "ERROR ENOENT|");
    assert_eq!(guest.ask(op::TRANSACTION_END, 1, b"T\0"), ["WATCH_EVENT data/x|t|", "TRANSACTION_END OK|"]);
    assert_eq!(guest.one(op::READ, 0, b"data/x\0"), "READ in");
    assert_eq!(guest.one(op::TRANSACTION_END, 1, b"T\0"), "ERROR ENOENT|");
    assert_eq!(guest.one(op::READ, 1, b"data/x\0"), "ERROR ENOENT|");
    assert_eq!(guest.one(op::TRANSACTION_START, 0, b"\0"), "TRANSACTION_START 1|");
    guest.one(op::WRITE, 1, b"data/x\0never");
    assert_eq!(guest.one(op::TRANSACTION_END, 1, b"F\0"), "TRANSACTION_END OK|");
    assert_eq!(guest.one(op::READ, 0, b"data/x\0"), "READ in");
}

#[test]
fn a_commit_is_refused_on_demand() {
    let guest = guest();
    guest.hub.lock().refuse_commits = 1;
    for expected in ["ERROR EAGAIN|", "TRANSACTION_END OK|"] {
        guest.one(op::TRANSACTION_START, 0, b"\0");
        assert_eq!(guest.one(op::TRANSACTION_END, 1, b"T\0"), expected);
    }
}

#[test]
fn watches_and_transactions_are_counted_over_all_connections_of_the_guest() {
    let quotas = Quotas { watches: 2, transactions: 2, ..Quotas::default() };
    let guest = guest_of(Options { quotas, ..Options::default() });
    let other = guest.beside(7);
    other.ask(op::WATCH, 0, b"data\0t\0");
    other.ask(op::TRANSACTION_START, 0, b"\0");
    assert_eq!(guest.ask(op::WATCH, 0, b"data\0t\0").len(), 2);
    assert_eq!(guest.one(op::WATCH, 0, b"data\0u\0"), "ERROR E2BIG|");
    assert_eq!(guest.one(op::TRANSACTION_START, 0, b"\0"), "TRANSACTION_START 1|");
    assert_eq!(guest.one(op::TRANSACTION_START, 0, b"\0"), "ERROR ENOSPC|");
    guest.hub.lock().disconnect(other.id);
    assert_eq!(guest.ask(op::WATCH, 0, b"data\0u\0").len(), 2);
    assert_eq!(guest.one(op::TRANSACTION_START, 0, b"\0"), "TRANSACTION_START 2|");
    assert_eq!(guest.one(op::RESET_WATCHES, 0, b"\0"), "RESET_WATCHES OK|");
    assert_eq!(guest.hub.lock().usage().1, 0);
}

#[test]
fn who_does_not_read_loses_events_and_no_replies() {
    let quotas = Quotas { queued: 1000, ..Quotas::default() };
    let guest = guest_of(Options { quotas, ..Options::default() });
    let host = guest.beside(0);
    guest.ask(op::WATCH, 0, b"data\0t\0");
    for _ in 0..1000 {
        host.ask(op::WRITE, 0, b"/local/domain/7/data/x\0x");
    }
    assert!(guest.outbox.bytes() < 1100, "{}", guest.outbox.bytes());
    assert_eq!(guest.ask(op::READ, 0, b"data/x\0").last().unwrap(), "READ x");
}

#[test]
fn a_directory_above_4096_bytes_comes_in_parts() {
    let guest = guest();
    let host = guest.beside(0);
    for i in 0..1200 {
        host.ask(op::WRITE, 0, format!("/local/domain/7/data/{i:04}\0").as_bytes());
    }
    assert_eq!(guest.one(op::DIRECTORY, 0, b"data\0"), "ERROR E2BIG|");
    let mut names = String::new();
    let mut sizes = Vec::new();
    loop {
        let part = guest.one(op::DIRECTORY_PART, 0, format!("data\0{}\0", names.len()).as_bytes());
        let (_, part) = part.strip_prefix("DIRECTORY_PART ").unwrap().split_once('|').unwrap();
        sizes.push(part.len());
        match part.strip_suffix("||") {
            Some(last) => break names.push_str(&format!("{last}|")),
            None => names.push_str(part),
        }
    }
    assert_eq!(names, (0..1200).map(|i| format!("{i:04}|")).collect::<String>());
    assert_eq!(sizes.len(), 2);
    assert!(sizes[0] > 4000, "as much as fits: {sizes:?}");
    let beyond = guest.one(op::DIRECTORY_PART, 0, b"data\x0099999\0");
    assert!(beyond.ends_with("||") && beyond.matches('|').count() == 2, "{beyond}");
    guest.hub.lock().options.directory_part = false;
    assert_eq!(guest.one(op::DIRECTORY_PART, 0, b"data\x000\0"), "ERROR ENOSYS|");
}

#[test]
fn no_part_of_a_directory_is_above_4096_bytes() {
    for last in 1..30 {
        let children = [vec![b'a'; 4074], vec![0], vec![b'b'; last], vec![0]].concat();
        let first = directory_part(123, &children, 0);
        assert!(first.len() <= PAYLOAD_MAX, "{last}: {}", first.len());
        let whole = first.ends_with(b"\0\0");
        // 4 bytes of generation, 4075 for the first name, one for the mark of the end.
        assert_eq!(whole, 4 + 4075 + last + 1 < PAYLOAD_MAX);
        if !whole {
            assert_eq!(directory_part(123, &children, first.len() - 4).len(), 4 + last + 2);
        }
    }
}

#[test]
fn a_migration_moves_the_home_and_dom0_hears_of_it() {
    let guest = guest();
    let host = guest.beside(0);
    guest.ask(op::WRITE, 0, b"data/x\0x");
    host.ask(op::WATCH, 0, b"@releaseDomain\0r\0");
    guest.ask(op::WATCH, 0, b"@releaseDomain\0r\0");
    guest.hub.lock().migrate(9);
    assert_eq!(host.waiting(), ["WATCH_EVENT @releaseDomain|r|"]);
    assert_eq!(guest.waiting(), [""; 0]);
    let moved = guest.beside(9);
    assert_eq!(moved.one(op::READ, 0, b"domid\0"), "READ 9");
    assert_eq!(moved.one(op::READ, 0, b"data/x\0"), "ERROR ENOENT|");
    assert_eq!(host.one(op::READ, 0, b"/local/domain/7\0"), "ERROR ENOENT|");
    assert_eq!(guest.hub.lock().store.owned(7).now, 0);
}
