//! The name and version of the guest's operating system, in the values that XenServer's `xe-linux-distribution` gives
//! them: XAPI and xen-orchestra know distributions by these.
//!
//! * Red Hat's relatives, old SUSE and what came from them are told by their release files, which have the minor
//!   version; a minor version that is missing there is 0.
//! * Debian's minor version is in `debian_version` alone, as is that of those of its children that count as it does.
//! * All others are told by os-release(5) and its defaults: `ID` or `linux`, `PRETTY_NAME` or name and version, and the
//!   first two numbers of `VERSION_ID`; what is missing is `unknown`, but 0 of SUSE Linux Enterprise.
//!
//! Nothing but printable text is passed on, whatever a file says.

use core::fmt::Write;

use crate::files::read::read_start_if_possible;
use crate::platform::{Files, GuestPath, Log};
use crate::wire::text::{Bounded, number as whole_number, text_at_start};

/// What kind of file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseFormat {
    /// `Red Hat Enterprise Linux Server release 6.5 (Santiago)`, `Asianux Server 4 (Hiranya SP2)`
    RedHat,
    /// `Kylin 4.0`
    Kylin,
    /// `6.0.80.1`, which is Linx Linux 8.
    Linx,
    /// `SUSE Linux Enterprise Server 11 (x86_64)`, `VERSION = 11`, `PATCHLEVEL = 3`
    Suse,
    /// os-release(5), but Debian's if its own file is still to come.
    OsRelease(bool),
    /// `DISTRIB_ID=` and so on.
    Lsb,
    /// A line with a version; whose is known by the file's name.
    Version(&'static str),
    /// boot2docker's, if there is such a file; its version is in another one.
    Boot2docker,
}

/// Which version of boot2docker it is. Others may have such a file, too.
const BOOT2DOCKER_VERSION: GuestPath<'static> = GuestPath::literal("/etc/version");
/// Which version of Debian it is, or it is made from.
const DEBIAN_VERSION: GuestPath<'static> = GuestPath::literal("/etc/debian_version");

/// The files that say it, in the order to look at them.
pub const SOURCES: [(GuestPath<'static>, ReleaseFormat); 22] = [
    (GuestPath::literal("/etc/asianux-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/turbo-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/neokylin-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/oracle-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/enterprise-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/rocky-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/almalinux-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/centos-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/redhat-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/SuSE-release"), ReleaseFormat::Suse),
    (GuestPath::literal("/etc/kylin-build"), ReleaseFormat::Kylin),
    (GuestPath::literal("/etc/linx-release"), ReleaseFormat::Linx),
    (GuestPath::literal("/etc/boot2docker"), ReleaseFormat::Boot2docker),
    (GuestPath::literal("/etc/os-release"), ReleaseFormat::OsRelease(false)),
    (GuestPath::literal("/usr/lib/os-release"), ReleaseFormat::OsRelease(false)),
    (GuestPath::literal("/etc/lsb-release"), ReleaseFormat::Lsb),
    (DEBIAN_VERSION, ReleaseFormat::Version("Debian")),
    (GuestPath::literal("/usr/lib/os-release"), ReleaseFormat::OsRelease(true)),
    (GuestPath::literal("/etc/os-release"), ReleaseFormat::OsRelease(true)),
    (GuestPath::literal("/etc/alpine-release"), ReleaseFormat::Version("Alpine")),
    (GuestPath::literal("/etc/gentoo-release"), ReleaseFormat::Version("Gentoo")),
    (GuestPath::literal("/etc/slackware-version"), ReleaseFormat::Version("Slackware")),
];

/// Red Hat's relatives, by how their release files begin.
const RELATIVES: [(&str, &str); 13] = [
    ("Red Hat Enterprise Linux", "rhel"),
    ("CentOS", "centos"),
    ("Rocky Linux", "rocky"),
    ("AlmaLinux", "almalinux"),
    ("Oracle Linux", "oracle"),
    ("Enterprise Linux Enterprise Linux", "oracle"),
    ("Scientific Linux", "scientific"),
    ("CloudLinux", "cloudlinux"),
    ("Fedora", "fedora"),
    ("Asianux Server", "asianux"),
    ("GreatTurbo", "turbo"),
    ("NeoKylin Linux", "neokylin"),
    ("Neokylin Linux", "neokylin"),
];
/// XenServer's kits for developers have its own brand before these words.
const KITS: [(&[u8], &[u8]); 2] = [(b" DDK release ", b"xe-ddk"), (b" SDK release ", b"xe-sdk")];

const UNKNOWN: &[u8] = b"unknown";

/// A value of a key.
pub type ReleaseValue = Bounded<128>;

/// An operating system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatingSystem {
    /// As people call it: `Debian 12.5`, `Ubuntu 22.04.3 LTS`.
    pub name: ReleaseValue,
    /// As programs do: `debian`, `ubuntu`, `rhel`.
    pub distro: ReleaseValue,
    /// `12`
    pub major: ReleaseValue,
    /// `5`
    pub minor: ReleaseValue,
}

