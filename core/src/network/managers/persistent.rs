//! Making the network permanent: which files below /etc say it, in each style, and what becomes of files that say
//! otherwise.
//!
//! | file | is |
//! |---|---|
//! | /etc/hostname, /etc/hosts, /etc/resolv.conf | ours in every style (`names`) |
//! | one a style, or one to three an interface | `ifupdown`, `netplan`, `networkd`, `keyfile`, `ifcfg`, `suse`, `netifrc`, `netctl` |
//!
//! All are staged before the first is replaced. Files that would undo them are moved aside (`leftovers`).

use core::ffi::CStr;
use core::fmt::{self, Write};
use core::ops::ControlFlow;

use heapless::Vec;

use crate::files::at;
use crate::files::lines::Edit;
use crate::files::transaction::{Backup, Batch, Trouble};
use crate::network::managers::conflicts::Leftovers;
use crate::network::managers::names::{Hosts, Resolv, assignment, hostname, servers};
use crate::network::managers::registry::{IFCFG, KEYFILE, NETCTL, NETWORKD, SUSE, Style};
use crate::network::managers::shared::{Dropped, whole};
use crate::network::managers::{ifcfg, ifupdown, keyfile, netctl, netifrc, netplan, networkd, suse};
use crate::network::model::{INTERFACES_MAX, Interface, Placed};
use crate::network::problems::note;
use crate::platform::{Clock, FileKind, Files, GuestPath, Identity, KernelNet, Level, Log, Program, Programs};
use crate::wire::errno::Errno;
use crate::wire::text::Bounded;

/// Readable for its owner alone.
const PRIVATE: u32 = 0o600;
/// Readable for all.
const PUBLIC: u32 = 0o644;

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

/// Routes of whatever device.
const SUSE_ROUTES: GuestPath<'static> = GuestPath::literal("/etc/sysconfig/network/routes");

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
    /// Whether these are all that xenstore names. Otherwise no file that speaks of several interfaces changes: one that could
    /// not be read may be in it.
    pub sound: bool,
    /// Whether files that would undo ours are looked for.
    pub tidy: bool,
}

