//! The guest's name and its name servers: /etc/hostname, /etc/hosts, /etc/resolv.conf, and the other places where some
//! distributions keep the name. Lines that are not ours stay, byte for byte.

use crate::files::lines::{Old, Sink};
use crate::network::managers::manager::{ConfigFiles, PUBLIC, PersistentConfig};
use crate::network::managers::shared::Dropped;
use crate::network::model::Interface;
use crate::platform::GuestPath;
use crate::wire::net::{Family, Ip};

/// A file in each directory where these files are staged, for who tidies up.
pub(crate) const PLACES: &[GuestPath<'static>] =
    &[GuestPath::literal("/etc/x"), GuestPath::literal("/etc/sysconfig/x"), GuestPath::literal("/etc/conf.d/x")];

/// Where some distributions keep the host's name beside /etc/hostname; changed if they do.
const ASSIGNED: [(&str, &str); 3] =
    [("/etc/sysconfig/network", "HOSTNAME"), ("/etc/conf.d/hostname", "hostname"), ("/etc/rc.conf", "HOSTNAME")];
const HOSTS: &str = "/etc/hosts";
/// SUSE's of old.
const OLD_NAME: &str = "/etc/HOSTNAME";

/// Writes the files of names; `own_name` is the one that the guest has now.
pub(crate) fn write(config: &PersistentConfig<'_>, own_name: &str, files: &mut dyn ConfigFiles) {
    if let Some(name) = config.hostname {
        files.edit(format_args!("/etc/hostname"), PUBLIC, &mut |old, out| hostname(old, out, name));
        if files.is_file(OLD_NAME) {
            files.edit(format_args!("{OLD_NAME}"), PUBLIC, &mut |old, out| hostname(old, out, name));
        }
        for (path, key) in ASSIGNED {
            if files.is_file(path) {
                let mut dropped = Dropped::default();
                let edit = &mut |old: Old<'_>, out: &mut dyn Sink| assignment(old, out, &mut dropped, key, name);
                files.edit(format_args!("{path}"), PUBLIC, edit);
            }
        }
    }
    if !config.interfaces.is_empty() && (config.hostname.is_some() || files.is_file(HOSTS)) {
        let name = config.hostname.unwrap_or(own_name);
        let mut hosts = Hosts::new(name, config.hostname.is_some(), config.interfaces);
        files.edit(format_args!("{HOSTS}"), PUBLIC, &mut |old, out| hosts.edit(old, out));
    }
    let mut resolv = Resolv::new(config.interfaces);
    if resolv.has_any() {
        files.edit(format_args!("/etc/resolv.conf"), PUBLIC, &mut |old, out| resolv.edit(old, out));
    }
}

/// What our line in /etc/hosts ends with (hosts(5): a comment).
const MARK: &str = " # nanova";

/// /etc/hostname, /etc/HOSTNAME: one line (hostname(5)).
fn hostname(old: Old<'_>, out: &mut dyn Sink, name: &str) {
    if old == Old::End {
        writeln!(out, "{name}");
    }
}

/// A file of shell assignments: the value of `key`, if it has one, becomes `value`.
pub(super) fn assignment(old: Old<'_>, out: &mut dyn Sink, dropped: &mut Dropped, key: &str, value: &str) {
    let assigns = |line: &[u8]| key_of(line) == Some(key.as_bytes());
    if !dropped.takes(old, &assigns) {
        out.keep(old);
    } else if matches!(old, Old::Line(line) if assigns(line)) {
        writeln!(out, "{key}=\"{value}\"");
    }
}

/// The variable that a line of shell assigns to.
pub(super) fn key_of(line: &[u8]) -> Option<&[u8]> {
    let equals = line.iter().position(|byte| *byte == b'=')?;
    let key = line[..equals].trim_ascii();
    key.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').then_some(key)
}

/// The address of one family that the guest is known by: the first one of the interface with the default route, or else
/// the first of all.
fn primary(interfaces: &[Interface], family: Family) -> Option<Ip> {
    let with_route = interfaces.iter().filter(|interface| interface.gateway(family).is_some());
    let address = with_route.chain(interfaces).find_map(|interface| interface.addresses_of(family).next())?;
    Some(address.ip)
}

/// /etc/hosts (hosts(5)): a line for each primary address with the name, whole and short. Ours are those with our mark
/// and those that name nothing but this guest at an address that is not its own loopback's: earlier agents left such.
/// Where the toolstack gives no name, the guest's own one, and nothing changes but lines with our mark.
struct Hosts<'a> {
    name: &'a str,
    given: bool,
    interfaces: &'a [Interface],
    written: bool,
}

