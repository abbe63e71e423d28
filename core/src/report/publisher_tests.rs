//! What is published of a guest in memory, key by key, as XenServer's xe-daemon has them.

use super::*;
use crate::report::volumes::UUID_LEN;
use crate::test_platform::{FakePlatform, Node};
use crate::test_xenstore::FakeXenstore;
use crate::wire::net::{Ip, Prefixed};
use crate::wire::netlink::{Link, PresentAddress};
use crate::wire::xenstore::MessageType;

/// A guest and its report.
struct Guest {
    report: Report,
    client: Client<FakeXenstore>,
    platform: FakePlatform,
    may_set: fn(&mut FakePlatform) -> bool,
}

const MOUNTED: &str = "\
22 1 202:1 / / rw - ext4 /dev/xvda1 rw
23 22 0:21 / /proc rw - proc proc rw
24 22 0:30 /@home /home\\040of rw - btrfs /dev/xvdb rw
";

fn address(index: u32, ip: &str) -> PresentAddress {
    let ip: Ip = ip.parse().unwrap();
    PresentAddress { index, address: Prefixed::new(ip, 24).unwrap(), far: ip, flags: 0x80 }
}

/// A device whose file system has its UUID there.
fn device(at: usize, len: usize) -> Node {
    let mut contents = vec![0; len];
    for (place, byte) in contents.iter_mut().skip(at).take(UUID_LEN).enumerate() {
        *byte = 0x10 * place as u8 + 1;
    }
    Node::File { contents, mode: 0o660 }
}

impl Guest {
    fn with(interval: u32, nodes: &[(&str, &str)]) -> Guest {
        let mut platform = FakePlatform::with(&[("/etc/debian_version", "12.5\n"), ("/proc/self/mountinfo", MOUNTED)]);
        platform.host_name = "web01".to_owned();
        platform.put("/proc/meminfo", "MemTotal:        6400 kB\nMemFree:  1 kB\nMemAvailable:     3000 kB\n");
        platform.nodes.insert("/dev/xvda1".to_owned(), device(0x468, 5000));
        platform.nodes.insert("/dev/xvdb".to_owned(), device(0x10020, 0x10020 + 16));
        platform.spaces.insert("/".to_owned(), (64_000, 30_000));
        platform.spaces.insert("/home of".to_owned(), (128_000, 5_000));
        for (index, name) in [(2, "eth0"), (3, "enX1"), (4, "docker0")] {
            platform.kernel.links.push(Link { index, name: name.try_into().unwrap(), ..Link::default() });
        }
        platform.put("/sys/class/net/eth0/device/nodename", "device/vif/0\n");
        platform.put("/sys/class/net/enX1/device/nodename", "device/vif/1\n");
        platform.kernel.addresses = vec![address(2, "10.0.0.5"), address(3, "2001:db8::1"), address(4, "172.17.0.1")];
        let mut store = FakeXenstore::with(&[("xenserver/attr", "")]);
        nodes.iter().for_each(|(path, value)| store.put(path, value));
        let report = Report::new(interval, true);
        Guest { report, client: Client::new(store), platform, may_set: |_| true }
    }

    fn store(&mut self) -> &mut FakeXenstore {
        self.client.transport()
    }

    fn run(&mut self, now: u64) -> Result<(), Error> {
        self.report.run(&mut self.client, &mut self.platform, self.may_set, now)?;
        self.report.take_volumes(&mut self.client, &mut self.platform).map(drop)
    }

    /// Publishes all; what is asked of xenstore after that can be looked at.
    fn publish(&mut self, now: u64) {
        self.report.begin_anew();
        self.run(now).unwrap();
        self.store().asked.clear();
    }

    /// What was written since, and what was removed.
    fn changes(&mut self) -> Vec<String, 64> {
        let mut changes = Vec::new();
        for (kind, path, value) in core::mem::take(&mut self.store().asked) {
            match kind {
                MessageType::WRITE => changes.push(format!("{path}={value}")).unwrap(),
                MessageType::RM => changes.push(format!("-{path}")).unwrap(),
                _ => {}
            }
        }
        changes
    }

    fn below(&mut self, path: &str) -> std::vec::Vec<String> {
        self.store().below(path).into_iter().map(|(key, value)| format!("{key}={value}")).collect()
    }
}

type String = std::string::String;

const UUID: &str = "01112131-4151-6171-8191-a1b1c1d1e1f1";

