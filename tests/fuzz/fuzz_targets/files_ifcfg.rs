//! The initscripts' ifcfg files: keys of others stay, and a second time nothing changes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_fuzz::config::{key, only_these_go, write};
use nanova_fuzz::parts;

const KEYS: [&str; 24] = [
    "DEVICE",
    "HWADDR",
    "TYPE",
    "BOOTPROTO",
    "ONBOOT",
    "IPADDR",
    "NETMASK",
    "PREFIX",
    "BROADCAST",
    "NETWORK",
    "GATEWAY",
    "GATEWAYDEV",
    "DNS",
    "IPV6INIT",
    "IPV6ADDR",
    "IPV6ADDR_SECONDARIES",
    "IPV6_DEFAULTGW",
    "IPV6_AUTOCONF",
    "PEERDNS",
    "DEFROUTE",
    "IPV6_DEFROUTE",
    "DHCPV6C",
    "MTU",
    "NM_CONTROLLED",
];

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first_chunk() else { return };
    let [first, second, route] = parts(rest);
    let files = [
        ("/etc/sysconfig/network-scripts/ifcfg-eth0", first),
        ("/etc/sysconfig/network-scripts/ifcfg-eth1", second),
        ("/etc/sysconfig/network-scripts/route-eth0", route),
    ];
    write("ifcfg", *choice, &files, &|path, fed| {
        if path.contains("/ifcfg-") {
            only_these_go(fed, &|line| {
                let key = key(line).trim_end_matches(|c: char| c.is_ascii_digit());
                KEYS.contains(&key) || line.starts_with("# Written by nanova")
            });
        }
    });
});
