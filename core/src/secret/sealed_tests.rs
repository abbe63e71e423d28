//! The test vectors that Python has made, and which counters are taken.

use super::*;
use crate::secret::exchange::BadPublicKey;
use crate::secret::group::{LongKeyPair, PRIVATE_LEN};
use base64ct::{Base64, Encoding};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("sealed-vectors.json")).unwrap()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn decode(text: &str) -> Vec<u8> {
    try_decode(text).unwrap()
}

fn try_decode(text: &str) -> Option<Vec<u8>> {
    Base64::decode(text, &mut vec![0; text.len()]).ok().map(<[u8]>::to_vec)
}

fn pair(vectors: &Value, name: &str) -> LongKeyPair {
    LongKeyPair::new(&<[u8; PRIVATE_LEN]>::try_from(hex(text(vectors, name))).unwrap())
}

fn keys(vectors: &Value) -> Keys {
    let host: Number = decode(text(&vectors["keyinit"], "public")).try_into().unwrap();
    let guest: Number = decode(text(vectors, "answer")).try_into().unwrap();
    let (mut shared, mut keys) = ([0; NUMBER_LEN], Keys::NONE);
    pair(vectors, "guest_private").agree(&host, &mut shared).unwrap();
    keys.derive(&shared, &host, &guest);
    keys
}

/// The message in a frame, as the other side sealed it.
fn open(keys: &Direction, frame: &[u8]) -> Result<(u64, Vec<u8>), Refused> {
    let mut frame = frame.to_vec();
    let counter = keys.check(&frame)?;
    keys.decrypt(counter, &mut frame).map(|message| (counter, message.to_vec()))
}

fn seal(keys: &Direction, counter: u64, message: &[u8]) -> Vec<u8> {
    let mut room = vec![0xa5; frame_len(message.len())];
    room[COUNTER_LEN..][..message.len()].copy_from_slice(message);
    assert_eq!(keys.seal(counter, &mut room, message.len()), Some(room.len()));
    room
}

#[test]
fn both_sides_have_the_public_keys_and_the_keys_that_python_has() {
    let vectors = vectors();
    let mut number = [0; NUMBER_LEN];
    pair(&vectors, "host_private").public(&mut number);
    assert_eq!(number[..], decode(text(&vectors["keyinit"], "public")));
    pair(&vectors, "guest_private").public(&mut number);
    let guest = number;
    assert_eq!(guest[..], decode(text(&vectors, "answer")));
    let (mut one, mut other) = ([0; NUMBER_LEN], [0; NUMBER_LEN]);
    pair(&vectors, "host_private").agree(&guest, &mut one).unwrap();
    pair(&vectors, "host_private").public(&mut number);
    pair(&vectors, "guest_private").agree(&number, &mut other).unwrap();
    assert_eq!(one, other);
    let keys = keys(&vectors);
    for (name, direction) in [("to_guest", &keys.to_guest), ("to_host", &keys.to_host)] {
        let wanted: Vec<Vec<u8>> =
            vectors["keys"][name].as_array().unwrap().iter().map(|key| hex(key.as_str().unwrap())).collect();
        assert_eq!([&direction.cipher[..], &direction.code[..]], wanted[..], "{name}");
    }
}

#[test]
fn public_keys_that_would_give_the_secret_away_are_refused() {
    let vectors = vectors();
    let pair = pair(&vectors, "guest_private");
    let mut shared = [0; NUMBER_LEN];
    for bad in vectors["no_public_keys"].as_array().unwrap() {
        // What has another length is no number here.
        let Ok(number) = Number::try_from(decode(bad.as_str().unwrap())) else { continue };
        assert_eq!(pair.agree(&number, &mut shared), Err(BadPublicKey), "{bad}");
    }
    let p: [u8; NUMBER_LEN] = decode(vectors["no_public_keys"][3].as_str().unwrap()).try_into().unwrap();
    // p - 2, and 2.
    let (mut largest, mut least) = (p, [0; NUMBER_LEN]);
    largest[NUMBER_LEN - 1] -= 2;
    least[NUMBER_LEN - 1] = 2;
    assert_eq!([largest, least].map(|good| pair.agree(&good, &mut shared)), [Ok(()); 2]);
}

#[test]
fn the_frames_of_python_are_opened_and_made() {
    let vectors = vectors();
    let keys = keys(&vectors);
    for sealed in vectors["sealed"].as_array().unwrap() {
        let direction = if text(sealed, "direction") == "to_guest" { &keys.to_guest } else { &keys.to_host };
        let (counter, message) = (text(sealed, "counter").parse().unwrap(), text(sealed, "message").as_bytes());
        let frame = decode(text(sealed, "frame"));
        assert_eq!(open(direction, &frame), Ok((counter, message.to_vec())));
        assert_eq!(seal(direction, counter, message), frame);
        // And nothing that is shorter.
        for len in 0..frame.len() {
            assert!(open(direction, &frame[..len]).is_err(), "{len}");
        }
    }
    for (why, frame) in vectors["refused_by_guest"].as_object().unwrap() {
        let Some(frame) = try_decode(frame.as_str().unwrap()) else { continue };
        let wanted = match why.as_str() {
            "no block" | "nothing" | "a byte less" | "a padding of none" => Refused::NoFrame,
            _ => Refused::WrongCode,
        };
        assert_eq!(open(&keys.to_guest, &frame), Err(wanted), "{why}");
    }
}

