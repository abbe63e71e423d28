//! Gentoo's /etc/conf.d/net: all that is not in our part stays, and a second time nothing changes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_fuzz::config::write;

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first_chunk() else { return };
    write("netifrc", *choice, &[("/etc/conf.d/net", rest)], &|_, fed| {
        let mut inside = false;
        for line in fed {
            let text = String::from_utf8_lossy(line.old);
            inside |= line.is_line && text == "# nanova: begin, written from vm-data in xenstore";
            assert!(inside || line.is_kept(), "{text:?} is gone");
            inside &= !line.is_line || text != "# nanova: end";
        }
    });
});
