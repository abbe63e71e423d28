//! A plain machine in QEMU, without Xen: Debian's cloud kernel boots an initramfs and, where there is one, a real root.
//!
//! Guarantees: a machine ends within [`LIMIT`], or the test fails with what it said; nothing is installed, the kernel's
//! package is fetched once and lies below `machine` in the build folder. Needs qemu-system-x86, e2fsprogs,
//! busybox-static, and apt-get with a Debian source.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::agent;
use crate::xen::packages::{self, Flavour, Xen};
use crate::xen::{lab, tools};

/// How long a machine may run.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Where the kernel's package is unpacked; fetched when it is asked for first.
pub fn kernel() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let folder = std::path::absolute(agent::target_dir().join("machine")).expect("the build folder has a path");
        packages::kernel_alone(&folder, Flavour::Cloud).expect("Debian's cloud kernel can be fetched")
    })
}

/// A small Debian with systemd, unpacked but not configured; fetched when it is asked for first. Not to be changed.
pub fn debian() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let folder = std::path::absolute(agent::target_dir().join("machine")).expect("the build folder has a path");
        packages::debian(&folder, Xen::V4_17).expect("Debian's packages can be fetched")
    })
}

/// A disk image with an ext4 file system: busybox under all its names, and this script as `/sbin/init` if there is one.
pub fn root_disk(home: &Path, init: Option<&str>) -> Result<PathBuf> {
    let (tree, disk) = (home.join("root"), home.join("root.ext4"));
    for folder in ["bin", "sbin", "etc", "dev", "proc", "sys", "run", "tmp"] {
        fs::create_dir_all(tree.join(folder))?;
    }
    let busybox = lab::busybox()?;
    fs::copy(&busybox, tree.join("bin/busybox"))?;
    let names = tools::run(Command::new(&busybox).arg("--list"))?;
    for name in String::from_utf8_lossy(&names).lines().filter(|name| !matches!(*name, "busybox" | "init")) {
        // A name without a meaning here, such as one twice, is no loss.
        let _ = symlink("busybox", tree.join("bin").join(name));
    }
    // systemd does not hand over to what does not look like a system.
    fs::write(tree.join("etc/os-release"), "ID=test\nNAME=test\n")?;
    match init {
        Some(script) => write_script(&tree.join("sbin/init"), script)?,
        // What a boot falls back to must not be there, either.
        None => fs::remove_file(tree.join("bin/sh"))?,
    }
    tools::run(tools::command("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&tree).arg(&disk).arg("16M"))?;
    Ok(disk)
}

/// Writes an executable file.
pub fn write_script(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o755))?)
}

/// What to boot.
#[derive(Clone, Copy, Debug)]
pub struct Boot<'a> {
    /// The initramfs.
    pub initrd: &'a Path,
    /// Kernel options beside those for the console.
    pub options: &'a str,
    /// The first virtio disk.
    pub disk: Option<&'a Path>,
    /// The MAC address of a virtio network interface, whose cable leads nowhere.
    pub mac: Option<&'a str>,
}

impl Boot<'_> {
    /// Runs the machine until it ends itself; what it said. Fails if it does not end.
    pub fn run(&self) -> Result<Console> {
        self.run_with(&[])
    }

    /// The same with more of QEMU's options, which win.
    pub fn run_with(&self, options: &[&str]) -> Result<Console> {
        let home = tempfile::tempdir()?;
        let log = home.path().join("console");
        let mut command = tools::command("qemu-system-x86_64");
        self.arguments(&mut command, &log)?;
        command.args(options);
        let said = File::create(home.path().join("qemu"))?;
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let mut machine = Machine(command.spawn().context("cannot start qemu-system-x86_64")?);
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = machine.0.try_wait()? {
                break Some(status);
            }
            if begin.elapsed() > LIMIT {
                break None;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).replace('\r', "");
        let qemu = fs::read_to_string(home.path().join("qemu"))?;
        let status = status.with_context(|| format!("the machine did not end; it said:\n{text}{qemu}"))?;
        ensure!(status.success(), "QEMU ended with {status}:\n{text}{qemu}");
        Ok(Console(text))
    }

    fn arguments(&self, command: &mut Command, log: &Path) -> Result<()> {
        let boot = packages::sorted_files(&kernel().join("boot"))?;
        let image = boot.iter().find(|file| file.to_string_lossy().contains("/vmlinuz-"));
        command.args(["-accel", "tcg", "-cpu", "max", "-m", "512", "-display", "none", "-vga", "none"]);
        command.args(["-monitor", "none", "-no-reboot", "-kernel"]);
        command.arg(image.context("the kernel package holds no vmlinuz")?);
        command.arg("-initrd").arg(self.initrd);
        command.arg("-append").arg(format!("console=ttyS0 panic=-1 mitigations=off {}", self.options));
        command.arg("-serial").arg(format!("file:{}", log.display()));
        if let Some(disk) = self.disk {
            command.arg("-drive").arg(format!("file={},if=virtio,format=raw,snapshot=on", disk.display()));
        }
        match self.mac {
            Some(mac) => {
                command.args(["-netdev", "hubport,id=net,hubid=0", "-device"]);
                command.arg(format!("virtio-net-pci,netdev=net,romfile=,mac={mac}"));
            }
            None => drop(command.args(["-nic", "none"])),
        }
        Ok(())
    }
}

/// QEMU, which does not outlive its test.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a machine said on its console.
#[derive(Clone, Debug)]
pub struct Console(String);

impl Console {
    /// All of it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// How often it said this.
    pub fn count(&self, words: &str) -> usize {
        self.0.matches(words).count()
    }

    /// What a script printed between a line `== name` and the next such line. Panics if it did not.
    pub fn section(&self, name: &str) -> &str {
        let begin = format!("== {name}\n");
        let Some((_, rest)) = self.0.split_once(&begin) else { panic!("no {begin:?} in:\n{}", self.0) };
        rest.split_once("== ").map_or(rest, |(section, _)| section)
    }

    /// The names of all sections that begin with this.
    pub fn sections(&self, prefix: &str) -> Vec<&str> {
        let names = self.0.lines().filter_map(|line| line.strip_prefix("== "));
        names.filter(|name| name.starts_with(prefix)).collect()
    }

    /// Panics with all that was said unless it contains each of these.
    pub fn assert_says(&self, words: &[&str]) {
        for words in words {
            assert!(self.0.contains(words), "no {words:?} in:\n{}", self.0);
        }
    }
}
