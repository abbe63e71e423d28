//! Manual pages and completions, of the program's own pages of help and of the texts in `man/` beside this folder.
//!
//! | file | is |
//! |---|---|
//! | `help` | a page of help taken apart: options, what they take, what they are for |
//! | `man` | a manual page: a text of `man/`, with the options of a page of help |
//! | `markdown`, `roff` | such a text, and how man(1) wants it |
//! | `bash`, `zsh`, `fish` | what a shell offers where somebody asks for the rest of a word |
//!
//! A subcommand that `nanova --help` names has a manual page and completions, whether there is a text for it or not.

mod bash;
mod fish;
mod help;
mod man;
mod markdown;
mod roff;
mod zsh;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::tools;
use help::{Guide, Programs};

/// A file below /usr/share, for one of the packages.
#[derive(Debug)]
pub(crate) struct Page {
    /// Whose it is: `nanova`, `nanova-xenstore`, `nanova-host`.
    pub(crate) package: &'static str,
    /// Where it is, below /usr/share.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

/// The names of the xenstore tools, which are pages of their own to man(1).
const TOOLS_PACKAGE: &str = "nanova-xenstore";
const HOST_PACKAGE: &str = "nanova-host";

/// All of them, of this version and day (`2026-11-27`).
pub(crate) fn all(version: &str, day: &str) -> Result<Vec<Page>> {
    let sources = tools::workspace().join("initramfs");
    let host = fs::read_to_string(tools::workspace().join("host/src/help.txt"))?;
    let programs = Programs::of_this_build(&host)?;
    let mut pages = Vec::new();
    for text in texts(&sources)? {
        let manual = man::Manual::of(&text)?;
        let package = if manual.name == HOST_PACKAGE { HOST_PACKAGE } else { "nanova" };
        pages.push(page(package, &manual.path(), manual.roff(&programs, version, day)));
    }
    for guide in &programs.nanova {
        let manual = man::Manual::of_help(guide);
        if !pages.iter().any(|page| page.path == manual.path()) {
            pages.push(page("nanova", &manual.path(), manual.roff(&programs, version, day)));
        }
    }
    for tool in programs.tools() {
        let text = ".so man1/nanova-xenstore.1\n".to_owned();
        pages.push(page(TOOLS_PACKAGE, &format!("man/man1/xenstore-{tool}.1"), text));
    }
    pages.push(page(TOOLS_PACKAGE, "man/man1/xenstore.1", ".so man1/nanova-xenstore.1\n".to_owned()));
    for (package, guides) in [("nanova", &programs.nanova), (HOST_PACKAGE, &programs.host)] {
        let name = package;
        pages.push(page(package, &format!("bash-completion/completions/{name}"), bash::script(name, guides)));
        pages.push(page(package, &format!("zsh/site-functions/_{name}"), zsh::script(name, guides)));
        pages.push(page(package, &format!("fish/vendor_completions.d/{name}.fish"), fish::script(name, guides)));
    }
    pages.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(pages)
}

fn page(package: &'static str, path: &str, text: String) -> Page {
    Page { package, path: path.to_owned(), text }
}

/// A text for a manual page: the page's name with its section, and the text.
struct Text {
    name: String,
    text: String,
}

/// Those in `man/`, called `<name>.<section>.md`, and the page about vm-data.
fn texts(sources: &Path) -> Result<Vec<Text>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(sources.join("package/man"))? {
        let path = entry?.path();
        let name = path.file_stem().context("a file without a name")?.to_string_lossy().into_owned();
        texts.push(Text { name, text: fs::read_to_string(&path)? });
    }
    texts.push(Text { name: "vm-data.7".to_owned(), text: fs::read_to_string(sources.join("vm-data.md"))? });
    texts.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(texts)
}

/// Writes all that are of no package in particular below a folder, as /usr/share has them.
pub(crate) fn write(folder: &Path, version: &str, day: &str) -> Result<()> {
    for page in all(version, day)? {
        tools::write(folder, &page.path, page.text.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// The words of a guide's options, for shells.
fn option_words(guide: &Guide) -> Vec<&str> {
    guide.options.iter().flat_map(|option| option.names.iter().map(String::as_str)).collect()
}