#[test]
fn everything_is_there_in_the_form_that_toolstacks_read() {
    let mut guest = Guest::with(0, &[]);
    guest.platform.nodes.insert(BALLOON.as_str().to_owned(), Node::Directory);
    assert_eq!(guest.report.due_in(0), None);
    guest.run(0).unwrap();
    assert!(guest.store().asked.is_empty(), "nothing is due before it has begun");
    guest.report.begin_anew();
    assert_eq!(guest.report.due_in(7), Some(0));
    guest.run(7).unwrap();
    assert_eq!(
        guest.below("data"),
        [
            "host_name_dns=web01",
            "meminfo_free=3000",
            "meminfo_total=6400",
            "os_distro=debian",
            "os_majorver=12",
            "os_minorver=5",
            "os_name=Debian 12.5",
            "os_uname=6.1.0-test",
            "updated=1",
            "volumes/0/filesystem=ext4",
            "volumes/0/free=30000",
            "volumes/0/mount_points/0=/",
            &format!("volumes/0/name=/dev/xvda1({UUID})"),
            "volumes/0/size=64000",
            "volumes/1/filesystem=btrfs",
            "volumes/1/free=5000",
            "volumes/1/mount_points/0=/home of",
            &format!("volumes/1/name=/dev/xvdb({UUID})"),
            "volumes/1/size=128000",
        ]
    );
    assert_eq!(guest.below("control"), ["feature-balloon=1", "feature-static-ip-setting=1"]);
    assert_eq!(guest.below("attr/vif"), ["0/ipv4/0=10.0.0.5", "1/ipv6/0=2001:db8::1"]);
    assert_eq!(guest.below("attr/PVAddons").len(), 5);
    assert_eq!(guest.store().get("attr/PVAddons/BuildVersion"), Some("nanova"));
    assert_eq!(
        guest.store().asked(MessageType::WRITE).last(),
        Some(&"attr/PVAddons/Installed"),
        "XAPI looks once all is there"
    );
    assert_eq!(guest.platform.logged(), "published what the guest is, with 2 addresses");
    assert_eq!((guest.report.due_in(8), guest.report.knows_time()), (None, false));
}

#[test]
fn what_is_missing_in_the_guest_is_left_out() {
    let mut guest = Guest::with(0, &[("control/feature-static-ip-setting", "1")]);
    for path in ["/etc/debian_version", "/proc/meminfo", "/proc/self/mountinfo"] {
        guest.platform.nodes.remove(path);
    }
    guest.may_set = |_| false;
    guest.publish(0);
    assert_eq!(guest.below("data"), ["host_name_dns=web01", "os_uname=6.1.0-test", "updated=1"]);
    assert_eq!(guest.below("control"), [""; 0]);
    assert!(guest.platform.logged().contains("cannot read /proc/self/mountinfo"));
    // Where nobody takes addresses the key is somebody else's.
    let mut guest = Guest::with(0, &[("control/feature-static-ip-setting", "1")]);
    guest.report = Report::new(0, false);
    guest.may_set = |_| panic!("it was not asked for");
    guest.publish(0);
    assert_eq!(guest.below("control"), ["feature-static-ip-setting=1"]);
    assert!(!guest.report.takes_addresses());
}

#[test]
fn a_report_begins_with_the_first_event_of_its_watch_or_where_there_is_none_at_once() {
    let mut guest = Guest::with(0, &[]);
    guest.report.start(&mut guest.client).unwrap();
    assert_eq!(guest.store().watches, [("unique-domain-id".to_owned(), "nanova-life".to_owned())]);
    assert_eq!(guest.report.due_in(0), None);
    guest.publish(0);
    // On the next connection it has yet to begin.
    guest.report.start(&mut guest.client).unwrap();
    guest.report.link_changed();
    assert_eq!((guest.report.due_in(100), guest.report.knows_time()), (None, false));
    guest.store().refuses.push((MessageType::WATCH, "unique-domain-id", "EACCES"));
    guest.report.start(&mut guest.client).unwrap();
    assert_eq!(guest.report.due_in(0), Some(0));
    guest.store().lose = Some((0, false));
    assert!(guest.report.start(&mut guest.client).is_err());
}

