//! Tests of device.rs: each line of the table in facts C6 that can be seen from a process.

use super::super::{Options, Quotas};
use super::*;

fn open_with(options: Options, kernel: Kernel) -> Device {
    Device::open(Arc::new(Hub::new(options)), kernel, None).unwrap()
}

fn open() -> Device {
    open_with(Options::default(), Kernel::default())
}

fn packet(kind: u32, tx_id: u32, payload: &[u8]) -> Packet {
    Packet { kind, req_id: 42, tx_id, payload: payload.to_vec() }
}

/// All packets that can be read now.
fn received(device: &mut Device) -> Vec<Packet> {
    let mut bytes = vec![0; 1 << 20];
    let len = device.read(&mut bytes, true).unwrap_or_default();
    let mut rest = &bytes[..len];
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let packet = decode(rest).unwrap();
        rest = &rest[HEADER + packet.payload.len()..];
        packets.push(packet);
    }
    packets
}

fn texts(packets: &[Packet]) -> Vec<String> {
    let text = |packet: &Packet| {
        format!("{} {}", op::name(packet.kind), String::from_utf8_lossy(&packet.payload).replace('\0', "|"))
    };
    packets.iter().map(text).collect()
}

fn ask(device: &mut Device, kind: u32, tx_id: u32, payload: &[u8]) -> Vec<String> {
    device.write(&packet(kind, tx_id, payload).to_bytes()).unwrap();
    texts(&received(device))
}

/// A change by dom0.
fn host_writes(device: &Device, path: &str) {
    let outbox = Arc::new(Outbox::new().unwrap());
    let mut daemon = device.hub.lock();
    let id = daemon.connect(0, outbox);
    daemon.handle(id, &packet(op::WRITE, 0, format!("{path}\0x").as_bytes()));
}

#[test]
fn a_message_may_come_in_pieces_and_its_reply_go_in_pieces() {
    let mut device = open();
    let request = packet(op::READ, 0, b"name\0").to_bytes();
    for piece in request.chunks(7) {
        assert!(!device.readable());
        assert_eq!(device.write(piece), Ok(piece.len()));
    }
    let mut reply = Vec::new();
    let mut byte = [0];
    while device.readable() {
        device.read(&mut byte, false).unwrap();
        reply.push(byte[0]);
    }
    assert_eq!(decode(&reply).unwrap().payload, b"guest");
    assert_eq!(device.read(&mut byte, true), Err(Errno::Eagain));
    assert_eq!(device.violations(), [""; 0]);
}

#[test]
fn the_buffer_holds_4080_bytes_of_payload() {
    let mut device = open();
    let write = |len: usize| packet(op::WRITE, 0, &[b"data/x\0".as_slice(), &vec![b'x'; len - 7]].concat()).to_bytes();
    assert_eq!(device.write(&write(4080)), Ok(4096));
    assert_eq!(texts(&received(&mut device)), ["ERROR ENOSPC|"]);
    assert!(device.violations().is_empty());
    assert_eq!(device.write(&write(4081)), Err(Errno::Einval));
    assert_eq!(device.write(&write(4081)[..HEADER]), Err(Errno::E2big));
    assert_eq!(device.violations().len(), 2);
    assert_eq!(ask(&mut device, op::READ, 0, b"name\0"), ["READ guest"]);
}

#[test]
fn what_follows_a_message_in_the_same_write_is_lost() {
    let mut device = open();
    let two = [packet(op::READ, 0, b"name\0").to_bytes(), packet(op::READ, 0, b"domid\0").to_bytes()].concat();
    assert_eq!(device.write(&two), Ok(two.len()));
    assert_eq!(texts(&received(&mut device)), ["READ guest"]);
    assert_eq!(device.violations(), ["22 bytes behind a READ were discarded"]);
}

#[test]
fn a_request_before_the_answer_to_the_one_before_it_is_a_violation() {
    let mut device = open();
    let read = packet(op::READ, 0, b"name\0").to_bytes();
    ask(&mut device, op::WATCH, 0, b"data\0token\0");
    received(&mut device);
    // An event that waits is no answer.
    device.write(&packet(op::WRITE, 0, b"data/x\0x").to_bytes()).unwrap();
    received(&mut device);
    device.write(&read).unwrap();
    device.read(&mut [0; HEADER], true).unwrap();
    assert!(device.violations().is_empty());
    device.write(&read).unwrap();
    assert_eq!(device.violations(), ["a READ before the answer to the request before it was read"]);
}

#[test]
fn an_empty_read_and_reset_watches_are_violations() {
    let mut device = open();
    assert_eq!(device.read(&mut [], true), Ok(0));
    assert_eq!(ask(&mut device, op::RESET_WATCHES, 0, b"\0"), ["RESET_WATCHES OK|"]);
    assert_eq!(device.violations().len(), 2);
}

#[test]
fn the_header_of_an_event_means_nothing() {
    let mut device = open();
    ask(&mut device, op::WATCH, 0, b"data\0my token\0");
    ask(&mut device, op::TRANSACTION_START, 0, b"\0");
    device.write(&packet(op::WRITE, 0, b"data/x\0x").to_bytes()).unwrap();
    let [event, reply] = received(&mut device).try_into().unwrap();
    assert_eq!((event.kind, event.payload.as_slice()), (op::WATCH_EVENT, b"data/x\0my token\0".as_slice()));
    assert_eq!((event.req_id, event.tx_id), (42, 1));
    assert_eq!((reply.kind, reply.req_id, reply.tx_id), (op::WRITE, 42, 0));
}

