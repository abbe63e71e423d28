//! The log's other places than standard error: a file of root's own, and the syslog daemon.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use anyhow::Result;
use nanova_tests::agent::{Agent, PATIENCE, binary};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::scene::wait_until;
use nanova_tests::xenstored::{Options, Xenstored};
use rustix::process::Signal;

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
