//! Disks with a distribution on them: a file with an ext4 file system and no partitions.
//!
//! Guarantees: made anew for every run, of packages that were fetched once and are links there, so that nothing is
//! written into them; all files belong to root, whoever runs this. Refuses to replace a package's file.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{packages, tools};
use crate::agent;

/// Writes a disk of this size: what `packages` has unpacked below a folder that it is given, configured.
pub(super) fn make(
    disk: &Path,
    size: &str,
    packages: impl FnOnce(&Path) -> Result<PathBuf>,
    configure: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let folder = std::path::absolute(agent::target_dir().join("machine"))?;
    let packages = packages(&folder)?;
    // Beside the packages, as links to another file system cannot be made.
    let half = tempfile::tempdir_in(&folder)?;
    let root = half.path().join("root");
    tools::run(Command::new("cp").args(["--archive", "--link"]).arg(&packages).arg(&root))?;
    configure(&root).context("the distribution cannot be configured")?;
    let _ = fs::remove_file(disk);
    // All files belong to root there, whoever runs this here.
    let mut command = tools::command("unshare");
    if rustix::process::geteuid().is_root() {
        command = tools::command("mke2fs");
    } else {
        command.arg("--map-root-user").arg(tools::find("mke2fs").context("there is no mke2fs")?);
    }
    command.args(["-q", "-t", "ext4", "-O", "^metadata_csum", "-d"]).arg(&root).arg(disk).arg(size);
    tools::run(&mut command).context("cannot make the disk").map(drop)
}

/// A link to nothing in /etc goes before a file of this name in /usr/lib, for systemd as for udev.
pub(super) fn mask(folder: &Path, name: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    symlink("/dev/null", folder.join(name)).with_context(|| format!("cannot mask {name}"))
}

/// The names of a folder's files.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let name = |file: PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(packages::sorted_files(folder)?.into_iter().map(name).collect())
}

/// Makes a new file; one that is there is a package's and stays as it is.
pub(super) fn put(root: &Path, path: &str, mode: u32, contents: &[u8]) -> Result<()> {
    let made = File::create_new(root.join(path)).and_then(|mut file| {
        file.write_all(contents)?;
        file.set_permissions(fs::Permissions::from_mode(mode))
    });
    made.with_context(|| format!("cannot make {path}"))
}
