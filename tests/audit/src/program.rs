//! A linked program, taken apart: its functions, their instructions, and from where each of them is reached.
//!
//! Guarantees: every byte of a function is read. Refuses: a program without symbols, or for a machine that it does not
//! know.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use object::elf::{PF_W, PF_X};
use object::{Architecture, Object, ObjectSegment, ObjectSymbol, SegmentFlags, SymbolKind};

use crate::machine::{AARCH64, Convention, Flow, Instruction, Place, X86_64, decode_aarch64, decode_x86_64};

/// How many instructions before a jump out of a table that is read.
const NEAR: usize = 24;
/// No table has more.
const ENTRIES_MAX: u64 = 512;

/// A function of the program.
#[derive(Debug)]
pub(crate) struct Function {
    /// As a person writes it, without hashes.
    pub(crate) name: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// A part of the file in memory.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) address: u64,
    pub(crate) bytes: Vec<u8>,
    /// In memory, which can be more than in the file.
    pub(crate) size: u64,
    pub(crate) is_writable: bool,
    pub(crate) is_executable: bool,
}

/// What reads the instructions of a function.
type Decode = fn(&[u8], u64) -> Vec<Instruction>;

/// A program.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) architecture: Architecture,
    pub(crate) convention: Convention,
    pub(crate) segments: Vec<Segment>,
    pub(crate) functions: BTreeMap<u64, Function>,
    pub(crate) instructions: BTreeMap<u64, Instruction>,
    /// From which instructions each is reached, calls and returns left out.
    pub(crate) before: BTreeMap<u64, Vec<u64>>,
    /// Where each function is called, or jumped to at another one's end.
    pub(crate) callers: BTreeMap<u64, BTreeSet<u64>>,
    /// Functions whose address is kept somewhere, so that they can be called from anywhere.
    pub(crate) passed_on: BTreeSet<u64>,
    /// Where tables of distances begin.
    tables: BTreeSet<u64>,
    /// Functions that never return.
    pub(crate) endless: BTreeSet<u64>,
    pub(crate) entry: u64,
}

impl Program {
    /// Reads an ELF file.
    pub(crate) fn read(file: &[u8]) -> Result<Program> {
        let elf = object::File::parse(file)?;
        let mut program = Program::of(elf.architecture(), segments(&elf)?, functions(&elf), elf.entry())?;
        ensure!(!program.functions.is_empty(), "the program has no symbols: it was stripped");
        program.look_through_pointers();
        program.connect();
        Ok(program)
    }

    /// Decodes all functions.
    fn of(
        architecture: Architecture,
        segments: Vec<Segment>,
        functions: BTreeMap<u64, Function>,
        entry: u64,
    ) -> Result<Program> {
        let (convention, decode): (_, Decode) = match architecture {
            Architecture::X86_64 => (X86_64, decode_x86_64),
            Architecture::Aarch64 => (AARCH64, decode_aarch64),
            other => bail!("a program for {other:?}: only x86_64 and aarch64 are known"),
        };
        let mut program = Program {
            architecture,
            convention,
            segments,
            functions,
            instructions: BTreeMap::new(),
            before: BTreeMap::new(),
            callers: BTreeMap::new(),
            passed_on: BTreeSet::new(),
            tables: BTreeSet::new(),
            endless: BTreeSet::new(),
            entry,
        };
        for function in program.functions.values() {
            let code = program.bytes(function.start, function.end - function.start);
            let code = code.with_context(|| format!("{} is not in the file", function.name))?;
            program.instructions.extend(decode(code, function.start).into_iter().map(|one| (one.address, one)));
        }
        Ok(program)
    }

    /// A program of these functions, one behind the other from 0x1000 on, for tests.
    #[cfg(test)]
    pub(crate) fn assembled(architecture: Architecture, code: &[(&str, &[u8])]) -> Program {
        let (mut bytes, mut functions) = (Vec::new(), BTreeMap::new());
        for (name, body) in code {
            let start = 0x1000 + bytes.len() as u64;
            bytes.extend_from_slice(body);
            let end = start + body.len() as u64;
            functions.insert(start, Function { name: (*name).to_owned(), start, end });
        }
        let size = bytes.len() as u64;
        let segment = Segment { address: 0x1000, bytes, size, is_writable: false, is_executable: true };
        let mut program = Program::of(architecture, vec![segment], functions, 0x1000).unwrap();
        program.connect();
        program
    }

