//! Files that would undo ours at the next boot.
//!
//! | style | what is moved aside |
//! |---|---|
//! | networkd, keyfile, netctl | ours of interfaces that are gone |
//! | ifcfg, suse | those of VIFs' usual names that are not listed, and second addresses of listed ones (`ifcfg-eth0:1`) |
//! | ifupdown | those below interfaces.d that configure no interface but ours |
//! | netplan | those that speak of no device but ours: netplan would merge their addresses with ours |
//!
//! They get a name that no reader takes: `.<name>.<unix time>.bak~`. What somebody else has written for a device that there is
//! and that is not ours stays. A file that speaks of both stays, too, and is told.

use core::fmt::Write;

use heapless::Vec;

use crate::files::at;
use crate::files::read::{for_each_line, read_start};
use crate::files::replace::{move_aside, warn_of};
use crate::files::transaction::EditPath;
use crate::network::managers::ifupdown::configures;
use crate::network::managers::netplan::{FILE, Subjects};
use crate::network::managers::registry;
use crate::network::managers::registry::Style;
use crate::network::model::{Interface, Placed};
use crate::network::problems::note;
use crate::platform::{Clock, FileError, Files, GuestPath, KernelNet, Log};
use crate::wire::errno::Errno;
use crate::wire::net::{Device, Mac};
use crate::wire::netlink::{Message, Reply};
use crate::wire::text::Bounded;

/// How many files are looked at.
const FILES_MAX: usize = 32;
/// How many links are known.
const DEVICES_MAX: usize = 64;

/// What a file is to us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Stays,
    Goes,
    /// It speaks of ours, and of others.
    Mixed,
}

/// What became of them.
pub(crate) struct Moved {
    /// Whether some were moved.
    pub(crate) any: bool,
    /// Whether none is left.
    pub(crate) all: bool,
}

/// Whose files are looked for.
pub(crate) struct Leftovers<'a> {
    /// In which form.
    pub(crate) style: Style,
    /// The interfaces that have a place in the files.
    pub(crate) placed: &'a [Placed<'a>],
    /// All interfaces.
    pub(crate) interfaces: &'a [Interface],
}

