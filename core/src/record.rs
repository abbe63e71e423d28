//! The flight recorder's ring: where its bytes are, and how frames are read from it whoever goes on writing.
//!
//! | offset | bytes | is |
//! |---|---|---|
//! | 0 | 8 | `nanovaR1` |
//! | 8 | 20 | the build id of the program that writes: its texts are in the `nanova.elf` of that id |
//! | 32 | 8 | how many frames had no room and are not there, little-endian |
//! | 48 | 1 | 1 where blocks' frames follow in their order, without words between ([`IN_ORDER`]); 0 in a ring |
//! | 64 | 17 × 960 | the blocks: block n is at n modulo 17 |
//!
//! A block begins with a word, little-endian: its number, from 1 on, times 65536, and how many of the 952 bytes behind
//! it are whole frames. They are defmt's, as they are (its encoding `raw`). The first of each block has the time; a
//! name that a frame means by its number was given in the same block. So each block can be read by itself.
//!
//! Guarantees: of any bytes, whatever process wrote them and was killed where, [`block`] gives whole frames alone: a
//! word changes when a frame is whole, and before a block is used again. Who reads takes no lock, and passes over a
//! block that was used again meanwhile.

/// The ring and its header.
pub const RING_LEN: usize = HEADER_LEN + BLOCKS as usize * BLOCK_LEN;
/// What stands before the blocks.
pub const HEADER_LEN: usize = 64;
/// How many blocks there are.
pub const BLOCKS: u64 = 17;
/// Length of a block: as base64 it and what goes with it are a response, sealed or not.
pub const BLOCK_LEN: usize = 960;
/// Length of a block's word.
pub const WORD_LEN: usize = 8;
/// Room for frames in a block.
pub const FRAMES_LEN: usize = BLOCK_LEN - WORD_LEN;
/// Longest name or line that is recorded, in bytes; of a longer one as much.
pub const TEXT_MAX: usize = 128;
/// What a ring begins with.
pub const MAGIC: [u8; 8] = *b"nanovaR1";
/// Where the build id is, and how long it is (SHA-1).
pub const BUILD_ID_AT: usize = MAGIC.len();
/// See [`BUILD_ID_AT`].
pub const BUILD_ID_LEN: usize = 20;
/// Where the number of frames is that had no room.
pub const LOST_AT: usize = 32;
/// Where the byte is that says what follows the header.
pub const FORM_AT: usize = 48;
/// What `nanova record` prints.
pub const IN_ORDER: u8 = 1;

const _: () = assert!(RING_LEN == 16 * 1024);

/// Room for a block.
pub type Block = [u8; BLOCK_LEN];

/// Copies so many bytes of a ring from this place on; returns whether it could.
pub type ReadAt<'r> = &'r mut dyn FnMut(usize, &mut [u8]) -> bool;

/// What a copy of frames in their order begins with: the header of their ring, which says so; none if it is no ring.
#[inline(never)]
pub fn header<'r>(room: &'r mut [u8; HEADER_LEN], read: ReadAt<'_>) -> Option<&'r [u8]> {
    if !read(0, room) || !room.starts_with(&MAGIC) {
        return None;
    }
    *room.get_mut(FORM_AT)? = IN_ORDER;
    Some(room)
}

/// Where a block is.
pub fn place_of(number: u64) -> usize {
    HEADER_LEN + (number % BLOCKS) as usize * BLOCK_LEN
}

/// A block's word.
pub fn word_of(number: u64, len: usize) -> u64 {
    number << 16 | len as u64
}

#[inline(never)]
fn word_at(place: usize, read: ReadAt<'_>) -> u64 {
    let mut word = [0; WORD_LEN];
    if read(place, &mut word) { u64::from_le_bytes(word) } else { 0 }
}

/// The number of the block that is being written, or was last; 0 if none ever was.
#[inline(never)]
pub fn newest(read: ReadAt<'_>) -> u64 {
    (0..BLOCKS).fold(0, |newest, number| newest.max(word_at(place_of(number), read) >> 16))
}

/// The oldest block that may be there beside this one, the newest.
pub fn oldest(newest: u64) -> u64 {
    newest.saturating_sub(BLOCKS - 1).max(1)
}

