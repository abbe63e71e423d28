//! The agent waits for xenstore, comes back to it, and ends when it is told to, in whichever of these states it is.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::Result;
use nanova_tests::agent::{Agent, binary};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::{Digest, uuid};
use nanova_tests::scene::{Scene, path_and_contents, wait_until};
use nanova_tests::xenstored::{Kernel, Options, Xenstored};
use rustix::process::Signal;
use tempfile::TempDir;

const VERSION: &str = r#"{"name":"version","value":"agent"}"#;

/// A directory to name sockets in that are not there yet, and the xenstored that will be behind them.
fn somewhere() -> Result<(Xenstored, GuestRoot, TempDir)> {
    Ok((Xenstored::start(Options::default())?, GuestRoot::new()?, tempfile::tempdir()?))
}

/// Runs the program to its end.
fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<Output> {
    Ok(Command::new(binary()).args(arguments).env_remove("XENSTORED_PATH").stdin(Stdio::null()).output()?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn waiting_for(path: &Path, root: &GuestRoot) -> Agent {
    let agent = Agent::on(path, root.path());
    agent.wait_for_log("waiting for it");
    agent
}

#[test]
fn it_waits_for_a_socket_whose_directories_are_missing_too() -> Result<()> {
    let (xenstored, root, place) = somewhere()?;
    let mut host = Host::of(&xenstored)?;
    host.send("early", VERSION)?;
    let socket = place.path().join("run/xen/stored/socket");
    let mut agent = waiting_for(&socket, &root);
    assert!(agent.is_running());
    // One after the other, each of which it sees.
    fs::create_dir(place.path().join("run"))?;
    fs::create_dir_all(place.path().join("run/xen"))?;
    fs::create_dir(place.path().join("run/xen/stored"))?;
    assert!(host.answer("early")?.is_none());
    symlink(xenstored.guest_socket(), &socket)?;
    assert_eq!(host.wait_answer("early")?.ok()?, env!("CARGO_PKG_VERSION"));
    Ok(())
}

#[test]
fn the_directory_may_be_moved_into_place() -> Result<()> {
    let (xenstored, root, place) = somewhere()?;
    let mut host = Host::of(&xenstored)?;
    host.send("early", VERSION)?;
    let _agent = waiting_for(&place.path().join("run/xen/socket"), &root);
    fs::create_dir_all(place.path().join("prepared/xen"))?;
    symlink(xenstored.guest_socket(), place.path().join("prepared/xen/socket"))?;
    fs::rename(place.path().join("prepared"), place.path().join("run"))?;
    assert_eq!(host.wait_answer("early")?.code, "0");
    Ok(())
}

#[test]
fn a_relative_path_is_waited_for_as_well() -> Result<()> {
    for relative in ["socket", "run/socket", "./run/xen/socket"] {
        let (xenstored, root, place) = somewhere()?;
        let mut host = Host::of(&xenstored)?;
        let mut command = Command::new(binary());
        command.args(["agent", "--xenbus", relative, "--root"]).arg(root.path()).current_dir(place.path());
        let agent = Agent::spawn(command);
        agent.wait_for_log("waiting for it");
        let socket = place.path().join(relative);
        fs::create_dir_all(socket.parent().expect("it has one"))?;
        symlink(xenstored.guest_socket(), socket)?;
        assert_eq!(host.ask("version", "")?.code, "0", "{relative}");
    }
    Ok(())
}

#[test]
fn a_socket_on_which_nobody_listens_yet_is_tried_again() -> Result<()> {
    let (mut xenstored, root, _place) = somewhere()?;
    let socket = xenstored.guest_socket();
    xenstored.stop();
    // Left behind by a daemon that died.
    drop(std::os::unix::net::UnixListener::bind(&socket)?);
    let _agent = waiting_for(&socket, &root);
    fs::remove_file(&socket)?;
    xenstored.restart(true)?;
    assert_eq!(Host::of(&xenstored)?.ask("version", "")?.code, "0");
    Ok(())
}

#[test]
fn a_device_whose_xenstored_comes_late_is_waited_for() -> Result<()> {
    let (xenstored, root, _place) = somewhere()?;
    let device = xenstored.guest_device(Kernel::default())?;
    device.suspend();
    let mut host = Host::of(&xenstored)?;
    host.send("early", VERSION)?;
    let mut agent = Agent::on(device.path(), root.path());
    // Opening works; only the first request has no answer.
    agent.wait_until_serving();
    assert!(host.answer("early")?.is_none() && agent.is_running());
    device.resume();
    assert_eq!(host.wait_answer("early")?.code, "0");
    drop(agent);
    assert_eq!(device.violations(), Vec::<String>::new());
    Ok(())
}

#[test]
fn waiting_ends_with_a_sentence_when_it_may_not_be_for_ever() -> Result<()> {
    let (mut xenstored, root, place) = somewhere()?;
    let root = root.path().to_str().expect("text");
    let nothing = place.path().join("nothing");
    let output = run(["agent", "--wait", "1", "--root", root, "--xenbus", nothing.to_str().expect("text")])?;
    let complaint = "nanova: no xenstore appeared; is this a Xen guest? See --xenbus, --wait\n";
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).ends_with(complaint), "{}", text(&output.stderr));

    let socket = xenstored.guest_socket();
    xenstored.stop();
    drop(std::os::unix::net::UnixListener::bind(&socket)?);
    let socket = socket.to_str().expect("text");
    let output = run(["agent", "--wait=1", "-q", "--root", root, "--xenbus", socket])?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), format!("nanova: {socket} does not answer: connection refused (ECONNREFUSED)\n"));
    Ok(())
}

