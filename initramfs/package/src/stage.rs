//! A folder for each processor with all that goes into anything: the agent, service files, hooks, licences.
//!
//! Guarantees: modes do not depend on the umask or on who checked the sources out.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::agents::{Agent, Processor};
use crate::notices::Bill;
use crate::options::Options;
use crate::pages;
use crate::programs::Program;
use crate::tools;

/// What all parts of a release share.
#[derive(Debug)]
pub(crate) struct Release {
    /// The workspace's version.
    pub(crate) version: &'static str,
    /// The time of all files, in seconds since 1970.
    pub(crate) time: u64,
    /// Who answers for it.
    pub(crate) maintainer: String,
    /// Where it is put together.
    home: TempDir,
}

impl Release {
    /// This workspace's.
    pub(crate) fn new(options: &Options) -> Result<Release> {
        let time = time()?;
        let (maintainer, home) = (options.maintainer.clone(), tempfile::tempdir()?);
        Ok(Release { version: env!("CARGO_PKG_VERSION"), time, maintainer, home })
    }
}

/// The time of all files: SOURCE_DATE_EPOCH, or that of the last commit.
pub(crate) fn time() -> Result<u64> {
    let time = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(time) => time,
        Err(_) => last_commit().context("no SOURCE_DATE_EPOCH, and git knows of no last commit")?,
    };
    time.trim().parse().with_context(|| format!("SOURCE_DATE_EPOCH: '{}' is no number", time.trim()))
}

/// Its day, as `2026-11-27`.
pub(crate) fn day(time: u64) -> Result<String> {
    let mut date = tools::command("date", time);
    Ok(String::from_utf8(tools::run(date.args(["+%F", "-d", &format!("@{time}")]))?)?.trim().to_owned())
}

fn last_commit() -> Result<String> {
    let mut git = Command::new("git");
    let printed = tools::run(git.arg("-C").arg(tools::workspace()).args(["log", "-1", "--format=%ct"]))?;
    Ok(String::from_utf8(printed)?)
}

/// One processor's.
#[derive(Debug)]
pub(crate) struct Stage {
    /// For whom.
    pub(crate) processor: &'static Processor,
    /// Where: `nanova`, `nanova-host`, `nanova-initramfs`, `services/`, `hooks/`, `files/`, `copyright`, …
    pub(crate) folder: PathBuf,
}

impl Stage {
    /// Fills it.
    pub(crate) fn of<'p>(
        release: &Release,
        agent: &Agent,
        programs: impl Iterator<Item = &'p Program>,
        bill: &Bill,
    ) -> Result<Stage> {
        let folder = release.home.path().join(agent.processor.name);
        let sources = tools::workspace().join("initramfs");
        tools::write(&folder, "nanova", &agent.bytes, 0o755)?;
        for program in programs {
            tools::write(&folder, program.name, &program.bytes, 0o755)?;
        }
        for name in ["services", "hooks", "package/files"] {
            tools::copy(&sources.join(name), &folder.join(name.trim_start_matches("package/")))?;
        }
        // Where there is no /usr/sbin but as a link.
        let unit = fs::read_to_string(sources.join("services/nanova.service"))?;
        tools::write(&folder, "usr-bin/nanova.service", unit.replace("/usr/sbin/", "/usr/bin/").as_bytes(), 0o644)?;
        let ours = fs::read_to_string(tools::workspace().join("LICENSE-MIT"))?;
        tools::write(&folder, "copyright", bill.copyright(&ours).as_bytes(), 0o644)?;
        tools::write(&folder, "programs-copyright", bill.programs_copyright(&ours).as_bytes(), 0o644)?;
        for name in ["LICENSE-MIT", "LICENSE-APACHE", "README.md"] {
            tools::write(&folder, name, &fs::read(tools::workspace().join(name))?, 0o644)?;
        }
        tools::write(&folder, "initramfs.md", &fs::read(sources.join("README.md"))?, 0o644)?;
        for page in pages::all(release.version, &day(release.time)?)? {
            let place = format!("share/{}/{}", page.package, page.path);
            tools::write(&folder, &place, page.text.as_bytes(), 0o644)?;
            // As packages want them.
            if page.path.starts_with("man/") {
                let packed = tools::gzip(page.text.as_bytes())?;
                tools::write(&folder, &format!("share.gz/{}/{}.gz", page.package, page.path), &packed, 0o644)?;
            }
        }
        tools::write(&folder, "version", release.version.as_bytes(), 0o644)?;
        Ok(Stage { processor: agent.processor, folder })
    }
}
