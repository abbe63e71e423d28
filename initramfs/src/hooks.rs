//! `--install-hooks`: nanova's part for the initramfs builders of distributions.
//!
//! Guarantees: the files below initramfs/hooks/ arrive below the destination at the same paths, each complete or not at
//! all, with the modes their readers want; none is there before all are written beside, so that a full disk leaves
//! none, and whoever reads what is printed may go. Nothing else is touched; nothing is enabled that has to be asked
//! for.

use anyhow::{Context, Result};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

use crate::print;

/// A file to install.
struct Hook {
    path: &'static str,
    text: &'static str,
    mode: u32,
}

macro_rules! hook {
    ($mode:literal, $path:literal) => {
        Hook { path: $path, text: include_str!(concat!("../hooks/", $path)), mode: $mode }
    };
}

/// All of them; the program carries their text, so it works wherever it is.
const HOOKS: [Hook; 11] = [
    hook!(0o755, "usr/lib/nanova/early-network"),
    hook!(0o755, "usr/lib/dracut/modules.d/50nanova/module-setup.sh"),
    hook!(0o755, "usr/lib/dracut/modules.d/50nanova/nanova-files.sh"),
    hook!(0o755, "usr/lib/dracut/modules.d/50nanova/nanova-network.sh"),
    hook!(0o755, "usr/share/initramfs-tools/hooks/nanova"),
    hook!(0o755, "usr/share/initramfs-tools/scripts/init-premount/nanova"),
    // mkinitcpio sources these two; it wants them readable, not executable.
    hook!(0o644, "usr/lib/initcpio/install/nanova"),
    hook!(0o644, "usr/lib/initcpio/hooks/nanova"),
    hook!(0o644, "etc/mkinitfs/features.d/nanova.files"),
    hook!(0o644, "etc/mkinitfs/features.d/nanova.modules"),
    hook!(0o755, "usr/lib/nanova/mkinitfs-init"),
];

/// Writes the hooks below a directory and says which.
pub(crate) fn install(destination: &Path) -> Result<()> {
    let mut staged: Vec<(NamedTempFile, PathBuf)> = Vec::new();
    for hook in &HOOKS {
        let path = destination.join(hook.path);
        staged.push((stage(&path, hook).with_context(|| format!("cannot install {}", path.display()))?, path));
    }
    let mut installed = String::new();
    for (file, path) in staged {
        file.persist(&path).with_context(|| format!("cannot install {}", path.display()))?;
        installed += &format!("{}\n", path.display());
    }
    print(&installed)
}

/// Writes it beside its place.
fn stage(path: &Path, hook: &Hook) -> Result<NamedTempFile> {
    let directory = path.parent().context("no directory")?;
    fs::create_dir_all(directory)?;
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(hook.text.as_bytes())?;
    // A package's files have these modes whatever the umask of who builds it.
    file.as_file().set_permissions(Permissions::from_mode(hook.mode))?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_in_the_hooks_folder_is_installed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks");
        let files = walkdir::WalkDir::new(folder).into_iter().filter(|entry| entry.as_ref().unwrap().path().is_file());
        assert_eq!(files.count(), HOOKS.len());
    }
}
