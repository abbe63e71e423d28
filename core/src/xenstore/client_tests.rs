//! The client against replies written by hand: order, foreign ids, events in between, parts, retries, noise.

use super::*;
use crate::test_xenstore::FakeXenstore;
use crate::wire::xenstore::{HEADER_LEN, Header};
use proptest::prelude::{any, prop, prop_assert, proptest};
use std::collections::VecDeque;

/// Plays back what the other side sends, one piece per read, and keeps what it was sent.
#[derive(Default)]
struct Script {
    replies: VecDeque<Vec<u8>>,
    sent: Vec<(Header, Vec<u8>)>,
    refuse: Option<Refusal>,
}

impl Script {
    fn reply(mut self, kind: MessageType, payload: &[u8]) -> Script {
        self.replies.push_back(packet(kind, payload));
        self
    }
}

fn packet(kind: MessageType, payload: &[u8]) -> Vec<u8> {
    let header = Header { kind, request_id: 66813, transaction_id: 0xdead_beef, len: payload.len() as u32 };
    [&header.emit()[..], payload].concat()
}

impl Transport for Script {
    fn send(&mut self, packet: &[u8]) -> Result<(), Error> {
        if let Some(refusal) = self.refuse.take() {
            return Err(Error::Refused(refusal));
        }
        self.sent.push((Header::parse(packet.first_chunk().unwrap()), packet[HEADER_LEN..].to_vec()));
        Ok(())
    }

    fn receive(&mut self, space: &mut [u8]) -> Result<usize, Error> {
        assert!(!space.is_empty(), "a read of no bytes hangs in Linux's device");
        let Some(bytes) = self.replies.pop_front() else { return Ok(0) };
        let (now, later) = bytes.split_at(bytes.len().min(space.len()));
        if !later.is_empty() {
            self.replies.push_front(later.to_vec());
        }
        space[..now.len()].copy_from_slice(now);
        Ok(now.len())
    }
}

const NAME: Path<'_> = Path::literal("name");

#[test]
fn a_reply_is_taken_by_order_and_type_whatever_id_it_carries() {
    let mut client = Client::new(Script::default().reply(MessageType::READ, b"guest"));
    assert_eq!(client.read(Transaction::NONE, NAME).unwrap(), b"guest");
    let (header, payload) = &client.transport.sent[0];
    assert_eq!((header.kind, header.transaction_id), (MessageType::READ, 0));
    assert_eq!(payload, b"name\0");
}

#[test]
fn events_before_with_and_after_a_reply_are_kept_in_order() {
    let both = [packet(MessageType::READ, b""), packet(MessageType::WATCH_EVENT, b"c\0t\0")].concat();
    let mut script =
        Script::default().reply(MessageType::WATCH_EVENT, b"a\0t\0").reply(MessageType::WATCH_EVENT, b"b\0t\0");
    script.replies.push_back(both);
    let mut client = Client::new(script);
    assert_eq!(client.read(Transaction::NONE, NAME).unwrap(), b"");
    for path in ["a", "b", "c"] {
        assert_eq!(client.next_event(), Ok(Some(Event::Fired { path, token: "t" })));
    }
    assert_eq!(client.next_event(), Ok(None));
}

#[test]
fn a_refusal_on_the_wire_and_one_from_write_are_the_same_error() {
    let mut client =
        Client::new(Script::default().reply(MessageType::ERROR, b"ENOENT\0").reply(MessageType::WATCH, b"OK\0"));
    assert!(client.read(Transaction::NONE, NAME).unwrap_err().is(Refusal::NOENT));
    client.transport.refuse = Some(Refusal::INVAL);
    assert!(client.watch(NAME, "t").unwrap_err().is(Refusal::INVAL));
    assert_eq!(client.watch(NAME, "t"), Ok(()));
}

#[test]
fn the_wrong_reply_and_the_end_of_the_stream_lose_the_connection() {
    let mut client = Client::new(Script::default().reply(MessageType::WRITE, b"OK\0"));
    assert_eq!(client.read(Transaction::NONE, NAME), Err(Error::Lost(Lost::NotXenstore)));
    let mut client = Client::new(Script::default());
    assert_eq!(client.read(Transaction::NONE, NAME), Err(Error::Lost(Lost::Closed)));
}