    /// Bytes of the file, as they are in memory.
    pub(crate) fn bytes(&self, address: u64, length: u64) -> Option<&[u8]> {
        self.segments.iter().find_map(|segment| {
            let start = usize::try_from(address.checked_sub(segment.address)?).ok()?;
            segment.bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?)
        })
    }

    fn number(&self, address: u64, size: u8) -> Option<u64> {
        let bytes = self.bytes(address, u64::from(size))?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The function that an address is in.
    pub(crate) fn function(&self, address: u64) -> Option<&Function> {
        self.functions.range(..=address).next_back().map(|(_, function)| function).filter(|f| address < f.end)
    }

    /// Its instructions.
    pub(crate) fn body(&self, function: &Function) -> impl Iterator<Item = &Instruction> {
        self.instructions.range(function.start..function.end).map(|(_, one)| one)
    }

    fn is_in_code(&self, address: u64) -> bool {
        self.segments
            .iter()
            .any(|part| part.is_executable && (part.address..part.address + part.size).contains(&address))
    }

    /// Jumps and calls through a pointer that nobody can write go where that points.
    fn look_through_pointers(&mut self) {
        let mut found = Vec::new();
        for one in self.instructions.values() {
            match one.flow {
                Flow::JumpThrough(place) => found.extend(self.number(place, 8).map(|to| (one.address, Flow::Jump(to)))),
                Flow::CallThrough(place) => found.extend(self.number(place, 8).map(|to| (one.address, Flow::Call(to)))),
                _ => {}
            }
        }
        for (address, flow) in found {
            if let Some(one) = self.instructions.get_mut(&address) {
                one.flow = flow;
            }
        }
    }

    fn connect(&mut self) {
        let jumps = self.instructions.values().filter(|one| one.flow == Flow::JumpAnywhere);
        self.tables = jumps.filter_map(|one| self.distances(one.address)).map(|(_, table)| table).collect();
        self.endless = self.functions_without_end();
        let mut before: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut callers: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for one in self.instructions.values() {
            for to in self.next(one) {
                before.entry(to).or_default().push(one.address);
            }
            match one.flow {
                Flow::Call(to) => _ = callers.entry(to).or_default().insert(one.address),
                Flow::Jump(to) | Flow::Branch(to) if self.leaves(one, to) => {
                    callers.entry(to).or_default().insert(one.address);
                }
                _ => {}
            }
        }
        let named = self.instructions.values().filter_map(|one| one.names);
        self.passed_on = named.chain(self.pointers()).filter(|address| self.functions.contains_key(address)).collect();
        (self.before, self.callers) = (before, callers);
    }

    /// Whether a jump there leaves the function, for good.
    pub(crate) fn leaves(&self, one: &Instruction, to: u64) -> bool {
        self.function(one.address).is_none_or(|function| to <= function.start || function.end <= to)
            && self.functions.contains_key(&to)
    }

    /// What can come next within the function; behind a call, what it returns to.
    fn next(&self, one: &Instruction) -> Vec<u64> {
        let within = |to: u64| (!self.leaves(one, to)).then_some(to);
        match one.flow {
            Flow::Next | Flow::CallAnywhere | Flow::CallThrough(_) => vec![one.end()],
            Flow::Call(to) if self.endless.contains(&to) => Vec::new(),
            Flow::Call(_) => vec![one.end()],
            Flow::Jump(to) => within(to).into_iter().collect(),
            Flow::Branch(to) => [one.end()].into_iter().chain(within(to)).collect(),
            Flow::Table(table) => self.entries(one.address, table),
            Flow::JumpAnywhere => self.relative_entries(one.address),
            Flow::JumpThrough(_) | Flow::Return | Flow::Stop => Vec::new(),
        }
    }

    /// Whether a jump to an address in a register stays in the function.
    pub(crate) fn goes_on(&self, one: &Instruction) -> bool {
        !self.relative_entries(one.address).is_empty()
    }

    /// The targets in a table of addresses: those in a row that are in the same function.
    fn entries(&self, jump: u64, table: u64) -> Vec<u64> {
        let Some(function) = self.function(jump) else { return Vec::new() };
        let entries = (0..).map_while(|place| self.number(table + 8 * place, 8));
        entries.take_while(|to| (function.start..function.end).contains(to)).collect()
    }

    /// The table of distances that is read before such a jump: how many bytes an entry has, and the table's address.
    fn distances(&self, jump: u64) -> Option<(u8, u64)> {
        let function = self.function(jump)?;
        let before = || self.instructions.range(function.start..jump).rev().map(|(_, one)| one);
        let read = before().take(NEAR).find(|one| one.reads_table.is_some())?;
        let (size, table) = read.reads_table?;
        let writes = |one: &&Instruction| one.writes.iter().any(|(place, _)| *place == Place::Register(table));
        let table = before().skip_while(|one| one.address >= read.address).find(writes)?.names?;
        Some((size, table))
    }

    /// The targets in that table. It ends where another one begins, or with what leads out of the function.
    fn relative_entries(&self, jump: u64) -> Vec<u64> {
        let (Some(function), Some((size, table))) = (self.function(jump), self.distances(jump)) else {
            return Vec::new();
        };
        // Distances from a place in the code, or from the table itself; small ones count instructions.
        let near = self.instructions.range(function.start..jump).rev().take(NEAR);
        let base = near.filter_map(|(_, one)| one.names).find(|named| self.is_in_code(*named)).unwrap_or(table);
        let end = self.tables.range(table + 1..).next().copied().unwrap_or(u64::MAX);
        let places = (0..ENTRIES_MAX).map(|place| table + u64::from(size) * place).take_while(|place| *place < end);
        let to = places.map_while(|place| self.number(place, size)).map(|entry| match size {
            4 => base.wrapping_add_signed(i64::from(entry as u32 as i32)),
            _ => base + 4 * entry,
        });
        to.take_while(|to| (function.start..function.end).contains(to)).collect()
    }

    /// The words of the parts without code that could be addresses.
    fn pointers(&self) -> impl Iterator<Item = u64> {
        self.segments.iter().filter(|part| !part.is_executable).flat_map(|part| {
            part.bytes.chunks_exact(8).map(|word| word.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)))
        })
    }

    /// The functions that no path leads out of. Each that may return makes its callers go on.
    fn functions_without_end(&self) -> BTreeSet<u64> {
        let mut endless: BTreeSet<u64> = self.functions.keys().copied().collect();
        loop {
            let before = endless.len();
            for function in self.functions.values() {
                if endless.contains(&function.start) && self.has_an_end(function, &endless) {
                    endless.remove(&function.start);
                }
            }
            if endless.len() == before {
                return endless;
            }
        }
    }

    /// Whether its end can be reached, if these functions have none.
    fn has_an_end(&self, function: &Function, endless: &BTreeSet<u64>) -> bool {
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![function.start]);
        while let Some(at) = waiting.pop() {
            let Some(one) = self.instructions.get(&at) else { continue };
            if !seen.insert(at) {
                continue;
            }
            match one.flow {
                Flow::Return => return true,
                Flow::Jump(to) | Flow::Branch(to) if self.leaves(one, to) && !endless.contains(&to) => return true,
                Flow::Call(to) if endless.contains(&to) => continue,
                Flow::JumpAnywhere if !self.goes_on(one) => return true,
                _ => {}
            }
            // A call is gone through here, as what never returns has been seen to.
            waiting.extend(if matches!(one.flow, Flow::Call(_)) { vec![one.end()] } else { self.next(one) });
        }
        false
    }
}

