//! SUSE's `/etc/sysconfig/network/{ifcfg,ifroute}-<device>`, read by wicked. Keys that are not ours stay. Name servers
//! are NETCONFIG_DNS_STATIC_SERVERS in /etc/sysconfig/network/config. Rules: ifcfg(5) and ifroute(5) of wicked.

use core::fmt;

use crate::files::lines::{Old, Sink};
use crate::network::managers::manager::{
    Claim, ConfigFiles, ConflictingFiles, Manager, NamesBy, PUBLIC, PersistentConfig,
};
use crate::network::managers::names::{Assignment, Servers, key_of};
use crate::network::managers::shared::{Dropped, KEYS_KEPT, WRITTEN, may_be_of_a_vif, stays_if_foreign};
use crate::network::model::Interface;
use crate::platform::GuestPath;
use crate::wire::net::{Family, Ip};

const DIRECTORY: GuestPath<'static> = GuestPath::literal("/etc/sysconfig/network");
const SIGNS: [GuestPath<'static>; 2] =
    [GuestPath::literal("/usr/sbin/wicked"), GuestPath::literal("/sbin/ifup-wicked")];
const DNS: &str = "/etc/sysconfig/network/config";
/// Routes of whatever device.
const ROUTES: &str = "/etc/sysconfig/network/routes";

/// What nanova knows of it.
pub(super) static MANAGER: Manager = Manager {
    name: "suse",
    claims: |guest| guest.claim_by(&SIGNS, Claim::Yes),
    places: &[GuestPath::literal("/etc/sysconfig/network/x")],
    names_by: NamesBy::Device,
    write,
    conflicts: Some(ConflictingFiles { directory: DIRECTORY, may_be: may_be_of_a_vif, judge: stays_if_foreign }),
    tell: |_, manager| manager.start(&[&[c"/sbin/netconfig", c"update", c"-f"]]),
};

fn write(config: &PersistentConfig<'_>, files: &mut dyn ConfigFiles) {
    if files.is_file(DNS) {
        write_dns(config, files);
    }
    if files.is_file(ROUTES) {
        files.edit(format_args!("{ROUTES}"), PUBLIC, &mut |old, out| without_default(old, out, config));
    }
    for (interface, device) in config.devices() {
        let mut dropped = Dropped::default();
        files.edit(format_args!("{DIRECTORY}/ifcfg-{device}"), PUBLIC, &mut |old, out| {
            edit(old, out, &mut dropped, interface)
        });
        let path = format_args!("{DIRECTORY}/ifroute-{device}");
        files.write(path, PUBLIC, &mut |out| routes(out, interface, device));
    }
}

fn write_dns(config: &PersistentConfig<'_>, files: &mut dyn ConfigFiles) {
    if config.interfaces.iter().any(|interface| !interface.dns.is_empty()) {
        let servers = Servers { interfaces: config.interfaces, between: " " };
        let mut assignment = Assignment::of("NETCONFIG_DNS_STATIC_SERVERS", &servers);
        files.edit(format_args!("{DNS}"), PUBLIC, &mut |old, out| assignment.edit(old, out));
    }
}

fn is_ours(line: &[u8], interface: &Interface) -> bool {
    let Some(key) = key_of(line).and_then(|key| core::str::from_utf8(key).ok()) else {
        return line == KEYS_KEPT.as_bytes();
    };
    let numbered = ["IPADDR", "NETMASK", "PREFIXLEN", "BROADCAST", "LABEL", "REMOTE_IPADDR"];
    let base =
        numbered.iter().any(|base| key.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')));
    base || matches!(key, "BOOTPROTO" | "STARTMODE") || key == "MTU" && interface.mtu.is_some()
}

/// The edit of `ifcfg-<device>`.
fn edit(old: Old<'_>, out: &mut dyn Sink, dropped: &mut Dropped, interface: &Interface) {
    if !dropped.takes(old, &|line| is_ours(line, interface)) {
        out.keep(old);
    }
    if old != Old::End {
        return;
    }
    // Addresses that are listed are had in either case.
    let protocol = if interface.speaks_of(Family::V4) { "static" } else { "dhcp4" };
    write!(out, "{KEYS_KEPT}\nBOOTPROTO='{protocol}'\nSTARTMODE='auto'\n");
    for (number, address) in interface.addresses.iter().enumerate() {
        let suffix = Suffix(number);
        writeln!(out, "IPADDR{suffix}='{address}'");
        if let Some(broadcast) = interface.broadcast_of(address) {
            writeln!(out, "BROADCAST{suffix}='{broadcast}'");
        }
    }
    if let Some(mtu) = interface.mtu.map(u64::from) {
        writeln!(out, "MTU='{mtu}'");
    }
}

/// The first address has no suffix, the second has `_1`.
#[derive(Clone, Copy)]
struct Suffix(usize);

impl fmt::Display for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, "_{}", self.0) }
    }
}