impl Leftovers<'_> {
    /// Moves them out of their reader's way, or shows that.
    #[inline(never)]
    pub(crate) fn move_aside<P: Files + Clock + Log + KernelNet>(
        &self,
        platform: &mut P,
        problems: &mut dyn Write,
        mut show: Option<&mut dyn Write>,
    ) -> Moved {
        let mut moved = Moved { any: false, all: true };
        let directory = match self.style {
            Style::Networkd => registry::NETWORKD,
            Style::Keyfile => registry::KEYFILE,
            Style::Ifcfg => registry::IFCFG,
            Style::Suse => registry::SUSE,
            Style::Netctl => registry::NETCTL,
            Style::Ifupdown => "/etc/network/interfaces.d",
            Style::Netplan => "/etc/netplan",
            Style::Netifrc | Style::None => return moved,
        };
        let (mut found, mut more) = (Vec::<EditPath, FILES_MAX>::new(), false);
        let listed = platform.names(GuestPath::literal(directory), &mut |name| {
            let path = Bounded::<512>::of(format_args!("{directory}/{name}"));
            if self.is_suspect(name) {
                // A path too long to be kept is one that is not looked at.
                more |= !path.as_str().try_into().is_ok_and(|path| found.push(path).is_ok());
            }
        });
        if more {
            moved.all = false;
            note(problems, format_args!("too many files in {directory}: not all were looked at"));
        }
        if let Err(errno) = listed {
            moved.all = false;
            note(problems, format_args!("cannot list {directory}: {errno}"));
        }
        if found.is_empty() {
            return moved;
        }
        let devices = match devices(platform) {
            Ok(devices) => devices,
            Err(errno) => {
                moved.all = false;
                note(
                    problems,
                    format_args!("cannot tell whose files in {directory} are: no links are listed: {errno}"),
                );
                return moved;
            }
        };
        for path in &found {
            let Ok(path) = GuestPath::new(path) else { continue };
            let verdict = match self.verdict(platform, path, &devices) {
                Ok(verdict) => verdict,
                Err(error) => {
                    moved.all = false;
                    note(problems, format_args!("cannot tell whose {path} is: {error}"));
                    continue;
                }
            };
            match verdict {
                Verdict::Stays => {}
                Verdict::Mixed => {
                    moved.all = false;
                    note(problems, format_args!("{path} speaks of our interfaces, too: divide it"));
                }
                Verdict::Goes => match &mut show {
                    Some(out) => drop(writeln!(out, "move aside {path}")),
                    None => match move_aside(platform, path) {
                        Ok(unsynced) => {
                            moved.any = true;
                            warn_of(platform, &unsynced);
                        }
                        Err(error) => {
                            moved.all = false;
                            note(problems, format_args!("{error}"));
                        }
                    },
                },
            }
        }
        moved
    }

    /// Whether a file of this name may be one.
    fn is_suspect(&self, name: &str) -> bool {
        let listed_mac =
            |text: &str| Mac::parse(text).is_some_and(|mac| self.interfaces.iter().any(|one| one.mac == mac));
        let listed = |device: &str| self.placed.iter().any(|placed| placed.device == Some(device));
        let of_mac = |start, end| {
            let mac = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
            mac.is_some_and(|mac| Mac::parse(mac).is_some() && !listed_mac(mac))
        };
        match self.style {
            Style::Networkd => of_mac("00-nanova-", ".network"),
            Style::Keyfile => of_mac("nanova-", ".nmconnection"),
            Style::Netctl => {
                name.strip_prefix("nanova-").is_some_and(|device| !device.ends_with('~') && !listed(device))
            }
            Style::Ifcfg | Style::Suse => {
                let known = ["ifcfg-", "route-", "route6-", "ifroute-"];
                let device = known.iter().find_map(|start| name.strip_prefix(start)).unwrap_or_default();
                let (device, second) = device.split_once(':').map_or((device, false), |(device, _)| (device, true));
                is_vif_name(device) && (second || !listed(device))
            }
            Style::Ifupdown => !name.starts_with('.') && !name.ends_with('~'),
            Style::Netplan => name.ends_with(".yaml") && name != FILE,
            Style::Netifrc | Style::None => false,
        }
    }

    fn verdict<'p, P: Files>(
        &self,
        platform: &mut P,
        path: GuestPath<'p>,
        devices: &[Device],
    ) -> Result<Verdict, FileError<'p>> {
        let (mut ours, mut others) = (false, false);
        // What has gone meanwhile, and a directory, is nothing that a network manager reads.
        let unless_no_file = |read| match read {
            Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
            read => at("read", path, read),
        };
        match self.style {
            Style::Ifcfg | Style::Suse if is_foreign_and_there(platform, path, devices)? => return Ok(Verdict::Stays),
            Style::Ifupdown => {
                unless_no_file(for_each_line(platform, path, &mut |line| {
                    if let Some(device) = configures(line) {
                        let is_ours = self.placed.iter().any(|placed| placed.device == Some(device));
                        ours |= is_ours;
                        others |= !is_ours && device != "lo";
                    }
                }))?;
            }
            Style::Netplan => {
                let mut subjects = Subjects::new(self.placed, devices);
                unless_no_file(for_each_line(platform, path, &mut |line| subjects.take(line)))?;
                (ours, others) = subjects.end();
            }
            _ => ours = true,
        }
        Ok(match (ours, others) {
            (false, _) => Verdict::Stays,
            (true, false) => Verdict::Goes,
            (true, true) => Verdict::Mixed,
        })
    }
}

/// The names of the devices that there are. The first ones are enough: what comes late are containers' links, which nobody's
/// files speak of.
fn devices<P: KernelNet>(platform: &mut P) -> Result<Vec<Device, DEVICES_MAX>, Errno> {
    let mut devices = Vec::new();
    platform.ask(&Message::dump_links(1), &mut |reply| {
        if let Reply::Link(link) = reply
            && !link.loopback
        {
            let _ = devices.push(link.name.clone());
        }
    })?;
    Ok(devices)
}

/// Whether somebody else has written a file, for a device that there is.
fn is_foreign_and_there<'p, P: Files>(
    platform: &mut P,
    path: GuestPath<'p>,
    devices: &[Device],
) -> Result<bool, FileError<'p>> {
    const OURS: &[u8] = b"# Written by nanova";
    let mut room = [0; 2048];
    let len = read_start(platform, path, &mut room)?.unwrap_or(0);
    if room[..len].windows(OURS.len()).any(|window| window == OURS) {
        return Ok(false);
    }
    let device = path.split().1.split_once('-').map_or("", |(_, device)| device);
    Ok(devices.iter().any(|there| there == device))
}

/// `eth0`, `enX0`
fn is_vif_name(device: &str) -> bool {
    let number = device.strip_prefix("eth").or_else(|| device.strip_prefix("enX"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