#[test]
fn a_xenstored_that_is_restarted_finds_its_agent_again() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.host.ask("version", "")?.ok()?;
    for keep_tree in [true, true, false, true, false] {
        scene.xenstored.stop();
        scene.agent.wait_for_log("connecting again");
        scene.xenstored.restart(keep_tree)?;
        scene.host = Host::of(&scene.xenstored)?;
        assert_eq!(scene.host.ask("version", "")?.ok()?, env!("CARGO_PKG_VERSION"));
        scene.host.set_password("after a restart", Digest::Sha256)?.ok()?;
    }
    assert!(scene.agent.is_running());
    Ok(())
}

#[test]
fn a_key_and_a_request_survive_a_restart_of_xenstored() -> Result<()> {
    let mut scene = Scene::new()?;
    let secret = scene.host.exchange_keys()?;
    scene.xenstored.stop();
    scene.xenstored.restart(true)?;
    scene.host = Host::of(&scene.xenstored)?;
    // Written while nobody, or the new connection, is there to see.
    let message = nanova_tests::nova::encrypt(b"across a restart\n", &secret, Digest::Sha256)?;
    scene.host.ask("password", message)?.ok()?;
    let field = &scene.root.shadow_of_root()[1];
    assert_eq!(&nanova_tests::nova::crypt("across a restart", field)?, field);
    Ok(())
}

