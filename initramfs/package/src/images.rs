//! Initramfs images with nanova as the first process, without a kernel's modules: `cargo initramfs` with the packed
//! agent.

use anyhow::Result;
use nanova_tests::agent;

use crate::options::Options;
use crate::stage::{Release, Stage};
use crate::tools;

/// Makes `nanova-VERSION-PROCESSOR.cpio.gz` and `.cpio.zst`.
pub(crate) fn build(options: &Options, release: &Release, stage: &Stage) -> Result<()> {
    for end in ["gz", "zst"] {
        let name = format!("nanova-{}-{}.cpio.{end}", release.version, stage.processor.name);
        let mut cargo = agent::cargo();
        cargo
            .args(["run", "--quiet", "--package", "nanova-initramfs", "--", "--agent"])
            .arg(stage.folder.join("nanova"));
        tools::run(cargo.arg("--output").arg(std::path::absolute(&options.output)?.join(name)))?;
    }
    Ok(())
}