#[test]
fn a_short_list_comes_whole_and_in_pieces_by_offset() {
    let list = b"one\0two\0three\0";
    let mut names = [0; 8];
    let mut client =
        Client::new(Script::default().reply(MessageType::DIRECTORY, list).reply(MessageType::DIRECTORY, list));
    assert_eq!(client.list(Transaction::NONE, NAME, 0, &mut names), Ok(Listing { len: 8, complete: false }));
    assert_eq!(&names, b"one\0two\0");
    assert_eq!(client.list(Transaction::NONE, NAME, 8, &mut names), Ok(Listing { len: 6, complete: true }));
    assert_eq!(&names[..6], b"three\0");
}

#[test]
fn a_long_list_is_fetched_in_parts_and_again_when_it_changed() {
    let script = Script::default()
        .reply(MessageType::ERROR, b"E2BIG\0")
        .reply(MessageType::DIRECTORY_PART, b"5\0old\0")
        .reply(MessageType::DIRECTORY_PART, b"6\0two\0\0")
        .reply(MessageType::DIRECTORY_PART, b"6\0one\0")
        .reply(MessageType::DIRECTORY_PART, b"6\0two\0\0");
    let mut client = Client::new(script);
    let mut names = [0; 64];
    assert_eq!(client.list(Transaction::NONE, NAME, 0, &mut names), Ok(Listing { len: 8, complete: true }));
    assert_eq!(&names[..8], b"one\0two\0");
    let offsets: Vec<_> = client.transport.sent[1..].iter().map(|(_, payload)| payload.clone()).collect();
    assert_eq!(offsets, [&b"name\x000\0"[..], b"name\x004\0", b"name\x000\0", b"name\x004\0"]);
}

#[test]
fn a_transaction_is_tried_again_after_eagain_and_aborted_when_its_body_fails() {
    let script = Script::default()
        .reply(MessageType::TRANSACTION_START, b"41\0")
        .reply(MessageType::WRITE, b"OK\0")
        .reply(MessageType::ERROR, b"EAGAIN\0")
        .reply(MessageType::TRANSACTION_START, b"42\0")
        .reply(MessageType::WRITE, b"OK\0")
        .reply(MessageType::TRANSACTION_END, b"OK\0");
    let mut client = Client::new(script);
    assert_eq!(client.transaction(|client, transaction| client.write(transaction, NAME, b"v")), Ok(()));
    let ids: Vec<_> = client.transport.sent.iter().map(|(header, _)| header.transaction_id).collect();
    assert_eq!(ids, [0, 41, 41, 0, 42, 42]);
    assert_eq!(client.transport.sent[5].1, b"T\0");

    let script = Script::default()
        .reply(MessageType::TRANSACTION_START, b"43\0")
        .reply(MessageType::ERROR, b"EACCES\0")
        .reply(MessageType::TRANSACTION_END, b"OK\0");
    let mut client = Client::new(script);
    let refused = client.transaction(|client, transaction| client.write(transaction, NAME, b"v"));
    assert!(refused.unwrap_err().is(Refusal::named("EACCES")));
    assert_eq!(client.transport.sent[2].1, b"F\0");
}

#[test]
fn permissions_go_both_ways() {
    let mut client = Client::new(
        Script::default().reply(MessageType::GET_PERMS, b"n0\0r7\0").reply(MessageType::SET_PERMS, b"OK\0"),
    );
    let permissions: Vec<_> = client.permissions(Transaction::NONE, NAME).unwrap().collect();
    assert_eq!(permissions.iter().map(ToString::to_string).collect::<Vec<_>>(), ["n0", "r7"]);
    assert_eq!(client.set_permissions(Transaction::NONE, NAME, &permissions), Ok(()));
    assert_eq!(client.transport.sent[1].1, b"name\0n0\0r7\0");
}

#[test]
fn sixteen_permissions_of_any_length_are_set_and_no_more() {
    let mut client = Client::new(Script::default().reply(MessageType::SET_PERMS, b"OK\0"));
    let longest = Permission::parse("b4294967295").unwrap();
    assert_eq!(client.set_permissions(Transaction::NONE, NAME, &[longest; 16]), Ok(()));
    assert_eq!(client.transport.sent[0].1, [&b"name\0"[..], &b"b4294967295\0".repeat(16)].concat());
    assert_eq!(client.set_permissions(Transaction::NONE, NAME, &[longest; 17]), Err(Error::TooLong));
}

