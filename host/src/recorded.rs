//! A guest's flight recorder, block by block: the newest first, and each older one by its number until there is none.
//! What comes out is what a first process leaves on its console, lines of base64 that `cargo nanova-record` reads:
//! decoding takes the `nanova.elf` of that build, and libraries that would double this program.

use base64ct::{Base64, Encoding};
use nanova_core::record::{
    BLOCK_LEN, BLOCKS, BUILD_ID_AT, BUILD_ID_LEN, FORM_AT, HEADER_LEN, IN_ORDER, MAGIC, WORD_LEN,
};

use crate::answer::Answer;
use crate::conversation::{Conversation, Step, judged};
use crate::fault::Fault;
use crate::request::Request;
use crate::sealing::{Speech, Terms};

/// The agent's command.
const RECORD: &str = "record";
/// How many bytes a line is of.
const LINE: usize = 48;

/// A block that was answered.
struct Block {
    build_id: [u8; BUILD_ID_LEN],
    number: u64,
    frames: Vec<u8>,
}

impl Block {
    fn of(message: &str) -> Option<Block> {
        let bytes = Base64::decode_vec(message).ok()?;
        let (build_id, block) = bytes.split_first_chunk()?;
        let (word, frames) = block.split_first_chunk::<WORD_LEN>()?;
        let is_one = frames.len() <= BLOCK_LEN - WORD_LEN;
        let number = u64::from_le_bytes(*word) >> 16;
        is_one.then(|| Block { build_id: *build_id, number, frames: frames.to_vec() })
    }
}

/// Asks for all of it.
pub(crate) struct Recorded {
    /// The newest first.
    blocks: Vec<Block>,
}

impl Recorded {
    /// From any guest whose site has it served.
    pub(crate) fn speech() -> Speech {
        Speech::Sealed(Box::new(|terms: &Terms| {
            if !terms.has(RECORD) {
                let why = "this guest's recorder is not to be had: its agent has none, or /etc/nanova/enable does not name 'record'";
                return Err(Fault::Guest(why.into()));
            }
            Ok(Box::new(Recorded { blocks: Vec::new() }))
        }))
    }

    /// As lines, the oldest block first.
    fn lines(&self) -> String {
        let mut header = [0; HEADER_LEN];
        header[..MAGIC.len()].copy_from_slice(&MAGIC);
        if let Some(newest) = self.blocks.first() {
            header[BUILD_ID_AT..BUILD_ID_AT + BUILD_ID_LEN].copy_from_slice(&newest.build_id);
        }
        header[FORM_AT] = IN_ORDER;
        let frames: Vec<u8> = self.blocks.iter().rev().flat_map(|block| block.frames.iter().copied()).collect();
        let pieces = [&header[..]].into_iter().chain(frames.chunks(LINE));
        pieces.map(|piece| format!("nanova: recorder {}", Base64::encode_string(piece))).collect::<Vec<_>>().join("\n")
    }
}

impl Conversation for Recorded {
    fn next(&mut self, answer: Option<Answer>) -> Step {
        let Some(answer) = answer else {
            return match self.blocks.last() {
                None => Step::Request(Request::text(RECORD, "")),
                Some(_) => Step::Done(judged(None)),
            };
        };
        let block = if answer.is_success() { Block::of(&answer.message) } else { None };
        let is_older = |block: &Block| self.blocks.last().is_none_or(|last| block.number < last.number);
        match (block.filter(is_older), self.blocks.is_empty()) {
            (Some(block), _) => {
                let (number, is_last) = (block.number, block.number <= 1 || self.blocks.len() as u64 + 1 == BLOCKS);
                self.blocks.push(block);
                match is_last {
                    true => Step::Done(Ok(Answer::done(self.lines()))),
                    false => Step::Request(Request::text(RECORD, &(number - 1).to_string())),
                }
            }
            (None, true) if answer.is_success() => {
                Step::Done(Err(Fault::Guest("what the agent answers to 'record' is no block of a recorder".into())))
            }
            (None, true) => Step::Done(Ok(answer)),
            // It was used again meanwhile, or there never was one.
            (None, false) => Step::Done(Ok(Answer::done(self.lines()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(number: u64, frames: &[u8]) -> Answer {
        let word = (number << 16 | frames.len() as u64).to_le_bytes();
        Answer::done(Base64::encode_string(&[&[7; BUILD_ID_LEN][..], &word, frames].concat()))
    }

    fn asked(step: &Step) -> String {
        match step {
            Step::Request(request) => String::from_utf8(request.bytes().to_vec()).unwrap(),
            _ => "nothing".into(),
        }
    }

    fn lines(step: Step) -> Vec<u8> {
        let Step::Done(Ok(answer)) = step else { panic!("not done") };
        let line = |line: &str| Base64::decode_vec(line.strip_prefix("nanova: recorder ").unwrap()).unwrap();
        answer.message.lines().flat_map(line).collect()
    }

    #[test]
    fn blocks_are_asked_for_from_the_newest_on_and_put_in_order() {
        let mut recorded = Recorded { blocks: Vec::new() };
        assert_eq!(asked(&recorded.next(None)), r#"{"name":"record","value":""}"#);
        assert_eq!(asked(&recorded.next(Some(answer(3, b"newest")))), r#"{"name":"record","value":"2"}"#);
        assert_eq!(asked(&recorded.next(Some(answer(2, b"older, ")))), r#"{"name":"record","value":"1"}"#);
        let bytes = lines(recorded.next(Some(answer(1, b"oldest, "))));
        assert!(bytes.starts_with(b"nanovaR1\x07\x07") && bytes[FORM_AT] == IN_ORDER);
        assert_eq!(&bytes[HEADER_LEN..], b"oldest, older, newest");
    }

    #[test]
    fn what_was_used_again_meanwhile_is_the_end() {
        let mut recorded = Recorded { blocks: Vec::new() };
        recorded.next(None);
        recorded.next(Some(answer(30, b"newest")));
        let gone = Answer { code: "500".into(), message: "there is no such block".into(), text: String::new() };
        assert_eq!(&lines(recorded.next(Some(gone)))[HEADER_LEN..], b"newest");
    }

    #[test]
    fn a_guest_that_answers_anything_else_is_told_of_and_keeps_nobody_busy() {
        let begun = || Recorded { blocks: Vec::new() };
        for message in ["", "AAAA", "no base64"] {
            assert!(matches!(begun().next(Some(Answer::done(message))), Step::Done(Err(_))), "{message}");
        }
        let no = Answer { code: "500".into(), message: "no".into(), text: String::new() };
        assert!(matches!(begun().next(Some(no)), Step::Done(Ok(answer)) if !answer.is_success()));
        let mut recorded = begun();
        recorded.next(Some(answer(5, b"")));
        assert!(matches!(recorded.next(Some(answer(5, b""))), Step::Done(Ok(_))), "the same again");
        let mut recorded = begun();
        let asked = (0..100).take_while(|n| matches!(recorded.next(Some(answer(1000 - n, b""))), Step::Request(_)));
        assert_eq!(asked.count() as u64, BLOCKS - 1);
    }
}
