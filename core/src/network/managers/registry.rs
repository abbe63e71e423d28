//! Whose configuration files the guest has: told by its os-release and the tools that are there.

use crate::files::at;
use crate::files::read::read_start;
use crate::platform::{FileError, Files, GuestPath};
use crate::wire::text::number;

pub(crate) const IFCFG: &str = "/etc/sysconfig/network-scripts";
pub(crate) const SUSE: &str = "/etc/sysconfig/network";
pub(crate) const NETWORKD: &str = "/etc/systemd/network";
pub(crate) const KEYFILE: &str = "/etc/NetworkManager/system-connections";
pub(crate) const NETCTL: &str = "/etc/netctl";

/// A form of network configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Style {
    /// /etc/network/interfaces.
    Ifupdown,
    /// /etc/netplan/.
    Netplan,
    /// /etc/systemd/network/.
    Networkd,
    /// /etc/NetworkManager/system-connections/.
    Keyfile,
    /// /etc/sysconfig/network-scripts/.
    Ifcfg,
    /// /etc/sysconfig/network/.
    Suse,
    /// /etc/conf.d/net.
    Netifrc,
    /// /etc/netctl/.
    Netctl,
    /// No files for interfaces: an image that runs nanova at every boot.
    None,
}

impl Style {
    /// The styles, by name.
    pub const ALL: [(&'static str, Style); 9] = [
        ("ifupdown", Style::Ifupdown),
        ("netplan", Style::Netplan),
        ("networkd", Style::Networkd),
        ("keyfile", Style::Keyfile),
        ("ifcfg", Style::Ifcfg),
        ("suse", Style::Suse),
        ("netifrc", Style::Netifrc),
        ("netctl", Style::Netctl),
        ("none", Style::None),
    ];

    /// The style with this name.
    pub fn named(name: &str) -> Option<Style> {
        Style::ALL.iter().find(|(known, _)| *known == name).map(|(_, style)| *style)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Style::ALL.iter().find(|(_, style)| *style == self).map_or("", |(name, _)| *name)
    }
}

/// Something in a guest that tells who manages its network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Netplan,
    NetworkManager,
    NetworkdEnabled,
    Ifup,
    NetworkScripts,
    Wicked,
    Netifrc,
    Netctl,
}

/// Where the signs are. /usr and / may be one.
const SIGNS: [(Sign, GuestPath<'static>); 13] = [
    (Sign::Netplan, GuestPath::literal("/usr/sbin/netplan")),
    (Sign::NetworkManager, GuestPath::literal("/usr/sbin/NetworkManager")),
    (Sign::NetworkManager, GuestPath::literal("/usr/bin/NetworkManager")),
    (Sign::NetworkdEnabled, GuestPath::literal("/etc/systemd/system/multi-user.target.wants/systemd-networkd.service")),
    (Sign::Ifup, GuestPath::literal("/sbin/ifup")),
    (Sign::Ifup, GuestPath::literal("/usr/sbin/ifup")),
    (Sign::NetworkScripts, GuestPath::literal("/etc/sysconfig/network-scripts")),
    (Sign::Wicked, GuestPath::literal("/usr/sbin/wicked")),
    (Sign::Wicked, GuestPath::literal("/sbin/ifup-wicked")),
    (Sign::Netifrc, GuestPath::literal("/lib/netifrc")),
    (Sign::Netifrc, GuestPath::literal("/usr/lib/netifrc")),
    (Sign::Netifrc, GuestPath::literal("/lib/rc/net")),
    (Sign::Netctl, GuestPath::literal("/usr/bin/netctl")),
];
const OS_RELEASES: [GuestPath<'static>; 2] =
    [GuestPath::literal("/etc/os-release"), GuestPath::literal("/usr/lib/os-release")];
/// As much of os-release as is looked at; ID and VERSION_ID are among its first lines.
const OS_RELEASE_MAX: usize = 2048;

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

    fn is_like(&self, names: &[&str]) -> bool {
        names.contains(&self.id) || self.id_like.split_ascii_whitespace().any(|word| names.contains(&word))
    }
}

/// Finds out. A sign that cannot be looked for is an error: without it the files would be others.
pub fn detect<F: Files>(files: &mut F) -> Result<Style, FileError<'static>> {
    let mut room = [0; OS_RELEASE_MAX];
    let mut text = "";
    for path in OS_RELEASES {
        if let Some(len) = read_start(files, path, &mut room)? {
            text = match core::str::from_utf8(&room[..len]) {
                Ok(text) => text,
                Err(error) => core::str::from_utf8(&room[..error.valid_up_to()]).unwrap_or_default(),
            };
            break;
        }
    }
    let mut failed = None;
    let style = choose(&Release::of(text), &mut |sign| {
        SIGNS.iter().filter(|(known, _)| *known == sign).any(|(_, path)| {
            at("look at", *path, files.exists(*path)).unwrap_or_else(|error| {
                failed.get_or_insert(error);
                false
            })
        })
    });
    failed.map_or(Ok(style), Err)
}

