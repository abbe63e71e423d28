//! What the linked program may do: every system call, with where it is from; every place that can panic; its memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use object::Architecture;
use serde::Serialize;
use syscalls::{aarch64, x86_64};

use crate::machine::Flow;
use crate::places::{Place, Places};
use crate::program::{Function, Program};
use crate::values::Search;

/// The file whose callers are told of in its place: it enters the kernel for them.
const RAW: &str = "agent/src/rt/syscall.rs";

/// A system call that the program can make.
#[derive(Debug, Default, Serialize)]
pub struct SystemCall {
    /// Its name.
    pub name: String,
    /// How many instructions can make it.
    pub sites: usize,
    /// The files of ours that it is made from.
    pub files: BTreeSet<String>,
    /// The functions that the instructions are in.
    pub functions: BTreeSet<String>,
}

/// A part of memory that the kernel makes of the file.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Its size in bytes.
    pub size: u64,
    /// Whether the program can change it.
    pub is_writable: bool,
    /// Whether it can be executed.
    pub is_executable: bool,
}

/// A place that ends in a panic.
#[derive(Debug, Serialize)]
pub struct PanicSite {
    /// The address of the call.
    pub address: u64,
    /// The crate of the innermost function that is not of core's.
    pub package: String,
    /// Where it is.
    pub place: String,
    /// The function that it is in.
    pub function: String,
    /// Which of core's functions it calls.
    pub calls: String,
}

impl PanicSite {
    /// Whether it is in our code.
    pub fn is_ours(&self) -> bool {
        matches!(self.package.as_str(), "nanova" | "nanova-core")
    }
}

/// What was found in a program.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// The architecture, as the kernel names it.
    pub architecture: &'static str,
    /// System calls by their numbers.
    pub calls: BTreeMap<u64, SystemCall>,
    /// The program's memory.
    pub memory: Vec<Memory>,
    /// Where it can panic.
    pub panics: Vec<PanicSite>,
    /// Bytes of code of each part.
    pub bytes: BTreeMap<String, u64>,
}

/// Takes a program apart.
pub fn examine(binary: &Path, workspace: &Path) -> Result<Findings> {
    let program = Program::read(&std::fs::read(binary)?)?;
    let places = Places::of(binary, workspace)?;
    let (architecture, name): (_, fn(u64) -> Option<&'static str>) = match program.architecture {
        Architecture::X86_64 => ("x86_64", |number| Some(x86_64::Sysno::new(number.try_into().ok()?)?.name())),
        Architecture::Aarch64 => ("aarch64", |number| Some(aarch64::Sysno::new(number.try_into().ok()?)?.name())),
        other => bail!("{other:?} is not known"),
    };
    let memory = program.segments.iter().map(|part| Memory {
        size: part.size,
        is_writable: part.is_writable,
        is_executable: part.is_executable,
    });
    ensure!(program.unreached().is_empty(), "no way leads to the code at {:x?}", program.unreached());
    let origins = Origins { program: &program, places: &places };
    Ok(Findings {
        architecture,
        calls: origins.calls(name)?,
        memory: memory.collect(),
        panics: origins.panics(),
        bytes: origins.bytes(),
    })
}

struct Origins<'a> {
    program: &'a Program,
    places: &'a Places,
}