impl OperatingSystem {
    /// Which one it is, if a file says so.
    #[inline(never)]
    pub fn find<P: Files + Log>(platform: &mut P) -> Option<OperatingSystem> {
        let mut room = [0; 4096];
        let mut found = SOURCES.iter().find_map(|(path, kind)| {
            let mut len = read_start_if_possible(platform, *path, &mut room)?;
            if *kind == ReleaseFormat::Boot2docker {
                len = read_start_if_possible(platform, BOOT2DOCKER_VERSION, &mut room)?;
            }
            OperatingSystem::of(*kind, room.get(..len)?)
        })?;
        if found.minor.as_str().as_bytes() == UNKNOWN
            && let Some(len) = read_start_if_possible(platform, DEBIAN_VERSION, &mut room)
        {
            found.count_as_debian(room.get(..len)?);
        }
        Some(found)
    }

    /// A child of Debian's that has its parent's major version has its minor one, too.
    fn count_as_debian(&mut self, debian_version: &[u8]) {
        let (major, minor) = version(debian_version);
        if major == self.major.as_str().as_bytes() && !minor.is_empty() {
            self.minor = printable(b"", minor);
        }
    }

    /// What a file of this kind says, if it says anything.
    #[inline(never)]
    pub fn of(kind: ReleaseFormat, file: &[u8]) -> Option<OperatingSystem> {
        let line = file.split(is_newline).next().unwrap_or_default().trim_ascii();
        let (mut name, mut missing, mut prefix) = (line, UNKNOWN, &b""[..]);
        let (distro, major, minor);
        match kind {
            ReleaseFormat::RedHat => {
                (distro, (major, minor)) = kit(line).or_else(|| relative(line))?;
                missing = b"0";
            }
            ReleaseFormat::Kylin => {
                let [b'0'..=b'9', b'.', b'0'..=b'9'] = *line.strip_prefix(b"Kylin ")? else { return None };
                (distro, prefix) = (b"yinhe", b"Yinhe Kylin Linux");
                name = line.strip_prefix(b"Kylin ")?;
                (major, minor) = version(name);
            }
            ReleaseFormat::Linx => {
                let [major_of, b'0', ..] = line.strip_prefix(b"6.0.")? else { return None };
                (distro, prefix) = (b"linx", b"Linx Linux");
                major = core::slice::from_ref(major_of);
                (name, minor) = (major, b"0");
            }
            ReleaseFormat::Suse => {
                distro = if after(line, b"Enterprise").is_some() { b"sles" } else { b"suse" };
                (major, minor) = (value(file, b"VERSION"), value(file, b"PATCHLEVEL"));
                name = line.split(|byte| *byte == b'(').next().unwrap_or_default().trim_ascii_end();
                missing = b"0";
            }
            ReleaseFormat::OsRelease(debian) => {
                let (id, plain) = (value(file, b"ID"), value(file, b"NAME"));
                distro = or(id, b"linux");
                if distro == b"debian" && !debian {
                    return None;
                }
                let number = value(file, b"VERSION_ID");
                (major, minor) = version(number);
                name = value(file, b"PRETTY_NAME");
                if name.is_empty() {
                    (prefix, name) = (or(plain, b"Linux"), or(value(file, b"VERSION"), number));
                }
                if [id, plain, name].iter().all(|value| value.is_empty()) {
                    return None;
                }
                // SLES, SLED and those for other ends.
                if distro.starts_with(b"sle") {
                    missing = b"0";
                }
            }
            ReleaseFormat::Lsb => {
                distro = value(file, b"DISTRIB_ID");
                (major, minor) = version(value(file, b"DISTRIB_RELEASE"));
                name = or(value(file, b"DISTRIB_DESCRIPTION"), distro);
            }
            ReleaseFormat::Boot2docker => {
                distro = b"boot2docker";
                prefix = distro;
                // All that follows is the minor version.
                let (first, rest) = number(line);
                (major, minor) = (first, rest.strip_prefix(b".").unwrap_or_default());
            }
            ReleaseFormat::Version(known) => {
                distro = known.as_bytes();
                (major, minor) = version(from_digit(line).unwrap_or_default());
                // `12.5`, but `Slackware 14.2`
                if !line.starts_with(distro) {
                    prefix = distro;
                }
            }
        }
        let mut os = OperatingSystem {
            name: printable(prefix, name),
            distro: lower(printable(b"", distro)),
            major: said(major, UNKNOWN),
            minor: said(minor, missing),
        };
        if os.name.as_str().is_empty() || os.distro.as_str().is_empty() {
            return None;
        }
        match kind {
            ReleaseFormat::RedHat if distro == b"rhel" => os.mark_beta(),
            ReleaseFormat::Linx => os.name.write_str(".0").unwrap_or_default(),
            _ => {}
        }
        Some(os)
    }

