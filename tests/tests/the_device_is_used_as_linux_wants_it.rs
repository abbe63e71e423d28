//! nanova's client and service on the strict model of Linux's /dev/xen/xenbus, call by call: a pty hides where one
//! write ends and the next begins, and whether a read was asked for no bytes; here nothing is hidden.

use anyhow::Result;
use nanova_core::engine::progress::{EventMeaning, Progress};
use nanova_core::engine::requests::Requests;
use nanova_core::network::Target;
use nanova_core::xenstore::{Client, Error, Event, Lost, Path, Refusal, Transaction, Transport};
use nanova_tests::host::Host;
use nanova_tests::nova::uuid;
use nanova_tests::virtual_guest::BareGuest;
use nanova_tests::xenstored::{Device, Kernel, Options, Xenstored};

/// The device as nanova's agent uses it.
struct Xenbus(Device);

impl Transport for Xenbus {
    fn send(&mut self, packet: &[u8]) -> Result<(), Error> {
        match self.0.write(packet) {
            Ok(n) if n == packet.len() => Ok(()),
            Ok(_) => Err(Error::Lost(Lost::Closed)),
            Err(errno) => Err(Error::Refused(Refusal::named(errno.name()))),
        }
    }

    fn receive(&mut self, space: &mut [u8]) -> Result<usize, Error> {
        self.0.read(space, true).map_err(|_| Error::Lost(Lost::Closed))
    }
}

fn kernels() -> [Kernel; 3] {
    let modern = Kernel::default();
    [modern, Kernel { foreign_req_id: true, ..modern }, Kernel { zero_watch_ack: true, ..modern }]
}

/// Serves until there is nothing left, then takes the events that came meanwhile; until there are none of those either.
///
/// Answers are collected as a host does that looks all the time: xenstored has no room for all of them at once.
fn serve(requests: &mut Requests, client: &mut Client<Xenbus>, host: &mut Host, seen: &mut Vec<String>) {
    let mut platform = BareGuest::default();
    // A second goes by with each.
    for now in (0..).step_by(1000) {
        let progress = requests.serve_one(client, &mut platform, now).unwrap();
        let guest = host.path("data/guest");
        seen.extend(host.client().list(&guest).unwrap_or_default());
        if progress != Progress::Idle {
            continue;
        }
        while client.transport().0.readable() {
            client.receive_events().unwrap();
        }
        let (mut look, mut named) = (false, false);
        while !named && let Some(event) = client.next_event().unwrap() {
            let taken = requests.take_event(event);
            look |= taken == EventMeaning::LookAgain;
            named = taken == EventMeaning::Named;
        }
        if look && !named {
            requests.look_again();
        }
        if !look && !named {
            return;
        }
    }
}

#[test]
fn two_hundred_requests_and_what_comes_after_break_no_rule() -> Result<()> {
    for kernel in kernels() {
        let xenstored = Xenstored::start(Options::default())?;
        let mut host = Host::of(&xenstored)?;
        let ids = (0..200).map(|_| uuid()).collect::<Result<Vec<_>>>()?;
        for id in &ids {
            host.send(id, r#"{"name":"version"}"#)?;
        }
        let mut client = Client::new(Xenbus(xenstored.device(kernel)?));
        let mut requests = Requests::new(Target::Both);
        requests.start(&mut client, &mut BareGuest::default()).unwrap();
        let mut seen = Vec::new();
        serve(&mut requests, &mut client, &mut host, &mut seen);
        for id in &ids {
            assert!(seen.contains(id), "{id} was not answered");
        }
        host.send("later", "{}")?;
        assert!(client.transport().0.readable(), "the watch has fired");
        serve(&mut requests, &mut client, &mut host, &mut seen);
        assert_eq!(host.answer("later")?.expect("an answer").code, "500");
        assert_eq!(client.transport().0.violations(), Vec::<String>::new());
    }
    Ok(())
}

#[test]
fn a_burst_longer_than_a_list_is_served_where_lists_come_in_one_part_only() -> Result<()> {
    let xenstored = Xenstored::start(Options { directory_part: false, ..Options::default() })?;
    let mut host = Host::of(&xenstored)?;
    let mut client = Client::new(Xenbus(xenstored.device(Kernel::default())?));
    let mut requests = Requests::new(Target::Both);
    requests.start(&mut client, &mut BareGuest::default()).unwrap();
    let mut seen = Vec::new();
    serve(&mut requests, &mut client, &mut host, &mut seen);
    let ids = (0..400).map(|_| uuid()).collect::<Result<Vec<_>>>()?;
    for id in &ids {
        host.send(id, r#"{"name":"version"}"#)?;
    }
    serve(&mut requests, &mut client, &mut host, &mut seen);
    for id in &ids {
        assert!(seen.contains(id), "{id} was not answered");
    }
    assert_eq!(client.transport().0.violations(), Vec::<String>::new());
    Ok(())
}

#[test]
fn every_operation_of_the_client_keeps_to_the_rules() -> Result<()> {
    for kernel in kernels() {
        let xenstored = Xenstored::start(Options::default())?;
        let mut client = Client::new(Xenbus(xenstored.device(kernel)?));
        let none = Transaction::NONE;
        let path = Path::literal("data/a");
        client.write(none, path, b"").unwrap();
        assert_eq!(client.read(none, path).unwrap(), b"", "an empty value is read without a read of no bytes");
        assert_eq!(client.list(none, path, 0, &mut [0; 64]).unwrap().len, 0);
        client.mkdir(none, Path::literal("data/b")).unwrap();
        let permissions: Vec<_> = client.permissions(none, path).unwrap().collect();
        client.set_permissions(none, path, &permissions).unwrap();
        assert_eq!(client.domain_path(7).unwrap(), "/local/domain/7");
        client.watch(path, "t").unwrap();
        client.watch(path, "t").unwrap();
        assert!(client.watch(Path::literal("data"), &"t".repeat(5000)).is_err());
        client.unwatch(path, "t").unwrap();
        client.unwatch(Path::literal("data/none"), "t").unwrap();
        let refused = client.transaction(|client, transaction| client.write(transaction, Path::literal("name"), b"x"));
        assert!(refused.unwrap_err().is(Refusal::named("EACCES")));
        client.transaction(|client, transaction| client.rm(transaction, path)).unwrap();
        assert_eq!(client.next_event().unwrap(), Some(Event::Fired { path: "data/a", token: "t" }));
        // The longest value that fits beside its path in what the device takes.
        let longest = vec![b'x'; 4096 - 16 - "data/long\0".len()];
        assert!(client.write(none, Path::literal("data/long"), &longest).unwrap_err().is(Refusal::named("ENOSPC")));
        assert_eq!(client.transport().0.violations(), Vec::<String>::new());
    }
    Ok(())
}

#[test]
fn after_a_migration_the_same_connection_serves_the_new_domain() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let mut client = Client::new(Xenbus(xenstored.device(Kernel::default())?));
    let mut requests = Requests::new(Target::Both);
    requests.start(&mut client, &mut BareGuest::default()).unwrap();
    let (mut host, mut seen) = (Host::of(&xenstored)?, Vec::new());
    serve(&mut requests, &mut client, &mut host, &mut seen);
    xenstored.migrate(12);
    client.transport().0.resume();
    let mut host = Host::of(&xenstored)?;
    host.send("after", r#"{"name":"version"}"#)?;
    serve(&mut requests, &mut client, &mut host, &mut seen);
    assert_eq!(host.answer("after")?.expect("an answer").code, "0");
    assert_eq!(client.transport().0.violations(), Vec::<String>::new());
    Ok(())
}
