//! The addresses that XAPI sets: whatever is said, the model keeps its rules, and every VIF with a setting is answered,
//! with a code and a bounded message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::commands::static_ip::{apply, is_news};
use nanova_core::network::{Network, Target};
use nanova_core::test_platform::FakePlatform;
use nanova_core::xenstore::Client;
use nanova_fuzz::model::{check, read};
use nanova_fuzz::nodes::Nodes;

const KEYS: [&str; 7] = ["enabled", "address", "gateway", "enabled6", "address6", "gateway6", "mac"];
const MACS: [&str; 3] = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:01"];

/// A store with these settings, a line a key, for VIFs 0 to 2; and with vm-data beside it.
fn store(input: &[u8]) -> Nodes<'_> {
    let mut store = Nodes::default();
    for (vif, values) in input.split(|byte| *byte == 0x1e).take(3).enumerate() {
        for (place, value) in values.split(|byte| *byte == b'\n').take(7).enumerate() {
            let value = if place == 6 && value.is_empty() { MACS[vif].as_bytes() } else { value };
            if !value.is_empty() {
                store.put(format!("xenserver/device/vif/{vif}/static-ip-setting/{}", KEYS[place]), value);
            }
        }
    }
    let vm_data = br#"{"ips":[{"ip":"10.0.0.5","netmask":24}],"ip6s":[{"ip":"2001:db8::5","netmask":64}],
        "gateway":"10.0.0.1","dns":["9.9.9.9"]}"#;
    store.put("vm-data/networking/020000000001", vm_data);
    store
}

fuzz_target!(|input: &[u8]| {
    let mut network = Network::new();
    read(&mut network, store(input));
    check(&network);
    let mut client = Client::new(store(input));
    let mut platform = FakePlatform::with(&[]);
    let answer = apply(&mut client, &mut platform, &mut network, Target::Kernel).expect("this store answers");
    let written = &client.transport().written;
    assert_eq!(answer.is_some(), !written.is_empty());
    for (path, value) in written {
        assert!(!is_news(path), "our own answer is no news");
        assert!(path.ends_with("/error-msg") || value == b"0" || value == b"1", "{path}");
        assert!(value.len() <= 512);
    }
    let codes = written.iter().filter(|(path, _)| path.ends_with("/error-code")).count();
    assert_eq!(codes * 2, written.len(), "a message for each code");
});
