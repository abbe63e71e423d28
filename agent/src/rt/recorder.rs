//! The flight recorder: defmt's frames in a ring of 16 KiB, which a file in /run outlives the process with.
//! `core/src/record.rs` has the table of its bytes.
//!
//! One process writes, which has a lock on the file; who reads takes none. A frame counts when it is whole, by one
//! store of its block's word. A record is no system call, and as long as the processor's counter tells the time,
//! neither is the clock.
//!
//! # Invariants
//! The program has one thread and no signal handler, so nobody else is in here meanwhile. `ring` is null or the address
//! of a mapping of [`RING_LEN`] bytes that is never given back while it is there; `end` is the end of a block in it,
//! and `left` and `kept` are at most [`FRAMES_LEN`], and 0 without a ring. A forked child does not have it
//! ([`forget`]).

use core::cell::Cell;
use core::ptr::null_mut;
use core::sync::atomic::{Ordering, fence};

use nanova_core::record::{
    BUILD_ID_AT, BUILD_ID_LEN, FRAMES_LEN, LOST_AT, MAGIC, RING_LEN, WORD_LEN, newest, place_of, word_of,
};
use nanova_core::wire::fingerprint::fingerprint;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous};

use super::counter::ticks;

/// What a record takes at the most beside a text in it, and so do two records of names.
pub(crate) const SPARE: usize = 64;
/// How many names are known by their number at a time.
const NAMES: u8 = 64;
/// How many binary digits of a rate are behind its point.
const POINT: u32 = 30;
/// A rate is taken from at least so many microseconds, as reading the clock takes one; and it is good for so many
/// ticks, seconds.
const CALIBRATED_US: u64 = 1000;
const TICKS_MAX: u64 = 1 << 33;

/// All that the program has of variables: zeros when it starts.
struct Recorder {
    ring: Cell<*mut u8>,
    /// Where the block that is written ends, its number, and the room in it: behind the last whole frame, and behind
    /// what there is of the one that is being written.
    end: Cell<*mut u8>,
    number: Cell<u64>,
    kept: Cell<usize>,
    left: Cell<usize>,
    /// There was no room for the one that is being written.
    lost: Cell<bool>,
    /// Microseconds since the system began: as they were read last, of what system call, what the counter said then,
    /// and how many they are for a tick.
    now: Cell<u64>,
    read: Cell<u64>,
    ticks: Cell<u64>,
    rate: Cell<u64>,
    /// When the last record of the whole time was made: others have 32 bits of it.
    told: Cell<u64>,
    /// Fingerprints of names, each and its block's number; 0 is none. Two names that have one would be shown as the
    /// first.
    names: [Cell<u64>; NAMES as usize],
}

// SAFETY: there is one thread.
unsafe impl Sync for Recorder {}

static RECORDER: Recorder = Recorder {
    ring: Cell::new(null_mut()),
    end: Cell::new(null_mut()),
    number: Cell::new(0),
    kept: Cell::new(0),
    left: Cell::new(0),
    lost: Cell::new(false),
    now: Cell::new(0),
    read: Cell::new(0),
    ticks: Cell::new(0),
    rate: Cell::new(0),
    told: Cell::new(0),
    names: [const { Cell::new(0) }; NAMES as usize],
};

/// Records from now on, in memory alone.
pub(crate) fn begin() -> Result<(), Errno> {
    // SAFETY: a new mapping at an address that the kernel chooses touches no memory of anybody's.
    let start = unsafe { mmap_anonymous(null_mut(), RING_LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) }?;
    RECORDER.use_ring(start.cast());
    Ok(())
}

/// Records from now on in this file, which has [`RING_LEN`] bytes: behind what it has; or, if this process has recorded
/// in memory, behind that, in the place of what it has.
pub(crate) fn move_to(file: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: as in `begin`.
    let start = unsafe { mmap(null_mut(), RING_LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file, 0) }?;
    let before = RECORDER.ring.get();
    if !before.is_null() {
        // SAFETY: two rings, each all of its mapping.
        unsafe { start.copy_from_nonoverlapping(before.cast(), RING_LEN) };
    }
    RECORDER.use_ring(start.cast());
    Ok(())
}

