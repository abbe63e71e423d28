//! What the toolstack sees of the guest: published when the agent starts, when addresses change, when memory or free
//! space has moved, and all anew when the guest wakes up elsewhere.
//!
//! * `data` first, a key below `attr` last: XAPI looks again only when the latter changes.
//! * Addresses change in one transaction, so that nobody sees a guest without any.
//! * What lies there from an earlier life goes in the same transaction that writes what is so now.
//! * A refusal is normal (below xl a guest may not write most of `control`): said once, not tried again until all is.
//!
//! The order to call: [`Report::start`] on a fresh connection; [`Report::link_changed`] and [`Report::begin_anew`] when
//! they happen; [`Report::run`] when [`Report::due_in`] says 0. Time is passed in, in milliseconds.
//!
//! Rules: XAPI's `ocaml/xapi/xapi_guest_agent.ml`, xenopsd's `xc/xenops_server_xen.ml`, Xen's
//! `docs/misc/xenstore-paths.pandoc`; the form of values is that of XenServer's xe-daemon.

use core::fmt::{self, Write};

use heapless::Vec;

use crate::files::sysfs::vif_of;
use crate::platform::{Errand, Errands, Files, GuestPath, Identity, KernelNet, Level, Log};
use crate::report::addresses::{Addresses, Links, PUBLISHED_MAX, PublishedList, Vif};
use crate::report::measure::Measuring;
use crate::report::memory::{Memory, has_moved};
use crate::report::os::OperatingSystem;
use crate::report::volumes::{Measured, Uuid, VOLUMES_MAX, Volume};
use crate::report::writer::KeyWriter;
use crate::wire::errno::Errno;
use crate::wire::net::{Family, Mac};
use crate::wire::netlink::{Message, Reply};
use crate::wire::text::Bounded;
use crate::xenstore::{Client, Error, NUMBERS_MAX, Path, Refusal, Transaction, Transport, unless_refused};

/// Every so many looks at memory, one at what takes more than one system call and moves slower: volumes and the host's
/// name.
const LOOKS: u8 = 10;
/// Changes of addresses are published at once, and further ones after a pause of so many milliseconds.
const PAUSE_MS: u64 = 15;
/// Its watch fires after a restart, a restore and a migration: XAPI writes another value, and Linux registers all
/// watches of /dev/xen/xenbus anew, which makes each fire.
const LIFE: Path<'static> = Path::literal("unique-domain-id");
/// The token of that watch.
pub const LIFE_TOKEN: &str = "nanova-life";

const MEMINFO: GuestPath<'static> = GuestPath::literal("/proc/meminfo");
/// There if the kernel's balloon driver is; the driver itself does not tell the toolstack.
const BALLOON: GuestPath<'static> = GuestPath::literal("/sys/devices/system/xen_memory/xen_memory0");

/// Keys whose values are constants; the last two are written last.
const VERSION: [(&str, &str); 5] = [
    ("attr/PVAddons/MajorVersion", env!("CARGO_PKG_VERSION_MAJOR")),
    ("attr/PVAddons/MinorVersion", env!("CARGO_PKG_VERSION_MINOR")),
    ("attr/PVAddons/MicroVersion", env!("CARGO_PKG_VERSION_PATCH")),
    ("attr/PVAddons/BuildVersion", "nanova"),
    ("attr/PVAddons/Installed", "1"),
];