#[test]
fn requests_in_the_middle_of_a_restart_are_answered_and_none_is_served_twice_without_need() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    for round in 0..5 {
        let paths: Vec<String> = (0..30).map(|n| format!("/etc/file-{round}-{n}")).collect();
        let mut ids = Vec::new();
        for path in &paths {
            ids.push(uuid()?);
            let argument = path_and_contents(path, "x");
            scene.host.send(&ids[ids.len() - 1], format!(r#"{{"name":"injectfile","value":"{argument}"}}"#))?;
        }
        scene.xenstored.restart(true)?;
        scene.host = Host::of(&scene.xenstored)?;
        for id in &ids {
            assert_eq!(scene.host.wait_answer(id)?.code, "0");
        }
        assert!(paths.iter().all(|path| scene.root.text(path) == "x"));
    }
    // At most the one that was under way at each restart.
    let served = scene.agent.log().matches("Received command 'injectfile'").count();
    assert!((150..=155).contains(&served), "{served}");
    Ok(())
}

fn assert_ends_well(mut agent: Agent, how: Signal) {
    agent.signal(how);
    assert_eq!(agent.wait().code(), Some(0), "{}", agent.log());
    assert!(agent.log().ends_with("nanova ending\n"), "{}", agent.log());
}

#[test]
fn it_ends_when_it_is_told_to() -> Result<()> {
    for how in [Signal::TERM, Signal::INT] {
        // Idle.
        let mut scene = Scene::new()?;
        scene.host.ask("version", "")?.ok()?;
        assert_ends_well(scene.agent, how);
        // Waiting for xenstore: for a name, for an answer.
        let (mut xenstored, root, place) = somewhere()?;
        assert_ends_well(waiting_for(&place.path().join("nothing"), &root), how);
        let socket = xenstored.guest_socket();
        xenstored.stop();
        drop(std::os::unix::net::UnixListener::bind(&socket)?);
        assert_ends_well(waiting_for(&socket, &root), how);
        fs::remove_file(&socket)?;
        // Between two connections.
        xenstored.restart(true)?;
        let agent = Agent::on(&socket, root.path());
        agent.wait_until_serving();
        xenstored.stop();
        agent.wait_for_log("connecting again");
        assert_ends_well(agent, how);
    }
    Ok(())
}

#[test]
fn it_ends_while_xenstored_is_stalled() -> Result<()> {
    for when in ["at the first request", "in the middle of an answer"] {
        let (xenstored, root, _place) = somewhere()?;
        let device = xenstored.guest_device(Kernel::default())?;
        let mut host = Host::of(&xenstored)?;
        let agent = if when == "at the first request" {
            device.suspend();
            Agent::on(device.path(), root.path())
        } else {
            let agent = Agent::on(device.path(), root.path());
            host.ask("version", "")?.ok()?;
            // Many, so that one of them is under way.
            for n in 0..50 {
                host.send(&format!("stalled-{n}"), VERSION)?;
            }
            host.wait_answer("stalled-0")?;
            device.suspend();
            agent
        };
        agent.wait_until_serving();
        assert_ends_well(agent, Signal::TERM);
        // The next one does what is left.
        device.resume();
        let _agent = Agent::on(device.path(), root.path());
        host.send("last", VERSION)?;
        assert_eq!(host.wait_answer("last")?.code, "0", "{when}");
        let waiting = host.path("data/host");
        assert_eq!(host.client().list(&waiting)?, Vec::<String>::new(), "{when}");
    }
    Ok(())
}

/// Waits until the file has these words in it.
fn wait_for_words(file: &Path, words: &str) {
    wait_until(words, || fs::read_to_string(file).is_ok_and(|text| text.contains(words)));
}

#[test]
fn the_log_file_is_opened_again_on_request() -> Result<()> {
    let (xenstored, root, place) = somewhere()?;
    let (log, old) = (place.path().join("log"), place.path().join("log.1"));
    let socket = place.path().join("socket");
    let options = [OsStr::new("-o"), log.as_os_str(), OsStr::new("--xenbus"), socket.as_os_str(), OsStr::new("--root")];
    let agent = Agent::start(options.into_iter().chain([root.path().as_os_str()]));
    wait_for_words(&log, "waiting for it");
    // While it waits for xenstore.
    fs::rename(&log, &old)?;
    agent.signal(Signal::HUP);
    wait_until("there is a new log", || log.exists());
    symlink(xenstored.guest_socket(), &socket)?;
    wait_for_words(&log, "serving data/host");
    assert!(!fs::read_to_string(&old)?.contains("serving data/host"));
    // While it serves; what is in the old file stays.
    for round in 0..3 {
        fs::rename(&log, &old)?;
        agent.signal(Signal::HUP);
        wait_until("there is a new log", || log.exists());
        Host::of(&xenstored)?.ask(&format!("command-{round}"), "")?;
        wait_for_words(&log, &format!("Received command 'command-{round}'"));
        assert!(!fs::read_to_string(&old)?.contains(&format!("command-{round}")));
    }
    assert_eq!(agent.log(), "", "nothing goes to standard error");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&log)?) & 0o137, 0, "it is not for everybody");
    Ok(())
}