/// Whether records go anywhere.
pub(crate) fn is_on() -> bool {
    !RECORDER.ring.get().is_null()
}

/// In a child that was forked: it has no ring.
pub(super) fn forget() {
    RECORDER.ring.set(null_mut());
    RECORDER.kept.set(0);
}

/// Copies bytes of the ring from this place on; returns whether there are so many.
pub(crate) fn read_at(at: usize, room: &mut [u8]) -> bool {
    let ring = RECORDER.ring.get();
    if ring.is_null() || at + room.len() > RING_LEN {
        return false;
    }
    // SAFETY: the range is within the ring, and nobody writes to it meanwhile.
    unsafe { ring.add(at).copy_to_nonoverlapping(room.as_mut_ptr(), room.len()) };
    true
}

/// Whether a record can be made that takes at most so many bytes, the names in it among them. If need be a new block is
/// begun, in which no name has a number. A record of no more than [`SPARE`] bytes need not ask if no name's number is
/// in it.
#[inline(never)]
pub(crate) fn has_room(len: usize) -> bool {
    let high_bits = |time: u64| time >> u32::BITS;
    if RECORDER.kept.get() < len || high_bits(RECORDER.now.get()) != high_bits(RECORDER.told.get()) {
        RECORDER.begin_block();
    }
    RECORDER.kept.get() >= len
}

/// The number of a name that is not to be this number, and whether the name is to be recorded with it.
#[inline(never)]
pub(crate) fn number_of(name: &[u8], taken: u8) -> (u8, bool) {
    let fingerprint = fingerprint(name).wrapping_add(RECORDER.number.get());
    let number = (fingerprint ^ fingerprint >> 32) as u8 % NAMES;
    let number = if number == taken { number ^ 1 } else { number };
    let is_new = RECORDER.names.get(usize::from(number)).is_some_and(|known| known.replace(fingerprint) != fingerprint);
    (number, is_new)
}

/// It is so many microseconds since the system began, as the kernel says.
pub(super) fn set_now(us: u64) {
    let counter = ticks();
    let (passed, counted) = (us.wrapping_sub(RECORDER.read.get()), counter.wrapping_sub(RECORDER.ticks.get()));
    RECORDER.now.set(us);
    let before = RECORDER.rate.get();
    if passed >= CALIBRATED_US {
        // None after hours without a look at the clock.
        let scaled = passed.checked_mul(1 << POINT);
        let rate = scaled.and_then(|scaled| scaled.checked_div(counted)).unwrap_or(0);
        // It is another one where the guest was suspended or has moved: the clock is asked until the next time.
        let other = before != 0 && rate.abs_diff(before) > before / 8;
        RECORDER.rate.set(if other { 0 } else { rate });
    } else if before == 0 && RECORDER.read.get() != 0 {
        return;
    }
    RECORDER.read.set(us);
    RECORDER.ticks.set(counter);
}

/// Microseconds since the system began, as records have them from now on: by the counter since the clock was read. None
/// where that cannot be: the clock is to be read.
#[inline(never)]
pub(crate) fn now() -> Option<u64> {
    let (rate, counted) = (RECORDER.rate.get(), ticks().wrapping_sub(RECORDER.ticks.get()));
    if rate == 0 || counted >= TICKS_MAX {
        return None;
    }
    RECORDER.now.set(RECORDER.read.get() + (counted.wrapping_mul(rate) >> POINT));
    Some(last())
}

/// The same as it was told last.
pub(crate) fn last() -> u64 {
    RECORDER.now.get()
}

