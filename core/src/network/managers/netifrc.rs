//! Gentoo's /etc/conf.d/net, read by netifrc. Ours is a marked part at the end: what it says of a device overrides what
//! stands before it, as the file is shell. The init script `net.<device>` is the administrator's to link. Rules: netifrc's
//! net.example.

use core::fmt::{self, Write};

use crate::files::lines::{Old, Sink};
use crate::network::managers::shared::{BEGIN, END, Marked};
use crate::network::model::{Interface, Placed};

/// The edit of /etc/conf.d/net.
pub struct Net<'a> {
    placed: &'a [Placed<'a>],
    marked: Marked,
}

impl<'a> Net<'a> {
    /// An edit for these.
    pub fn new(placed: &'a [Placed<'a>]) -> Net<'a> {
        Net { placed, marked: Marked::default() }
    }

    /// The edit.
    pub fn edit(&mut self, old: Old<'_>, out: &mut dyn Sink) {
        if self.marked.takes(old) {
            return;
        }
        if old != Old::End {
            return out.keep(old);
        }
        writeln!(out, "{BEGIN}");
        for placed in self.placed {
            if let Some(device) = placed.device {
                interface(out, placed.interface, device);
            }
        }
        writeln!(out, "{END}");
    }
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
    if !interface.speaks_of(true) {
        out.put("dhcp\n");
    }
    // No address at all is "null", or netifrc would ask for one.
    write!(out, "{}\"\nroutes_{device}=\"", if interface.addresses.is_empty() { "null" } else { "" });
    for route in &interface.routes {
        let mark = if interface.is_far(route.via) { " onlink" } else { "" };
        writeln!(out, "{} via {}{mark}", route.to, route.via);
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
    use crate::network::managers::shared::edited;
    use crate::network::source::parse::tests::public;

    #[test]
    fn the_file_of_a_real_guest() {
        let public = public();
        let placed = [Placed { interface: &public, device: Some("eth0") }];
        let mut net = Net::new(&placed);
        let new = edited("config_eth0=\"dhcp\"\n", &mut |old, out| net.edit(old, out));
        assert_eq!(
            new,
            "config_eth0=\"dhcp\"\n# nanova: begin, written from vm-data in xenstore\n\
             config_eth0=\"166.78.10.124/24 brd 166.78.10.255\n2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64\n\"\n\
             routes_eth0=\"0.0.0.0/0 via 166.78.10.1\n::/0 via fe80::def\n\"\n\
             dns_servers_eth0=\"72.3.128.241 72.3.128.240\"\n# nanova: end\n"
        );
        assert_eq!(edited(&new, &mut |old, out| net.edit(old, out)), new);
    }
}
