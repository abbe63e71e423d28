//! The wire between the build machine and dom0's first process: one script there, its outcome back.
//!
//! Guarantees: a reply belongs to the script just sent; waiting ends, with an error, some seconds after the time the
//! script was given. Refuses to go on after such an error: every later call fails at once.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// What dom0 needs beyond a script's own time, under emulation.
const SLACK: Duration = Duration::from_secs(20);

/// What a script did.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its exit status; 137 when it ran out of time.
    pub status: i32,
    /// dom0's uptime when it ended.
    pub uptime: Duration,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: Vec<u8>,
}

/// The open wire.
#[derive(Debug)]
pub struct Channel {
    stream: BufReader<UnixStream>,
    broken: bool,
}

impl Channel {
    /// Speaks first and waits for dom0's first answer, at most `patience`.
    pub fn open(stream: UnixStream, patience: Duration) -> Result<Channel> {
        let mut channel = Channel { stream: BufReader::new(stream), broken: false };
        channel.run("true", patience)?;
        Ok(channel)
    }

    /// Runs a script in dom0, for at most `limit`.
    pub fn run(&mut self, script: &str, limit: Duration) -> Result<Reply> {
        ensure!(!self.broken, "dom0 stopped answering earlier");
        self.broken = true;
        self.stream.get_ref().set_read_timeout(Some(limit + SLACK))?;
        let seconds = limit.as_secs().max(1);
        let message = format!("{} {seconds}\n{script}", script.len());
        self.stream.get_mut().write_all(message.as_bytes()).context("dom0 is gone")?;
        let reply = self.receive().context("dom0 did not answer")?;
        self.broken = false;
        Ok(reply)
    }

    fn receive(&mut self) -> Result<Reply> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let fields: Vec<_> = line.split_whitespace().collect();
        let &[status, uptime, stdout, stderr] = fields.as_slice() else {
            bail!("instead of an answer there came {line:?}");
        };
        let mut reply = Reply {
            status: status.parse()?,
            uptime: Duration::try_from_secs_f64(uptime.parse()?)?,
            stdout: vec![0; stdout.parse()?],
            stderr: vec![0; stderr.parse()?],
        };
        self.stream.read_exact(&mut reply.stdout)?;
        self.stream.read_exact(&mut reply.stderr)?;
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_carries_status_time_and_both_outputs() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"0 5.25 0 0\n7 6.50 3 4\nout\nerr").unwrap();
        let mut channel = Channel::open(ours, Duration::from_secs(9)).unwrap();
        let reply = channel.run("exit 7", Duration::from_secs(1)).unwrap();
        assert_eq!((reply.status, &reply.stdout[..], &reply.stderr[..]), (7, &b"out"[..], &b"\nerr"[..]));
        assert_eq!(reply.uptime, Duration::from_millis(6500));
        let mut sent = [0; 18];
        theirs.read_exact(&mut sent).unwrap();
        assert_eq!(&sent, b"4 9\ntrue6 1\nexit 7");
    }

    #[test]
    fn after_a_lost_reply_nothing_more_is_sent() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"0 1.0 0 0\nnonsense\n").unwrap();
        let mut channel = Channel::open(ours, SLACK).unwrap();
        assert!(channel.run("true", SLACK).is_err());
        let again = channel.run("true", SLACK).unwrap_err().to_string();
        assert!(again.contains("earlier"), "{again}");
    }
}
