//! Making the network permanent: which files below /etc say it, in each style, and what becomes of files that say
//! otherwise.
//!
//! | file | is |
//! |---|---|
//! | /etc/hostname, /etc/hosts, /etc/resolv.conf | ours in every style (`names`) |
//! | one a style, or one to three an interface | `ifupdown`, `netplan`, `networkd`, `keyfile`, `ifcfg`, `suse`, `netifrc`, `netctl` |
//!
//! All are staged before the first is replaced. A file of an interface that is gone is moved aside, under a name that no
//! reader takes: `.<name>.<unix time>.bak~`.

use core::fmt::{self, Write};

use super::names::{Hosts, Resolv, assignment, hostname, servers};
use super::render::whole;
use super::style::Style;
use super::vm_data::note;
use super::{Interface, Mac, Placed, ifcfg, ifupdown, keyfile, netctl, netifrc, netplan, networkd, suse};
use crate::edit::{Batch, Edit, EditPath};
use crate::errno::Errno;
use crate::files::{move_aside, read_start};
use crate::netlink::{Message, Reply};
use crate::platform::{FileKind, GuestPath, Level, Platform, Program};
use crate::text::Bounded;

/// Readable for its owner alone.
const PRIVATE: u32 = 0o600;
/// Readable for all.
const PUBLIC: u32 = 0o644;

const IFCFG: &str = "/etc/sysconfig/network-scripts";
const SUSE: &str = "/etc/sysconfig/network";
const NETWORKD: &str = "/etc/systemd/network";
const KEYFILE: &str = "/etc/NetworkManager/system-connections";
const NETCTL: &str = "/etc/netctl";

/// A file in each directory where files are staged, for who tidies up.
pub const EVERYWHERE: [GuestPath<'static>; 9] = [
    GuestPath::literal("/etc/x"),
    GuestPath::literal("/etc/network/x"),
    GuestPath::literal("/etc/netplan/x"),
    GuestPath::literal("/etc/systemd/network/x"),
    GuestPath::literal("/etc/NetworkManager/system-connections/x"),
    GuestPath::literal("/etc/sysconfig/network-scripts/x"),
    GuestPath::literal("/etc/sysconfig/network/x"),
    GuestPath::literal("/etc/conf.d/x"),
    GuestPath::literal("/etc/netctl/x"),
];

/// Where some distributions keep the host's name beside /etc/hostname; changed if they do.
const NAMES: [(GuestPath<'static>, &str); 3] = [
    (GuestPath::literal("/etc/sysconfig/network"), "HOSTNAME"),
    (GuestPath::literal("/etc/conf.d/hostname"), "hostname"),
    (GuestPath::literal("/etc/rc.conf"), "HOSTNAME"),
];
const HOSTS: GuestPath<'static> = GuestPath::literal("/etc/hosts");
const OLD_NAME: GuestPath<'static> = GuestPath::literal("/etc/HOSTNAME");
const SUSE_DNS: GuestPath<'static> = GuestPath::literal("/etc/sysconfig/network/config");

/// What is said where.
pub struct Permanent<'a> {
    /// In which form.
    pub style: Style,
    /// The host's name, if it has been given one.
    pub hostname: Option<&'a str>,
    /// The interfaces that have a place in the files.
    pub placed: &'a [Placed<'a>],
    /// All interfaces, for the names.
    pub interfaces: &'a [Interface],
    /// Whether these are all that xenstore names. Otherwise no file goes, and none that speaks of several interfaces
    /// changes: one that could not be read may be in it.
    pub sound: bool,
}

/// The work on the files.
struct Work<'w, P: Platform> {
    platform: &'w mut P,
    batch: Batch<P::Staged>,
    problems: &'w mut dyn Write,
    /// Where the files are shown instead of being written.
    show: Option<&'w mut dyn Write>,
    /// An image that is made anew at every boot may be read-only.
    nothing_permanent: bool,
    well: bool,
}

