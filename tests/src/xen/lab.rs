//! The lab folder: everything that is the same for every run, made once and kept.
//!
//! Holds one Xen's hypervisor, both kernels as ELF, dom0's initramfs and the packages they come from, below
//! `xen-lab/<version>` in the build folder. Guarantees: a file is there complete or not at all (written beside, then
//! renamed), and dom0's initramfs follows its sources: it is built anew when a script or list it is made of changed.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::archive::Archive;
use super::modules::{self, Modules};
use super::packages::{Flavour, Packages, Xen, sorted_files};
use super::{kernel, tools};
use crate::agent;

/// dom0's first process: mounts, loads modules, then serves the channel.
const INIT: &str = include_str!("dom0/init.sh");
/// A blocking wait for a xenstore key.
const AWAIT: &str = include_str!("dom0/await.sh");
/// The hotplug script libxl runs for a guest's network interface.
const VIF: &str = include_str!("dom0/vif.sh");
/// The one for a guest's disk.
const BLOCK: &str = include_str!("dom0/block.sh");

/// Programs out of Xen's own folder.
const XEN_PROGRAMS: &[&str] = &[
    "xl",
    "oxenstored",
    "xenstored",
    "xenconsoled",
    "xen-init-dom0",
    "xenconsole",
    "libxl-save-helper",
    "xenstore-control",
];

/// What dom0 loads, besides what these need.
const DOM0_MODULES: &[&str] = &[
    "xen-privcmd",
    "xen-evtchn",
    "xen-gntdev",
    "xen-gntalloc",
    "xenfs",
    "virtio_pci",
    "virtio_console",
    "9pnet_virtio",
    "9p",
    "bridge",
    "xen-netback",
    "virtio_blk",
    "xen-blkback",
];

/// The prepared lab of one Xen.
#[derive(Clone, Debug)]
pub struct Lab {
    xen: Xen,
    dir: PathBuf,
    packages: Packages,
}

impl Lab {
    /// Fetches and builds what is missing.
    pub fn prepare(xen: Xen) -> Result<Lab> {
        let dir = agent::target_dir().join("xen-lab").join(xen.version());
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let packages = Packages::fetch(&dir, xen)?;
        let lab = Lab { xen, dir, packages };
        lab.build("xen", "", |to| lab.write_hypervisor(to))?;
        for flavour in Flavour::ALL {
            lab.build(&lab.kernel_name(flavour), "", |to| lab.write_kernel(flavour, to))?;
        }
        let recipe = [INIT, AWAIT, VIF, BLOCK, &XEN_PROGRAMS.join(" "), &DOM0_MODULES.join(" ")].concat();
        lab.build("dom0.cpio", &recipe, |to| lab.write_dom0(to))?;
        Ok(lab)
    }

    /// The folder itself; dom0 sees it, read-only, as /lab.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whose lab it is.
    pub fn xen(&self) -> Xen {
        self.xen
    }

    /// The ELF kernel's name in the folder.
    pub fn kernel_name(&self, flavour: Flavour) -> String {
        format!("vmlinux-{}", flavour.name())
    }

    /// The modules of a guest's kernel.
    pub fn modules(&self, flavour: Flavour) -> Result<Modules> {
        Modules::of(&self.packages.kernel(flavour))
    }

    /// Makes a file unless it is there, newer than the packages, and made from the same recipe.
    fn build(&self, name: &str, recipe: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let (file, note) = (self.dir.join(name), self.dir.join(format!("{name}.recipe")));
        let packages = fs::metadata(self.packages.stamp())?.modified()?;
        let fresh = fs::metadata(&file).and_then(|meta| meta.modified()).is_ok_and(|made| made >= packages);
        if fresh && fs::read_to_string(&note).is_ok_and(|have| have == recipe) {
            return Ok(());
        }
        let half = self.dir.join(format!("{name}.new"));
        make(&half).with_context(|| format!("cannot make {}", file.display()))?;
        fs::rename(&half, &file)?;
        fs::write(note, recipe)?;
        Ok(())
    }

