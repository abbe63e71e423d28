//! Bytes of xenstored's, in pieces: the packets are the same however they are cut, and none is longer than the protocol
//! has it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::wire::xenstore::{Decoder, HEADER_LEN, Header, PAYLOAD_MAX, Refusal};
use nanova_fuzz::pieces;

/// The packets that bytes begin with; nothing more behind one that is too long.
fn expected(mut bytes: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let mut packets = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() {
        let header = Header::parse(header);
        assert_eq!(Header::parse(&header.emit()), header);
        let Some(payload) = rest.get(..header.len as usize).filter(|payload| payload.len() <= PAYLOAD_MAX) else {
            break;
        };
        packets.push((header, payload.to_vec()));
        bytes = &rest[payload.len()..];
    }
    packets
}

fuzz_target!(|input: &[u8]| {
    let [sizes @ .., _] = &input[..input.len().min(5)] else { return };
    let bytes = &input[sizes.len()..];
    let mut decoder = Decoder::new();
    let mut packets = Vec::new();
    'all: for mut piece in pieces(bytes, sizes) {
        while !piece.is_empty() {
            let space = decoder.space();
            assert!(!space.is_empty(), "there is room for the longest packet");
            let len = space.len().min(piece.len());
            space[..len].copy_from_slice(&piece[..len]);
            decoder.received(len);
            piece = &piece[len..];
            loop {
                match decoder.next_packet() {
                    Ok(Some(header)) => packets.push((header, decoder.payload().to_vec())),
                    Ok(None) => break,
                    Err(_) => break 'all,
                }
            }
        }
    }
    assert_eq!(packets, expected(bytes));
    decoder.wipe();
    assert!(!Refusal::parse(bytes).name().is_empty());
});
