//! `--lockdown`: what is left to whoever takes the agent over. The release binary is stopped and made to try; nothing
//! in it knows of that.
#![cfg(target_arch = "x86_64")]

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use nanova_tests::agent::{Agent, binary};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::Digest;
use nanova_tests::scene::path_and_contents;
use nanova_tests::strace;
use nanova_tests::tracee::Tracee;
use nanova_tests::xenstored::{Options, Xenstored};
use nix::libc;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

const EPERM: i64 = -1;
const EACCES: i64 = -13;

struct Guest {
    host: Host,
    agent: Agent,
    root: GuestRoot,
    xenstored: Xenstored,
}

/// A guest whose agent has these options; what `disable` names it does not serve.
fn guest(options: &[&str], disable: &str) -> Result<Guest> {
    let xenstored = Xenstored::start(Options::default())?;
    let socket = xenstored.guest_socket();
    guest_of(xenstored, socket, options, disable)
}

/// The same, whose xenstore is there.
fn guest_of(xenstored: Xenstored, xenbus: PathBuf, options: &[&str], disable: &str) -> Result<Guest> {
    let root = GuestRoot::new()?;
    fs::create_dir_all(root.join("/etc/nanova/commands.d"))?;
    fs::write(root.join("/etc/nanova/disable"), disable)?;
    fs::create_dir_all(root.join("/srv"))?;
    let mut all: Vec<PathBuf> = options.iter().map(PathBuf::from).collect();
    all.extend(["--xenbus".into(), xenbus, "--root".into(), root.path().to_owned()]);
    let agent = Agent::start(all);
    agent.wait_until_serving();
    Ok(Guest { host: Host::of(&xenstored)?, agent, root, xenstored })
}

/// A device that leads to this socket: a terminal, whose other end is open as long as what is returned.
fn device(socket: &Path) -> Result<(PathBuf, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = PathBuf::from(ptsname(&master, Vec::new())?.into_string()?);
    let slave = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut raw = tcgetattr(&slave)?;
    raw.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &raw)?;
    let (mut from, mut stream) = (fs::File::from(master), UnixStream::connect(socket)?);
    let (mut to, mut back) = (from.try_clone()?, stream.try_clone()?);
    thread::spawn(move || io::copy(&mut from, &mut stream));
    thread::spawn(move || io::copy(&mut back, &mut to));
    Ok((path, slave))
}

/// A field of /proc/PID/status.
fn field(agent: &Agent, name: &str) -> Result<String> {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(line.with_context(|| format!("no {name}"))?.trim().to_owned())
}

/// What the kernel knows to forbid: landlock(7)'s version, 0 without. The agent says so, and the kernel whether it has
/// any.
fn landlock_version(agent: &Agent) -> Result<u32> {
    let log = agent.log();
    let has_it = fs::read_to_string("/sys/kernel/security/lsm").is_ok_and(|names| names.contains("landlock"));
    match log.split_once("Landlock version ") {
        Some((_, version)) => Ok(version.lines().next().context("a number")?.parse()?),
        None => {
            assert!(!has_it && log.contains("this kernel has no Landlock"), "{log}");
            Ok(0)
        }
    }
}

