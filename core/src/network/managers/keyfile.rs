//! NetworkManager's `NetworkManager/system-connections/*.nmconnection` below /etc or, handed over by an initramfs,
//! /run, one an interface; mode 0600, or NetworkManager does not read it. It is preferred to any other profile
//! (cloud-init's have 120).
//!
//! Matched by MAC address. A family without an address is left as the kernel has it (IPv6) or turned off (IPv4); one
//! that is left to the guest is automatic. A gateway outside of all networks needs no mark: NetworkManager adds the
//! route to it. Name servers of a family that is not configured are in a file below conf.d. Rules:
//! nm-settings-keyfile(5), nm-settings(5), NetworkManager.conf(5).

use core::ffi::CStr;
use core::fmt;

use heapless::Vec;

use crate::files::lines::Sink;
use crate::network::managers::manager::{
    Claim, ConflictingFiles, Guest, Manager, NETWORK_MANAGER, NETWORK_SCRIPTS, NamesBy, PRIVATE, PUBLIC,
    PersistentConfig, Tell, always_goes,
};
use crate::network::managers::names::Servers;
use crate::network::managers::shared::WRITTEN;
use crate::network::model::{INTERFACES_MAX, Interface};
use crate::platform::{Argv, GuestPath};
use crate::wire::net::{Family, Mac};
use crate::wire::text::Bounded;

const DIRECTORY: GuestPath<'static> = GuestPath::literal("/etc/NetworkManager/system-connections");
/// Name servers that no profile can name.
const GLOBAL_SERVERS: &str = "/etc/NetworkManager/conf.d/90-nanova-dns.conf";

/// What nanova knows of it.
pub(super) static MANAGER: Manager = Manager {
    name: "keyfile",
    claims,
    places: &[
        GuestPath::literal("/etc/NetworkManager/system-connections/x"),
        GuestPath::literal("/etc/NetworkManager/conf.d/x"),
    ],
    names_by: NamesBy::Mac,
    write: |config, files| {
        for interface in config.placed.iter().map(|placed| placed.interface) {
            let path = format_args!("{DIRECTORY}/nanova-{}.nmconnection", interface.mac.plain());
            files.write(path, PRIVATE, &mut |out| render(out, interface));
        }
        let loses = config.placed.iter().any(|placed| loses_servers(placed.interface));
        if loses || files.is_file(GLOBAL_SERVERS) {
            let interfaces = if loses { config.interfaces } else { &[] };
            files.write(format_args!("{GLOBAL_SERVERS}"), PUBLIC, &mut |out| global_servers(out, interfaces));
        }
    },
    // Ours of interfaces that are gone.
    conflicts: Some(ConflictingFiles {
        directory: DIRECTORY,
        may_be: |config, name| config.names_gone_mac(name, "nanova-", ".nmconnection"),
        judge: always_goes,
    }),
    tell,
};

fn claims(guest: &mut Guest<'_>) -> Claim {
    match (guest.has(&NETWORK_MANAGER), guest.is_red_hat()) {
        (false, _) => Claim::No,
        (true, true) => Claim::yes_if(guest.is_past_ifcfg() || !guest.has(&[NETWORK_SCRIPTS])),
        (true, false) => Claim::IfNobodyElse,
    }
}

/// Reading alone leaves a connection active that asks DHCP.
fn tell(config: &PersistentConfig<'_>, manager: &mut dyn Tell) {
    let ids = config
        .placed
        .iter()
        .map(|placed| Bounded::<48>::of(format_args!("{}\0", ConnectionUuid(placed.interface.mac))));
    let ids = ids.collect::<Vec<_, INTERFACES_MAX>>();
    let ids = ids.iter().filter_map(|id| CStr::from_bytes_until_nul(id.as_str().as_bytes()).ok());
    let ups = ids.map(|id| [c"/usr/bin/nmcli", c"--wait", c"0", c"connection", c"up", c"uuid", id]);
    let ups = ups.collect::<Vec<_, INTERFACES_MAX>>();
    let mut programs = Vec::<Argv<'_>, { INTERFACES_MAX + 1 }>::new();
    let _ = programs.push(&RELOAD);
    for up in &ups {
        let _ = programs.push(up);
    }
    manager.start(&programs);
}

