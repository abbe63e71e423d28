//! Handing the network over to the real root: which files below /run say it, to whom.
//!
//! /run moves over to the real root with all that is in it; nothing below /etc is touched. A file that cannot be
//! written is a problem of its own: the others are written all the same.

use core::fmt;

pub mod device_names;
mod ifupdown;
pub mod klibc;

use crate::files::lines::Sink;
use crate::files::read::read_start;
use crate::files::replace;
use crate::network::managers::manager::{PRIVATE, PUBLIC};
use crate::network::managers::{keyfile, netplan, networkd};
use crate::network::model::{Network, Placed, is_plain};
use crate::network::problems::{Findings, Problems};
use crate::platform::{Files, GuestPath, Log};
use crate::wire::net::Family;
use crate::wire::text::{Bounded, number};

/// For which network manager of the real root an initramfs leaves its network behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Handover {
    /// klibc's `/run/net-<device>.conf` and `/run/net6-<device>.conf`.
    Klibc,
    /// `/run/systemd/network/`.
    Networkd,
    /// `/run/NetworkManager/system-connections/`, and `conf.d/` for name servers that no connection can name.
    Keyfile,
    /// `/run/netplan/`.
    Netplan,
    /// `/run/network/ifstate`, which has no configuration in it: only that an interface is up.
    Ifupdown,
}

/// Forms that there are.
pub const STYLES_MAX: usize = 5;

impl Handover {
    pub(crate) fn named(name: &str) -> Option<Handover> {
        Some(match name {
            "klibc" => Handover::Klibc,
            "networkd" => Handover::Networkd,
            "keyfile" => Handover::Keyfile,
            "netplan" => Handover::Netplan,
            "ifupdown" => Handover::Ifupdown,
            _ => return None,
        })
    }
}

const IFSTATE: GuestPath<'static> = GuestPath::literal("/run/network/ifstate");

/// Room for the path of a file here: plenty, so that the agent's lines and this share their code.
const PATH_MAX: usize = 512;

/// What is handed over.
#[derive(Clone, Copy)]
pub struct HandOver<'a> {
    /// In which form.
    pub style: Handover,
    /// The network.
    pub network: &'a Network,
    /// Those of its interfaces that have a place.
    pub interfaces: &'a [Placed<'a>],
    /// If DHCP servers gave their addresses: for how many seconds, in the same order.
    pub leases: Option<&'a [u32]>,
}

