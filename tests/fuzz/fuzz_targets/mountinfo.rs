//! /proc/self/mountinfo, in pieces: the volumes are the same however it is cut, each once, and no more of them than are
//! published.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::report::volumes::{MountTable, VOLUMES_MAX, uuid_offset};
use nanova_fuzz::pieces;

fn read(input: &[u8], sizes: &[u8]) -> MountTable {
    let mut table = MountTable::new();
    pieces(input, sizes).for_each(|piece| table.read(piece));
    table.read(&[]);
    table
}

fuzz_target!(|input: &[u8]| {
    let Some((sizes, text)) = input.split_first_chunk::<3>() else { return };
    let (whole, cut) = (read(text, &[]), read(text, sizes));
    assert!(whole.volumes == cut.volumes && whole.cut == cut.cut, "however it is cut");
    assert!(whole.volumes.len() <= VOLUMES_MAX);
    let volumes = whole.volumes.iter().map(|volume| volume.volume().expect("what is kept is a volume"));
    let volumes = volumes.collect::<Vec<_>>();
    for (place, volume) in volumes.iter().enumerate() {
        assert!(volume.device.starts_with("/dev/") || volume.file_system == "zfs");
        let is_new = volumes[..place].iter().all(|other| other.device != volume.device || other.file_system == "zfs");
        assert!(is_new || volume.file_system == "zfs", "{} is there once", volume.device);
        assert!(volume.mount_point.to_string().len() <= 2 * 256);
        let _ = uuid_offset(volume.file_system);
    }
});