/// Has NetworkManager read its files again.
const RELOAD: [&CStr; 3] = [c"/usr/bin/nmcli", c"connection", c"reload"];

/// Writes the file of an interface.
#[inline(never)]
pub(crate) fn render(out: &mut dyn Sink, interface: &Interface) {
    let mac = interface.mac;
    write!(out, "{WRITTEN}\n[connection]\nid=nanova-{}\nuuid={}", mac.plain(), ConnectionUuid(mac));
    write!(out, "\ntype=ethernet\nautoconnect-priority=999\n\n[ethernet]\nmac-address={mac}\n");
    if let Some(mtu) = interface.mtu.map(u64::from) {
        writeln!(out, "mtu={mtu}");
    }
    section(out, interface, Family::V4);
    section(out, interface, Family::V6);
}

/// Has NetworkManager ask DHCP as the client that has asked before, or the server would give it another address. (What
/// stands apart in a section of the same name is of that section: GLib, "Key-value file parser".)
pub(crate) fn go_on_as_client(out: &mut dyn Sink, mac: Mac) {
    out.put("\n[ipv4]\ndhcp-client-id=");
    for (place, byte) in mac.client_id().map(u32::from).iter().enumerate() {
        let between = if place == 0 { "" } else { ":" };
        write!(out, "{between}{byte:02x}");
    }
    out.put("\n");
}

/// Whether an interface has name servers that no profile can name: a family that is not configured has none.
pub(crate) fn loses_servers(interface: &Interface) -> bool {
    interface.dns.iter().any(|server| !has_section(interface, server.family()))
}

/// Writes all name servers, in front of those of the profiles (NetworkManager.conf(5), "global-dns-domain").
pub(crate) fn global_servers(out: &mut dyn Sink, interfaces: &[Interface]) {
    writeln!(out, "{WRITTEN}");
    if !interfaces.is_empty() {
        writeln!(out, "[global-dns-domain-*]\nservers={}", Servers { interfaces, between: "," });
    }
}

/// Whether the profile configures a family.
fn has_section(interface: &Interface, family: Family) -> bool {
    interface.addresses_of(family).next().is_some() || !interface.speaks_of(family)
}

/// Writes NetworkManager's note about a device: that its addresses are those of this file. NetworkManager leaves such a
/// note for itself when it ends in an initramfs (`src/core/nm-config.c`, `nm_config_device_state_load`).
pub(crate) fn taken_over(out: &mut dyn Sink, interface: &Interface) {
    write!(out, "[device]\nmanaged=1\nconnection-uuid={}\n", ConnectionUuid(interface.mac));
}

/// A UUID of version 8 (RFC 9562, 5.8): "nanova" in front, the MAC address behind. Always the same, so that a
/// connection that is active stays what it is when the file is read again.
struct ConnectionUuid(Mac);

impl fmt::Display for ConnectionUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "6e616e6f-7661-8000-8000-{}", self.0.plain())
    }
}

fn section(out: &mut dyn Sink, interface: &Interface, family: Family) {
    let (name, without) = match family {
        Family::V4 => ("ipv4", "disabled"),
        Family::V6 => ("ipv6", "ignore"),
    };
    let has_any = interface.addresses_of(family).next().is_some();
    let method = match (has_any, interface.speaks_of(family)) {
        (true, _) => "manual",
        (false, true) => without,
        (false, false) => "auto",
    };
    write!(out, "\n[{name}]\nmethod={method}\n");
    if !has_section(interface, family) {
        return;
    }
    for (number, address) in (1_u64..).zip(interface.addresses_of(family)) {
        writeln!(out, "address{number}={address}");
    }
    if let Some(gateway) = interface.gateway(family) {
        writeln!(out, "gateway={gateway}");
    }
    let routes = interface.routes.iter().filter(|route| route.via.family() == family);
    let routes = routes.filter(|route| route.to.prefix != 0 || route.neighbour().is_none());
    for (number, route) in (1_u64..).zip(routes) {
        match route.neighbour() {
            Some(via) => writeln!(out, "route{number}={},{via}", route.to),
            None => writeln!(out, "route{number}={}", route.to),
        }
    }
    if interface.dns.iter().any(|server| server.family() == family) {
        out.put("dns=");
        for server in interface.dns.iter().filter(|server| server.family() == family) {
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
