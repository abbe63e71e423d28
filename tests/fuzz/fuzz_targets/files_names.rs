//! /etc/hostname, /etc/hosts, /etc/resolv.conf and where old distributions keep the name: foreign lines stay, and a
//! second time nothing changes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::wire::net::Ip;
use nanova_fuzz::config::{key, only_these_go, write};
use nanova_fuzz::parts;

/// A line of hosts that is ours: marked, or an address with nothing but this guest's names.
fn is_ours(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    line.ends_with(" # nanova")
        || words.next().is_some_and(|ip| ip.parse::<Ip>().is_ok_and(|ip| !ip.is_loopback()))
            && words.all(|name| ["web01", "web01.example.org", "localhost"].contains(&name))
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first_chunk() else { return };
    let [hosts, resolv, hostname, assigned] = parts(rest);
    let files = [
        ("/etc/hosts", hosts),
        ("/etc/resolv.conf", resolv),
        ("/etc/hostname", hostname),
        ("/etc/sysconfig/network", assigned),
        ("/etc/rc.conf", assigned),
    ];
    write("none", *choice, &files[..if assigned.is_empty() { 3 } else { 5 }], &|path, fed| match path {
        "/etc/hosts" => only_these_go(fed, &is_ours),
        "/etc/resolv.conf" => only_these_go(fed, &|line| line.trim_start().starts_with("nameserver")),
        "/etc/sysconfig/network" | "/etc/rc.conf" => only_these_go(fed, &|line| key(line) == "HOSTNAME"),
        "/etc/hostname" | "/etc/HOSTNAME" => {}
        path => panic!("{path} is not known here"),
    });
});
