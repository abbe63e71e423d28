//! The command line of `cargo package-nanova`.

use std::path::PathBuf;

use lexopt::prelude::*;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Make packages, images and sums of nanova, for x86_64 and aarch64, in dist/.

usage: cargo package-nanova [options]

  --output DIR           where to; what is there is removed first (default: dist)
  --agent FILE           a nanova binary to take as it is (repeatable, one a processor; default: build both, release profile)
  --program FILE         nanova-host or nanova-initramfs, by its name, to take as it is (repeatable, one of each a
                         processor; default: build both where something is made of them)
  --only PART,...        some of deb, rpm, apk, archlinux, tarball, oci, talos, sysext, images (default: all)
  --maintainer 'NAME <MAIL>'
                         who answers for the packages
  --sbom FILE            a bill of materials of `cargo audit-scope --sbom` (default: make it)
  --pages DIR            write manual pages and completions below DIR, as /usr/share has them, and make nothing else
  --sign KEYFILE         sign SHA256SUMS with this secret key of minisign's (a terminal is asked for its password)

SOURCE_DATE_EPOCH is the time of all files; without it, that of the last commit. nfpm is looked for in target/supply/bin, where
`.ci/run packages` puts it, and in PATH. Needs GNU tar, for a system extension mksquashfs, for a signature minisign.
";

/// What the caller wants done.
#[derive(Debug)]
pub(crate) enum Task {
    /// Print [`HELP`].
    Help,
    /// Write manual pages and completions below a folder.
    Pages(PathBuf),
    /// Make things.
    Package(Options),
}

/// A kind of thing to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Packages of Debian's kind.
    Deb,
    /// Of Red Hat's and SUSE's.
    Rpm,
    /// Of Alpine's.
    Apk,
    /// Of Arch's.
    Archlinux,
    /// The agent and its files in a tar archive.
    Tarball,
    /// An image for containers.
    Oci,
    /// An image that is an extension of Talos Linux's.
    Talos,
    /// An extension of /usr for systemd-sysext.
    Sysext,
    /// Initramfs images.
    Images,
}

/// All of them, as the command line calls them.
const PARTS: [(&str, Part); 9] = [
    ("deb", Part::Deb),
    ("rpm", Part::Rpm),
    ("apk", Part::Apk),
    ("archlinux", Part::Archlinux),
    ("tarball", Part::Tarball),
    ("oci", Part::Oci),
    ("talos", Part::Talos),
    ("sysext", Part::Sysext),
    ("images", Part::Images),
];

/// What to make of what.
#[derive(Debug)]
pub(crate) struct Options {
    /// The folder for what is made.
    pub(crate) output: PathBuf,
    /// Given binaries; none builds them.
    pub(crate) agents: Vec<PathBuf>,
    /// Given programs beside the agent; none builds them.
    pub(crate) programs: Vec<PathBuf>,
    /// What to make.
    parts: Vec<Part>,
    /// Who answers for the packages.
    pub(crate) maintainer: String,
    /// A given bill of materials.
    pub(crate) sbom: Option<PathBuf>,
    /// A secret key.
    pub(crate) key: Option<PathBuf>,
}

impl Options {
    /// Whether this is to be made.
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

/// Reads the arguments.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Task, lexopt::Error> {
    let mut options = Options {
        output: "dist".into(),
        agents: Vec::new(),
        programs: Vec::new(),
        parts: PARTS.map(|(_, part)| part).to_vec(),
        maintainer: "The nanova maintainers <maintainers@nanova.invalid>".into(),
        sbom: None,
        key: None,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Task::Help),
            Long("pages") => return Ok(Task::Pages(parser.value()?.into())),
            Long("output") => options.output = parser.value()?.into(),
            Long("agent") => options.agents.push(parser.value()?.into()),
            Long("program") => options.programs.push(parser.value()?.into()),
            Long("only") => options.parts = parts(&parser.value()?.string()?)?,
            Long("maintainer") => options.maintainer = maintainer(parser.value()?.string()?)?,
            Long("sbom") => options.sbom = Some(parser.value()?.into()),
            Long("sign") => options.key = Some(parser.value()?.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Task::Package(options))
}

fn parts(list: &str) -> Result<Vec<Part>, String> {
    let part = |name| {
        let known = PARTS.iter().find(|(known, _)| *known == name);
        let names = || PARTS.map(|(known, _)| known).join(", ");
        known.map(|(_, part)| *part).ok_or_else(|| format!("'{name}' is no part: {}", names()))
    };
    list.split(',').map(part).collect()
}

/// It stands in quotes in what nfpm reads.
fn maintainer(text: String) -> Result<String, String> {
    let is_plain = !text.contains(['"', '\\', '\n']) && text.contains(" <") && text.ends_with('>');
    is_plain.then_some(text.clone()).ok_or_else(|| format!("'{text}' is not of the form 'NAME <MAIL>'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Options, String> {
        match parse(lexopt::Parser::from_args(words)).map_err(|error| error.to_string())? {
            Task::Package(options) => Ok(options),
            Task::Help | Task::Pages(_) => Err("nothing is made".into()),
        }
    }

    #[test]
    fn all_is_made_unless_it_is_said_what() {
        assert!(PARTS.iter().all(|(_, part)| parsed(&[]).unwrap().wants(*part)));
        let some = parsed(&["--only", "deb,oci"]).unwrap();
        assert!(some.wants(Part::Deb) && some.wants(Part::Oci) && !some.wants(Part::Rpm));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(parsed(&["--only", "deb,snap"]).unwrap_err().starts_with("'snap' is no part: deb, rpm"));
        assert!(parsed(&["--maintainer", "me"]).unwrap_err().contains("'me' is not of the form"));
        assert!(parsed(&["--maintainer", "a\" <b>"]).is_err());
        assert_eq!(parsed(&["--maintainer", "A B <a@b.org>"]).unwrap().maintainer, "A B <a@b.org>");
    }
}
