//! How much memory the guest has, from `/proc/meminfo` (proc(5)).

use crate::wire::text::number;

/// Memory in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What the kernel manages.
    pub total: u64,
    /// What programs could still be given without swapping.
    pub available: u64,
}

impl Memory {
    /// Reads the beginning of `/proc/meminfo`. Linux before 3.14 does not tell what is available: free is less than
    /// that, and nearest to it.
    pub fn parse(meminfo: &[u8]) -> Option<Memory> {
        let text = core::str::from_utf8(meminfo).ok()?;
        let field = |name: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            number(line.strip_suffix("kB")?.trim_ascii())
        };
        Some(Memory { total: field("MemTotal:")?, available: field("MemAvailable:").or_else(|| field("MemFree:"))? })
    }
}

/// Whether a value has moved by more than a 64th of what it is a part of: less is noise that would keep a host awake.
pub fn has_moved(from: u64, to: u64, whole: u64) -> bool {
    from.abs_diff(to) > whole / 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_of_new_and_old_kernels() {
        let new =
            "MemTotal:       24689280 kB\nMemFree:        22154200 kB\nMemAvailable:   23704088 kB\nBuffers: 1 kB\n";
        assert_eq!(Memory::parse(new.as_bytes()), Some(Memory { total: 24_689_280, available: 23_704_088 }));
        let old = "MemTotal:         248352 kB\nMemFree:           22744 kB\nBuffers:           14184 kB\n";
        assert_eq!(Memory::parse(old.as_bytes()), Some(Memory { total: 248_352, available: 22_744 }));
        for bad in ["", "MemTotal: 1 kB", "MemTotal: x kB\nMemFree: 1 kB", "MemTotal: 1\nMemFree: 2"] {
            assert_eq!(Memory::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn this_machines_own() {
        let text = std::fs::read("/proc/meminfo").unwrap();
        let memory = Memory::parse(&text).unwrap();
        assert!(memory.available > 0 && memory.available <= memory.total);
    }

    #[test]
    fn a_64th_is_no_move() {
        assert!(!has_moved(1000, 1100, 6400) && has_moved(1000, 1101, 6400) && has_moved(1101, 1000, 6400));
    }
}