impl Recorder {
    /// Takes a new mapping for the ring, which holds zeros or what an earlier process has left.
    fn use_ring(&self, ring: *mut u8) {
        for advice in [Advice::LinuxDontFork, Advice::LinuxDontDump] {
            // SAFETY: advice about the new mapping alone. In a child there is nothing at its address.
            let _ = unsafe { madvise(ring.cast(), RING_LEN, advice) };
        }
        self.ring.set(ring);
        // SAFETY: the ring begins with these. What counts lost frames stays.
        unsafe { ring.cast::<[u8; 8]>().write(MAGIC) };
        // SAFETY: likewise.
        unsafe { ring.add(BUILD_ID_AT).copy_from_nonoverlapping(build_id().as_ptr(), BUILD_ID_LEN) };
        self.number.set(newest(&mut read_at));
        self.names.iter().for_each(|name| name.set(0));
        self.begin_block();
    }

    /// Goes on with the next block.
    #[inline(never)]
    fn begin_block(&self) {
        let ring = self.ring.get();
        if ring.is_null() {
            return;
        }
        let number = self.number.get() + 1;
        let place = place_of(number);
        // SAFETY: a block is within the ring.
        self.end.set(unsafe { ring.add(place + WORD_LEN + FRAMES_LEN) });
        self.number.set(number);
        self.kept.set(FRAMES_LEN);
        self.set_word(place, word_of(number, 0));
        self.told.set(self.now.get());
        defmt::trace!("{=u64:us} since the start", self.now.get());
    }

    /// Bytes of a frame.
    fn put(&self, bytes: &[u8]) {
        let left = self.left.get();
        let Some(rest) = left.checked_sub(bytes.len()) else {
            self.lost.set(true);
            return;
        };
        self.left.set(rest);
        // SAFETY: there are `left` bytes before the block's end.
        let place = unsafe { self.end.get().sub(left) };
        match *bytes {
            // SAFETY: it is for these bytes. Most are so many, for which a call would take longer.
            [a, b] => unsafe { place.cast::<[u8; 2]>().write([a, b]) },
            // SAFETY: likewise.
            [a] => unsafe { place.write(a) },
            // SAFETY: likewise; nobody else has the ring.
            _ => unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) },
        }
    }

    /// A word of the ring.
    fn set_word(&self, at: usize, value: u64) {
        // What was written before is there before: for whoever reads, and for a kill.
        fence(Ordering::Release);
        // SAFETY: callers name places within the ring that words are aligned at; there is a ring when a frame has room,
        // and when a block is begun.
        unsafe { self.ring.get().add(at).cast::<u64>().write_volatile(value) }
    }
}

/// What defmt writes with.
#[defmt::global_logger]
struct Logger;

// SAFETY: there is one thread, and no record is begun in the middle of another, unless that panicked.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        has_room(SPARE);
        // Behind the last whole frame, if one panicked in its middle.
        RECORDER.left.set(RECORDER.kept.get());
    }

    // SAFETY: it does nothing.
    unsafe fn flush() {}

    // SAFETY: of callers no more is asked than that they have acquired.
    unsafe fn release() {
        let (left, number) = (RECORDER.left.get(), RECORDER.number.get());
        if RECORDER.lost.replace(false) {
            if is_on() {
                // SAFETY: it is a word of the header.
                let lost = unsafe { RECORDER.ring.get().add(LOST_AT).cast::<u64>().read() };
                RECORDER.set_word(LOST_AT, lost.wrapping_add(1));
            }
            return;
        }
        RECORDER.kept.set(left);
        RECORDER.set_word(place_of(number), word_of(number, FRAMES_LEN - left));
    }

    // SAFETY: likewise.
    unsafe fn write(bytes: &[u8]) {
        RECORDER.put(bytes);
    }
}

defmt::timestamp!("{=u32:us}", RECORDER.now.get() as u32);

/// What the build has made of this program's contents (.cargo/rustc).
#[cfg(not(debug_assertions))]
pub(crate) fn build_id() -> &'static [u8; BUILD_ID_LEN] {
    // SAFETY: the linker defines it.
    unsafe extern "C" {
        /// The last bytes of the note that has it.
        static build_id: [u8; BUILD_ID_LEN];
    }
    // SAFETY: it is there, and never changes.
    unsafe { &build_id }
}

/// A debug build has none.
#[cfg(debug_assertions)]
pub(crate) fn build_id() -> &'static [u8; BUILD_ID_LEN] {
    &[0; BUILD_ID_LEN]
}
