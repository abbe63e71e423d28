//! Whole runs of a network manager's files on a guest in memory, with a file of somebody else's in its directory: one
//! that does not name our interfaces stays, whoever's it is; nothing is left behind; a second run writes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::network::managers::{PersistentConfig, registry};
use nanova_core::network::model::{Interface, Placed};
use nanova_core::network::problems::Problems;
use nanova_core::platform::STAGED_NAME;
use nanova_core::test_platform::{FakePlatform, Node};
use nanova_fuzz::model::interface;
use nanova_fuzz::parts;
use std::sync::LazyLock;

static INTERFACES: LazyLock<[Interface; 1]> = LazyLock::new(|| {
    let document = r#"{"ips":[{"ip":"10.0.0.5","netmask":24}],"gateway":"10.0.0.1","dns":["9.9.9.9"]}"#;
    [interface("020000000001", document)]
});
/// A style, and files that it looks at.
const FILES: [(&str, &str, &str); 8] = [
    ("netplan", "/etc/netplan/50-other.yaml", "/etc/netplan/90-nanova.yaml"),
    ("ifupdown", "/etc/network/interfaces.d/other", "/etc/network/interfaces"),
    ("ifcfg", "/etc/sysconfig/network-scripts/ifcfg-eth7", "/etc/sysconfig/network-scripts/ifcfg-eth0"),
    ("suse", "/etc/sysconfig/network/ifcfg-eth7", "/etc/sysconfig/network/config"),
    ("networkd", "/etc/systemd/network/00-nanova-020000000009.network", "/etc/systemd/network/x"),
    ("keyfile", "/etc/NetworkManager/system-connections/nanova-020000000009.nmconnection", "/etc/x"),
    ("netctl", "/etc/netctl/nanova-eth7", "/etc/netctl/nanova-eth0"),
    ("netifrc", "/etc/conf.d/other", "/etc/conf.d/net"),
];

fuzz_target!(|input: &[u8]| {
    let [choice, rest @ ..] = input else { return };
    let (style, other, ours) = FILES[usize::from(choice % 8)];
    let [other_text, ours_text, resolv] = parts(rest);
    let mut platform = FakePlatform::with(&[(other, ""), (ours, "")]);
    for (path, contents) in [(other, other_text), (ours, ours_text), ("/etc/resolv.conf", resolv)] {
        platform.nodes.insert(path.to_owned(), Node::File { contents: contents.to_vec(), mode: 0o644 });
    }
    let placed = [Placed { interface: &INTERFACES[0], device: Some("eth0") }];
    let config = PersistentConfig {
        manager: registry::named(style).expect("there is such a manager"),
        hostname: (choice & 16 != 0).then_some("web01"),
        former_name: "old",
        placed: &placed,
        interfaces: &INTERFACES[..],
        sound: choice & 8 == 0,
        tidy: true,
    };
    let mut problems = Problems::new();
    let outcome = config.write(&mut platform, &mut problems, None);
    assert!(outcome.written, "{}", platform.logged());
    assert!(platform.nodes.keys().all(|path| !path.contains(STAGED_NAME)), "nothing is left behind");
    let stays = matches!(style, "netplan" | "ifupdown")
        && !["eth0", "02:00:00:00:00:01", "02-00-00-00-00-01", "*", "?", "["]
            .iter()
            .any(|name| String::from_utf8_lossy(other_text).to_ascii_lowercase().contains(name));
    assert!(!stays || platform.nodes.contains_key(other), "it speaks of none of ours: {}", platform.logged());
    let once = platform.nodes.clone();
    platform.log.clear();
    config.write(&mut platform, &mut problems, None);
    let changed = once.iter().find(|(path, node)| platform.nodes.get(*path) != Some(node));
    assert!(changed.is_none() && once.len() == platform.nodes.len(), "{changed:?} {}", platform.logged());
});
