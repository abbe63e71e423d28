//! Readiness: to the service manager as sd_notify(3) has it, and to the host in `data/nanova/state`.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use nanova_tests::agent::{Agent, PATIENCE, binary};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::scene::wait_until;
use nanova_tests::xenstored::{Options, Xenstored};

fn receive(manager: &UnixDatagram) -> Result<String> {
    let mut room = [0; 512];
    let len = manager.recv(&mut room)?;
    Ok(String::from_utf8(room[..len].to_vec())?)
}

#[test]
fn ready_is_said_when_what_waited_is_served() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let (home, mut host) = (xenstored.home(), xenstored.host());
    let (root, directory) = (GuestRoot::new()?, tempfile::tempdir()?);
    host.write(&format!("{home}/vm-data/networking/020000000001"), "nonsense")?;
    host.write(&format!("{home}/data/host/1"), r#"{"name":"resetnetwork"}"#)?;
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path)?;
    manager.set_read_timeout(Some(PATIENCE))?;
    let mut command = Command::new(binary());
    command.args(["agent", "--network", "files", "--no-metrics", "--xenbus"]).arg(xenstored.guest_socket());
    command.arg("--root").arg(root.path()).env("NOTIFY_SOCKET", &path);
    let _agent = Agent::spawn(command);
    let said = receive(&manager)?;
    assert!(said.starts_with("READY=1\nSTATUS=failed: left out: vm-data/networking/020000000001"), "{said}");
    let get = |key: &str| xenstored.host().get(&format!("{home}/data/nanova/{key}")).ok().flatten().unwrap_or_default();
    wait_until("the host sees it", || get("state").starts_with("failed: left out: vm-data/networking/020000000001"));
    assert_eq!(get("version"), env!("CARGO_PKG_VERSION"));
    // What was wrong is put right.
    host.rm(&format!("{home}/vm-data/networking/020000000001"))?;
    host.write(&format!("{home}/data/host/2"), r#"{"name":"resetnetwork"}"#)?;
    assert_eq!(receive(&manager)?, "READY=1\nSTATUS=ready");
    wait_until("the host sees it", || get("state") == "ready");
    Ok(())
}

#[test]
fn signs_of_life_come_in_time_and_only_where_they_are_asked_for() -> Result<()> {
    use std::os::linux::net::SocketAddrExt;
    let xenstored = Xenstored::start(Options::default())?;
    let root = GuestRoot::new()?;
    for (pid, alive) in [(None, true), (Some("1"), false)] {
        let name = format!("nanova-{}-{alive}", std::process::id());
        let manager = UnixDatagram::bind_addr(&std::os::unix::net::SocketAddr::from_abstract_name(&name)?)?;
        manager.set_read_timeout(Some(Duration::from_secs(3)))?;
        let mut command = Command::new(binary());
        command
            .args(["agent", "--no-metrics", "--xenbus"])
            .arg(xenstored.guest_socket())
            .arg("--root")
            .arg(root.path());
        command.env("NOTIFY_SOCKET", format!("@{name}")).env("WATCHDOG_USEC", "400000");
        command.envs(pid.map(|pid| ("WATCHDOG_PID", pid)));
        let _agent = Agent::spawn(command);
        assert_eq!(receive(&manager)?, "READY=1\nSTATUS=ready");
        for _ in 0..5 {
            assert_eq!(receive(&manager).is_ok_and(|said| said == "WATCHDOG=1"), alive);
            if !alive {
                break;
            }
        }
    }
    Ok(())
}
