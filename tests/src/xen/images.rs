//! The initramfs images guests boot: nova's agent as `cargo initramfs` packs it, and the floor.
//!
//! Guarantees: images are made anew for every run, from the agent given. Refuses an agent that is not there, naming
//! the command that builds it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::archive::Archive;
use super::lab::{self, Lab};
use super::packages::Flavour;
use super::{debian, openrc, tools};
use crate::agent;

/// What answers for the guest, see there.
pub(super) const OBSERVER: &str = include_str!("observer.sh");
/// What is to be reachable, see there.
const APPLICATION: &str = include_str!("application.sh");
const FLOOR: &str = include_str!("floor.c");
const SYSTEM: &str = include_str!("service.sh");
/// The notes for init systems; the line for busybox's inittab is in them.
const NOTES: &str = include_str!("../../../initramfs/services/README.md");
/// What the guests' kernels load: the default, and links that lie upon the interface.
const MODULES: &[&str] = &["xen-netfront", "xen-blkfront", "bonding", "8021q"];
/// What a guest with a root on a disk needs.
const ROOT_MODULES: &[&str] = &["xen-netfront", "xen-blkfront", "ext4"];
/// A root account without a password, as images carry it.
pub(super) const SHADOW: &str = "root:*:19000:0:99999:7:::\nbin:*:19000:0:99999:7:::\n";

/// The kernel command line that starts the observer.
pub const OBSERVE: &str = r#"nanova.exec="/bin/busybox sh /observer.sh""#;
/// The one that starts busybox's init, which has the agent and the observer as services.
pub const SERVICE: &str = "rdinit=/bin/busybox -- init";

/// A disk with a distribution on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// The Debian of the lab's Xen.
    Debian,
    /// OpenRC and busybox.
    OpenRc,
}

impl Disk {
    /// Its file, relative to the lab folder.
    pub fn file(self) -> &'static str {
        match self {
            Disk::Debian => "images/debian.ext4",
            Disk::OpenRc => "images/openrc.ext4",
        }
    }
}

/// The images, relative to the lab folder, and the agent they hold.
#[derive(Clone, Debug)]
pub struct Images {
    /// nanova alone.
    pub bare: String,
    /// The floor alone.
    pub floor: String,
    /// The agent's file.
    pub agent: PathBuf,
}

impl Images {
    /// The image with the modules for a disk.
    pub const ROOT: &str = "images/root.cpio";

    /// Makes them all.
    pub fn make(lab: &Lab, agent: Option<PathBuf>) -> Result<Images> {
        let agent = match agent {
            Some(file) => file,
            None => build_agent()?,
        };
        ensure!(agent.is_file(), "there is no agent at {}", agent.display());
        let agent = agent.canonicalize()?;
        let dir = lab.dir().join("images");
        fs::create_dir_all(&dir)?;
        fs::copy(&agent, dir.join("nanova")).context("cannot copy the agent")?;
        let images = Images { bare: "images/bare.cpio".into(), floor: "images/floor.cpio".into(), agent };
        make_floor(&dir, &lab.dir().join(&images.floor))?;
        initramfs(&images.agent, &lab.dir().join(&images.bare), &[])?;
        initramfs(&images.agent, &lab.dir().join(Images::ROOT), &modules(lab, Flavour::Amd64, ROOT_MODULES)?)?;
        let mut additions = vec![(lab::busybox()?, "/bin/busybox".to_owned())];
        for (path, contents) in [
            ("/observer.sh", OBSERVER),
            ("/application.sh", APPLICATION),
            ("/service.sh", SYSTEM),
            ("/etc/shadow", SHADOW),
            ("/etc/inittab", &inittab()?),
        ] {
            let file = dir.join(path.rsplit('/').next().unwrap_or(path));
            fs::write(&file, contents)?;
            additions.push((file, path.to_owned()));
        }
        for flavour in Flavour::ALL {
            let mut options = modules(lab, flavour, MODULES)?;
            for (from, to) in &additions {
                options.extend(["--add".into(), format!("{}:{to}", from.display())]);
            }
            initramfs(&images.agent, &lab.dir().join(Images::full(flavour)), &options)?;
        }
        Ok(images)
    }

    /// Makes a disk.
    pub fn make_disk(&self, lab: &Lab, disk: Disk) -> Result<()> {
        let file = lab.dir().join(disk.file());
        match disk {
            Disk::Debian => debian::make_disk(lab.xen(), &self.agent, &file),
            Disk::OpenRc => openrc::make_disk(&self.agent, &file),
        }
    }

    /// The image with modules for this kernel, busybox and the observer.
    pub fn full(flavour: Flavour) -> String {
        format!("images/full-{}.cpio", flavour.name())
    }
}

/// The options of `cargo initramfs` for these modules of a kernel.
fn modules(lab: &Lab, flavour: Flavour, names: &[&str]) -> Result<Vec<String>> {
    let modules = lab.modules(flavour)?;
    let mut options = vec!["--kernel-modules".into(), modules.parent().display().to_string()];
    options.extend(["--kernel".into(), modules.version()]);
    options.extend(names.iter().flat_map(|name| ["--module".into(), (*name).to_owned()]));
    Ok(options)
}

/// What busybox's init starts: nanova by the line that its notes have.
fn inittab() -> Result<String> {
    let service =
        NOTES.lines().find(|line| line.starts_with("::respawn:")).context("the notes have no inittab line")?;
    Ok(format!("::sysinit:/bin/busybox sh /service.sh\n{service}\n::respawn:/bin/busybox sh /observer.sh\n"))
}

/// Runs `cargo initramfs`.
fn initramfs(agent: &Path, output: &Path, options: &[String]) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "nanova-initramfs", "--", "--compress", "none"]);
    command.arg("--agent").arg(agent).arg("--output").arg(output).args(options);
    tools::run(&mut command).context("`cargo initramfs` made no image").map(drop)
}

/// Builds the agent of this workspace.
fn build_agent() -> Result<PathBuf> {
    agent::build(&mut cargo(), &agent::target_dir(), &[])
}

/// cargo, in this workspace, into the lab's target directory.
pub fn cargo() -> Command {
    let mut command = agent::cargo();
    command.env("CARGO_TARGET_DIR", std::path::absolute(agent::target_dir()).unwrap_or_else(|_| agent::target_dir()));
    command
}

/// Builds the program that stands in for a host in the guests of other tests; returns where it is.
pub fn stand_in() -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo.args(["rustc", "--quiet", "--package", "nanova-tests", "--example", "initramfs-xenstored", agent::TELL]);
    agent::executable(cargo.args(["--", "-C", "strip=symbols"]))
}

/// Compiles the floor and makes it the only file of an image.
fn make_floor(dir: &Path, image: &Path) -> Result<()> {
    let (source, program) = (dir.join("floor.c"), dir.join("floor"));
    fs::write(&source, FLOOR)?;
    tools::run(tools::command("musl-gcc").args(["-static", "-Os", "-s", "-o"]).arg(&program).arg(&source))?;
    let mut archive = Archive::default();
    archive.folder("/dev");
    archive.copy("/init", &program)?;
    archive.write(image)
}