#[test]
fn watches_are_the_kernels_business() {
    let mut device = open();
    assert_eq!(ask(&mut device, op::WATCH, 0, b"data\0t\0"), ["WATCH_EVENT data|t|", "WATCH OK|"]);
    // The kernel's tokens differ, so the same watch twice is fine, and fires twice.
    assert_eq!(ask(&mut device, op::WATCH, 0, b"data\0t\0").len(), 2);
    host_writes(&device, "/local/domain/7/data/x");
    assert_eq!(texts(&received(&mut device)), ["WATCH_EVENT data/x|t|", "WATCH_EVENT data/x|t|"]);
    for _ in 0..3 {
        assert_eq!(ask(&mut device, op::UNWATCH, 0, b"data\0t\0"), ["UNWATCH OK|"]);
    }
    host_writes(&device, "/local/domain/7/data/x");
    assert!(!device.readable());
    // The depth is not passed on.
    assert_eq!(ask(&mut device, op::WATCH, 0, b"data\0t\x001\0").len(), 2);
}

#[test]
fn a_watch_that_fails_is_an_errno_of_write() {
    let quotas = Quotas { watches: 1, ..Quotas::default() };
    let mut device = open_with(Options { quotas, ..Options::default() }, Kernel::default());
    let mut watch = |payload: &[u8]| device.write(&packet(op::WATCH, 0, payload).to_bytes());
    assert_eq!(watch(b"data//x\0t\0"), Err(Errno::Einval));
    assert_eq!(watch(b"data\0t"), Err(Errno::Eilseq));
    assert!(watch(b"data\0t\0").is_ok());
    assert_eq!(watch(b"data\0u\0"), Err(Errno::E2big));
    assert_eq!(received(&mut device).len(), 2);
    device.hub.lock().options.quotas.watches = 9;
    device.resume();
    assert_eq!(texts(&received(&mut device)), ["WATCH_EVENT data|t|"]);
}

#[test]
fn each_event_carries_the_token_of_its_watch() {
    let mut device = open();
    ask(&mut device, op::WATCH, 0, b"attr\0first\0");
    ask(&mut device, op::WATCH, 0, b"data\0second\0");
    host_writes(&device, "/local/domain/7/data/x");
    assert_eq!(texts(&received(&mut device)), ["WATCH_EVENT data/x|second|"]);
}

#[test]
fn the_kernel_answers_for_transactions_it_does_not_know() {
    let mut device = open();
    assert_eq!(ask(&mut device, op::READ, 5, b"name\0"), ["ERROR ENOENT|"]);
    assert_eq!(ask(&mut device, op::TRANSACTION_END, 5, b"T\0"), ["ERROR ENOENT|"]);
    assert_eq!(ask(&mut device, op::TRANSACTION_START, 0, b"\0"), ["TRANSACTION_START 1|"]);
    assert_eq!(ask(&mut device, op::TRANSACTION_END, 1, b"T"), ["ERROR EINVAL|"]);
    assert_eq!(ask(&mut device, op::READ, 1, b"name\0"), ["READ guest"]);
    assert_eq!(ask(&mut device, op::TRANSACTION_END, 1, b"T\0"), ["TRANSACTION_END OK|"]);
    assert_eq!(ask(&mut device, op::TRANSACTION_END, 1, b"T\0"), ["ERROR ENOENT|"]);
}

#[test]
fn a_resume_fires_every_watch_and_loses_every_transaction() {
    let mut device = open();
    ask(&mut device, op::WATCH, 0, b"data\0t\0");
    for id in [1, 2] {
        ask(&mut device, op::TRANSACTION_START, 0, b"\0");
        ask(&mut device, op::WRITE, id, b"data/x\0x");
    }
    device.hub.lock().migrate(9);
    device.resume();
    assert_eq!(texts(&received(&mut device)), ["WATCH_EVENT data|t|"]);
    assert_eq!(ask(&mut device, op::TRANSACTION_END, 1, b"T\0"), ["ERROR EAGAIN|"]);
    assert_eq!(ask(&mut device, op::TRANSACTION_END, 2, b"F\0"), ["TRANSACTION_END OK|"]);
    assert_eq!(ask(&mut device, op::READ, 0, b"domid\0"), ["READ 9"]);
    host_writes(&device, "/local/domain/9/data/y");
    assert_eq!(texts(&received(&mut device)), ["WATCH_EVENT data/y|t|"]);
}

#[test]
fn old_kernels_number_replies_their_own_way() {
    let kernel = Kernel { foreign_req_id: true, zero_watch_ack: true };
    let mut device = open_with(Options::default(), kernel);
    device.write(&packet(op::READ, 0, b"name\0").to_bytes()).unwrap();
    device.write(&packet(op::UNWATCH, 0, b"data\0t\0").to_bytes()).unwrap();
    let ids: Vec<u32> = received(&mut device).iter().map(|packet| packet.req_id).collect();
    assert_eq!(ids, [66814, 0]);
}

#[test]
fn closing_ends_watches_and_transactions() {
    let mut device = open();
    ask(&mut device, op::WATCH, 0, b"data\0t\0");
    ask(&mut device, op::TRANSACTION_START, 0, b"\0");
    device.write(&packet(op::READ, 0, b"name\0").to_bytes()).unwrap();
    device.reopen();
    assert!(!device.readable());
    let hub = device.hub.clone();
    let (_, watches, transactions, _) = hub.lock().usage();
    assert_eq!((watches, transactions), (0, 0));
    assert_eq!(ask(&mut device, op::WATCH, 0, b"data\0t\0").len(), 2);
    drop(device);
    assert_eq!(hub.lock().usage().1, 0);
}