#[test]
fn a_request_too_long_for_the_device_is_not_sent() {
    let mut client = Client::new(Script::default());
    assert_eq!(client.write(Transaction::NONE, NAME, &[0; 4080]), Err(Error::TooLong));
    assert!(client.transport.sent.is_empty());
}

#[test]
fn the_home_of_a_domain() {
    let mut client = Client::new(Script::default().reply(MessageType::GET_DOMAIN_PATH, b"/local/domain/7\0"));
    assert_eq!(client.domain_path(7), Ok("/local/domain/7"));
    assert_eq!(client.transport.sent[0].1, b"7\0");
}

#[test]
fn what_keeps_an_answer_from_coming_is_a_sentence() {
    let said = |error: Error| error.to_string();
    assert_eq!(said(Error::Refused(Refusal::NOENT)), "xenstored answered ENOENT");
    assert_eq!(said(Error::TooLong), "too long for a xenstore packet");
    for (lost, why) in [
        (Lost::Closed, "closed by the other side"),
        (Lost::Errno(5), "input/output error (EIO)"),
        (Lost::NotXenstore, "what arrived is not the xenstore protocol"),
        (Lost::Silent, "no answer in the time that was given"),
        (Lost::Stopped, "told to end while waiting for an answer"),
    ] {
        assert_eq!(said(Error::Lost(lost)), format!("xenstore connection lost: {why}"));
        assert_eq!(unless_refused(Err::<(), _>(Error::Lost(lost))), Err(Error::Lost(lost)));
    }
    assert_eq!(unless_refused(Err::<(), _>(Error::Refused(Refusal::NOENT))), Ok(None));
    assert_eq!((unless_refused(Err::<(), _>(Error::TooLong)), unless_refused(Ok(1))), (Ok(None), Ok(Some(1))));
}

/// A client of a store in memory.
fn over(nodes: &[(&str, &str)]) -> Client<FakeXenstore> {
    Client::new(FakeXenstore::with(nodes))
}

#[test]
fn every_request_has_its_kind_and_its_words() {
    let mut client = over(&[("name", "guest"), ("data/a", "")]);
    client.watch(NAME, "token").unwrap();
    client.unwatch(NAME, "token").unwrap();
    client.mkdir(Transaction::NONE, NAME).unwrap();
    client.write(Transaction::NONE, NAME, b"v\0w").unwrap();
    client.rm(Transaction::NONE, NAME).unwrap();
    let asked: Vec<_> = client.transport().asked.iter().map(|(kind, path, rest)| (*kind, &**path, &**rest)).collect();
    assert_eq!(
        asked,
        [
            (MessageType::WATCH, "name", "token\0"),
            (MessageType::UNWATCH, "name", "token\0"),
            (MessageType::MKDIR, "name", ""),
            (MessageType::WRITE, "name", "v\0w"),
            (MessageType::RM, "name", ""),
        ]
    );
    assert!(client.transport().watches.is_empty());
    client.transport().refuses.push((MessageType::UNWATCH, "", "ENOENT"));
    assert!(client.unwatch(NAME, "token").is_ok(), "that is of this path alone");
    client.transport().lose = Some((0, false));
    for result in [client.unwatch(NAME, "t"), client.mkdir(Transaction::NONE, NAME), client.rm(Transaction::NONE, NAME)]
    {
        assert_eq!(result, Err(Error::Lost(Lost::Closed)));
    }
}

#[test]
fn the_text_of_a_node_is_without_white_space_and_none_where_there_is_none() {
    let mut client = over(&[("a/1/mac", " x y\n"), ("a/2/mac", "")]);
    let mut text = |path: &str| client.text(format_args!("{path}")).map(|text| text.map(str::to_owned));
    assert_eq!(text("a/1/mac"), Ok(Some("x y".to_owned())));
    assert_eq!(text("a/2/mac"), Ok(Some(String::new())));
    assert_eq!((text("a/3/mac"), text("a//b"), text(&"x/".repeat(90))), (Ok(None), Ok(None), Ok(None)));
    let mut client =
        Client::new(Script::default().reply(MessageType::READ, b"\xff").reply(MessageType::ERROR, b"EACCES\0"));
    assert_eq!((client.text(format_args!("a")).map(|text| text.map(str::to_owned))), Ok(None));
    assert_eq!((client.text(format_args!("a")).map(|text| text.map(str::to_owned))), Ok(None));
    assert!(client.text(format_args!("a")).is_err());
}