/// What a file has in memory: addresses and bytes.
pub(crate) fn loaded(file: &[u8]) -> Result<Vec<(u64, Vec<u8>)>> {
    Ok(segments(&object::File::parse(file)?)?.into_iter().map(|part| (part.address, part.bytes)).collect())
}

fn segments(elf: &object::File<'_>) -> Result<Vec<Segment>> {
    let mut found = Vec::new();
    for segment in elf.segments() {
        let SegmentFlags::Elf { p_flags, .. } = segment.flags() else { bail!("no ELF file") };
        found.push(Segment {
            address: segment.address(),
            bytes: segment.data()?.to_vec(),
            size: segment.size(),
            is_writable: p_flags.0 & PF_W.0 != 0,
            is_executable: p_flags.0 & PF_X.0 != 0,
        });
    }
    Ok(found)
}

fn functions(elf: &object::File<'_>) -> BTreeMap<u64, Function> {
    let mut symbols: Vec<_> = elf.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text).collect();
    symbols.retain(|symbol| symbol.name().is_ok_and(|name| !name.starts_with('$')));
    symbols.sort_by_key(|symbol| symbol.address());
    let text_end = elf.segments().map(|segment| segment.address() + segment.size()).max().unwrap_or_default();
    let mut found = BTreeMap::new();
    for (place, symbol) in symbols.iter().enumerate() {
        // What is written in assembly has no size: it goes on to the next one.
        let next = symbols[place..].iter().map(|next| next.address()).find(|next| *next > symbol.address());
        let size = if symbol.size() > 0 { symbol.size() } else { next.unwrap_or(text_end) - symbol.address() };
        let name = rustc_demangle::demangle(symbol.name().unwrap_or_default());
        let function = Function { name: format!("{name:#}"), start: symbol.address(), end: symbol.address() + size };
        found.entry(symbol.address()).or_insert(function);
    }
    found
}
