//! What a network manager is to nanova: how it is known, which files it reads, what would undo them, how it is told.
//!
//! A manager is data: one [`Manager`] in a file of its own, and one line of the registry. What it does with the guest's
//! files it does through `ConfigFiles`, so that it depends on no platform and is tested as text.

use core::fmt;

use crate::files::lines::{Edit, Old, Sink};
use crate::network::model::{Interface, Placed, is_plain};
use crate::platform::{Argv, GuestPath};
use crate::wire::net::{Device, Mac};
use crate::wire::text::number;

/// Mode of a file that is readable for its owner alone.
pub(crate) const PRIVATE: u32 = 0o600;
/// Mode of a file that is readable for all.
pub(crate) const PUBLIC: u32 = 0o644;

/// A network manager.
#[derive(Debug)]
pub struct Manager {
    /// What `--style` calls it.
    pub name: &'static str,
    /// Whether it has the network of this guest.
    pub(crate) claims: fn(&mut Guest<'_>) -> Claim,
    /// A file in each directory where its files are staged, for who tidies up.
    pub(crate) places: &'static [GuestPath<'static>],
    /// How its files name an interface.
    pub(crate) names_by: NamesBy,
    /// Writes its files.
    pub write: fn(&PersistentConfig<'_>, &mut dyn ConfigFiles),
    /// Which files of others would undo them.
    pub(crate) conflicts: Option<ConflictingFiles>,
    /// Has it read its files again. The kernel has it all already, so nothing waits for that.
    pub(crate) tell: fn(&PersistentConfig<'_>, &mut dyn Tell),
}

/// Two managers are the same if they have one name: the registry has each once.
impl PartialEq for Manager {
    fn eq(&self, other: &Manager) -> bool {
        self.name == other.name
    }
}

impl Eq for Manager {}

/// Whether a guest's network is a manager's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is not, or the manager is not there.
    No,
    /// It is if no other manager says yes; of several such managers the first in the registry counts.
    IfNobodyElse,
    /// It is, whatever else is installed.
    Yes,
}

impl Claim {
    /// Yes, if this is so.
    pub(crate) fn yes_if(is_so: bool) -> Claim {
        if is_so { Claim::Yes } else { Claim::No }
    }
}

/// How a manager's files name an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamesBy {
    /// By its MAC address; the device may have any name, or none yet.
    Mac,
    /// By the name of its device, which stands in file names and in files of shell.
    Device,
}

/// What the files are to say.
#[derive(Debug)]
pub struct PersistentConfig<'a> {
    /// To which manager.
    pub manager: &'static Manager,
    /// The host's name, if it has been given one.
    pub hostname: Option<&'a str>,
    /// What the system was called before.
    pub former_name: &'a str,
    /// The interfaces that have a place in the files.
    pub placed: &'a [Placed<'a>],
    /// All interfaces, for the names.
    pub interfaces: &'a [Interface],
    /// Whether these are all that xenstore names: otherwise one that is not listed may be one that cannot be read.
    pub sound: bool,
    /// Whether files that would undo ours are looked for.
    pub tidy: bool,
}

impl<'a> PersistentConfig<'a> {
    /// The interfaces whose device can stand in a file name and in a file of shell, with its name.
    pub(crate) fn devices(&self) -> impl Iterator<Item = (&'a Interface, &'a str)> {
        self.placed.iter().filter_map(|placed| Some((placed.interface, plain_device(placed)?)))
    }

    /// Whether this device is one of ours.
    pub(crate) fn has_device(&self, device: &str) -> bool {
        self.placed.iter().any(|placed| placed.device == Some(device))
    }

    /// Whether a device is known to be none of ours.
    pub(crate) fn is_gone(&self, device: &str) -> bool {
        self.sound && !self.has_device(device)
    }

    /// Whether a file was ours, as its name holds a MAC address between these, and the interface is gone.
    pub(crate) fn names_gone_mac(&self, name: &str, start: &str, end: &str) -> bool {
        let mac = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).and_then(Mac::parse);
        self.sound && mac.is_some_and(|mac| !self.interfaces.iter().any(|interface| interface.mac == mac))
    }
}

/// The name of a device that files of shell can have.
pub(crate) fn plain_device<'a>(placed: &Placed<'a>) -> Option<&'a str> {
    placed.device.filter(|device| is_plain(device))
}

