//! AUDIT.md, and the lists of system calls below agent/syscalls: what of all profiles is kept in the project, so that a
//! change shows in a diff. Figures that move with every change are rounded, or not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::report::Report;

/// More files than these are not named in a row.
const FILES_MAX: usize = 12;

const HEAD: &str = "\
# What is in each build

Made by `cargo audit-scope --write` from what the compiler says it has read, from cargo's own list and from the linked
program, disassembled; `.ci/run audit` fails when it is no longer true. `cargo audit-scope --profile commands` prints the
same of one build with every figure, place and function; `--json` for programs, `--sbom` for CycloneDX.

Lines are of code: without tests, comments and blanks. x86_64; [agent/syscalls](agent/syscalls) has the system calls on
aarch64, too.
";

/// The row of the figures with those places.
const PANICS: &str = "places of ours that can panic";

/// The page about these builds.
pub fn page(reports: &[Report]) -> String {
    let mut page = HEAD.to_owned();
    figures(reports, &mut page);
    calls(reports, &mut page);
    unsafes(reports, &mut page);
    crates(reports, &mut page);
    panics(reports, &mut page);
    rooms(reports, &mut page);
    files(reports, &mut page);
    page
}

/// A row of a table, with a cell for each profile.
fn row(page: &mut String, first: &str, cells: impl Iterator<Item = String>, last: Option<&str>) {
    let cells: Vec<String> = cells.collect();
    let last = last.map_or(String::new(), |last| format!(" {last} |"));
    let _ = writeln!(page, "| {first} | {} |{last}", cells.join(" | "));
}

fn head(page: &mut String, title: &str, first: &str, reports: &[Report], last: Option<&str>) {
    let _ = writeln!(page, "\n## {title}\n");
    row(page, first, reports.iter().map(|report| report.profile.clone()), last);
    row(page, "---", reports.iter().map(|_| "---".to_owned()), last.map(|_| "---"));
}

fn mark(is_there: bool) -> String {
    if is_there { "x".to_owned() } else { String::new() }
}

/// Up to the next multiple, with commas.
fn rounded(number: usize, step: usize) -> String {
    let number = number.div_ceil(step) * step;
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}

fn figures(reports: &[Report], page: &mut String) {
    head(page, "Figures", "", reports, None);
    let mut line = |what: &str, figure: &dyn Fn(&Report) -> String| row(page, what, reports.iter().map(figure), None);
    line("lines of ours, up to the next hundred", &|report| rounded(report.lines(), 100));
    line("in files", &|report| report.files.len().to_string());
    line("lines of ours that are `unsafe`", &|report| report.unsafe_lines().to_string());
    line("crates of others in the binary", &|report| report.linked().count().to_string());
    line("their lines, up to the next thousand", &|report| rounded(report.linked().map(|one| one.lines).sum(), 1000));
    line("crates that run when it is built, and are not in it", &|report| {
        report.crates.iter().filter(|one| !one.is_linked).count().to_string()
    });
    line("system calls", &|report| report.findings.calls.len().to_string());
    line(PANICS, &|report| report.panics_of_ours().to_string());
    line("bytes of the file in memory that can be written", &|report| report.memory().0.to_string());
    line("KiB that can be executed, up to the next 16", &|report| {
        rounded(usize::try_from(report.memory().1 / 1024 + 1).unwrap_or_default(), 16)
    });
}

fn calls(reports: &[Report], page: &mut String) {
    head(page, "System calls", "call", reports, Some("from"));
    let mut all = BTreeMap::<u64, (&str, BTreeSet<&str>)>::new();
    for (number, call) in reports.iter().flat_map(|report| &report.findings.calls) {
        let (name, files) = all.entry(*number).or_default();
        *name = &call.name;
        files.extend(call.files.iter().map(|file| file.trim_start_matches("agent/src/")));
    }
    for (number, (name, files)) in &all {
        let cells = reports.iter().map(|report| mark(report.findings.calls.contains_key(number)));
        let files: Vec<&str> = files.iter().copied().collect();
        let from = if files.len() > FILES_MAX { format!("{} files", files.len()) } else { files.join(", ") };
        row(page, &format!("`{name}`"), cells, Some(&from));
    }
    page.push_str("\n\"From\" is below agent/src: the innermost file of ours, for all profiles together.\n");
}

