//! Kernel modules of an unpacked kernel package: where they are, and in which order they load.
//!
//! Guarantees: modules.dep is made by depmod itself; a module comes after everything it needs, and once. Refuses a name
//! the kernel has neither as a module nor built in.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{packages, tools};

/// The modules of one kernel.
#[derive(Debug)]
pub struct Modules {
    dir: PathBuf,
    dependencies: BTreeMap<String, (PathBuf, Vec<String>)>,
    built_in: Vec<String>,
}

impl Modules {
    /// Reads the modules of the kernel below `root`; depmod runs the first time.
    pub fn of(root: &Path) -> Result<Modules> {
        let version = version(root)?;
        let dir = root.join("lib/modules").join(&version);
        let listing = dir.join("modules.dep");
        if !listing.exists() {
            tools::run(tools::command("depmod").arg("-b").arg(root).arg(&version))?;
        }
        let text = fs::read_to_string(&listing).context("depmod left no modules.dep")?;
        let mut dependencies = BTreeMap::new();
        for (file, needs) in text.lines().filter_map(|line| line.split_once(':')) {
            dependencies.insert(name(file), (dir.join(file), needs.split_whitespace().map(name).collect()));
        }
        let built_in = fs::read_to_string(dir.join("modules.builtin")).context("the kernel package is incomplete")?;
        Ok(Modules { dir, dependencies, built_in: built_in.lines().map(name).collect() })
    }

    /// The folder that `cargo initramfs --kernel-modules` takes: the parent of all versions.
    pub fn parent(&self) -> &Path {
        self.dir.parent().unwrap_or(&self.dir)
    }

    /// The kernel's version, as in its folder's name.
    pub fn version(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The files to load for these modules, in order.
    pub fn order(&self, wanted: &[&str]) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for module in wanted {
            self.visit(&name(module), &mut files)?;
        }
        Ok(files)
    }

    fn visit(&self, module: &str, files: &mut Vec<PathBuf>) -> Result<()> {
        let Some((file, needs)) = self.dependencies.get(module) else {
            if self.built_in.iter().any(|built_in| built_in == module) {
                return Ok(());
            }
            bail!("kernel {} has no module {module}", self.version());
        };
        if files.contains(file) {
            return Ok(());
        }
        for needed in needs {
            self.visit(needed, files)?;
        }
        files.push(file.clone());
        Ok(())
    }
}

/// A module's file as a kernel loads it, unpacked where its package has it compressed by xz.
pub fn read(file: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    if file.extension().is_none_or(|ending| ending != "xz") {
        return Ok(bytes);
    }
    let mut module = Vec::new();
    lzma_rust2::XzReader::new(&bytes[..], false).read_to_end(&mut module)?;
    Ok(module)
}

/// The version of the one kernel below `root`.
fn version(root: &Path) -> Result<String> {
    let kernels = packages::sorted_files(&root.join("lib/modules"))?;
    let kernel = kernels.first().and_then(|dir| dir.file_name()).context("the kernel package holds no modules")?;
    Ok(kernel.to_string_lossy().into_owned())
}

/// "kernel/drivers/net/xen-netfront.ko" is called "xen_netfront".
fn name(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or(file);
    base.split('.').next().unwrap_or(base).replace('-', "_")
}
