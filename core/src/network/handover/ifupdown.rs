//! ifupdown's notes of what is up: `/run/network/ifstate`, with a line for each interface, and a file for each one.
//!
//! ifup fails on an interface that has its address already ("Address already assigned"), and networking.service with
//! it; what these notes say is up it leaves alone. Rules: ifupdown, `main.c` (`statefile`), `config.c`.

use crate::files::lines::Sink;

/// Longest list that is added to: an initramfs has none.
pub(super) const LIST_MAX: usize = 512;

/// The list: what was in it, and a line for each interface that it does not say is up.
pub(super) fn list<'a>(out: &mut dyn Sink, old: &str, devices: impl Iterator<Item = &'a str>) {
    out.put(old);
    if !old.is_empty() && !old.ends_with('\n') {
        out.put("\n");
    }
    let is_up = |device: &str| old.lines().any(|line| line.split('=').next() == Some(device));
    devices.filter(|device| !is_up(device)).for_each(|device| writeln!(out, "{device}={device}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(old: &str, devices: &[&str]) -> String {
        let mut text = String::new();
        list(&mut text, old, devices.iter().copied());
        text
    }

    #[test]
    fn what_is_up_is_listed_once() {
        assert_eq!(listed("", &["eth0", "enX1"]), "eth0=eth0\nenX1=enX1\n");
        assert_eq!(listed("lo=lo\neth0=home\n", &["eth0", "eth1"]), "lo=lo\neth0=home\neth1=eth1\n");
        assert_eq!(listed("lo=lo", &["eth0"]), "lo=lo\neth0=eth0\n");
    }
}