    /// Marks a beta of Red Hat's; the one of a new major version has a minor one above 90 of the last.
    fn mark_beta(&mut self) {
        let [major, minor]: [Option<u64>; 2] = [&self.major, &self.minor].map(|value| whole_number(value.as_str()));
        if let (Some(major), Some(91..)) = (major, minor) {
            self.major = Bounded::of(format_args!("{}", major.saturating_add(1)));
            self.minor = Bounded::of(format_args!("0beta"));
        } else if [&b" Beta "[..], b" beta "].iter().any(|word| after(self.name.as_str().as_bytes(), word).is_some()) {
            let _ = self.minor.write_str("beta");
        }
    }
}

fn is_newline(byte: &u8) -> bool {
    *byte == b'\n'
}

/// A distribution by its file's line, and its major and minor version.
type Told<'a> = (&'static [u8], (&'a [u8], &'a [u8]));

/// A kit of XenServer's: `Rio DDK release 0.5.6-2991c (xenenterprise)`.
fn kit(line: &[u8]) -> Option<Told<'_>> {
    let (kit, release) = KITS.iter().find_map(|(words, kit)| Some((*kit, after(line, words)?)))?;
    let release = release.split(|byte| *byte == b' ').next()?;
    let dash = release.iter().position(|byte| *byte == b'-').unwrap_or(release.len());
    Some((kit, (release.get(..dash)?, release.get(dash + 1..).unwrap_or_default())))
}

/// A relative of Red Hat's, or a stranger with a release file like theirs.
fn relative(line: &[u8]) -> Option<Told<'_>> {
    let (_, distro) = RELATIVES.iter().find(|(start, _)| line.starts_with(start.as_bytes()))?;
    // Theirs has the version of what runs on them; they have an os-release.
    if after(line, b" CoreOS ").is_some() {
        return None;
    }
    let (major, minor) = version(from_digit(line)?);
    let update = after(line, b" Update ").or(after(line, b" SP")).map(|update| number(update).0);
    Some((distro.as_bytes(), (major, or(minor, update.unwrap_or_default()))))
}

/// What is printable of a text, or something else where nothing is.
fn said(text: &[u8], otherwise: &[u8]) -> ReleaseValue {
    let said = printable(b"", text);
    if said.as_str().is_empty() { printable(b"", otherwise) } else { said }
}

fn or<'a>(text: &'a [u8], otherwise: &'a [u8]) -> &'a [u8] {
    if text.is_empty() { otherwise } else { text }
}

/// What follows a word.
#[inline(never)]
fn after<'a>(line: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let start = line.windows(word.len()).position(|window| window == word)?;
    line.get(start + word.len()..)
}

/// The digits that a text begins with, and the rest.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

/// From the first digit on.
fn from_digit(line: &[u8]) -> Option<&[u8]> {
    line.get(line.iter().position(u8::is_ascii_digit)?..)
}

/// `22.04.3` is 22 and 04, `v1.2` is 1 and 2.
#[inline(never)]
fn version(text: &[u8]) -> (&[u8], &[u8]) {
    let (major, rest) = number(text.strip_prefix(b"v").unwrap_or(text));
    (major, rest.strip_prefix(b".").map_or(&[][..], |rest| number(rest).0))
}

/// The value of a key, the last one, as a shell has it: without its quotes.
#[inline(never)]
fn value<'a>(file: &'a [u8], key: &[u8]) -> &'a [u8] {
    let mut found = &[][..];
    for line in file.split(is_newline) {
        let Some(rest) = line.strip_prefix(key) else { continue };
        let Some(value) = rest.trim_ascii().strip_prefix(b"=") else { continue };
        let value = value.trim_ascii();
        found = match value {
            [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
            value => value,
        };
    }
    found
}

/// Text without control characters, and without the backslashes that protect others in quotes. From a byte on that is
/// no text there is nothing.
#[inline(never)]
fn printable(prefix: &[u8], text: &[u8]) -> ReleaseValue {
    let mut printable = ReleaseValue::new();
    let space = if prefix.is_empty() || text.is_empty() { &b""[..] } else { b" " };
    for piece in [prefix, space, text] {
        let shown = |c: &char| !c.is_control() && *c != '\\';
        text_at_start(piece).chars().filter(shown).for_each(|c| {
            let _ = printable.write_char(c);
        });
    }
    printable
}

fn lower(text: ReleaseValue) -> ReleaseValue {
    let mut lower = ReleaseValue::new();
    text.as_str().chars().for_each(|c| {
        let _ = lower.write_char(c.to_ascii_lowercase());
    });
    lower
}

#[cfg(test)]
#[path = "os_tests.rs"]
mod tests;