/// Writes the files. What fails goes to `problems`; returns whether nothing did.
pub fn hand_over<F: Files + Log>(files: &mut F, what: &HandOver<'_>, problems: &mut Problems) -> bool {
    let HandOver { style, network, interfaces, leases } = *what;
    let hostname = network.hostname.as_deref();
    let mut files = HandoverFiles { files, problems, well: true };
    match style {
        Handover::Netplan => {
            // Beside each other: netplan takes all its files together.
            let name = if leases.is_some() { "91-nanova-dhcp" } else { "90-nanova" };
            files.write(format_args!("/run/netplan/{name}.yaml"), PRIVATE, &mut |out| netplan::render(out, interfaces));
        }
        // ifup asks a server by itself, and what is noted to be up it leaves alone.
        Handover::Ifupdown if leases.is_some() => {}
        Handover::Ifupdown => files.note_ifupdown(interfaces),
        Handover::Keyfile if interfaces.iter().any(|placed| keyfile::loses_servers(placed.interface)) => {
            let path = format_args!("/run/NetworkManager/conf.d/90-nanova-dns.conf");
            files.write(path, PUBLIC, &mut |out| keyfile::global_servers(out, &network.interfaces));
        }
        Handover::Keyfile | Handover::Networkd | Handover::Klibc => {}
    }
    for (place, Placed { interface, device }) in interfaces.iter().enumerate() {
        let lease = leases.and_then(|leases| leases.get(place)).copied();
        let mac = interface.mac.plain();
        match style {
            Handover::Networkd => {
                let path = format_args!("/run/systemd/network/00-nanova-{mac}.network");
                files.write(path, PUBLIC, &mut |out| {
                    networkd::render(out, interface);
                    if lease.is_some() {
                        networkd::go_on_as_client(out, interface.mac);
                    }
                });
            }
            Handover::Keyfile => {
                let path = format_args!("/run/NetworkManager/system-connections/nanova-{mac}.nmconnection");
                files.write(path, PRIVATE, &mut |out| {
                    keyfile::render(out, interface);
                    if lease.is_some() {
                        keyfile::go_on_as_client(out, interface.mac);
                    }
                });
                // An interface that has addresses when NetworkManager starts is somebody else's to it, unless it is
                // told.
                if let Some(index) = device.and_then(|device| files.index_of(device)) {
                    let path = format_args!("/run/NetworkManager/devices/{index}");
                    files.write(path, PUBLIC, &mut |out| keyfile::taken_over(out, interface));
                }
            }
            Handover::Klibc => {
                let Some(device) = device.filter(|device| is_plain(device)) else {
                    files.fail(format_args!("{} has no name that klibc's files can have", interface.mac));
                    continue;
                };
                for (family, number) in [(Family::V4, ""), (Family::V6, "6")] {
                    if interface.addresses_of(family).next().is_some() {
                        let path = format_args!("/run/net{number}-{device}.conf");
                        files.write(path, PUBLIC, &mut |out| {
                            klibc::render(out, interface, device, hostname, family, lease);
                        });
                    }
                }
            }
            Handover::Netplan | Handover::Ifupdown => {}
        }
    }
    files.well
}

/// Where files go, and what could not be written.
struct HandoverFiles<'a, F> {
    files: &'a mut F,
    problems: &'a mut Problems,
    well: bool,
}

