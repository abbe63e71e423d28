//! The groups of cases, choosing among them, and running them: one machine a group, at most two machines at a time.
//!
//! Guarantees: every chosen case is in the report, also when its machine did not boot; a machine's logs are saved
//! before it ends. The group that measures start times has the build machine to itself.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, stdin};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::bench::{Bench, Machinery};
use super::cases::{Case, DEBIAN, DISKS, LIFE, MANY, OPENRC, STANDING, START};
use super::dom0::Dom0;
use super::dom0::Xenstored::{self, C, Ocaml};
use super::guest::{Kind, SLOW};
use super::images::{Disk, Images};
use super::lab::Lab;
use super::machine::Size;
use super::options::Options;
use super::packages::Flavour::{self, Amd64, Cloud};
use super::packages::Xen::{self, V4_17, V4_20};
use super::report::{Line, Outcome, Report, Section};
use super::tools;
use crate::agent;

/// How many machines run at a time.
const MACHINES: usize = 2;
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
    /// Runs without `--all`.
    usual: bool,
}

/// What most groups are: one PV guest with the ordinary kernel, of Debian 12.
const PLAIN: Group = Group {
    name: "",
    machinery: Machinery {
        xen: V4_17,
        kind: Kind::Pv,
        flavour: Amd64,
        xenstored: Ocaml,
        size: Size { disks: &[], memory: 512 },
    },
    cases: STANDING,
    alone: false,
    usual: true,
};

/// The other kind of everything: a PVH guest of Debian 13.
const NEWER: Group = Group::standing("", V4_20, Kind::Pvh, Amd64, C);

impl Group {
    const fn standing(name: &'static str, xen: Xen, kind: Kind, flavour: Flavour, xenstored: Xenstored) -> Group {
        Group { name, machinery: Machinery { xen, kind, flavour, xenstored, ..PLAIN.machinery }, ..PLAIN }
    }

    const fn unusual(self) -> Group {
        Group { usual: false, ..self }
    }
}

/// All guests that can be made of what there is. Of each Xen, two of them have every kind and kernel between them, and
/// of Debian 12's every daemon: the usual ones.
const GROUPS: &[Group] = &[
    Group::standing("pv", V4_17, Kind::Pv, Amd64, Ocaml),
    Group::standing("pvh", V4_17, Kind::Pvh, Cloud, C),
    Group::standing("pv-4.20", V4_20, Kind::Pv, Cloud, C),
    Group::standing("pvh-4.20", V4_20, Kind::Pvh, Amd64, C),
    Group::standing("pv-amd64-xenstored", V4_17, Kind::Pv, Amd64, C).unusual(),
    Group::standing("pv-cloud-oxenstored", V4_17, Kind::Pv, Cloud, Ocaml).unusual(),
    Group::standing("pv-cloud-xenstored", V4_17, Kind::Pv, Cloud, C).unusual(),
    Group::standing("pvh-amd64-oxenstored", V4_17, Kind::Pvh, Amd64, Ocaml).unusual(),
    Group::standing("pvh-amd64-xenstored", V4_17, Kind::Pvh, Amd64, C).unusual(),
    Group::standing("pvh-cloud-oxenstored", V4_17, Kind::Pvh, Cloud, Ocaml).unusual(),
    Group::standing("pv-amd64-4.20", V4_20, Kind::Pv, Amd64, C).unusual(),
    Group::standing("pvh-cloud-4.20", V4_20, Kind::Pvh, Cloud, C).unusual(),
    Group {
        name: "debian",
        machinery: Machinery {
            size: Size { disks: &[Disk::Debian; DISKS.len()], ..PLAIN.machinery.size },
            ..PLAIN.machinery
        },
        cases: DEBIAN,
        ..PLAIN
    },
    Group {
        name: "debian-4.20",
        machinery: Machinery {
            size: Size { disks: &[Disk::Debian; DISKS.len()], ..PLAIN.machinery.size },
            ..NEWER.machinery
        },
        cases: DEBIAN,
        usual: false,
        ..PLAIN
    },
    Group {
        name: "openrc",
        machinery: Machinery { size: Size { disks: &[Disk::OpenRc], ..PLAIN.machinery.size }, ..PLAIN.machinery },
        cases: OPENRC,
        usual: false,
        ..PLAIN
    },
    Group { name: "start", cases: START, alone: true, ..PLAIN },
    Group { name: "life", cases: LIFE, usual: false, ..PLAIN },
    Group { name: "life-4.20", cases: LIFE, usual: false, ..NEWER },
    Group {
        name: "many",
        machinery: Machinery { size: Size { disks: &[], memory: 1280 }, ..PLAIN.machinery },
        cases: MANY,
        usual: false,
        ..PLAIN
    },
    Group {
        name: "many-4.20",
        machinery: Machinery { size: Size { disks: &[], memory: 1280 }, ..NEWER.machinery },
        cases: MANY,
        usual: false,
        ..PLAIN
    },
];

