//! How large volumes are, how much of them is free, and their UUIDs: asked by an errand, as a file system or a device
//! may never answer.
//!
//! * A volume that does not answer is left out, and not asked again until the table of mounts changes; the others are.
//! * Where the guest may have no more processes, or two errands hang, nothing is asked; the next look tries again.
//!
//! The order to call: [`Measuring::begin`], then [`Measuring::take`] whenever the errand has ended, until that says
//! that all that can be known is known.

use core::fmt;

use crate::files::read::for_each_piece;
use crate::platform::{Ended, Errand, Errands, Files, Found, GuestPath, Level, Log};
use crate::report::volumes::{Measured, MountTable, UUID_LEN, VOLUMES_MAX, Volume, Volumes, uuid_offset};
use crate::wire::errno::Errno;
use crate::wire::fingerprint::{self, fingerprint};
use crate::wire::text::Bounded;

const MOUNTS: GuestPath<'static> = GuestPath::literal("/proc/self/mountinfo");
/// How long volumes may take to answer.
const SECONDS: u32 = 3;

/// An answer on its way from the errand: the two numbers, whether there is a UUID, the UUID.
type Record = [u8; 8 + 8 + 1 + UUID_LEN];

impl Measured {
    fn to_record(self) -> Record {
        let mut record = [0; size_of::<Record>()];
        let uuid = self.uuid.unwrap_or_default();
        let parts = [&self.size.to_le_bytes()[..], &self.free.to_le_bytes(), &[self.uuid.is_some().into()], &uuid];
        let mut rest = &mut record[..];
        for part in parts {
            // There is room for all of them.
            let Some((room, behind)) = rest.split_at_mut_checked(part.len()) else { break };
            room.copy_from_slice(part);
            rest = behind;
        }
        record
    }

    fn of_record(record: &Record) -> Option<Measured> {
        let (size, rest) = record.split_first_chunk()?;
        let (free, rest) = rest.split_first_chunk()?;
        let (has_uuid, uuid) = rest.split_first()?;
        let uuid = uuid.first_chunk().copied().filter(|_| *has_uuid == 1);
        Some(Measured { size: u64::from_le_bytes(*size), free: u64::from_le_bytes(*free), uuid })
    }
}

/// Volumes and what is known of them.
///
/// # Invariants
/// While `under_way`, an errand asks those of `volumes` that are not measured, in their order.
pub(crate) struct Measuring {
    volumes: Volumes,
    under_way: bool,
    /// There are more than are looked at.
    cut: bool,
    /// The table of mounts, and the volumes of it that did not answer, as fingerprints. One that is taken for another
    /// costs a look.
    table: u64,
    silent: heapless::Vec<u64, VOLUMES_MAX>,
    /// Whether it was said that nothing can be asked.
    said: bool,
}

impl Measuring {
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub(crate) const fn new() -> Measuring {
        Measuring {
            volumes: Volumes::new(),
            under_way: false,
            cut: false,
            table: 0,
            silent: heapless::Vec::new(),
            said: false,
        }
    }

    /// Those that have answered.
    pub(crate) fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    /// Whether an errand asks them.
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Whether there are more volumes than are looked at.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Begins a look at all of them; nothing happens while one is under way. Returns whether all is known already:
    /// there is no volume.
    pub(crate) fn begin<P: Log + Errands>(&mut self, platform: &mut P) -> bool {
        if self.under_way {
            return false;
        }
        if let Err(errno) = self.read_mounts(platform) {
            self.say(platform, format_args!("cannot read {MOUNTS}: {errno}"));
            return false;
        }
        let silent = &self.silent;
        self.volumes.retain(|volume| !silent.contains(&fingerprint(volume.line.as_bytes())));
        self.ask(platform)
    }

    /// Reads the table of mounts. When it has changed, volumes that did not answer are to be asked again.
    // Its frame, which holds the table, is gone when an errand is begun.
    #[inline(never)]
    fn read_mounts<P: Errands>(&mut self, platform: &mut P) -> Result<(), Errno> {
        let (mut table, mut mounts) = (fingerprint::EMPTY, MountTable::new());
        for_each_piece(platform, MOUNTS, &mut |piece| {
            table = fingerprint::go_on(table, piece);
            mounts.read(piece);
        })?;
        (self.volumes, self.cut) = (mounts.volumes, mounts.cut);
        if core::mem::replace(&mut self.table, table) != table {
            self.silent.clear();
        }
        Ok(())
    }

