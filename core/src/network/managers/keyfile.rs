//! NetworkManager's `NetworkManager/system-connections/*.nmconnection` below /etc or, handed over by an initramfs, /run, one an
//! interface; mode 0600, or NetworkManager does not read it. It is preferred to any other profile (cloud-init's have 120).
//!
//! Matched by MAC address. A family without an address is left as the kernel has it (IPv6) or turned off (IPv4); one that XAPI leaves to
//! the guest is automatic. A gateway
//! outside of all networks needs no mark: NetworkManager adds the route to it. Rules: nm-settings-keyfile(5),
//! nm-settings(5).

use core::fmt;

use crate::files::lines::Sink;
use crate::network::model::Interface;
use crate::wire::net::Mac;

/// Writes the file of an interface.
#[inline(never)]
pub fn render(out: &mut dyn Sink, interface: &Interface) {
    let mac = interface.mac;
    write!(
        out,
        "# Written by nanova from vm-data in xenstore.\n[connection]\nid=nanova-{}\nuuid={}",
        mac.plain(),
        Uuid(mac)
    );
    write!(out, "\ntype=ethernet\nautoconnect-priority=999\n\n[ethernet]\nmac-address={mac}\n");
    if let Some(mtu) = interface.mtu.map(u64::from) {
        writeln!(out, "mtu={mtu}");
    }
    family(out, interface, true);
    family(out, interface, false);
}

/// Writes NetworkManager's note about a device: that its addresses are those of this file. NetworkManager leaves such a note
/// for itself when it ends in an initramfs (`src/core/nm-config.c`, `nm_config_device_state_load`).
pub fn taken_over(out: &mut dyn Sink, interface: &Interface) {
    write!(out, "[device]\nmanaged=1\nconnection-uuid={}\n", Uuid(interface.mac));
}

/// A UUID of version 8 (RFC 9562, 5.8): "nanova" in front, the MAC address behind. Always the same, so that a connection
/// that is active stays what it is when the file is read again.
pub struct Uuid(pub Mac);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "6e616e6f-7661-8000-8000-{}", self.0.plain())
    }
}

fn family(out: &mut dyn Sink, interface: &Interface, ipv4: bool) {
    let (name, without) = if ipv4 { ("ipv4", "disabled") } else { ("ipv6", "ignore") };
    let has_any = interface.addresses_of(ipv4).next().is_some();
    let method = match (has_any, interface.speaks_of(ipv4)) {
        (true, _) => "manual",
        (false, true) => without,
        (false, false) => "auto",
    };
    write!(out, "\n[{name}]\nmethod={method}\n");
    if !has_any {
        return;
    }
    for (number, address) in (1..).zip(interface.addresses_of(ipv4)) {
        writeln!(out, "address{number}={address}");
    }
    if let Some(gateway) = interface.gateway(ipv4) {
        writeln!(out, "gateway={gateway}");
    }
    let routes = interface.routes.iter().filter(|route| route.via.is_ipv4() == ipv4 && route.to.prefix != 0);
    for (number, route) in (1..).zip(routes) {
        writeln!(out, "route{number}={},{}", route.to, route.via);
    }
    if interface.dns.iter().any(|server| server.is_ipv4() == ipv4) {
        out.put("dns=");
        for server in interface.dns.iter().filter(|server| server.is_ipv4() == ipv4) {
            write!(out, "{server};");
        }
        out.put("\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::source::parse::tests::{private, public};

    fn text(interface: &Interface) -> String {
        let mut text = String::new();
        render(&mut text, interface);
        text
    }

    #[test]
    fn the_files_of_a_real_guest() {
        assert_eq!(
            text(&public()),
            "\
# Written by nanova from vm-data in xenstore.
[connection]
id=nanova-bc764e04cfe5
uuid=6e616e6f-7661-8000-8000-bc764e04cfe5
type=ethernet
autoconnect-priority=999

[ethernet]
mac-address=bc:76:4e:04:cf:e5

[ipv4]
method=manual
address1=166.78.10.124/24
gateway=166.78.10.1
dns=72.3.128.241;72.3.128.240;

[ipv6]
method=manual
address1=2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64
gateway=fe80::def
"
        );
        let private = text(&private());
        assert!(private.contains("route1=10.208.0.0/12,10.181.0.1\nroute2=10.176.0.0/12,10.181.0.1\n"), "{private}");
        assert!(private.ends_with("[ipv6]\nmethod=ignore\n"), "{private}");
    }
}