    fn write_hypervisor(&self, to: &Path) -> Result<()> {
        let packed = fs::read(self.packages.toolstack().join(format!("boot/xen-{}-amd64.gz", self.xen.version())))?;
        let mut xen = Vec::new();
        flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut xen)?;
        Ok(fs::write(to, xen)?)
    }

    fn write_kernel(&self, flavour: Flavour, to: &Path) -> Result<()> {
        let boot = sorted_files(&self.packages.kernel(flavour).join("boot"))?;
        let image = boot.iter().find(|file| file.to_string_lossy().contains("/vmlinuz-"));
        let image = fs::read(image.context("the kernel package holds no vmlinuz")?)?;
        Ok(fs::write(to, kernel::elf_of(&image)?)?)
    }

    fn write_dom0(&self, to: &Path) -> Result<()> {
        let mut root = Archive::default();
        for folder in ["/dev", "/proc", "/sys", "/run", "/tmp", "/out", "/lab", "/root", "/var/lib/xen"] {
            root.folder(folder);
        }
        for folder in ["/var/log/xen", "/var/lib/xenstored"] {
            root.folder(folder);
        }
        root.link("/var/run", "../run");
        root.link("/var/lock", "../run/lock");
        root.file("/init", 0o755, INIT);
        root.file("/etc/xen/xl.conf", 0o644, "autoballoon=0\n");
        root.file("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n");
        root.file("/etc/group", 0o644, "root:x:0:\n");
        root.file("/usr/bin/await", 0o755, AWAIT);
        root.file("/etc/xen/scripts/vif-bridge", 0o755, VIF);
        root.file("/etc/xen/scripts/block", 0o755, BLOCK);
        root.copy("/etc/xen/oxenstored.conf", &self.packages.toolstack().join("etc/xen/oxenstored.conf"))?;
        add_busybox(&mut root)?;
        self.add_toolstack(&mut root)?;
        self.add_modules(&mut root)?;
        root.write(to)
    }

    fn add_toolstack(&self, root: &mut Archive) -> Result<()> {
        let stage = self.packages.toolstack();
        let programs = format!("usr/lib/xen-{}/bin", self.xen.version());
        for name in XEN_PROGRAMS {
            root.copy(&format!("/{programs}/{name}"), &stage.join(&programs).join(name))?;
        }
        for file in sorted_files(&stage.join("usr/bin"))? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with("xenstore") && !file.is_symlink() {
                root.copy(&format!("/usr/bin/{name}"), &file)?;
            }
        }
        for file in sorted_files(&stage.join("lib/x86_64-linux-gnu"))? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.contains(".so") && file.is_file() {
                root.copy(&format!("/lib/x86_64-linux-gnu/{name}"), &file)?;
            }
        }
        root.copy("/lib64/ld-linux-x86-64.so.2", &stage.join("lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"))
    }

    fn add_modules(&self, root: &mut Archive) -> Result<()> {
        let mut order = String::new();
        for file in self.modules(Flavour::Amd64)?.order(DOM0_MODULES)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            // busybox loads what is not compressed.
            let name = name.trim_end_matches(".xz").to_owned();
            root.file(&format!("/modules/{name}"), 0o644, modules::read(&file)?);
            order.push_str(&name);
            order.push('\n');
        }
        root.file("/modules/order", 0o644, order);
        Ok(())
    }
}

/// The machine's busybox, which must be static to run in dom0 and in guests.
pub fn busybox() -> Result<PathBuf> {
    let path =
        tools::find("busybox").context("this machine lacks busybox; on Debian: apt-get install busybox-static")?;
    let bytes = fs::read(&path)?;
    let dynamic = bytes.windows(INTERPRETER.len()).any(|window| window == INTERPRETER);
    anyhow::ensure!(!dynamic, "{} is not static; on Debian: apt-get install busybox-static", path.display());
    Ok(path)
}

/// Names the dynamic loader in an ELF file.
const INTERPRETER: &[u8] = b"/lib64/ld-linux";

fn add_busybox(root: &mut Archive) -> Result<()> {
    let busybox = busybox()?;
    root.copy("/bin/busybox", &busybox)?;
    let names = tools::run(std::process::Command::new(&busybox).arg("--list"))?;
    for name in String::from_utf8_lossy(&names).lines().filter(|name| !matches!(*name, "busybox" | "init")) {
        root.link(&format!("/bin/{name}"), "busybox");
    }
    Ok(())
}
