//! Tests of pty.rs: a client that opens the path, as the agent does.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::super::daemon::Hub;
use super::super::device::Kernel;
use super::super::wire::{decode, op};
use super::super::{Options, Packet};
use super::*;

fn pty() -> (Arc<Hub>, Pty) {
    let hub = Arc::new(Hub::new(Options::default()));
    let device = Device::open(hub.clone(), Kernel::default(), None).unwrap();
    (hub, Pty::new(device).unwrap())
}

fn open(pty: &Pty) -> File {
    OpenOptions::new().read(true).write(true).open(pty.path()).unwrap()
}

fn request(kind: u32, payload: &[u8]) -> Vec<u8> {
    Packet { kind, req_id: 5, tx_id: 0, payload: payload.to_vec() }.to_bytes()
}

fn receive(file: &mut File) -> Packet {
    let mut bytes = vec![0; HEADER];
    file.read_exact(&mut bytes).unwrap();
    bytes.resize(HEADER + announced_len(&bytes).unwrap(), 0);
    file.read_exact(&mut bytes[HEADER..]).unwrap();
    decode(&bytes).unwrap()
}

fn ask(file: &mut File, kind: u32, payload: &[u8]) -> Packet {
    file.write_all(&request(kind, payload)).unwrap();
    receive(file)
}

/// Waits for another thread; a test that waits in vain fails.
fn eventually(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !what() {
        assert!(Instant::now() < deadline, "in vain");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn every_byte_passes_unchanged() {
    let (_hub, pty) = pty();
    let mut file = open(&pty);
    let value: Vec<u8> = (0..=255).cycle().take(2000).collect();
    assert_eq!(ask(&mut file, op::WRITE, &[b"data/x\0".as_slice(), &value].concat()).payload, b"OK\0");
    assert_eq!(ask(&mut file, op::READ, b"data/x\0").payload, value);
    let longest = [b"data/x\0".as_slice(), &[b'x'; 4073]].concat();
    assert_eq!(ask(&mut file, op::WRITE, &longest).payload, b"ENOSPC\0");
    assert_eq!(pty.violations(), [""; 0]);
}

#[test]
fn events_come_without_being_asked_for() {
    let (hub, pty) = pty();
    let mut file = open(&pty);
    assert_eq!(ask(&mut file, op::WATCH, b"data\0t\0").payload, b"data\0t\0");
    assert_eq!(receive(&mut file).kind, op::WATCH);
    let host = hub.lock().connect(0, Arc::new(Outbox::new().unwrap()));
    let write = Packet { kind: op::WRITE, req_id: 0, tx_id: 0, payload: b"/local/domain/7/data/x\0".to_vec() };
    hub.lock().handle(host, &write);
    assert_eq!(receive(&mut file).payload, b"data/x\0t\0");
    pty.resume();
    assert_eq!(receive(&mut file).payload, b"data\0t\0");
}

#[test]
fn two_messages_at_once_are_a_violation() {
    let (_hub, pty) = pty();
    let mut file = open(&pty);
    file.write_all(&[request(op::READ, b"name\0"), request(op::READ, b"domid\0")].concat()).unwrap();
    assert_eq!(receive(&mut file).payload, b"guest");
    assert_eq!(pty.violations(), ["22 bytes behind a READ were discarded"]);
    assert_eq!(ask(&mut file, op::READ, b"domid\0").payload, b"7");
}

#[test]
fn what_write_would_have_failed_with_comes_as_a_packet() {
    let (_hub, pty) = pty();
    let mut file = open(&pty);
    let refused = ask(&mut file, op::WATCH, b"data//x\0t\0");
    assert_eq!((refused.kind, refused.req_id, refused.payload.as_slice()), (op::ERROR, 5, b"EINVAL\0".as_slice()));
    assert_eq!(pty.violations(), [""; 0]);
    assert_eq!(ask(&mut file, op::WRITE, &[b'x'; 4081]).payload, b"E2BIG\0");
    assert_eq!(pty.violations().len(), 1);
    assert_eq!(ask(&mut file, op::READ, b"name\0").payload, b"guest");
}

#[test]
fn a_closed_file_leaves_nothing_behind() {
    let (hub, pty) = pty();
    let reads = || hub.lock().usage().3.get("READ").copied().unwrap_or_default();
    for _ in 0..20 {
        let before = reads();
        let mut file = open(&pty);
        ask(&mut file, op::WATCH, b"data\0t\0");
        receive(&mut file);
        ask(&mut file, op::TRANSACTION_START, b"\0");
        // A reply that nobody reads, and half a request.
        file.write_all(&request(op::READ, b"name\0")).unwrap();
        eventually(|| reads() > before);
        file.write_all(&request(op::READ, b"name\0")[..10]).unwrap();
        drop(file);
        eventually(|| hub.lock().usage().1 == 0);
        assert_eq!(hub.lock().usage().2, 0);
        let mut file = open(&pty);
        assert_eq!(ask(&mut file, op::READ, b"domid\0").payload, b"7");
    }
    assert_eq!(pty.violations(), [""; 0]);
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let (hub, pty) = pty();
    let mut file = open(&pty);
    ask(&mut file, op::WATCH, b"data\0t\0");
    receive(&mut file);
    let host = hub.lock().connect(0, Arc::new(Outbox::new().unwrap()));
    let write = Packet { kind: op::WRITE, req_id: 0, tx_id: 0, payload: b"/local/domain/7/data/x\0".to_vec() };
    for _ in 0..10_000 {
        hub.lock().handle(host, &write);
    }
    for _ in 0..10_000 {
        assert_eq!(receive(&mut file).payload, b"data/x\0t\0");
    }
}

#[test]
fn a_suspend_delays_the_reply_until_the_resume() {
    let (hub, pty) = pty();
    let mut file = open(&pty);
    ask(&mut file, op::WATCH, b"data\0t\0");
    receive(&mut file);
    pty.suspend();
    file.write_all(&request(op::READ, b"name\0")).unwrap();
    // Time for the pump to do what it must not.
    thread::sleep(Duration::from_millis(20));
    assert!(!hub.lock().usage().3.contains_key("READ"));
    pty.resume();
    assert_eq!(receive(&mut file).payload, b"data\0t\0");
    assert_eq!(receive(&mut file).payload, b"guest");
}
