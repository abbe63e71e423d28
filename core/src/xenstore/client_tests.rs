//! The client against replies written by hand: order, foreign ids, events in between, parts, retries, noise.

use super::*;
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
