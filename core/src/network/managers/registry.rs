//! The network managers that this build knows, and which of them has a guest's network.
//!
//! A new one is a file beside this one, a line here, and a feature.

use crate::files::at;
use crate::files::read::read_start;
use crate::network::managers::manager::{Claim, Guest, Manager};
use crate::network::managers::{names, none};
use crate::platform::{FileError, Files, GuestPath};
use crate::wire::text::text_at_start;

/// The managers. Of two that would take a guest if nobody else does the first one gets it.
pub const MANAGERS: &[&Manager] = &[
    #[cfg(feature = "style-netplan")]
    &super::netplan::MANAGER,
    #[cfg(feature = "style-ifcfg")]
    &super::ifcfg::MANAGER,
    #[cfg(feature = "style-suse")]
    &super::suse::MANAGER,
    #[cfg(feature = "style-networkd")]
    &super::networkd::MANAGER,
    #[cfg(feature = "style-netifrc")]
    &super::netifrc::MANAGER,
    #[cfg(feature = "style-ifupdown")]
    &super::ifupdown::MANAGER,
    #[cfg(feature = "style-netctl")]
    &super::netctl::MANAGER,
    #[cfg(feature = "style-keyfile")]
    &super::keyfile::MANAGER,
    &none::MANAGER,
];

/// The manager with this name.
pub fn named(name: &str) -> Option<&'static Manager> {
    MANAGERS.iter().copied().find(|manager| manager.name == name)
}

/// A file in each directory where files of the network are staged, for who tidies up.
pub fn places() -> impl Iterator<Item = GuestPath<'static>> {
    names::PLACES.iter().chain(MANAGERS.iter().flat_map(|manager| manager.places)).copied()
}

const OS_RELEASES: [GuestPath<'static>; 2] =
    [GuestPath::literal("/etc/os-release"), GuestPath::literal("/usr/lib/os-release")];
/// As much of os-release as is looked at; ID and VERSION_ID are among its first lines.
const OS_RELEASE_MAX: usize = 2048;

/// Finds out whose files the guest has. A sign that cannot be looked for is an error: without it the files would be
/// others.
pub fn detect<F: Files>(files: &mut F) -> Result<&'static Manager, FileError<'static>> {
    let mut room = [0; OS_RELEASE_MAX];
    let mut text = "";
    for path in OS_RELEASES {
        if let Some(len) = read_start(files, path, &mut room)? {
            text = text_at_start(&room[..len]);
            break;
        }
    }
    let mut failed = None;
    let manager = choose(&mut Guest::new(text, &mut |path| {
        at("look at", path, files.exists(path)).unwrap_or_else(|error| {
            failed.get_or_insert(error);
            false
        })
    }));
    failed.map_or(Ok(manager), Err)
}

/// The first that says yes, or else the first that would if nobody does.
fn choose(guest: &mut Guest<'_>) -> &'static Manager {
    let mut second = None;
    for manager in MANAGERS {
        match (manager.claims)(guest) {
            Claim::Yes => return manager,
            Claim::IfNobodyElse => drop(second.get_or_insert(*manager)),
            Claim::No => {}
        }
    }
    second.unwrap_or(&none::MANAGER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETPLAN: &str = "/usr/sbin/netplan";
    const NETWORK_MANAGER: &str = "/usr/bin/NetworkManager";
    const NETWORKD_ENABLED: &str = "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service";
    const IFUP: &str = "/sbin/ifup";
    const NETWORK_SCRIPTS: &str = "/etc/sysconfig/network-scripts";
    const WICKED: &str = "/usr/sbin/wicked";
    const NETIFRC: &str = "/usr/lib/netifrc";
    const NETCTL: &str = "/usr/bin/netctl";

    fn chosen(release: &str, there: &[&str]) -> &'static str {
        choose(&mut Guest::new(release, &mut |path| there.contains(&path.as_str()))).name
    }

    #[test]
    fn every_distribution_gets_its_own() {
        let cases: [(&str, &[&str], &str); 21] = [
            ("ID=debian\nVERSION_ID=\"12\"", &[IFUP], "ifupdown"),
            ("ID=debian\nVERSION_ID=\"12\"", &[IFUP, NETWORK_MANAGER], "ifupdown"),
            ("ID=debian\nVERSION_ID=\"12\"", &[NETPLAN, NETWORKD_ENABLED], "netplan"),
            ("ID=debian", &[NETWORKD_ENABLED], "networkd"),
            ("ID=debian", &[NETWORK_MANAGER], "keyfile"),
            ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"16.04\"", &[IFUP], "ifupdown"),
            ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"", &[NETPLAN, NETWORKD_ENABLED], "netplan"),
            ("ID=alpine\nVERSION_ID=3.20.3", &[IFUP], "ifupdown"),
            (
                "ID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"7\"",
                &[NETWORK_MANAGER, NETWORK_SCRIPTS, IFUP],
                "ifcfg",
            ),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"8.9\"",
                &[NETWORK_MANAGER, NETWORK_SCRIPTS],
                "ifcfg",
            ),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.3\"",
                &[NETWORK_MANAGER, NETWORK_SCRIPTS, IFUP, NETWORKD_ENABLED, WICKED],
                "keyfile",
            ),
            ("ID=fedora\nVERSION_ID=32", &[NETWORK_MANAGER, NETWORK_SCRIPTS], "ifcfg"),
            ("ID=fedora\nVERSION_ID=33", &[NETWORK_MANAGER, NETWORK_SCRIPTS], "keyfile"),
            ("ID=fedora\nVERSION_ID=40", &[NETWORK_MANAGER], "keyfile"),
            ("ID=fedora\nVERSION_ID=40", &[NETWORK_SCRIPTS], "ifcfg"),
            ("ID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"", &[NETWORKD_ENABLED], "networkd"),
            ("ID=\"sles\"\nID_LIKE=\"suse\"\nVERSION_ID=\"15.5\"", &[WICKED, IFUP], "suse"),
            ("ID=\"opensuse-tumbleweed\"", &[NETWORK_MANAGER], "keyfile"),
            ("ID=gentoo", &[NETIFRC], "netifrc"),
            ("ID=arch", &[NETCTL, NETWORK_MANAGER], "netctl"),
            ("", &[], "none"),
        ];
        for (release, there, name) in cases {
            assert_eq!(chosen(release, there), name, "{release}");
        }
        // CentOS 6 has no os-release.
        assert_eq!(chosen("", &[NETWORK_SCRIPTS, IFUP]), "ifcfg");
    }

    #[test]
    fn each_is_registered_once() {
        for manager in MANAGERS {
            assert_eq!(MANAGERS.iter().filter(|other| other.name == manager.name).count(), 1, "{}", manager.name);
            assert_eq!(named(manager.name), Some(*manager));
        }
        assert_eq!(named("dhcp"), None);
    }
}
