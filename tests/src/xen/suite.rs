//! The groups of cases, choosing among them, and running them: one machine a group, at most two machines at a time.
//!
//! Guarantees: every chosen case is in the report, also when its machine did not boot; a machine's logs are saved
//! before it ends. The group that measures start times has the build machine to itself.

use std::fs;
use std::io::{BufRead, stdin};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::bench::{Bench, Machinery};
use super::cases::{Case, STANDING, START};
use super::dom0::{Dom0, Xenstored};
use super::guest::{Kind, SLOW};
use super::images::Images;
use super::lab::Lab;
use super::options::Options;
use super::packages::Flavour;
use super::report::{Line, Outcome, Report, Section};
use super::tools;

/// How much of a guest's console goes into the report of a failure.
const TAIL: usize = 40;

/// A machine and what runs on it.
#[derive(Clone, Copy, Debug)]
struct Group {
    name: &'static str,
    machinery: Machinery,
    cases: &'static [Case],
    /// Not beside another machine.
    alone: bool,
}

const GROUPS: &[Group] = &[
    Group {
        name: "pv",
        machinery: Machinery { kind: Kind::Pv, flavour: Flavour::Amd64, xenstored: Xenstored::Oxenstored },
        cases: STANDING,
        alone: false,
    },
    Group {
        name: "pvh",
        machinery: Machinery { kind: Kind::Pvh, flavour: Flavour::Cloud, xenstored: Xenstored::Xenstored },
        cases: STANDING,
        alone: false,
    },
    Group {
        name: "start",
        machinery: Machinery { kind: Kind::Pv, flavour: Flavour::Amd64, xenstored: Xenstored::Oxenstored },
        cases: START,
        alone: true,
    },
];

/// A group and the cases of it that were asked for.
#[derive(Clone, Debug)]
pub struct Chosen {
    group: Group,
    cases: Vec<Case>,
}

/// What the words select; an error names a word that selects nothing.
pub fn choose(words: &[String]) -> Result<Vec<Chosen>> {
    let is_group = |word: &&String| GROUPS.iter().any(|group| group.name == word.as_str());
    let (groups, parts): (Vec<_>, Vec<_>) = words.iter().partition(is_group);
    let mut chosen = Vec::new();
    for group in GROUPS.iter().filter(|group| groups.is_empty() || groups.iter().any(|name| *name == group.name)) {
        let wanted = |case: &&Case| parts.is_empty() || parts.iter().any(|part| case.name.contains(part.as_str()));
        let cases: Vec<_> = group.cases.iter().filter(wanted).copied().collect();
        if !cases.is_empty() {
            chosen.push(Chosen { group: *group, cases });
        }
    }
    for part in parts {
        let hit = chosen.iter().flat_map(|chosen| &chosen.cases).any(|case| case.name.contains(part.as_str()));
        ensure!(hit, "no group is called {part:?} and no chosen case has it in its name; --list names them");
    }
    Ok(chosen)
}

/// The names, for `--list`.
pub fn list(chosen: &[Chosen]) -> String {
    let lines = chosen
        .iter()
        .flat_map(|chosen| chosen.cases.iter().map(move |case| format!("{} {}\n", chosen.group.name, case.name)));
    lines.collect()
}

/// Runs what was chosen.
pub fn run(chosen: &[Chosen], options: &Options) -> Result<Report> {
    tools::require()?;
    let lab = Lab::prepare()?;
    let images = Images::make(&lab, options.agent.clone())?;
    let run = |chosen: &Chosen| run_group(&lab, &images, chosen, options.keep);
    let (alone, together): (Vec<_>, Vec<_>) = chosen.iter().partition(|chosen| chosen.group.alone || options.keep);
    let mut sections: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = together.iter().map(|chosen| scope.spawn(|| run(chosen))).collect();
        let ended = running.into_iter().zip(&together);
        ended
            .map(|(thread, chosen)| thread.join().unwrap_or_else(|_| broken(chosen, "the test itself panicked")))
            .collect()
    });
    sections.extend(alone.into_iter().map(run));
    Ok(Report { sections })
}