impl Origins<'_> {
    fn calls(&self, name: fn(u64) -> Option<&'static str>) -> Result<BTreeMap<u64, SystemCall>> {
        let search = Search::new(self.program);
        let mut found = BTreeMap::<u64, SystemCall>::new();
        let sites = self.program.instructions.values().filter(|one| one.is_system_call);
        for site in sites.map(|one| one.address) {
            let function = self.program.function(site).map_or("?", |function| &function.name);
            let numbers = search.register(site, self.program.convention.number);
            let known = numbers.unknown.is_empty() && !numbers.constants.is_empty();
            ensure!(
                known,
                "{function}, {site:#x}: the number of a system call cannot be told, see {:#x?}",
                numbers.unknown
            );
            for (number, from) in numbers.constants {
                let call = found.entry(number).or_default();
                name(number)
                    .with_context(|| format!("{function}, {site:#x}: {number} is no system call"))?
                    .clone_into(&mut call.name);
                call.sites += 1;
                call.functions.insert(function.to_owned());
                // What enters the kernel for others is given the number by them.
                let is_given = from.iter().all(|from| self.program.function(*from).is_none_or(|f| f.name != function));
                let origins = if is_given { from } else { BTreeSet::from([site]) };
                call.files.extend(origins.into_iter().flat_map(|from| self.ours(from, &mut BTreeSet::new())));
            }
        }
        Ok(found)
    }

    /// The files of ours that an instruction is from; that of a function of others' is from its callers.
    fn ours(&self, at: u64, seen: &mut BTreeSet<u64>) -> BTreeSet<String> {
        let is_it = |place: &&Place| place.is_ours() && place.file != RAW;
        if let Some(place) = self.places.at(at).iter().find(is_it) {
            return BTreeSet::from([place.file.clone()]);
        }
        let mut found = BTreeSet::new();
        let Some(function) = self.program.function(at).filter(|function| seen.insert(function.start)) else {
            return found;
        };
        for caller in self.program.callers.get(&function.start).into_iter().flatten() {
            found.extend(self.ours(*caller, seen));
        }
        found
    }

    /// Core's functions that never return: what they are called for is a panic.
    fn panics(&self) -> Vec<PanicSite> {
        let is_panic = |function: &Function| {
            self.program.endless.contains(&function.start)
                && function.name.trim_start_matches('<').starts_with("core::")
        };
        // Of core's, too, but what they check is their callers'.
        let checks_index = |function: &Function| {
            let name = function.name.trim_start_matches('<').to_lowercase();
            name.starts_with("core::") && ["index", "::copy_within"].iter().any(|part| name.contains(part))
        };
        let mut found = Vec::new();
        let mut waiting: Vec<(u64, String)> =
            self.program.functions.values().filter(|f| is_panic(f)).map(|f| (f.start, f.name.clone())).collect();
        let mut seen = BTreeSet::new();
        while let Some((callee, name)) = waiting.pop() {
            for site in self.program.callers.get(&callee).into_iter().flatten().copied() {
                let Some(function) = self.program.function(site) else { continue };
                if is_panic(function) || !seen.insert(site) {
                    continue;
                }
                if function.name.starts_with("OUTLINED_FUNCTION_") || checks_index(function) {
                    waiting.push((function.start, name.clone()));
                    continue;
                }
                found.push(self.panic_site(site, function, &name));
            }
        }
        found.sort_by_key(|site| site.address);
        found
    }

    fn panic_site(&self, site: u64, function: &Function, calls: &str) -> PanicSite {
        let is_it = |place: &Place| !matches!(place.package.as_str(), "core" | "compiler_builtins" | "?");
        // Where panics of several places are one the line is lost; the function is not.
        let mut places = self.places.at(site);
        places.extend(self.places.at(function.start).into_iter().last());
        let place = places.iter().find(|place| is_it(place)).or(places.first());
        PanicSite {
            address: site,
            package: place.map_or("?".to_owned(), |place| place.package.clone()),
            place: place.map_or("?".to_owned(), |place| format!("{}:{}", place.file, place.line)),
            function: function.name.clone(),
            calls: calls.to_owned(),
        }
    }

    /// Bytes of code by the folder of ours, or the crate, that a function was written in.
    fn bytes(&self) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for function in self.program.functions.values() {
            let places = self.places.at(function.start);
            let part = match places.last() {
                _ if function.name.starts_with("OUTLINED_FUNCTION_") => "shared by the outliner".to_owned(),
                Some(place) if place.is_ours() => folder(&place.file),
                Some(place) => place.package.clone(),
                None => "core".to_owned(),
            };
            *found.entry(part).or_default() += function.end - function.start;
        }
        found
    }
}

/// core/src/network/dhcp/client.rs is of core/src/network.
fn folder(file: &str) -> String {
    let parts: Vec<&str> = file.split('/').collect();
    parts[..parts.len().saturating_sub(1).min(3)].join("/")
}

impl Program {
    /// Code that nothing leads to: what says that something was not understood.
    fn unreached(&self) -> Vec<u64> {
        let is_reached = |at: &u64| self.functions.contains_key(at) || self.before.contains_key(at);
        let all =
            self.instructions.iter().filter(|(at, one)| !is_reached(at) && !one.is_idle && one.flow != Flow::Stop);
        // Behind a call that never returns may stand what would be next.
        let behind_end = |at: u64| {
            let before = self.instructions.range(..at).next_back().map(|(_, one)| one.flow);
            matches!(before, Some(Flow::Call(to)) if self.endless.contains(&to))
        };
        all.map(|(at, _)| *at).filter(|at| !behind_end(*at)).collect()
    }
}