impl<'a> Hosts<'a> {
    /// An edit for these.
    fn new(name: &'a str, given: bool, interfaces: &'a [Interface]) -> Hosts<'a> {
        Hosts { name, given, interfaces, written: false }
    }

    fn short(&self) -> &'a str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// The edit. Ours come where the first of them was.
    fn edit(&mut self, old: Old<'_>, out: &mut dyn Sink) {
        match old {
            Old::Line(line) if !self.is_ours(line) => out.keep(old),
            Old::Piece(_) => out.keep(old),
            Old::Line(_) | Old::End => {
                if !self.written && (self.given || old != Old::End) {
                    self.write(out);
                }
                self.written = old != Old::End;
            }
        }
    }

    fn write(&self, out: &mut dyn Sink) {
        for ip in Family::BOTH.into_iter().filter_map(|family| primary(self.interfaces, family)) {
            write!(out, "{ip}\t{}", self.name);
            if self.short() != self.name {
                write!(out, " {}", self.short());
            }
            writeln!(out, "{MARK}");
        }
    }

    fn is_ours(&self, line: &[u8]) -> bool {
        let Ok(line) = core::str::from_utf8(line) else { return false };
        if line.ends_with(MARK) || !self.given {
            return line.ends_with(MARK);
        }
        let mut words = line.split_ascii_whitespace();
        let address = words.next().and_then(|word| word.parse::<Ip>().ok());
        let mut names = words.peekable();
        let any = names.peek().is_some();
        any && address.is_some_and(|ip| !ip.is_loopback())
            && names.all(|name| name == self.name || name == self.short())
    }
}

/// /etc/resolv.conf (resolv.conf(5)): our name servers in the place of those there, each once. `search` and all else
/// stays. Without any of ours nothing changes.
struct Resolv<'a> {
    interfaces: &'a [Interface],
    written: bool,
}

impl<'a> Resolv<'a> {
    /// An edit for these.
    fn new(interfaces: &'a [Interface]) -> Resolv<'a> {
        Resolv { interfaces, written: false }
    }

    /// Whether there is a name server at all.
    fn has_any(&self) -> bool {
        self.interfaces.iter().any(|interface| !interface.dns.is_empty())
    }

    /// The edit.
    fn edit(&mut self, old: Old<'_>, out: &mut dyn Sink) {
        match old {
            Old::Line(line) if !line.trim_ascii_start().starts_with(b"nameserver") => out.keep(old),
            Old::Piece(_) => out.keep(old),
            Old::Line(_) | Old::End => {
                if !self.written {
                    servers(self.interfaces, &mut |server| writeln!(out, "nameserver {server}"));
                }
                self.written = old != Old::End;
            }
        }
    }
}

/// Every name server of all interfaces, once.
pub(super) fn servers(interfaces: &[Interface], each: &mut dyn FnMut(Ip)) {
    for (place, interface) in interfaces.iter().enumerate() {
        for (number, server) in interface.dns.iter().enumerate() {
            let known = interface.dns[..number].contains(server)
                || interfaces[..place].iter().any(|interface| interface.dns.contains(server));
            if !known {
                each(*server);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::managers::shared::edited;
    use crate::network::source::parse::tests::{private, public};

    const HOSTS: &str =
        "127.0.0.1\tlocalhost\n127.0.1.1 web01\n# a note\n10.9.9.9 web01.example.org web01\n192.0.2.1 db\n";

    #[test]
    fn hosts_gets_the_primary_addresses_and_keeps_what_is_not_ours() {
        let interfaces = [private(), public()];
        let mut hosts = Hosts::new("web01.example.org", true, &interfaces);
        let text = edited(HOSTS, &mut |old, out| hosts.edit(old, out));
        assert_eq!(
            text,
            "127.0.0.1\tlocalhost\n127.0.1.1 web01\n# a note\n166.78.10.124\tweb01.example.org web01 # nanova\n\
             2001:4800:7810:512:e38a:a8b5:ff04:cfe5\tweb01.example.org web01 # nanova\n192.0.2.1 db\n"
        );
        assert_eq!(edited(&text, &mut |old, out| hosts.edit(old, out)), text);
        let mut renamed = Hosts::new("web02", true, &interfaces[..1]);
        let text = edited(&text, &mut |old, out| renamed.edit(old, out));
        assert!(text.contains("# a note\n10.181.30.181\tweb02 # nanova\n192.0.2.1 db\n"), "{text}");
    }

    #[test]
    fn resolv_conf_keeps_its_search_list() {
        let interfaces = [public(), private()];
        let mut resolv = Resolv::new(&interfaces);
        let text =
            edited("search example.org\nnameserver 1.1.1.1\noptions rotate\nnameserver 9.9.9.9\n", &mut |old, out| {
                resolv.edit(old, out)
            });
        assert_eq!(text, "search example.org\nnameserver 72.3.128.241\nnameserver 72.3.128.240\noptions rotate\n");
        assert_eq!(
            edited("", &mut |old, out| resolv.edit(old, out)),
            "nameserver 72.3.128.241\nnameserver 72.3.128.240\n"
        );
    }

    #[test]
    fn a_name_in_a_file_of_assignments() {
        let old = "NETWORKING=yes\nHOSTNAME=old\n#HOSTNAME=x\n";
        let mut dropped = Dropped::default();
        let text = edited(old, &mut |old, out| assignment(old, out, &mut dropped, "HOSTNAME", "new"));
        assert_eq!(text, "NETWORKING=yes\nHOSTNAME=\"new\"\n#HOSTNAME=x\n");
    }
}