/// A group and the cases of it that were asked for.
#[derive(Clone, Debug)]
pub struct Chosen {
    group: Group,
    cases: Vec<Case>,
}

/// What the words select, on all Xens or on one; an error names a word that selects nothing. A group that is named
/// needs no `--all`.
pub fn choose(words: &[String], all: bool, xen: Option<Xen>) -> Result<Vec<Chosen>> {
    let is_group = |word: &&String| GROUPS.iter().any(|group| group.name == word.as_str());
    let (groups, parts): (Vec<_>, Vec<_>) = words.iter().partition(is_group);
    let mut chosen = Vec::new();
    let named = |group: &&Group| groups.iter().any(|name| *name == group.name);
    let asked = |group: &&Group| if groups.is_empty() { all || group.usual } else { named(group) };
    let on = |group: &&Group| xen.is_none_or(|xen| group.machinery.xen == xen);
    for group in GROUPS.iter().filter(on).filter(asked) {
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
    for name in groups {
        let hit = chosen.iter().any(|chosen| chosen.group.name == name);
        ensure!(hit, "nothing of the group {name} is left; --list names what is chosen");
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
    let started = Instant::now();
    let wanted = |xen: &Xen| chosen.iter().any(|chosen| chosen.group.machinery.xen == *xen);
    let mut labs = BTreeMap::new();
    for xen in Xen::ALL.into_iter().filter(wanted) {
        let lab = Lab::prepare(xen)?;
        let images = Images::make(&lab, options.agent.clone())?;
        labs.insert(xen, (lab, images));
    }
    for (xen, (lab, images)) in &labs {
        let machines = || chosen.iter().map(|chosen| chosen.group.machinery).filter(|machine| machine.xen == *xen);
        for disk in [Disk::Debian, Disk::OpenRc] {
            if machines().any(|machine| machine.size.disks.contains(&disk)) {
                images.make_disk(lab, disk)?;
            }
        }
    }
    let run = |chosen: &Chosen| {
        let (lab, images) = &labs[&chosen.group.machinery.xen];
        run_group(lab, images, chosen, options.keep)
    };
    let (alone, together): (Vec<_>, Vec<_>) = chosen.iter().partition(|chosen| chosen.group.alone || options.keep);
    // The index of the group that comes next.
    let next = AtomicUsize::new(0);
    let work = || {
        let mine = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < together.len()));
        mine.map(|at| (at, run(together[at]))).collect::<Vec<_>>()
    };
    let mut sections: Vec<_> = std::thread::scope(|scope| {
        let threads = [(); MACHINES].map(|()| scope.spawn(work));
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    sections.sort_by_key(|(at, _)| *at);
    let mut sections: Vec<_> = sections.into_iter().map(|(_, section)| section).collect();
    sections.extend(alone.into_iter().map(run));
    let report = Report { sections, load: load(started.elapsed()) };
    write(&report)?;
    Ok(report)
}

/// Keeps the report as text and as a page, below `xen-test` in the build folder.
fn write(report: &Report) -> Result<()> {
    let folder = agent::target_dir().join("xen-test");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("report.txt"), format!("{report}\n"))?;
    let page = folder.join("report.html");
    fs::write(&page, report.page())?;
    eprintln!("xen-test: {} has all of this as a page", page.display());
    Ok(())
}

/// The time that all took, how busy the build machine was meanwhile, and how much of it was for this: what an idle one
/// would have taken cannot be less than that divided by its processors.
fn load(took: Duration) -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<_> = load.split(' ').take(3).collect();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{:.0} s on {processors} processors, of which {:.0} s were used; with a load of {} in the last 1, 5 and 15 minutes",
        took.as_secs_f64(),
        used(&fs::read_to_string("/proc/self/stat").unwrap_or_default()),
        averages.join(", ")
    )
}

