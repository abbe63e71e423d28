//! The initscripts' `/etc/sysconfig/network-scripts/{ifcfg,route,route6}-<device>`: RHEL and CentOS up to 8, Fedora up
//! to 32; NetworkManager's ifcfg-rh reads the same.
//!
//! Keys that are not ours stay (ZONE, UUID); so a numbered address that is gone goes. NM_CONTROLLED goes where nobody
//! but NetworkManager would bring the interface up (RHEL 8 without network-scripts). Names of devices and addresses
//! hold nothing that a shell would take for more than a word. Rules: initscripts' sysconfig.txt,
//! nm-settings-ifcfg-rh(5).

use core::fmt;

use crate::files::lines::{Old, Sink};
use crate::network::managers::manager::{
    Claim, ConfigFiles, ConflictingFiles, Guest, Manager, NETWORK_MANAGER, NETWORK_SCRIPTS, NamesBy, PUBLIC,
    PersistentConfig,
};
use crate::network::managers::names::key_of;
use crate::network::managers::shared::{Dropped, KEYS_KEPT, WRITTEN, may_be_of_a_vif, stays_if_foreign};
use crate::network::model::Interface;
use crate::platform::GuestPath;
use crate::wire::net::Family;
use crate::wire::text::Bounded;

const DIRECTORY: GuestPath<'static> = GuestPath::literal("/etc/sysconfig/network-scripts");

/// What nanova knows of them.
pub(super) static MANAGER: Manager = Manager {
    name: "ifcfg",
    claims,
    places: &[GuestPath::literal("/etc/sysconfig/network-scripts/x")],
    names_by: NamesBy::Device,
    write,
    conflicts: Some(ConflictingFiles { directory: DIRECTORY, may_be: may_be_of_a_vif, judge: stays_if_foreign }),
    tell: |_, manager| manager.start(&[&[c"/usr/bin/nmcli", c"connection", c"reload"]]),
};

fn claims(guest: &mut Guest<'_>) -> Claim {
    let has_them = guest.is_red_hat() && guest.has(&[NETWORK_SCRIPTS]);
    Claim::yes_if(has_them && !(guest.is_past_ifcfg() && guest.has(&NETWORK_MANAGER)))
}

/// The initscripts, as a service and as what it calls.
const INITSCRIPTS: [GuestPath<'static>; 2] = [
    GuestPath::literal("/etc/rc.d/init.d/network"),
    GuestPath::literal("/etc/sysconfig/network-scripts/network-functions"),
];

fn write(config: &PersistentConfig<'_>, files: &mut dyn ConfigFiles) {
    let needs_manager = files.exists(&NETWORK_MANAGER) && !files.exists(&INITSCRIPTS);
    for (interface, device) in config.devices() {
        let mut dropped = Dropped::default();
        files.edit(format_args!("{DIRECTORY}/ifcfg-{device}"), PUBLIC, &mut |old, out| {
            let is_ours = |line: &[u8]| {
                is_ours(line, interface) || needs_manager && key_of(line) == Some(b"NM_CONTROLLED".as_slice())
            };
            edit(old, out, &mut dropped, &is_ours);
            if old == Old::End {
                render(out, interface, device);
            }
        });
        for (family, six) in [(Family::V4, ""), (Family::V6, "6")] {
            let path = Bounded::<512>::of(format_args!("{DIRECTORY}/route{six}-{device}"));
            if files.is_file(path.as_str()) || has_routes(interface, family) {
                let path = format_args!("{}", path.as_str());
                files.write(path, PUBLIC, &mut |out| routes(out, interface, device, family));
            }
        }
    }
}

/// Keys that are ours whatever number follows them.
const KEYS: [&str; 22] = [
    "DEVICE",
    "HWADDR",
    "TYPE",
    "BOOTPROTO",
    "ONBOOT",
    "IPADDR",
    "NETMASK",
    "PREFIX",
    "BROADCAST",
    "NETWORK",
    "GATEWAY",
    "GATEWAYDEV",
    "DNS",
    "IPV6INIT",
    "IPV6ADDR",
    "IPV6ADDR_SECONDARIES",
    "IPV6_DEFAULTGW",
    "IPV6_AUTOCONF",
    "PEERDNS",
    "DEFROUTE",
    "IPV6_DEFROUTE",
    "DHCPV6C",
];

