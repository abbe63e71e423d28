//! ifupdown's /etc/network/interfaces: Debian, Ubuntu before 17.10, Alpine, and busybox's ifup.
//!
//! Ours is a marked part at the end. Stanzas of other interfaces stay, byte for byte; those of ours that somebody else
//! has written go, and so do our names in `auto` and `allow-` lines. A second address of a family is a second stanza. A
//! gateway outside of all networks is a route of its own, as not every ifup adds it with `onlink`. Rules:
//! interfaces(5).

use crate::files::lines::{Old, Sink};
use crate::network::managers::manager::{
    Claim, ConflictingFiles, Manager, NamesBy, PUBLIC, PersistentConfig, Suspect, Verdict, tell_nobody,
};
use crate::network::managers::shared::{BEGIN, END, Marked};
use crate::network::model::Interface;
use crate::platform::GuestPath;
use crate::wire::net::Family;

const SIGNS: [GuestPath<'static>; 2] = [GuestPath::literal("/sbin/ifup"), GuestPath::literal("/usr/sbin/ifup")];

/// What nanova knows of it.
pub(super) static MANAGER: Manager = Manager {
    name: "ifupdown",
    claims: |guest| guest.claim_by(&SIGNS, Claim::IfNobodyElse),
    places: &[GuestPath::literal("/etc/network/x")],
    names_by: NamesBy::Device,
    write: |config, files| {
        let mut edit = Interfaces::new(config);
        files.edit(format_args!("/etc/network/interfaces"), PUBLIC, &mut |old, out| edit.edit(old, out));
    },
    // Those that configure no interface but ours.
    conflicts: Some(ConflictingFiles {
        directory: GuestPath::literal("/etc/network/interfaces.d"),
        may_be: |_, name| !name.starts_with('.') && !name.ends_with('~'),
        judge,
    }),
    tell: tell_nobody,
};

fn judge(config: &PersistentConfig<'_>, file: &mut Suspect<'_>) -> Verdict {
    let (mut ours, mut others) = (false, false);
    (file.lines)(&mut |line| {
        if let Some(device) = configures(line) {
            let is_ours = config.has_device(device);
            ours |= is_ours;
            others |= !is_ours && device != "lo";
        }
    });
    Verdict::of(ours, others)
}

/// The interface that a line begins to configure, whatever alias it has (`eth0:1`).
fn configures(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    (words.next() == Some("iface")).then(|| words.next()?.split(':').next())?
}

/// The edit of /etc/network/interfaces.
struct Interfaces<'a> {
    config: &'a PersistentConfig<'a>,
    marked: Marked,
    /// In a stanza that goes.
    dropping: bool,
    /// In a stanza of our own part that stays.
    keeping: bool,
    /// Whether the loopback has its stanza; old versions of ifup take only one.
    has_loopback: bool,
}

impl<'a> Interfaces<'a> {
    fn new(config: &'a PersistentConfig<'a>) -> Interfaces<'a> {
        Interfaces { config, marked: Marked::default(), dropping: false, keeping: false, has_loopback: false }
    }

    fn is_ours(&self, word: &str) -> bool {
        word.split(':').next().is_some_and(|device| self.config.has_device(device))
    }

    fn edit(&mut self, old: Old<'_>, out: &mut dyn Sink) {
        if self.marked.takes(old) {
            let is_kept = !self.config.sound && self.is_kept(old);
            self.marked.keep(old, out, is_kept);
            self.dropping = false;
            return;
        }
        self.marked.end_kept(out);
        self.keeping = false;
        match old {
            Old::Line(line) => self.line(line, out),
            Old::Piece(_) if self.dropping => {}
            Old::Piece(_) => out.keep(old),
            Old::End => {
                self.dropping = false;
                writeln!(out, "{BEGIN}");
                if !core::mem::take(&mut self.has_loopback) {
                    out.put("auto lo\niface lo inet loopback\n");
                }
                for (ours, device) in self.config.devices() {
                    interface(out, ours, device);
                }
                writeln!(out, "{END}");
            }
        }
    }

    /// Whether a line of our part is about an interface that is not listed.
    fn is_kept(&mut self, old: Old<'_>) -> bool {
        let Old::Line(line) = old else { return self.keeping };
        let mut words = core::str::from_utf8(line).unwrap_or_default().split_ascii_whitespace();
        match words.next() {
            Some("auto" | "iface") => {
                self.keeping = words.next().is_some_and(|name| name != "lo" && !self.is_ours(name))
            }
            None | Some("#") => self.keeping = false,
            Some(_) => {}
        }
        self.keeping
    }

    fn line(&mut self, line: &[u8], out: &mut dyn Sink) {
        let text = core::str::from_utf8(line).unwrap_or_default();
        let mut words = text.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        let names = || text.split_ascii_whitespace().skip(1);
        if first == "auto" || first.starts_with("allow-") {
            self.dropping = false;
            if !names().any(|name| self.is_ours(name)) {
                return out.keep(Old::Line(line));
            }
            if names().all(|name| self.is_ours(name)) {
                return;
            }
            out.put(first);
            names().filter(|name| !self.is_ours(name)).for_each(|name| write!(out, " {name}"));
            out.put("\n");
            return;
        }
        if matches!(first, "iface" | "mapping" | "source" | "source-directory" | "rename" | "template")
            || first.starts_with("no-")
        {
            self.has_loopback |= first == "iface" && names().next() == Some("lo");
            self.dropping = first == "iface" && words.next().is_some_and(|name| self.is_ours(name));
        }
        // Comments and empty lines between stanzas are nobody's.
        let stays = !self.dropping || first.is_empty() || first.starts_with('#');
        if stays {
            out.keep(Old::Line(line));
        }
    }
}

