//! The guest's name and its name servers: /etc/hostname, /etc/hosts, /etc/resolv.conf, and the other places where some
//! distributions keep the name. Lines that are not ours stay, byte for byte.

use core::fmt;

use crate::files::lines::{Old, Sink};
use crate::network::managers::manager::{ConfigFiles, Maker, NETWORK_MANAGER, PUBLIC, PersistentConfig};
use crate::network::managers::shared::Dropped;
use crate::network::model::{Interface, first_label, system_name};
use crate::platform::GuestPath;
use crate::wire::net::{Family, Ip};
use crate::wire::text::{Bounded, text_at_start};

/// A file in each directory where these files are staged, for who tidies up.
pub(crate) const PLACES: &[GuestPath<'static>] =
    &[GuestPath::literal("/etc/x"), GuestPath::literal("/etc/sysconfig/x"), GuestPath::literal("/etc/conf.d/x")];

/// Where some distributions keep the host's name beside /etc/hostname; changed if they do.
const ASSIGNED: [(&str, &str); 3] =
    [("/etc/sysconfig/network", "HOSTNAME"), ("/etc/conf.d/hostname", "hostname"), ("/etc/rc.conf", "HOSTNAME")];
const HOSTS: &str = "/etc/hosts";
/// SUSE's of old.
const OLD_NAME: &str = "/etc/HOSTNAME";

/// Signs of a system that reads /etc/hostname: systemd, and os-release, which came with it.
const MODERN: [GuestPath<'static>; 4] = [
    GuestPath::literal("/usr/lib/systemd/systemd"),
    GuestPath::literal("/lib/systemd/systemd"),
    GuestPath::literal("/usr/lib/os-release"),
    GuestPath::literal("/etc/os-release"),
];
/// A Red Hat; without the others, RHEL 6 or older: it reads HOSTNAME in /etc/sysconfig/network and nothing else.
const RED_HAT: [GuestPath<'static>; 1] = [GuestPath::literal("/etc/redhat-release")];
/// A SUSE; without systemd, SLES 11 or older: it reads /etc/HOSTNAME and nothing else. (Its os-release is late.)
const SUSE: [GuestPath<'static>; 1] = [GuestPath::literal("/etc/SuSE-release")];

/// Writes the files of names.
pub fn write(config: &PersistentConfig<'_>, files: &mut dyn ConfigFiles) {
    let mut written_name = FormerName::new();
    if let Some(name) = config.hostname {
        write_name(system_name(name), &mut written_name, files);
    }
    if !config.interfaces.is_empty() && (config.hostname.is_some() || files.is_file(HOSTS)) {
        let name = config.hostname.unwrap_or(config.former_name);
        let mut hosts = Hosts::new(name, config.hostname.is_some(), config.interfaces);
        hosts.former = [config.former_name, written_name.as_str()];
        files.edit(format_args!("{HOSTS}"), PUBLIC, &mut |old, out| hosts.edit(old, out));
        if let Some(line) = hosts.foreign {
            files.warn(format_args!("{HOSTS}: '{}' stands before our line and is not ours", line.as_str()));
        }
    }
    let mut resolv = Resolv::new(config.interfaces);
    if resolv.has_any() {
        files.make_way(RESOLV, &RESOLVERS);
        files.edit(format_args!("{RESOLV}"), PUBLIC, &mut |old, out| resolv.edit(old, out));
    }
}

/// What /etc/hostname says before it is changed; a name that is too long is nobody's.
type FormerName = Bounded<64>;

fn write_name(name: &str, former: &mut FormerName, files: &mut dyn ConfigFiles) {
    files.edit(format_args!("/etc/hostname"), PUBLIC, &mut |old, out| {
        if let (Old::Line(line), "") = (old, former.as_str()) {
            *former = FormerName::of(format_args!("{}", text_at_start(line).trim_ascii()));
        }
        hostname(old, out, name);
    });
    let has_systemd = files.exists(&MODERN[..2]);
    if files.is_file(OLD_NAME) || !has_systemd && files.exists(&SUSE) {
        files.edit(format_args!("{OLD_NAME}"), PUBLIC, &mut |old, out| hostname(old, out, name));
    }
    let reads_nothing_else = !has_systemd && files.exists(&RED_HAT) && !files.exists(&MODERN[2..]);
    for (number, (path, key)) in ASSIGNED.into_iter().enumerate() {
        let is_added = number == 0 && reads_nothing_else;
        if is_added || files.is_file(path) {
            let mut assignment = Assignment { is_added, ..Assignment::of(key, &name) };
            files.edit(format_args!("{path}"), PUBLIC, &mut |old, out| assignment.edit(old, out));
        }
    }
}

const RESOLV: GuestPath<'static> = GuestPath::literal("/etc/resolv.conf");

/// Who makes the file that a link in the place of /etc/resolv.conf leads to.
static RESOLVERS: [Maker; 5] = [
    (
        "resolve",
        &[
            GuestPath::literal("/etc/systemd/system/multi-user.target.wants/systemd-resolved.service"),
            GuestPath::literal("/etc/systemd/system/sysinit.target.wants/systemd-resolved.service"),
            GuestPath::literal("/etc/systemd/system/dbus-org.freedesktop.resolve1.service"),
        ],
    ),
    ("resolvconf", &[GuestPath::literal("/sbin/resolvconf"), GuestPath::literal("/usr/sbin/resolvconf")]),
    ("NetworkManager", &NETWORK_MANAGER),
    ("netconfig", &[GuestPath::literal("/sbin/netconfig"), GuestPath::literal("/usr/sbin/netconfig")]),
    ("connman", &[GuestPath::literal("/usr/sbin/connmand"), GuestPath::literal("/usr/bin/connmand")]),
];

/// What our line in /etc/hosts ends with (hosts(5): a comment).
const MARK: &str = " # nanova";

/// /etc/hostname, /etc/HOSTNAME: one line (hostname(5)).
fn hostname(old: Old<'_>, out: &mut dyn Sink, name: &str) {
    if old == Old::End {
        writeln!(out, "{name}");
    }
}

/// The edit of a file of shell assignments: the value of a key, if it has one, becomes another.
pub(super) struct Assignment<'a> {
    key: &'a str,
    value: &'a dyn fmt::Display,
    /// Whether it comes at the end if it is not there.
    is_added: bool,
    dropped: Dropped,
    written: bool,
}

impl<'a> Assignment<'a> {
    /// An edit that changes what is there.
    pub(super) fn of(key: &'a str, value: &'a dyn fmt::Display) -> Assignment<'a> {
        Assignment { key, value, is_added: false, dropped: Dropped::default(), written: false }
    }

    /// The edit.
    pub(super) fn edit(&mut self, old: Old<'_>, out: &mut dyn Sink) {
        let key = self.key;
        let assigns = |line: &[u8]| key_of(line) == Some(key.as_bytes());
        let writes = match old {
            _ if !self.dropped.takes(old, &assigns) => {
                out.keep(old);
                old == Old::End && self.is_added && !self.written
            }
            Old::Line(line) => assigns(line),
            _ => false,
        };
        if writes {
            writeln!(out, "{key}=\"{}\"", self.value);
        }
        self.written = (self.written || writes) && old != Old::End;
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
    let with_route = interfaces.iter().filter(|interface| interface.default_route(family).is_some());
    let address = with_route.chain(interfaces).find_map(|interface| interface.addresses_of(family).next())?;
    Some(address.ip)
}

/// /etc/hosts (hosts(5)): a line for each primary address with the name, whole and short. Ours are those with our mark
/// and those that name nothing but this guest at an address that is not its own loopback's: earlier agents left such.
/// Where the toolstack gives no name, the guest's own one, and nothing changes but lines with our mark.
///
/// The first line for an address counts, so ours stand before one that calls it what the guest was called before; any
/// other one is somebody's choice, and told. `localhost` and what is an address are names that get no line.
struct Hosts<'a> {
    name: &'a str,
    given: bool,
    interfaces: &'a [Interface],
    /// What the guest was called before: by the kernel, and by its files.
    former: [&'a str; 2],
    /// Somebody's line for one of our addresses that stands before ours.
    foreign: Option<Bounded<80>>,
    written: bool,
}

impl<'a> Hosts<'a> {
    /// An edit for these.
    fn new(name: &'a str, given: bool, interfaces: &'a [Interface]) -> Hosts<'a> {
        Hosts { name, given, interfaces, former: [""; 2], foreign: None, written: false }
    }

    fn short(&self) -> &'a str {
        first_label(self.name)
    }

    /// The edit. Ours come where the first of them was.
    fn edit(&mut self, old: Old<'_>, out: &mut dyn Sink) {
        match old {
            Old::Line(line) if !self.is_ours(line) => {
                if self.given && !self.written && self.is_superseded(line) {
                    self.write(out);
                    self.written = true;
                }
                out.keep(old);
            }
            Old::Piece(_) => out.keep(old),
            Old::Line(_) | Old::End => {
                if !self.written && (self.given || old != Old::End) {
                    self.write(out);
                }
                self.written = old != Old::End;
            }
        }
    }

    /// Whether a line calls one of our addresses what the guest was called before; a line that calls it something else
    /// is remembered.
    fn is_superseded(&mut self, line: &[u8]) -> bool {
        let line = text_at_start(line);
        let mut words = line.split_ascii_whitespace();
        let ip = words.next().and_then(|word| word.parse::<Ip>().ok());
        let (Some(ip), Some(first)) = (ip, words.next()) else { return false };
        if primary(self.interfaces, ip.family()) != Some(ip) {
            return false;
        }
        let is_own = |name: &str| name == self.name || name == self.short();
        // (A name that is kept is no former one: the same would come of it a second time.)
        let is_former = self
            .former
            .iter()
            .any(|former| !is_own(former) && !former.is_empty() && [first, first_label(first)].contains(former));
        if !is_former && !is_own(first) {
            self.foreign.get_or_insert(Bounded::of(format_args!("{line}")));
        }
        is_former
    }

    fn write(&self, out: &mut dyn Sink) {
        if self.short().eq_ignore_ascii_case("localhost") || self.name.parse::<Ip>().is_ok() {
            return;
        }
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

/// Every name server of all interfaces, once, with something between them.
pub(super) struct Servers<'a> {
    pub(super) interfaces: &'a [Interface],
    pub(super) between: &'a str,
}

impl fmt::Display for Servers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut between, mut done) = ("", Ok(()));
        servers(self.interfaces, &mut |server| {
            done = done.and_then(|()| write!(f, "{between}{server}"));
            between = self.between;
        });
        done
    }
}

