//! The main job, end to end: the real binary, a host that encrypts with the real openssl, the C library's crypt(3).

use anyhow::Result;
use nanova_tests::agent::Agent;
use nanova_tests::guest_root::{GuestRoot, SHADOW};
use nanova_tests::host::Host;
use nanova_tests::nova::{Digest, crypt};
use nanova_tests::xenstored::{Kernel, Options, Xenstored};

fn over_a_socket() -> Result<(Xenstored, GuestRoot, Agent, Host)> {
    let xenstored = Xenstored::start(Options::default())?;
    let root = GuestRoot::new()?;
    let agent = Agent::on(&xenstored.guest_socket(), root.path());
    let host = Host::of(&xenstored)?;
    Ok((xenstored, root, agent, host))
}

/// root's field is what crypt(3) makes of the password, today's day is beside it, and nothing else has changed.
fn assert_password(root: &GuestRoot, password: &str) -> Result<()> {
    let fields = root.shadow_of_root();
    assert!(fields[1].starts_with("$6$"), "{}", fields[1]);
    assert_eq!(crypt(password, &fields[1])?, fields[1]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    assert!((now / 86400).abs_diff(fields[2].parse()?) <= 1, "{}", fields[2]);
    let before: Vec<_> = SHADOW.lines().collect();
    let after = root.text("/etc/shadow");
    let after: Vec<_> = after.lines().collect();
    assert_eq!(after[1..], before[1..]);
    assert_eq!(fields[3..], ["0", "99999", "7", "", "", ""]);
    Ok(())
}

#[test]
fn version_and_features_say_what_is_there() -> Result<()> {
    let (_xenstored, _root, _agent, mut host) = over_a_socket()?;
    for argument in ["agent", "xentools", "updater", ""] {
        assert_eq!(host.ask("version", argument)?.ok()?, env!("CARGO_PKG_VERSION"));
    }
    let features = host.ask("features", "")?.ok()?;
    assert_eq!(
        features,
        "version,features,keyinit,password,resetnetwork,injectfile,file_inject,file_inject_parts,agentupdate,sealed"
    );
    Ok(())
}

#[test]
fn a_password_is_set_whatever_openssl_the_host_has() -> Result<()> {
    let (_xenstored, root, _agent, mut host) = over_a_socket()?;
    for (digest, password) in [(Digest::Md5, "old and simple"), (Digest::Sha256, "new: pässwörd ☃ with colons: yes")]
    {
        assert_eq!(host.set_password(password, digest)?.ok()?, "");
        assert_password(&root, password)?;
        assert_eq!(root.mode("/etc/shadow"), 0o640);
    }
    Ok(())
}

#[test]
fn the_same_over_linuxs_device_and_on_a_kernel_with_foreign_ids() -> Result<()> {
    for kernel in [Kernel::default(), Kernel { foreign_req_id: true, zero_watch_ack: true }] {
        let xenstored = Xenstored::start(Options::default())?;
        let device = xenstored.guest_device(kernel)?;
        let root = GuestRoot::new()?;
        let agent = Agent::on(device.path(), root.path());
        let mut host = Host::of(&xenstored)?;
        assert_eq!(host.ask("version", "agent")?.ok()?, env!("CARGO_PKG_VERSION"));
        host.set_password("over the device", Digest::Sha256)?.ok()?;
        assert_password(&root, "over the device")?;
        drop(agent);
        assert_eq!(device.violations(), Vec::<String>::new());
    }
    Ok(())
}