/// Where the host says which MAC address is which device's.
const DEVICES: [(bool, Path<'static>); 2] =
    [(false, Path::literal("device/vif")), (true, Path::literal("xenserver/device/net-sriov-vf"))];

/// What is published.
pub struct Report {
    links: Links,
    addresses: Addresses,
    memory: Memory,
    volumes: Measuring,
    /// Whether all of what the volumes answer is to be published, moved or not.
    all_volumes: bool,
    /// Free bytes of each volume that is published, in the order of mountinfo.
    free: Vec<u64, VOLUMES_MAX>,
    host: Bounded<64>,
    /// Milliseconds between looks at memory, and how many there were since the last at volumes; 0 for never.
    interval: u64,
    looks: u8,
    /// Whether the toolstack may set addresses.
    takes_addresses: bool,
    /// Whether anything was to be published on this connection.
    begun: bool,
    all_due: bool,
    links_due: bool,
    /// What xenstore refused of the addresses: it is not known which are there.
    addresses_lost: bool,
    next_look: u64,
    next_links: u64,
    refusal_said: bool,
    cut_said: bool,
}

impl Report {
    /// Nothing is published; `interval` seconds are between looks at memory, ten times that between
    /// looks at volumes; 0 for never.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub const fn new(interval: u32, takes_addresses: bool) -> Report {
        Report {
            links: Links::new(),
            addresses: Addresses::new(),
            memory: Memory { total: 0, available: 0 },
            volumes: Measuring::new(),
            all_volumes: false,
            free: Vec::new(),
            host: Bounded::new(),
            interval: interval as u64 * 1000,
            looks: 0,
            takes_addresses,
            begun: false,
            all_due: false,
            links_due: false,
            addresses_lost: false,
            next_look: 0,
            next_links: 0,
            refusal_said: false,
            cut_said: false,
        }
    }

    /// Begins on a fresh connection: with the first event of the watch, which comes at once; without one if there is
    /// none.
    pub fn start<T: Transport>(&mut self, client: &mut Client<T>) -> Result<(), Error> {
        self.begun = false;
        if unless_refused(client.watch(LIFE, LIFE_TOKEN))?.is_none() {
            self.begin_anew();
        }
        Ok(())
    }

    /// Whether the toolstack may set addresses, as far as this report knows.
    pub fn takes_addresses(&self) -> bool {
        self.takes_addresses
    }

    /// All is to be published, or published again.
    pub fn begin_anew(&mut self) {
        (self.begun, self.all_due) = (true, true);
    }

    /// Links or addresses have changed.
    pub fn link_changed(&mut self) {
        self.links_due = true;
    }

    /// Whether news of links would be too early: they need not be waited for until [`Report::due_in`] is over.
    pub fn is_pausing(&self, now: u64) -> bool {
        self.links_due && now < self.next_links
    }

    /// Whether [`Report::due_in`] depends on the time.
    pub fn knows_time(&self) -> bool {
        self.begun && (self.all_due || self.links_due || self.interval > 0)
    }

    /// In how many milliseconds there is something to do, if it is known.
    pub fn due_in(&self, now: u64) -> Option<u64> {
        if !self.begun || self.all_due {
            return self.begun.then_some(0);
        }
        let links = self.links_due.then_some(self.next_links);
        let look = (self.interval > 0).then_some(self.next_look);
        Some(links.into_iter().chain(look).min()?.saturating_sub(now))
    }

    /// Does what is due. `may_set` says whether the host may have addresses set;
    /// it is told that, too.
    #[inline(never)]
    pub fn run<T: Transport, P: Errands + Log + Identity + KernelNet>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
        may_set: fn(&mut P) -> bool,
        now: u64,
    ) -> Result<(), Error> {
        if self.due_in(now) != Some(0) {
            return Ok(());
        }
        let mut writer = KeyWriter::new(client);
        let all = self.all_due;
        if all {
            let may_set = self.takes_addresses && may_set(platform);
            self.system(&mut writer, platform, may_set);
        }
        let mut touched = false;
        if all || self.interval > 0 && now >= self.next_look {
            touched = self.look(&mut writer, platform, all);
            self.next_look = now + self.interval;
        }
        if all || self.links_due && now >= self.next_links {
            // What gives the guest another network may give it another name.
            touched |= self.look_at_name(&mut writer, platform, false);
            self.network(&mut writer, platform, all)?;
            self.next_links = now + PAUSE_MS;
            self.links_due = false;
        }
        // XAPI looks at data when something below attr has changed.
        let last = VERSION.iter().skip(if all { 0 } else { VERSION.len() - 1 });
        last.filter(|_| all || touched).for_each(|(key, value)| writer.put(key, value));
        let KeyWriter { refused, failed, .. } = writer;
        if let Some(failed) = failed {
            return Err(failed);
        }
        self.all_due = false;
        if let (Some(refused), false) = (refused, self.refusal_said) {
            self.refusal_said = true;
            platform.log(Level::Info, format_args!("xenstore refuses {}; not tried again", refused.as_str()));
        }
        if all {
            let count = self.addresses.all().len();
            platform.log(Level::Info, format_args!("published what the guest is, with {count} addresses"));
        }
        Ok(())
    }

    /// What does not change while the system runs.
    // Of what follows each has a frame of its own, so that the deepest of them sets the stack's size, not their sum.
    #[inline(never)]
    fn system<T: Transport, P: Files + Log + Identity>(
        &mut self,
        writer: &mut KeyWriter<'_, T>,
        platform: &mut P,
        may_set: bool,
    ) {
        let os = OperatingSystem::find(platform);
        writer.put("data/os_uname", platform.kernel_release().as_str());
        if let Some(OperatingSystem { name, distro, major, minor }) = &os {
            let keys = ["data/os_name", "data/os_distro", "data/os_majorver", "data/os_minorver"];
            for (key, value) in keys.iter().zip([name, distro, major, minor]) {
                writer.put(key, value.as_str());
            }
        }
        // Whatever keeps it from being looked at, the toolstack must not count on it.
        if platform.exists(BALLOON).unwrap_or(false) {
            writer.put("control/feature-balloon", "1");
        }
        const ADDRESSES: &str = "control/feature-static-ip-setting";
        match (self.takes_addresses, may_set) {
            (true, true) => writer.put(ADDRESSES, "1"),
            (true, false) => writer.remove(format_args!("{ADDRESSES}")),
            (false, _) => {}
        }
    }

    /// What changes slowly. Returns whether XAPI should look.
    #[inline(never)]
    fn look<T: Transport, P: Errands + Log + Identity>(
        &mut self,
        writer: &mut KeyWriter<'_, T>,
        platform: &mut P,
        all: bool,
    ) -> bool {
        self.look_at_memory(writer, platform, all);
        self.looks = if all { 0 } else { (self.looks + 1) % LOOKS };
        if self.looks > 0 {
            return false;
        }
        let renamed = self.look_at_name(writer, platform, all);
        self.all_volumes |= all;
        if self.volumes.begin(platform) {
            self.publish_volumes(writer, platform);
        } else if !self.volumes.is_under_way() {
            // The next look tries again.
            self.looks = LOOKS - 1;
        }
        if all {
            writer.put("data/updated", "1");
        }
        renamed
    }

    /// Returns whether the host has another name.
    fn look_at_name<T: Transport, P: Identity>(
        &mut self,
        writer: &mut KeyWriter<'_, T>,
        platform: &mut P,
        all: bool,
    ) -> bool {
        let host = platform.host_name();
        let renamed = host != self.host;
        if all || renamed {
            writer.put("data/host_name_dns", host.as_str());
            self.host = host;
        }
        renamed
    }

    fn look_at_memory<T: Transport, P: Files + Log>(
        &mut self,
        writer: &mut KeyWriter<'_, T>,
        platform: &mut P,
        all: bool,
    ) {
        let mut room = [0; 256];
        let read = platform.read_anew(MEMINFO, &mut room);
        if let (true, Err(errno)) = (all, read)
            && !matches!(errno, Errno::NOENT | Errno::NOTDIR)
        {
            platform.log(Level::Warn, format_args!("cannot read {MEMINFO}: {errno}; left out"));
        }
        let memory = read.ok().and_then(|len| Memory::parse(room.get(..len)?));
        if let Some(Memory { total, available }) = memory
            && (all || total != self.memory.total || has_moved(self.memory.available, available, total))
        {
            for (key, value) in [("total", total), ("free", available)] {
                writer.put_at(format_args!("data/meminfo_{key}"), format_args!("{value}"));
            }
            self.memory = Memory { total, available };
        }
    }

    /// Publishes what volumes have answered, if an errand that asked them has ended. Returns whether one has.
    #[inline(never)]
    pub fn take_volumes<T: Transport, P: Errands + Log>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
    ) -> Result<bool, Error> {
        let Some(ended) = platform.ended(Errand::Volumes) else { return Ok(false) };
        if self.volumes.take(platform, ended) {
            let mut writer = KeyWriter::new(client);
            self.publish_volumes(&mut writer, platform);
            writer.failed.map_or(Ok(()), Err)?;
        }
        Ok(true)
    }

    fn publish_volumes<T: Transport, P: Log>(&mut self, writer: &mut KeyWriter<'_, T>, platform: &mut P) {
        let all = core::mem::take(&mut self.all_volumes);
        let measured = self.volumes.volumes().iter().filter_map(|volume| Some((volume.volume()?, volume.measured?)));
        let measured = measured.collect::<Vec<_, VOLUMES_MAX>>();
        let mut moved = measured.iter().zip(&self.free).map(|((_, now), old)| has_moved(*old, now.free, now.size));
        if !all && measured.len() == self.free.len() && !moved.any(|moved| moved) {
            return;
        }
        writer.in_transaction(&mut |writer| {
            writer.remove(format_args!("data/volumes"));
            for (place, (volume, Measured { size, free, uuid })) in measured.iter().enumerate() {
                let Volume { device, mount_point, file_system } = volume;
                let mut name = Bounded::<128>::of(format_args!("{device}"));
                if let Some(uuid) = uuid {
                    let _ = write!(name, "({})", Uuid(*uuid));
                }
                let values: [(&str, &dyn fmt::Display); 5] = [
                    ("name", &name.as_str()),
                    ("size", size),
                    ("free", free),
                    ("mount_points/0", mount_point),
                    ("filesystem", file_system),
                ];
                for (key, value) in values {
                    writer.put_at(format_args!("data/volumes/{place}/{key}"), format_args!("{value}"));
                }
            }
        });
        self.free = measured.iter().map(|(_, now)| now.free).collect();
        if all {
            if self.volumes.is_cut() {
                let text =
                    format_args!("more than {VOLUMES_MAX} volumes, or too long a path; the others are not published");
                platform.log(Level::Info, text);
            }
            // As after all else that is published for the first time.
            VERSION.iter().skip(VERSION.len() - 1).for_each(|(key, value)| writer.put(key, value));
        }
    }

    /// Which links there are, and whose. Says whether the kernel told.
    fn look_at_links<T: Transport, P: Files + Log + KernelNet>(
        &mut self,
        client: &mut Client<T>,
        platform: &mut P,
    ) -> Result<Result<(), Errno>, Error> {
        self.links.begin();
        let mut macs = None;
        loop {
            let asked = platform.ask(&Message::dump_links(1), &mut |reply| {
                if let Reply::Link(link) = reply {
                    self.links.take(link);
                }
            });
            for known in self.links.end() {
                let number = vif_of(platform, &known.name);
                let mut vif = number.map(|number| Vif { virtual_function: false, number });
                if let (None, Some(mac)) = (vif, known.mac) {
                    let macs = match &macs {
                        Some(macs) => macs,
                        None => macs.insert(devices(client, platform)?),
                    };
                    vif = macs.iter().find(|(_, known)| *known == mac).map(|(vif, _)| *vif);
                }
                known.itself = Some(vif);
            }
            self.links.follow();
            if asked.is_err() || !self.links.wants_more() {
                return Ok(asked);
            }
        }
    }

    #[inline(never)]
    fn network<T: Transport, P: Files + Log + KernelNet>(
        &mut self,
        writer: &mut KeyWriter<'_, T>,
        platform: &mut P,
        all: bool,
    ) -> Result<(), Error> {
        let all = all || self.addresses_lost;
        let asked = self.look_at_links(writer.client, platform)?;
        if all {
            // Nothing that was published in an earlier life counts.
            self.addresses.clear();
        }
        let (links, addresses) = (&self.links, &mut self.addresses);
        addresses.begin();
        let asked = asked.and_then(|()| {
            platform.ask(&Message::dump_addresses(2), &mut |reply| {
                if let Reply::Address(present) = reply
                    && let Some(vif) = links.vif_of(present.index)
                {
                    addresses.take(vif, present);
                }
            })
        });
        if let Err(errno) = asked {
            platform.log(Level::Warn, format_args!("cannot list the addresses: {errno}; what is published stays"));
            self.addresses_lost = true;
            return Ok(());
        }
        let gone = addresses.end();
        if (addresses.cut || links.cut) && !self.cut_said {
            self.cut_said = true;
            let text = format_args!(
                "too many links or addresses; {PUBLISHED_MAX} addresses are published, of each VIF the first"
            );
            platform.log(Level::Warn, text);
        }
        if !all && gone.is_empty() && addresses.added().is_empty() {
            return Ok(());
        }
        let legacy = writer.client.list(Transaction::NONE, Path::literal("xenserver/attr"), 0, &mut []);
        let legacy = legacy.is_err_and(|error| error.is(Refusal::NOENT));
        let refused = writer.refused.take();
        publish(writer, &self.addresses, &self.links, &gone, all, legacy);
        self.addresses_lost = writer.refused.is_some();
        if refused.is_some() {
            writer.refused = refused;
        }
        Ok(())
    }
}

