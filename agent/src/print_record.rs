//! `nanova record`: copies the flight recorder's frames to standard output, the oldest first, behind the ring's header,
//! which says that they are in order.

use nanova_core::cli::{Common, RecordOptions, exit};
use nanova_core::record::{BLOCK_LEN, HEADER_LEN, WORD_LEN, block, header, newest, oldest};
use nanova_core::wire::errno::Errno;
use rustix::event::Timespec;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::thread::nanosleep;

use crate::errno::errno;
use crate::files::follow;
use crate::output::{complain, write_all};
use crate::paths::open;
use crate::record_file::FILE;
use crate::rt::stdio::stdout;

/// How long is waited between looks at the ring: nothing tells of a change of memory.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Prints it; returns the exit code.
// In a frame of its own: inlined, its buffers would be pages of main's stack whatever the program was called to do.
#[inline(never)]
pub(crate) fn run(common: &Common<'_>, options: RecordOptions) -> i32 {
    let root = open(common.root, OFlags::PATH | OFlags::DIRECTORY, 0).map_err(errno);
    let file = root.and_then(|root| follow(&root, common.root != "/", FILE.as_str(), OFlags::RDONLY));
    match file.and_then(|file| print(&file, options.follow)) {
        Ok(code) => code,
        Err(error) => {
            complain(format_args!("cannot read {FILE}: {error}"));
            exit::FAILED
        }
    }
}

/// Returns the exit code; or [`Errno::INVAL`] if it is no ring.
fn print(file: &OwnedFd, follow: bool) -> Result<i32, Errno> {
    let read = &mut |at: usize, room: &mut [u8]| {
        let len = room.len();
        rustix::io::pread(file, room, at as u64) == Ok(len)
    };
    let print = |bytes: &[u8]| write_all(stdout(), bytes).is_ok();
    if !print(header(&mut [0; HEADER_LEN], read).ok_or(Errno::INVAL)?) {
        return Ok(exit::FAILED);
    }
    // Which block is next, and how much of it was printed.
    let (mut next, mut printed) = (0, WORD_LEN);
    loop {
        let last = newest(read);
        for number in oldest(last).max(next)..last + 1 {
            let mut room = [0; BLOCK_LEN];
            let frames = block(number, &mut room, read).unwrap_or_default();
            if number != next {
                (next, printed) = (number, WORD_LEN);
            }
            if !print(frames.get(printed..).unwrap_or_default()) {
                return Ok(exit::FAILED);
            }
            printed = frames.len();
        }
        if !follow {
            return Ok(exit::DONE);
        }
        // A signal that shortens the pause does no harm.
        let _ = nanosleep(&PAUSE);
    }
}