/// The seconds of processor time of all children that have ended, from /proc/self/stat (proc(5): in hundredths).
fn used(stat: &str) -> f64 {
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(13).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
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
    let boots = std::mem::take(&mut bench.boots);
    Section { title: title(&chosen.group), ready: Some(ready), lines, boots, notes }
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
    Section { title: title(&chosen.group), ready: None, lines, boots: Vec::new(), notes: Vec::new() }
}

fn title(group: &Group) -> String {
    let Machinery { xen, kind, flavour, xenstored, size } = group.machinery;
    let (xen, kind) = (xen.version(), kind.name().to_uppercase());
    let disk = size.disks.first().map(|disk| format!(", {disk:?} on a disk")).unwrap_or_default();
    format!("{}: Xen {xen}, {}; {kind} guest, {} kernel{disk}", group.name, xenstored.name(), flavour.name())
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
    use std::collections::BTreeSet;

    use super::*;

    fn names(words: &[&str], all: bool) -> Vec<String> {
        on(words, all, None)
    }

    fn on(words: &[&str], all: bool, xen: Option<Xen>) -> Vec<String> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        list(&choose(&words, all, xen).unwrap()).lines().map(str::to_owned).collect()
    }

    #[test]
    fn groups_narrow_and_parts_choose() {
        assert_eq!(names(&["pv", "save", "reboot"], false), ["pv save-restore", "pv reboot"]);
        let shutdown = ["pv shutdown", "pv busy-shutdown", "pvh shutdown", "pvh busy-shutdown"];
        assert_eq!(on(&["shutdown"], false, Some(V4_17)), shutdown);
        assert_eq!(names(&["start"], false).len(), START.len());
        assert_eq!(names(&[], false).len(), 4 * STANDING.len() + DEBIAN.len() + START.len());
    }

    #[test]
    fn processor_time_is_that_of_children() {
        assert_eq!(used("7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 10 20 300 40 20 0"), 3.4);
        assert_eq!(used(""), 0.0);
    }

    #[test]
    fn a_xen_narrows_to_its_machines() {
        assert_eq!(on(&["burst"], false, Some(V4_20)), ["pv-4.20 burst", "pvh-4.20 burst"]);
        assert!(choose(&["pv".to_owned()], false, Some(V4_20)).is_err());
    }

    #[test]
    fn all_is_every_guest_and_a_name_chooses_any() {
        let others = DEBIAN.len() * 2 + OPENRC.len() + START.len() + LIFE.len() * 2 + MANY.len() * 2;
        assert_eq!(names(&[], true).len(), 12 * STANDING.len() + others);
        assert_eq!(names(&["burst"], true).len(), 12);
        assert_eq!(names(&["pvh-amd64-xenstored", "burst"], false), ["pvh-amd64-xenstored burst"]);
        let standing = GROUPS.iter().filter(|group| group.cases.len() == STANDING.len());
        let made = standing.map(|group| format!("{:?}", group.machinery));
        assert_eq!(made.collect::<BTreeSet<_>>().len(), 12);
        assert_eq!(names(&["debian"], false).len(), DEBIAN.len());
    }

    #[test]
    fn a_word_that_selects_nothing_is_an_error() {
        assert!(choose(&["saev".to_owned()], true, None).is_err());
        assert!(choose(&["start".to_owned(), "save".to_owned()], true, None).is_err());
    }
}