impl Permanent<'_> {
    /// Writes everything, or shows it. What fails goes to `problems`. Returns whether nothing did.
    #[inline(never)]
    pub fn write<'w, P: Platform>(
        &self,
        platform: &'w mut P,
        problems: &'w mut dyn Write,
        show: Option<&'w mut dyn Write>,
    ) -> bool {
        let nothing_permanent = self.style == Style::None;
        let mut work = Work { platform, batch: Batch::default(), problems, show, nothing_permanent, well: true };
        self.names(&mut work);
        self.of_style(&mut work);
        if !work.well {
            work.batch.give_up(work.platform);
            return false;
        }
        let mut changes = !work.batch.is_empty();
        let Work { platform, mut batch, problems, show, mut well, .. } = work;
        batch.commit(platform, &mut |error| {
            note(problems, format_args!("{error}"));
            well = false;
        });
        if show.is_none() && !self.placed.is_empty() {
            changes |= self.sound && self.move_aside(platform, problems);
            if changes && let Some(program) = reload(self.style) {
                platform.start(program);
            }
        }
        well
    }

    fn names<P: Platform>(&self, work: &mut Work<'_, P>) {
        if let Some(name) = self.hostname {
            work.edit(format_args!("/etc/hostname"), PUBLIC, &mut |old, out| hostname(old, out, name));
            if work.is_file(OLD_NAME) {
                work.edit(format_args!("{OLD_NAME}"), PUBLIC, &mut |old, out| hostname(old, out, name));
            }
            for (path, key) in NAMES {
                if work.is_file(path) {
                    work.edit(format_args!("{path}"), PUBLIC, &mut |old, out| assignment(old, out, key, name));
                }
            }
        }
        if !self.interfaces.is_empty() {
            let own = work.platform.host_name();
            let mut hosts = Hosts::new(self.hostname.unwrap_or(own.as_str()), self.hostname.is_some(), self.interfaces);
            if self.hostname.is_some() || work.is_file(HOSTS) {
                work.edit(format_args!("{HOSTS}"), PUBLIC, &mut |old, out| hosts.edit(old, out));
            }
        }
        let mut resolv = Resolv::new(self.interfaces);
        if resolv.has_any() {
            work.edit(format_args!("/etc/resolv.conf"), PUBLIC, &mut |old, out| resolv.edit(old, out));
        }
    }

    fn of_style<P: Platform>(&self, work: &mut Work<'_, P>) {
        let placed = self.placed;
        match self.style {
            Style::None => return,
            _ if placed.is_empty() => return,
            Style::Ifupdown | Style::Netplan | Style::Netifrc if !self.sound => {
                let text = format_args!("the network's file is left as it is, as not all of vm-data makes sense");
                work.platform.log(Level::Warn, text);
                return;
            }
            Style::Ifupdown => {
                let mut edit = ifupdown::Interfaces::new(placed);
                work.edit(format_args!("/etc/network/interfaces"), PUBLIC, &mut |old, out| edit.edit(old, out));
            }
            Style::Netplan => work.edit(format_args!("/etc/netplan/90-nanova.yaml"), PRIVATE, &mut |old, out| {
                whole(old, out, &mut |out| netplan::render(out, placed))
            }),
            Style::Netifrc => {
                let mut edit = netifrc::Net::new(placed);
                work.edit(format_args!("/etc/conf.d/net"), PUBLIC, &mut |old, out| edit.edit(old, out));
            }
            Style::Suse if work.is_file(SUSE_DNS) => self.suse_dns(work),
            _ => {}
        }
        for placed in placed {
            self.of_interface(work, placed);
        }
    }

    fn of_interface<P: Platform>(&self, work: &mut Work<'_, P>, placed: &Placed<'_>) {
        let interface = placed.interface;
        let mac = interface.mac.plain();
        match self.style {
            Style::Networkd => {
                work.edit(format_args!("{NETWORKD}/00-nanova-{mac}.network"), PUBLIC, &mut |old, out| {
                    whole(old, out, &mut |out| networkd::render(out, interface))
                });
                return;
            }
            Style::Keyfile => {
                work.edit(format_args!("{KEYFILE}/nanova-{mac}.nmconnection"), PRIVATE, &mut |old, out| {
                    whole(old, out, &mut |out| keyfile::render(out, interface))
                });
                return;
            }
            Style::Ifupdown | Style::Ifcfg | Style::Suse | Style::Netifrc | Style::Netctl => {}
            Style::Netplan | Style::None => return,
        }
        // These know devices by their names; what a shell would take apart is no name for them.
        let Some(device) = placed.device.filter(|device| super::klibc::is_plain(device)) else {
            let style = self.style.name();
            let text = format_args!("{} has no device that the files of {style} could name; left out", interface.mac);
            work.platform.log(Level::Warn, text);
            return;
        };
        match self.style {
            Style::Ifcfg => {
                work.edit(format_args!("{IFCFG}/ifcfg-{device}"), PUBLIC, &mut |old, out| {
                    ifcfg::edit(old, out, interface, device)
                });
                for (ipv4, six) in [(true, ""), (false, "6")] {
                    let path = Bounded::<512>::of(format_args!("{IFCFG}/route{six}-{device}"));
                    let there = GuestPath::new(path.as_str()).is_ok_and(|path| work.is_file(path));
                    if there || ifcfg::has_routes(interface, ipv4) {
                        work.edit(format_args!("{}", path.as_str()), PUBLIC, &mut |old, out| {
                            ifcfg::routes(old, out, interface, device, ipv4)
                        });
                    }
                }
            }
            Style::Suse => {
                work.edit(format_args!("{SUSE}/ifcfg-{device}"), PUBLIC, &mut |old, out| {
                    suse::edit(old, out, interface)
                });
                work.edit(format_args!("{SUSE}/ifroute-{device}"), PUBLIC, &mut |old, out| {
                    suse::routes(old, out, interface, device)
                });
            }
            Style::Netctl => work.edit(format_args!("{NETCTL}/nanova-{device}"), PUBLIC, &mut |old, out| {
                whole(old, out, &mut |out| netctl::render(out, interface, device))
            }),
            _ => {}
        }
    }

    fn suse_dns<P: Platform>(&self, work: &mut Work<'_, P>) {
        let mut list = Bounded::<512>::new();
        servers(self.interfaces, &mut |server| {
            let _ = write!(list, "{server} ");
        });
        let value = list.as_str().trim_end();
        if !value.is_empty() {
            work.edit(format_args!("{SUSE_DNS}"), PUBLIC, &mut |old, out| {
                assignment(old, out, "NETCONFIG_DNS_STATIC_SERVERS", value)
            });
        }
    }

    /// Moves files of interfaces that are gone out of their reader's way. Returns whether there were any.
    fn move_aside<P: Platform>(&self, platform: &mut P, problems: &mut dyn Write) -> bool {
        let directory = match self.style {
            Style::Networkd => NETWORKD,
            Style::Keyfile => KEYFILE,
            Style::Ifcfg => IFCFG,
            Style::Suse => SUSE,
            Style::Netctl => NETCTL,
            Style::Ifupdown | Style::Netplan | Style::Netifrc | Style::None => return false,
        };
        let mut any = false;
        let mut gone = heapless::Vec::<EditPath, 16>::new();
        let listed = platform.names(GuestPath::literal(directory), &mut |name| {
            let path = Bounded::<512>::of(format_args!("{directory}/{name}"));
            if let (true, Ok(path)) = (self.is_gone(name), path.as_str().try_into()) {
                // More than so many go the next time.
                let _ = gone.push(path);
            }
        });
        if let Err(errno) = listed {
            note(problems, format_args!("cannot list {directory}: {errno}"));
        }
        for path in &gone {
            let Ok(path) = GuestPath::new(path) else { continue };
            if self.names_devices() && is_foreign_and_there(platform, path) {
                continue;
            }
            match move_aside(platform, path) {
                Ok(()) => any = true,
                Err(error) => note(problems, format_args!("{error}")),
            }
        }
        any
    }

    /// Whether names of files are those of devices, so that others write files of the same names.
    fn names_devices(&self) -> bool {
        matches!(self.style, Style::Ifcfg | Style::Suse)
    }

    /// Whether a file may be one of ours for an interface that is no longer listed, or one that somebody wrote for a VIF's
    /// usual name (`eth0`, `enX0`).
    fn is_gone(&self, name: &str) -> bool {
        let listed_mac =
            |text: &str| Mac::parse(text).is_some_and(|mac| self.interfaces.iter().any(|one| one.mac == mac));
        let listed_device = |device: &str| self.placed.iter().any(|placed| placed.device == Some(device));
        match self.style {
            Style::Networkd => name
                .strip_prefix("00-nanova-")
                .and_then(|rest| rest.strip_suffix(".network"))
                .is_some_and(|mac| Mac::parse(mac).is_some() && !listed_mac(mac)),
            Style::Keyfile => name
                .strip_prefix("nanova-")
                .and_then(|rest| rest.strip_suffix(".nmconnection"))
                .is_some_and(|mac| Mac::parse(mac).is_some() && !listed_mac(mac)),
            Style::Netctl => {
                name.strip_prefix("nanova-").is_some_and(|device| !device.ends_with('~') && !listed_device(device))
            }
            Style::Ifcfg | Style::Suse => ["ifcfg-", "route-", "route6-", "ifroute-"]
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix))
                .is_some_and(|device| is_vif_name(device) && !listed_device(device)),
            Style::Ifupdown | Style::Netplan | Style::Netifrc | Style::None => false,
        }
    }
}

