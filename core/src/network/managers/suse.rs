//! SUSE's `/etc/sysconfig/network/{ifcfg,ifroute}-<device>`, read by wicked. Keys that are not ours stay. Name servers are
//! NETCONFIG_DNS_STATIC_SERVERS in /etc/sysconfig/network/config. Rules: ifcfg(5) and ifroute(5) of wicked.

use core::fmt;

use crate::files::lines::{Old, Sink};
use crate::network::managers::names::key_of;
use crate::network::managers::shared::{Dropped, whole};
use crate::network::model::{Interface, Placed};
use crate::wire::net::Ip;

const HEAD: &str = "# Written by nanova from vm-data in xenstore; keys that it does not know are kept.";

fn is_ours(line: &[u8], interface: &Interface) -> bool {
    let Some(key) = key_of(line).and_then(|key| core::str::from_utf8(key).ok()) else { return line == HEAD.as_bytes() };
    let numbered = ["IPADDR", "NETMASK", "PREFIXLEN", "BROADCAST", "LABEL", "REMOTE_IPADDR"];
    let base =
        numbered.iter().any(|base| key.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')));
    base || matches!(key, "BOOTPROTO" | "STARTMODE") || key == "MTU" && interface.mtu.is_some()
}

/// The edit of `ifcfg-<device>`.
pub fn edit(old: Old<'_>, out: &mut dyn Sink, dropped: &mut Dropped, interface: &Interface) {
    if !dropped.takes(old, &|line| is_ours(line, interface)) {
        out.keep(old);
    }
    if old != Old::End {
        return;
    }
    // Addresses that are listed are had in either case.
    let protocol = if interface.speaks_of(true) { "static" } else { "dhcp4" };
    write!(out, "{HEAD}\nBOOTPROTO='{protocol}'\nSTARTMODE='auto'\n");
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

/// The edit of `ifroute-<device>`: destination, gateway, nothing for the netmask, device. A gateway outside of all networks
/// comes first, as a destination of its own.
pub fn routes(old: Old<'_>, out: &mut dyn Sink, interface: &Interface, device: &str) {
    whole(old, out, &mut |out| {
        out.put("# Written by nanova from vm-data in xenstore.\n");
        for route in interface.routes.iter().filter(|route| interface.is_far(route.via)) {
            writeln!(out, "{}/{} - - {device}", route.via, if route.via.is_ipv4() { 32 } else { 128 });
        }
        for route in &interface.routes {
            writeln!(out, "{} {} - {device}", route.to, route.via);
        }
    });
}

/// The edit of `routes`, which speaks of all devices: a default route there that names one of ours, or none, would be one beside
/// ours.
pub fn without_default(old: Old<'_>, out: &mut dyn Sink, placed: &[Placed<'_>]) {
    let is_beside_ours = |line: &[u8]| {
        let mut words = core::str::from_utf8(line).unwrap_or_default().split_ascii_whitespace();
        let ipv4 = match (words.next(), words.next().map(str::parse::<Ip>)) {
            (Some("default" | "0.0.0.0/0" | "::/0"), Some(Ok(via))) => via.is_ipv4(),
            _ => return false,
        };
        let device = words.nth(1).filter(|device| *device != "-");
        device.is_none_or(|device| placed.iter().any(|placed| placed.device == Some(device)))
            && placed.iter().any(|placed| placed.interface.gateway(ipv4).is_some())
    };
    match old {
        Old::Line(line) if is_beside_ours(line) => {}
        old => out.keep(old),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::managers::shared::edited;
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
                "ZONE=public\n{HEAD}\nBOOTPROTO='static'\nSTARTMODE='auto'\nIPADDR='166.78.10.124/24'\n\
                 BROADCAST='166.78.10.255'\nIPADDR_1='2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64'\n"
            )
        );
        assert_eq!(edited(&new, &mut all), new);
        let text = edited("", &mut |old, out| routes(old, out, &interface, "eth0"));
        assert_eq!(
            text,
            "# Written by nanova from vm-data in xenstore.\n0.0.0.0/0 166.78.10.1 - eth0\n::/0 fe80::def - eth0\n"
        );
    }

    #[test]
    fn a_default_route_beside_ours_goes() {
        let interface = public();
        let placed = [Placed { interface: &interface, device: Some("eth0") }];
        let mut edit = |old: Old<'_>, out: &mut dyn Sink| without_default(old, out, &placed);
        let others = "# routes\n10.0.0.0/8 10.1.1.1 - eth9\ndefault 10.9.9.1 - eth9\n";
        let old = format!("default 192.168.1.1 - -\n{others}default 192.168.1.1\n::/0 fe80::9 - eth0\n");
        assert_eq!(edited(&old, &mut edit), others);
        let without = Interface::new(interface.mac);
        let placed = [Placed { interface: &without, device: Some("eth0") }];
        assert_eq!(edited(&old, &mut |old, out| without_default(old, out, &placed)), old, "there is none of ours");
    }
}