/// Boots a group's machine and runs its cases.
fn run_group(lab: &Lab, images: &Images, chosen: &Chosen, keep: bool) -> Section {
    let started = Instant::now();
    let machinery = chosen.group.machinery;
    let booted = clean_folder(lab, chosen.group.name).and_then(|out| Bench::boot(lab, images, machinery, out));
    let mut bench = match booted {
        Ok(bench) => bench,
        Err(error) => return broken(chosen, &format!("{error:#}")),
    };
    let ready = started.elapsed();
    let lines = chosen.cases.iter().map(|case| run_case(&mut bench, chosen.group.name, case)).collect();
    let mut notes = std::mem::take(&mut bench.notes);
    match bench.dom0.save_logs() {
        Ok(crashes) => notes.extend(crashes.iter().map(|line| format!("a process crashed in dom0: {line}"))),
        Err(error) => notes.push(format!("dom0's logs are lost: {error:#}")),
    }
    if keep {
        converse(&mut bench.dom0);
    }
    Section { title: title(&chosen.group), ready: Some(ready), lines, notes }
}

fn run_case(bench: &mut Bench<'_>, group: &str, case: &Case) -> Line {
    let started = Instant::now();
    let ran = bench.settle().and_then(|()| (case.run)(bench)).and_then(|outcome| bench.check().map(|()| outcome));
    let outcome = ran.unwrap_or_else(|error| {
        let tail = bench.console_tail(TAIL).map(|tail| format!("\nthe guest's console ends:\n{tail}"));
        bench.doubt();
        Outcome::Failed(format!("{error:#}{}", tail.unwrap_or_default()))
    });
    let line = Line { case: case.name.into(), outcome, took: started.elapsed() };
    eprintln!("xen-test: {group:<6}{}", line.to_string().lines().next().unwrap_or_default());
    line
}

/// Every case of a machine that never ran.
fn broken(chosen: &Chosen, reason: &str) -> Section {
    let fail =
        |case: &Case| Line { case: case.name.into(), outcome: Outcome::Failed(reason.into()), took: Duration::ZERO };
    let lines = chosen.cases.iter().map(fail).collect();
    Section { title: title(&chosen.group), ready: None, lines, notes: Vec::new() }
}

fn title(group: &Group) -> String {
    let Machinery { kind, flavour, xenstored } = group.machinery;
    let kind = kind.name().to_uppercase();
    format!("{}: {kind} guest, {} kernel, {}", group.name, flavour.name(), xenstored.name())
}

/// The group's output folder, emptied.
fn clean_folder(lab: &Lab, name: &str) -> Result<PathBuf> {
    let out = lab.dir().join("out").join(name);
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot empty {}", out.display()))?;
    }
    fs::create_dir_all(out.join("console"))?;
    Ok(out)
}

/// `--keep`: lines from standard input run in dom0.
fn converse(dom0: &mut Dom0) {
    eprintln!("xen-test: the machine is yours; each line runs in dom0, end of file ends it");
    for line in stdin().lock().lines().map_while(Result::ok) {
        match dom0.try_sh(&line, SLOW) {
            Ok(reply) => {
                print!("{}{}", String::from_utf8_lossy(&reply.stdout), String::from_utf8_lossy(&reply.stderr));
                println!("[{}]", reply.status);
            }
            Err(error) => return eprintln!("xen-test: {error:#}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<String> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        list(&choose(&words).unwrap()).lines().map(str::to_owned).collect()
    }

    #[test]
    fn groups_narrow_and_parts_choose() {
        assert_eq!(names(&["pv", "save", "reboot"]), ["pv save-restore", "pv reboot"]);
        assert_eq!(names(&["shutdown"]), ["pv shutdown", "pvh shutdown"]);
        assert_eq!(names(&["start"]).len(), START.len());
        assert_eq!(names(&[]).len(), 2 * STANDING.len() + START.len());
    }

    #[test]
    fn a_word_that_selects_nothing_is_an_error() {
        assert!(choose(&["saev".to_owned()]).is_err());
        assert!(choose(&["start".to_owned(), "save".to_owned()]).is_err());
    }
}
