//! What a guest said: its console's log, with the kernel's time stamps, and the observer's answers in it.
//!
//! Guarantees: an answer of the observer is given only when all of it arrived as it was sent (its length is checked);
//! kernel messages that land in the middle of it make it incomplete, never wrong. Refuses nothing: a log that is not
//! there yet is an empty one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64ct::{Base64, Encoding};

/// How often the log is looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// The log of one guest, over all its boots.
#[derive(Clone, Debug)]
pub struct Console {
    log: PathBuf,
    /// Where the present boot begins.
    boot: usize,
}

/// The observer's answer to one script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The script's exit status.
    pub status: i32,
    /// What it printed, on either stream.
    pub output: Vec<u8>,
}

impl Console {
    /// The log xenconsoled keeps for a domain of this name, from now on.
    pub fn of(out: &Path, domain: &str) -> Console {
        let mut console = Console { log: out.join(format!("console/guest-{domain}.log")), boot: 0 };
        console.next_boot();
        console
    }

    /// Forgets what was said so far: a new boot begins.
    pub fn next_boot(&mut self) {
        self.boot = fs::metadata(&self.log).map_or(0, |meta| meta.len() as usize);
    }

    /// Everything said since the boot began.
    pub fn text(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.boot..).unwrap_or_default()).into_owned()
    }

    /// What `find` finds in the log, now or until so much time has passed.
    pub fn wait<T>(&self, limit: Duration, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let (start, mut length) = (Instant::now(), None);
        loop {
            // Only when there is more of it: reading takes time from what is waited for.
            let now = fs::metadata(&self.log).map_or(0, |meta| meta.len());
            if length.replace(now) != Some(now)
                && let Some(found) = find(&self.text())
            {
                return Some(found);
            }
            if start.elapsed() > limit {
                return None;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The end of the log, without the observer's answers.
    pub fn tail(&self, count: usize) -> String {
        let text = self.text();
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('@')).collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

/// What the kernel says when it starts PID 1.
const INIT: &str = "Run /init as init process";

/// The kernel's time stamp of PID 1's start, and of the later message that is the `count`th to contain `part`.
///
/// "[    0.812345] Run /init as init process" was said 812 ms after the kernel started.
pub fn stamps(text: &str, part: &str, count: usize) -> Option<(Duration, Duration)> {
    let mut lines = text.lines().skip_while(|line| !line.contains(INIT));
    let init = stamp(lines.next()?)?;
    let found = lines.filter(|line| line.contains(part)).nth(count.checked_sub(1)?)?;
    Some((init, stamp(found)?))
}

fn stamp(line: &str) -> Option<Duration> {
    let seconds = line.split_once('[')?.1.split_once(']')?.0.trim();
    Duration::try_from_secs_f64(seconds.parse().ok()?).ok()
}

/// The answer to script `number`, whole, in one of the tries up to `last`; an error when that of the last came damaged.
pub fn observation(text: &str, number: u32, last: u32) -> Option<Result<Observation>> {
    let mut answers = (0..=last).rev().map(|attempt| one_observation(text, number, attempt));
    match answers.next()? {
        Some(Ok(seen)) => Some(Ok(seen)),
        latest => answers.flatten().find(Result::is_ok).or(latest),
    }
}

fn one_observation(text: &str, number: u32, attempt: u32) -> Option<Result<Observation>> {
    let (prefix, end) = (format!("@{number}.{attempt} "), format!("@{number}.{attempt}. "));
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    let (status, length) = lines.iter().rev().find_map(|line| line.strip_prefix(&end))?.split_once(' ')?;
    let body: String = lines.iter().filter_map(|line| line.strip_prefix(&prefix)).collect();
    let whole = || {
        let (status, length): (i32, usize) = (status.parse()?, length.parse()?);
        let output = Base64::decode_vec(&body).ok().filter(|output| output.len() == length);
        Ok(Observation { status, output: output.context("the observer's answer was torn by other console output")? })
    };
    Some(whole())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "[    0.500000] xenbus early\r\n[    0.812345] Run /init as init process\r\nxenbus unstamped\r\n\
        @3.0 aGVsbG8g\r\n[    5.5] xenbus is open\r\n@3.0 d29ybGQ=\r\n@3.0. 1 11\r\n@4.0 aGVs[  6.0] x\r\n@4.0. 0 5\r\n\
        @5.0 aGVs\r\n@5.1 aGVs\r\n@5.1. 0 3\r\n@6.0. 0 3[   7.0] x\r\n";

    #[test]
    fn stamps_are_those_of_the_kernel_after_pid_1_started() {
        let (init, open) = stamps(LOG, "xenbus", 2).unwrap();
        assert_eq!((init, open), (Duration::from_micros(812_345), Duration::from_millis(5500)));
        assert_eq!(stamps(LOG, "early", 1), None);
        assert_eq!(stamps("[ 1.0] no such start", "no", 1), None);
    }

    #[test]
    fn an_answer_is_whole_or_an_error_or_not_there_yet() {
        let whole = observation(LOG, 3, 0).unwrap().unwrap();
        assert_eq!(whole, Observation { status: 1, output: b"hello world".to_vec() });
        assert!(observation(LOG, 4, 0).unwrap().is_err());
        assert!(observation(LOG, 5, 0).is_none());
        assert_eq!(observation(LOG, 5, 1).unwrap().unwrap().output, b"hel");
        assert_eq!(observation(LOG, 5, 2).unwrap().unwrap().output, b"hel");
        assert!(observation(LOG, 6, 0).unwrap().is_err());
    }
}