#[test]
fn a_log_that_cannot_be_opened_is_no_reason_not_to_serve() -> Result<()> {
    let (xenstored, root, place) = somewhere()?;
    let log = place.path().join("missing/log");
    let socket = xenstored.guest_socket();
    let options = [OsStr::new("-o"), log.as_os_str(), OsStr::new("--xenbus"), socket.as_os_str(), OsStr::new("--root")];
    let agent = Agent::start(options.into_iter().chain([root.path().as_os_str()]));
    agent.wait_for_log(&format!("cannot open the log {}: no such file or directory", log.display()));
    agent.wait_until_serving();
    assert_eq!(Host::of(&xenstored)?.ask("version", "")?.code, "0");
    Ok(())
}

#[test]
fn once_means_what_is_pending_and_no_more() -> Result<()> {
    let (xenstored, root, _place) = somewhere()?;
    let mut host = Host::of(&xenstored)?;
    let ids = (0..40).map(|_| uuid()).collect::<Result<Vec<_>>>()?;
    ids.iter().try_for_each(|id| host.send(id, VERSION))?;
    let (root, socket) = (root.path().to_str().expect("text"), xenstored.guest_socket());
    let arguments = ["agent", "--once", "--root", root, "--xenbus", socket.to_str().expect("text")];
    let output = run(arguments)?;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for id in &ids {
        assert_eq!(host.answer(id)?.expect("answered").code, "0");
    }
    // Nothing pending is nothing to wait for.
    assert_eq!(run(arguments)?.status.code(), Some(0));
    Ok(())
}

#[test]
#[ignore = "needs a machine with sysfs and without a xenstore"]
fn a_machine_that_is_no_guest_is_left_alone() -> Result<()> {
    let there = ["/dev/xen/xenbus", "/proc/xen", "/run/xenstored/socket", "/var/run/xenstored/socket"];
    let is_guest = there.iter().any(|path| Path::new(path).exists());
    assert!(!is_guest && Path::new("/sys/kernel").exists(), "this machine has a xenstore of its own, or no sysfs");
    for arguments in [
        &["agent"][..],
        &["agent", "--wait", "5"],
        &["agent", "--once"],
        &["network", "-l", "warn"],
        &["status"],
        &["xenstore", "ls"],
    ] {
        let output = run(arguments)?;
        assert_eq!(output.status.code(), Some(77), "{arguments:?}");
        assert!(text(&output.stderr).starts_with("nanova: not a Xen guest: "), "{}", text(&output.stderr));
        assert_eq!(output.stdout, b"");
    }
    // Hooks ask on every machine, and want to hear what goes wrong on a guest.
    for arguments in [&["network", "-q", "-l", "warn"][..], &["agent", "-q"], &["xenstore", "-q", "ls"]] {
        let output = run(arguments)?;
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(77), ""), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn the_network_does_not_wait_longer_than_it_may_for_a_xenstore_that_says_nothing() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("silent");
    let _silent = std::os::unix::net::UnixListener::bind(&socket)?;
    let output = run(["network".as_ref(), "--wait".as_ref(), "1".as_ref(), "--xenbus".as_ref(), socket.as_os_str()])?;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no answer in the time that was given"), "{}", text(&output.stderr));
    Ok(())
}

