//! Processors and memory that are added to a running guest: the kernel adds them and leaves it to somebody to set them
//! online (Linux, `Documentation/core-api/cpu_hotplug.rst`, `Documentation/admin-guide/mm/memory-hotplug.rst`).
//!
//! * What the kernel tells of is set online at once; what is not ready then is tried again a little later: the kernel
//!   tells of a processor of Xen's before it is present (`drivers/xen/cpu_hotplug.c`, `enable_hotplug_cpu`).
//! * What was added before the first agent of a boot, too; what is offline at a later start may be so because an
//!   administrator wanted it, and stays.
//! * Memory that the kernel sets online by itself is left to it.
//!
//! Nothing here fails: what cannot be set is named in the log.

use core::fmt::Write;

use heapless::Vec;

use crate::files::read::read_start_if_possible;
use crate::platform::{Files, GuestPath, Level, Log, Sysfs};
use crate::wire::errno::Errno;
use crate::wire::text::Bounded;

/// The kinds of devices: where the kernel has them, and how their names begin.
const KINDS: [(&str, &str); 2] = [("/devices/system/cpu", "cpu"), ("/devices/system/memory", "memory")];
/// Says `offline` where memory waits for somebody to set it online.
const AUTO_ONLINE: GuestPath<'static> = GuestPath::literal("/sys/devices/system/memory/auto_online_blocks");
/// How long the kernel waits for processes to freeze before it gives up suspending, in milliseconds: with its default
/// of 20 s a busy guest may not be suspended. XenServer's tools raise it as far.
const FREEZE_TIMEOUT: GuestPath<'static> = GuestPath::literal("/sys/power/pm_freeze_timeout");
const FREEZE_DEFAULT: &str = "20000";
const FREEZE_RAISED: &str = "300000";
/// Most devices that are set online at a start.
const DEVICES_MAX: usize = 64;

/// The path of a device below /sys/devices/system.
pub type Device = Bounded<48>;

/// The processor or block of memory that a message of the kernel says was added (`add@`, then the device's path;
/// `lib/kobject_uevent.c`).
pub fn added(message: &[u8]) -> Option<Device> {
    let header = message.split(|byte| *byte == 0).next()?;
    let path = core::str::from_utf8(header).ok()?.strip_prefix("add@")?;
    let (directory, name) = path.rsplit_once('/')?;
    let (directory, _) = KINDS.iter().find(|(known, start)| *known == directory && is_device(name, start))?;
    Some(Bounded::of(format_args!("/sys{directory}/{name}")))
}