fn unsafes(reports: &[Report], page: &mut String) {
    head(page, "Unsafe", "where", reports, Some("why it is sound"));
    for (place, one) in union(reports, |report| &report.unsafes, |one| (one.file.clone(), one.line)) {
        let has = |report: &Report| report.unsafes.iter().any(|other| (&other.file, other.line) == (&place.0, place.1));
        let place = format!("{} `{}`", one.file.trim_start_matches("agent/src/"), one.function);
        row(page, &place, reports.iter().map(|report| mark(has(report))), Some(&one.reason.replace('|', "\\|")));
    }
}

fn crates(reports: &[Report], page: &mut String) {
    head(page, "Crates of others", "crate", reports, Some("licence; lines, `unsafe`; why"));
    for (name, one) in union(reports, |report| &report.crates, |one| (!one.is_linked, one.name.clone())) {
        let here =
            |report: &Report| report.crates.iter().any(|other| (!other.is_linked, &other.name) == (name.0, &name.1));
        let mut about = format!("{}; {}, {}; ", one.licence, rounded(one.lines, 1), one.unsafes);
        for (is, mark) in [
            (!one.is_linked, "not in the binary; "),
            (one.has_build_script, "has a build script; "),
            (one.is_macro, "is a macro; "),
        ] {
            about.push_str(if is { mark } else { "" });
        }
        about.push_str(&one.reason);
        row(
            page,
            &format!("{} {}", one.name, one.version),
            reports.iter().map(|report| mark(here(report))),
            Some(&about),
        );
    }
    page.push_str(
        "\nLines and the word `unsafe` are of the files that were compiled, in the first profile that has the crate.\n",
    );
}

fn panics(reports: &[Report], page: &mut String) {
    head(page, "Where our code can panic", "file", reports, None);
    let all = reports.iter().flat_map(|report| report.files_that_panic());
    for file in all.collect::<BTreeSet<_>>() {
        let has = |report: &Report| report.files_that_panic().any(|other| other == file);
        row(page, file, reports.iter().map(|report| mark(has(report))), None);
    }
    page.push_str(
        "\nA check that the compiler has kept is not one that can fail; these are where it could not tell.\n",
    );
}

/// The parts that are read one behind the other, in that order: core's as the table in its `lib.rs` has them, and the
/// agent's. What that table does not name comes last of core's.
fn rooms(reports: &[Report], page: &mut String) {
    head(page, "Rooms, in the order to read them", "room", reports, None);
    let named = include_str!("../../../core/src/lib.rs").lines();
    let mut names: Vec<&str> = named.filter_map(|line| line.strip_prefix("//! | [`")?.split('`').next()).collect();
    let all = reports.iter().flat_map(|report| &report.files).filter_map(|file| room(&file.path));
    for name in all.collect::<BTreeSet<_>>() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // A stable sort: core's in their order, then the agent's: what all of it stands on first, what uses it last.
    names
        .sort_by_key(|name| [CORE, RUNTIME, INIT, AGENT].iter().position(|known| known == name).map_or(0, |at| at + 1));
    for name in names {
        let lines = |report: &Report| {
            let files = report.files.iter().filter(|file| room(&file.path) == Some(name));
            let lines: usize = files.map(|file| file.lines).sum();
            if lines == 0 { String::new() } else { rounded(lines, 50) }
        };
        row(page, name, reports.iter().map(lines), None);
    }
    page.push_str("\nLines of code, up to the next fifty. [core](core/README.md) says what each room is.\n");
}

const CORE: &str = "core/src/lib.rs";
const RUNTIME: &str = "agent/src/rt";
const INIT: &str = "agent/src/init";
const AGENT: &str = "agent/src";

/// The room that a file is in.
fn room(path: &str) -> Option<&str> {
    let within = |folder: &'static str| path.starts_with(&format!("{folder}/")).then_some(folder);
    if path == CORE {
        return Some(CORE);
    }
    match path.strip_prefix("core/src/") {
        Some(rest) => rest.split(['/', '.']).next(),
        None => within(RUNTIME).or_else(|| within(INIT)).or_else(|| within(AGENT)),
    }
}

fn files(reports: &[Report], page: &mut String) {
    head(page, "Files of ours, in reading order, leaves first", "file", reports, None);
    // That of the profile with the most files is an order for all.
    let longest = reports.iter().max_by_key(|report| report.files.len());
    let in_order = longest.map(|report| report.files.as_slice()).unwrap_or_default().iter().map(|file| &file.path);
    let others = reports.iter().flat_map(|report| &report.files).map(|file| &file.path);
    let mut seen = BTreeSet::new();
    for path in in_order.chain(others).filter(|path| seen.insert((*path).clone())) {
        let has = |report: &Report| report.files.iter().any(|file| file.path == *path);
        row(page, path, reports.iter().map(|report| mark(has(report))), None);
    }
}

