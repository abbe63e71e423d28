//! The log's other places than standard error: a file of root's own, and the syslog daemon; and readers that have
//! stopped reading.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use nanova_tests::agent::{Agent, PATIENCE, binary};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::scene::wait_until;
use nanova_tests::xenstored::{Options, Quotas, Xenstored};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Action, tcflow};

#[test]
fn a_file_is_for_its_owner_alone_and_begun_anew_after_it_was_rotated() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let (root, directory) = (GuestRoot::new()?, tempfile::tempdir()?);
    let (log, old) = (directory.path().join("nova-agent.log"), directory.path().join("nova-agent.log.1"));
    let mut command = Command::new(binary());
    command.args(["agent", "--xenbus"]).arg(xenstored.guest_socket()).arg("--root").arg(root.path());
    let agent = Agent::spawn({
        command.arg("--logfile").arg(&log);
        command
    });
    wait_until("it serves", || fs::read_to_string(&log).is_ok_and(|text| text.contains("serving data/host")));
    assert_eq!(fs::metadata(&log)?.mode() & 0o7777, 0o600);
    fs::rename(&log, &old)?;
    agent.signal(Signal::HUP);
    wait_until("there is a new one", || fs::read_to_string(&log).is_ok_and(|text| text.contains("log reopened")));
    assert_eq!(fs::metadata(&log)?.mode() & 0o7777, 0o600);
    assert!(!fs::read_to_string(&old)?.contains("log reopened"));
    assert_eq!(agent.log(), "");
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn syslog_gets_a_datagram_a_line_and_standard_error_what_syslog_does_not() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let (root, directory) = (GuestRoot::new()?, tempfile::tempdir()?);
    let path = directory.path().join("log");
    let daemon = UnixDatagram::bind(&path)?;
    daemon.set_read_timeout(Some(PATIENCE))?;
    let script = format!(
        "mount -t tmpfs tmpfs /dev; touch /dev/log; mount --bind {} /dev/log
         exec {} agent --logfile syslog --no-metrics --xenbus {} --root {}",
        path.display(),
        binary().display(),
        xenstored.guest_socket().display(),
        root.path().display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", &script]);
    let agent = Agent::spawn(command);
    let receive = || -> Result<String> {
        let mut room = [0; 1024];
        let len = daemon.recv(&mut room)?;
        Ok(String::from_utf8(room[..len].to_vec())?)
    };
    // daemon.info and daemon.warning (RFC 3164, 4.1.1).
    let (information, warning) = (format!("<30>nanova[{}]: ", agent.pid()), format!("<28>nanova[{}]: ", agent.pid()));
    assert_eq!(receive()?, format!("{information}nanova {} starting", env!("CARGO_PKG_VERSION")));
    assert!(receive()?.starts_with(&format!("{information}serving data/host over ")));
    let mut host = Host::of(&xenstored)?;
    assert_eq!(host.ask("nothing", "")?.code, "404");
    assert!(receive()?.starts_with(&format!("{information}Received command 'nothing'")));
    assert!(receive()?.starts_with(&format!("{warning}'nothing' completed with code '404'")));
    assert_eq!(agent.log(), "");
    drop(daemon);
    assert_eq!(host.ask("nothing", "")?.code, "404");
    agent.wait_for_log("[WARNING] 'nothing' completed with code '404'");
    Ok(())
}