/// Whether somebody else has written a file, for a device that there is.
fn is_foreign_and_there<P: Platform>(platform: &mut P, path: GuestPath<'_>) -> bool {
    const OURS: &[u8] = b"# Written by nanova";
    let mut room = [0; 2048];
    let len = read_start(platform, path, &mut room).unwrap_or(0);
    if room[..len].windows(OURS.len()).any(|window| window == OURS) {
        return false;
    }
    let device = path.split().1.split_once('-').map_or("", |(_, device)| device);
    let mut there = false;
    let asked = platform.ask(&Message::dump_links(1), &mut |reply| {
        there |= matches!(reply, Reply::Link(link) if link.name == device);
    });
    there || asked.is_err()
}

/// `eth0`, `enX0`
fn is_vif_name(device: &str) -> bool {
    let number = device.strip_prefix("eth").or_else(|| device.strip_prefix("enX"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

impl<P: Platform> Work<'_, P> {
    fn is_file(&mut self, path: GuestPath<'_>) -> bool {
        matches!(self.platform.kind(path), Ok(Some(FileKind::Regular)))
    }

    #[inline(never)]
    fn edit(&mut self, path: fmt::Arguments<'_>, mode: u32, edit: Edit<'_>) {
        let path = Bounded::<512>::of(path);
        let Ok(path) = GuestPath::new(path.as_str()) else { return };
        let result = match &mut self.show {
            Some(out) => Batch::show(self.platform, path, edit, *out),
            // What has failed once is given up as a whole.
            None if !self.well => Ok(()),
            None => self.batch.edit(self.platform, path, mode, edit),
        };
        if let Err(error) = result {
            if self.nothing_permanent && error.errno == Errno::ROFS {
                self.platform.log(Level::Warn, format_args!("{error}"));
                return;
            }
            note(self.problems, format_args!("{error}"));
            self.well = false;
        }
    }
}

/// What tells a network manager to read its files again. The kernel has it all already, so nothing waits for it.
fn reload(style: Style) -> Option<Program> {
    match style {
        Style::Networkd => Some(&[c"/usr/bin/networkctl", c"reload"]),
        Style::Netplan => Some(&[c"/usr/sbin/netplan", c"apply"]),
        Style::Keyfile | Style::Ifcfg => Some(&[c"/usr/bin/nmcli", c"connection", c"reload"]),
        Style::Ifupdown | Style::Suse | Style::Netifrc | Style::Netctl | Style::None => None,
    }
}