#[inline(never)]
fn interface(out: &mut dyn Sink, interface: &Interface, device: &str) {
    writeln!(out, "\nauto {device}");
    let mut rest = true;
    for family in Family::BOTH {
        for (number, address) in interface.addresses_of(family).enumerate() {
            let ip = address.ip;
            match family {
                Family::V4 => {
                    write!(out, "iface {device} inet static\n    address {ip}\n    netmask {}\n", address.netmask());
                }
                Family::V6 => {
                    let prefix = u64::from(address.prefix);
                    write!(out, "iface {device} inet6 static\n    address {ip}\n    netmask {prefix}\n");
                }
            }
            if let Some(broadcast) = interface.broadcast_of(address) {
                writeln!(out, "    broadcast {broadcast}");
            }
            // A gateway can be in any address's network, so routes come with the last one.
            if number + 1 == interface.addresses_of(family).count() {
                routes(out, interface, device, family);
            }
            if rest {
                once(out, interface);
            }
            rest = false;
        }
    }
    for (family, kind) in [(Family::V4, "inet dhcp"), (Family::V6, "inet6 auto")] {
        if !interface.speaks_of(family) {
            writeln!(out, "iface {device} {kind}");
            if rest {
                once(out, interface);
            }
            rest = false;
        }
    }
    if rest {
        writeln!(out, "iface {device} inet manual");
        once(out, interface);
        write!(out, "    up ip link set dev {device} up\n    down ip link set dev {device} down\n");
    }
}

/// What the first stanza of an interface says.
#[inline(never)]
fn once(out: &mut dyn Sink, interface: &Interface) {
    if let Some(mtu) = interface.mtu.map(u64::from) {
        writeln!(out, "    mtu {mtu}");
    }
    if interface.dns.is_empty() {
        return;
    }
    out.put("    dns-nameservers");
    interface.dns.iter().for_each(|server| write!(out, " {server}"));
    out.put("\n");
}

/// What the last stanza of a family says.
#[inline(never)]
fn routes(out: &mut dyn Sink, interface: &Interface, device: &str, family: Family) {
    if family == Family::V6 {
        out.put("    accept_ra 0\n");
    }
    for route in interface.routes.iter().filter(|route| route.via.family() == family) {
        let (far, six) = (interface.is_far(route.via), if family == Family::V6 { "-6 " } else { "" });
        if interface.is_plain_gateway(route) {
            writeln!(out, "    gateway {}", route.via);
            continue;
        }
        write!(out, "    up ip {six}route add {route} dev {device}");
        out.put(if far { " onlink\n" } else { "\n" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::managers::shared::{config, edited};
    use crate::network::model::Placed;
    use crate::network::source::parse::tests::{private, public};

    #[test]
    fn ours_replaces_ours_and_the_rest_stays() {
        let (public, private) = (public(), private());
        let placed =
            [Placed { interface: &public, device: Some("eth0") }, Placed { interface: &private, device: Some("eth1") }];
        let config = config(&MANAGER, &placed);
        let mut edit = Interfaces::new(&config);
        let old = "# The loopback\nsource /etc/network/interfaces.d/*\nauto lo eth0\niface lo inet loopback\n\n\
                   allow-hotplug eth1\niface eth0 inet dhcp\n  hostname x\n# a note\n\
                   iface tun0 inet manual\n  up true\n";
        let new = edited(old, &mut |old, out| edit.edit(old, out));
        assert_eq!(
            new,
            "# The loopback\nsource /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n\n# a note\n\
             iface tun0 inet manual\n  up true\n\
             # nanova: begin, written from vm-data in xenstore

auto eth0
iface eth0 inet static
    address 166.78.10.124
    netmask 255.255.255.0
    broadcast 166.78.10.255
    gateway 166.78.10.1
    dns-nameservers 72.3.128.241 72.3.128.240
iface eth0 inet6 static
    address 2001:4800:7810:512:e38a:a8b5:ff04:cfe5
    netmask 64
    accept_ra 0
    gateway fe80::def

auto eth1
iface eth1 inet static
    address 10.181.30.181
    netmask 255.255.128.0
    broadcast 10.181.127.255
    up ip route add 10.208.0.0/12 via 10.181.0.1 dev eth1
    up ip route add 10.176.0.0/12 via 10.181.0.1 dev eth1
    dns-nameservers 72.3.128.241 72.3.128.240
# nanova: end
"
        );
        assert_eq!(edited(&new, &mut |old, out| edit.edit(old, out)), new);
        let from_nothing = edited("", &mut |old, out| edit.edit(old, out));
        assert!(from_nothing.contains("begin, written from vm-data in xenstore\nauto lo\niface lo inet loopback\n"));
        assert_eq!(edited(&from_nothing, &mut |old, out| edit.edit(old, out)), from_nothing);
    }
}
