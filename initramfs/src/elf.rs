//! What the builder wants to know about ELF files: is it one, for which processor, which loader does it ask for, and
//! what does a kernel module say about itself.
//!
//! Guarantees: reads only; a damaged file is an error, never a panic.

use anyhow::{Context, Result, bail};
use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, FileKind};

/// An ELF file's own account of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elf {
    /// The e_machine number.
    pub(crate) machine: u16,
    /// The program that has to load this one: PT_INTERP. `None` means static (or not a program).
    pub(crate) interpreter: Option<String>,
    /// The strings of .modinfo, each `key=value`.
    modinfo: Vec<String>,
}

/// Reads a file; `None` if it is not ELF at all.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Elf>> {
    match FileKind::parse(bytes) {
        Ok(FileKind::Elf32) => parse::<FileHeader32<Endianness>>(bytes).map(Some),
        Ok(FileKind::Elf64) => parse::<FileHeader64<Endianness>>(bytes).map(Some),
        // A text that happens to have another format's magic is none of our business.
        Ok(_) | Err(_) if !bytes.starts_with(b"\x7fELF") => Ok(None),
        Ok(_) | Err(_) => bail!("an ELF file with a damaged header"),
    }
}

fn parse<Header: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Result<Elf> {
    let header = Header::parse(bytes).context("damaged ELF header")?;
    let endian = header.endian().context("ELF file of unknown byte order")?;
    let mut elf = Elf { machine: header.e_machine(endian).0, interpreter: None, modinfo: Vec::new() };
    for segment in header.program_headers(endian, bytes).context("damaged ELF program headers")? {
        if let Some(name) = segment.interpreter(endian, bytes).context("damaged ELF interpreter")? {
            elf.interpreter = Some(String::from_utf8_lossy(name).into_owned());
        }
    }
    let sections = header.sections(endian, bytes).context("damaged ELF section headers")?;
    if let Some((_, section)) = sections.section_by_name(endian, b".modinfo") {
        let data = section.data(endian, bytes).context("damaged .modinfo section")?;
        elf.modinfo = data
            .split(|byte| *byte == 0)
            .filter(|entry| !entry.is_empty())
            .map(|entry| String::from_utf8_lossy(entry).into_owned())
            .collect();
    }
    Ok(elf)
}

impl Elf {
    /// The values of one .modinfo key.
    pub(crate) fn modinfo(&self, key: &str) -> impl Iterator<Item = &str> {
        self.modinfo.iter().filter_map(move |entry| entry.strip_prefix(key)?.strip_prefix('='))
    }

    /// Whether it has a .modinfo section at all, as every kernel module does.
    pub(crate) fn is_module(&self) -> bool {
        !self.modinfo.is_empty()
    }

    /// The processor's name, for people.
    pub(crate) fn processor(&self) -> String {
        match self.machine {
            3 => "x86 (32 bit)".into(),
            40 => "arm (32 bit)".into(),
            62 => "x86-64".into(),
            183 => "aarch64".into(),
            243 => "riscv64".into(),
            other => format!("ELF machine {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_names_its_loader_or_is_static() {
        let myself = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let elf = read(&myself).unwrap().unwrap();
        assert!(elf.interpreter.as_deref().is_some_and(|path| path.starts_with("/lib")), "{elf:?}");
        assert!(!elf.is_module());
    }

    #[test]
    fn other_files_are_not_elf_and_damaged_ones_are_errors() {
        assert_eq!(read(b"#!/bin/sh\n").unwrap(), None);
        assert_eq!(read(b"").unwrap(), None);
        assert!(read(b"\x7fELF\x02\x01\x01").is_err());
        let myself = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(read(&myself[..100]).is_err());
    }
}