/// What any of the builds has, by its key; the first one that has it stands for all.
fn union<'r, T, K: Ord>(
    reports: &'r [Report],
    of: fn(&'r Report) -> &'r Vec<T>,
    key: impl Fn(&T) -> K,
) -> BTreeMap<K, &'r T> {
    let mut found = BTreeMap::new();
    for one in reports.iter().flat_map(of) {
        found.entry(key(one)).or_insert(one);
    }
    found
}

/// Where the list of a profile's system calls is.
pub fn list_path(workspace: &Path, report: &Report) -> PathBuf {
    workspace.join("agent/syscalls").join(report.findings.architecture).join(format!("{}.txt", report.profile))
}

/// That list: a number and a name on each line.
pub fn list(report: &Report) -> String {
    report.findings.calls.iter().map(|(number, call)| format!("{number} {}\n", call.name)).collect()
}

/// Compares with the kept list.
pub fn check_list(workspace: &Path, report: &Report) -> Result<()> {
    let path = list_path(workspace, report);
    let kept = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (kept, made) = (lines(&kept), list(report));
    let made = lines(&made);
    let name = path.strip_prefix(workspace)?.display();
    let more: Vec<_> = made.difference(&kept).copied().collect();
    let fewer: Vec<_> = kept.difference(&made).copied().collect();
    if !more.is_empty() {
        bail!("the binary makes system calls that {name} does not list: {more:?}; see cargo audit-scope --write");
    }
    if !fewer.is_empty() {
        bail!("{name} lists system calls that the binary does not make: {fewer:?}; see cargo audit-scope --write");
    }
    Ok(())
}

fn lines(text: &str) -> BTreeSet<&str> {
    text.lines().collect()
}

/// The profiles in which, as a page says, no code of ours can panic.
fn without_panics(page: &str) -> BTreeSet<&str> {
    let row = |first: &str| {
        let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
        cells.map(|line| line.split(" | ")).find_map(|mut cells| (cells.next()? == first).then_some(cells))
    };
    let (Some(profiles), Some(figures)) = (row(""), row(PANICS)) else { return BTreeSet::new() };
    profiles.zip(figures).filter_map(|(profile, figure)| (figure == "0").then_some(profile)).collect()
}

/// Compares with the kept page: a profile that had no place of ours that can panic must not get one, and each line.
pub fn check_page(workspace: &Path, reports: &[Report]) -> Result<()> {
    let kept = std::fs::read_to_string(workspace.join("AUDIT.md")).context("cannot read AUDIT.md")?;
    for report in reports.iter().filter(|report| without_panics(&kept).contains(report.profile.as_str())) {
        let mut places = report.findings.panics.iter().filter(|site| site.is_ours());
        if let Some(site) = places.next() {
            bail!(
                "{} had no place of ours that can panic, and has {}: {} in {} calls {}",
                report.profile,
                report.panics_of_ours(),
                site.place,
                site.function,
                site.calls
            );
        }
    }
    let page = &page(reports);
    if kept == *page {
        return Ok(());
    }
    let mut differences = String::new();
    for line in lines(&kept).difference(&lines(page)) {
        let _ = writeln!(differences, "-{line}");
    }
    for line in lines(page).difference(&lines(&kept)) {
        let _ = writeln!(differences, "+{line}");
    }
    bail!("AUDIT.md is not what is built; if that is meant, cargo audit-scope --write\n{differences}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_in_the_room_of_its_folder_or_its_name() {
        let files = ["core/src/wire/json/mod.rs", "core/src/lockdown.rs", "agent/src/rt/page.rs", "agent/src/log.rs"];
        assert_eq!(files.map(room), [Some("wire"), Some("lockdown"), Some(RUNTIME), Some(AGENT)]);
        assert_eq!((room("core/src/lib.rs"), room("agent/src/init/mod.rs")), (Some(CORE), Some(INIT)));
    }

    #[test]
    fn the_page_says_in_which_profiles_nothing_of_ours_can_panic() {
        let page = |figures: &str| {
            format!(
                "## Figures\n\n|  | full | commands | report |\n| --- | --- | --- | --- |\n| {PANICS} | {figures} |\n"
            )
        };
        assert_eq!(without_panics(&page("10 | 0 | 0")), BTreeSet::from(["commands", "report"]));
        assert_eq!(without_panics(&page("0 | 10 | 7")), BTreeSet::from(["full"]));
        assert_eq!(without_panics("# Nothing\n"), BTreeSet::new());
    }
}
