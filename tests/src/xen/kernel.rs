//! The ELF kernel inside a bzImage.
//!
//! Xen and libxl start an ELF directly; left compressed, each guest would spend seconds of emulated time on unpacking
//! itself. Guarantees: what comes out is an ELF file. Refuses: images without the "HdrS" boot header, and compression
//! that Debian's kernels do not use (anything but xz, zstd, lz4 and gzip).

use std::io::Read;

use anyhow::{Context, Result, bail, ensure};

/// Offsets in the boot header (Documentation/arch/x86/boot.rst).
mod header {
    pub(super) const SETUP_SECTORS: usize = 0x1f1;
    pub(super) const MAGIC: usize = 0x202;
    pub(super) const PAYLOAD_OFFSET: usize = 0x248;
    pub(super) const PAYLOAD_LENGTH: usize = 0x24c;
}

/// Unpacks a bzImage.
pub fn elf_of(image: &[u8]) -> Result<Vec<u8>> {
    ensure!(image.get(header::MAGIC..header::MAGIC + 4) == Some(b"HdrS"), "this is not a Linux bzImage");
    let sectors = match image[header::SETUP_SECTORS] {
        0 => 4,
        count => usize::from(count),
    };
    let start = (sectors + 1) * 512 + word(image, header::PAYLOAD_OFFSET)?;
    let length = word(image, header::PAYLOAD_LENGTH)?;
    let payload = image.get(start..start + length).context("the bzImage is cut short")?;
    let elf = unpack(payload)?;
    ensure!(elf.starts_with(b"\x7fELF"), "the bzImage holds no ELF kernel");
    Ok(elf)
}

/// Behind the compressed stream there are four bytes of unpacked length; in gzip they are the stream's own end.
fn unpack(payload: &[u8]) -> Result<Vec<u8>> {
    let mut elf = Vec::new();
    let stream = &payload[..payload.len().saturating_sub(4)];
    match payload {
        [0xfd, b'7', b'z', b'X', b'Z', ..] => lzma_rust2::XzReader::new(stream, false).read_to_end(&mut elf),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd::Decoder::new(stream)?.read_to_end(&mut elf),
        [0x02, 0x21, 0x4c, 0x18, ..] => lz4_flex::frame::FrameDecoder::new(stream).read_to_end(&mut elf),
        [0x1f, 0x8b, ..] => flate2::read::GzDecoder::new(payload).read_to_end(&mut elf),
        _ => bail!("the kernel is compressed with none of xz, zstd, lz4 and gzip"),
    }
    .context("the kernel does not unpack")?;
    Ok(elf)
}

fn word(image: &[u8], at: usize) -> Result<usize> {
    let bytes = image.get(at..at + 4).context("the bzImage is cut short")?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_payload_of_a_bzimage_is_unpacked() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"\x7fELF and so on").unwrap();
        let packed = packed.finish().unwrap();
        let mut image = vec![0; 1024];
        image[header::SETUP_SECTORS] = 1;
        image[header::MAGIC..header::MAGIC + 4].copy_from_slice(b"HdrS");
        image[header::PAYLOAD_LENGTH..header::PAYLOAD_LENGTH + 4].copy_from_slice(&(packed.len() as u32).to_le_bytes());
        image.extend(packed);
        assert_eq!(elf_of(&image).unwrap(), b"\x7fELF and so on");
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        assert!(elf_of(b"").is_err());
        assert!(elf_of(&[0; 4096]).is_err());
    }
}
