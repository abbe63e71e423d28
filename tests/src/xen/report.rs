//! The one report: what every case came to, how long it took, and the line a person and a machine read last.
//!
//! Guarantees: a case that did not run to its end counts as failed. Refuses nothing.

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
    /// What else a reader must know.
    pub notes: Vec<String>,
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
        let (word, text) = match &self.outcome {
            Outcome::Passed(text) => ("ok", text),
            Outcome::Skipped(text) => ("skip", text),
            Outcome::Failed(text) => ("FAIL", text),
        };
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
        let section =
            Section { title: "pv".into(), ready: None, lines: outcomes.map(line).into(), notes: vec!["n".into()] };
        let text = Report { sections: vec![section], load: "idle".into() }.to_string();
        assert!(text.ends_with("\nidle\n1 passed, 1 failed"), "{text}");
        assert!(text.contains("  ok   x                    1.23 s  fine\n"), "{text}");
        assert!(text.contains("a\n         | b\n  note: n\n"), "{text}");
    }
}
