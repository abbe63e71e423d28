//! The wire between the build machine and dom0's first process: one script there, its outcome back.
//!
//! Guarantees: a reply belongs to the script just sent, whatever became of earlier ones: scripts and replies carry a
//! number, and a reply that comes after its script was given up is passed over, also when a part of it had been read
//! before. Refuses to go on when the wire is closed, or carries what is no reply: every later call fails at once.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How much longer than the script may run its reply is waited for. dom0 itself ends a script in time; this is for a
/// machine that is short of processors.
const SLACK: Duration = Duration::from_secs(120);

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
    stream: UnixStream,
    /// What has come and is not taken apart yet.
    received: Vec<u8>,
    /// The number of the script that was sent last.
    sent: u64,
    broken: bool,
}

impl Channel {
    /// Speaks first and waits for dom0's first answer, at most `patience`.
    pub fn open(stream: UnixStream, patience: Duration) -> Result<Channel> {
        let mut channel = Channel { stream, received: Vec::new(), sent: 0, broken: false };
        channel.run("true", patience)?;
        Ok(channel)
    }

    /// Runs a script in dom0, for at most `limit`.
    pub fn run(&mut self, script: &str, limit: Duration) -> Result<Reply> {
        ensure!(!self.broken, "the channel to dom0 broke earlier");
        // Until it is known to be sound again: a script that was sent in part would take the next one for its rest.
        self.broken = true;
        self.sent += 1;
        let message = format!("{} {} {}\n{script}", self.sent, script.len(), limit.as_secs().max(1));
        self.stream.set_write_timeout(Some(limit + SLACK))?;
        self.stream.write_all(message.as_bytes()).context("dom0 is gone")?;
        let deadline = Instant::now() + limit + SLACK;
        loop {
            while let Some((number, reply)) = take(&mut self.received).context("the channel to dom0 is torn")? {
                if number == self.sent {
                    self.broken = false;
                    return Ok(reply);
                }
            }
            if !self.receive(deadline).context("dom0 is gone")? {
                self.broken = false;
                bail!("dom0 did not answer within {} s", (limit + SLACK).as_secs());
            }
        }
    }

    /// Waits for more; false when there was none before the deadline.
    fn receive(&mut self, deadline: Instant) -> Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => bail!("it closed the channel"),
            Ok(count) => self.received.extend(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }
}

/// Takes the first reply off what came, once it is whole, and the number of its script.
fn take(received: &mut Vec<u8>) -> Result<Option<(u64, Reply)>> {
    let Some(end) = received.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let line = String::from_utf8_lossy(&received[..end]);
    let fields: Vec<_> = line.split_whitespace().collect();
    let &[number, status, uptime, stdout, stderr] = fields.as_slice() else {
        bail!("instead of a reply there came {line:?}");
    };
    let (stdout, stderr): (usize, usize) = (stdout.parse()?, stderr.parse()?);
    let (number, status) = (number.parse()?, status.parse()?);
    let uptime = Duration::try_from_secs_f64(uptime.parse()?)?;
    if received.len() < end + 1 + stdout + stderr {
        return Ok(None);
    }
    received.drain(..=end);
    let stdout = received.drain(..stdout).collect();
    let stderr = received.drain(..stderr).collect();
    Ok(Some((number, Reply { status, uptime, stdout, stderr })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(first: &[u8]) -> (Channel, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(first).unwrap();
        (Channel::open(ours, Duration::from_secs(9)).unwrap(), theirs)
    }

    #[test]
    fn a_reply_carries_status_time_and_both_outputs() {
        let (mut channel, mut theirs) = open(b"1 0 5.25 0 0\n2 7 6.50 3 4\nout\nerr");
        let reply = channel.run("exit 7", Duration::from_secs(1)).unwrap();
        assert_eq!((reply.status, &reply.stdout[..], &reply.stderr[..]), (7, &b"out"[..], &b"\nerr"[..]));
        assert_eq!(reply.uptime, Duration::from_millis(6500));
        let mut sent = [0; 22];
        theirs.read_exact(&mut sent).unwrap();
        assert_eq!(&sent, b"1 4 9\ntrue2 6 1\nexit 7");
    }

    #[test]
    fn a_late_reply_is_not_the_next_ones() {
        let (mut channel, mut theirs) = open(b"1 0 1.0 0 0\n2 0 2.0 4 0\nla");
        // The second script is given up in the middle of its reply.
        assert!(!channel.receive(Instant::now()).unwrap());
        channel.sent += 1;
        theirs.write_all(b"te3 0 3.0 3 0\nnow").unwrap();
        assert_eq!(channel.run("third", SLACK).unwrap().stdout, b"now");
    }

    #[test]
    fn after_nonsense_nothing_more_is_sent() {
        let (mut channel, _theirs) = open(b"1 0 1.0 0 0\nnonsense\n");
        assert!(channel.run("true", SLACK).is_err());
        let again = channel.run("true", SLACK).unwrap_err().to_string();
        assert!(again.contains("earlier"), "{again}");
    }
}
