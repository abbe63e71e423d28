//! Packages of four distributions' kinds, by nfpm: each `<name>.yaml` beside src/ is one.
//!
//! In those files, and in the scripts that they name, `@WORD@` stands for a value; [`values`] has them all.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nanova_tests::agent;

use crate::options::{Options, Part};
use crate::programs;
use crate::stage::{Release, Stage};
use crate::tools;

/// The kinds, as nfpm calls them.
const KINDS: [(Part, &str); 4] =
    [(Part::Deb, "deb"), (Part::Rpm, "rpm"), (Part::Apk, "apk"), (Part::Archlinux, "archlinux")];

/// Makes all that are wanted, of one processor. What is for every processor is made once for each: the same bytes.
pub(crate) fn build(options: &Options, release: &Release, stage: &Stage) -> Result<()> {
    let wanted: Vec<_> = KINDS.iter().filter(|(part, _)| options.wants(*part)).map(|(_, kind)| *kind).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let (nfpm, folder) = (nfpm(), stage.folder.join("nfpm"));
    let sources = tools::workspace().join("initramfs/package");
    for file in sorted(&sources.join("scripts"))? {
        fill(&file, &folder.join("scripts"), release, stage)?;
    }
    fill(&sources.join("files/changelog.yaml"), &folder, release, stage)?;
    for file in sorted(&sources)?.iter().filter(|file| file.extension().is_some_and(|end| end == "yaml")) {
        if let Some(program) = missing(file, stage)? {
            eprintln!("note: no {}: there is no {program} for {}", file.display(), stage.processor.name);
            continue;
        }
        for kind in &wanted {
            let file = fill(file, &folder.join(kind), release, stage)?;
            if *kind == "apk" {
                fs::write(&file, in_one_line(&fs::read_to_string(&file)?))?;
            }
            // What nfpm calls a doc is in rpms alone; to all others it is a file.
            if *kind != "rpm" {
                fs::write(&file, fs::read_to_string(&file)?.replace(", type: doc", ""))?;
            }
            // The scripts of an apk and the files of a tree have their own times, whatever SOURCE_DATE_EPOCH is.
            tools::date_all(&stage.folder, release.time)?;
            let mut command = tools::command(&nfpm, release.time);
            command.args(["package", "--packager", kind, "--config"]).arg(&file).arg("--target");
            tools::run(command.arg(std::path::absolute(&options.output)?).current_dir(&stage.folder))?;
        }
    }
    Ok(())
}

/// The program that a package has in it and nobody has given.
fn missing(file: &Path, stage: &Stage) -> Result<Option<&'static str>> {
    let text = fs::read_to_string(file)?;
    let has = |name: &&str| text.contains(&format!("src: {name},"));
    Ok(programs::NAMES.into_iter().find(|name| has(name) && !stage.folder.join(name).is_file()))
}

/// Where `.ci/run packages` puts it, or wherever.
fn nfpm() -> PathBuf {
    let installed = agent::target_dir().join("supply/bin/nfpm");
    if installed.is_file() { std::path::absolute(&installed).unwrap_or(installed) } else { "nfpm".into() }
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries: Result<Vec<_>, _> = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut files: Vec<_> = entries?.into_iter().filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

/// A copy with every `@WORD@` replaced.
fn fill(file: &Path, folder: &Path, release: &Release, stage: &Stage) -> Result<PathBuf> {
    let mut text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    for (word, value) in values(release, stage)? {
        text = text.replace(&format!("@{word}@"), &value);
    }
    let name = file.file_name().context("a file without a name")?.to_string_lossy();
    ensure!(!has_word(&text), "{}: there is an @WORD@ that nothing stands for", file.display());
    tools::write(folder, &name, text.as_bytes(), 0o644)
}

/// A package's description without all but its first line: an apk's has no more.
fn in_one_line(text: &str) -> String {
    let (mut kept, mut lines_of_it) = (String::new(), None);
    for line in text.lines() {
        lines_of_it = match lines_of_it {
            _ if line.starts_with("description: |") => Some(0),
            Some(count) if line.starts_with(' ') => Some(count + 1),
            _ => None,
        };
        if lines_of_it.is_none_or(|count| count < 2) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn has_word(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    text.split('@').skip(1).any(is_word)
}

fn values(release: &Release, stage: &Stage) -> Result<Vec<(&'static str, String)>> {
    let take_over = tools::workspace().join("initramfs/package/scripts/take-over.sh");
    Ok(vec![
        ("TAKE_OVER", fs::read_to_string(take_over)?.trim_end().to_owned()),
        ("VERSION", release.version.to_owned()),
        ("MAINTAINER", release.maintainer.clone()),
        ("PROCESSOR", stage.processor.debian.to_owned()),
        ("STAGE", stage.folder.display().to_string()),
        ("SCRIPTS", stage.folder.join("nfpm/scripts").display().to_string()),
        ("MANUALS", manuals(stage, "nanova")?),
        ("TOOLS_MANUALS", manuals(stage, "nanova-xenstore")?),
        ("HOST_MANUALS", manuals(stage, "nanova-host")?),
        ("CHANGELOG", stage.folder.join("nfpm/changelog.yaml").display().to_string()),
    ])
}

/// The manual pages of a package, as contents of it, each by its name: nfpm takes no pattern for what it calls docs.
fn manuals(stage: &Stage, package: &str) -> Result<String> {
    let mut lines = Vec::new();
    for section in ["man1", "man5", "man7"] {
        let place = format!("share.gz/{package}/man/{section}");
        let folder = stage.folder.join(&place);
        for file in if folder.is_dir() { sorted(&folder)? } else { Vec::new() } {
            let name = file.file_name().context("a file without a name")?.to_string_lossy().into_owned();
            lines.push(format!("- {{src: {place}/{name}, dst: /usr/share/man/{section}/{name}, type: doc}}"));
        }
    }
    Ok(lines.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apk_is_described_in_one_line() {
        let text = "name: x\ndescription: |-\n  short\n  long\n  long\numask: 0\ncontents:\n  - a\n  - b\n";
        let short = "name: x\ndescription: |-\n  short\numask: 0\ncontents:\n  - a\n  - b\n";
        assert_eq!(in_one_line(text), short);
    }

    #[test]
    fn a_word_without_a_value_is_seen() {
        assert!(has_word("arch: @PROCESSOR@"));
        assert!(!has_word("maintainer: A <a@b.org>, B <b@c.org>"));
    }
}
