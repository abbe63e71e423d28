//! What the kernel and udev print: mounts, meminfo, uevents, a device's name. Nothing of it is longer or other than
//! what uses it takes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::boot::mounts::to_unmount;
use nanova_core::hotplug::added;
use nanova_core::network::handover::device_names::name_in;
use nanova_core::network::model::is_plain;
use nanova_core::report::memory::{Memory, has_moved};

fuzz_target!(|input: &[u8]| {
    if let Some(device) = added(input) {
        let path = device.as_str();
        assert!(
            path.starts_with("/sys/devices/system/cpu/cpu") || path.starts_with("/sys/devices/system/memory/memory")
        );
        assert!(path.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'/') && path.len() <= 48);
    }
    if let Some(memory) = Memory::parse(input) {
        assert!(!has_moved(memory.total, memory.total, memory.available));
        let _ = has_moved(memory.available, memory.total, memory.total);
    }
    if let Some(name) = name_in(input) {
        assert!(is_plain(&name) && name.len() <= 15);
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut count = 0;
    for path in to_unmount(text) {
        count += 1;
        assert!(path != "/" && path != "/proc" && !path.starts_with("/dev/"));
    }
    assert!(count <= text.matches('\n').count());
});
