//! systemd-networkd's `systemd/network/*.network` below /etc or, handed over by an initramfs, /run, one an interface.
//! Of all files that match a link the first by name counts, so ours begin with 00 (an installer's or cloud-init's with
//! 10).
//!
//! Matched by MAC address, as names may still change. `Type=ether` keeps out a VLAN or a bridge that has the same
//! address. networkd finds the addresses present already and keeps them. Routers are not listened to: the toolstack has
//! said what there is, and networkd would call the interface configured only after waiting 12 s for one. (A family that
//! XAPI leaves to the guest is automatic: DHCP, or what routers say.) Rules: systemd.network(5).

use crate::files::lines::Sink;
use crate::network::managers::manager::{
    Claim, ConflictingFiles, Manager, NETWORK_MANAGER, NETWORK_SCRIPTS, NamesBy, PUBLIC, always_goes,
};
use crate::network::managers::shared::WRITTEN;
use crate::network::model::Interface;
use crate::platform::GuestPath;
use crate::wire::net::{Family, Mac};

const DIRECTORY: GuestPath<'static> = GuestPath::literal("/etc/systemd/network");
const ENABLED: [GuestPath<'static>; 1] =
    [GuestPath::literal("/etc/systemd/system/multi-user.target.wants/systemd-networkd.service")];

/// What nanova knows of it.
pub(super) static MANAGER: Manager = Manager {
    name: "networkd",
    claims: |guest| {
        if guest.is_red_hat() {
            return Claim::yes_if(!guest.has(&NETWORK_MANAGER) && !guest.has(&[NETWORK_SCRIPTS]));
        }
        Claim::yes_if(guest.has(&ENABLED))
    },
    places: &[GuestPath::literal("/etc/systemd/network/x")],
    names_by: NamesBy::Mac,
    write: |config, files| {
        for interface in config.placed.iter().map(|placed| placed.interface) {
            let path = format_args!("{DIRECTORY}/00-nanova-{}.network", interface.mac.plain());
            files.write(path, PUBLIC, &mut |out| render(out, interface));
        }
    },
    // Ours of interfaces that are gone.
    conflicts: Some(ConflictingFiles {
        directory: DIRECTORY,
        may_be: |config, name| config.names_gone_mac(name, "00-nanova-", ".network"),
        judge: always_goes,
    }),
    tell: |_, manager| manager.start(&[&[c"/usr/bin/networkctl", c"reload"]]),
};

/// Writes the file of an interface.
#[inline(never)]
pub(crate) fn render(out: &mut dyn Sink, interface: &Interface) {
    write!(out, "{WRITTEN}\n[Match]\nMACAddress={}\nType=ether\n", interface.mac);
    if let Some(mtu) = interface.mtu.map(u64::from) {
        write!(out, "\n[Link]\nMTUBytes={mtu}\n");
    }
    let yes = |family, word| if interface.speaks_of(family) { "no" } else { word };
    write!(out, "\n[Network]\nDHCP={}\nIPv6AcceptRA={}\n", yes(Family::V4, "ipv4"), yes(Family::V6, "yes"));
    for server in &interface.dns {
        writeln!(out, "DNS={server}");
    }
    for address in &interface.addresses {
        write!(out, "\n[Address]\nAddress={address}\n");
        if let Some(broadcast) = interface.broadcast_of(address) {
            writeln!(out, "Broadcast={broadcast}");
        }
    }
    for route in &interface.routes {
        writeln!(out, "\n[Route]\nDestination={}", route.to);
        match (route.neighbour(), route.to.ip.family()) {
            (Some(via), _) => writeln!(out, "Gateway={via}"),
            (None, Family::V4) => out.put("Scope=link\n"),
            // IPv6 has no scopes of routes.
            (None, Family::V6) => {}
        }
        if interface.is_far(route.via) {
            out.put("GatewayOnLink=yes\n");
        }
    }
}

/// Has networkd ask DHCP as the client that has asked before, or the server would give it another address.
pub(crate) fn go_on_as_client(out: &mut dyn Sink, mac: Mac) {
    let [_, a, b, c, d, ..] = mac.client_id();
    let interface = u64::from(u32::from_be_bytes([a, b, c, d]));
    write!(out, "\n[DHCPv4]\nClientIdentifier=duid\nDUIDType=link-layer\nIAID={interface}\n");
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
    fn the_file_of_a_real_guest() {
        assert_eq!(
            text(&public()),
            "\
# Written by nanova from vm-data in xenstore.
[Match]
MACAddress=bc:76:4e:04:cf:e5
Type=ether

[Network]
DHCP=no
IPv6AcceptRA=no
DNS=72.3.128.241
DNS=72.3.128.240

[Address]
Address=166.78.10.124/24
Broadcast=166.78.10.255

[Address]
Address=2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64

[Route]
Destination=0.0.0.0/0
Gateway=166.78.10.1

[Route]
Destination=::/0
Gateway=fe80::def
"
        );
    }

    #[test]
    fn a_far_gateway_is_on_the_link() {
        let mut interface = private();
        interface.addresses.clear();
        assert!(text(&interface).ends_with("Destination=10.176.0.0/12\nGateway=10.181.0.1\nGatewayOnLink=yes\n"));
    }
}