#[test]
fn what_makes_no_sense_is_a_usage_error() -> Result<()> {
    for arguments in [
        &[][..],
        &["fly"],
        &["agent", "--fly"],
        &["agent", "-n"],
        &["agent", "--wait"],
        &["agent", "--wait", "soon"],
        &["agent", "-l", "loud"],
        &["agent", "--network", "some"],
        &["agent", "operand"],
        &["xenstore"],
        &["xenstore", "fly"],
        &["xenstore", "read"],
        &["xenstore", "write", "a"],
        &["xenstore", "ls", "-x"],
    ] {
        let output = run(arguments)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let lines = text(&output.stderr);
        let page = match arguments.first() {
            Some(program @ (&"agent" | &"xenstore")) => format!("nanova {program}"),
            _ => "nanova".to_owned(),
        };
        assert!(lines.starts_with("nanova: "), "{arguments:?}: {lines}");
        assert!(lines.ends_with(&format!("; see {page} --help\n")), "{arguments:?}: {lines}");
        assert_eq!(output.stdout, b"");
    }
    for arguments in [&["--help"][..], &["agent", "--help"], &["xenstore", "--help"], &["--version"]] {
        let output = run(arguments)?;
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{arguments:?}");
        assert!(text(&output.stdout).starts_with("nanova"));
    }
    let output = run(["agent", "--root", "/does/not/exist", "--xenbus", "/does/not/exist"])?;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot open the root directory /does/not/exist: no such file"));
    Ok(())
}

#[test]
fn service_goes_on_after_suspends_and_migrations() -> Result<()> {
    let (xenstored, root, _place) = somewhere()?;
    let device = xenstored.guest_device(Kernel::default())?;
    let agent = Agent::on(device.path(), root.path());
    let mut host = Host::of(&xenstored)?;
    host.ask("version", "")?.ok()?;
    for domid in [7, 7, 12, 13, 13, 7] {
        device.suspend();
        if domid != xenstored.domid() {
            xenstored.migrate(domid);
            host = Host::of(&xenstored)?;
        }
        // The toolstack writes before the guest runs again.
        let ids = (0..5).map(|_| uuid()).collect::<Result<Vec<_>>>()?;
        ids.iter().try_for_each(|id| host.send(id, VERSION))?;
        device.resume();
        for id in &ids {
            assert_eq!(host.wait_answer(id)?.ok()?, env!("CARGO_PKG_VERSION"), "{domid}");
        }
        host.set_password("after a migration", Digest::Sha256)?.ok()?;
    }
    // Suspended in the middle of work: what was under way is served again at most, and answered.
    for round in 0..10 {
        let ids = (0..10).map(|_| uuid()).collect::<Result<Vec<_>>>()?;
        ids.iter().try_for_each(|id| host.send(id, VERSION))?;
        device.suspend();
        device.resume();
        for id in &ids {
            assert_eq!(host.wait_answer(id)?.code, "0", "{round}");
        }
    }
    assert_eq!(
        agent.log().matches("serving data/host").count(),
        1,
        "the file stays open all the time: {}",
        agent.log()
    );
    drop(agent);
    assert_eq!(device.violations(), Vec::<String>::new());
    Ok(())
}

#[test]
fn it_may_be_started_with_nothing_open() -> Result<()> {
    let (xenstored, root, place) = somewhere()?;
    let log = place.path().join("log");
    for (closed, target) in [("0", "file"), ("1", "file"), ("2", "file"), ("0 1 2", "file"), ("0 1 2", "-")] {
        let closing: String = closed.split(' ').map(|number| format!("exec {number}>&-; ")).collect();
        let target = if target == "file" { log.to_str().expect("text") } else { "-" };
        // A file that is opened must not take the place of one of the three.
        let _ = fs::write(&log, "");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{closing}exec \"$@\""), "sh"]).arg(binary()).arg("agent");
        command.arg("--xenbus").arg(xenstored.guest_socket()).arg("--root").arg(root.path()).args(["-o", target]);
        command.arg0("sh");
        let mut agent = Agent::spawn(command);
        let mut host = Host::of(&xenstored)?;
        host.ask("version", "")?.ok()?;
        host.ask("injectfile", path_and_contents("/etc/motd", closed))?.ok()?;
        assert_eq!(root.text("/etc/motd"), closed, "no log line has got into it");
        for number in 0..3 {
            let open = fs::read_link(format!("/proc/{}/fd/{number}", agent.pid()))?;
            let expected = closed.contains(&number.to_string());
            assert_eq!(open == Path::new("/dev/null"), expected || number < 2, "{number} is {}", open.display());
        }
        if target != "-" {
            wait_for_words(&log, "'injectfile' completed with code '0'");
        }
        assert!(agent.is_running());
    }
    Ok(())
}
