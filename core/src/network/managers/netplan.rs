//! netplan's `netplan/90-nanova.yaml` below /etc or, handed over by an initramfs, /run, one for all interfaces; mode
//! 0600, as netplan asks for since 0.107.
//!
//! netplan merges all its files, sorted by name, by the ids of the interfaces in them: where the name of the device is
//! known it is the id, so that this file changes what an installer or cloud-init (`50-cloud-init.yaml`) has written
//! about it, and DHCP and routers' advertisements are turned off (`networkd` says why, and when not). All strings are
//! quoted; an address holds colons. `0.0.0.0/0` and not `default`, which netplan knows since 0.100. Rules: netplan(5),
//! netplan-generate(8).

use core::ffi::CStr;

use crate::files::lines::{Old, Sink};
use crate::network::managers::manager::{
    Claim, ConflictingFiles, Manager, NamesBy, PRIVATE, PersistentConfig, Suspect, Tell, Verdict,
};
use crate::network::managers::shared::WRITTEN;
use crate::network::model::{Interface, Placed};
use crate::platform::GuestPath;
use crate::wire::net::{Device, Family, Mac, Prefixed};
use crate::wire::text::{Bounded, text_at_start};

const DIRECTORY: GuestPath<'static> = GuestPath::literal("/etc/netplan");
const FILE: &str = "90-nanova.yaml";

/// What nanova knows of it.
pub(super) static MANAGER: Manager = Manager {
    name: "netplan",
    claims: |guest| Claim::yes_if(guest.has(&[GuestPath::literal("/usr/sbin/netplan")])),
    places: &[GuestPath::literal("/etc/netplan/x")],
    names_by: NamesBy::Mac,
    write: |config, files| {
        let path = format_args!("{DIRECTORY}/{FILE}");
        let mut entries = Entries::new(config);
        files.edit(path, PRIVATE, &mut |old, out| entries.edit(old, out));
    },
    // Those that speak of no device but ours: netplan would merge their addresses with ours.
    conflicts: Some(ConflictingFiles {
        directory: DIRECTORY,
        may_be: |_, name| name.ends_with(".yaml") && name != FILE,
        judge,
    }),
    tell,
};

fn judge(config: &PersistentConfig<'_>, file: &mut Suspect<'_>) -> Verdict {
    let mut subjects = Subjects::new(config.placed, file.devices);
    (file.lines)(&mut |line| subjects.take(line));
    subjects.verdict()
}

/// netplan must not see the agent's read-only /sys, nor end with it. Without systemd it is there in any case.
fn tell(_: &PersistentConfig<'_>, manager: &mut dyn Tell) {
    const RUN: [&CStr; 4] = [c"/usr/bin/systemd-run", c"--collect", c"--quiet", c"--no-block"];
    const APPLY: [&CStr; 2] = [c"/usr/sbin/netplan", c"apply"];
    if manager.has_systemd() {
        manager.start(&[&[RUN[0], RUN[1], RUN[2], RUN[3], APPLY[0], APPLY[1]]]);
    } else {
        manager.start(&[&APPLY]);
    }
}

/// The edit of our own file: all of it is new, but while one of the interfaces cannot be read what it says of those
/// that are not listed stays.
struct Entries<'a> {
    config: &'a PersistentConfig<'a>,
    begun: bool,
    /// The id of the entry that these lines are of.
    id: Bounded<64>,
    /// In an entry that stays.
    keeping: bool,
}

impl<'a> Entries<'a> {
    fn new(config: &'a PersistentConfig<'a>) -> Entries<'a> {
        Entries { config, begun: false, id: Bounded::new(), keeping: false }
    }

    fn edit(&mut self, old: Old<'_>, out: &mut dyn Sink) {
        match old {
            Old::End => {
                self.begin(out);
                entries(out, self.config.placed);
                *self = Entries::new(self.config);
            }
            Old::Line(line) if !self.config.sound => self.line(line, out),
            _ => {}
        }
    }

    fn begin(&mut self, out: &mut dyn Sink) {
        if !core::mem::replace(&mut self.begun, true) {
            begin(out);
        }
    }

    /// An entry is as we write it: its id, and two lines on the MAC address that says whose it is.
    fn line(&mut self, line: &[u8], out: &mut dyn Sink) {
        let text = text_at_start(line);
        if let Some(id) = text.strip_prefix("    \"").and_then(|id| id.strip_suffix("\":")) {
            (self.id, self.keeping) = (Bounded::of(format_args!("{id}")), false);
        } else if self.keeping && text.starts_with("      ") {
            out.keep(Old::Line(line));
        } else if let Some(mac) = text.strip_prefix(MAC_KEY).and_then(|mac| Mac::parse(mac.strip_suffix('"')?)) {
            self.keeping = !self.config.placed.iter().any(|placed| placed.interface.mac == mac);
            if self.keeping {
                self.begin(out);
                writeln!(out, "    \"{}\":\n{MATCH}{MAC_KEY}{mac}\"", self.id.as_str());
            }
        }
    }
}