#[test]
#[ignore = "needs root"]
fn whoever_takes_it_over_has_its_task_and_nothing_more() -> Result<()> {
    let Guest { mut host, agent, root, xenstored: _xenstored } =
        guest(&["--network", "off", "--no-hotplug", "--lockdown"], "injectfile\nfile_inject\n")?;
    assert_eq!((field(&agent, "NoNewPrivs")?, field(&agent, "Seccomp")?), ("1".to_owned(), "2".to_owned()));
    // CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, SETFCAP: of 41.
    for set in ["CapEff", "CapPrm"] {
        assert_eq!(field(&agent, set)?, "000000008000001f", "{set}");
    }
    let version = landlock_version(&agent)?;
    {
        let mut taken = Tracee::stop(agent.pid())?;
        let path = taken.put("/bin/true")?;
        let stream = libc::SOCK_STREAM as u64;
        let forbidden: &[(i64, &[u64], &str)] = &[
            (libc::SYS_execve, &[path, 0, 0], "execve"),
            (libc::SYS_execveat, &[0, path, 0, 0, 0], "execveat"),
            (libc::SYS_clone, &[(libc::CLONE_NEWUSER | libc::SIGCHLD) as u64], "a namespace"),
            (libc::SYS_clone, &[(libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND) as u64], "a thread"),
            (libc::SYS_fork, &[], "fork"),
            (libc::SYS_vfork, &[], "vfork"),
            (libc::SYS_clone3, &[0, 0], "clone3"),
            (libc::SYS_unshare, &[libc::CLONE_NEWNS as u64], "unshare"),
            (libc::SYS_setns, &[0, 0], "setns"),
            (libc::SYS_socket, &[libc::AF_INET as u64, stream], "TCP"),
            (libc::SYS_socket, &[libc::AF_INET6 as u64, stream], "TCP over IPv6"),
            (libc::SYS_socket, &[libc::AF_VSOCK as u64, stream], "vsock"),
            (libc::SYS_mount, &[path, path, 0, 0, 0], "mount"),
            (libc::SYS_chroot, &[path], "chroot"),
            (libc::SYS_pivot_root, &[path, path], "pivot_root"),
            (libc::SYS_reboot, &[0, 0, 0], "reboot"),
            (libc::SYS_kexec_load, &[0, 0, 0, 0], "kexec_load"),
            (libc::SYS_init_module, &[0, 0, path], "init_module"),
            (libc::SYS_finit_module, &[0, path, 0], "finit_module"),
            (libc::SYS_bpf, &[0, 0, 0], "bpf"),
            (libc::SYS_perf_event_open, &[0, 0, 0, 0, 0], "perf_event_open"),
            (libc::SYS_ptrace, &[0, 0, 0, 0], "ptrace"),
            (libc::SYS_process_vm_writev, &[1, 0, 0, 0, 0, 0], "process_vm_writev"),
            (libc::SYS_io_uring_setup, &[1, 0], "io_uring_setup"),
            (libc::SYS_keyctl, &[0, 0], "keyctl"),
            (libc::SYS_setuid, &[1000], "setuid"),
            (libc::SYS_mknodat, &[0, path, 0, 0], "mknodat"),
            (libc::SYS_iopl, &[3], "iopl"),
            (libc::SYS_mprotect, &[path & !4095, 4096, 5], "mprotect"),
            (libc::SYS_listen, &[0, 1], "listen"),
            (1024, &[], "a call that there is not yet"),
        ];
        for (number, arguments, name) in forbidden {
            assert_eq!(taken.call(*number, arguments)?, Some(EPERM), "{name}");
        }
        // The same program, wrong where it must be wrong: what is allowed is not refused.
        assert_eq!(taken.call(libc::SYS_getpid, &[])?, Some(i64::from(agent.pid())));
        let here = i64::from(libc::AT_FDCWD).cast_unsigned();
        let (create, read) = ((libc::O_WRONLY | libc::O_CREAT) as u64, libc::O_RDONLY as u64);
        let mut open = |path: PathBuf, flags| -> Result<i64> {
            let path = taken.put(path.to_str().context("UTF-8")?)?;
            taken.call(libc::SYS_openat, &[here, path, flags, 0o600])?.context("it goes on")
        };
        assert!(open(root.join("/etc/hostname"), read)? > 0, "reading is not limited");
        assert!(open(root.join("/etc/of_its_task"), create)? > 0, "accounts are its task");
        if version > 0 {
            for outside in
                [root.join("/srv/new"), root.join("/etc/../root_file"), "/proc/sys/kernel/core_pattern".into()]
            {
                assert_eq!(open(outside.clone(), create)?, EACCES, "{}", outside.display());
            }
            let path = taken.put(root.join("/srv/new").to_str().context("UTF-8")?)?;
            assert_eq!(taken.call(libc::SYS_mkdirat, &[here, path, 0o700])?, Some(EACCES));
        }
        if version >= 6 {
            let other = u64::from(std::process::id());
            assert_eq!(taken.call(libc::SYS_kill, &[other, 0])?, Some(EPERM), "signals to others");
        }
    }
    // It was not hurt, and has what its task takes.
    host.set_password("of an agent that is locked down", Digest::Sha256)?.ok()?;
    assert!(root.shadow_of_root()[1].starts_with("$6$"));
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn where_xenstore_is_a_device_no_other_service_of_roots_is_reached() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let (device, _open) = device(&xenstored.guest_socket())?;
    let options = ["--network", "off", "--lockdown"];
    let Guest { mut host, agent, root: _root, xenstored: _xenstored } = guest_of(xenstored, device, &options, "")?;
    {
        let mut taken = Tracee::stop(agent.pid())?;
        let mut unix = |kind| taken.call(libc::SYS_socket, &[libc::AF_UNIX as u64, kind as u64, 0]);
        for kind in [libc::SOCK_STREAM, libc::SOCK_SEQPACKET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC] {
            assert_eq!(unix(kind)?, Some(EPERM), "{kind}");
        }
        for kind in [libc::SOCK_DGRAM, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC] {
            assert!(unix(kind)?.is_some_and(|socket| socket > 2), "{kind}: syslog, and the service manager");
        }
        let netlink = [libc::AF_NETLINK as u64, libc::SOCK_RAW as u64, 0];
        assert!(taken.call(libc::SYS_socket, &netlink)?.is_some_and(|socket| socket > 2));
    }
    host.ask("version", "")?.ok()?;
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn asked_to_kill_the_kernel_ends_it_at_the_first_forbidden_call() -> Result<()> {
    let Guest { mut host, agent, root: _root, xenstored: _xenstored } = guest(&["--lockdown=kill"], "")?;
    host.ask("version", "")?.ok()?;
    let mut taken = Tracee::stop(agent.pid())?;
    assert_eq!(taken.call(libc::SYS_getpid, &[])?, Some(i64::from(agent.pid())));
    assert_eq!(taken.call(libc::SYS_execve, &[0, 0, 0])?, None, "SIGSYS");
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn what_needs_a_program_is_not_there_and_the_answer_says_who_was_not_told() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let Guest { mut host, agent, root, xenstored: _xenstored } = guest(&["--network", "files", "--lockdown"], "")?;
    let program = root.join("/etc/nanova/commands.d/site");
    fs::write(&program, "#!/bin/sh\n")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let features = host.ask("features", "")?.ok()?;
    let there = "version,features,keyinit,password,resetnetwork,injectfile,file_inject,file_inject_parts,sealed";
    assert_eq!(features, there);
    for gone in ["agentupdate", "site"] {
        assert_eq!(host.ask(gone, "http://192.0.2.1/nanova,0123456789abcdef0123456789abcdef")?.code, "404", "{gone}");
    }
    // Injected wherever the host says, but for devices.
    host.ask("injectfile", path_and_contents("/srv/of/the/host", "x"))?.ok()?;
    assert_eq!(root.text("/srv/of/the/host"), "x");
    fs::create_dir_all(root.join("/usr/lib/systemd"))?;
    fs::create_dir_all(root.join("/usr/bin"))?;
    fs::create_dir_all(root.join("/etc/systemd/system/multi-user.target.wants"))?;
    for there in [
        "/usr/lib/systemd/systemd-networkd",
        "/usr/bin/networkctl",
        "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service",
    ] {
        fs::write(root.join(there), "")?;
    }
    let home = host.path("");
    let interface = r#"{"label":"public","mac":"00:16:3e:5e:6c:01","ips":[{"enabled":"1","ip":"192.0.2.7","netmask":"255.255.255.0"}]}"#;
    host.client().write(&format!("{home}vm-data/networking/00163e5e6c01"), interface)?;
    let message = host.ask("resetnetwork", "")?.message;
    assert!(
        message.contains("/usr/bin/networkctl is not told, as nanova runs with --lockdown"),
        "{message}\n{}",
        agent.log()
    );
    Ok(())
}

#[test]
#[ignore = "needs root and strace"]
fn without_seccomp_it_does_not_start_and_says_so() -> Result<()> {
    let (xenstored, root) = (Xenstored::start(Options::default())?, GuestRoot::new()?);
    let mut command = strace::nanova(["-e", "inject=seccomp:error=ENOSYS", "-o", "/dev/null"]);
    command.args(["agent", "--lockdown", "--xenbus"]).arg(xenstored.guest_socket());
    command.arg("--root").arg(root.path());
    let mut agent = Agent::spawn(command);
    assert_eq!(agent.wait().code(), Some(1));
    assert!(agent.log().contains("cannot lock down: seccomp: "), "{}", agent.log());
    assert!(!agent.log().contains("serving"), "{}", agent.log());
    Ok(())
}

#[test]
fn a_word_that_is_no_choice_is_refused() -> Result<()> {
    let output = Command::new(binary()).args(["agent", "--lockdown=maybe"]).output()?;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("'maybe' is no value of '--lockdown': kill; see nanova agent --help")
    );
    Ok(())
}