/// The work on the files.
struct Work<'w, P: Files + Log + Identity> {
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
    /// Writes everything, or shows it. What fails goes to `problems`. Returns whether all is written, and whether nothing is
    /// left that would undo it.
    #[inline(never)]
    pub fn write<'w, P: Files + Clock + Log + Identity + Programs + KernelNet>(
        &self,
        platform: &'w mut P,
        problems: &'w mut dyn Write,
        show: Option<&'w mut dyn Write>,
    ) -> (bool, bool) {
        let nothing_permanent = self.style == Style::None;
        let mut work = Work { platform, batch: Batch::default(), problems, show, nothing_permanent, well: true };
        self.names(&mut work);
        self.of_style(&mut work);
        if !work.well {
            work.batch.give_up(work.platform);
            return (false, true);
        }
        let mut changes = !work.batch.is_empty();
        let Work { platform, mut batch, problems, show, mut well, .. } = work;
        batch.commit(platform, &mut |trouble| {
            note(problems, format_args!("{trouble}"));
            well &= !matches!(trouble, Trouble::Failed(_));
            ControlFlow::Continue(())
        });
        let (doing, mut tidied) = (show.is_none(), true);
        if self.tidy && !self.placed.is_empty() {
            let leftovers = Leftovers { style: self.style, placed: self.placed, interfaces: self.interfaces };
            let moved = leftovers.move_aside(platform, problems, show);
            changes |= moved.any;
            tidied = moved.all;
        }
        if doing && changes && !self.placed.is_empty() {
            reload(platform, self.style, self.placed);
        }
        (well, tidied)
    }

    fn names<P: Files + Log + Identity>(&self, work: &mut Work<'_, P>) {
        if let Some(name) = self.hostname {
            work.edit(format_args!("/etc/hostname"), PUBLIC, &mut |old, out| hostname(old, out, name));
            if work.is_file(OLD_NAME) {
                work.edit(format_args!("{OLD_NAME}"), PUBLIC, &mut |old, out| hostname(old, out, name));
            }
            for (path, key) in NAMES {
                if work.is_file(path) {
                    let mut dropped = Dropped::default();
                    work.edit(format_args!("{path}"), PUBLIC, &mut |old, out| {
                        assignment(old, out, &mut dropped, key, name)
                    });
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

    fn of_style<P: Files + Log + Identity>(&self, work: &mut Work<'_, P>) {
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
            Style::Netplan => work.edit(format_args!("/etc/netplan/{}", netplan::FILE), PRIVATE, &mut |old, out| {
                whole(old, out, &mut |out| netplan::render(out, placed))
            }),
            Style::Netifrc => {
                let mut edit = netifrc::Net::new(placed);
                work.edit(format_args!("/etc/conf.d/net"), PUBLIC, &mut |old, out| edit.edit(old, out));
            }
            Style::Suse => {
                if work.is_file(SUSE_DNS) {
                    self.suse_dns(work);
                }
                if work.is_file(SUSE_ROUTES) {
                    work.edit(format_args!("{SUSE_ROUTES}"), PUBLIC, &mut |old, out| {
                        suse::without_default(old, out, placed)
                    });
                }
            }
            _ => {}
        }
        for placed in placed {
            self.of_interface(work, placed);
        }
    }

    fn of_interface<P: Files + Log + Identity>(&self, work: &mut Work<'_, P>, placed: &Placed<'_>) {
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
        let Some(device) = placed.device.filter(|device| crate::network::model::is_plain(device)) else {
            let style = self.style.name();
            let text = format_args!("{} has no device that the files of {style} could name; left out", interface.mac);
            work.platform.log(Level::Warn, text);
            return;
        };
        let mut dropped = Dropped::default();
        match self.style {
            Style::Ifcfg => {
                work.edit(format_args!("{IFCFG}/ifcfg-{device}"), PUBLIC, &mut |old, out| {
                    ifcfg::edit(old, out, &mut dropped, interface, device)
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
                    suse::edit(old, out, &mut dropped, interface)
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

    fn suse_dns<P: Files + Log + Identity>(&self, work: &mut Work<'_, P>) {
        let mut list = Bounded::<512>::new();
        servers(self.interfaces, &mut |server| {
            let _ = write!(list, "{server} ");
        });
        let value = list.as_str().trim_end();
        if !value.is_empty() {
            let mut dropped = Dropped::default();
            work.edit(format_args!("{SUSE_DNS}"), PUBLIC, &mut |old, out| {
                assignment(old, out, &mut dropped, "NETCONFIG_DNS_STATIC_SERVERS", value)
            });
        }
    }
}

impl<P: Files + Log + Identity> Work<'_, P> {
    /// Whether there is such a file to be changed. What cannot be looked at is a problem.
    fn is_file(&mut self, path: GuestPath<'_>) -> bool {
        match at("look at", path, self.platform.kind(path)) {
            Ok(kind) => kind == Some(FileKind::Regular),
            Err(error) => {
                note(self.problems, format_args!("{error}"));
                self.well = false;
                false
            }
        }
    }

    #[inline(never)]
    fn edit(&mut self, path: fmt::Arguments<'_>, mode: u32, edit: Edit<'_>) {
        let path = Bounded::<512>::of(path);
        let Ok(path) = GuestPath::new(path.as_str()) else { return };
        let result = match &mut self.show {
            Some(out) => Batch::show(self.platform, path, edit, *out),
            // What has failed once is given up as a whole.
            None if !self.well => Ok(()),
            None => self.batch.edit(self.platform, path, mode, Backup::Beside, edit),
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

/// systemd's own sign that it runs the system (sd_booted(3)).
const SYSTEMD: GuestPath<'static> = GuestPath::literal("/run/systemd/system");

/// Has a network manager read its files again. The kernel has it all already, so nothing waits for it.
fn reload<P: Files + Programs>(platform: &mut P, style: Style, placed: &[Placed<'_>]) {
    match style {
        Style::Networkd => platform.start(&[&[c"/usr/bin/networkctl", c"reload"]]),
        // It must not see the agent's read-only /sys, nor end with it.
        // Where that cannot be told systemd is not asked: netplan itself is there in any case.
        Style::Netplan if platform.exists(SYSTEMD).unwrap_or(false) => {
            const RUN: [&CStr; 4] = [c"/usr/bin/systemd-run", c"--collect", c"--quiet", c"--no-block"];
            platform.start(&[&[RUN[0], RUN[1], RUN[2], RUN[3], c"/usr/sbin/netplan", c"apply"]]);
        }
        Style::Netplan => platform.start(&[&[c"/usr/sbin/netplan", c"apply"]]),
        Style::Ifcfg => platform.start(&[&NMCLI_RELOAD]),
        Style::Keyfile => {
            // Reading alone leaves a connection active that asks DHCP.
            let ids = placed
                .iter()
                .map(|placed| Bounded::<48>::of(format_args!("{}\0", keyfile::Uuid(placed.interface.mac))));
            let ids = ids.collect::<Vec<_, INTERFACES_MAX>>();
            let ids = ids.iter().filter_map(|id| CStr::from_bytes_until_nul(id.as_str().as_bytes()).ok());
            let ups = ids.map(|id| [c"/usr/bin/nmcli", c"--wait", c"0", c"connection", c"up", c"uuid", id]);
            let ups = ups.collect::<Vec<_, INTERFACES_MAX>>();
            let mut programs = Vec::<Program<'_>, { INTERFACES_MAX + 1 }>::new();
            let _ = programs.push(&NMCLI_RELOAD);
            for up in &ups {
                let _ = programs.push(up);
            }
            platform.start(&programs);
        }
        Style::Suse => platform.start(&[&[c"/sbin/netconfig", c"update", c"-f"]]),
        Style::Ifupdown | Style::Netifrc | Style::Netctl | Style::None => {}
    }
}

const NMCLI_RELOAD: [&CStr; 3] = [c"/usr/bin/nmcli", c"connection", c"reload"];
