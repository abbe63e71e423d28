//! A Debian 12 or 13 with systemd, udev and ifupdown on a disk, with nanova as a service.
//!
//! Guarantees: the packages are the machine's own apt's, fetched once; what their scripts would do at installation (the
//! accounts, the network's first file, the services that are enabled) is done here; the disk is made anew for every
//! run, with the agent given. What is switched off has no part in the network and costs seconds under emulation.
//! Refuses: a kernel, which the guest gets from dom0.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Result;

use super::disk::{make, mask, names, put};
use super::images::{OBSERVER, SHADOW};
use super::lab;
use super::packages::{self, Xen};

/// The agent's unit, as the project ships it.
const UNIT: &str = include_str!("../../../initramfs/services/nanova.service");
/// Starts the observer as soon as there is a console, so that a boot that hangs can be asked why.
const OBSERVER_UNIT: &str = "[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\nBefore=shutdown.target\n\
    [Service]\nExecStart=/bin/busybox sh /observer.sh\n[Install]\nWantedBy=sysinit.target\n";
/// A login in the observer's place, once it is asked for.
const LOGIN_UNIT: &str = "[Unit]\nDefaultDependencies=no\nConflicts=observer.service\nAfter=observer.service\n\
    [Service]\nExecStart=/sbin/agetty --noissue --noclear --keep-baud 115200 hvc0 vt102\nStandardInput=tty\n\
    StandardOutput=tty\nTTYPath=/dev/hvc0\nTTYReset=yes\n";
/// As Debian's pam-auth-update writes them, without a password's quality.
const PAM: [&str; 4] = ["auth", "account", "session", "password"];
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
const SIZE: &str = "320M";

/// Writes the disk.
pub fn make_disk(xen: Xen, agent: &Path, disk: &Path) -> Result<()> {
    make(disk, SIZE, |folder| packages::debian(folder, xen), |root| configure(root, agent))
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
        ("etc/systemd/system/console-login.service", LOGIN_UNIT),
    ] {
        put(root, path, 0o644, contents.as_bytes())?;
    }
    for kind in PAM {
        put(root, &format!("etc/pam.d/common-{kind}"), 0o644, format!("{kind} required pam_unix.so\n").as_bytes())?;
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
