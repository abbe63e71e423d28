//! nanova's client and service on the strict model of Linux's /dev/xen/xenbus, call by call: a pty hides where one write ends
//! and the next begins, and whether a read was asked for no bytes; here nothing is hidden.

use std::ffi::CStr;
use std::fmt;

use anyhow::Result;
use nanova_core::engine::requests::{Progress, Service};
use nanova_core::network::Target;
use nanova_core::platform::{
    Clock, Distrust, Download, Durability, Ended, Entropy, FileKind, Files, GuestPath, Identity, KernelNet, Level, Log,
    Program, Programs,
};
use nanova_core::wire::errno::Errno;
use nanova_core::wire::net::Ip;
use nanova_core::wire::netlink::{Message, Reply};
use nanova_core::wire::text::Bounded;
use nanova_core::xenstore::{Client, Error, Event, Lost, Path, Refusal, Transaction, Transport};
use nanova_tests::host::Host;
use nanova_tests::nova::uuid;
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

/// A guest without files: `version` needs none. Its clock goes on by a second whenever somebody looks.
struct Bare(u64);

impl Programs for Bare {
    fn start(&mut self, _programs: &[Program<'_>]) {}
    fn end_process(&mut self, _process: u32) {}
    fn is_program(&mut self, _path: GuestPath<'_>) -> Result<(), Errno> {
        Err(Errno::NOENT)
    }
    fn run(
        &mut self,
        _: GuestPath<'_>,
        _: Option<&CStr>,
        _: &[u8],
        _: &mut [u8],
        _: u32,
    ) -> Result<(Ended, usize), Errno> {
        Err(Errno::IO)
    }
}

impl Download for Bare {
    type Connection = ();
    fn connect(&mut self, _ip: Ip, _port: u16, _seconds: u32) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn resolve(&mut self, _name: &str, _deadline: u64) -> Option<Ip> {
        None
    }
    fn send(&mut self, _connection: &mut (), _bytes: &[u8]) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn receive(&mut self, _connection: &mut (), _space: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::IO)
    }
    fn own_path(&mut self) -> Result<Bounded<256>, Errno> {
        Err(Errno::IO)
    }
}

impl Clock for Bare {
    fn unix_time(&mut self) -> u64 {
        0
    }
    fn uptime(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl Identity for Bare {
    fn host_name(&mut self) -> Bounded<64> {
        Bounded::new()
    }
    fn set_host_name(&mut self, _name: &str) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn kernel_release(&mut self) -> Bounded<64> {
        Bounded::new()
    }
}

impl Entropy for Bare {
    fn random(&mut self, _bytes: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::IO)
    }
}

impl Log for Bare {
    fn log(&mut self, _level: Level, _text: fmt::Arguments<'_>) {}
}

impl KernelNet for Bare {
    fn ask(&mut self, _message: &Message, _each: &mut dyn FnMut(&Reply)) -> Result<(), Errno> {
        Err(Errno::IO)
    }
}

impl Files for Bare {
    type File = ();
    type Staged = ();
    type Lock = ();
    fn kind(&mut self, _path: GuestPath<'_>) -> Result<Option<FileKind>, Errno> {
        Ok(None)
    }
    fn exists(&mut self, _path: GuestPath<'_>) -> Result<bool, Errno> {
        Ok(false)
    }
    fn link_not_followed(&mut self, _path: GuestPath<'_>) -> Option<(usize, Distrust)> {
        None
    }
    fn open(&mut self, _path: GuestPath<'_>) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn open_linked(&mut self, _path: GuestPath<'_>) -> Result<(), Errno> {
        Err(Errno::NOENT)
    }
    fn replace_with(&mut self, _path: GuestPath<'_>, _name: &str) -> Result<Durability, Errno> {
        Err(Errno::IO)
    }
    fn read(&mut self, _file: &mut (), _space: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::IO)
    }
    fn make_directory(&mut self, _path: GuestPath<'_>) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn link(&mut self, _path: GuestPath<'_>, _name: &str) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn rename(&mut self, _path: GuestPath<'_>, _name: &str) -> Result<Durability, Errno> {
        Err(Errno::IO)
    }
    fn names(&mut self, _path: GuestPath<'_>, _each: &mut dyn FnMut(&str)) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn stage(&mut self, _path: GuestPath<'_>, _number: u8) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn append(&mut self, _staged: &mut (), _bytes: &[u8]) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn take_over(&mut self, _staged: &mut (), _from: &()) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn set_mode(&mut self, _staged: &mut (), _mode: u32) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn publish(&mut self, _staged: &mut (), _path: GuestPath<'_>) -> Result<Durability, Errno> {
        Err(Errno::IO)
    }
    fn seal(&mut self, _staged: &mut Self::Staged) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn replace_link(&mut self, _path: GuestPath<'_>, _name: &str) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn discard(&mut self, _staged: &mut ()) {}
    fn tidy(&mut self, _path: GuestPath<'_>, _number: u8) -> bool {
        false
    }
    fn space(&mut self, _path: &str) -> Option<(u64, u64)> {
        None
    }
    fn lock(&mut self, _path: GuestPath<'_>) -> Result<(), Errno> {
        Err(Errno::IO)
    }
}

fn kernels() -> [Kernel; 3] {
    let modern = Kernel::default();
    [modern, Kernel { foreign_req_id: true, ..modern }, Kernel { zero_watch_ack: true, ..modern }]
}

/// Serves until there is nothing left, then takes the events that came meanwhile; until there are none of those either.
///
/// Answers are collected as a host does that looks all the time: xenstored has no room for all of them at once.
fn serve(service: &mut Service, client: &mut Client<Xenbus>, host: &mut Host, seen: &mut Vec<String>) {
    let mut platform = Bare(0);
    loop {
        loop {
            let progress = service.serve_one(client, &mut platform).unwrap();
            let guest = host.path("data/guest");
            seen.extend(host.client().list(&guest).unwrap_or_default());
            if progress == Progress::Idle {
                break;
            }
        }
        while client.transport().0.readable() {
            client.receive_events().unwrap();
        }
        if !service.take_events(client).unwrap() {
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
        let mut service = Service::new(Target::Both);
        service.start(&mut client, &mut Bare(0)).unwrap();
        let mut seen = Vec::new();
        serve(&mut service, &mut client, &mut host, &mut seen);
        for id in &ids {
            assert!(seen.contains(id), "{id} was not answered");
        }
        host.send("later", "{}")?;
        assert!(client.transport().0.readable(), "the watch has fired");
        serve(&mut service, &mut client, &mut host, &mut seen);
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
    let mut service = Service::new(Target::Both);
    service.start(&mut client, &mut Bare(0)).unwrap();
    let mut seen = Vec::new();
    serve(&mut service, &mut client, &mut host, &mut seen);
    let ids = (0..400).map(|_| uuid()).collect::<Result<Vec<_>>>()?;
    for id in &ids {
        host.send(id, r#"{"name":"version"}"#)?;
    }
    serve(&mut service, &mut client, &mut host, &mut seen);
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
    let mut service = Service::new(Target::Both);
    service.start(&mut client, &mut Bare(0)).unwrap();
    let (mut host, mut seen) = (Host::of(&xenstored)?, Vec::new());
    serve(&mut service, &mut client, &mut host, &mut seen);
    xenstored.migrate(12);
    client.transport().0.resume();
    let mut host = Host::of(&xenstored)?;
    host.send("after", r#"{"name":"version"}"#)?;
    serve(&mut service, &mut client, &mut host, &mut seen);
    assert_eq!(host.answer("after")?.expect("an answer").code, "0");
    assert_eq!(client.transport().0.violations(), Vec::<String>::new());
    Ok(())
}
