//! Records from bytes: a ring as it lies in /run, or what `nanova record` prints.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use base64ct::{Base64, Encoding};
use defmt_decoder::{DecodeError, Frame};
use nanova_core::platform::Level;
use nanova_core::record::{
    BLOCK_LEN, BUILD_ID_AT, BUILD_ID_LEN, FORM_AT, HEADER_LEN, IN_ORDER, LOST_AT, MAGIC, RING_LEN, WORD_LEN, block,
    newest, oldest,
};
use nanova_core::wire::xenstore::{NO_ANSWER, Refusal};
use serde::{Serialize, Serializer};

use crate::elf::Elf;

/// The name of a level.
pub fn name_of(level: Level) -> &'static str {
    Level::CHOICES.split(", ").nth(level as usize).unwrap_or_default()
}

fn as_name<S: Serializer>(level: &Level, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(name_of(*level))
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Microseconds since the guest's start.
    pub us: u64,
    /// How important it is.
    #[serde(serialize_with = "as_name")]
    pub level: Level,
    /// What it says, with names in the place of their numbers.
    pub text: String,
    /// How long it took, if it is about something that takes time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
}

/// A head and frames.
pub struct Frames {
    /// The build id of who has recorded.
    pub build_id: [u8; BUILD_ID_LEN],
    /// How many records had no room.
    pub lost: u64,
    /// Whether they are in their order, and more may come.
    pub in_order: bool,
    /// Frames, the oldest first; each piece is of whole ones.
    pub pieces: Vec<Vec<u8>>,
}

impl Frames {
    /// Reads a ring, or what `nanova record` has printed so far.
    pub fn read(bytes: &[u8]) -> Result<Frames> {
        ensure!(bytes.len() >= HEADER_LEN && bytes.starts_with(&MAGIC), "these bytes are none of nanova's recorder");
        let (header, frames) = bytes.split_at(HEADER_LEN);
        let mut build_id = [0; BUILD_ID_LEN];
        build_id.copy_from_slice(&header[BUILD_ID_AT..BUILD_ID_AT + BUILD_ID_LEN]);
        let lost = header[LOST_AT..].first_chunk().map_or(0, |lost| u64::from_le_bytes(*lost));
        let in_order = header[FORM_AT] == IN_ORDER;
        let pieces = if in_order {
            vec![frames.to_vec()]
        } else {
            ensure!(bytes.len() == RING_LEN, "a ring has {RING_LEN} bytes, this has {}", bytes.len());
            blocks(bytes)
        };
        Ok(Frames { build_id, lost, in_order, pieces })
    }
}

/// The frames of each block of a ring.
fn blocks(ring: &[u8]) -> Vec<Vec<u8>> {
    let read = &mut |at: usize, room: &mut [u8]| {
        let piece = ring.get(at..at + room.len());
        piece.map(|piece| room.copy_from_slice(piece)).is_some()
    };
    let last = newest(read);
    let mut room = [0; BLOCK_LEN];
    let blocks = (oldest(last)..=last).filter_map(|number| block(number, &mut room, read).map(<[u8]>::to_vec));
    blocks.map(|block| block[WORD_LEN..].to_vec()).collect()
}

/// What a first process has put to the console before it ended: lines with `recorder` and base64. The last of several
/// such.
pub fn from_console(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for line in text.lines() {
        let Some((_, base64)) = line.split_once("nanova: recorder ") else { continue };
        let line = Base64::decode_vec(base64.trim_end()).ok()?;
        if line.starts_with(&MAGIC) {
            bytes.clear();
        }
        bytes.extend(line);
    }
    bytes.starts_with(&MAGIC).then_some(bytes)
}

/// Turns frames into records.
pub struct Reader<'e> {
    elf: &'e Elf,
    /// What is no whole frame yet.
    rest: Vec<u8>,
    names: HashMap<u64, String>,
    /// Microseconds since the guest's start, whole.
    time: u64,
    /// How many frames there were and of how many bytes, those that name a number among them.
    pub counts: (usize, usize),
    /// How many bytes were no frames.
    pub malformed: usize,
}

