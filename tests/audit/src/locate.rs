//! From an address that a binary has told to the function and the line.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::build::Build;
use crate::machine::Flow;
use crate::places::Places;
use crate::program::Program;

/// What an ELF file's own head has: it names where sections are, which a stripped file has not.
const HEAD: usize = 64;

/// Says where these addresses are, in a build from these sources.
pub fn locate(build: &Build, addresses: &[u64]) -> Result<String> {
    let program = Program::read(&std::fs::read(&build.binary)?)?;
    let places = Places::of(&build.binary, &build.workspace)?;
    let mut text = String::new();
    for address in addresses {
        // An address that a call returns to says where the call is. It may be behind the function's end.
        let before = program.instructions.range(..*address).next_back().map(|(_, one)| one);
        let call = before.filter(|one| one.end() == *address && matches!(one.flow, Flow::Call(_) | Flow::CallAnywhere));
        let place = call.map_or(*address, |one| one.address);
        let function = program.function(place).map_or("in no function", |function| &function.name);
        let _ = writeln!(text, "{address:#x}  {function}");
        for place in places.at(place) {
            let _ = writeln!(text, "    {}:{} {}", place.file, place.line, place.function);
        }
    }
    Ok(text)
}

/// The build id is made of symbols, too.
fn forget_build_id(bytes: &mut [u8]) {
    /// A note of type 3, of 20 bytes behind its name.
    const NOTE: &[u8] = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    if let Some(at) = bytes.windows(NOTE.len()).position(|window| window == NOTE) {
        bytes.iter_mut().skip(at + NOTE.len()).take(20).for_each(|byte| *byte = 0);
    }
}

/// Whether this file is the same program as the twin, but for symbols: what it has in memory is the same.
pub fn ensure_same(build: &Build, file: &Path) -> Result<()> {
    let parts = |file: &Path| -> Result<Vec<(u64, Vec<u8>)>> {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut parts = crate::program::loaded(&bytes)?;
        for (address, bytes) in &mut parts {
            if bytes.starts_with(b"\x7fELF") {
                bytes.drain(..HEAD);
                *address += HEAD as u64;
            }
            forget_build_id(bytes);
        }
        Ok(parts)
    };
    ensure!(
        parts(file)? == parts(&build.binary)?,
        "{} is not made of these sources with this compiler and these features",
        file.display()
    );
    Ok(())
}