/// The block of this number, with its word, as far as it holds whole frames; none if it is not there.
#[inline(never)]
pub fn block<'r>(number: u64, room: &'r mut Block, read: ReadAt<'_>) -> Option<&'r [u8]> {
    let place = place_of(number);
    if !read(place, room) {
        return None;
    }
    let word = room.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    // As it was read it may have been used again.
    if number == 0 || word >> 16 != number || word_at(place, read) >> 16 != number {
        return None;
    }
    room.get(..WORD_LEN + (word & 0xffff) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring to which these blocks' frames were written, one after the other.
    fn ring_of(blocks: &[&[u8]]) -> Vec<u8> {
        let mut ring = vec![0; RING_LEN];
        ring[..MAGIC.len()].copy_from_slice(&MAGIC);
        for (number, frames) in (1..).zip(blocks) {
            let place = place_of(number);
            ring[place..place + WORD_LEN].copy_from_slice(&word_of(number, frames.len()).to_le_bytes());
            ring[place + WORD_LEN..place + WORD_LEN + frames.len()].copy_from_slice(frames);
        }
        ring
    }

    fn copy(ring: &[u8], at: usize, room: &mut [u8]) -> bool {
        let Some(piece) = ring.get(at..at + room.len()) else { return false };
        room.copy_from_slice(piece);
        true
    }

    fn frames(ring: &[u8], number: u64) -> Option<Vec<u8>> {
        let mut room = [0; BLOCK_LEN];
        block(number, &mut room, &mut |at, room| copy(ring, at, room)).map(|block| block[WORD_LEN..].to_vec())
    }

    #[test]
    fn what_was_written_is_read() {
        let ring = ring_of(&[b"first", b"second", b""]);
        assert_eq!(newest(&mut |at, room| copy(&ring, at, room)), 3);
        assert_eq!((oldest(3), oldest(0)), (1, 1));
        assert_eq!(frames(&ring, 1).as_deref(), Some(&b"first"[..]));
        assert_eq!(frames(&ring, 2).as_deref(), Some(&b"second"[..]));
        assert_eq!(frames(&ring, 3).as_deref(), Some(&b""[..]));
        assert_eq!((frames(&ring, 0), frames(&ring, 4), frames(&ring, u64::MAX)), (None, None, None));
    }

    #[test]
    fn of_a_ring_that_went_around_the_newest_blocks_are_there() {
        let blocks: Vec<String> = (1..=40).map(|number| format!("block {number}")).collect();
        let ring = ring_of(&blocks.iter().map(String::as_bytes).collect::<Vec<_>>());
        let newest = newest(&mut |at, room| copy(&ring, at, room));
        assert_eq!((newest, oldest(newest)), (40, 24));
        for number in 24..=40 {
            assert_eq!(frames(&ring, number), Some(format!("block {number}").into_bytes()));
        }
        assert_eq!(frames(&ring, 23), None);
    }

    #[test]
    fn a_copy_begins_as_its_ring_and_says_what_it_is() {
        let ring = ring_of(&[]);
        let mut room = [0; HEADER_LEN];
        let header = header(&mut room, &mut |at, room| copy(&ring, at, room)).unwrap();
        assert_eq!((&header[..FORM_AT], header[FORM_AT]), (&ring[..FORM_AT], IN_ORDER));
        assert_eq!(super::header(&mut room, &mut |at, room| copy(&ring[1..], at, room)), None);
        assert_eq!(super::header(&mut room, &mut |at, room| copy(&ring[..60], at, room)), None);
    }

    #[test]
    fn a_frame_that_a_kill_left_in_its_middle_is_not_read() {
        let mut ring = ring_of(&[b"whole"]);
        let end = place_of(1) + WORD_LEN + 5;
        ring[end..end + 9].copy_from_slice(b"half of a");
        assert_eq!(frames(&ring, 1).as_deref(), Some(&b"whole"[..]));
    }

    #[test]
    fn a_block_that_is_used_again_while_it_is_read_is_passed_over() {
        let mut ring = ring_of(&[b"first"]);
        let mut room = [0; BLOCK_LEN];
        let read = block(1, &mut room, &mut |at, room| {
            let done = copy(&ring, at, room);
            ring[at..at + WORD_LEN].copy_from_slice(&word_of(1 + BLOCKS, 0).to_le_bytes());
            done
        });
        assert_eq!(read, None);
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        for bytes in [&[0xff; RING_LEN][..], &[0; RING_LEN], b"", b"nanovaR1"] {
            let newest = newest(&mut |at, room| copy(bytes, at, room));
            assert_eq!(frames(bytes, newest), None);
        }
        let mut ring = ring_of(&[b""]);
        let place = place_of(1);
        ring[place..place + WORD_LEN].copy_from_slice(&word_of(1, FRAMES_LEN + 1).to_le_bytes());
        assert_eq!(frames(&ring, 1), None);
    }
}
