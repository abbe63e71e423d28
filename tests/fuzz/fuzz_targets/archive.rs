//! A download: a tar archive, or an ELF file. However it is cut, the outcome is the same; no more comes out than went
//! in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::update::archive::Unpacked;
use nanova_core::update::not_for_here;
use nanova_fuzz::pieces;

fn unpack(input: &[u8], sizes: &[u8]) -> (Vec<u8>, Result<Option<&'static str>, &'static str>) {
    let (mut unpacked, mut agent) = (Unpacked::default(), Vec::new());
    for piece in pieces(input, sizes) {
        if let Err(wrong) = unpacked.take(piece, &mut |bytes| agent.extend_from_slice(bytes)) {
            return (agent, Err(wrong));
        }
    }
    (agent, Ok(unpacked.lack()))
}

/// A tar archive of the input's: headers where a byte says so, with its size and type.
fn archive(mut input: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    while let [kind, size, rest @ ..] = input {
        if kind & 3 == 0 {
            archive.resize(archive.len().next_multiple_of(512), 0);
        }
        if kind & 4 == 0 {
            let mut header = vec![0; 512];
            header[124..135].copy_from_slice(format!("{:011o}", u64::from(*size) << (kind >> 5)).as_bytes());
            header[156] = [b'0', 0, b'x', b'g', b'5', b'0', b'L', b'0'][usize::from(kind >> 3 & 7)];
            header[257..262].copy_from_slice(b"ustar");
            archive.extend(header);
        }
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*size)));
        archive.extend_from_slice(bytes);
        input = rest;
    }
    archive
}

fuzz_target!(|input: &[u8]| {
    let Some((sizes, rest)) = input.split_first_chunk::<3>() else { return };
    let file = if sizes[0] & 1 == 0 { rest.to_vec() } else { archive(rest) };
    let whole = unpack(&file, &[]);
    assert!(whole.0.len() <= file.len());
    assert!(unpack(&file, sizes) == whole, "however it is cut");
    let wrong = not_for_here(&whole.0[..whole.0.len().min(1024)]);
    let _ = not_for_here(rest);
    // An agent that is taken is one.
    assert!(wrong.is_some() || whole.0.starts_with(b"\x7fELF"));
});