impl<'e> Reader<'e> {
    /// With the texts of this build.
    pub fn new(elf: &'e Elf) -> Reader<'e> {
        Reader { elf, rest: Vec::new(), names: HashMap::new(), time: 0, counts: (0, 0), malformed: 0 }
    }

    /// The records of all these frames.
    pub fn read_all(&mut self, frames: &Frames) -> Vec<Record> {
        let mut records = Vec::new();
        for piece in &frames.pieces {
            records.extend(self.read(piece));
            if !frames.in_order {
                self.malformed += std::mem::take(&mut self.rest).len();
            }
        }
        records
    }

    /// The records of these frames; what is the beginning of one is kept for the next call.
    pub fn read(&mut self, frames: &[u8]) -> Vec<Record> {
        self.rest.extend_from_slice(frames);
        let (bytes, mut done) = (std::mem::take(&mut self.rest), 0);
        let mut records = Vec::new();
        while done < bytes.len() {
            match self.elf.table.decode(&bytes[done..]) {
                Ok((frame, len)) => {
                    done += len;
                    self.counts = (self.counts.0 + 1, self.counts.1 + len);
                    records.extend(self.record(&frame));
                }
                Err(DecodeError::UnexpectedEof) => {
                    self.rest = bytes[done..].to_vec();
                    break;
                }
                Err(DecodeError::Malformed) => {
                    self.malformed += bytes.len() - done;
                    break;
                }
            }
        }
        records
    }

    fn record(&mut self, frame: &Frame<'_>) -> Option<Record> {
        let level = frame.level().and_then(|level| Level::named(level.as_str())).unwrap_or(Level::Info);
        let text = frame.display_message().to_string();
        if let Some(time) = text.strip_suffix(" since the start") {
            // A block begins.
            self.names.clear();
            self.time = microseconds(time)?;
            return None;
        }
        let low = microseconds(&frame.display_timestamp()?.to_string())? as u32;
        // A record may be of a moment just before the one that was told.
        self.time = self.time.wrapping_add_signed(i64::from(low.wrapping_sub(self.time as u32) as i32));
        if let Some((number, name)) = naming(&text) {
            self.names.insert(number, name.to_owned());
            return None;
        }
        let text = match level {
            // A line of the log, whatever it says.
            Level::Warn => text,
            Level::Error => self.with_places(text),
            _ => self.with_names(&without_nothing(&text)),
        };
        let took_us = took(&text);
        Some(Record { us: self.time, level, text, took_us })
    }

    fn with_names(&self, text: &str) -> String {
        let mut pieces = text.split('#').peekable();
        let mut named = pieces.next().unwrap_or_default().to_owned();
        while let Some(piece) = pieces.next() {
            let end = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
            let (number, rest) = piece.split_at(end);
            match number.parse().ok().and_then(|number| self.names.get(&number)) {
                Some(name) => named.push_str(name),
                None => named.push_str(&format!("#{number}")),
            }
            // A directory and what is in it.
            if rest.is_empty() && pieces.peek().is_some() && !named.ends_with(' ') {
                named.push('/');
            }
            named.push_str(rest);
        }
        named
    }

    /// A panic's addresses as places in the source.
    fn with_places(&self, text: String) -> String {
        let Some(addresses) = text.strip_prefix("panic at ") else { return text };
        let mut places = String::from("panic");
        for address in addresses.split(' ') {
            match u64::from_str_radix(address, 16) {
                Ok(number) => {
                    let place = self.elf.place(number);
                    places.extend(place.map(|place| format!("\n    {address} {place}")));
                }
                // A debug build tells in words.
                Err(_) => return text,
            }
        }
        places
    }
}

/// What `{=u64:us}` shows: seconds with six digits behind the point.
fn microseconds(time: &str) -> Option<u64> {
    let (seconds, micros) = time.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?)
}

/// `#7 is data/host`
fn naming(text: &str) -> Option<(u64, &str)> {
    let (number, name) = text.strip_prefix('#')?.split_once(" is ")?;
    Some((number.parse().ok()?, name))
}

/// Without no transaction and no refusal; a refusal by its name.
fn without_nothing(text: &str) -> String {
    let text = text.replacen(" in 0: ", ": ", 1).replacen(": errno 0", "", 1);
    let Some((text, refusal)) = text.rsplit_once(", refusal ") else { return text };
    match refusal.parse() {
        Ok(0) => text.into(),
        Ok(NO_ANSWER) => format!("{text}, no answer"),
        Ok(number) => {
            format!("{text}, {}", Refusal::of_number(number).map_or("?".into(), |refusal| refusal.to_string()))
        }
        Err(_) => format!("{text}, refusal {refusal}"),
    }
}

/// `Read data/host: 27 us`
fn took(text: &str) -> Option<u64> {
    text.split(" us").next()?.rsplit(": ").next()?.parse().ok().filter(|_| text.contains(" us"))
}