#[test]
fn memory_and_volumes_are_written_when_they_have_moved() {
    let mut guest = Guest::with(60, &[]);
    guest.publish(1000);
    assert_eq!((guest.report.due_in(1000), guest.report.due_in(60_999)), (Some(60_000), Some(1)));
    assert!(guest.report.knows_time());
    guest.run(60_999).unwrap();
    assert!(guest.store().asked.is_empty());
    // A hundred of 6400 are a 64th.
    guest.platform.put("/proc/meminfo", "MemTotal: 6400 kB\nMemAvailable: 2900 kB\n");
    guest.platform.spaces.insert("/".to_owned(), (64_000, 31_000));
    assert_eq!(guest.report.due_in(61_000), Some(0));
    guest.run(61_000).unwrap();
    assert_eq!(guest.changes(), [""; 0]);
    assert_eq!(guest.report.due_in(61_000), Some(60_000));
    guest.platform.put("/proc/meminfo", "MemTotal: 6400 kB\nMemAvailable: 2899 kB\n");
    guest.run(121_000).unwrap();
    assert_eq!(guest.changes(), ["data/meminfo_total=6400", "data/meminfo_free=2899"]);
    // More memory, as much of it free as before.
    guest.platform.put("/proc/meminfo", "MemTotal: 6500 kB\nMemAvailable: 2899 kB\n");
    guest.run(181_000).unwrap();
    assert_eq!(guest.changes(), ["data/meminfo_total=6500", "data/meminfo_free=2899"]);
    // Every tenth look is one at volumes, too.
    guest.platform.spaces.insert("/home of".to_owned(), (128_000, 7001));
    (241_000..601_000).step_by(60_000).for_each(|now| guest.run(now).unwrap());
    assert_eq!(guest.changes(), [""; 0]);
    guest.run(601_000).unwrap();
    let changes = guest.changes();
    assert_eq!((changes.len(), changes[0].as_str()), (11, "-data/volumes"));
    assert!(changes.contains(&"data/volumes/1/free=7001".to_owned()), "{changes:?}");
    // One volume less.
    guest.platform.put("/proc/self/mountinfo", MOUNTED.lines().next().unwrap());
    (661_000..=1_201_000).step_by(60_000).for_each(|now| guest.run(now).unwrap());
    assert_eq!(guest.changes().len(), 6);
    assert_eq!(guest.below("data/volumes").len(), 5);
    // Nothing to look at is no news to anybody.
    guest.run(1_261_000).unwrap();
    assert_eq!(guest.changes(), [""; 0]);
    assert!(!guest.platform.logged().contains("cannot read"));
}

#[test]
fn a_new_host_name_is_told_and_xapi_is_made_to_look() {
    let mut guest = Guest::with(60, &[]);
    guest.publish(0);
    let told = |name| [format!("data/host_name_dns={name}"), "attr/PVAddons/Installed=1".to_owned()];
    // With volumes, and when the network has changed: so it is after resetnetwork.
    guest.platform.host_name = "web02".to_owned();
    (60_000..600_000).step_by(60_000).for_each(|now| guest.run(now).unwrap());
    assert_eq!(guest.changes(), [""; 0]);
    guest.run(600_000).unwrap();
    assert_eq!(guest.changes(), told("web02"));
    guest.platform.host_name = "web03".to_owned();
    guest.report.link_changed();
    guest.run(601_000).unwrap();
    assert_eq!(guest.changes(), told("web03"));
}

#[test]
fn volumes_that_nobody_could_look_at_are_looked_at_the_next_time() {
    let mut guest = Guest::with(60, &[]);
    guest.platform.errands.refused = Some(Errno::AGAIN);
    guest.publish(0);
    assert_eq!(guest.below("data/volumes"), [""; 0]);
    guest.run(60_000).unwrap();
    guest.platform.errands.refused = None;
    guest.run(120_000).unwrap();
    assert_eq!(guest.below("data/volumes").len(), 10);
}

#[test]
fn a_uuid_that_cannot_be_had_is_left_out() {
    let mut guest = Guest::with(0, &[]);
    guest.platform.nodes.insert("/dev/xvda1".to_owned(), device(0x468, 0x468 + 15));
    guest.platform.nodes.remove("/dev/xvdb");
    guest.publish(0);
    assert_eq!(guest.store().get("data/volumes/0/name"), Some("/dev/xvda1"));
    assert_eq!(guest.store().get("data/volumes/1/name"), Some("/dev/xvdb"));
    // A short device ends before that of btrfs; one of another file system has none that is known.
    guest.platform.nodes.insert("/dev/xvdb".to_owned(), device(0x10020, 3000));
    guest.platform.put("/proc/self/mountinfo", &MOUNTED.replace("ext4", "vfat"));
    guest.publish(0);
    assert_eq!(guest.store().get("data/volumes/0/name"), Some("/dev/xvda1"));
    assert_eq!(guest.store().get("data/volumes/1/name"), Some("/dev/xvdb"));
}

