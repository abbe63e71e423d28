//! The name and version of the guest's operating system, in the values that XenServer's `xe-linux-distribution` gives
//! them: XAPI and xen-orchestra know distributions by these.
//!
//! * Red Hat's relatives and old SUSE are told by their release files, which have the minor version; a minor version
//!   that is missing there is 0.
//! * Debian's minor version is in `debian_version` alone.
//! * All others are told by os-release(5): `ID`, `PRETTY_NAME`, and the first two numbers of `VERSION_ID`; what is
//!   missing is `unknown`.
//!
//! Nothing but printable text is passed on, whatever a file says.

use core::fmt::Write;

use crate::platform::GuestPath;
use crate::wire::text::{Bounded, text_at_start};

/// What kind of file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseFormat {
    /// `Red Hat Enterprise Linux Server release 6.5 (Santiago)`
    RedHat,
    /// `SUSE Linux Enterprise Server 11 (x86_64)`, `VERSION = 11`, `PATCHLEVEL = 3`
    Suse,
    /// os-release(5), but Debian's if its own file is still to come.
    OsRelease(bool),
    /// `DISTRIB_ID=` and so on.
    Lsb,
    /// A line with a version; whose is known by the file's name.
    Version(&'static str),
}

/// The files that say it, in the order to look at them.
pub const SOURCES: [(GuestPath<'static>, ReleaseFormat); 16] = [
    (GuestPath::literal("/etc/oracle-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/enterprise-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/rocky-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/almalinux-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/centos-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/redhat-release"), ReleaseFormat::RedHat),
    (GuestPath::literal("/etc/SuSE-release"), ReleaseFormat::Suse),
    (GuestPath::literal("/etc/os-release"), ReleaseFormat::OsRelease(false)),
    (GuestPath::literal("/usr/lib/os-release"), ReleaseFormat::OsRelease(false)),
    (GuestPath::literal("/etc/lsb-release"), ReleaseFormat::Lsb),
    (GuestPath::literal("/etc/debian_version"), ReleaseFormat::Version("Debian")),
    (GuestPath::literal("/usr/lib/os-release"), ReleaseFormat::OsRelease(true)),
    (GuestPath::literal("/etc/os-release"), ReleaseFormat::OsRelease(true)),
    (GuestPath::literal("/etc/alpine-release"), ReleaseFormat::Version("Alpine")),
    (GuestPath::literal("/etc/gentoo-release"), ReleaseFormat::Version("Gentoo")),
    (GuestPath::literal("/etc/slackware-version"), ReleaseFormat::Version("Slackware")),
];

/// Red Hat's relatives, by how their release files begin.
const RELATIVES: [(&str, &str); 9] = [
    ("Red Hat Enterprise Linux", "rhel"),
    ("CentOS", "centos"),
    ("Rocky Linux", "rocky"),
    ("AlmaLinux", "almalinux"),
    ("Oracle Linux", "oracle"),
    ("Enterprise Linux Enterprise Linux", "oracle"),
    ("Scientific Linux", "scientific"),
    ("CloudLinux", "cloudlinux"),
    ("Fedora", "fedora"),
];

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
    /// What a file of this kind says, if it says anything.
    #[inline(never)]
    pub fn of(kind: ReleaseFormat, file: &[u8]) -> Option<OperatingSystem> {
        let line = file.split(is_newline).next().unwrap_or_default().trim_ascii();
        let (mut name, mut missing, mut prefix) = (line, UNKNOWN, &b""[..]);
        let (distro, major, minor);
        match kind {
            ReleaseFormat::RedHat => {
                distro = RELATIVES.iter().find(|(start, _)| line.starts_with(start.as_bytes()))?.1.as_bytes();
                (major, minor) = match after(line, b" Update ") {
                    Some(update) => (number(after(line, b" release ")?).0, number(update).0),
                    None => version(after(line, b" release ")?),
                };
                missing = b"0";
            }
            ReleaseFormat::Suse => {
                distro = if after(line, b"Enterprise").is_some() { b"sles" } else { b"suse" };
                (major, minor) = (value(file, b"VERSION"), value(file, b"PATCHLEVEL"));
                name = line.split(|byte| *byte == b'(').next().unwrap_or_default().trim_ascii_end();
                missing = b"0";
            }
            ReleaseFormat::OsRelease(debian) => {
                distro = value(file, b"ID");
                if distro == b"debian" && !debian {
                    return None;
                }
                (major, minor) = version(value(file, b"VERSION_ID"));
                name = value(file, b"PRETTY_NAME");
                if distro == b"sles" {
                    missing = b"0";
                }
            }
            ReleaseFormat::Lsb => {
                distro = value(file, b"DISTRIB_ID");
                (major, minor) = version(value(file, b"DISTRIB_RELEASE"));
                name = value(file, b"DISTRIB_DESCRIPTION");
            }
            ReleaseFormat::Version(known) => {
                distro = known.as_bytes();
                let digit = line.iter().position(u8::is_ascii_digit).unwrap_or(line.len());
                (major, minor) = version(line.get(digit..)?);
                // `12.5`, but `Slackware 14.2`
                if !line.starts_with(distro) {
                    prefix = distro;
                }
            }
        }
        if distro.is_empty() || name.is_empty() {
            return None;
        }
        Some(OperatingSystem {
            name: printable(prefix, name),
            distro: lower(printable(b"", distro)),
            major: printable(b"", or(major, UNKNOWN)),
            minor: printable(b"", or(minor, missing)),
        })
    }
}

fn is_newline(byte: &u8) -> bool {
    *byte == b'\n'
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

/// `22.04.3` is 22 and 04.
#[inline(never)]
fn version(text: &[u8]) -> (&[u8], &[u8]) {
    let (major, rest) = number(text);
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
    for (place, piece) in [prefix, if prefix.is_empty() { b"" } else { b" " }, text].into_iter().enumerate() {
        let piece = text_at_start(piece);
        let shown = |c: &char| !c.is_control() && (*c != '\\' || place < 2);
        piece.chars().filter(shown).for_each(|c| {
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
