//! Where the guest has SELinux its own restorecon is run on what is new, and on nothing else; nothing waits for it.
//!
//! The kernel that runs the tests may have no SELinux. What a guest's has to say that it does is made in a mount
//! namespace; such a kernel stores labels that somebody else sets as it stores any attribute of that name.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use nanova_tests::agent::{Agent, binary};
use nanova_tests::host::Host;
use nanova_tests::nova::uuid;
use nanova_tests::scene::{path_and_contents, wait_until};
use nanova_tests::xenstored::{Options, Xenstored};
use rustix::fs::{XattrFlags, getxattr, setxattr};
use serde_json::json;
use tempfile::TempDir;

/// Shell: a kernel with SELinux.
const SELINUX: &str = "mount -t tmpfs none /sys/fs; mkdir /sys/fs/selinux; mount -t tmpfs none /sys/fs/selinux
    echo 0 >/sys/fs/selinux/enforce; >/sys/fs/selinux/context";
/// In restorecon's place: notes how it was called, and ends when it may, with the status that it finds.
const STAND_IN: &str = r#"#!/bin/sh
echo "$@" >>/run/called
while [ -e /run/wait ]; do sleep 0.02; done
exit $(cat /run/status)"#;
/// The real program, which is told that its kernel has SELinux, and of no file system that keeps no labels.
const REAL: &str = r#"#!/bin/sh
exec strace -qq -o /dev/null -P /sys/fs/selinux -P /proc/mounts -e inject=openat:error=ENOENT \
    -e inject=statfs:retval=0:poke_exit=@arg2=8cff7cf900000000 /run/real/restorecon "$@""#;
/// The attribute that is a file's label.
const LABEL: &str = "security.selinux";

/// A guest whose /etc, /root, /run and /usr/sbin are directories of the test's own.
struct Guest {
    xenstored: Xenstored,
    directory: TempDir,
}

impl Guest {
    fn new(restorecon: &str) -> Result<Guest> {
        let guest = Guest { xenstored: Xenstored::start(Options::default())?, directory: tempfile::tempdir()? };
        ["etc", "root", "run", "sbin"].iter().try_for_each(|name| fs::create_dir(guest.path(name)))?;
        fs::write(guest.path("sbin/restorecon"), restorecon)?;
        fs::set_permissions(guest.path("sbin/restorecon"), Permissions::from_mode(0o755))?;
        fs::write(guest.path("run/status"), "0")?;
        // It may lie below /root.
        fs::copy(binary(), guest.path("run/nanova"))?;
        Ok(guest)
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join(path)
    }

    /// A shell there that does this first, and then becomes nanova.
    fn command(&self, first: &str, nanova: &str) -> Command {
        let (directory, xenbus) = (self.directory.path().display(), self.xenstored.guest_socket());
        let script = format!(
            "{first}\nfor name in etc root run; do mount --bind {directory}/$name /$name; done
            mount --bind {directory}/sbin /usr/sbin
            exec /run/nanova {nanova} --xenbus {}",
            xenbus.display()
        );
        let mut command = Command::new("unshare");
        command.args(["--net", "--uts", "--mount", "sh", "-ec", &script]);
        command
    }

    fn start(&self, first: &str) -> Result<(Agent, Host)> {
        let agent = Agent::spawn(self.command(first, "agent --no-metrics"));
        agent.wait_until_serving();
        Ok((agent, Host::of(&self.xenstored)?))
    }

    /// How the stand-in was called.
    fn called(&self) -> String {
        fs::read_to_string(self.path("run/called")).unwrap_or_default()
    }

    fn wait_until_called(&self, words: &str) {
        wait_until(words, || self.called() == words);
    }

    fn label(&self, path: &str) -> String {
        let mut label = [0; 256];
        let len = getxattr(self.path(path), LABEL, &mut label[..]).unwrap_or_default();
        String::from_utf8_lossy(&label[..len]).trim_end_matches('\0').to_owned()
    }
}

fn inject(host: &mut Host, path: &str) -> Result<()> {
    let id = uuid()?;
    host.send(&id, json!({ "name": "injectfile", "value": path_and_contents(path, path) }).to_string())?;
    assert_eq!(host.wait_answer(&id)?.ok()?, "", "{path}");
    let answer = host.path(&format!("data/guest/{id}"));
    Ok(host.client().rm(&answer)?)
}

