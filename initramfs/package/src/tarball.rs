//! The agent, the programs beside it, its service files, hooks, manual pages, completions and licences in a tar
//! archive, for whoever installs by hand or packs something else.

use std::fs;

use anyhow::Result;

use crate::options::Options;
use crate::programs;
use crate::stage::{Release, Stage};
use crate::tools;

/// What of the stage is in it.
const FILES: [&str; 5] = ["nanova", "copyright", "LICENSE-MIT", "LICENSE-APACHE", "README.md"];

/// Makes `nanova-VERSION-PROCESSOR.tar.gz`, with a folder of that name in it.
pub(crate) fn build(options: &Options, release: &Release, stage: &Stage) -> Result<()> {
    let home = tempfile::tempdir()?;
    let name = format!("nanova-{}-{}", release.version, stage.processor.name);
    let folder = home.path().join(&name);
    for file in FILES {
        let mode = if file == "nanova" { 0o755 } else { 0o644 };
        tools::write(&folder, file, &fs::read(stage.folder.join(file))?, mode)?;
    }
    for program in programs::NAMES.into_iter().filter(|name| stage.folder.join(name).is_file()) {
        tools::write(&folder, program, &fs::read(stage.folder.join(program))?, 0o755)?;
        tools::write(&folder, "programs-copyright", &fs::read(stage.folder.join("programs-copyright"))?, 0o644)?;
    }
    for name in ["services", "hooks"] {
        tools::copy(&stage.folder.join(name), &folder.join(name))?;
    }
    for package in fs::read_dir(stage.folder.join("share"))? {
        tools::copy(&package?.path(), &folder.join("share"))?;
    }
    tools::write(&folder, "Containerfile", &fs::read(stage.folder.join("files/Containerfile"))?, 0o644)?;
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let archive = tools::gzip(&tools::tar(home.path(), &name, release.time)?)?;
    tools::write(&options.output, &format!("{name}.tar.gz"), &archive, 0o644)?;
    Ok(())
}