/// Writes `ifroute-<device>`: destination, gateway, nothing for the netmask, device. A gateway outside of all networks
/// comes first, as a destination of its own.
fn routes(out: &mut dyn Sink, interface: &Interface, device: &str) {
    writeln!(out, "{WRITTEN}");
    for route in interface.routes.iter().filter(|route| interface.is_far(route.via)) {
        writeln!(out, "{}/{} - - {device}", route.via, u64::from(route.via.family().bits()));
    }
    for route in &interface.routes {
        match route.neighbour() {
            Some(via) => writeln!(out, "{} {via} - {device}", route.to),
            None => writeln!(out, "{} - - {device}", route.to),
        }
    }
}

/// The edit of `routes`, which speaks of all devices: a default route there that names one of ours, or none, would be
/// one beside ours.
fn without_default(old: Old<'_>, out: &mut dyn Sink, config: &PersistentConfig<'_>) {
    let is_beside_ours = |line: &[u8]| {
        let mut words = core::str::from_utf8(line).unwrap_or_default().split_ascii_whitespace();
        let family = match (words.next(), words.next().map(str::parse::<Ip>)) {
            (Some("default" | "0.0.0.0/0" | "::/0"), Some(Ok(via))) => via.family(),
            _ => return false,
        };
        let device = words.nth(1).filter(|device| *device != "-");
        device.is_none_or(|device| config.has_device(device))
            && config.placed.iter().any(|placed| placed.interface.default_route(family).is_some())
    };
    match old {
        Old::Line(line) if is_beside_ours(line) => {}
        old => out.keep(old),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::managers::shared::{config, edited};
    use crate::network::model::Placed;
    use crate::network::source::parse::tests::public;

    #[test]
    fn the_files_of_a_real_guest() {
        let interface = public();
        let mut dropped = Dropped::default();
        let mut all = |old: Old<'_>, out: &mut dyn Sink| edit(old, out, &mut dropped, &interface);
        let new = edited("BOOTPROTO='dhcp'\nZONE=public\nIPADDR_2='10.0.0.1/8'\n", &mut all);
        assert_eq!(
            new,
            format!(
                "ZONE=public\n{KEYS_KEPT}\nBOOTPROTO='static'\nSTARTMODE='auto'\nIPADDR='166.78.10.124/24'\n\
                 BROADCAST='166.78.10.255'\nIPADDR_1='2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64'\n"
            )
        );
        assert_eq!(edited(&new, &mut all), new);
        let mut text = String::new();
        routes(&mut text, &interface, "eth0");
        assert_eq!(
            text,
            "# Written by nanova from vm-data in xenstore.\n0.0.0.0/0 166.78.10.1 - eth0\n::/0 fe80::def - eth0\n"
        );
    }

    #[test]
    fn a_default_route_beside_ours_goes() {
        let interface = public();
        let placed = [Placed { interface: &interface, device: Some("eth0") }];
        let mut edit = |old: Old<'_>, out: &mut dyn Sink| without_default(old, out, &config(&MANAGER, &placed));
        let others = "# routes\n10.0.0.0/8 10.1.1.1 - eth9\ndefault 10.9.9.1 - eth9\n";
        let old = format!("default 192.168.1.1 - -\n{others}default 192.168.1.1\n::/0 fe80::9 - eth0\n");
        assert_eq!(edited(&old, &mut edit), others);
        let without = Interface::new(interface.mac);
        let placed = [Placed { interface: &without, device: Some("eth0") }];
        assert_eq!(
            edited(&old, &mut |old, out| without_default(old, out, &config(&MANAGER, &placed))),
            old,
            "there is none of ours"
        );
    }
}
