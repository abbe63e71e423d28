//! Files that are all ours, of netplan, networkd, NetworkManager and netctl, over whatever is there: what netplan's
//! said of interfaces that cannot be read stays, and a second time nothing changes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_fuzz::config::write;

fuzz_target!(|input: &[u8]| {
    let Some(([style, choice @ ..], rest)) = input.split_first_chunk::<3>() else { return };
    let (style, path) = [
        ("netplan", "/etc/netplan/90-nanova.yaml"),
        ("networkd", "/etc/systemd/network/00-nanova-020000000000.network"),
        ("keyfile", "/etc/NetworkManager/conf.d/90-nanova-dns.conf"),
        ("netctl", "/etc/netctl/nanova-eth0"),
        ("ifupdown", "/etc/network/interfaces"),
    ][usize::from(*style % 5)];
    let files = write(style, *choice, &[(path, rest)], &|_, _| {});
    for (path, contents) in files {
        assert!(contents.len() <= rest.len() + 8192, "{path} has {} bytes", contents.len());
    }
});
