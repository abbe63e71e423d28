//! An extension of /usr for systemd-sysext(8): systems whose /usr cannot be written to, such as Flatcar and Fedora
//! CoreOS.
//!
//! Installed as nanova.raw: systemd wants extension-release.NAME in it to be called as the file is.

use std::fs;

use anyhow::Result;

use crate::options::Options;
use crate::stage::{Release, Stage};
use crate::tools;

/// Starts it once the extension is there, and holds it up: nothing is enabled below /etc.
const UPHOLDS: &str = "[Unit]\nUpholds=nanova.service\n";

/// Makes `nanova-VERSION-PROCESSOR.sysext.raw`; says so if mksquashfs is not there.
pub(crate) fn build(options: &Options, release: &Release, stage: &Stage) -> Result<()> {
    if !tools::is_there("mksquashfs") {
        eprintln!("note: no system extension for {}: mksquashfs (squashfs-tools) is not there", stage.processor.name);
        return Ok(());
    }
    let home = tempfile::tempdir()?;
    let root = home.path().join("root");
    let units = "usr/lib/systemd/system";
    tools::write(&root, "usr/sbin/nanova", &fs::read(stage.folder.join("nanova"))?, 0o755)?;
    let unit = fs::read(stage.folder.join("services/nanova.service"))?;
    tools::write(&root, &format!("{units}/nanova.service"), &unit, 0o644)?;
    tools::write(&root, &format!("{units}/multi-user.target.d/10-nanova.conf"), UPHOLDS.as_bytes(), 0o644)?;
    let about = format!("ID=_any\nARCHITECTURE={}\nEXTENSION_RELOAD_MANAGER=1\n", stage.processor.systemd);
    tools::write(&root, "usr/lib/extension-release.d/extension-release.nanova", about.as_bytes(), 0o644)?;
    tools::write(&root, "usr/share/doc/nanova/copyright", &fs::read(stage.folder.join("copyright"))?, 0o644)?;
    fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let file = std::path::absolute(&options.output)?
        .join(format!("nanova-{}-{}.sysext.raw", release.version, stage.processor.name));
    let time = release.time.to_string();
    let mut squash = tools::command("mksquashfs", release.time);
    squash.env_remove("SOURCE_DATE_EPOCH").arg(&root).arg(&file).args([
        "-noappend",
        "-all-root",
        "-no-xattrs",
        "-comp",
        "xz",
    ]);
    tools::run(squash.args(["-no-progress", "-mkfs-time", &time, "-all-time", &time]))?;
    Ok(())
}
