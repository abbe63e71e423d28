//! Compression of the image, and decompression of kernel modules.
//!
//! Guarantees: the same input gives the same bytes: one thread, a fixed level, no name and no time in the header. Every
//! form written can be read by a kernel with the matching CONFIG_RD_ option at its default limits.

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use flate2::{Compression as Level, GzBuilder};
use lzma_rust2::XzReader;
use std::io::{Read, Write};
use std::str::FromStr;

/// zstd's highest level whose window (8 MiB) any decoder accepts without being told.
const ZSTD_LEVEL: i32 = 19;

/// How the image is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err("use none, gzip or zstd".into()),
        }
    }
}

impl Compression {
    /// What a file of this kind is called, after `.cpio`.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// What a file's ending promises.
    pub(crate) fn of_ending(ending: &str) -> Option<Self> {
        match ending {
            "cpio" => Some(Self::None),
            "gz" => Some(Self::Gzip),
            "zst" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Compresses an archive.
    pub(crate) fn pack(self, archive: Vec<u8>) -> Result<Vec<u8>> {
        match self {
            Self::None => Ok(archive),
            Self::Gzip => {
                let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Level::best());
                encoder.write_all(&archive)?;
                Ok(encoder.finish()?)
            }
            Self::Zstd => Ok(zstd::bulk::compress(&archive, ZSTD_LEVEL)?),
        }
    }
}

/// A kernel module's bytes, decompressed by its name's ending.
pub(crate) fn unpack_module(name: &str, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    match name.rsplit('.').next() {
        Some("gz") => MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut plain),
        Some("xz") => XzReader::new(bytes.as_slice(), true).read_to_end(&mut plain),
        Some("zst") => zstd::Decoder::new(bytes.as_slice())?.read_to_end(&mut plain),
        _ => return Ok(bytes),
    }
    .context("the compressed module is damaged; reinstall the kernel package")?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_twice_is_the_same_and_unpacks() {
        let archive: Vec<u8> = (0..100_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for (compression, name) in [(Compression::Gzip, "m.ko.gz"), (Compression::Zstd, "m.ko.zst")] {
            let packed = compression.pack(archive.clone()).unwrap();
            assert!(packed.len() < archive.len() / 4);
            assert_eq!(packed, compression.pack(archive.clone()).unwrap());
            assert_eq!(unpack_module(name, packed).unwrap(), archive);
        }
    }

    #[test]
    fn the_gzip_header_has_no_time_and_no_name() {
        let packed = Compression::Gzip.pack(b"x".to_vec()).unwrap();
        assert_eq!(&packed[..9], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn a_damaged_module_is_an_error() {
        for name in ["m.ko.gz", "m.ko.xz", "m.ko.zst"] {
            assert!(unpack_module(name, b"\x1f\x8bnothing".to_vec()).is_err(), "{name}");
        }
        assert_eq!(unpack_module("m.ko", b"as it is".to_vec()).unwrap(), b"as it is");
    }
}
