//! klibc's `/run/net-<device>.conf` and `/run/net6-<device>.conf`: what `ipconfig` leaves behind, and initramfs-tools
//! and cloud-init read.
//!
//! A shell sources these files as root. All that is in them are addresses, and two names that have been checked to hold
//! nothing but letters, digits and `-_.`; they are quoted all the same.
//!
//! Only one address of each family fits, and two name servers. The protocol of what is not a lease is "none", as
//! ipconfig itself writes it: cloud-init (22.4) fails on "static". Rules: klibc, `usr/kinit/ipconfig/main.c`
//! (`dump_device_config`); cloud-init, `cloudinit/net/cmdline.py` (`_klibc_to_config_entry`).

use crate::files::lines::Sink;
use crate::network::model::Interface;
use crate::wire::net::Family;

/// Writes the file of one family. Nothing if there is no such address. `lease` is for how many seconds a DHCP server
/// gave it, if one did.
pub fn render(
    out: &mut dyn Sink,
    interface: &Interface,
    device: &str,
    hostname: Option<&str>,
    family: Family,
    lease: Option<u32>,
) {
    let protocol = if lease.is_some() { "dhcp" } else { "none" };
    let Some(address) = interface.addresses_of(family).next() else { return };
    let name = match family {
        Family::V4 => {
            write!(out, "DEVICE='{device}'\nPROTO='{protocol}'\n");
            "IPV4"
        }
        Family::V6 => {
            write!(out, "DEVICE6='{device}'\nIPV6PROTO='{protocol}'\n");
            "IPV6"
        }
    };
    writeln!(out, "{name}ADDR='{}'", address.ip);
    if let Some(broadcast) = interface.broadcast_of(address) {
        writeln!(out, "{name}BROADCAST='{broadcast}'");
    }
    match family {
        Family::V4 => writeln!(out, "{name}NETMASK='{}'", address.netmask()),
        Family::V6 => writeln!(out, "{name}NETMASK='{}'", u64::from(address.prefix)),
    }
    if let Some(gateway) = interface.gateway(family) {
        writeln!(out, "{name}GATEWAY='{gateway}'");
    }
    // Those of a family without a file would be lost.
    let others = interface.dns.iter().filter(|server| interface.addresses_of(server.family()).next().is_none());
    let servers = interface.dns.iter().filter(|server| server.family() == family).chain(others);
    for (number, server) in servers.take(2).enumerate() {
        writeln!(out, "{name}DNS{number}='{server}'");
    }
    if let Some(seconds) = lease.map(u64::from) {
        writeln!(out, "DHCPLEASETIME='{seconds}'");
    }
    if let Some((host, domain)) = hostname.map(|name| name.split_once('.').unwrap_or((name, ""))) {
        write!(out, "HOSTNAME='{host}'\nDNSDOMAIN='{domain}'\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::source::parse::tests::public;

    fn text(family: Family, hostname: Option<&str>) -> String {
        let mut text = String::new();
        render(&mut text, &public(), "eth0", hostname, family, None);
        text
    }

    #[test]
    fn the_files_of_a_real_guest() {
        assert_eq!(
            text(Family::V4, Some("web01.example.org")),
            "DEVICE='eth0'\nPROTO='none'\nIPV4ADDR='166.78.10.124'\nIPV4BROADCAST='166.78.10.255'\n\
             IPV4NETMASK='255.255.255.0'\nIPV4GATEWAY='166.78.10.1'\nIPV4DNS0='72.3.128.241'\nIPV4DNS1='72.3.128.240'\n\
             HOSTNAME='web01'\nDNSDOMAIN='example.org'\n"
        );
        assert_eq!(
            text(Family::V6, None),
            "DEVICE6='eth0'\nIPV6PROTO='none'\nIPV6ADDR='2001:4800:7810:512:e38a:a8b5:ff04:cfe5'\n\
             IPV6NETMASK='64'\nIPV6GATEWAY='fe80::def'\n"
        );
    }
}