fn is_ours(line: &[u8], interface: &Interface) -> bool {
    let Some(key) = key_of(line).and_then(|key| core::str::from_utf8(key).ok()) else {
        return line == KEYS_KEPT.as_bytes();
    };
    let key = key.trim_end_matches(|c: char| c.is_ascii_digit());
    KEYS.contains(&key) || key == "MTU" && interface.mtu.is_some()
}

/// The edit of `ifcfg-<device>`.
fn edit(old: Old<'_>, out: &mut dyn Sink, dropped: &mut Dropped, is_ours: &dyn Fn(&[u8]) -> bool) {
    if !dropped.takes(old, is_ours) {
        out.keep(old);
    }
}

fn render(out: &mut dyn Sink, interface: &Interface, device: &str) {
    let protocol = if interface.speaks_of(Family::V4) { "none" } else { "dhcp" };
    write!(
        out,
        "{KEYS_KEPT}\nDEVICE={device}\nHWADDR={}\nTYPE=Ethernet\nBOOTPROTO={protocol}\nONBOOT=yes\n",
        interface.mac
    );
    for (number, address) in interface.addresses_of(Family::V4).enumerate() {
        let number = Number(number);
        write!(out, "IPADDR{number}={}\nNETMASK{number}={}\n", address.ip, address.netmask());
        if let Some(broadcast) = interface.broadcast_of(address) {
            writeln!(out, "BROADCAST{number}={broadcast}");
        }
    }
    if let Some(via) = interface.gateway(Family::V4).filter(|via| !interface.is_far(*via)) {
        writeln!(out, "GATEWAY={via}");
    }
    for (number, server) in (1_u64..).zip(&interface.dns) {
        writeln!(out, "DNS{number}={server}");
    }
    if let Some(mtu) = interface.mtu.map(u64::from) {
        writeln!(out, "MTU={mtu}");
    }
    if !interface.speaks_of(Family::V6) {
        out.put("IPV6INIT=yes\nIPV6_AUTOCONF=yes\n");
    }
    let mut six = interface.addresses_of(Family::V6);
    let Some(first) = six.next() else { return };
    write!(out, "IPV6INIT=yes\nIPV6_AUTOCONF=no\nIPV6ADDR={first}\n");
    for (number, address) in six.enumerate() {
        write!(out, "{}{address}", if number == 0 { "IPV6ADDR_SECONDARIES=\"" } else { " " });
    }
    if interface.addresses_of(Family::V6).nth(1).is_some() {
        out.put("\"\n");
    }
    match interface.gateway(Family::V6) {
        Some(via) if via.is_ipv6_link_local() => writeln!(out, "IPV6_DEFAULTGW={via}%{device}"),
        Some(via) if !interface.is_far(via) => writeln!(out, "IPV6_DEFAULTGW={via}"),
        _ => {}
    }
}

/// The first address has no number, the second has 1.
#[derive(Clone, Copy)]
struct Number(usize);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { self.0.fmt(f) }
    }
}

/// Writes `route-<device>` or `route6-<device>`: arguments of `ip route add`, a line each.
fn routes(out: &mut dyn Sink, interface: &Interface, device: &str, family: Family) {
    writeln!(out, "{WRITTEN}");
    for route in interface.routes.iter().filter(|route| route.via.family() == family) {
        if !interface.is_plain_gateway(route) {
            let mark = if interface.is_far(route.via) { " onlink" } else { "" };
            writeln!(out, "{route} dev {device}{mark}");
        }
    }
}