/// Changes the keys of addresses, all at once.
fn publish<T: Transport>(
    writer: &mut KeyWriter<'_, T>,
    addresses: &Addresses,
    links: &Links,
    gone: &PublishedList,
    all: bool,
    legacy: bool,
) {
    writer.in_transaction(&mut |writer| {
        if all {
            for virtual_function in [false, true] {
                writer.remove(format_args!("{}", Vif { virtual_function, number: 0 }.directory()));
            }
            for vif in links.vifs().filter(|_| legacy) {
                writer.remove(format_args!("attr/eth{}", u64::from(vif.number)));
            }
        }
        for one in gone {
            let beside = addresses.all().iter().any(|other| other.is_beside(one));
            if beside {
                writer.remove(format_args!("{one}"));
            } else if addresses.all().iter().any(|other| other.vif == one.vif) {
                // No directory stays that is empty.
                writer.remove(format_args!("{}/{}", one.vif, one.family()));
            } else {
                writer.remove(format_args!("{}", one.vif));
            }
            if legacy && !beside {
                writer.remove(format_args!("attr/eth{}", u64::from(one.vif.number)));
            }
        }
        for one in addresses.added() {
            writer.put_at(format_args!("{one}"), format_args!("{}", one.ip));
        }
        if legacy {
            write_legacy(writer, addresses);
        }
    });
}