    /// Takes what the errand found. Returns whether that is all that can be known.
    pub(crate) fn take<P: Log + Errands>(&mut self, platform: &mut P, ended: Ended) -> bool {
        self.under_way = false;
        // Whatever cannot be read is a volume that did not answer.
        let _ = self.read(platform);
        let unknown = self.volumes.iter().position(|volume| volume.measured.is_none());
        let Some(unknown) = unknown else { return true };
        // There is one: it was just found.
        let volume = self.volumes.remove(unknown);
        if let Some(Volume { device, mount_point, .. }) = volume.volume() {
            let how = match ended {
                Ended::Late => "does not answer",
                Ended::Exit(_) | Ended::Signal(_) => "cannot be looked at",
            };
            let text = format_args!("{device} on {mount_point} {how}: it is left out until something is mounted");
            platform.log(Level::Warn, text);
        }
        // There is room: it is for as many volumes as there can be.
        let _ = self.silent.push(fingerprint(volume.line.as_bytes()));
        self.ask(platform)
    }

    /// Begins an errand for those that are not measured. Returns whether there are none, and all is known.
    #[inline(never)]
    fn ask<P: Log + Errands>(&mut self, platform: &mut P) -> bool {
        // On the stack: the errand has nothing of the agent's but that.
        let mut asked = Volumes::new();
        for volume in self.volumes.iter().filter(|volume| volume.measured.is_none()) {
            // There is room: it is for as many.
            let _ = asked.push(volume.clone());
        }
        if asked.is_empty() {
            return true;
        }
        let begun = platform.begin(Errand::Volumes, SECONDS, &mut |platform, found| measure(&asked, platform, found));
        self.under_way = begun.is_ok();
        match begun {
            Ok(()) => self.said = false,
            Err(errno) => self.say(platform, format_args!("no process can look at volumes: {errno}")),
        }
        false
    }

    /// Reads the errand's records.
    fn read<P: Errands>(&mut self, platform: &mut P) -> Result<(), Errno> {
        let mut file = platform.found(Errand::Volumes)?;
        for volume in self.volumes.iter_mut().filter(|volume| volume.measured.is_none()) {
            let (mut record, mut filled): (Record, _) = ([0; size_of::<Record>()], 0);
            while let Some(room @ [_, ..]) = record.get_mut(filled..) {
                match platform.read(&mut file, room)? {
                    0 => return Ok(()),
                    len => filled += len,
                }
            }
            volume.measured = Measured::of_record(&record);
        }
        Ok(())
    }

    /// Once, until it is otherwise.
    fn say<P: Log>(&mut self, platform: &mut P, why: fmt::Arguments<'_>) {
        if !core::mem::replace(&mut self.said, true) {
            platform.log(Level::Warn, format_args!("{why}; what is published of volumes stays"));
        }
    }
}

/// The errand: asks each volume in turn, and writes each answer before the next is asked.
fn measure<P: Files>(volumes: &Volumes, platform: &mut P, found: Found<'_>) -> bool {
    volumes.iter().all(|volume| {
        let Some(Volume { device, mount_point, file_system }) = volume.volume() else { return false };
        let mount_point = Bounded::<256>::of(format_args!("{mount_point}"));
        let (size, free) = platform.space(mount_point.as_str()).unwrap_or_default();
        let uuid = uuid(platform, device, file_system);
        found(&Measured { size, free, uuid }.to_record()).is_ok()
    })
}

/// The UUID that a device's file system has in its first blocks.
fn uuid<P: Files>(platform: &mut P, device: &str, file_system: &str) -> Option<[u8; UUID_LEN]> {
    let mut skip = uuid_offset(file_system)?;
    let mut file = platform.open_linked(GuestPath::new(device).ok()?).ok()?;
    let mut room = [0; 2048];
    loop {
        let len = platform.read(&mut file, &mut room).ok()?;
        if let Some(start) = room.get(..len)?.get(skip..) {
            return start.first_chunk().copied();
        }
        skip -= len;
        if len == 0 {
            return None;
        }
    }
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
