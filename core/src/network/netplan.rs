//! netplan's `/run/netplan/90-nanova.yaml`, one for all interfaces; mode 0600, as netplan asks for since 0.107.
//!
//! netplan merges all its files, sorted by name, by the ids of the interfaces in them: where the name of the device is
//! known it is the id, so that this file changes what an installer or cloud-init (`50-cloud-init.yaml`) has written about
//! it, and DHCP and routers' advertisements are turned off (`networkd` says why). All strings are quoted; an address holds colons. `0.0.0.0/0` and not `default`, which netplan
//! knows since 0.100. Rules: netplan(5), netplan-generate(8).

use super::{Interface, Placed};
use crate::edit::Sink;

/// Writes the file of all interfaces.
#[inline(never)]
pub fn render(out: &mut dyn Sink, interfaces: &[Placed<'_>]) {
    out.put("# Written by nanova from vm-data in xenstore.\nnetwork:\n  version: 2\n  ethernets:\n");
    for placed in interfaces {
        let mac = placed.interface.mac;
        match placed.device {
            Some(device) => writeln!(out, "    \"{device}\":"),
            None => writeln!(out, "    \"nanova-{}\":", mac.plain()),
        }
        write!(
            out,
            "      match:\n        macaddress: \"{mac}\"\n      dhcp4: false\n      dhcp6: false\n      accept-ra: false\n"
        );
        lists(out, placed.interface);
    }
}

#[inline(never)]
fn lists(out: &mut dyn Sink, interface: &Interface) {
    if let Some(mtu) = interface.mtu {
        writeln!(out, "      mtu: {mtu}");
    }
    for (number, address) in interface.addresses.iter().enumerate() {
        if number == 0 {
            out.put("      addresses:\n");
        }
        writeln!(out, "        - \"{address}\"");
    }
    for (number, route) in interface.routes.iter().enumerate() {
        if number == 0 {
            out.put("      routes:\n");
        }
        write!(out, "        - to: \"{}\"\n          via: \"{}\"\n", route.to, route.via);
        if interface.is_far(route.via) {
            out.put("          on-link: true\n");
        }
    }
    for (number, server) in interface.dns.iter().enumerate() {
        if number == 0 {
            out.put("      nameservers:\n        addresses:\n");
        }
        writeln!(out, "          - \"{server}\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::parse::tests::{private, public};

    #[test]
    fn the_file_of_a_real_guest() {
        let (public, private) = (public(), private());
        let placed =
            [Placed { interface: &public, device: Some("eth0") }, Placed { interface: &private, device: None }];
        let mut text = String::new();
        render(&mut text, &placed);
        assert_eq!(
            text,
            r#"# Written by nanova from vm-data in xenstore.
network:
  version: 2
  ethernets:
    "eth0":
      match:
        macaddress: "bc:76:4e:04:cf:e5"
      dhcp4: false
      dhcp6: false
      accept-ra: false
      addresses:
        - "166.78.10.124/24"
        - "2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64"
      routes:
        - to: "0.0.0.0/0"
          via: "166.78.10.1"
        - to: "::/0"
          via: "fe80::def"
      nameservers:
        addresses:
          - "72.3.128.241"
          - "72.3.128.240"
    "nanova-bc764e04d936":
      match:
        macaddress: "bc:76:4e:04:d9:36"
      dhcp4: false
      dhcp6: false
      accept-ra: false
      addresses:
        - "10.181.30.181/17"
      routes:
        - to: "10.208.0.0/12"
          via: "10.181.0.1"
        - to: "10.176.0.0/12"
          via: "10.181.0.1"
      nameservers:
        addresses:
          - "72.3.128.241"
          - "72.3.128.240"
"#
        );
    }
}
