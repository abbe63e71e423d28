//! Debian's packages: from the machine's own apt, or from another release beside it.
//!
//! Guarantees: another release comes from the same mirror as the machine's own, is checked with Debian's keys, and has
//! its lists in a folder of the lab's: the machine's apt does not learn of it. Refuses machines whose apt has no
//! Debian mirror to ask.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::tools;

/// What Debian signs its releases with, old and new.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One release's packages.
#[derive(Clone, Debug)]
pub struct Apt {
    /// apt's configuration, where it is not the machine's own.
    config: Option<PathBuf>,
}

impl Apt {
    /// The machine's own.
    pub fn own() -> Apt {
        Apt { config: None }
    }

    /// A release by its code name, with lists below `dir` unless it is the machine's own; they are fetched.
    pub fn release(dir: &Path, name: &str) -> Result<Apt> {
        let mut sources = sources()?;
        if sources.is_empty() {
            tools::run(Apt::own().command("apt-get").args(["update", "-qq"])).context("apt has no package lists")?;
            sources = self::sources()?;
        }
        if sources.iter().any(|(release, _)| release == name) {
            return Ok(Apt::own());
        }
        // Updates and security have mirrors of their own.
        let mirror = sources.iter().find(|(release, _)| !release.contains('-'));
        let (_, mirror) = mirror.with_context(|| format!("no Debian mirror is known here to ask for {name}"))?;
        let apt = Apt { config: Some(configure(&dir.join(format!("apt-{name}")), name, mirror)?) };
        tools::run(apt.command("apt-get").args(["update", "-qq"]))
            .with_context(|| format!("{mirror} has no lists of Debian's {name}"))?;
        Ok(apt)
    }

    /// One of apt's programs, for this release.
    pub fn command(&self, program: &str) -> Command {
        let mut command = tools::command(program);
        command.envs(self.config.iter().map(|file| ("APT_CONFIG", file)));
        command
    }
}

/// Debian's releases that the machine's apt knows, and where each comes from.
fn sources() -> Result<Vec<(String, String)>> {
    let format = "$(ORIGIN) $(RELEASE) $(SITE)";
    let listing = tools::run(tools::command("apt-get").args(["indextargets", "--format", format]))?;
    Ok(releases(&String::from_utf8_lossy(&listing)))
}

/// Those of Debian's in such a list, whoever else's are there.
fn releases(listing: &str) -> Vec<(String, String)> {
    let words = listing.lines().filter_map(|line| line.strip_prefix("Debian ")?.split_once(' '));
    words.map(|(release, site)| (release.to_owned(), site.to_owned())).collect()
}

/// Writes the configuration of an apt that has one release and nothing of the machine's; returns its file.
fn configure(dir: &Path, release: &str, mirror: &str) -> Result<PathBuf> {
    fs::create_dir_all(dir.join("lists/partial"))?;
    fs::create_dir_all(dir.join("cache/archives/partial"))?;
    fs::write(dir.join("status"), "")?;
    fs::write(dir.join("sources.list"), format!("deb [signed-by={KEYS}] {mirror} {release} main\n"))?;
    let dir = dir.canonicalize()?;
    let at = dir.display();
    let text = format!(
        "Dir::Etc::sourcelist \"{at}/sources.list\";\nDir::Etc::sourceparts \"/dev/null\";\n\
         Dir::Etc::preferencesparts \"/dev/null\";\nDir::State::lists \"{at}/lists\";\n\
         Dir::State::status \"{at}/status\";\nDir::Cache \"{at}/cache\";\n"
    );
    let file = dir.join("apt.conf");
    fs::write(&file, text)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debians_own_sources_count() {
        let listing = "Others bookworm http://others\n  http://no/origin\nDebian bookworm http://mirror/debian\n\
            Debian bookworm-updates http://mirror/debian\n";
        let mirror = |name: &str| (name.to_owned(), "http://mirror/debian".to_owned());
        assert_eq!(releases(listing), [mirror("bookworm"), mirror("bookworm-updates")]);
    }

    #[test]
    fn another_release_has_lists_and_keys_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let file = configure(home.path(), "trixie", "http://mirror/debian").unwrap();
        let (text, list) = (fs::read_to_string(&file).unwrap(), home.path().canonicalize().unwrap().join("lists"));
        assert!(text.contains(&format!("Dir::State::lists \"{}\";", list.display())), "{text}");
        let sources = fs::read_to_string(home.path().join("sources.list")).unwrap();
        assert_eq!(sources, format!("deb [signed-by={KEYS}] http://mirror/debian trixie main\n"));
    }
}
