//! A Debian 12 with systemd, udev and ifupdown on a disk, with nanova as a service.
//!
//! Guarantees: the packages are the machine's own apt's, fetched once; what their scripts would do at installation (the
//! accounts, the network's first file, the services that are enabled) is done here; the disk is made anew for every
//! run, with the agent given. What is switched off has no part in the network and costs seconds under emulation.
//! Refuses: a kernel, which the guest gets from dom0, and logins.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::images::{OBSERVER, SHADOW};
use super::{lab, packages, tools};
use crate::agent;

/// The agent's unit, as the project ships it.
const UNIT: &str = include_str!("../../../initramfs/services/nanova.service");
/// Starts the observer as soon as there is a console, so that a boot that hangs can be asked why.
const OBSERVER_UNIT: &str = "[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\nBefore=shutdown.target\n\
    [Service]\nExecStart=/bin/busybox sh /observer.sh\n[Install]\nWantedBy=sysinit.target\n";
/// As Debian's installer writes it, for a guest whose interface nobody has configured.
const INTERFACES: &str = "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n";
/// udev's rules that are kept: devices' nodes, all of the network, disks, and what tells systemd of them.
const RULES: &[&str] = &["50-udev-default", "60-block", "net", "80-ifupdown", "80-debian-compat", "99-systemd"];
/// Nothing here waits for these.
const UNITS_MASKED: &[&str] = &[
    "cryptsetup.target",
    "dbus.service",
    "dbus.socket",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty.target",
    "kmod-static-nodes.service",
    "modprobe@.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-binfmt.service",
    "systemd-initctl.socket",
    "systemd-journald-audit.socket",
    "systemd-journal-flush.service",
    "systemd-logind.service",
    "systemd-modules-load.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-repart.service",
    "systemd-sysusers.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-user-sessions.service",
];
/// The size of the disk: twice what is on it.
const SIZE: &str = "256M";

/// Writes the disk: a file with an ext4 file system and no partitions.
pub fn make_disk(agent: &Path, disk: &Path) -> Result<()> {
    let folder = std::path::absolute(agent::target_dir().join("machine"))?;
    let packages = packages::debian(&folder)?;
    // Beside the packages, as links to another file system cannot be made.
    let half = tempfile::tempdir_in(&folder)?;
    let root = half.path().join("root");
    tools::run(Command::new("cp").args(["--archive", "--link"]).arg(&packages).arg(&root))?;
    configure(&root, agent).context("the Debian cannot be configured")?;
    let _ = fs::remove_file(disk);
    // All files belong to root there, whoever runs this here.
    let mut command = tools::command("unshare");
    if rustix::process::geteuid().is_root() {
        command = tools::command("mke2fs");
    } else {
        command.arg("--map-root-user").arg(tools::find("mke2fs").context("there is no mke2fs")?);
    }
    command.args(["-q", "-t", "ext4", "-O", "^metadata_csum", "-d"]).arg(&root).arg(disk).arg(SIZE);
    tools::run(&mut command).context("cannot make the Debian's disk").map(drop)
}

/// Does what the packages' scripts and an installer do. Files of packages are links here: none is written into.
fn configure(root: &Path, agent: &Path) -> Result<()> {
    for (path, from, mode) in [
        ("etc/passwd", &root.join("usr/share/base-passwd/passwd.master"), 0o644),
        ("etc/group", &root.join("usr/share/base-passwd/group.master"), 0o644),
        ("usr/sbin/nanova", &agent.to_owned(), 0o755),
        ("usr/bin/busybox", &lab::busybox()?, 0o755),
    ] {
        put(root, path, mode, &fs::read(from)?)?;
    }
    put(root, "etc/shadow", 0o640, SHADOW.as_bytes())?;
    for (path, contents) in [
        ("etc/hostname", "debian\n"),
        ("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 debian\n"),
        ("etc/resolv.conf", ""),
        ("etc/fstab", ""),
        ("etc/network/interfaces", INTERFACES),
        // Otherwise this is a first boot, with questions on the console.
        ("etc/machine-id", "5ce2a1f0b7d94f6e8c3b0d1e2f3a4b5c\n"),
        // Otherwise all caches that belong to /usr are made anew.
        ("etc/.updated", ""),
        ("var/.updated", ""),
        ("observer.sh", OBSERVER),
        ("etc/systemd/system/nanova.service", UNIT),
        ("etc/systemd/system/observer.service", OBSERVER_UNIT),
    ] {
        put(root, path, 0o644, contents.as_bytes())?;
    }
    let units = root.join("etc/systemd/system");
    symlink("/lib/systemd/system/multi-user.target", units.join("default.target"))?;
    for name in UNITS_MASKED {
        mask(&units, name)?;
    }
    // The command line and fstab say nothing for them to make units of.
    for name in names(&root.join("usr/lib/systemd/system-generators"))? {
        mask(&root.join("etc/systemd/system-generators"), &name)?;
    }
    for name in names(&root.join("usr/lib/udev/rules.d"))? {
        if !RULES.iter().any(|kept| name.contains(kept)) {
            mask(&root.join("etc/udev/rules.d"), &name)?;
        }
    }
    enable(&units, "nanova.service", UNIT)?;
    enable(&units, "observer.service", OBSERVER_UNIT)?;
    let networking = fs::read_to_string(root.join("usr/lib/systemd/system/networking.service"))?;
    enable(&units, "networking.service", &networking)
}

/// A link to nothing in /etc goes before a file of this name in /usr/lib, for systemd as for udev.
fn mask(folder: &Path, name: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    symlink("/dev/null", folder.join(name)).with_context(|| format!("cannot mask {name}"))
}

/// The names of a folder's files.
fn names(folder: &Path) -> Result<Vec<String>> {
    let name = |file: PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(packages::sorted_files(folder)?.into_iter().map(name).collect())
}

/// Makes a new file; one that is there is a package's and stays as it is.
fn put(root: &Path, path: &str, mode: u32, contents: &[u8]) -> Result<()> {
    let made = File::create_new(root.join(path)).and_then(|mut file| {
        file.write_all(contents)?;
        file.set_permissions(fs::Permissions::from_mode(mode))
    });
    made.with_context(|| format!("cannot make {path}"))
}

/// `systemctl enable` of a unit with this text.
fn enable(units: &Path, name: &str, text: &str) -> Result<()> {
    for target in text.lines().filter_map(|line| line.strip_prefix("WantedBy=")) {
        let wants = units.join(format!("{target}.wants"));
        fs::create_dir_all(&wants)?;
        let shipped = Path::new("/lib/systemd/system").join(name);
        let own = Path::new("/etc/systemd/system").join(name);
        let there = units.join(name).exists();
        symlink(if there { own } else { shipped }, wants.join(name))?;
    }
    Ok(())
}