#[test]
fn more_volumes_than_are_published_are_told_once() {
    let mut guest = Guest::with(60, &[]);
    let mounts: String = (0..7).map(|n| format!("1 1 8:{n} / /m{n} rw - vfat /dev/sd{n} rw\n")).collect();
    guest.platform.put("/proc/self/mountinfo", &mounts);
    guest.publish(0);
    assert!(guest.platform.logged().contains("more than 5 volumes, or too long a path; the others are not published"));
    assert_eq!(guest.store().get("data/volumes/4/mount_points/0"), Some("/m4"));
    assert_eq!(guest.store().get("data/volumes/4/size"), Some("0"), "its space is not known");
    guest.platform.spaces.insert("/m0".to_owned(), (100, 50));
    (60_000..=600_000).step_by(60_000).for_each(|now| guest.run(now).unwrap());
    assert_eq!(guest.platform.logged().matches("more than 5 volumes").count(), 1);
}

#[test]
fn addresses_are_told_at_once_and_further_ones_after_a_pause() {
    let mut guest = Guest::with(0, &[]);
    guest.publish(1000);
    guest.report.link_changed();
    assert_eq!((guest.report.due_in(1001), guest.report.is_pausing(1001)), (Some(14), true));
    assert_eq!((guest.report.due_in(1015), guest.report.is_pausing(1015)), (Some(0), false));
    assert!(guest.report.knows_time());
    guest.run(1014).unwrap();
    assert!(guest.store().asked.is_empty());
    guest.platform.kernel.addresses.push(address(2, "10.0.0.6"));
    guest.run(1015).unwrap();
    assert_eq!(guest.changes(), ["attr/vif/0/ipv4/1=10.0.0.6"]);
    assert_eq!((guest.report.due_in(1015), guest.report.is_pausing(1015)), (None, false));
    guest.report.link_changed();
    assert_eq!(guest.report.due_in(1020), Some(10));
    // Nothing that is published has changed.
    guest.platform.kernel.addresses.push(address(4, "172.18.0.1"));
    guest.run(1030).unwrap();
    assert_eq!(guest.changes(), [""; 0]);
}

#[test]
fn an_address_goes_with_its_key_and_the_last_one_with_its_directory() {
    let mut guest = Guest::with(0, &[]);
    guest.platform.kernel.addresses =
        vec![address(2, "10.0.0.5"), address(2, "10.0.0.6"), address(2, "2001:db8::5"), address(3, "10.1.0.1")];
    guest.publish(0);
    for (left, now, changes) in [
        (3, 100, &["-attr/vif/1"][..]),
        (2, 200, &["-attr/vif/0/ipv6"]),
        (1, 300, &["-attr/vif/0/ipv4/1"]),
        (0, 400, &["-attr/vif/0"]),
    ] {
        guest.platform.kernel.addresses.truncate(left);
        guest.report.link_changed();
        guest.run(now).unwrap();
        assert_eq!(guest.changes(), changes, "{left}");
    }
    // What is removed and what is written goes together.
    guest.platform.kernel.addresses = vec![address(3, "10.1.0.1")];
    guest.report.link_changed();
    guest.store().conflicts = 2;
    guest.run(500).unwrap();
    assert_eq!(guest.below("attr/vif"), ["1/ipv4/0=10.1.0.1"]);
    assert_eq!(guest.store().asked(MessageType::TRANSACTION_END), ["T"; 3]);
}

#[test]
fn nothing_stays_of_an_earlier_life() {
    let mut guest = Guest::with(
        0,
        &[
            ("attr/vif/5/ipv4/0", "203.0.113.9"),
            ("xenserver/attr/net-sriov-vf/1/ipv4/0", "203.0.113.9"),
            ("data/volumes/7/name", "/dev/gone"),
        ],
    );
    guest.publish(0);
    assert_eq!(guest.below("attr/vif"), ["0/ipv4/0=10.0.0.5", "1/ipv6/0=2001:db8::1"]);
    assert_eq!(guest.below("xenserver/attr"), [""; 0]);
    assert_eq!(guest.store().get("data/volumes/7/name"), None);
    // The same again after a migration.
    guest.store().put("attr/vif/5/ipv4/0", "203.0.113.9");
    guest.store().take("data/os_uname");
    guest.publish(0);
    assert_eq!(guest.below("attr/vif"), ["0/ipv4/0=10.0.0.5", "1/ipv6/0=2001:db8::1"]);
    assert!(guest.store().get("data/os_uname").is_some());
}