/// An agent whose standard error is this; killed at the end.
struct Unread {
    child: Child,
    host: Host,
    _root: GuestRoot,
    _xenstored: Xenstored,
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Unread {
    fn new(stderr: OwnedFd) -> Result<Unread> {
        // Room for many answers, none of which has to wait for another one's.
        let quotas = Quotas { node_size: 1 << 20, ..Quotas::default() };
        let xenstored = Xenstored::start(Options { quotas, ..Options::default() })?;
        let root = GuestRoot::new()?;
        let mut command = Command::new(binary());
        command.args(["agent", "--no-metrics", "--xenbus"]).arg(xenstored.guest_socket());
        let child = command.arg("--root").arg(root.path()).stdin(Stdio::null()).stderr(stderr).spawn()?;
        Ok(Unread { child, host: Host::of(&xenstored)?, _root: root, _xenstored: xenstored })
    }

    /// Has it log so many pairs of lines of a hundred bytes and more; every request is answered.
    fn log_much(&mut self, requests: u32) -> Result<()> {
        for _ in 0..requests {
            assert_eq!(self.host.ask("x".repeat(100).as_str(), "")?.code, "404");
        }
        Ok(())
    }

    /// It ends when it is told to, whoever reads.
    fn ends(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let end = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            assert!(Instant::now() < end, "SIGTERM does not end it");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(self.child.wait()?.code(), Some(0));
        Ok(())
    }
}

/// What there is to be read now.
fn drained(reader: &mut File) -> Result<String> {
    fcntl_setfl(&*reader, OFlags::NONBLOCK)?;
    let (mut text, mut room) = (Vec::new(), [0; 4096]);
    while let Ok(len @ 1..) = reader.read(&mut room) {
        text.extend_from_slice(&room[..len]);
    }
    Ok(String::from_utf8_lossy(&text).replace('\r', ""))
}

/// How many lines are said to be lost, once; whole lines stand around it.
fn lost(text: &str) -> Result<u32> {
    let says: Vec<_> = text.lines().filter(|line| line.contains(" lines lost: nobody read the log")).collect();
    let [says] = says[..] else { anyhow::bail!("{text}") };
    let (_, says) = says.split_once(" [WARNING] ").context("a line of the log's own form")?;
    Ok(says.split(' ').next().context("a number")?.parse()?)
}

#[test]
fn a_pipe_that_nobody_empties_stops_nothing() -> Result<()> {
    let (reader, writer) = std::io::pipe()?;
    let mut reader = File::from(OwnedFd::from(reader));
    // The kernel's usual 64 KiB take some 300 of these lines.
    let mut agent = Unread::new(writer.try_clone()?.into())?;
    agent.log_much(200)?;
    let first = drained(&mut reader)?;
    assert!(first.contains("starting\n") && !first.contains("lines lost"), "{first}");
    assert!(first.ends_with('\n') && first.lines().all(|line| line.contains('[')), "{first}");
    agent.log_much(1)?;
    let then = drained(&mut reader)?;
    let lines = u32::try_from(first.lines().count())?;
    // Two at the start, and two a request.
    assert_eq!(lost(&then)? + lines, 2 + 2 * 200, "{then}");
    assert_eq!(then.lines().count(), 3, "{then}");
    // It is no business of the others who write to this pipe.
    assert!(!fcntl_getfl(&writer)?.contains(OFlags::NONBLOCK));
    agent.log_much(200)?;
    agent.ends()
}

/// A terminal: its master, and what programs are given.
fn terminal() -> Result<(File, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = PathBuf::from(ptsname(&master, Vec::new())?.into_string()?);
    let slave = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    Ok((File::from(master), slave))
}

#[test]
fn a_terminal_that_was_stopped_or_whose_window_hangs_stops_nothing() -> Result<()> {
    let (mut master, slave) = terminal()?;
    let mut agent = Unread::new(slave.try_clone()?)?;
    agent.log_much(1)?;
    assert_eq!(drained(&mut master)?.lines().count(), 4);
    tcflow(&slave, Action::OOff)?;
    agent.log_much(5)?;
    assert_eq!(drained(&mut master)?, "");
    tcflow(&slave, Action::OOn)?;
    agent.log_much(1)?;
    let text = drained(&mut master)?;
    assert_eq!((lost(&text)?, text.lines().count()), (10, 3), "{text}");
    // Nobody takes what the terminal has: it has room for a part of a line at last.
    agent.log_much(200)?;
    let mut text = drained(&mut master)?;
    agent.log_much(1)?;
    text += &drained(&mut master)?;
    // The kernel makes room when it comes to it: once, or now and then.
    let told: Vec<&str> = text.lines().filter(|line| line.contains(" lines lost: ")).collect();
    let lost = told.iter().map(|line| lost(line)).sum::<Result<u32>>()?;
    let shown = text.lines().filter(|line| line.contains(&"x".repeat(100))).count();
    assert!(lost > 100, "{text}");
    // A line of which a part found room at last is lost.
    assert!((402..=402 + told.len()).contains(&(usize::try_from(lost)? + shown)), "{text}");
    assert!(!fcntl_getfl(&slave)?.contains(OFlags::NONBLOCK));
    agent.log_much(200)?;
    agent.ends()
}
