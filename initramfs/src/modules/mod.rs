//! Which kernel modules go into the image, and in which order they are to be loaded.
//!
//! Guarantees: everything a module needs is loaded before it, and each module once; what `modprobe` would load before
//! (softdep pre:) comes along if it is there.
//! Refuses: a name that is neither a module, nor an alias of one, nor built into the kernel.

mod directory;

use crate::{elf::Elf, options};
use anyhow::{Result, bail, ensure};
use directory::Directory;
use std::collections::BTreeSet;

/// What a Xen guest needs to see its network and its disks.
const DEFAULT: [&str; 2] = ["xen-netfront", "xen-blkfront"];

/// A module for the image.
pub(crate) struct Module {
    /// Its name, with `_`: the file in the image is NAME.ko.
    pub(crate) name: String,
    /// Its ELF file, not compressed.
    pub(crate) bytes: Vec<u8>,
    /// What that file says about itself.
    pub(crate) elf: Elf,
}

/// The modules of an image.
pub(crate) struct Selection {
    /// The kernel they are for.
    pub(crate) kernel: String,
    /// In the order to load them.
    pub(crate) load: Vec<Module>,
    /// What was asked for and is in the kernel already.
    pub(crate) built_in: Vec<String>,
}

/// Finds the modules asked for and all they need.
pub(crate) fn select(wanted: &options::Modules) -> Result<Selection> {
    let directory = Directory::open(&wanted.directory, wanted.kernel.as_deref())?;
    let names = match wanted.names.is_empty() {
        true => DEFAULT.map(str::to_owned).to_vec(),
        false => wanted.names.clone(),
    };
    let mut built_in = Vec::new();
    let mut picker = Picker { directory: &directory, seen: BTreeSet::new(), load: Vec::new() };
    for name in names {
        match directory.find(&name)? {
            None => bail!("kernel {} has no module called {name}; is it spelled right?", directory.version),
            Some(modules) if modules.is_empty() => built_in.push(name),
            Some(modules) => modules.iter().try_for_each(|module| picker.pick(module))?,
        }
    }
    let load = picker.load;
    if let Some(first) = load.first() {
        let other = load.iter().find(|module| module.elf.machine != first.elf.machine);
        ensure!(other.is_none(), "the modules of {} are for different processors", directory.version);
    }
    Ok(Selection { kernel: directory.version, load, built_in })
}

struct Picker<'a> {
    directory: &'a Directory,
    seen: BTreeSet<String>,
    load: Vec<Module>,
}

impl Picker<'_> {
    /// Takes a module after all it needs. A circle of soft dependencies ends where it began.
    fn pick(&mut self, name: &str) -> Result<()> {
        if !self.seen.insert(name.to_owned()) {
            return Ok(());
        }
        let (bytes, elf) = self.directory.read(name)?;
        for need in self.directory.needs(name, &elf) {
            self.pick(&need)?;
        }
        for soft in elf.modinfo("softdep").flat_map(before) {
            // Soft: a kernel without it is a kernel that does without.
            for module in self.directory.find(soft)?.unwrap_or_default() {
                self.pick(&module)?;
            }
        }
        self.load.push(Module { name: name.to_owned(), bytes, elf });
        Ok(())
    }
}

/// The names after `pre:` in a softdep such as `pre: a b post: c`.
fn before(softdep: &str) -> impl Iterator<Item = &str> {
    let mut is_before = false;
    softdep.split_whitespace().filter(move |word| {
        match *word {
            "pre:" => is_before = true,
            "post:" => is_before = false,
            _ => return is_before,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_softdep_wants_before_is_taken() {
        assert_eq!(before("pre: a b post: c pre: d").collect::<Vec<_>>(), ["a", "b", "d"]);
        assert_eq!(before("post: c").count(), 0);
        assert_eq!(before("c").count(), 0);
    }
}
