//! A small system with OpenRC on a disk, as Alpine has it: busybox for everything else, its init too.
//!
//! Guarantees: nanova is a service of the boot runlevel by the files that the project ships; the network's service
//! notes whether nanova was started before it. Refuses: what the distribution's own services would do; there are none.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Result;

use super::disk::{make, put};
use super::images::{OBSERVER, SHADOW};
use super::{lab, packages, tools};

/// The service as the project ships it.
const SERVICE: &str = include_str!("../../../initramfs/services/nanova.initd");
const OPTIONS: &str = include_str!("../../../initramfs/services/nanova.confd");
/// As Alpine's, with the observer as the only terminal.
const INITTAB: &str = "::sysinit:/sbin/openrc sysinit\n::sysinit:/sbin/openrc boot\n::wait:/sbin/openrc default\n\
    ::respawn:/bin/busybox sh /observer.sh\n::shutdown:/sbin/openrc shutdown\n";
/// What nanova needs.
const LOCALMOUNT: &str = "#!/sbin/openrc-run\nstart() {\n    true\n}\n";
/// What nanova comes before.
const NET: &str = "#!/sbin/openrc-run\nprovide=net\ndepend() {\n    provide net\n}\nstart() {\n    \
    rc-service nanova status >/run/order 2>&1 && echo before >>/run/order\n    true\n}\n";
const SIZE: &str = "64M";

/// Writes the disk.
pub fn make_disk(agent: &Path, disk: &Path) -> Result<()> {
    make(disk, SIZE, packages::openrc, |root| configure(root, agent))
}

fn configure(root: &Path, agent: &Path) -> Result<()> {
    for folder in ["proc", "sys", "dev", "run", "tmp", "root", "etc/conf.d", "etc/network", "var/cache/rc", "usr/sbin"]
    {
        fs::create_dir_all(root.join(folder))?;
    }
    let busybox = lab::busybox()?;
    put(root, "usr/bin/busybox", 0o755, &fs::read(&busybox)?)?;
    put(root, "usr/sbin/nanova", 0o755, &fs::read(agent)?)?;
    let applets = tools::run(std::process::Command::new(&busybox).arg("--list"))?;
    for name in String::from_utf8_lossy(&applets).lines().filter(|name| *name != "busybox") {
        let folder = if ["init", "poweroff", "reboot", "halt"].contains(&name) { "usr/sbin" } else { "usr/bin" };
        // A package's own program of that name stays.
        let _ = symlink("/bin/busybox", root.join(folder).join(name));
    }
    for (path, mode, contents) in [
        ("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/group", 0o644, "root:x:0:\n"),
        ("etc/shadow", 0o640, SHADOW),
        ("etc/hostname", 0o644, "alpine-like\n"),
        ("etc/hosts", 0o644, "127.0.0.1 localhost\n"),
        ("etc/resolv.conf", 0o644, ""),
        ("etc/fstab", 0o644, ""),
        ("etc/inittab", 0o644, INITTAB),
        ("etc/os-release", 0o644, "ID=openrc\nNAME=\"OpenRC and busybox\"\n"),
        ("observer.sh", 0o644, OBSERVER),
        ("etc/init.d/nanova", 0o755, SERVICE),
        ("etc/conf.d/nanova", 0o644, OPTIONS),
        ("etc/init.d/localmount", 0o755, LOCALMOUNT),
        ("etc/init.d/net", 0o755, NET),
    ] {
        put(root, path, mode, contents.as_bytes())?;
    }
    for (level, services) in
        [("sysinit", &[][..]), ("boot", &["localmount", "nanova"]), ("default", &["net"]), ("shutdown", &[])]
    {
        let level = root.join("etc/runlevels").join(level);
        fs::create_dir_all(&level)?;
        for service in services {
            symlink(Path::new("/etc/init.d").join(service), level.join(service))?;
        }
    }
    Ok(())
}
