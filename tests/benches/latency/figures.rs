//! The page of plots: `target/bench/report.html` and its SVG files, which `cargo plots` copies to
//! `tests/benches/figures/`, where README shows them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nanova_tests::agent::{build, cargo, target_dir};
use serde_json::Value;

use crate::answers::{BLOCK, Pair, Row};
use crate::plot::{Area, Bar, Curve, SeriesLabelPosition, Words, bars, draw, lines, short};
use crate::table::{HEADS, Samples, Table};

const PEERS: &str = include_str!("../peers.json");
/// Parts that are smaller are one.
const SMALL: u64 = 2500;
/// Points of a distribution.
const POINTS: usize = 200;

/// What an agent is like: figures by their names in `peers.json`. What it does not do is not there.
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) figures: BTreeMap<String, f64>,
}

/// All that is drawn.
pub(crate) struct Report {
    pub(crate) table: Table,
    pub(crate) socket: Pair,
    pub(crate) device: Pair,
    pub(crate) row: Row,
    pub(crate) nanova: Agent,
}

/// A figure's file and what is to be known of it.
struct Figure {
    file: &'static str,
    note: String,
}

/// Writes all of it; returns where the page is.
pub(crate) fn write(report: &Report) -> Result<PathBuf> {
    let folder = target_dir().join("bench");
    std::fs::create_dir_all(&folder)?;
    let peers: Value = serde_json::from_str(PEERS)?;
    draw(&folder.join("answers.svg"), (900, 420), |area| answers(area, report))?;
    draw(&folder.join("row.svg"), (900, 620), |area| row(area, &report.row))?;
    let parts = parts()?;
    draw(&folder.join("bytes.svg"), (900, 90 + 24 * parts.len() as u32), |area| bytes(area, &parts))?;
    draw(&folder.join("agents.svg"), (900, 600), |area| agents(area, &report.nanova, &others(&peers)?))?;
    let page = folder.join("report.html");
    std::fs::write(&page, html(&folder, &report.table, &figures(&peers))?)?;
    Ok(page)
}

/// Copies the figures to where README shows them.
pub(crate) fn keep() -> Result<PathBuf> {
    let to = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/figures");
    std::fs::create_dir_all(&to)?;
    for file in ["answers.svg", "row.svg", "bytes.svg", "agents.svg"] {
        std::fs::copy(target_dir().join("bench").join(file), to.join(file))?;
    }
    Ok(to)
}

fn figures(peers: &Value) -> [Figure; 4] {
    let answers = "The bare client reads the request and writes the response, and does nothing else. All processes \
                   share one processor; the host's own round trips are in both. What took longer than the axis goes is \
                   not drawn.";
    let row = "Each request is written when the answer to the one before was read. A point is the median of 1,000.";
    let bytes = "Symbols of the release binary, before it is stripped; what was inlined counts where it is. Constants \
                 have no names.";
    let word = |name: &str| peers[name].as_str().unwrap_or_default();
    let agents = format!("nanova: this run. The others: {}; {}.", word("measured"), word("machine"));
    [
        ("answers.svg", answers.to_owned()),
        ("row.svg", row.to_owned()),
        ("bytes.svg", bytes.to_owned()),
        ("agents.svg", agents),
    ]
    .map(|(file, note)| Figure { file, note })
}

/// The agents of `peers.json`.
fn others(peers: &Value) -> Result<Vec<Agent>> {
    let agents = peers["agents"].as_array().context("peers.json has no agents")?;
    let agent = |agent: &Value| {
        let agent = agent.as_object()?;
        let figures = agent.iter().filter_map(|(name, figure)| Some((name.clone(), figure.as_f64()?))).collect();
        Some(Agent { name: agent.get("name")?.as_str()?.to_owned(), figures })
    };
    agents.iter().map(agent).collect::<Option<_>>().context("an agent of peers.json has no name")
}

fn answers(area: &Area<'_>, report: &Report) -> Result<()> {
    let all = [
        ("nanova, socket", 0, &report.socket.nanova),
        ("bare client, socket", 1, &report.socket.bare),
        ("nanova, device", 2, &report.device.nanova),
        ("bare client, device", 3, &report.device.bare),
    ];
    let most = all.iter().map(|(_, _, samples)| 2.5 * samples.median()).fold(0.0, f64::max);
    let curve = |(name, colour, samples): &(&'static str, usize, &Samples)| Curve {
        name,
        colour: *colour,
        points: (0..=POINTS)
            .map(|point| point as f64 / POINTS as f64)
            .map(|part| (samples.quantile(part), 100.0 * part))
            .filter(|(time, _)| *time <= most)
            .collect(),
    };
    let words = Words {
        title: "version: from the request's write until its answer can be read",
        x: "microseconds",
        y: "answers within that time, %",
    };
    let curves: Vec<Curve<'_>> = all.iter().map(curve).collect();
    lines(area, &words, (0.0..most, 0.0..100.0), &curves, SeriesLabelPosition::LowerRight)
}