/// How an entry goes on behind its id.
const MATCH: &str = "      match:\n";
const MAC_KEY: &str = "        macaddress: \"";

/// Writes the file of all interfaces.
#[inline(never)]
pub(crate) fn render(out: &mut dyn Sink, interfaces: &[Placed<'_>]) {
    begin(out);
    entries(out, interfaces);
}

fn begin(out: &mut dyn Sink) {
    writeln!(out, "{WRITTEN}");
    out.put("network:\n  version: 2\n  ethernets:\n");
}

fn entries(out: &mut dyn Sink, interfaces: &[Placed<'_>]) {
    for placed in interfaces {
        let mac = placed.interface.mac;
        match placed.device {
            Some(device) => writeln!(out, "    \"{device}\":"),
            None => writeln!(out, "    \"nanova-{}\":", mac.plain()),
        }
        let [dhcp4, ra] = Family::BOTH.map(|family| !placed.interface.speaks_of(family));
        write!(out, "{MATCH}{MAC_KEY}{mac}\"\n      dhcp4: {dhcp4}\n      dhcp6: false\n      accept-ra: {ra}\n");
        lists(out, placed.interface);
    }
}

/// An address as netplan takes it: one whose network is everything it refuses, and with it all of the file. Alone it is
/// an address, too.
fn taken(address: &Prefixed) -> Prefixed {
    let prefix = if address.prefix == 0 { address.ip.family().bits() } else { address.prefix };
    Prefixed { prefix, ..*address }
}

#[inline(never)]
fn lists(out: &mut dyn Sink, interface: &Interface) {
    if let Some(mtu) = interface.mtu.map(u64::from) {
        writeln!(out, "      mtu: {mtu}");
    }
    for (number, address) in interface.addresses.iter().enumerate() {
        if number == 0 {
            out.put("      addresses:\n");
        }
        writeln!(out, "        - \"{}\"", taken(address));
    }
    for (number, route) in interface.routes.iter().enumerate() {
        if number == 0 {
            out.put("      routes:\n");
        }
        writeln!(out, "        - to: \"{}\"", route.to);
        match route.neighbour() {
            Some(via) => writeln!(out, "          via: \"{via}\""),
            None => out.put("          scope: link\n"),
        }
        let mut near = interface.addresses.iter().filter(|address| address.prefix > 0);
        let is_link_local = route.via.is_ipv6_link_local() || route.neighbour().is_none();
        if interface.is_far(route.via) || !is_link_local && !near.any(|address| address.contains(route.via)) {
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

/// Finds out, line by line, whose devices another file speaks of. Of YAML it knows as much as netplan's own examples
/// and installers use: blocks, no flow style. What else there is counts as somebody else's.
struct Subjects<'a> {
    placed: &'a [Placed<'a>],
    /// The names of all devices that there are.
    devices: &'a [Device],
    /// How far the keys of `network` and those of `ethernets` are indented.
    section: Option<usize>,
    id: Option<usize>,
    in_ethernets: bool,
    /// The last id is no device of ours, and no address of ours was seen below it yet.
    unknown: bool,
    ours: bool,
    others: bool,
}

impl<'a> Subjects<'a> {
    /// Nobody's yet.
    fn new(placed: &'a [Placed<'a>], devices: &'a [Device]) -> Subjects<'a> {
        let (section, id) = (None, None);
        Subjects { placed, devices, section, id, in_ethernets: false, unknown: false, ours: false, others: false }
    }

    /// Takes the next line.
    fn take(&mut self, line: &str) {
        let text = line.trim_ascii_start();
        let indent = line.len() - text.len();
        if text.is_empty() || text.starts_with('#') || text.starts_with("---") {
            return;
        }
        const AROUND: [char; 3] = ['"', '\'', ' '];
        let (key, value) = text.split_once(':').unwrap_or((text, ""));
        let (key, value) = (key.trim_matches(AROUND), value.trim_matches(AROUND));
        if indent == 0 {
            self.others |= key != "network" || !value.is_empty();
        } else if indent <= *self.section.get_or_insert(indent) {
            self.others |= core::mem::take(&mut self.unknown);
            (self.in_ethernets, self.id) = (key == "ethernets" && value.is_empty(), None);
            self.others |= !self.in_ethernets && !matches!(key, "version" | "renderer");
        } else if self.in_ethernets && indent <= *self.id.get_or_insert(indent) {
            let is_ours = self.is_ours(key);
            self.others |= core::mem::replace(&mut self.unknown, !is_ours);
            self.ours |= is_ours;
        } else if key == "macaddress"
            && let Some(mac) = Mac::parse(value)
            && self.placed.iter().any(|placed| placed.interface.mac == mac)
        {
            (self.ours, self.unknown) = (true, false);
        } else if key == "name" && self.in_ethernets {
            // A pattern is about the devices that there are.
            for device in self.devices.iter().filter(|device| fits(device, value)) {
                let is_ours = self.is_ours(device);
                self.ours |= is_ours;
                self.others |= !is_ours;
                self.unknown = false;
            }
            self.unknown &= !value.bytes().any(|byte| is_wild(&byte));
        }
    }

    fn is_ours(&self, device: &str) -> bool {
        self.placed.iter().any(|placed| placed.device == Some(device))
    }

    /// That was all.
    fn verdict(self) -> Verdict {
        Verdict::of(self.ours, self.others || self.unknown)
    }
}

/// What makes a name a pattern (glob(7)).
fn is_wild(byte: &u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[' | b']')
}

/// Whether a device may have a name such as `eth*`: that begins and ends so.
fn fits(device: &str, name: &str) -> bool {
    let (device, name) = (device.as_bytes(), name.as_bytes());
    let mut fixed = name.split(is_wild);
    let (start, end) = (fixed.next().unwrap_or_default(), fixed.next_back());
    device.starts_with(start) && end.map_or(device == name, |end| device.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::managers::shared::edited;
    use crate::network::source::parse::tests::{private, public};

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

    #[test]
    fn an_edit_says_the_same_when_it_is_run_again() {
        let mut config = crate::network::managers::shared::config(&MANAGER, &[]);
        config.sound = false;
        let mut entries = Entries::new(&config);
        // The first lines are of no entry.
        let old = format!("{MAC_KEY}02:00:00:00:00:09\"\n    \"eth9\":\n");
        let mut edit = |old: Old<'_>, out: &mut dyn Sink| entries.edit(old, out);
        let once = edited(&old, &mut edit);
        assert_eq!(edited(&old, &mut edit), once);
    }

    #[test]
    fn whose_devices_a_file_speaks_of() {
        let public = public();
        let placed = [Placed { interface: &public, device: Some("eth0") }];
        let subjects = |text: &str| {
            let devices = ["lo", "eth0", "ens5"].map(|name| name.try_into().unwrap());
            let mut subjects = Subjects::new(&placed, &devices);
            text.lines().for_each(|line| subjects.take(line));
            subjects.verdict()
        };
        let cloud_init = r#"# This file is generated
network:
    version: 2
    ethernets:
        eth0:
            dhcp4: true
            match:
                macaddress: 00:00:00:00:00:01
"#;
        assert_eq!(subjects(cloud_init), Verdict::Goes);
        let by_mac = r#"network:
  renderer: networkd
  ethernets:
    "id0":
      match:
        macaddress: 'BC:76:4E:04:CF:E5'
      addresses: [192.0.2.10/24]
  version: 2
"#;
        assert_eq!(subjects(by_mac), Verdict::Goes);
        assert_eq!(
            subjects("network:\n  ethernets:\n    eth0: {dhcp4: true}\n    eth1:\n      dhcp4: true\n"),
            Verdict::Mixed
        );
        assert_eq!(subjects("network:\n  ethernets:\n    eth1: {}\n"), Verdict::Stays);
        assert_eq!(subjects(&format!("{by_mac}  bridges:\n    br0:\n      interfaces: [id0]\n")), Verdict::Mixed);
        assert_eq!(subjects("network: {ethernets: {eth0: {dhcp4: true}}}\n"), Verdict::Stays);
        assert_eq!(subjects("network:\n  ethernets: {eth0: {dhcp4: true}}\n"), Verdict::Stays);
        assert_eq!(subjects(""), Verdict::Stays);
        let by_name = |name: &str| format!("network:\n  ethernets:\n    all:\n      match:\n        name: {name}\n");
        let debian = by_name("'enp*'") + "    all-eth:\n      match:\n        name: eth*\n      dhcp4: true\n";
        assert_eq!(subjects(&debian), Verdict::Goes, "Debian's cloud images: enp* is nobody here");
        assert_eq!(subjects(&debian.replace("enp*", "en*")), Verdict::Mixed);
        let cases =
            [("eth0", Verdict::Goes), ("eth9", Verdict::Stays), ("wl*", Verdict::Stays), ("e*5", Verdict::Stays)];
        for (name, found) in cases {
            assert_eq!(subjects(&by_name(name)), found, "{name}");
        }
    }
}