#[test]
fn old_toolstacks_get_all_ipv4_addresses_of_a_vif_in_one_key() {
    let mut guest = Guest::with(0, &[("attr/eth1/ip", "203.0.113.9")]);
    guest.store().take("xenserver");
    guest.platform.kernel.addresses = vec![
        address(2, "10.0.0.5"),
        address(3, "10.1.0.1"),
        address(2, "2001:db8::1"),
        address(2, "10.0.0.6"),
        address(2, "10.0.0.7"),
    ];
    guest.publish(0);
    assert_eq!(guest.store().get("attr/eth0/ip"), Some("10.0.0.5 10.0.0.6 10.0.0.7"));
    assert_eq!(guest.store().get("attr/eth1/ip"), Some("10.1.0.1"));
    guest.platform.kernel.addresses.remove(3);
    guest.report.link_changed();
    guest.run(100).unwrap();
    assert_eq!(guest.store().get("attr/eth0/ip"), Some("10.0.0.5 10.0.0.7"));
    guest.platform.kernel.addresses.retain(|address| address.index == 2);
    guest.report.link_changed();
    guest.run(200).unwrap();
    assert_eq!(["attr/eth1/ip", "attr/eth1"].map(|path| guest.store().get(path).is_some()), [false, false]);
    // A value has room for sixteen.
    guest.platform.kernel.addresses = (0..20).map(|n| address(2, &format!("100.100.100.{}", 100 + n))).collect();
    guest.report.link_changed();
    guest.run(3000).unwrap();
    let value = guest.store().get("attr/eth0/ip").unwrap().to_owned();
    assert!(value.len() == 255 && value.split(' ').all(|ip| ip.parse::<Ip>().is_ok()), "{value}");
    // What an earlier life left goes, too: there is no address of that VIF.
    guest.store().put("attr/eth1/ip", "203.0.113.9");
    guest.publish(300);
    assert_eq!(guest.store().get("attr/eth1/ip"), None);
    // New toolstacks read no such key.
    let mut guest = Guest::with(0, &[]);
    guest.publish(0);
    assert_eq!(guest.store().get("attr/eth0/ip"), None);
}

#[test]
fn a_refusal_is_told_once_and_the_rest_is_published() {
    let mut guest = Guest::with(0, &[]);
    guest.store().refuses.push((MessageType::WRITE, "data/os_uname", "EACCES"));
    guest.store().refuses.push((MessageType::WRITE, "control", "EPERM"));
    guest.publish(0);
    guest.publish(10);
    assert_eq!(guest.platform.logged().matches("xenstore refuses").count(), 1);
    assert!(guest.platform.logged().contains("xenstore refuses data/os_uname: EACCES; not tried again"));
    assert_eq!(guest.below("attr/vif").len(), 2);
    assert_eq!(guest.store().get("attr/PVAddons/Installed"), Some("1"));
    // Nor is a transaction that cannot be had the end.
    let mut guest = Guest::with(0, &[]);
    guest.store().refuses.push((MessageType::TRANSACTION_START, "", "EACCES"));
    guest.publish(0);
    assert_eq!((guest.below("attr/vif").len(), guest.below("data").len()), (0, 9));
    assert!(guest.platform.logged().contains("xenstore refuses a transaction: "), "{}", guest.platform.logged());
}

#[test]
fn addresses_that_were_refused_are_all_written_the_next_time() {
    let mut guest = Guest::with(0, &[]);
    guest.store().refuses.push((MessageType::WRITE, "attr/vif/0", "ENOSPC"));
    guest.publish(0);
    assert_eq!(guest.below("attr/vif"), ["1/ipv6/0=2001:db8::1"]);
    guest.store().refuses.clear();
    guest.report.link_changed();
    guest.run(100).unwrap();
    assert_eq!(guest.below("attr/vif"), ["0/ipv4/0=10.0.0.5", "1/ipv6/0=2001:db8::1"]);
    // From then on only what changes is.
    guest.store().asked.clear();
    guest.report.link_changed();
    guest.run(200).unwrap();
    assert_eq!(guest.changes(), [""; 0]);
}

#[test]
fn a_refusal_elsewhere_says_nothing_of_the_addresses() {
    let mut guest = Guest::with(0, &[]);
    guest.store().refuses.push((MessageType::WRITE, "data/os_uname", "EACCES"));
    guest.publish(0);
    guest.report.link_changed();
    guest.run(100).unwrap();
    assert_eq!(guest.changes(), [""; 0]);
}