impl<F: Files + Log> HandoverFiles<'_, F> {
    fn fail(&mut self, text: fmt::Arguments<'_>) {
        Findings { log: self.files, problems: self.problems }.fail(text);
        self.well = false;
    }

    /// The number of a device, which it keeps whatever it is called.
    fn index_of(&mut self, device: &str) -> Option<u64> {
        let path = Bounded::<64>::of(format_args!("/sys/class/net/{device}/ifindex"));
        let mut room = [0; 16];
        let len = match read_start(self.files, GuestPath::new(path.as_str()).ok()?, &mut room) {
            Ok(len) => len?,
            Err(error) => {
                self.fail(format_args!("{error}"));
                return None;
            }
        };
        number(core::str::from_utf8(room.get(..len)?).ok()?.trim_ascii())
    }

    fn note_ifupdown(&mut self, interfaces: &[Placed<'_>]) {
        let devices = || interfaces.iter().filter_map(|placed| placed.device).filter(|device| is_plain(device));
        let mut room = [0; ifupdown::LIST_MAX];
        let old = match read_start(self.files, IFSTATE, &mut room) {
            Ok(len) => &room[..len.unwrap_or(0)],
            Err(error) => return self.fail(format_args!("{error}")),
        };
        let Some(old) = core::str::from_utf8(old).ok().filter(|old| old.len() < ifupdown::LIST_MAX) else {
            let text =
                format_args!("{IFSTATE} is too long, or no text, and not added to; ifup will fail on what is up");
            return self.fail(text);
        };
        self.write(format_args!("{IFSTATE}"), PUBLIC, &mut |out| ifupdown::list(out, old, devices()));
        for device in devices() {
            self.write(format_args!("{IFSTATE}.{device}"), PUBLIC, &mut |out| writeln!(out, "{device}"));
        }
    }

    #[inline(never)]
    fn write(&mut self, path: fmt::Arguments<'_>, mode: u32, text: &mut dyn FnMut(&mut dyn Sink)) {
        let path = Bounded::<PATH_MAX>::of(path);
        let result = match GuestPath::new(path.as_str()) {
            Ok(path) => replace::write(self.files, path, mode, text),
            // Cannot be: all the names in it have been checked.
            Err(_) => return,
        };
        if let Err(error) = result {
            self.fail(format_args!("{error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::source::parse::tests::{private, public};
    use crate::test_platform::{FakePlatform, Node};
    use crate::wire::errno::Errno;

    const ALL: [Handover; STYLES_MAX] =
        [Handover::Klibc, Handover::Networkd, Handover::Keyfile, Handover::Netplan, Handover::Ifupdown];

    fn of<'a>(style: Handover, network: &'a Network, interfaces: &'a [Placed<'a>]) -> HandOver<'a> {
        HandOver { style, network, interfaces, leases: None }
    }

    fn modes(platform: &FakePlatform) -> Vec<(&str, u32)> {
        let files = platform.nodes.iter().filter_map(|(path, node)| match node {
            Node::File { mode, .. } => Some((path.as_str(), *mode)),
            _ => None,
        });
        files.collect()
    }

    #[test]
    fn every_style_has_its_files_and_modes() {
        let mut platform = FakePlatform::with(&[]);
        let (public, private) = (public(), private());
        let placed =
            [Placed { interface: &public, device: Some("eth0") }, Placed { interface: &private, device: Some("eth1") }];
        let mut problems = Problems::new();
        let mut network = Network::new();
        network.hostname = Some("web01".try_into().unwrap());
        for style in ALL {
            assert!(hand_over(&mut platform, &of(style, &network, &placed), &mut problems));
        }
        assert_eq!(
            modes(&platform),
            [
                ("/run/NetworkManager/system-connections/nanova-bc764e04cfe5.nmconnection", 0o600),
                ("/run/NetworkManager/system-connections/nanova-bc764e04d936.nmconnection", 0o600),
                ("/run/net-eth0.conf", 0o644),
                ("/run/net-eth1.conf", 0o644),
                ("/run/net6-eth0.conf", 0o644),
                ("/run/netplan/90-nanova.yaml", 0o600),
                ("/run/network/ifstate", 0o644),
                ("/run/network/ifstate.eth0", 0o644),
                ("/run/network/ifstate.eth1", 0o644),
                ("/run/systemd/network/00-nanova-bc764e04cfe5.network", 0o644),
                ("/run/systemd/network/00-nanova-bc764e04d936.network", 0o644),
            ]
        );
        assert!(platform.text("/run/net-eth0.conf").contains("HOSTNAME='web01'"));
        assert_eq!(platform.text("/run/network/ifstate"), "eth0=eth0\neth1=eth1\n");
        assert_eq!(platform.text("/run/network/ifstate.eth1"), "eth1\n");
        assert_eq!(problems.message(&mut platform).as_str(), "");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_and_the_others_are_written() {
        let mut platform = FakePlatform::with(&[]);
        let public = public();
        let placed = [Placed { interface: &public, device: Some("eth0") }];
        let mut problems = Problems::new();
        platform.fail = Some((2, Errno::NOSPC));
        assert!(!hand_over(&mut platform, &of(Handover::Klibc, &Network::new(), &placed), &mut problems));
        let said = problems.message(&mut platform);
        assert!(said.as_str().ends_with("no space left on the file system (ENOSPC)"), "{}", said.as_str());
        assert_eq!(modes(&platform), [("/run/net6-eth0.conf", 0o644)]);
    }

    #[test]
    fn name_servers_that_no_connection_can_name_are_named_to_network_manager() {
        let mut network = Network::new();
        let mut interface = private();
        interface.dns = [public().dns[0], "2001:db8::53".parse().unwrap()].into_iter().collect();
        network.interfaces.push(interface).unwrap();
        let placed = [Placed { interface: &network.interfaces[0], device: None }];
        let mut platform = FakePlatform::with(&[]);
        assert!(hand_over(&mut platform, &of(Handover::Keyfile, &network, &placed), &mut Problems::new()));
        let text = platform.text("/run/NetworkManager/conf.d/90-nanova-dns.conf");
        assert!(text.ends_with("\n[global-dns-domain-*]\nservers=72.3.128.241,2001:db8::53\n"), "{text}");
    }

    #[test]
    fn what_ifupdown_knows_to_be_up_stays_so() {
        let mut platform = FakePlatform::with(&[("/run/network/ifstate", "lo=lo\n")]);
        let public = public();
        let placed = [Placed { interface: &public, device: Some("eth0") }];
        let mut problems = Problems::new();
        assert!(hand_over(&mut platform, &of(Handover::Ifupdown, &Network::new(), &placed), &mut problems));
        assert_eq!(platform.text("/run/network/ifstate"), "lo=lo\neth0=eth0\n");

        let long = "lo=lo\n".repeat(100);
        let mut platform = FakePlatform::with(&[("/run/network/ifstate", &long)]);
        assert!(!hand_over(&mut platform, &of(Handover::Ifupdown, &Network::new(), &placed), &mut problems));
        assert_eq!(platform.text("/run/network/ifstate"), long);
        let said = problems.message(&mut platform);
        platform
            .nodes
            .insert("/run/network/ifstate".to_owned(), Node::File { contents: b"lo=\xff\n".to_vec(), mode: 0o644 });
        let nothing = Network::new();
        let what = of(Handover::Ifupdown, &nothing, &placed);
        assert!(!hand_over(&mut platform, &what, &mut Problems::new()), "what is no text stays");
        let expected = "/run/network/ifstate is too long, or no text, and not added to; ifup will fail on what is up";
        assert_eq!(said.as_str(), expected);
    }

    #[test]
    fn a_lease_says_for_how_long_it_is_and_netplan_has_it_beside_the_toolstacks() {
        let mut platform = FakePlatform::with(&[]);
        let public = public();
        let placed = [Placed { interface: &public, device: Some("eth0") }];
        let network = Network::new();
        for style in ALL {
            let what = HandOver { leases: Some(&[3600]), ..of(style, &network, &placed) };
            assert!(hand_over(&mut platform, &what, &mut Problems::new()));
        }
        assert!(platform.text("/run/net-eth0.conf").starts_with("DEVICE='eth0'\nPROTO='dhcp'\n"));
        assert!(platform.text("/run/net-eth0.conf").ends_with("DHCPLEASETIME='3600'\n"));
        let files = modes(&platform);
        assert!(files.contains(&("/run/netplan/91-nanova-dhcp.yaml", 0o600)));
        let networkd = platform.text("/run/systemd/network/00-nanova-bc764e04cfe5.network");
        assert!(networkd.ends_with("\n[DHCPv4]\nClientIdentifier=duid\nDUIDType=link-layer\nIAID=1308938213\n"));
        let keyfile = platform.text("/run/NetworkManager/system-connections/nanova-bc764e04cfe5.nmconnection");
        assert!(keyfile.ends_with("\n[ipv4]\ndhcp-client-id=ff:4e:04:cf:e5:00:03:00:01:bc:76:4e:04:cf:e5\n"));
        assert!(!files.iter().any(|(path, _)| path.starts_with("/run/network/") || path.contains("90-nanova.yaml")));
    }

    #[test]
    fn klibcs_files_need_a_plain_name() {
        let mut platform = FakePlatform::with(&[]);
        let public = public();
        for device in [None, Some("$(reboot)"), Some("../x")] {
            let mut problems = Problems::new();
            let placed = [Placed { interface: &public, device }];
            assert!(!hand_over(&mut platform, &of(Handover::Klibc, &Network::new(), &placed), &mut problems));
            let said = problems.message(&mut platform);
            assert_eq!(said.as_str(), "bc:76:4e:04:cf:e5 has no name that klibc's files can have");
        }
        assert_eq!(modes(&platform), []);
    }
}