#[test]
fn children_that_are_named_by_numbers_are_devices() {
    let mut client =
        over(&[("device/vif/0", ""), ("device/vif/12", ""), ("device/vif/x", ""), ("device/vif/70000", "")]);
    let mut numbers =
        |path| client.numbers(Path::literal(path)).map(|numbers| (numbers.known.to_vec(), numbers.complete));
    assert_eq!(numbers("device/vif"), Ok((vec![0, 12], true)));
    assert_eq!(numbers("device/vbd"), Ok((vec![], true)));
    for number in 0..32 {
        client.transport().put(&format!("many/{number}"), "");
    }
    let numbers = client.numbers(Path::literal("many")).unwrap();
    assert_eq!((numbers.known.len(), numbers.complete), (32, true));
    // One more is told, whether its name has room or not.
    for more in ["32", "a-long-name-that-takes-all-the-room-for-names-by-itself-and-then-some-more-and-more"] {
        client.transport().put(&format!("many/{more}"), "");
        let numbers = client.numbers(Path::literal("many")).unwrap();
        assert_eq!((numbers.known.len(), numbers.complete), (32, false), "{more}");
    }
    client.transport().lose = Some((0, false));
    assert!(client.numbers(Path::literal("many")).is_err());
}

#[test]
fn a_list_of_any_length_comes_whole_and_from_any_name_on() {
    for count in [0, 3, 200, 700] {
        let names: Vec<String> = (0..count).map(|number| format!("{number:020}")).collect();
        let mut client = over(&[("many", "")]);
        names.iter().for_each(|name| client.transport().put(&format!("many/{name}"), ""));
        let mut room = vec![0; 64 * 1024];
        let whole = client.list(Transaction::NONE, Path::literal("many"), 0, &mut room).unwrap();
        let list: String = names.iter().map(|name| format!("{name}\0")).collect();
        assert_eq!((whole, &room[..whole.len]), (Listing { len: list.len(), complete: true }, list.as_bytes()));
        for (offset, room) in [(0, 1000), (21, 1000), (42, 5000), (21 * 199, 100)] {
            let mut names = vec![0; room];
            let listing = client.list(Transaction::NONE, Path::literal("many"), offset, &mut names).unwrap();
            let rest = list.get(offset..).unwrap_or_default().as_bytes();
            let len = if rest.len() <= room { rest.len() } else { room / 21 * 21 };
            assert_eq!(listing, Listing { len, complete: len == rest.len() }, "{count} {offset} {room}");
            assert_eq!(&names[..len], &rest[..len], "{count} {offset} {room}");
        }
    }
}

#[test]
fn a_directory_that_never_stops_changing_is_given_up() {
    let mut script = Script::default().reply(MessageType::ERROR, b"E2BIG\0");
    for n in 0..300 {
        script = script.reply(MessageType::DIRECTORY_PART, format!("{n}\0a\0").as_bytes());
    }
    let mut client = Client::new(script);
    let refused = client.list(Transaction::NONE, NAME, 0, &mut [0; 64]);
    assert_eq!(refused, Err(Error::Refused(Refusal::AGAIN)));
    // The first list, and then two parts for each of a hundred tries.
    assert_eq!(client.transport.sent.len(), 1 + 200);
}

#[test]
fn whether_lists_come_in_parts_is_asked_for() {
    let mut client = over(&[("name", "")]);
    assert_eq!(client.lists_in_parts(NAME), Ok(true));
    assert_eq!(client.transport().asked, [(MessageType::DIRECTORY_PART, "name".to_owned(), "0\0".to_owned())]);
    assert_eq!(client.lists_in_parts(Path::literal("nothing")), Ok(true), "it was understood");
    client.transport().part = 0;
    assert_eq!(client.lists_in_parts(NAME), Ok(false));
    client.transport().lose = Some((0, false));
    assert!(client.lists_in_parts(NAME).is_err());
}

