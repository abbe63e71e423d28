//! Devices that are added while the agent runs: the kernel's messages about them, and the attributes that set them
//! online.

use nanova_core::hotplug::{Newcomers, added, at_start};
use nanova_core::platform::{GuestPath, Level, Log, Notes, Sysfs};
use nanova_core::wire::errno::Errno;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use crate::errno::errno;
use crate::output::write_all;
use crate::system::System;
use crate::wait::running_ms;

/// Room for a message: the kernel fills at most this much (`UEVENT_BUFFER_SIZE`).
const MESSAGE_MAX: usize = 2048;
/// How many messages are read at once: whatever comes, others have their turn.
const READS_MAX: u32 = 64;
/// The word on the page that outlives the agent which says that this boot has had its first start.
const STARTED: usize = 128;

impl Sysfs for System<'_> {
    fn set_attribute(&mut self, path: GuestPath<'_>, value: &str) -> Result<(), Errno> {
        let file = self.open_at(path, OFlags::WRONLY)?;
        write_all(file, value.as_bytes()).map_err(errno)
    }
}

/// The group that the kernel sends its messages to; udev's own go to another one.
const GROUP_KERNEL: u32 = 1;

/// A descriptor from which the kernel's messages about devices are read (`lib/kobject_uevent.c`).
fn device_events() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(KOBJECT_UEVENT)).map_err(errno)?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUP_KERNEL)).map_err(errno)?;
    Ok(socket)
}

/// Begins: listens for devices, then looks at those that are there. Returns what the messages are read from.
pub(crate) fn begin(system: &mut System<'_>) -> Option<OwnedFd> {
    let events = device_events();
    // Where no page outlives the agent it is not known what an administrator has set offline since.
    let first = system.outlives() && system.word(STARTED) == 0;
    system.set_word(STARTED, 1);
    at_start(system, first);
    events
        .inspect_err(|error| {
            system.log(Level::Warn, format_args!("cannot hear of devices: {error}; none is set online"));
        })
        .ok()
}

/// Reads the messages that have come.
// Not a part of the frame that stays for good: the buffer is large.
#[inline(never)]
pub(crate) fn read(events: &OwnedFd, newcomers: &mut Newcomers, system: &mut System<'_>) {
    let mut message = [0; MESSAGE_MAX];
    for _ in 0..READS_MAX {
        match rustix::io::read(events, &mut message[..]) {
            Ok(len) => {
                if let Some(device) = added(message.get(..len).unwrap_or_default()) {
                    newcomers.handle_added(system, device, running_ms());
                }
            }
            Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
