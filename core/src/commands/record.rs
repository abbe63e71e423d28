//! `record`: what the flight recorder has, for a host whose guest has no console that answers.
//!
//! Its value is the number of a block (`core/src/record.rs`), or nothing for the newest. The answer's message is base64
//! of the build id, the block's word, which has its number, and the block's frames: they can be read by themselves with
//! the `nanova.elf` of that build. A block that is not there is answered with 500. A site has it served by its name in
//! `/etc/nanova/enable`.

use crate::commands::response::Response;
use crate::platform::Recorded;
use crate::record::{BLOCK_LEN, BUILD_ID_AT, BUILD_ID_LEN, block, newest};
use crate::wire::json::{Text, Value};
use crate::wire::text::number;

/// What hosts call it.
pub const RECORD: &str = "record";

/// What is answered, before it is base64.
pub struct Copied {
    bytes: [u8; BUILD_ID_LEN + BLOCK_LEN],
    len: usize,
}

impl Copied {
    /// Nothing.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub const fn none() -> Copied {
        Copied { bytes: [0; BUILD_ID_LEN + BLOCK_LEN], len: 0 }
    }

    /// What it is, and nothing from now on.
    pub fn take(&mut self) -> &[u8] {
        self.bytes.get(..core::mem::take(&mut self.len)).unwrap_or_default()
    }
}

/// `record`. What it answers beside the response is in `copied` then, or nothing.
pub fn record<P: Recorded>(value: Value<'_>, copied: &mut Copied, platform: &mut P) -> Response {
    let read = &mut |at: usize, room: &mut [u8]| platform.copy_recorded(at, room);
    let asked = match value {
        Value::Missing | Value::Text(Text::EMPTY) => Some(newest(read)),
        Value::Text(text) => text.plain().and_then(number),
        _ => None,
    };
    if let (Some(number), Some((build_id, room))) = (asked, copied.bytes.split_first_chunk_mut::<BUILD_ID_LEN>())
        && read(BUILD_ID_AT, build_id)
        && let Some(block) = room.first_chunk_mut().and_then(|room| block(number, room, read))
    {
        copied.len = BUILD_ID_LEN + block.len();
        return Response::done();
    }
    Response::failed(format_args!("there is no such block"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Code;
    use crate::record::{RING_LEN, WORD_LEN, place_of, word_of};
    use crate::test_platform::FakePlatform;

    const BUILD_ID: [u8; BUILD_ID_LEN] = [7; BUILD_ID_LEN];

    /// A guest whose recorder has these blocks.
    fn guest(blocks: &[(u64, &[u8])]) -> FakePlatform {
        let mut platform = FakePlatform::with(&[]);
        platform.recorded = vec![0; RING_LEN];
        platform.recorded[BUILD_ID_AT..BUILD_ID_AT + BUILD_ID_LEN].copy_from_slice(&BUILD_ID);
        for (number, frames) in blocks {
            let place = place_of(*number);
            platform.recorded[place..place + WORD_LEN].copy_from_slice(&word_of(*number, frames.len()).to_le_bytes());
            platform.recorded[place + WORD_LEN..place + WORD_LEN + frames.len()].copy_from_slice(frames);
        }
        platform
    }

    fn ask(value: Value<'_>, platform: &mut FakePlatform) -> Result<Vec<u8>, String> {
        let mut copied = Copied::none();
        let response = record(value, &mut copied, platform);
        if response.code == Code::Done { Ok(copied.take().to_vec()) } else { Err(response.message.as_str().to_owned()) }
    }

    fn answer(number: u64, frames: &[u8]) -> Vec<u8> {
        [&BUILD_ID[..], &word_of(number, frames.len()).to_le_bytes(), frames].concat()
    }

    #[test]
    fn a_block_is_answered_by_its_number_and_the_newest_without_one() {
        let mut platform = guest(&[(4, b"older"), (5, b"newer")]);
        for value in [Value::Missing, Value::Text(Text::EMPTY), Value::Text(Text::of("5"))] {
            assert_eq!(ask(value, &mut platform), Ok(answer(5, b"newer")), "{value:?}");
        }
        assert_eq!(ask(Value::Text(Text::of("4")), &mut platform), Ok(answer(4, b"older")));
    }

    #[test]
    fn what_is_not_there_is_said_to_be_so() {
        let mut platform = guest(&[(5, b"there")]);
        for value in ["0", "4", "6", "22", "-5", "5.0", "18446744073709551615", "99999999999999999999"] {
            let refused = ask(Value::Text(Text::of(value)), &mut platform).unwrap_err();
            assert!(refused.starts_with("there is no such block"), "{value}: {refused}");
        }
        for value in [Value::Object("{}"), Value::Other, Value::Number("5"), Value::Text(Text::of("five"))] {
            assert!(ask(value, &mut platform).is_err(), "{value:?}");
        }
        assert!(ask(Value::Missing, &mut guest(&[])).is_err());
        assert!(ask(Value::Missing, &mut FakePlatform::with(&[])).is_err(), "nothing is recorded");
    }

    #[test]
    fn it_is_served_where_a_list_that_can_be_read_names_it() {
        use crate::commands::disabled::is_disabled;
        const ENABLE: &str = "/etc/nanova/enable";
        assert!(is_disabled(&mut FakePlatform::with(&[]), RECORD));
        assert!(!is_disabled(&mut FakePlatform::with(&[(ENABLE, "# ours\nrecord # for support\n")]), RECORD));
        for list in ["", "records\n", "#record\n", "version\n"] {
            assert!(is_disabled(&mut FakePlatform::with(&[(ENABLE, list)]), RECORD), "{list:?}");
        }
        let both = [(ENABLE, "record\n"), ("/etc/nanova/disable", "record\n")];
        assert!(is_disabled(&mut FakePlatform::with(&both), RECORD), "what is taken away is");
        let mut unreadable = FakePlatform::with(&[("/etc/nanova/other", "")]);
        unreadable.nodes.insert(ENABLE.into(), crate::test_platform::Node::Directory);
        assert!(is_disabled(&mut unreadable, RECORD), "a directory is no list");
        assert!(unreadable.logged().contains("'record' is not served: cannot read /etc/nanova/enable"));
        assert!(!is_disabled(&mut unreadable, "version"), "other commands do not need it");
    }

    #[test]
    fn a_full_block_is_a_response_sealed_or_not() {
        use base64ct::{Base64, Encoding};
        let block = Base64::encoded_len(&[0; BUILD_ID_LEN + BLOCK_LEN]);
        let json = block + r#"{"returncode":"0","message":""}"#.len();
        #[cfg(feature = "sealed")]
        assert!(json <= crate::commands::sealed::ANSWER_MAX, "{json}");
        assert!(json <= crate::commands::response::RESPONSE_MAX, "{json}");
    }
}
