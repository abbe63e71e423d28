//! One kernel's module directory, as depmod left it or as a freshly unpacked package has it.
//!
//! Guarantees: a name means the same with `-` and with `_`; modules.dep is believed where there is one, else the
//! modules themselves are (their .modinfo names what they depend on).
//! Refuses: to guess between several kernels.

use crate::compress::unpack_module;
use crate::elf::{self, Elf};
use anyhow::{Context, Result, bail, ensure};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// What modules_install or depmod leave in every module directory; one of them is enough to know it by.
const MARKS: [&str; 3] = ["modules.dep", "modules.order", "modules.builtin"];

/// A module directory.
#[derive(Debug)]
pub(crate) struct Directory {
    /// The kernel's version: the directory's name.
    pub(crate) version: String,
    path: PathBuf,
    /// Name -> file.
    files: BTreeMap<String, PathBuf>,
    /// Name -> what modules.dep says must be loaded before, first things first. `None` without modules.dep.
    needs: Option<BTreeMap<String, Vec<String>>>,
    /// Names and aliases of what is in the kernel itself.
    builtin: BTreeSet<String>,
    /// Alias -> modules, read when first asked for.
    aliases: OnceCell<BTreeMap<String, Vec<String>>>,
}

/// The name under which a module is known, whatever the spelling: `xen-netfront` and `xen_netfront` are one.
pub(super) fn normal(name: &str) -> String {
    name.replace('-', "_")
}

/// The module's name if this is a module's file.
fn name_of(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (name, ending) = file.split_once(".ko")?;
    ["", ".gz", ".xz", ".zst"].contains(&ending).then(|| normal(name))
}

impl Directory {
    /// Opens `given` itself, or the one kernel's directory below it that `kernel` names.
    pub(crate) fn open(given: &Path, kernel: Option<&str>) -> Result<Self> {
        let path = locate(given, kernel)?;
        let version = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut directory = Self {
            version,
            files: BTreeMap::new(),
            needs: None,
            builtin: builtin(&path)?,
            aliases: OnceCell::new(),
            path,
        };
        match optional(&directory.path.join("modules.dep"))? {
            Some(text) => directory.believe_depmod(&text),
            None => directory.look_around()?,
        }
        Ok(directory)
    }

    fn believe_depmod(&mut self, text: &str) {
        let mut needs = BTreeMap::new();
        for (file, rest) in text.lines().filter_map(|line| line.split_once(':')) {
            let Some(name) = name_of(Path::new(file)) else { continue };
            // depmod lists what to load last first.
            let first_things_first = rest.split_whitespace().rev().filter_map(|need| name_of(Path::new(need)));
            needs.insert(name.clone(), first_things_first.collect());
            self.files.insert(name, self.path.join(file));
        }
        self.needs = Some(needs);
    }

    /// Without modules.dep: every module file counts. One below updates/ wins over others, as with depmod's defaults.
    fn look_around(&mut self) -> Result<()> {
        for entry in WalkDir::new(&self.path).sort_by_file_name() {
            let entry = entry.with_context(|| format!("cannot list the modules in {}", self.path.display()))?;
            let Some(name) = name_of(entry.path()).filter(|_| !entry.file_type().is_dir()) else { continue };
            let is_update = entry.path().starts_with(self.path.join("updates"));
            if is_update || !self.files.contains_key(&name) {
                self.files.insert(name, entry.into_path());
            }
        }
        Ok(())
    }

    /// The modules behind a name or an alias; none if that is built into the kernel; `None` if nobody knows it.
    pub(super) fn find(&self, name: &str) -> Result<Option<Vec<String>>> {
        let name = normal(name);
        if self.files.contains_key(&name) {
            return Ok(Some(vec![name]));
        }
        if self.builtin.contains(&name) {
            return Ok(Some(Vec::new()));
        }
        Ok(self.aliases()?.get(&name).cloned())
    }

    fn aliases(&self) -> Result<&BTreeMap<String, Vec<String>>> {
        if let Some(known) = self.aliases.get() {
            return Ok(known);
        }
        let mut aliases: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if let Some(text) = optional(&self.path.join("modules.alias"))? {
            for line in text.lines() {
                if let ["alias", alias, module] = line.split_whitespace().collect::<Vec<_>>()[..] {
                    aliases.entry(normal(alias)).or_default().push(normal(module));
                }
            }
        } else {
            for name in self.files.keys() {
                for alias in self.read(name)?.1.modinfo("alias") {
                    aliases.entry(normal(alias)).or_default().push(name.clone());
                }
            }
        }
        Ok(self.aliases.get_or_init(|| aliases))
    }

    /// A module's plain bytes and what they say.
    pub(super) fn read(&self, name: &str) -> Result<(Vec<u8>, Elf)> {
        let Some(file) = self.files.get(name) else {
            bail!("module {name} is needed but is not in {}; run depmod, or reinstall the kernel", self.path.display())
        };
        let plain = fs::read(file)
            .map_err(anyhow::Error::from)
            .and_then(|bytes| unpack_module(&file.to_string_lossy(), bytes))
            .with_context(|| format!("cannot read module {}", file.display()))?;
        let elf = elf::read(&plain).with_context(|| format!("{} is no kernel module", file.display()))?;
        match elf.filter(Elf::is_module) {
            Some(elf) => Ok((plain, elf)),
            None => bail!("{} is no kernel module (it has no .modinfo); reinstall the kernel", file.display()),
        }
    }

