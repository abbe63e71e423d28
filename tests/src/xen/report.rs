//! The one report: what every case came to, how long it took, and the line a person and a machine read last; as text,
//! and as a page with the times drawn.
//!
//! Guarantees: a case that did not run to its end counts as failed; the page is one file that asks nobody for another,
//! and what a guest said is text in it. Refuses nothing.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// How a case ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// As it should, with a remark for the report.
    Passed(String),
    /// It has nothing to test yet, and why.
    Skipped(String),
    /// It did not; the reason, and what the guest's console last said.
    Failed(String),
}

/// One line of the report.
#[derive(Clone, Debug)]
pub struct Line {
    /// The case.
    pub case: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The time it took on the build machine.
    pub took: Duration,
}

/// What one machine's cases came to.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name and what it is.
    pub title: String,
    /// The time until its dom0 was ready for guests.
    pub ready: Option<Duration>,
    /// The cases, in the order they ran.
    pub lines: Vec<Line>,
    /// The boots that were timed, in the guests' own time.
    pub boots: Vec<Boot>,
    /// What else a reader must know.
    pub notes: Vec<String>,
}

/// A guest's start, from its kernel's.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Which guest.
    pub guest: String,
    /// When its first process began, had xenbus open, and had answered.
    pub milestones: [Duration; 3],
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each machine.
    pub sections: Vec<Section>,
    /// How busy the build machine was: times say something on an idle one.
    pub load: String,
}

impl Report {
    /// The number of passed and of failed cases.
    pub fn counts(&self) -> (usize, usize) {
        let outcomes = || self.sections.iter().flat_map(|section| &section.lines).map(|line| &line.outcome);
        let passed = outcomes().filter(|outcome| matches!(outcome, Outcome::Passed(_))).count();
        let failed = outcomes().filter(|outcome| matches!(outcome, Outcome::Failed(_))).count();
        (passed, failed)
    }
}

/// The page's looks. A bar is as long as its share of the longest.
const STYLE: &str = "body{font:15px sans-serif;max-width:75em;margin:2em auto}table{border-collapse:collapse;width:100%}\
    td,th{text-align:left;padding:.15em .6em;border-bottom:1px solid #ddd;vertical-align:top}pre{margin:0;white-space:pre-wrap}\
    .FAIL{background:#fdd}.skip{color:#777}.bar{display:inline-block;height:.8em}.a{background:#bbb}.b{background:#69c}\
    .c{background:#285}";

impl Report {
    /// The report as a page.
    pub fn page(&self) -> String {
        let (passed, failed) = self.counts();
        let title = format!("nanova on Xen: {passed} passed, {failed} failed");
        let mut page = format!("<!doctype html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>");
        page += &format!("<h1>{title}</h1><p>{}</p>", escaped(&self.load));
        page += &self.boots();
        for section in &self.sections {
            page += &section.table();
        }
        page
    }

    /// Every boot, as bars of one scale.
    fn boots(&self) -> String {
        let boots = || self.sections.iter().flat_map(|section| section.boots.iter().map(move |boot| (section, boot)));
        let longest = boots().map(|(_, boot)| boot.milestones[2]).max().unwrap_or_default().as_secs_f64().max(1e-3);
        let mut table = "<h2>Boots</h2><p>From the kernel's start, in the guest's own time: <span class='bar a'>&ensp;</span> to \
            the first process, <span class='bar b'>&ensp;</span> to an open xenbus, <span class='bar c'>&ensp;</span> to the \
            first answer.</p><table>"
            .to_owned();
        for (section, boot) in boots() {
            let [init, xenbus, answer] = boot.milestones.map(|time| time.as_secs_f64());
            let bars = [("a", init), ("b", xenbus - init), ("c", answer - xenbus)];
            let bars = bars.map(|(class, time)| bar(class, time.max(0.0) / longest)).concat();
            let name = section.title.split(':').next().unwrap_or_default();
            table += &format!("<tr><td>{} {}<td style='width:60%'>{bars}", escaped(name), escaped(&boot.guest));
            table += &format!("<td>{:.0} ms + {:.1} ms", init * 1e3, (answer - init) * 1e3);
        }
        table + "</table>"
    }
}