/// Every name server of all interfaces, once.
fn servers(interfaces: &[Interface], each: &mut dyn FnMut(Ip)) {
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
    fn ours_stands_before_what_the_guest_was_called_before_and_behind_any_other_name() {
        let interfaces = [public()];
        let ours = "166.78.10.124\tweb01 # nanova\n";
        let edit = |old: &str, former: [&'static str; 2]| {
            let mut hosts = Hosts::new("web01", true, &interfaces);
            hosts.former = former;
            let text = edited(old, &mut |old, out| hosts.edit(old, out));
            (text, hosts.foreign.map(|line| line.as_str().to_owned()))
        };
        let image = "127.0.0.1 localhost\n166.78.10.124 image.example.org image\n::1 x\n";
        for former in [["image", ""], ["", "image"], ["", "image.example.org"]] {
            let (text, foreign) = edit(image, former);
            assert!(text.starts_with(&format!("127.0.0.1 localhost\n{ours}")), "{text}");
            assert!(text.ends_with("166.78.10.124 image.example.org image\n::1 x\n") && foreign.is_none(), "{text}");
            assert_eq!(edit(&text, ["web01", "web01"]), (text, None), "a second time");
        }
        let (text, foreign) = edit(image, ["web00", ""]);
        assert!(text.starts_with("127.0.0.1 localhost\n166.78.10.124 image.example.org image\n::1 x\n166."), "{text}");
        assert_eq!(foreign.as_deref(), Some("166.78.10.124 image.example.org image"));
        // One that calls it what it is called stays where it is, every time.
        let (text, foreign) = edit("166.78.10.124 web01 alias\n", ["image", "image"]);
        let six = "2001:4800:7810:512:e38a:a8b5:ff04:cfe5\tweb01 # nanova\n";
        let wanted = format!("166.78.10.124 web01 alias\n{ours}{six}");
        assert_eq!((text.as_str(), foreign), (wanted.as_str(), None));
        assert_eq!(edit(&text, ["web01", "web01"]), (text, None));
        // An address of somebody else's.
        assert_eq!(edit("10.9.9.9 image\n", ["image", ""]).1, None);
    }

    #[test]
    fn a_name_that_leads_astray_gets_no_line() {
        let interfaces = [public()];
        for name in ["localhost", "LocalHost.localdomain", "10.0.0.5"] {
            let mut hosts = Hosts::new(name, true, &interfaces);
            let old = "127.0.0.1 localhost\n166.78.10.124 localhost # nanova\n10.1.1.1 db\n";
            let text = edited(old, &mut |old, out| hosts.edit(old, out));
            assert_eq!(text, "127.0.0.1 localhost\n10.1.1.1 db\n", "{name}");
        }
        let mut hosts = Hosts::new("localhost.example.com.x", true, &[]);
        assert_eq!(edited("", &mut |old, out| hosts.edit(old, out)), "");
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
        let mut assignment = Assignment::of("HOSTNAME", &"new");
        let text = edited(old, &mut |old, out| assignment.edit(old, out));
        assert_eq!(text, "NETWORKING=yes\nHOSTNAME=\"new\"\n#HOSTNAME=x\n");
        let added = |old: &str| {
            let mut assignment = Assignment { is_added: true, ..Assignment::of("HOSTNAME", &"new") };
            edited(old, &mut |old, out| assignment.edit(old, out))
        };
        assert_eq!((added(old), added("A=1\n")), (text, "A=1\nHOSTNAME=\"new\"\n".to_owned()));
    }
}