    /// What must be loaded before this module, first things first.
    pub(super) fn needs(&self, name: &str, elf: &Elf) -> Vec<String> {
        match &self.needs {
            Some(needs) => needs.get(name).cloned().unwrap_or_default(),
            None => elf
                .modinfo("depends")
                .flat_map(|list| list.split(','))
                .filter(|need| !need.is_empty())
                .map(normal)
                .collect(),
        }
    }
}

/// The module directory meant by what the user gave.
fn locate(given: &Path, kernel: Option<&str>) -> Result<PathBuf> {
    let is_directory = |path: &Path| MARKS.iter().any(|mark| path.join(mark).is_file());
    let version = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    ensure!(given.is_dir(), "--kernel-modules {}: there is no such directory", given.display());
    if is_directory(given) {
        // The name is the version, even where the user stands in it and wrote a dot.
        let path = given.canonicalize()?;
        if let Some(wanted) = kernel.filter(|wanted| *wanted != version(&path)) {
            bail!("{} holds the modules of kernel {}, not {wanted}", given.display(), version(&path));
        }
        return Ok(path);
    }
    let mut found = BTreeMap::new();
    for parent in ["", "lib/modules", "usr/lib/modules"].map(|below| given.join(below)) {
        let Ok(entries) = fs::read_dir(parent) else { continue };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_directory(path)) {
            found.entry(version(&path)).or_insert(path);
        }
    }
    let versions = found.keys().cloned().collect::<Vec<_>>().join(", ");
    match kernel {
        _ if found.is_empty() => bail!(
            "--kernel-modules {}: no kernel's modules are here; give /lib/modules/VERSION or a root that contains it",
            given.display()
        ),
        Some(wanted) => found
            .remove(wanted)
            .with_context(|| format!("{} has no modules of kernel {wanted}, but of {versions}", given.display())),
        None if found.len() > 1 => bail!("{} has modules of {versions}; choose with --kernel", given.display()),
        None => found.into_values().next().context("no modules"),
    }
}

/// What needs no module: names from modules.builtin, aliases from modules.builtin.modinfo (`module.key=value`).
fn builtin(path: &Path) -> Result<BTreeSet<String>> {
    let list = optional(&path.join("modules.builtin"))?.unwrap_or_default();
    let mut names: BTreeSet<String> = list.lines().filter_map(|line| name_of(Path::new(line))).collect();
    let about = optional(&path.join("modules.builtin.modinfo"))?.unwrap_or_default();
    names.extend(about.split('\0').filter_map(|entry| Some(normal(entry.split_once(".alias=")?.1))));
    Ok(names)
}

fn optional(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_files_are_known_by_their_names() {
        for (file, name) in [
            ("kernel/drivers/net/xen-netfront.ko", Some("xen_netfront")),
            ("a/b_c.ko.xz", Some("b_c")),
            ("b.ko.zst", Some("b")),
            ("b.ko.gz", Some("b")),
            ("b.ko.bz2", None),
            ("modules.dep", None),
        ] {
            assert_eq!(name_of(Path::new(file)).as_deref(), name, "{file}");
        }
    }

    #[test]
    fn modules_dep_lists_what_to_load_last_first() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("modules.dep"), "k/a-a.ko: k/b.ko k/c.ko\nk/b.ko: k/c.ko\nk/c.ko:\n").unwrap();
        fs::write(home.path().join("modules.builtin"), "kernel/d-d.ko\n").unwrap();
        fs::write(home.path().join("modules.builtin.modinfo"), "e.alias=crypto-e\0e.license=GPL\0").unwrap();
        fs::write(home.path().join("modules.alias"), "# c\nalias xen:vif a_a\nalias xen:vif b\n").unwrap();
        let directory = Directory::open(home.path(), None).unwrap();
        let nothing = elf::read(&fs::read(std::env::current_exe().unwrap()).unwrap()).unwrap().unwrap();
        assert_eq!(directory.needs("a_a", &nothing), ["c", "b"]);
        assert_eq!(directory.find("a-a").unwrap().unwrap(), ["a_a"]);
        assert_eq!(directory.find("xen:vif").unwrap().unwrap(), ["a_a", "b"]);
        assert!(directory.find("d_d").unwrap().unwrap().is_empty());
        assert!(directory.find("crypto_e").unwrap().unwrap().is_empty());
        assert_eq!(directory.find("nobody").unwrap(), None);
    }

    #[test]
    fn a_root_is_searched_and_several_kernels_need_a_choice() {
        let home = tempfile::tempdir().unwrap();
        assert!(locate(home.path(), None).is_err());
        assert!(locate(&home.path().join("missing"), None).is_err());
        for version in ["6.1", "6.12"] {
            let path = home.path().join("lib/modules").join(version);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("modules.order"), "").unwrap();
        }
        let modules = home.path().join("lib/modules");
        for given in [home.path(), &modules] {
            assert_eq!(locate(given, Some("6.1")).unwrap(), modules.join("6.1"));
            assert!(locate(given, None).unwrap_err().to_string().contains("6.1, 6.12"));
            assert!(locate(given, Some("6.2")).is_err());
        }
        assert!(locate(&modules.join("6.12"), None).unwrap().ends_with("6.12"));
        assert!(locate(&modules.join("6.12"), Some("6.1")).is_err());
    }
}
