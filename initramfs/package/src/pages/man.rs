//! A manual page: a text, and what a page of help says of options.
//!
//! A text is called `<name>.<section>.md`. Its first line is `# <name>: <what it is>`; a line `SYNOPSIS: …` below it
//! says how it is called where no page of help does. The options of `nanova agent` go behind the description of
//! `nanova-agent.1`, and with them those that all subcommands take.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::Text;
use super::help::{Guide, Opt, Programs, Word, exit_codes};
use super::markdown::{self, Block};
use super::roff::{body, code, fill, heading, inline, tagged};

/// The subcommands that take what all of them take.
const WITH_COMMON: [&str; 5] = ["agent", "network", "report", "xenstore", "status"];

/// A page.
#[derive(Debug)]
pub(super) struct Manual {
    pub(super) name: String,
    section: String,
    about: String,
    blocks: Vec<Block>,
}

impl Manual {
    /// That of a text.
    pub(super) fn of(text: &Text) -> Result<Manual> {
        let (name, section) = text.name.rsplit_once('.').with_context(|| format!("{}: no section", text.name))?;
        let mut blocks = markdown::blocks(&text.text);
        let Block::Heading(1, title) = blocks.remove(0) else { anyhow::bail!("{}: no title", text.name) };
        let (_, about) = title.split_once(": ").with_context(|| format!("{}: '{title}' says nothing", text.name))?;
        Ok(Manual { name: name.to_owned(), section: section.to_owned(), about: about.to_owned(), blocks })
    }

    /// That of a page of help alone.
    pub(super) fn of_help(guide: &Guide) -> Manual {
        let mut others = guide.others.join(" ");
        if others.trim().is_empty() {
            others = format!("{}.", guide.about);
        }
        let name = if guide.name.is_empty() { "nanova".to_owned() } else { format!("nanova-{}", guide.name) };
        let blocks = vec![Block::Paragraph(others)];
        Manual { name, section: "1".to_owned(), about: guide.about.clone(), blocks }
    }

    /// Its place below /usr/share.
    pub(super) fn path(&self) -> String {
        format!("man/man{0}/{1}.{0}", self.section, self.name)
    }

    /// As man(1) reads it.
    pub(super) fn roff(&self, programs: &Programs, version: &str, day: &str) -> String {
        let title = format!("{} {} {day} \"nanova {version}\"", code(&self.name.to_uppercase()), self.section);
        let mut out =
            format!(".\\\" Made by cargo package-nanova.\n.TH {title}\n.nh\n.ad l\n{}", heading(true, "name"));
        out.push_str(&fill(&format!("{} \\- {}", code(&self.name), inline(&self.about))));
        let guide = self.guide(programs);
        let mut blocks = self.blocks.as_slice();
        if let Some((Block::Paragraph(first), rest)) = blocks.split_first()
            && let Some(synopsis) = first.strip_prefix("SYNOPSIS: ")
        {
            blocks = rest;
            let _ = write!(out, "{}{}", heading(true, "synopsis"), fill(&inline(synopsis)));
        } else if let Some(guide) = guide {
            let _ = write!(out, "{}{}", heading(true, "synopsis"), call(guide));
        }
        out.push_str(&heading(true, "description"));
        let is_chapter = |block: &Block| matches!(block, Block::Heading(..));
        let chapters = blocks.iter().position(is_chapter).unwrap_or(blocks.len());
        let (description, chapters) = blocks.split_at(chapters);
        out.push_str(&body(description));
        guide.into_iter().for_each(|guide| out.push_str(&self.options(guide, programs)));
        let see_also = chapters.iter().position(|block| *block == Block::Heading(2, "See also".to_owned()));
        let (chapters, see_also) = chapters.split_at(see_also.unwrap_or(chapters.len()));
        out.push_str(&body(chapters));
        if guide.is_some_and(|guide| programs.nanova.contains(guide)) && self.name != "nanova-poweroff" {
            out.push_str(&exits(programs));
        }
        out.push_str(&body(see_also));
        out
    }

    /// The page of help that it goes with.
    fn guide<'p>(&self, programs: &'p Programs) -> Option<&'p Guide> {
        match (self.section.as_str(), self.name.strip_prefix("nanova-"), self.name.as_str()) {
            ("1", Some("host"), _) => programs.host.first(),
            ("1", Some(name), _) => programs.of(name),
            ("1", None, "nanova") => programs.of(""),
            _ => None,
        }
    }

    fn options(&self, guide: &Guide, programs: &Programs) -> String {
        let mut out = String::new();
        let words: Vec<_> =
            guide.words.iter().filter(|word| !["nanova", "nanova-host"].contains(&word.name.as_str())).collect();
        if !words.is_empty() {
            out.push_str(&heading(true, if guide.name == "xenstore" { "tools" } else { "commands" }));
            for word in words {
                let tag = format!("\\fB{}\\fR {}", code(&word.name), code(&word.rest));
                out.push_str(&tagged(&tag, &inline(&word.about)));
            }
        }
        let common = programs.of("").filter(|_| WITH_COMMON.contains(&guide.name.as_str()));
        if !guide.options.is_empty() || common.is_some() {
            out.push_str(&heading(true, "options"));
        }
        guide.options.iter().for_each(|option| out.push_str(&about(option)));
        if let Some(common) = common {
            out.push_str(&heading(false, "Of all subcommands"));
            common.options.iter().for_each(|option| out.push_str(&about(option)));
        }
        out
    }
}

/// `nanova agent [options]    (also as nova-agent)`: how it is called, on lines of their own.
fn call(guide: &Guide) -> String {
    if guide.name.is_empty() {
        // The calls that the page lists.
        let calls = guide.words.iter().filter(|word| word.name.starts_with("nanova"));
        let call = |word: &Word| fill(&format!("\\fB{}\\fR {}", code(&word.name), code(&word.rest)));
        return calls.map(call).collect::<Vec<_>>().join(".br\n");
    }
    let also = guide.call.split_once("  ").map(|(call, also)| (call.trim(), also.trim()));
    let (call, also) = also.unwrap_or((&guide.call, ""));
    let call = if call.is_empty() { format!("nanova {}", guide.name) } else { call.to_owned() };
    fill(&format!("\\fB{}\\fR {}", code(&call), code(also)))
}

fn about(option: &Opt) -> String {
    let names: Vec<String> = option.names.iter().map(|name| format!("\\fB{}\\fR", code(name))).collect();
    let value = if option.takes_a_word() { format!(" \\fI{}\\fR", code(&option.value)) } else { code(&option.value) };
    tagged(&format!("{}{value}", names.join(", ")), &inline(&option.about))
}

fn exits(programs: &Programs) -> String {
    let mut out = heading(true, "exit status");
    let codes = programs.of("").and_then(|front| exit_codes(front).ok()).unwrap_or_default();
    codes.iter().for_each(|(code, is)| out.push_str(&tagged(&format!("\\fB{code}\\fR"), &inline(is))));
    out
}
