//! Which source an address of the program comes from.

use std::path::Path;

use addr2line::Loader;
use anyhow::{Result, anyhow};

/// A place in a source, and the function that has it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) function: String,
    /// Below the workspace for ours, with the crate's name for others'.
    pub(crate) file: String,
    pub(crate) line: u32,
    /// The crate's name: `nanova`, `nanova-core`, that of a crate of others, or `core`.
    pub(crate) package: String,
}

impl Place {
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.package.as_str(), "nanova" | "nanova-core")
    }
}

/// The line table of a program.
pub(crate) struct Places {
    loader: Loader,
    workspace: String,
}

impl Places {
    pub(crate) fn of(binary: &Path, workspace: &Path) -> Result<Places> {
        let loader = Loader::new(binary).map_err(|error| anyhow!("{}: {error}", binary.display()))?;
        Ok(Places { loader, workspace: format!("{}/", workspace.display()) })
    }

    /// The places of an address, the innermost first: a function, what it was inlined into, and so on.
    pub(crate) fn at(&self, address: u64) -> Vec<Place> {
        let mut found = Vec::new();
        let Ok(mut frames) = self.loader.find_frames(address) else { return found };
        while let Ok(Some(frame)) = frames.next() {
            let Some(location) = frame.location else { continue };
            let (Some(file), Some(line)) = (location.file, location.line.filter(|line| *line > 0)) else { continue };
            let name = frame.function.as_ref().and_then(|name| name.raw_name().ok().map(|name| demangled(&name)));
            let (package, file) = self.package(file);
            found.push(Place { function: name.unwrap_or_default(), file, line, package });
        }
        found
    }

    /// The crate that a file is of, and its name there.
    fn package(&self, file: &str) -> (String, String) {
        if let Some(ours) = file.strip_prefix(&self.workspace) {
            let package = if ours.starts_with("core/") { "nanova-core" } else { "nanova" };
            return (package.to_owned(), ours.to_owned());
        }
        if let Some((_, library)) = file.rsplit_once("/library/") {
            let package = library.split('/').next().unwrap_or_default();
            return (package.to_owned(), library.to_owned());
        }
        // A folder of the registry: name-version/src/…
        let Some((before, after)) = file.rsplit_once("/src/") else { return ("?".to_owned(), file.to_owned()) };
        let folder = before.rsplit('/').next().unwrap_or_default();
        let is_version = |(place, _): &(usize, &str)| folder[place + 1..].starts_with(|c: char| c.is_ascii_digit());
        let name = folder.match_indices('-').find(is_version).map_or(folder, |(place, _)| &folder[..place]);
        (name.to_owned(), format!("{name}/src/{after}"))
    }
}

pub(crate) fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
