//! Files that would undo ours at the next boot are moved aside.
//!
//! Which they are every manager says itself. They get a name that no reader takes: `.<name>.<unix time>.bak~`. What
//! somebody else has written for a device that there is and that is not ours stays. A file that speaks of both stays,
//! too, and is told.

use core::fmt::{self, Write};

use heapless::Vec;

use crate::files::at;
use crate::files::read::for_each_line;
use crate::files::replace::{move_aside, warn_of};
use crate::files::transaction::EditPath;
use crate::network::managers::manager::{ConflictingFiles, PersistentConfig, Suspect, Verdict};
use crate::network::problems::{Findings, Problems};
use crate::platform::{Clock, FileError, Files, GuestPath, KernelNet, Log};
use crate::wire::errno::Errno;
use crate::wire::net::Device;
use crate::wire::netlink::{Message, Reply};
use crate::wire::text::Bounded;

/// How many files are looked at.
const FILES_MAX: usize = 32;
/// How many links are known.
const DEVICES_MAX: usize = 64;

/// What became of them.
pub(crate) struct Moved {
    /// Whether some were moved.
    pub(crate) any: bool,
    /// Whether none is left.
    pub(crate) all: bool,
}

/// Moves the files that would undo this configuration out of their reader's way, or shows that.
#[inline(never)]
pub(crate) fn move_conflicts_aside<P: Files + Clock + Log + KernelNet>(
    config: &PersistentConfig<'_>,
    platform: &mut P,
    problems: &mut Problems,
    mut show: Option<&mut dyn Write>,
) -> Moved {
    let mut moved = Moved { any: false, all: true };
    let Some(conflicts) = &config.manager.conflicts else { return moved };
    let directory = conflicts.directory;
    let (mut found, mut more) = (Vec::<EditPath, FILES_MAX>::new(), false);
    let listed = platform.names(directory, &mut |name| {
        let path = Bounded::<512>::of(format_args!("{directory}/{name}"));
        if (conflicts.may_be)(config, name) {
            // A path too long to be kept is one that is not looked at.
            more |= !path.as_str().try_into().is_ok_and(|path| found.push(path).is_ok());
        }
    });
    let mut fail = |platform: &mut P, text: fmt::Arguments<'_>| {
        moved.all = false;
        Findings { log: platform, problems }.fail(text);
    };
    if more {
        fail(platform, format_args!("too many files in {directory}: not all were looked at"));
    }
    if let Err(errno) = listed {
        fail(platform, format_args!("cannot list {directory}: {errno}"));
    }
    if found.is_empty() {
        return moved;
    }
    let devices = match devices(platform) {
        Ok(devices) => devices,
        Err(errno) => {
            let why = format_args!("no links are listed: {errno}");
            fail(platform, format_args!("cannot tell whose files in {directory} are: {why}"));
            return moved;
        }
    };
    for path in &found {
        let Ok(path) = GuestPath::new(path) else { continue };
        match judge(config, conflicts, platform, path, &devices) {
            Err(error) => fail(platform, format_args!("cannot tell whose {path} is: {error}")),
            Ok(Verdict::Stays) => {}
            Ok(Verdict::Mixed) => fail(platform, format_args!("{path} speaks of our interfaces, too: divide it")),
            Ok(Verdict::Goes) => match &mut show {
                Some(out) => drop(writeln!(out, "move aside {path}")),
                None => match move_aside(platform, path) {
                    Ok(unsynced) => {
                        moved.any = true;
                        warn_of(platform, &unsynced);
                    }
                    Err(error) => fail(platform, format_args!("{error}")),
                },
            },
        }
    }
    moved
}

fn judge<'p, P: Files>(
    config: &PersistentConfig<'_>,
    conflicts: &ConflictingFiles,
    platform: &mut P,
    path: GuestPath<'p>,
    devices: &[Device],
) -> Result<Verdict, FileError<'p>> {
    let mut read = Ok(());
    let mut lines = |each: &mut dyn FnMut(&str)| {
        read = match for_each_line(platform, path, each) {
            // What has gone meanwhile, and a directory, is nothing that a network manager reads.
            Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
            read => at("read", path, read),
        };
    };
    let verdict = (conflicts.judge)(config, &mut Suspect { name: path.split().1, devices, lines: &mut lines });
    read.map(|()| verdict)
}

/// The names of the devices that there are. The first ones are enough: what comes late are containers' links, which
/// nobody's files speak of.
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