#[test]
fn a_transaction_has_a_hundred_tries_whoever_says_again() {
    let mut client = over(&[]);
    client.transport().conflicts = 99;
    assert_eq!(client.transaction(|client, transaction| client.write(transaction, NAME, b"v")), Ok(()));
    assert_eq!(client.transport().get("name"), Some("v"));
    client.transport().conflicts = 100;
    let refused = client.transaction(|client, transaction| client.write(transaction, NAME, b"w"));
    assert_eq!(refused, Err(Error::Refused(Refusal::AGAIN)));
    assert_eq!(client.transport().get("name"), Some("v"));
    // Its body may say so, too, and then it is aborted.
    client.transport().conflicts = 0;
    client.transport().asked.clear();
    let mut tries = 0;
    let done = client.transaction(|client, transaction| {
        tries += 1;
        client.write(transaction, NAME, b"x")?;
        if tries < 3 { Err(Error::Refused(Refusal::AGAIN)) } else { Ok(()) }
    });
    assert_eq!((done, tries), (Ok(()), 3));
    assert_eq!(client.transport().asked(MessageType::TRANSACTION_END), ["F", "F", "T"]);
    assert_eq!(client.transport().get("name"), Some("x"));
}

#[test]
fn a_connection_that_is_lost_in_a_transaction_is_told_and_nothing_more_is_said() {
    for requests in 0..3 {
        let mut client = over(&[]);
        client.transport().lose = Some((requests, false));
        let lost = client.transaction(|client, transaction| client.write(transaction, NAME, b"v"));
        assert_eq!((lost, client.transport().asked.len()), (Err(Error::Lost(Lost::Closed)), requests));
    }
    // While it is aborted.
    let mut client = over(&[]);
    client.transport().refuses.push((MessageType::WRITE, "name", "EACCES"));
    client.transport().lose = Some((2, false));
    let lost = client.transaction(|client, transaction| client.write(transaction, NAME, b"v"));
    assert_eq!(lost, Err(Error::Lost(Lost::Closed)));
    // What an id is not makes no transaction.
    for id in [&b"x\0"[..], b"1", b"", b"-1\0"] {
        let mut client = Client::new(Script::default().reply(MessageType::TRANSACTION_START, id));
        assert_eq!(client.transaction(|_, _| panic!()), Err(Error::Lost(Lost::NotXenstore)));
    }
}

#[test]
fn a_reply_that_carried_a_secret_is_wiped() {
    let mut client = over(&[("name", "s3cret")]);
    assert_eq!(client.read(Transaction::NONE, NAME).unwrap(), b"s3cret");
    client.wipe();
    assert!(!client.decoder.space().windows(6).any(|bytes| bytes == b"s3cret"));
}

#[test]
fn events_are_received_where_no_answer_is_waited_for_and_nothing_else_is() {
    let mut client =
        Client::new(Script::default().reply(MessageType::WATCH_EVENT, b"a\0t\0").reply(MessageType::READ, b""));
    assert_eq!(client.receive_events(), Ok(()));
    assert_eq!(client.next_event(), Ok(Some(Event::Fired { path: "a", token: "t" })));
    assert_eq!(client.receive_events(), Err(Error::Lost(Lost::NotXenstore)));
    assert_eq!(Client::new(Script::default()).receive_events(), Err(Error::Lost(Lost::Closed)));
    let mut client = Client::new(Script::default().reply(MessageType::WATCH_EVENT, b"a"));
    assert_eq!(client.receive_events(), Err(Error::Lost(Lost::NotXenstore)));
}

proptest! {
    #[test]
    fn noise_is_an_error_or_a_value_and_never_a_panic(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..64), 0..20),
        kinds in prop::collection::vec(0u32..24, 20),
    ) {
        // Half of the noise is packets with a real header, so that payload parsers meet it too.
        let mut script = Script::default();
        for (piece, kind) in pieces.iter().zip(kinds) {
            script = script.reply(MessageType::from_code(kind), piece);
        }
        script.replies.extend(pieces.iter().cloned());
        let mut client = Client::new(script);
        let mut names = [0; 32];
        for _ in 0..8 {
            if let Ok(listing) = client.list(Transaction::NONE, NAME, 0, &mut names) {
                prop_assert!(listing.len <= names.len());
            }
            let _ = client.transaction(|client, transaction| client.rm(transaction, NAME));
            let _ = client.permissions(Transaction::NONE, NAME).map(Iterator::count);
            let _ = client.domain_path(1).map(str::len);
            while let Ok(Some(_)) = client.next_event() {}
        }
    }
}
