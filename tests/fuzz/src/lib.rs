//! What the fuzz targets share.

pub mod config;
pub mod model;
pub mod nodes;
pub mod stream;

/// What stands between the parts of an input that is text: a byte that none of the texts has.
const BETWEEN: u8 = 0x1e;

/// The parts of an input, as many as are asked for; those that are not there are empty.
pub fn parts<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut parts = input.splitn(N, |byte| *byte == BETWEEN);
    [(); N].map(|()| parts.next().unwrap_or_default())
}

/// Cuts an input into pieces whose lengths `sizes` says, over and over; all of it at once if it says nothing.
pub fn pieces<'a>(mut input: &'a [u8], sizes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().copied().cycle();
    std::iter::from_fn(move || {
        let len = sizes.next().map_or(usize::MAX, |size| usize::from(size).max(1)).min(input.len());
        let (piece, rest) = input.split_at(len);
        input = rest;
        (!piece.is_empty()).then_some(piece)
    })
}
