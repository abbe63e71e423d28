//! The project's pages, and what in them is to be typed.
//!
//! A fence says in its first word what it holds: `sh` are command lines, each to be typed as it stands; any other word
//! is what a program prints or a file holds (`text`, `json`, …). The second word of `sh` says where they are typed:
//!
//! | word | is |
//! |---|---|
//! | `guest` | by root in a guest, in a folder that has the sources and what `cargo package-nanova` makes |
//! | `dom0` | by root in dom0, of the guest `web`, domain 7 |
//! | `sources` | by anybody where the sources are |
//! | `elsewhere` | on a machine that no test has: each has a reason in the test |
//!
//! A line that ends in `\` goes on in the next one; one that begins with `#` is a comment.

use std::fs;
use std::path::{Path, PathBuf};

/// What a fence's command lines are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Root in a guest.
    Guest,
    /// Root in dom0.
    Dom0,
    /// Somebody who has the sources.
    Sources,
    /// A machine that no test has.
    Elsewhere,
}

impl Place {
    fn named(word: &str) -> Option<Place> {
        Some(match word {
            "guest" => Place::Guest,
            "dom0" => Place::Dom0,
            "sources" => Place::Sources,
            "elsewhere" => Place::Elsewhere,
            _ => return None,
        })
    }
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its path in the workspace.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// What stands between two lines of three backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence<'a> {
    /// The number of the line that begins it.
    pub number: usize,
    /// What that says behind the backticks.
    pub is: &'a str,
    /// The lines in it.
    pub lines: Vec<&'a str>,
}

impl Fence<'_> {
    /// Where its lines are typed; no place if they are not typed, or it does not say where.
    pub fn place(&self) -> Option<Place> {
        Place::named(self.is.strip_prefix("sh ")?)
    }
}

/// A command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The page that has it.
    pub page: String,
    /// The number of its first line there.
    pub number: usize,
    /// Where it is typed.
    pub place: Place,
    /// It, as it stands there.
    pub text: String,
}

/// The folder of the sources.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the workspace")
}

/// All pages of the workspace, by name. Panics if one cannot be read.
pub fn all() -> Vec<Page> {
    let (mut pages, mut folders) = (Vec::new(), vec![workspace().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of ours is readable").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                // What is built, what git has, and an environment of somebody's.
                if !name.starts_with('.') && !["target", "dist", "node_modules"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name.ends_with(".md") {
                pages.push(Page { name: relative(&path), text: fs::read_to_string(&path).expect("a page is text") });
            }
        }
    }
    pages.sort_by(|one, other| one.name.cmp(&other.name));
    pages
}

fn relative(path: &Path) -> String {
    path.strip_prefix(workspace()).expect("it is below").to_string_lossy().into_owned()
}

impl Page {
    /// The folder that its links begin in.
    pub fn folder(&self) -> PathBuf {
        workspace().join(&self.name).parent().expect("a file is in a folder").to_owned()
    }

    /// Its fences. Panics if one does not end.
    pub fn fences(&self) -> Vec<Fence<'_>> {
        let mut fences: Vec<Fence<'_>> = Vec::new();
        let mut is_open = false;
        for (place, line) in self.text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), is_open) {
                (Some(is), false) => {
                    fences.push(Fence { number: place + 1, is: is.trim(), lines: Vec::new() });
                    is_open = true;
                }
                (Some(_), true) => is_open = false,
                (None, true) => fences.last_mut().expect("one is open").lines.push(line),
                (None, false) => {}
            }
        }
        assert!(!is_open, "{}: a fence does not end", self.name);
        fences
    }

    /// Its command lines.
    pub fn command_lines(&self) -> Vec<Line> {
        let mut found: Vec<Line> = Vec::new();
        for fence in self.fences() {
            let Some(place) = fence.place() else { continue };
            let mut goes_on = false;
            for (number, line) in (fence.number + 1..).zip(&fence.lines) {
                let text = line.trim_start();
                match found.last_mut() {
                    Some(last) if goes_on => last.text = format!("{}\n{line}", last.text),
                    _ if text.is_empty() || text.starts_with('#') => continue,
                    _ => found.push(Line { page: self.name.clone(), number, place, text: text.to_owned() }),
                }
                goes_on = line.ends_with('\\');
            }
        }
        found
    }

    /// Its lines outside of fences, with their numbers.
    pub fn prose(&self) -> Vec<(usize, &str)> {
        let mut is_open = false;
        let lines = self.text.lines().enumerate().filter(|(_, line)| {
            let is_edge = line.trim_start().starts_with("```");
            is_open ^= is_edge;
            !is_edge && !is_open
        });
        lines.map(|(place, line)| (place + 1, line)).collect()
    }

    /// What stands between backticks in its lines outside of fences, also over the end of a line, with the number of
    /// the line that it begins in.
    pub fn spans(&self) -> Vec<(usize, String)> {
        let (mut spans, mut open): (_, Option<(usize, String)>) = (Vec::new(), None);
        for (number, line) in self.prose() {
            // Nothing goes on in another paragraph.
            if line.trim().is_empty() || line.starts_with(['|', '#']) {
                open = None;
            }
            for (part, text) in line.split('`').enumerate() {
                if part > 0 {
                    match open.take() {
                        Some(span) => spans.push(span),
                        None => open = Some((number, String::new())),
                    }
                }
                if let Some((_, span)) = &mut open {
                    let text = if part == 0 { text.trim_start() } else { text };
                    span.push_str(text);
                }
            }
            if let Some((_, span)) = &mut open {
                span.push(' ');
            }
        }
        spans
    }

    /// Where its links and pictures lead.
    pub fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in self.prose() {
            for rest in line.split("](").skip(1) {
                if let Some((link, _)) = rest.split_once(')') {
                    links.push((number, link.to_owned()));
                }
            }
        }
        links
    }

    /// The names by which its headings are linked to, as GitHub makes them.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.prose().into_iter().filter(|(_, line)| line.starts_with('#'));
        let is_kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
        let anchor = |heading: &str| -> String {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            heading.chars().filter(is_kept).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
        };
        headings.map(|(_, heading)| anchor(heading)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { name: "A.md".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn command_lines_are_what_is_in_fences_of_sh_with_a_place() {
        let page =
            page("a\n```sh dom0\n# no\nxl list \\\n  --long\n\nls\n```\n```text\nno\n```\n```sh guest\nid\n```\n");
        let line = |number, place, text: &str| Line { page: "A.md".to_owned(), number, place, text: text.to_owned() };
        let expected =
            [line(4, Place::Dom0, "xl list \\\n  --long"), line(7, Place::Dom0, "ls"), line(13, Place::Guest, "id")];
        assert_eq!(page.command_lines(), expected);
        assert_eq!(page.fences()[1], Fence { number: 9, is: "text", lines: vec!["no"] });
    }

    #[test]
    fn spans_go_on_in_the_next_line_and_links_lead_from_prose_alone() {
        let page =
            page("a `one\ntwo` b `three` [x](y.md#z) ![p](q.svg)\n```sh guest\n`no` [n](o)\n```\n## A `b`, c_d-e\n");
        let spans: Vec<_> = page.spans().into_iter().map(|(_, span)| span).collect();
        assert_eq!(spans, ["one two", "three", "b"]);
        assert_eq!(page.links(), [(2, "y.md#z".to_owned()), (2, "q.svg".to_owned())]);
        assert_eq!(page.anchors(), ["a-b-c_d-e"]);
    }
}