/// A short number behind this beginning.
fn is_device(name: &str, start: &str) -> bool {
    let number = name.strip_prefix(start).unwrap_or_default();
    (1..=8).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Sets a device online that is not. One without such a switch, as the first processor, is.
#[inline(never)]
fn set_online<P: Files + Sysfs + Log>(platform: &mut P, device: &Device) -> Result<(), Errno> {
    let path = Bounded::<64>::of(format_args!("{}/online", device.as_str()));
    let Ok(path) = GuestPath::new(path.as_str()) else { return Ok(()) };
    let mut state = [0; 4];
    let len = read_start_if_possible(platform, path, &mut state).unwrap_or_default();
    if state.get(..len).unwrap_or_default().trim_ascii() != b"0" {
        return Ok(());
    }
    platform.set_attribute(path, "1")?;
    platform.log(Level::Info, format_args!("{} is online", device.as_str()));
    Ok(())
}

fn say_failed<P: Log>(platform: &mut P, device: &Device, errno: Errno) {
    platform.log(Level::Warn, format_args!("{} cannot be set online: {errno}", device.as_str()));
}

/// How long until a device that was not ready is tried again, and how often.
const AGAIN_MS: u64 = 100;
const TRIES: u8 = 10;
/// Most devices that are tried again at a time.
const NEWCOMERS_MAX: usize = 8;

/// Devices that have come.
#[derive(Default)]
pub struct Newcomers {
    /// Those that were not ready, and how often they are tried yet.
    waiting: Vec<(Device, u8), NEWCOMERS_MAX>,
    at: Option<u64>,
}

impl Newcomers {
    /// When to call [`Newcomers::handle_time`].
    pub fn next_at(&self) -> Option<u64> {
        self.at
    }

    /// One has come.
    pub fn handle_added<P: Files + Sysfs + Log>(&mut self, platform: &mut P, device: Device, now: u64) {
        self.try_one(platform, device, TRIES, now);
    }

    /// Time has passed.
    pub fn handle_time<P: Files + Sysfs + Log>(&mut self, platform: &mut P, now: u64) {
        if self.at.is_some_and(|at| at <= now) {
            self.at = None;
            for (device, tries) in core::mem::take(&mut self.waiting) {
                self.try_one(platform, device, tries, now);
            }
        }
    }

    fn try_one<P: Files + Sysfs + Log>(&mut self, platform: &mut P, device: Device, tries: u8, now: u64) {
        match set_online(platform, &device) {
            Ok(()) => {}
            Err(Errno::INVAL) if tries > 0 && !self.waiting.is_full() => {
                let _ = self.waiting.push((device, tries - 1));
                self.at = Some(now + AGAIN_MS);
            }
            Err(errno) => say_failed(platform, &device, errno),
        }
    }
}

/// What is done at a start: at the first one of a boot devices are set online that wait for it.
pub fn at_start<P: Files + Sysfs + Log>(platform: &mut P, first_of_boot: bool) {
    raise_freeze_timeout(platform);
    for (directory, start) in KINDS.iter().filter(|_| first_of_boot) {
        if *start == "memory" && !memory_waits(platform) {
            continue;
        }
        let path = Bounded::<48>::of(format_args!("/sys{directory}"));
        let Ok(path) = GuestPath::new(path.as_str()) else { continue };
        let mut devices = Vec::<Device, DEVICES_MAX>::new();
        let (mut cut, mut device) = (false, Device::new());
        let listed = platform.names(path, &mut |name| {
            if is_device(name, start) {
                device = Device::new();
                // It has room: the directory and a name of eight digits.
                let _ = write!(device, "{path}/{name}");
                cut |= devices.push(device.clone()).is_err();
            }
        });
        if let Err(errno) = listed {
            platform.log(Level::Warn, format_args!("cannot list {path}: {errno}"));
        }
        if cut {
            let text =
                format_args!("more than {DEVICES_MAX} devices in {path}: the others are set online when they come");
            platform.log(Level::Warn, text);
        }
        for device in &devices {
            if let Err(errno) = set_online(platform, device) {
                say_failed(platform, device, errno);
            }
        }
    }
}

/// Whether blocks of memory wait for somebody to set them online.
fn memory_waits<P: Files + Log>(platform: &mut P) -> bool {
    let mut room = [0; 16];
    let len = read_start_if_possible(platform, AUTO_ONLINE, &mut room).unwrap_or_default();
    room.get(..len).unwrap_or_default().trim_ascii() == b"offline"
}

/// Gives processes more time to freeze, unless somebody has chosen how much they have.
fn raise_freeze_timeout<P: Files + Sysfs + Log>(platform: &mut P) {
    let mut room = [0; 16];
    let len = read_start_if_possible(platform, FREEZE_TIMEOUT, &mut room).unwrap_or_default();
    if room.get(..len).unwrap_or_default().trim_ascii() != FREEZE_DEFAULT.as_bytes() {
        return;
    }
    if let Err(errno) = platform.set_attribute(FREEZE_TIMEOUT, FREEZE_RAISED) {
        platform.log(Level::Warn, format_args!("cannot raise {FREEZE_TIMEOUT}: {errno}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_platform::FakePlatform;
    use crate::wire::errno::Errno;
    use proptest::prelude::{any, prop, proptest};

    #[test]
    fn the_kernels_messages_about_processors_and_memory_are_told_from_others() {
        let device = |header: &str| {
            let message = [header.as_bytes(), b"\0ACTION=add\0SUBSYSTEM=cpu\0SEQNUM=4711\0"].concat();
            added(&message).map(|device| device.as_str().to_owned())
        };
        assert_eq!(device("add@/devices/system/cpu/cpu3").as_deref(), Some("/sys/devices/system/cpu/cpu3"));
        assert_eq!(
            device("add@/devices/system/memory/memory32").as_deref(),
            Some("/sys/devices/system/memory/memory32")
        );
        for other in [
            "remove@/devices/system/cpu/cpu3",
            "offline@/devices/system/cpu/cpu3",
            "add@/devices/system/cpu/cpu",
            "add@/devices/system/cpu/cpu123456789",
            "add@/devices/system/cpu/cpufreq",
            "add@/devices/system/cpu/memory3",
            "add@/devices/system/cpu/../cpu/cpu3",
            "add@/devices/vif-0/net/eth0",
            "libudev",
            "",
        ] {
            assert_eq!(device(other), None, "{other}");
        }
    }

    fn guest() -> FakePlatform {
        let mut platform = FakePlatform::with(&[
            ("/sys/devices/system/cpu/cpu1/online", "1\n"),
            ("/sys/devices/system/cpu/cpu2/online", "0\n"),
            ("/sys/devices/system/cpu/cpufreq/online", "0\n"),
            ("/sys/devices/system/memory/memory7/online", "0\n"),
            ("/sys/devices/system/memory/auto_online_blocks", "offline\n"),
            ("/sys/power/pm_freeze_timeout", "20000\n"),
        ]);
        // The first processor has no switch.
        platform.nodes.insert("/sys/devices/system/cpu/cpu0".to_owned(), crate::test_platform::Node::Directory);
        platform
    }

    #[test]
    fn what_waits_at_the_first_start_of_a_boot_is_set_online_and_nothing_at_a_later_one() {
        let mut platform = guest();
        at_start(&mut platform, true);
        for (path, state) in [("cpu/cpu1", "1\n"), ("cpu/cpu2", "1"), ("cpu/cpufreq", "0\n"), ("memory/memory7", "1")] {
            assert_eq!(platform.text(&format!("/sys/devices/system/{path}/online")), state, "{path}");
        }
        let log = "/sys/devices/system/cpu/cpu2 is online\n/sys/devices/system/memory/memory7 is online";
        assert_eq!(platform.logged(), log);
        let mut platform = guest();
        at_start(&mut platform, false);
        assert_eq!(platform.text("/sys/devices/system/cpu/cpu2/online"), "0\n");
        // The kernel sees to memory itself.
        let mut platform = guest();
        platform.put("/sys/devices/system/memory/auto_online_blocks", "online\n");
        at_start(&mut platform, true);
        assert_eq!(platform.text("/sys/devices/system/memory/memory7/online"), "0\n");
    }

    #[test]
    fn of_more_devices_than_are_set_online_at_a_start_the_log_tells() {
        for (count, told) in [(64, false), (65, true)] {
            let mut platform = FakePlatform::with(&[]);
            (0..count).for_each(|n| platform.put(&format!("/sys/devices/system/cpu/cpu{n}/online"), "0\n"));
            let names = (0..count).map(|n| format!("/sys/devices/system/cpu/cpu{n}"));
            names.for_each(|name| drop(platform.nodes.insert(name, crate::test_platform::Node::Directory)));
            at_start(&mut platform, true);
            assert_eq!(platform.logged().contains("more than 64 devices in /sys/devices/system/cpu"), told, "{count}");
            assert_eq!(platform.logged().matches(" is online").count(), 64);
        }
    }

    fn come(platform: &mut FakePlatform, newcomers: &mut Newcomers, name: &str, now: u64) {
        let message = format!("add@/devices/system/cpu/{name}\0");
        newcomers.handle_added(platform, added(message.as_bytes()).unwrap(), now);
    }

    #[test]
    fn a_device_is_set_online_when_the_kernel_tells_of_it() {
        let (mut platform, mut newcomers) = (guest(), Newcomers::default());
        come(&mut platform, &mut newcomers, "cpu2", 0);
        assert_eq!(platform.text("/sys/devices/system/cpu/cpu2/online"), "1");
        come(&mut platform, &mut newcomers, "cpu0", 0);
        come(&mut platform, &mut newcomers, "cpu1", 0);
        assert_eq!(platform.logged(), "/sys/devices/system/cpu/cpu2 is online");
        let mut platform = guest();
        platform.attributes_refused = Some(Errno::ROFS);
        come(&mut platform, &mut newcomers, "cpu2", 0);
        assert!(platform.logged().starts_with("/sys/devices/system/cpu/cpu2 cannot be set online: read-only"));
        assert_eq!(newcomers.next_at(), None);
    }

    #[test]
    fn a_device_that_is_not_ready_is_tried_again_but_not_for_ever() {
        let (mut platform, mut newcomers) = (guest(), Newcomers::default());
        platform.attributes_refused = Some(Errno::INVAL);
        come(&mut platform, &mut newcomers, "cpu2", 5);
        newcomers.handle_time(&mut platform, 104);
        assert_eq!(newcomers.next_at(), Some(105));
        newcomers.handle_time(&mut platform, 105);
        platform.attributes_refused = None;
        newcomers.handle_time(&mut platform, 205);
        assert_eq!((platform.logged().as_str(), newcomers.next_at()), ("/sys/devices/system/cpu/cpu2 is online", None));

        let mut platform = guest();
        platform.attributes_refused = Some(Errno::INVAL);
        come(&mut platform, &mut newcomers, "cpu2", 0);
        let mut tries = 0;
        while let Some(at) = newcomers.next_at() {
            newcomers.handle_time(&mut platform, at);
            tries += 1;
        }
        assert_eq!(tries, 10);
        assert!(platform.logged().ends_with("(EINVAL)"), "{}", platform.logged());
    }

    #[test]
    fn the_time_to_freeze_is_raised_unless_somebody_has_chosen_it() {
        for (old, new) in [("20000\n", "300000"), ("60000\n", "60000\n"), ("300000\n", "300000\n")] {
            let mut platform = guest();
            platform.put("/sys/power/pm_freeze_timeout", old);
            at_start(&mut platform, false);
            assert_eq!(platform.text("/sys/power/pm_freeze_timeout"), new);
        }
        let mut platform = FakePlatform::with(&[]);
        at_start(&mut platform, true);
        assert!(!platform.nodes.contains_key("/sys/power/pm_freeze_timeout"));
    }

    proptest! {
        #[test]
        fn any_message_is_read(message in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = added(&message);
        }
    }
}