/// The rules, the more particular ones first.
fn choose(release: &Release<'_>, has: &mut dyn FnMut(Sign) -> bool) -> Style {
    if has(Sign::Netplan) {
        return Style::Netplan;
    }
    if release.is_like(&["rhel", "fedora", "centos"]) || release.id.is_empty() && has(Sign::NetworkScripts) {
        // From these on NetworkManager comes without its reader of ifcfg files, or with one that is on its way out.
        let last = if release.id == "fedora" { 32 } else { 8 };
        return match (has(Sign::NetworkManager), has(Sign::NetworkScripts)) {
            (true, _) if release.major > last => Style::Keyfile,
            (_, true) => Style::Ifcfg,
            (true, false) => Style::Keyfile,
            (false, false) => Style::Networkd,
        };
    }
    if has(Sign::Wicked) {
        return Style::Suse;
    }
    if has(Sign::NetworkdEnabled) {
        return Style::Networkd;
    }
    let others = [
        (Sign::Netifrc, Style::Netifrc),
        (Sign::Ifup, Style::Ifupdown),
        (Sign::Netctl, Style::Netctl),
        (Sign::NetworkManager, Style::Keyfile),
    ];
    others.into_iter().find(|(sign, _)| has(*sign)).map_or(Style::None, |(_, style)| style)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(release: &str, signs: &[Sign]) -> Style {
        choose(&Release::of(release), &mut |sign| signs.contains(&sign))
    }

    #[test]
    fn every_distribution_gets_its_own() {
        use Sign::*;
        let cases: [(&str, &[Sign], Style); 18] = [
            ("ID=debian\nVERSION_ID=\"12\"", &[Ifup], Style::Ifupdown),
            ("ID=debian\nVERSION_ID=\"12\"", &[Ifup, NetworkManager], Style::Ifupdown),
            ("ID=debian\nVERSION_ID=\"12\"", &[Netplan, NetworkdEnabled], Style::Netplan),
            ("ID=debian", &[NetworkdEnabled], Style::Networkd),
            ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"16.04\"", &[Ifup], Style::Ifupdown),
            ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"", &[Netplan, NetworkdEnabled], Style::Netplan),
            ("ID=alpine\nVERSION_ID=3.20.3", &[Ifup], Style::Ifupdown),
            (
                "ID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"7\"",
                &[NetworkManager, NetworkScripts, Ifup],
                Style::Ifcfg,
            ),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"8.9\"",
                &[NetworkManager, NetworkScripts],
                Style::Ifcfg,
            ),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.3\"",
                &[NetworkManager, NetworkScripts],
                Style::Keyfile,
            ),
            ("ID=fedora\nVERSION_ID=32", &[NetworkManager, NetworkScripts], Style::Ifcfg),
            ("ID=fedora\nVERSION_ID=40", &[NetworkManager], Style::Keyfile),
            ("ID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"", &[NetworkdEnabled], Style::Networkd),
            ("ID=\"sles\"\nID_LIKE=\"suse\"\nVERSION_ID=\"15.5\"", &[Wicked, Ifup], Style::Suse),
            ("ID=\"opensuse-tumbleweed\"", &[NetworkManager], Style::Keyfile),
            ("ID=gentoo", &[Netifrc], Style::Netifrc),
            ("ID=arch", &[Netctl], Style::Netctl),
            ("", &[], Style::None),
        ];
        for (release, signs, style) in cases {
            assert_eq!(chosen(release, signs), style, "{release}");
        }
        // CentOS 6 has no os-release.
        assert_eq!(chosen("", &[NetworkScripts, Ifup]), Style::Ifcfg);
    }

    #[test]
    fn names_go_both_ways() {
        for (name, style) in Style::ALL {
            assert_eq!((Style::named(name), style.name()), (Some(style), name));
        }
    }
}