fn row(area: &Area<'_>, row: &Row) -> Result<()> {
    let points = |figures: &[f64]| -> Vec<(f64, f64)> {
        (1..).zip(figures).map(|(block, figure)| (f64::from(block) * BLOCK as f64, *figure)).collect()
    };
    let most = |all: [&[f64]; 2]| all.concat().iter().copied().fold(0.0, f64::max) * 1.15;
    let requests = 0.0..(row.nanova.len() * BLOCK) as f64;
    let (upper, lower) = area.split_vertically(310);
    let words = Words { title: "Requests in a row: time for each", x: "requests", y: "microseconds" };
    let times = [("nanova", 0, &row.nanova), ("bare client", 1, &row.bare)].map(|(name, colour, figures)| Curve {
        name,
        colour,
        points: points(figures),
    });
    let range = (requests.clone(), 0.0..most([&row.nanova, &row.bare]));
    lines(&upper, &words, range, &times, SeriesLabelPosition::LowerRight)?;
    let words = Words { title: "Requests in a row: memory of the agent", x: "requests", y: "KiB" };
    let memory = [("resident", 0, &row.resident), ("anonymous", 2, &row.anonymous)]
        .map(|(name, colour, figures)| Curve { name, colour, points: points(figures) });
    let range = (requests, 0.0..most([&row.resident, &row.anonymous]));
    lines(&lower, &words, range, &memory, SeriesLabelPosition::MiddleRight)
}

/// The bytes of each part of the binary, the largest first.
fn parts() -> Result<Vec<(String, u64)>> {
    let binary = build(cargo().env("CARGO_PROFILE_RELEASE_STRIP", "false"), &target_dir().join("unstripped"), &[])?;
    let mut command = Command::new("nm");
    let output = command.args(["--size-sort", "--print-size", "--demangle", "--radix=d"]).arg(&binary).output();
    let output = output.context("cannot start nm; install binutils")?;
    ensure!(output.status.success(), "{command:?} failed");
    let mut parts = BTreeMap::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let mut words = line.splitn(4, ' ').skip(1);
        let bytes: u64 = words.next().context("a size")?.parse()?;
        *parts.entry(part_of(words.nth(1).context("a name")?)).or_insert(0) += bytes;
    }
    let named: u64 = parts.values().sum();
    let stripped = std::fs::metadata(nanova_tests::agent::binary())?.len();
    parts.insert("constants, headers".to_owned(), stripped.saturating_sub(named));
    let small: Vec<String> = parts.iter().filter(|(_, bytes)| **bytes < SMALL).map(|(name, _)| name.clone()).collect();
    let others = small.iter().filter_map(|name| parts.remove(name)).sum();
    let mut parts: Vec<_> = parts.into_iter().collect();
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    parts.push(("smaller parts".to_owned(), others));
    Ok(parts)
}

/// The room that a function is of: `core: report`, `agent: serve`, the crate of another.
fn part_of(symbol: &str) -> String {
    let path = symbol.trim_start_matches(['<', '&']).trim_start_matches("mut ");
    let end = path.find([' ', '<', '>']).unwrap_or(path.len());
    let mut words = path[..end].split("::");
    match (words.next().unwrap_or_default(), words.next(), words.next()) {
        ("nanova_core", Some("network"), Some(room @ ("managers" | "dhcp" | "source" | "handover"))) => {
            format!("core: network, {room}")
        }
        ("nanova_core", Some(room), _) => format!("core: {room}"),
        ("nanova", Some(room), _) => format!("agent: {room}"),
        (name, Some(_), _) => format!("crate {name}"),
        (name, None, _) if name.starts_with("OUTLINED") => "pieces that functions share".to_owned(),
        _ => "crate core".to_owned(),
    }
}

fn bytes(area: &Area<'_>, parts: &[(String, u64)]) -> Result<()> {
    let bar = |(name, bytes): &(String, u64)| {
        let colour = if name.starts_with("core:") {
            0
        } else if name.starts_with("agent:") {
            2
        } else {
            1
        };
        Bar { name: name.clone(), colour, figure: *bytes as f64, text: format!("{bytes}") }
    };
    let words = Words { title: "The release binary by parts", x: "bytes", y: "" };
    bars(area, &words, false, 190, &parts.iter().map(bar).collect::<Vec<_>>())
}

fn agents(area: &Area<'_>, nanova: &Agent, peers: &[Agent]) -> Result<()> {
    let panels = [
        ("Installed", "bytes", "bytes"),
        ("Resident memory when idle", "KiB", "resident_kib"),
        ("Start to the first watch or write", "ms", "start_ms"),
        ("An idle minute with default options", "system calls", "idle_calls"),
        ("Answer to version", "ms", "version_ms"),
        ("Password change, keys exchanged before", "ms", "password_ms"),
    ];
    for (panel, (title, unit, key)) in area.split_evenly((3, 2)).iter().zip(panels) {
        let bar = |(place, agent): (usize, &Agent)| {
            let figure = *agent.figures.get(key)?;
            Some(Bar { name: agent.name.clone(), colour: place.min(1), figure, text: short(figure) })
        };
        let all: Vec<Bar> = std::iter::once(nanova).chain(peers).enumerate().filter_map(bar).collect();
        bars(panel, &Words { title, x: unit, y: "" }, true, 150, &all)?;
    }
    Ok(())
}

const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
td, th { padding: 0 .8em; text-align: left; }
svg { max-width: 100%; height: auto; }
";

fn html(folder: &Path, table: &Table, figures: &[Figure]) -> Result<String> {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>nanova, measured</title>\n\
         <style>{STYLE}</style>\n<h1>nanova, measured</h1>\n<table>\n"
    );
    let row = |cells: &[String; 6], tag: &str| {
        let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", cell.trim())).collect();
        format!("<tr>{cells}</tr>\n")
    };
    page += &row(&HEADS.map(str::to_owned), "th");
    page.extend(table.0.iter().map(|line| row(&line.cells(), "td")));
    page += "</table>\n";
    for Figure { file, note } in figures {
        write!(
            page,
            "<figure>\n{}<figcaption>{note}</figcaption>\n</figure>\n",
            std::fs::read_to_string(folder.join(file))?
        )?;
    }
    Ok(page)
}
