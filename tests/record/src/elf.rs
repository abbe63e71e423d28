//! The ELF file with the texts, and where it is.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use anyhow::{Context, Result, bail};
use defmt_decoder::Table;
use object::{Object, ObjectSymbol, SymbolKind};

/// A build's texts, and its places.
pub struct Elf {
    /// Where it is.
    pub path: PathBuf,
    /// What the numbers of records mean.
    pub table: Table,
    functions: HashSet<u64>,
}

/// A build id in hexadecimal.
pub fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Elf {
    /// Reads it, if it is of this build.
    pub fn read(path: &Path, id: &[u8]) -> Result<Elf> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = object::File::parse(&*bytes).with_context(|| format!("{} is no ELF file", path.display()))?;
        let its = file.build_id()?.unwrap_or_default();
        if its != id {
            bail!("{} is of build {}, and the records of {}", path.display(), hex(its), hex(id));
        }
        let table = Table::parse(&bytes)?.with_context(|| format!("{} has no texts of records", path.display()))?;
        let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
        let functions = functions.map(|symbol| symbol.address()).collect();
        Ok(Elf { path: path.to_owned(), table, functions })
    }

    /// Looks for the one of this build below a target directory.
    pub fn find(target: &Path, id: &[u8]) -> Result<Elf> {
        let mut directories = vec![target.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
                let name = entry.file_name();
                if name == "nanova.elf"
                    && let Ok(elf) = Elf::read(&entry.path(), id)
                {
                    return Ok(elf);
                }
                // Where cargo puts what it has built: `release`, `<triple>/release`, another directory's.
                if entry.path().is_dir()
                    && !["deps", "build", "incremental", "debug"].iter().any(|other| name == *other)
                {
                    directories.push(entry.path());
                }
            }
        }
        bail!("no nanova.elf of build {} below {}; name it with --elf", hex(id), target.display())
    }

    /// Function and line of the call that an address on the stack leads back to; nothing if it leads behind none.
    pub fn place(&self, address: u64) -> Option<String> {
        // What is a function's own address was not put there by a call.
        let call = address.checked_sub(1).filter(|_| !self.functions.contains(&address))?;
        let Ok(loader) = Loader::new(&self.path) else { return Some(String::new()) };
        let function = loader.find_symbol(call).map(|name| rustc_demangle::demangle(name));
        let function = function.map_or("?".into(), |name| format!("{name:#}"));
        let line = loader.find_location(call).ok().flatten();
        let line = line.and_then(|place| Some(format!(" {}:{}", place.file?, place.line?)));
        Some(format!("{function}{}", line.unwrap_or_default()))
    }
}