#[test]
#[ignore = "needs root"]
fn restorecon_is_run_on_what_is_new_and_on_nothing_else() -> Result<()> {
    let guest = Guest::new(STAND_IN)?;
    let (_agent, mut host) = guest.start(SELINUX)?;
    inject(&mut host, "/root/.ssh/authorized_keys")?;
    let mut called = "-i -- /root/.ssh /root/.ssh/authorized_keys\n".to_owned();
    guest.wait_until_called(&called);
    // One that was there, and keeps the label that it has; then one in a directory that was there.
    setxattr(guest.path("root/.ssh/authorized_keys"), LABEL, b"a label\0", XattrFlags::empty())?;
    host.ask("injectfile", path_and_contents("/root/.ssh/authorized_keys", "other"))?.ok()?;
    assert_eq!(guest.label("root/.ssh/authorized_keys"), "a label");
    inject(&mut host, "/root/a; $(b) 'c'")?;
    called += "-i -- /root/a; $(b) 'c'\n";
    guest.wait_until_called(&called);
    // A link is not followed: what takes its place is new.
    std::os::unix::fs::symlink("/nowhere", guest.path("root/link"))?;
    inject(&mut host, "/root/link")?;
    called += "-i -- /root/link\n";
    guest.wait_until_called(&called);
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn the_networks_new_files_are_labelled_whichever_program_writes_them() -> Result<()> {
    for nanova in ["network --network files --style ifcfg", "agent --network files --once"] {
        let guest = Guest::new(STAND_IN)?;
        for name in ["hostname", "resolv.conf"] {
            fs::write(guest.path("etc").join(name), "old\n")?;
        }
        let write = |path: &str, value: &str| {
            guest.xenstored.host().write(&format!("{}/{path}", guest.xenstored.home()), value)
        };
        write("vm-data/hostname", "web01")?;
        let interface = r#"{"label": "public", "mac": "BC:76:4E:04:CF:E5", "dns": ["9.9.9.9"],
            "ips": [{"ip": "10.0.0.2", "netmask": "255.255.255.0", "enabled": "1"}]}"#;
        write("vm-data/networking/BC764E04CFE5", interface)?;
        write("data/host/reset", r#"{"name":"resetnetwork","value":""}"#)?;
        let link = "ip link add eth0 address bc:76:4e:04:cf:e5 type veth peer name peer0";
        let Output { status, stderr, .. } = guest.command(&format!("{SELINUX}; {link}"), nanova).output()?;
        let said = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{said}");
        wait_until("restorecon is called", || guest.called().ends_with('\n'));
        // Which others there are depends on the network manager, which the agent looks for.
        let called: Vec<_> = guest.called().split_ascii_whitespace().map(str::to_owned).collect();
        assert!(called.starts_with(&["-i".to_owned(), "--".to_owned()]), "{called:?}");
        for (path, is_new) in [("hosts", true), ("hostname", false), ("resolv.conf", false)] {
            assert_eq!(called.contains(&format!("/etc/{path}")), is_new, "{called:?}");
        }
        for path in called.iter().filter(|path| path.starts_with('/')) {
            assert!(guest.path(path.trim_start_matches('/')).exists(), "{called:?}");
            assert!(said.contains(&format!("updating {path}\n")) || guest.path(&path[1..]).is_dir(), "{path}\n{said}");
        }
        println!("{}", guest.called());
    }
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn nothing_waits_for_it_and_what_it_cannot_do_is_said() -> Result<()> {
    let guest = Guest::new(STAND_IN)?;
    let (agent, mut host) = guest.start(SELINUX)?;
    fs::write(guest.path("run/wait"), "")?;
    inject(&mut host, "/root/first")?;
    wait_until("it is called", || guest.called() == "-i -- /root/first\n");
    // While it is under way others wait, as many as there is room for.
    let long = "x".repeat(200);
    let paths: Vec<String> = (0..10).map(|number| format!("/root/{number}-{long}")).collect();
    paths.iter().try_for_each(|path| inject(&mut host, path))?;
    assert_eq!(guest.called().lines().count(), 1);
    fs::write(guest.path("run/status"), "255")?;
    fs::remove_file(guest.path("run/wait"))?;
    let (waited, left_out) = paths.split_at(7);
    guest.wait_until_called(&format!("-i -- /root/first\n-i -- {}\n", waited.join(" ")));
    let said = |words: &str| agent.log().matches(words).count();
    for path in &paths {
        let line = format!("{path} has no label of its own: too many files are new; run restorecon on it");
        assert_eq!(said(&line), usize::from(left_out.contains(path)), "{}", agent.log());
    }
    let failed = "new files have no label of their own: restorecon failed, or is not there; run restorecon on them";
    wait_until("both failures are said", || said(failed) == 2);
    // Forty short ones, and one too many.
    fs::write(guest.path("run/wait"), "")?;
    (0..42).try_for_each(|number| inject(&mut host, &format!("/root/n{number}")))?;
    assert_eq!(said("too many files are new"), left_out.len() + 1);
    assert_eq!(said("/root/n41 has no label of its own"), 1);
    fs::write(guest.path("run/status"), "0")?;
    fs::remove_file(guest.path("run/wait"))?;
    wait_until("the others are labelled", || guest.called().contains("/root/n39 /root/n40\n"));
    // One that ends well after others that did not.
    assert_eq!(said(failed), 2);
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn told_to_end_it_has_the_last_files_labelled_first() -> Result<()> {
    let guest = Guest::new(STAND_IN)?;
    let (mut agent, mut host) = guest.start(SELINUX)?;
    fs::write(guest.path("run/wait"), "")?;
    inject(&mut host, "/root/first")?;
    inject(&mut host, "/root/second")?;
    agent.signal(rustix::process::Signal::TERM);
    thread::sleep(Duration::from_millis(500));
    fs::remove_file(guest.path("run/wait"))?;
    assert!(agent.wait().success());
    assert_eq!(guest.called(), "-i -- /root/first\n-i -- /root/second\n");
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn where_there_is_no_selinux_or_another_root_it_is_not_run() -> Result<()> {
    let guest = Guest::new(STAND_IN)?;
    for (first, root) in [("mount -t tmpfs none /sys/fs", "/"), (SELINUX, "/root")] {
        let agent = Agent::spawn(guest.command(first, &format!("agent --no-metrics --root {root}")));
        agent.wait_until_serving();
        inject(&mut Host::of(&guest.xenstored)?, "/etc/new/file")?;
        thread::sleep(Duration::from_millis(300));
        assert_eq!(guest.called(), "");
    }
    assert!(guest.path("etc/new/file").exists() && guest.path("root/etc/new/file").exists());
    Ok(())
}

#[test]
#[ignore = "needs policycoreutils, selinux-policy-default, strace and root"]
fn debians_policy_has_the_labels_that_new_files_get() -> Result<()> {
    let guest = Guest::new(REAL)?;
    fs::create_dir(guest.path("run/real"))?;
    fs::copy("/usr/sbin/restorecon", guest.path("run/real/restorecon"))?;
    let etc = guest.path("etc");
    let copied = Command::new("cp").args(["-a", "/etc/selinux", "/etc/passwd"]).arg(&etc).status()?;
    assert!(copied.success());
    fs::set_permissions(guest.path("run/real/restorecon"), Permissions::from_mode(0o755))?;
    let (agent, mut host) = guest.start(SELINUX)?;
    for (path, kind) in [
        ("root/.ssh/authorized_keys", "ssh_home_t"),
        ("root/.ssh", "ssh_home_t"),
        ("etc/resolv.conf", "net_conf_t"),
        ("etc/cron.d/job", "system_cron_spool_t"),
        ("root/file", "user_home_t"),
    ] {
        if !guest.path(path).exists() {
            inject(&mut host, &format!("/{path}"))?;
        }
        wait_until(kind, || guest.label(path).split(':').nth(2) == Some(kind));
    }
    // Without its label sshd reads no key: one that a new file takes over is as good.
    let old = guest.label("root/.ssh/authorized_keys");
    host.ask("injectfile", path_and_contents("/root/.ssh/authorized_keys", "other"))?.ok()?;
    assert_eq!(guest.label("root/.ssh/authorized_keys"), old);
    assert!(!agent.log().contains("label"), "{}", agent.log());
    Ok(())
}