/// Whether there is anything to say in that file.
fn has_routes(interface: &Interface, family: Family) -> bool {
    let mut routes = interface.routes.iter().filter(|route| route.via.family() == family);
    routes.any(|route| !interface.is_plain_gateway(route))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::transaction::{Backup, FileTransaction};
    use crate::network::managers::shared::edited;
    use crate::network::source::parse::tests::{private, public};

    /// The whole edit, where the initscripts are.
    fn all(old: Old<'_>, out: &mut dyn Sink, dropped: &mut Dropped, interface: &Interface, device: &str) {
        edit(old, out, dropped, &|line| is_ours(line, interface));
        if old == Old::End {
            render(out, interface, device);
        }
    }

    #[test]
    fn what_is_not_ours_is_kept() {
        let interface = public();
        let mut dropped = Dropped::default();
        let mut edit_all = |old: Old<'_>, out: &mut dyn Sink| all(old, out, &mut dropped, &interface, "eth0");
        let old = "DEVICE=eth0\nBOOTPROTO=dhcp\nZONE=public\nIPADDR1=10.0.0.1\nNETMASK1=255.0.0.0\nMTU=1400\nUUID=1\n";
        let new = edited(old, &mut edit_all);
        assert_eq!(
            new,
            "ZONE=public\nMTU=1400\nUUID=1\n\
             # Written by nanova from vm-data in xenstore; keys that it does not know are kept.
DEVICE=eth0
HWADDR=bc:76:4e:04:cf:e5
TYPE=Ethernet
BOOTPROTO=none
ONBOOT=yes
IPADDR=166.78.10.124
NETMASK=255.255.255.0
BROADCAST=166.78.10.255
GATEWAY=166.78.10.1
DNS1=72.3.128.241
DNS2=72.3.128.240
IPV6INIT=yes
IPV6_AUTOCONF=no
IPV6ADDR=2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64
IPV6_DEFAULTGW=fe80::def%eth0
"
        );
        assert_eq!(edited(&new, &mut edit_all), new);
        // An assignment goes with all its lines, and nothing else does.
        let old = "IPV6ADDR_SECONDARIES=\"2001:db8::6/64 \\\n2001:db8::7/64\"\nZONE=public\nIPADDR=10.0.0.1\\\n1\n\
                   DNS1='10.0.0.1 # no\n'\n\
                   DEFROUTE=yes # don't\nMTU=1400\nUUID=1\n";
        assert_eq!(edited(old, &mut edit_all), new);
    }

    #[test]
    fn an_assignment_that_goes_on_in_a_line_of_any_length_takes_no_foreign_line_with_it() {
        let interface = private();
        let mut dropped = Dropped::default();
        let mut platform = crate::test_platform::FakePlatform::with(&[]);
        let path = "/etc/sysconfig/network-scripts/ifcfg-eth1";
        let long = "x".repeat(3000);
        for assignment in [
            format!("DNS1=\\\n{long}\nZONE=public\n"),
            format!("DNS1=\"\\\n{long}\"\nZONE=public\n"),
            format!("DNS1='a\n{long}\n# its\n{long}'\nZONE=public\n"),
            format!("DNS1=\\\n{long} # don't {long}\nZONE=public\n"),
        ] {
            platform.put(path, &assignment);
            let mut files = FileTransaction::default();
            let path = GuestPath::new(path).unwrap();
            files
                .edit(&mut platform, path, PUBLIC, Backup::None, &mut |old, out| {
                    all(old, out, &mut dropped, &interface, "eth1")
                })
                .unwrap();
            files.commit(&mut platform, &mut |_, trouble| panic!("{trouble}"));
            let text = platform.text(path.as_str());
            assert!(text.starts_with(&format!("ZONE=public\n{KEYS_KEPT}\nDEVICE=eth1\n")), "{}", &text[..200]);
        }
    }

    #[test]
    fn static_routes_have_a_file_of_their_own() {
        let interface = private();
        let mut text = String::new();
        routes(&mut text, &interface, "eth1", Family::V4);
        assert_eq!(
            text,
            "# Written by nanova from vm-data in xenstore.\n10.208.0.0/12 via 10.181.0.1 dev eth1\n\
             10.176.0.0/12 via 10.181.0.1 dev eth1\n"
        );
        assert!(has_routes(&interface, Family::V4) && !has_routes(&interface, Family::V6));
        assert!(!has_routes(&public(), Family::V4));
    }
}