#[test]
fn what_the_kernel_does_not_tell_changes_nothing() {
    let mut guest = Guest::with(0, &[]);
    guest.publish(0);
    guest.platform.kernel.silent = Some(Errno::IO);
    guest.report.link_changed();
    guest.run(100).unwrap();
    assert_eq!(guest.changes(), [""; 0]);
    assert!(guest.platform.logged().contains("cannot list the addresses"));
    assert!(guest.platform.logged().contains("what is published stays"));
    // Which there are is not known any more, so all are written.
    guest.platform.kernel.silent = None;
    guest.report.link_changed();
    guest.run(200).unwrap();
    assert!(guest.changes().contains(&"attr/vif/0/ipv4/0=10.0.0.5".to_owned()));
}

#[test]
fn more_addresses_than_there_is_room_for_are_told_once() {
    let mut guest = Guest::with(0, &[]);
    guest.platform.kernel.addresses = (1..40).map(|n| address(2, &format!("10.0.0.{n}"))).collect();
    guest.publish(0);
    guest.publish(10);
    assert_eq!(guest.below("attr/vif").len(), 24);
    let told = "too many links or addresses; 24 addresses are published";
    assert_eq!(guest.platform.logged().matches(told).count(), 1);
    // Links of others are no reason, however many; more upon VIFs than can be known are.
    for (lower, tells) in [(0, 0), (2, 1)] {
        let mut guest = Guest::with(0, &[]);
        for index in 10..80 {
            let link = Link { index, lower, name: "veth".try_into().unwrap(), ..Link::default() };
            guest.platform.kernel.links.insert(0, link);
        }
        guest.publish(0);
        assert_eq!(guest.platform.logged().matches(told).count(), tells);
        assert_eq!(guest.below("attr/vif"), ["0/ipv4/0=10.0.0.5", "1/ipv6/0=2001:db8::1"]);
    }
}

#[test]
fn a_device_without_a_node_in_sysfs_is_told_by_its_mac_address() {
    let mut guest = Guest::with(
        0,
        &[
            ("xenserver/device/net-sriov-vf/2/mac", "02:00:00:00:77:01"),
            ("device/vif/3/mac", "02:00:00:00:77:02"),
            ("device/vif/4/mac", "none"),
        ],
    );
    for (index, name, mac) in [(6, "ens5", "020000007701"), (7, "enX3", "020000007702"), (8, "wg0", "020000007703")] {
        let mac = Mac::parse(mac);
        guest.platform.kernel.links.push(Link { index, name: name.try_into().unwrap(), mac, ..Link::default() });
    }
    let more = [address(6, "10.5.0.1"), address(7, "10.3.0.1"), address(8, "10.6.0.1")];
    guest.platform.kernel.addresses.extend(more);
    guest.publish(0);
    assert_eq!(guest.below("xenserver/attr"), ["net-sriov-vf/2/ipv4/0=10.5.0.1"]);
    assert_eq!(guest.below("attr/vif"), ["0/ipv4/0=10.0.0.5", "1/ipv6/0=2001:db8::1", "3/ipv4/0=10.3.0.1"]);
    // They are looked up once, as long as they are there.
    guest.report.link_changed();
    guest.run(100).unwrap();
    assert!(guest.store().asked(MessageType::READ).is_empty());
    guest.platform.kernel.links.retain(|link| link.index != 6);
    guest.platform.kernel.addresses.retain(|address| address.index != 6);
    guest.report.link_changed();
    guest.run(200).unwrap();
    assert_eq!(guest.below("xenserver/attr"), [""; 0]);
}

#[test]
fn a_connection_that_is_lost_anywhere_leaves_all_to_be_published() {
    let mut requests = 0;
    loop {
        let mut guest = Guest::with(0, &[("device/vif/3/mac", "02:00:00:00:77:02")]);
        guest.platform.kernel.links[2].mac = Mac::parse("020000007703");
        guest.store().lose = Some((requests, false));
        guest.report.begin_anew();
        if guest.report.run(&mut guest.client, &mut guest.platform, guest.may_set, 0).is_ok() {
            break;
        }
        assert!(!guest.platform.logged().contains("published what the guest is"), "{requests}");
        assert_eq!(guest.report.due_in(0), Some(0), "{requests}");
        requests += 1;
    }
    assert!(requests > 20, "{requests}");
}
