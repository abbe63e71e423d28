//! SUSE's ifcfg files, its name servers and its routes: what others have written stays, and a second time nothing
//! changes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_fuzz::config::{key, only_these_go, write};
use nanova_fuzz::parts;

const KEYS: [&str; 9] =
    ["BOOTPROTO", "STARTMODE", "MTU", "IPADDR", "NETMASK", "PREFIXLEN", "BROADCAST", "LABEL", "REMOTE_IPADDR"];

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first_chunk() else { return };
    let [first, dns, routes, second] = parts(rest);
    let files = [
        ("/etc/sysconfig/network/ifcfg-eth0", first),
        ("/etc/sysconfig/network/config", dns),
        ("/etc/sysconfig/network/routes", routes),
        ("/etc/sysconfig/network/ifcfg-eth1", second),
    ];
    write("suse", *choice, &files, &|path, fed| match path.rsplit('/').next() {
        Some("config") => only_these_go(fed, &|line| key(line) == "NETCONFIG_DNS_STATIC_SERVERS"),
        Some("routes") => {
            for line in fed.iter().filter(|line| !line.is_kept()) {
                let first = std::str::from_utf8(line.old).unwrap_or_default().split_ascii_whitespace().next();
                assert!(matches!(first, Some("default" | "0.0.0.0/0" | "::/0")), "{first:?}");
            }
        }
        Some(name) if name.starts_with("ifcfg-") => only_these_go(fed, &|line| {
            let key = key(line);
            KEYS.iter()
                .any(|known| key.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
                || line.starts_with("# Written by nanova")
        }),
        _ => {}
    });
});