/// The form of XenServer before 7.0, which has no `xenserver/attr` and reads nothing else: all IPv4 addresses of a VIF,
/// separated by spaces; of more than sixteen the first, as a value has room for no more.
fn write_legacy<T: Transport>(writer: &mut KeyWriter<'_, T>, addresses: &Addresses) {
    for (place, one) in addresses.all().iter().enumerate().filter(|(_, one)| one.ip.family() == Family::V4) {
        let (before, behind) = addresses.all().split_at(place + 1);
        if before.iter().filter(|other| other.is_beside(one)).count() > 1 {
            continue;
        }
        let mut list = Bounded::<256>::of(format_args!("{}", one.ip));
        for other in behind.iter().filter(|other| other.is_beside(one)).take(15) {
            let _ = write!(list, " {}", other.ip);
        }
        writer.put_at(format_args!("attr/eth{}/ip", u64::from(one.vif.number)), format_args!("{}", list.as_str()));
    }
}

/// Which MAC address is whose, as the host says.
fn devices<T: Transport, P: Log>(
    client: &mut Client<T>,
    platform: &mut P,
) -> Result<Vec<(Vif, Mac), { 2 * NUMBERS_MAX }>, Error> {
    let mut found = Vec::new();
    for (virtual_function, directory) in DEVICES {
        let numbers = client.numbers(directory)?;
        if !numbers.complete {
            platform.log(
                Level::Warn,
                format_args!("more than {NUMBERS_MAX} devices in {directory}: the others are unknown"),
            );
        }
        for number in numbers.known {
            let mac = client.text(format_args!("{directory}/{}/mac", u64::from(number)))?;
            if let Some(mac) = mac.and_then(Mac::parse) {
                let _ = found.push((Vif { virtual_function, number }, mac));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
#[path = "publisher_tests.rs"]
mod tests;
