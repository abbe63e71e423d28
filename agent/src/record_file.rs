//! Where the flight recorder is kept: `/run/nanova/recorder`, the agent's alone (0600).

use nanova_core::platform::{Files, GuestPath, Level, Log};
use nanova_core::record::{BUILD_ID_AT, BUILD_ID_LEN, MAGIC, RING_LEN};
use nanova_core::wire::errno::Errno;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FlockOperation, OFlags, fcntl_lock};

use crate::errno::errno;
use crate::files::reserve;
use crate::record;
use crate::rt::recorder;
use crate::system::System;

/// Where it is.
const DIRECTORY: GuestPath<'static> = GuestPath::literal("/run/nanova");
pub(crate) const FILE: GuestPath<'static> = GuestPath::literal("/run/nanova/recorder");
/// The name of one that is not to be written to.
const BEFORE: &str = "recorder.before";

impl System<'_> {
    /// Records from now on where that outlives the process; where it cannot, in memory alone.
    #[inline(never)]
    pub(crate) fn open_recorder(&mut self) {
        if let Err(error) = self.record_in_file() {
            if !recorder::is_on() {
                // Then nothing is recorded.
                let _ = recorder::begin();
            }
            if error != Errno::NOENT {
                self.log(Level::Warn, format_args!("nothing is recorded in {FILE}: {error}"));
            }
        }
        record::begins();
    }

    fn record_in_file(&mut self) -> Result<(), Errno> {
        // If it cannot be made, the file cannot either.
        let _ = self.make_directory(DIRECTORY);
        loop {
            let file = self.open_at(FILE, OFlags::RDWR | OFlags::CREATE)?;
            // Another process may record: a report beside an agent.
            fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).map_err(errno)?;
            if is_anothers(&file)? {
                // One that was there before is given up.
                let _ = self.remove(FILE, BEFORE);
                let _ = self.rename(FILE, BEFORE)?;
                continue;
            }
            reserve(&file, RING_LEN as u64)?;
            recorder::move_to(file.as_fd()).map_err(errno)?;
            // Open as long as the process lives: closing it would give the lock back.
            core::mem::forget(file);
            return Ok(());
        }
    }
}

/// Whether there is something in it that is not of this build, or that was there before what this process has recorded
/// already: what it recorded would not be told from that.
fn is_anothers(file: &OwnedFd) -> Result<bool, Errno> {
    let mut start = [0; BUILD_ID_AT + BUILD_ID_LEN];
    let len = rustix::io::read(file, &mut start[..]).map_err(errno)?;
    Ok(len > 0 && (recorder::is_on() || !(start.starts_with(&MAGIC) && start.ends_with(recorder::build_id()))))
}