#[test]
fn a_frame_has_the_length_that_it_is_said_to_have_and_no_room_is_none() {
    let vectors = vectors();
    let keys = keys(&vectors);
    for message in 0..100 {
        assert_eq!(seal(&keys.to_host, 1, &vec![b'm'; message]).len(), frame_len(message));
        let mut room = vec![0; frame_len(message) - 1];
        assert_eq!(keys.to_host.seal(1, &mut room, message), None);
    }
    for room in 76..2000 {
        let base64 = |message| frame_len(message).div_ceil(3) * 4;
        let longest = longest_message(room);
        assert!(base64(longest) <= room && base64(longest + 1) > room, "{room}: {longest}");
    }
}

#[test]
fn a_counter_is_taken_once_and_not_more_than_a_window_behind() {
    let mut window = Window::new();
    assert_eq!(window.take(0), Err(Refused::Replayed));
    for counter in [1, 3, 2, 64, 4, 65, 66] {
        assert_eq!(window.take(counter), Ok(()), "{counter}");
        assert_eq!(window.take(counter), Err(Refused::Replayed), "{counter}");
    }
    // 66 is the highest: 3 is the last in the window, and was taken.
    assert_eq!([3, 2].map(|counter| window.take(counter)), [Err(Refused::Replayed); 2]);
    assert_eq!([5, 63].map(|counter| window.take(counter)), [Ok(()); 2]);
    window.give_back(63);
    assert_eq!([window.take(63), window.take(63)], [Ok(()), Err(Refused::Replayed)]);
    window.give_back(2);
    assert_eq!(window.take(2), Err(Refused::Replayed));
    // As far as there are any.
    assert_eq!([window.take(1 << 40), window.take(u64::MAX)], [Ok(()); 2]);
    assert_eq!([u64::MAX, 66, 7].map(|counter| window.take(counter)), [Err(Refused::Replayed); 3]);
    assert_eq!(window.take(u64::MAX - 63), Ok(()));
    assert_eq!(window.take(u64::MAX - 64), Err(Refused::Replayed));
}

#[test]
fn one_message_is_sealed_to_a_public_key_and_a_longer_one_is_not() {
    use crate::secret::host::{HostExchange, seal_to};
    let theirs = HostExchange::new(&[7; PRIVATE_LEN]);
    let value: Value = serde_json::from_str(&theirs.value()).unwrap();
    let longest = [b'x'; 511];
    let (public, sealed) = seal_to(text(&value, "public"), &[8; PRIVATE_LEN], &longest).unwrap();
    let session = theirs.agree(&public).unwrap();
    assert_eq!(session.open(1, &sealed, &mut [0; 1024]).unwrap(), longest);
    assert_eq!(session.open(2, &sealed, &mut [0; 1024]), Err(Refused::Replayed));
    assert!(seal_to(text(&value, "public"), &[8; PRIVATE_LEN], &[b'x'; 512]).is_none());
    for no_key in ["", "AAAA", text(&vectors(), "answer").get(1..).unwrap()] {
        assert!(seal_to(no_key, &[8; PRIVATE_LEN], b"x").is_none(), "{no_key}");
    }
}

proptest! {
    #[test]
    fn whatever_the_order_a_counter_is_never_taken_twice(
        counters in prop::collection::vec((1u64..200, any::<bool>()), 0..300)
    ) {
        let (mut window, mut taken, mut highest) = (Window::new(), std::collections::BTreeSet::new(), 0);
        for (counter, back) in counters {
            let wanted = !taken.contains(&counter) && counter + WINDOW > highest;
            prop_assert_eq!(window.take(counter).is_ok(), wanted);
            highest = highest.max(counter);
            if wanted && back {
                window.give_back(counter);
            } else if wanted {
                taken.insert(counter);
            }
        }
    }

    #[test]
    fn what_is_sealed_is_opened_and_no_changed_byte_is(
        message in prop::collection::vec(any::<u8>(), 0..200),
        counter in 1u64..,
        at in any::<prop::sample::Index>(),
        by in 1u8..,
    ) {
        let keys = Direction { cipher: [1; KEY_LEN], code: [2; KEY_LEN] };
        let mut frame = seal(&keys, counter, &message);
        prop_assert_eq!(open(&keys, &frame), Ok((counter, message)));
        let at = at.index(frame.len());
        frame[at] ^= by;
        prop_assert!(open(&keys, &frame) == Err(Refused::WrongCode));
    }
}
