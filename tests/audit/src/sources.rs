//! What the compiler has read: files of ours in reading order, their `unsafe` with its reasons, and how much of that
//! there is in the crates of others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nanova_tests::code::{code, without_tests};
use nanova_tests::imports::Imports;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use serde::Serialize;

/// A file of ours.
#[derive(Debug, Serialize)]
pub struct SourceFile {
    /// Below the workspace.
    pub path: String,
    /// Lines of code.
    pub lines: usize,
}

/// A block of `unsafe`, a function without a compiler's prologue, or an `unsafe fn`.
#[derive(Debug, Serialize)]
pub struct Unsafe {
    /// The file, below the workspace.
    pub file: String,
    /// The line that it begins on.
    pub line: usize,
    /// The function that it is in.
    pub function: String,
    /// Its lines of code.
    pub lines: BTreeSet<usize>,
    /// Why it is sound.
    pub reason: String,
}

/// The files that a dependency file (of make's form, as rustc writes it) names.
pub(crate) fn named_in(dep_info: &Path) -> Result<BTreeSet<PathBuf>> {
    let text = std::fs::read_to_string(dep_info).with_context(|| format!("cannot read {}", dep_info.display()))?;
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let files = line.split_once(": ").map_or("", |(_, files)| files).replace("\\ ", "\0");
        found.extend(files.split(' ').filter(|file| file.ends_with(".rs")).map(|file| file.replace('\0', " ").into()));
    }
    ensure!(!found.is_empty(), "{} names no source", dep_info.display());
    Ok(found)
}

/// The files of ours among these, of core first, leaves first.
pub(crate) fn ours(workspace: &Path, files: &BTreeSet<PathBuf>) -> Result<Vec<SourceFile>> {
    let mut found = Vec::new();
    for part in ["core", "agent"] {
        let src = workspace.join(part).join("src");
        let names = files.iter().filter_map(|file| file.strip_prefix(&src).ok()?.to_str().map(str::to_owned)).collect();
        for name in Imports::of(&src)?.reading_order(&names) {
            let lines = code(&read(&src.join(&name))?).lines().count();
            found.push(SourceFile { path: format!("{part}/src/{name}"), lines });
        }
        let ordered = found.iter().filter(|file| file.path.starts_with(part)).count();
        ensure!(ordered == names.len(), "{} files of {part} were read, {ordered} are in the order", names.len());
    }
    Ok(found)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Lines of code in these files, and how often they say `unsafe`.
pub(crate) fn measure(files: &BTreeSet<PathBuf>) -> Result<(usize, usize)> {
    let (mut lines, mut unsafes) = (0, 0);
    for file in files {
        let text = read(file)?;
        lines += code(&text).lines().count();
        let tokens: TokenStream = match without_tests(&text).parse() {
            Ok(tokens) => tokens,
            // A file that is included as an expression need not be a whole one.
            Err(_) => continue,
        };
        let mut found = Vec::new();
        look(tokens, "", &mut found);
        unsafes += found.len();
    }
    Ok((lines, unsafes))
}

/// What of ours is `unsafe` in a file.
pub(crate) fn unsafe_in(workspace: &Path, path: &str) -> Result<Vec<Unsafe>> {
    let text = without_tests(&read(&workspace.join(path))?);
    let tokens: TokenStream = text.parse().map_err(|error| anyhow::anyhow!("{path} is no Rust: {error}"))?;
    let mut sites = Vec::new();
    look(tokens, "", &mut sites);
    let lines: Vec<&str> = text.lines().collect();
    let is_code = |line: &usize| lines.get(line - 1).is_some_and(|line| !code(line).is_empty());
    sites
        .into_iter()
        .map(|site| {
            let reason = reason(&lines, site.line).with_context(|| {
                format!("{path}:{}: unsafe without a comment that begins with SAFETY, or \"# Safety\"", site.line)
            })?;
            let lines = site.lines.filter(is_code).collect();
            Ok(Unsafe { file: path.to_owned(), line: site.line, function: site.function, lines, reason })
        })
        .collect()
}

/// The word `unsafe`, and which lines it is true of.
struct Site {
    line: usize,
    lines: std::ops::RangeInclusive<usize>,
    function: String,
}

#[allow(clippy::reversed_empty_ranges, reason = "no lines")]
const NO_LINES: std::ops::RangeInclusive<usize> = 1..=0;

fn look(tokens: TokenStream, function: &str, found: &mut Vec<Site>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut function = function.to_owned();
    let is_naked = |group: &Group| group.stream().to_string().contains("naked");
    let mut naked = false;
    for (place, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(word) if word == "fn" => {
                if let Some(TokenTree::Ident(name)) = tokens.get(place + 1) {
                    function = name.to_string();
                }
            }
            TokenTree::Ident(word) if word == "unsafe" => {
                let line = word.span().start().line;
                let block = |group: &Group| group.span_open().start().line..=group.span_close().end().line;
                let lines = match tokens.get(place + 1) {
                    Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => block(group),
                    // An attribute.
                    Some(TokenTree::Group(_)) => continue,
                    _ if naked => {
                        let groups = tokens[place..].iter().filter_map(|token| match token {
                            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(block(group)),
                            _ => None,
                        });
                        groups.into_iter().next().unwrap_or(NO_LINES)
                    }
                    _ => NO_LINES,
                };
                naked = false;
                // What a function's own `unsafe` allows stands in blocks within it.
                found.push(Site { line, lines, function: item(&tokens[place + 1..]).unwrap_or(function.clone()) });
            }
            TokenTree::Group(group) => {
                naked |= group.delimiter() == Delimiter::Bracket && is_naked(group);
                look(group.stream(), &function, found);
            }
            _ => {}
        }
    }
}

/// The name of an item: of a function, or the trait that is implemented.
fn item(tokens: &[TokenTree]) -> Option<String> {
    let words: Vec<String> = tokens.iter().take(6).map(ToString::to_string).collect();
    match words.first()?.as_str() {
        "impl" => Some(format!("impl {}", words.get(1)?)),
        "fn" => words.get(1).cloned(),
        "extern" => Some(words.iter().skip_while(|word| *word != "fn").nth(1).map_or("extern", |name| name).to_owned()),
        _ => None,
    }
}

/// The comment above a statement or an item that begins with SAFETY, or a documentation's part about it.
fn reason(lines: &[&str], line: usize) -> Option<String> {
    let mut place = line.checked_sub(1)?;
    let is_comment = |place: usize| lines.get(place).is_some_and(|line| line.trim_start().starts_with("//"));
    // Up to the beginning of the statement.
    while place > 0 && !is_comment(place - 1) {
        let above = lines.get(place - 1)?.trim_end();
        if above.trim().is_empty() || above.ends_with(['}', ';']) {
            return None;
        }
        place -= 1;
    }
    let start = (0..place).rev().take_while(|place| is_comment(*place)).last()?;
    let text = lines[start..place].iter().map(|line| line.trim_start().trim_start_matches('/').trim());
    let text = text.collect::<Vec<_>>().join(" ");
    let (_, reason) = text.split_once("SAFETY:").or_else(|| text.split_once("# Safety"))?;
    Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty())
}