impl Section {
    /// Its cases, each with its time as a bar.
    fn table(&self) -> String {
        let longest = self.lines.iter().map(|line| line.took).max().unwrap_or_default().as_secs_f64().max(1e-3);
        let mut table = format!("<h2>{}</h2><table>", escaped(&self.title));
        for line in &self.lines {
            let (word, text) = line.outcome.words();
            let took = line.took.as_secs_f64();
            table += &format!("<tr class={word}><td>{word}<td>{}<td style='width:20%'>", escaped(&line.case));
            table += &format!("{}<td>{took:.1} s<td><pre>{}</pre>", bar("b", took / longest), escaped(text));
        }
        table += "</table>";
        self.notes.iter().fold(table, |table, note| table + &format!("<p>{}</p>", escaped(note)))
    }
}

/// A bar of this share of its cell.
fn bar(class: &str, share: f64) -> String {
    format!("<span class='bar {class}' style='width:{:.2}%'></span>", share * 99.0)
}

/// Text for a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

impl Outcome {
    /// One word for it, and what is said about it.
    fn words(&self) -> (&'static str, &str) {
        match self {
            Outcome::Passed(text) => ("ok", text),
            Outcome::Skipped(text) => ("skip", text),
            Outcome::Failed(text) => ("FAIL", text),
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for section in &self.sections {
            let ready = section.ready.map_or("never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
            writeln!(f, "\n{}; dom0 ready: {ready}", section.title)?;
            section.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
            section.notes.iter().try_for_each(|note| writeln!(f, "  note: {note}"))?;
        }
        let (passed, failed) = self.counts();
        write!(f, "\n{}\n{passed} passed, {failed} failed", self.load)
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (word, text) = self.outcome.words();
        let text = text.trim_end().replace('\n', "\n         | ");
        write!(f, "  {word:<5}{:<18}{:>7.2} s  {text}", self.case, self.took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_what_ran() {
        let line = |outcome| Line { case: "x".into(), outcome, took: Duration::from_millis(1234) };
        let outcomes =
            [Outcome::Passed("fine".into()), Outcome::Skipped("later".into()), Outcome::Failed("a\nb".into())];
        let section = Section {
            title: "pv".into(),
            ready: None,
            lines: outcomes.map(line).into(),
            boots: vec![],
            notes: vec!["n".into()],
        };
        let text = Report { sections: vec![section], load: "idle".into() }.to_string();
        assert!(text.ends_with("\nidle\n1 passed, 1 failed"), "{text}");
        assert!(text.contains("  ok   x                    1.23 s  fine\n"), "{text}");
        assert!(text.contains("a\n         | b\n  note: n\n"), "{text}");
    }
    #[test]
    fn the_page_draws_boots_and_takes_what_guests_say_for_text() {
        let line = Line { case: "x".into(), outcome: Outcome::Failed("<script>".into()), took: Duration::from_secs(1) };
        let boot = Boot { guest: "standing".into(), milestones: [30, 40, 60].map(Duration::from_millis) };
        let (lines, boots) = (vec![line], vec![boot]);
        let section = Section { title: "pv: of Xen".into(), ready: None, lines, boots, notes: vec![] };
        let page = Report { sections: vec![section], load: "idle".into() }.page();
        assert!(page.contains("<tr class=FAIL>") && page.contains("<pre>&lt;script></pre>"), "{page}");
        assert!(page.contains("<td>pv standing<td") && page.contains("<td>30 ms + 30.0 ms"), "{page}");
        assert!(page.contains("'bar a' style='width:49.50%'"), "{page}");
    }
}
