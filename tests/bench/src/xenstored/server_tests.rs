//! Tests of server.rs and client.rs: several clients on real sockets.

use std::time::Duration;

use super::super::{Client, Errno, Event, Options, Packet, Quotas, Xenstored, op};

const LONG: Duration = Duration::from_secs(10);

fn event(path: &str, token: &str) -> Option<Event> {
    Some(Event { path: path.to_owned(), token: token.to_owned() })
}

#[test]
fn two_clients_hear_of_each_other() {
    let xenstored = Xenstored::start(Options::default()).unwrap();
    let (mut host, mut guest) = (xenstored.host(), xenstored.guest());
    guest.watch("data/host", "g").unwrap();
    host.watch("/local/domain/7/data/guest", "h").unwrap();
    assert_eq!(guest.wait_event(LONG).unwrap(), event("data/host", "g"));
    assert_eq!(host.wait_event(LONG).unwrap(), event("/local/domain/7/data/guest", "h"));
    for i in 0..100 {
        host.write(&format!("/local/domain/7/data/host/{i}"), "ping").unwrap();
        assert_eq!(guest.wait_event(LONG).unwrap(), event(&format!("data/host/{i}"), "g"));
        guest.write(&format!("data/guest/{i}"), "pong").unwrap();
        assert_eq!(host.wait_event(LONG).unwrap(), event(&format!("/local/domain/7/data/guest/{i}"), "h"));
    }
    assert_eq!(guest.wait_event(Duration::from_millis(10)).unwrap(), None);
    guest.unwatch("data/host", "g").unwrap();
    assert_eq!(guest.list("data").unwrap(), ["host", "guest"]);
    let stats = xenstored.stats();
    // data, host, guest, what is in them, and the ten others that xl makes for the guest.
    assert_eq!((stats.nodes, stats.watches, stats.requests_of(op::WRITE)), (213, 0, 100));
}

#[test]
fn transactions_of_two_clients_conflict_and_are_run_again() {
    let xenstored = Xenstored::start(Options::default()).unwrap();
    let (mut host, mut guest) = (xenstored.host(), xenstored.guest());
    host.write("/local/domain/7/data/n", "1").unwrap();
    let mut runs = 0;
    guest
        .transaction(|guest| {
            runs += 1;
            let n: u32 = guest.get("data/n")?.unwrap().parse().unwrap();
            if runs == 1 {
                host.write("/local/domain/7/data/n", "10")?;
            }
            guest.write("data/n", (n + 1).to_string())
        })
        .unwrap();
    assert_eq!((runs, host.get("/local/domain/7/data/n").unwrap().unwrap().as_str()), (2, "11"));
    xenstored.refuse_commits(3);
    let mut runs = 0;
    let name = guest.transaction(|guest| {
        runs += 1;
        guest.get("name")
    });
    assert_eq!((runs, name.unwrap().unwrap().as_str()), (4, "guest"));
    guest.begin().unwrap();
    guest.write("data/n", "never").unwrap();
    guest.abort().unwrap();
    assert_eq!(guest.read("data/n").unwrap(), b"11");
}

#[test]
fn a_closed_connection_takes_its_watches_and_transactions_along() {
    let xenstored = Xenstored::start(Options::default()).unwrap();
    let mut guest = xenstored.guest();
    guest.watch("data", "t").unwrap();
    guest.begin().unwrap();
    assert_eq!((xenstored.stats().watches, xenstored.stats().transactions), (1, 1));
    drop(guest);
    while xenstored.stats().watches + xenstored.stats().transactions > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn who_does_not_read_holds_up_nobody_not_even_the_end() {
    let xenstored = Xenstored::start(Options::default()).unwrap();
    let mut deaf = xenstored.guest();
    deaf.watch("data", "t").unwrap();
    let read = Packet { kind: op::READ, req_id: 0, tx_id: 0, payload: b"data/x\0".to_vec() }.to_bytes();
    let mut host = xenstored.host();
    // More than any socket's buffer holds, in events and then in replies.
    for _ in 0..20_000 {
        host.write("/local/domain/7/data/x", [b'x'; 1000]).unwrap();
    }
    for _ in 0..100 {
        deaf.send_bytes(&read).unwrap();
    }
    assert_eq!(xenstored.guest().read("name").unwrap(), b"guest");
    drop(xenstored);
}

#[test]
fn a_packet_above_4096_bytes_ends_its_connection_only() {
    let xenstored = Xenstored::start(Options::default()).unwrap();
    let (mut bad, mut good) = (xenstored.guest(), xenstored.guest());
    bad.send_bytes(&[op::READ, 1, 0, 4097].map(u32::to_ne_bytes).concat()).unwrap();
    assert!(bad.read("name").unwrap_err().errno().is_none());
    assert_eq!(good.raw(op::READ, 0, b"name\0").unwrap(), (op::READ, b"guest".to_vec()));
    assert_eq!(good.raw(op::READ, 0, b"no\0").unwrap(), (op::ERROR, b"ENOENT\0".to_vec()));
}

#[test]
fn quotas_change_under_way_and_permissions_bind() {
    let xenstored = Xenstored::start(Options::default()).unwrap();
    let (mut host, mut guest) = (xenstored.host(), xenstored.guest());
    guest.mkdir("data/mine").unwrap();
    let now = xenstored.stats().nodes;
    xenstored.set_quotas(Quotas { nodes: now, nodes_refused_with: Errno::Equota, ..Quotas::default() });
    assert_eq!(guest.write("data/more", "").unwrap_err().errno(), Some(Errno::Equota));
    guest.rm("data/mine").unwrap();
    guest.write("data/more", "").unwrap();
    assert_eq!((xenstored.stats().nodes, xenstored.stats().peak_nodes), (now, now));
    host.set_perms("/local/domain/7/data/more", "n0").unwrap();
    assert_eq!(guest.get("data/more").unwrap_err().errno(), Some(Errno::Eacces));
    assert_eq!(host.perms("/local/domain/7/control").unwrap(), "n0 r7");
}

#[test]
fn a_restart_keeps_the_tree_or_makes_it_anew() {
    let mut xenstored = Xenstored::start(Options::default()).unwrap();
    let mut old = xenstored.host();
    old.write("/local/domain/7/data/x", "kept").unwrap();
    xenstored.stop();
    assert!(old.read("/local/domain/7/data/x").unwrap_err().errno().is_none());
    assert!(Client::connect(&xenstored.host_socket()).is_err());
    xenstored.restart(true).unwrap();
    assert_eq!(xenstored.guest().read("data/x").unwrap(), b"kept");
    xenstored.restart(false).unwrap();
    assert_eq!(xenstored.guest().get("data/x").unwrap(), None);
    xenstored.migrate(12);
    assert_eq!((xenstored.domid(), xenstored.home().as_str()), (12, "/local/domain/12"));
    assert_eq!(xenstored.guest().read("domid").unwrap(), b"12");
}
