//! The host's vm-data, as nova and Ansible leave it: whatever it says, the model keeps its rules, what is wrong is told
//! in a bounded message, and reading it again gives the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::network::Network;
use nanova_fuzz::model::{check, read};
use nanova_fuzz::nodes::Nodes;
use nanova_fuzz::parts;

const KEYS: [&str; 12] =
    ["type", "type6", "ip", "prefix", "netmask", "gateway", "ip6", "prefix6", "gateway6", "name", "mac", "other"];

fuzz_target!(|input: &[u8]| {
    let Some((choice, input)) = input.split_first() else { return };
    let [hostname, first, second, third, rest] = parts(input);
    let mut store = Nodes::default();
    if choice & 1 != 0 {
        store.put("vm-data/hostname", hostname);
    }
    for (place, mac) in ["BC764E200572", "BC764E2017C9", "bc:76:4e:20:05:72"].iter().enumerate() {
        store.put(format!("device/vif/{place}/mac"), mac.as_bytes());
    }
    if choice & 2 != 0 {
        for (name, value) in [("BC764E200572", first), ("BC764E2017C9", second), ("bc764e200572", third)] {
            store.put(format!("vm-data/networking/{name}"), value);
        }
    } else {
        for (place, values) in [first, second, third, rest].iter().enumerate() {
            for (key, value) in
                KEYS.iter().zip(values.split(|byte| *byte == b'\n')).filter(|(_, value)| !value.is_empty())
            {
                store.put(format!("vm-data/networks/{place}/{key}"), value);
            }
        }
    }
    let mut network = Network::new();
    let told = read(&mut network, store);
    check(&network);
    assert!(told.len() <= nanova_core::commands::response::MESSAGE_MAX);
});
