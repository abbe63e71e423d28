//! Records for a person, for a program, or as bars.

use anyhow::Result;

use crate::options::Options;
use crate::records::{Record, name_of};

/// Columns of a timeline.
const COLUMNS: u64 = 60;

/// Keeps what the options ask for; of a request that is what comes between it and its removal.
pub struct Filter<'o> {
    options: &'o Options,
    in_request: bool,
}

impl<'o> Filter<'o> {
    /// By these options.
    pub fn new(options: &'o Options) -> Filter<'o> {
        Filter { options, in_request: false }
    }

    /// Whether this record, which comes behind those that were asked for before, is wanted.
    pub fn wants(&mut self, record: &Record) -> bool {
        let is_of_request = self.options.request.as_deref().is_none_or(|name| self.is_of_request(record, name));
        is_of_request
            && self.options.level.is_none_or(|level| record.level <= level)
            && self.options.since.is_none_or(|since| record.us >= since)
            && self.options.until.is_none_or(|until| record.us <= until)
    }

    fn is_of_request(&mut self, record: &Record, name: &str) -> bool {
        let ends = |c: char| !(c.is_alphanumeric() || c == '-');
        let named = record.text.split(ends).any(|word| word == name);
        let was_in = self.in_request || named;
        self.in_request |= record.text == format!("request {name}");
        if record.text.starts_with(&format!("Rm data/host/{name}:")) {
            self.in_request = false;
        }
        was_in
    }
}

/// A line for a person.
pub fn line(record: &Record) -> String {
    format!("{:>6}.{:06} {:5} {}", record.us / 1_000_000, record.us % 1_000_000, name_of(record.level), record.text)
}

/// A line for a program.
pub fn json(record: &Record) -> Result<String> {
    Ok(serde_json::to_string(record)?)
}

/// Lines with a bar for each record that says how long something took, from when it began.
pub fn timeline(records: &[Record]) -> Vec<String> {
    let begins = |record: &Record| record.us.saturating_sub(record.took_us.unwrap_or(0));
    let Some(start) = records.iter().map(begins).min() else { return Vec::new() };
    let all = records.iter().map(|record| record.us - start).max().unwrap_or(0).max(1);
    let column = |us: u64| ((us - start) * COLUMNS / all) as usize;
    let mut lines = Vec::new();
    for record in records {
        let (from, to) = (column(begins(record)), column(record.us));
        let bar = match record.took_us {
            Some(_) => "█".repeat((to - from).max(1)),
            None => "·".into(),
        };
        let at = (begins(record) - start) as f64 / 1000.0;
        let rest = " ".repeat((COLUMNS as usize + 1).saturating_sub(from + bar.chars().count()));
        lines.push(format!("{at:>9.3} ms {}{bar}{rest} {}", " ".repeat(from), record.text));
    }
    lines
}

#[cfg(test)]
mod tests {
    use nanova_core::platform::Level;

    use super::*;
    use crate::options;

    fn record(us: u64, level: Level, text: &str, took_us: Option<u64>) -> Record {
        Record { us, level, text: text.into(), took_us }
    }

    fn some() -> Vec<Record> {
        vec![
            record(1_000_000, Level::Info, "nanova 1.0.0 begins, process 7", None),
            record(2_000_000, Level::Debug, "Read data/host/a: 50 us", Some(50)),
            record(2_000_010, Level::Info, "request a", None),
            record(2_000_100, Level::Info, "command version completed: 0", None),
            record(2_000_200, Level::Debug, "Rm data/host/a: 100 us", Some(100)),
            record(3_000_000, Level::Warn, "something is odd", None),
        ]
    }

    fn kept(line: &str) -> Vec<String> {
        let options = options::parse(line.split_whitespace().map(Into::into)).unwrap();
        let mut filter = Filter::new(&options);
        some().into_iter().filter(|record| filter.wants(record)).map(|record| record.text).collect()
    }

    #[test]
    fn records_are_kept_by_level_request_and_time() {
        assert_eq!(kept("").len(), 6);
        assert_eq!(kept("--level warn"), ["something is odd"]);
        assert_eq!(kept("--level info").len(), 4);
        let request =
            ["Read data/host/a: 50 us", "request a", "command version completed: 0", "Rm data/host/a: 100 us"];
        assert_eq!(kept("--request a"), request);
        assert_eq!(kept("--since 2.0001 --until 2.9"), ["command version completed: 0", "Rm data/host/a: 100 us"]);
        assert!(options::parse(["--level", "loud"].map(Into::into)).is_err());
    }

    #[test]
    fn a_record_is_a_line_for_a_person_and_an_object_for_a_program() {
        let record = &some()[1];
        assert_eq!(line(record), "     2.000000 debug Read data/host/a: 50 us");
        assert_eq!(
            json(record).unwrap(),
            r#"{"us":2000000,"level":"debug","text":"Read data/host/a: 50 us","took_us":50}"#
        );
    }

    #[test]
    fn a_timeline_has_a_bar_as_long_as_it_took() {
        let lines = timeline(&some()[1..5]);
        assert_eq!(lines.len(), 4);
        let bar = |line: &str| line.chars().filter(|c| *c == '█').count();
        assert_eq!(lines.iter().map(|line| bar(line)).collect::<Vec<_>>(), [12, 0, 0, 24]);
        assert!(lines[0].starts_with("    0.000 ms █") && lines[3].ends_with("Rm data/host/a: 100 us"), "{lines:#?}");
        assert!(timeline(&[]).is_empty());
    }
}