/// Who makes a file that others reach through a link: a directory on its path, and signs that whoever that is will.
pub type Maker = (&'static str, &'static [GuestPath<'static>]);

/// The files of a guest, as a manager changes them. What fails is remembered and told, so that whoever writes need not
/// look.
pub trait ConfigFiles {
    /// Whether there is such a file.
    fn is_file(&mut self, path: &str) -> bool;
    /// Whether one of these is there, wherever links lead.
    fn exists(&mut self, paths: &[GuestPath<'static>]) -> bool;
    /// Gives a link in the place of a file a name that no reader takes, if it leads nowhere and never will: none of
    /// those who might make what it leads to is there.
    fn make_way(&mut self, path: GuestPath<'static>, makers: &[Maker]);
    /// Says something that an administrator may want to know.
    fn warn(&mut self, text: fmt::Arguments<'_>);
    /// Edits a file; a new one gets this mode.
    fn edit(&mut self, path: fmt::Arguments<'_>, mode: u32, edit: Edit<'_>);
}

impl dyn ConfigFiles + '_ {
    /// Makes a file all ours.
    pub(crate) fn write(&mut self, path: fmt::Arguments<'_>, mode: u32, render: &mut dyn FnMut(&mut dyn Sink)) {
        self.edit(path, mode, &mut |old, out| {
            if old == Old::End {
                render(out);
            }
        });
    }
}

/// How a manager is told that its files have changed.
pub(crate) trait Tell {
    /// Starts programs, one after the other; those that are not there are passed over.
    fn start(&mut self, programs: &[Argv<'_>]);
    /// Whether systemd runs the guest.
    fn has_systemd(&mut self) -> bool;
}

/// For a manager that nobody has to tell: it reads its files at the next boot, or when it is asked.
pub(crate) fn tell_nobody(_: &PersistentConfig<'_>, _: &mut dyn Tell) {}

/// Which files in a manager's directory would undo ours at the next boot.
#[derive(Debug)]
pub(crate) struct ConflictingFiles {
    /// Where they are.
    pub(crate) directory: GuestPath<'static>,
    /// Whether a file of this name may be one.
    pub(crate) may_be: fn(&PersistentConfig<'_>, &str) -> bool,
    /// Whether it is one.
    pub(crate) judge: fn(&PersistentConfig<'_>, &mut Suspect<'_>) -> Verdict,
}

/// Calls back with each line of a file.
pub(crate) type Lines<'s> = dyn FnMut(&mut dyn FnMut(&str)) + 's;

/// A file that may undo ours.
pub(crate) struct Suspect<'s> {
    /// Its name.
    pub(crate) name: &'s str,
    /// The devices that there are.
    pub(crate) devices: &'s [Device],
    /// Calls back with each of its lines. What cannot be read is remembered: it keeps the file from being touched.
    pub(crate) lines: &'s mut Lines<'s>,
}

/// What a file is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It says nothing of our interfaces, or is somebody's who may.
    Stays,
    /// It would undo ours.
    Goes,
    /// It would undo ours, and speaks of others.
    Mixed,
}

impl Verdict {
    /// Of a file that speaks of these.
    pub(crate) fn of(ours: bool, others: bool) -> Verdict {
        match (ours, others) {
            (false, _) => Verdict::Stays,
            (true, false) => Verdict::Goes,
            (true, true) => Verdict::Mixed,
        }
    }
}

/// Of a file whose name says it all.
pub(crate) fn always_goes(_: &PersistentConfig<'_>, _: &mut Suspect<'_>) -> Verdict {
    Verdict::Goes
}

/// A guest that a manager may have: what its os-release says, and which programs and directories are there.
pub(crate) struct Guest<'g> {
    release: Release<'g>,
    exists: &'g mut dyn FnMut(GuestPath<'static>) -> bool,
}

/// The initscripts' files for interfaces.
pub(crate) const NETWORK_SCRIPTS: GuestPath<'static> = GuestPath::literal("/etc/sysconfig/network-scripts");
/// NetworkManager. /usr and / may be one.
pub(crate) const NETWORK_MANAGER: [GuestPath<'static>; 2] =
    [GuestPath::literal("/usr/sbin/NetworkManager"), GuestPath::literal("/usr/bin/NetworkManager")];

impl<'g> Guest<'g> {
    /// A guest whose os-release(5) is this text.
    pub(crate) fn new(os_release: &'g str, exists: &'g mut dyn FnMut(GuestPath<'static>) -> bool) -> Guest<'g> {
        Guest { release: Release::of(os_release), exists }
    }

    /// Whether one of these is there.
    pub(crate) fn has(&mut self, paths: &[GuestPath<'static>]) -> bool {
        paths.iter().any(|path| (self.exists)(*path))
    }

    /// This claim, if one of these is there and the guest is no Red Hat, where another manager has the network even so.
    pub(crate) fn claim_by(&mut self, paths: &[GuestPath<'static>], claim: Claim) -> Claim {
        if !self.is_red_hat() && self.has(paths) { claim } else { Claim::No }
    }

    /// RHEL, Fedora and what is made of them. CentOS 6 has no os-release.
    pub(crate) fn is_red_hat(&mut self) -> bool {
        let release = &self.release;
        let likes = ["rhel", "fedora", "centos"];
        likes.contains(&release.id)
            || release.id_like.split_ascii_whitespace().any(|word| likes.contains(&word))
            || release.id.is_empty() && self.has(&[NETWORK_SCRIPTS])
    }

    /// Whether this Red Hat's NetworkManager comes without its reader of ifcfg files, or with one that is on its way
    /// out.
    pub(crate) fn is_past_ifcfg(&self) -> bool {
        self.release.major > if self.release.id == "fedora" { 32 } else { 8 }
    }
}

/// What of os-release(5) matters here.
#[derive(Default)]
struct Release<'a> {
    id: &'a str,
    id_like: &'a str,
    major: u32,
}

impl<'a> Release<'a> {
    fn of(text: &'a str) -> Release<'a> {
        let mut release = Release::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim_ascii();
            let unquoted = |quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
            let value = unquoted("\"").or_else(|| unquoted("'")).unwrap_or(value);
            match key {
                "ID" => release.id = value,
                "ID_LIKE" => release.id_like = value,
                "VERSION_ID" => {
                    release.major = value.split('.').next().and_then(number).unwrap_or(0);
                }
                _ => {}
            }
        }
        release
    }
}
