//! Processors that wait for somebody to set them online: at the first start of a boot, and not at a later one.

use std::fs;

use anyhow::Result;
use nanova_tests::agent::Agent;
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::scene::wait_until;
use nanova_tests::xenstored::{Options, Xenstored};
use rustix::process::Signal;

#[test]
fn a_processor_that_an_administrator_sets_offline_stays_so() -> Result<()> {
    let (xenstored, root) = (Xenstored::start(Options::default())?, GuestRoot::new()?);
    let (waits, timeout) = (root.join("sys/devices/system/cpu/cpu1/online"), root.join("sys/power/pm_freeze_timeout"));
    for (path, value) in [(&waits, "0\n"), (&timeout, "20000\n")] {
        fs::create_dir_all(path.parent().expect("a directory"))?;
        fs::write(path, value)?;
    }
    fs::create_dir_all(root.join("run"))?;
    let mut agent = Agent::on(&xenstored.guest_socket(), root.path());
    wait_until("it is online", || fs::read_to_string(&waits).is_ok_and(|state| state.starts_with('1')));
    assert_eq!(fs::read_to_string(&timeout)?.trim(), "300000");
    agent.signal(Signal::TERM);
    assert!(agent.wait().success());
    // Somebody has his reasons.
    fs::write(&waits, "0\n")?;
    fs::write(&timeout, "60000\n")?;
    let agent = Agent::on(&xenstored.guest_socket(), root.path());
    agent.wait_for_log("published what the guest is");
    drop(agent);
    assert_eq!(fs::read_to_string(&waits)?, "0\n");
    assert_eq!(fs::read_to_string(&timeout)?, "60000\n");
    Ok(())
}
