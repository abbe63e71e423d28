//! Gentoo's /etc/conf.d/net, read by netifrc. Ours is a marked part at the end: what it says of a device overrides what
//! stands before it, as the file is shell. The init script `net.<device>` is the administrator's to link. Rules:
//! netifrc's net.example.

use core::fmt::{self, Write};

use crate::files::lines::{Old, Sink};
use crate::network::managers::manager::{Claim, Manager, NamesBy, PUBLIC, PersistentConfig, tell_nobody};
use crate::network::managers::names::key_of;
use crate::network::managers::shared::{BEGIN, Dropped, END, Marked};
use crate::network::model::Interface;
use crate::platform::GuestPath;
use crate::wire::net::{DEVICE_MAX, Family};
use crate::wire::text::Bounded;

const SIGNS: [GuestPath<'static>; 3] =
    [GuestPath::literal("/lib/netifrc"), GuestPath::literal("/usr/lib/netifrc"), GuestPath::literal("/lib/rc/net")];

/// What nanova knows of it.
pub(super) static MANAGER: Manager = Manager {
    name: "netifrc",
    claims: |guest| guest.claim_by(&SIGNS, Claim::IfNobodyElse),
    places: &[GuestPath::literal("/etc/conf.d/x")],
    names_by: NamesBy::Device,
    write: |config, files| {
        let (mut marked, mut dropped) = (Marked::default(), Dropped::default());
        files.edit(format_args!("/etc/conf.d/net"), PUBLIC, &mut |old, out| {
            edit(old, out, &mut marked, &mut dropped, config)
        });
    },
    // All is in the one file.
    conflicts: None,
    tell: tell_nobody,
};

/// The edit of /etc/conf.d/net.
fn edit(old: Old<'_>, out: &mut dyn Sink, marked: &mut Marked, dropped: &mut Dropped, config: &PersistentConfig<'_>) {
    if marked.takes(old) {
        let is_kept = !config.sound && !marked.is_edge(old) && !dropped.takes(old, &|line| is_of_ours(line, config));
        return marked.keep(old, out, is_kept);
    }
    marked.end_kept(out);
    let _ = dropped.takes(Old::End, &|_| false);
    if old != Old::End {
        return out.keep(old);
    }
    writeln!(out, "{BEGIN}");
    for (ours, device) in config.devices() {
        interface(out, ours, device);
    }
    writeln!(out, "{END}");
}

/// Whether a line of our part begins to say something of an interface that is listed.
fn is_of_ours(line: &[u8], config: &PersistentConfig<'_>) -> bool {
    let Some(key) = key_of(line).and_then(|key| core::str::from_utf8(key).ok()) else { return false };
    config.devices().any(|(_, device)| {
        let variable = Bounded::<DEVICE_MAX>::of(format_args!("{}", Variable(device)));
        ["config_", "routes_", "dns_servers_", "mtu_"]
            .iter()
            .any(|key_of| key.strip_prefix(key_of) == Some(variable.as_str()))
    })
}

/// A name as a part of a shell variable's.
struct Variable<'a>(&'a str);

impl fmt::Display for Variable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if c.is_ascii_alphanumeric() { c } else { '_' }))
    }
}

fn interface(out: &mut dyn Sink, interface: &Interface, device: &str) {
    let device = Variable(device);
    write!(out, "config_{device}=\"");
    for address in &interface.addresses {
        write!(out, "{address}");
        if let Some(broadcast) = interface.broadcast_of(address) {
            write!(out, " brd {broadcast}");
        }
        out.put("\n");
    }
    if !interface.speaks_of(Family::V4) {
        out.put("dhcp\n");
    }
    // No address at all is "null", or netifrc would ask for one.
    write!(out, "{}\"\nroutes_{device}=\"", if interface.addresses.is_empty() { "null" } else { "" });
    for route in &interface.routes {
        let mark = if interface.is_far(route.via) { " onlink" } else { "" };
        writeln!(out, "{route}{mark}");
    }
    write!(out, "\"\ndns_servers_{device}=\"");
    for (number, server) in interface.dns.iter().enumerate() {
        write!(out, "{}{server}", if number == 0 { "" } else { " " });
    }
    out.put("\"\n");
    if let Some(mtu) = interface.mtu.map(u64::from) {
        writeln!(out, "mtu_{device}=\"{mtu}\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::managers::shared::{config, edited};
    use crate::network::model::Placed;
    use crate::network::source::parse::tests::public;

    #[test]
    fn the_file_of_a_real_guest() {
        let public = public();
        let placed = [Placed { interface: &public, device: Some("eth0") }];
        let config = config(&MANAGER, &placed);
        let (mut marked, mut dropped) = (Marked::default(), Dropped::default());
        let mut all = |old: Old<'_>, out: &mut dyn Sink| edit(old, out, &mut marked, &mut dropped, &config);
        let new = edited("config_eth0=\"dhcp\"\n", &mut all);
        assert_eq!(
            new,
            "config_eth0=\"dhcp\"\n# nanova: begin, written from vm-data in xenstore\n\
             config_eth0=\"166.78.10.124/24 brd 166.78.10.255\n2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64\n\"\n\
             routes_eth0=\"0.0.0.0/0 via 166.78.10.1\n::/0 via fe80::def\n\"\n\
             dns_servers_eth0=\"72.3.128.241 72.3.128.240\"\n# nanova: end\n"
        );
        assert_eq!(edited(&new, &mut all), new);
    }
}
