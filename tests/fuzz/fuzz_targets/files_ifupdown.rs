//! /etc/network/interfaces: stanzas of others stay, and a second time nothing changes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_fuzz::config::{Fed, write};

/// Whether a word names one of the devices, whatever alias it has.
fn is_ours(word: Option<&str>) -> bool {
    const DEVICES: [&str; 8] = ["eth0", "eth1", "enX2", "eth0.5", "enp0s1", "eth9", "a$(b)", "é"];
    word.and_then(|word| word.split(':').next()).is_some_and(|device| DEVICES.contains(&device))
}

fn judge(fed: &[Fed<'_>]) {
    // In our part, and in a stanza of ours.
    let (mut inside, mut in_stanza) = (false, false);
    for line in fed {
        let text = std::str::from_utf8(line.old).unwrap_or_default();
        let mut words = text.split_ascii_whitespace();
        let first = words.next().filter(|_| line.is_line).unwrap_or_default();
        inside |= line.is_line && text == "# nanova: begin, written from vm-data in xenstore";
        if inside {
            inside = text != "# nanova: end";
            in_stanza = false;
            continue;
        }
        let is_list = first == "auto" || first.starts_with("allow-");
        if is_list || matches!(first, "iface" | "mapping" | "source" | "source-directory" | "rename" | "template") {
            in_stanza = first == "iface" && is_ours(words.next());
        } else if first.starts_with("no-") {
            in_stanza = false;
        }
        if is_list {
            // Names of others stay in such a list.
            let others = text.split_ascii_whitespace().skip(1).filter(|name| !is_ours(Some(name)));
            let written = String::from_utf8_lossy(line.new);
            assert!(others.into_iter().all(|name| written.split_ascii_whitespace().any(|word| word == name)), "{text}");
        } else {
            assert!(line.is_kept() || in_stanza, "{text:?} is gone");
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first_chunk() else { return };
    write("ifupdown", *choice, &[("/etc/network/interfaces", rest)], &|_, fed| judge(fed));
});
