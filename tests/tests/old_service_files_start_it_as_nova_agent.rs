//! Called by the name of its predecessor it behaves like it: old service files and init scripts go on working.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use nanova_tests::agent::{Agent, binary};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::scene::wait_until;
use nanova_tests::xenstored::{Options, Xenstored};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

/// A place with a program called nova-agent, and xenstore.
struct Guest {
    host: Host,
    directory: TempDir,
    root: GuestRoot,
    xenstored: Xenstored,
}

/// A process that is nobody's child any more; ended with the test.
struct Background(Pid);

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended as it was told to.
        let _ = kill_process(self.0, Signal::KILL);
    }
}

impl Background {
    fn is_there(&self) -> bool {
        test_kill_process(self.0).is_ok()
            && fs::read_to_string(format!("/proc/{}/stat", self.0.as_raw_nonzero()))
                .is_ok_and(|stat| !stat.contains(") Z "))
    }

    fn status(&self, field: &str) -> Result<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.as_raw_nonzero()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(line.context("no such field")?.trim().to_owned())
    }
}

impl Guest {
    fn new() -> Result<Guest> {
        let xenstored = Xenstored::start(Options::default())?;
        let directory = tempfile::tempdir()?;
        symlink(binary(), directory.path().join("nova-agent"))?;
        Ok(Guest { host: Host::of(&xenstored)?, directory, root: GuestRoot::new()?, xenstored })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `nova-agent` with what all tests need.
    fn command(&self) -> Command {
        let mut command = Command::new(self.path("nova-agent"));
        command.arg("--root").arg(self.root.path()).env("XENSTORED_PATH", self.xenstored.guest_socket());
        command.stdin(Stdio::null());
        command
    }

    /// Runs it in the old way, which returns when the agent is in the background.
    fn start(&self, more: &[&str]) -> Result<(Output, Background)> {
        let mut command = self.command();
        // Standard error stays with the process in the background, so it cannot be a pipe that is read to its end.
        let errors = fs::File::create(self.path("errors"))?;
        let output = command.arg("-p").arg(self.path("pid")).args(more).stderr(errors).output()?;
        wait_until("there is a pidfile", || fs::read_to_string(self.path("pid")).is_ok_and(|id| id.ends_with('\n')));
        let id = fs::read_to_string(self.path("pid"))?.trim().parse()?;
        Ok((output, Background(Pid::from_raw(id).context("a process id")?)))
    }
}

#[test]
fn it_goes_to_the_background_and_leaves_its_id() -> Result<()> {
    let mut guest = Guest::new()?;
    let log = guest.path("nova-agent.log");
    let log = log.to_str().context("text")?;
    let (output, agent) = guest.start(&["-o", log, "-l", "info", "/usr/share/nova-agent/nova-agent.py"])?;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert_eq!(guest.host.ask("version", "agent")?.ok()?, env!("CARGO_PKG_VERSION"));
    assert!(agent.is_there());
    assert_eq!(agent.status("Name")?, "nova-agent");
    assert_ne!(agent.status("PPid")?, std::process::id().to_string());
    let id = agent.0.as_raw_nonzero();
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(") ").next().context("fields")?.split(' ').collect();
    assert_eq!(fields[3], id.to_string(), "it leads a session of its own, without a terminal");
    for number in 0..2 {
        assert_eq!(fs::read_link(format!("/proc/{id}/fd/{number}"))?.to_str(), Some("/dev/null"));
    }
    assert!(fs::read_to_string(log)?.contains("[INFO] Received command 'version' with argument: 'agent'\n"));
    // A stop as init scripts do it.
    kill_process(agent.0, Signal::TERM)?;
    wait_until("it is gone", || !agent.is_there());
    assert!(!guest.path("pid").exists());
    assert!(fs::read_to_string(log)?.ends_with("nanova ending\n"));
    assert_eq!(fs::read_to_string(guest.path("errors"))?, "");
    Ok(())
}

#[test]
fn it_stays_in_the_foreground_when_asked_to() -> Result<()> {
    for options in [&["-n"][..], &["--nofork"], &["--no-fork", "true"], &["--no-fork=true"], &["-n", "/usr/share/x.py"]]
    {
        let mut guest = Guest::new()?;
        let mut command = guest.command();
        command.args(options).arg("-p").arg(guest.path("pid"));
        let mut agent = Agent::spawn(command);
        assert_eq!(guest.host.ask("version", "agent")?.code, "0", "{options:?}");
        assert!(agent.is_running());
        assert_eq!(fs::read_to_string(guest.path("pid"))?, format!("{}\n", agent.pid()));
        assert!(agent.log().contains("Received command 'version'"), "the log is on standard error");
        agent.signal(Signal::TERM);
        assert_eq!(agent.wait().code(), Some(0));
        assert!(!guest.path("pid").exists());
    }
    Ok(())
}

/// How the service files of both predecessors call them, but for the places of their files: the later one's unit and
/// what its init scripts give, then those of the one before.
const FOREGROUND: [&str; 3] = [
    "--no-fork True -o LOG -l info",
    "-n -l info /usr/share/nova-agent/nova-agent.py",
    "-o - -n -l info /usr/share/nova-agent/nova-agent.py",
];
/// See [`FOREGROUND`].
const BACKGROUND: [&str; 7] = [
    "-o LOG -l info",
    "-p PID",
    "-p PID -o LOG",
    "-q -o LOG -l info /usr/share/nova-agent/nova-agent.py",
    "-q -p PID -o LOG -l info /usr/share/nova-agent/nova-agent.py",
    "-q -p PID -o LOG -l info /usr/share/nova-agent/nova-agent.py -S",
    "-q -p PID -o LOG -l debug /usr/share/nova-agent/nova-agent.py",
];

#[test]
fn every_command_line_of_its_predecessors_service_files_starts_it() -> Result<()> {
    let words = |guest: &Guest, line: &str| -> Vec<String> {
        let path = |name| guest.path(name).display().to_string();
        line.split(' ').map(|word| word.replace("LOG", &path("log")).replace("PID", &path("pid"))).collect()
    };
    for line in FOREGROUND {
        let mut guest = Guest::new()?;
        let mut command = guest.command();
        command.args(words(&guest, line));
        let mut agent = Agent::spawn(command);
        assert_eq!(guest.host.ask("version", "agent")?.code, "0", "{line}");
        assert!(agent.is_running(), "{line}");
    }
    for line in BACKGROUND {
        let mut guest = Guest::new()?;
        let words = words(&guest, line);
        let (output, agent) = guest.start(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert_eq!(guest.host.ask("version", "agent")?.code, "0", "{line}");
        assert!(agent.is_there(), "{line}");
    }
    Ok(())
}

#[test]
#[ignore = "needs iproute2 and root"]
fn the_last_word_resetnetwork_resets_the_network_first() -> Result<()> {
    let guest = Guest::new()?;
    let vm_data =
        r#"{"mac":"BC:76:4E:00:00:01","ips":[{"enabled":"1","ip":"203.0.113.10","netmask":"255.255.255.0"}]}"#;
    let home = guest.xenstored.home();
    guest.xenstored.host().write(&format!("{home}/vm-data/networking/BC764E000001"), vm_data)?;
    let agent = format!(
        "exec {} --root {} --network both -n -o - -l info /usr/share/nova-agent/nova-agent.py resetnetwork",
        guest.path("nova-agent").display(),
        guest.root.path().display()
    );
    let links = "ip link add eth0 address bc:76:4e:00:00:01 type veth peer name far0";
    let mut command = Command::new("unshare");
    command.args(["--net", "--uts", "sh", "-ec", &format!("{links}\n{agent}")]);
    command.env("XENSTORED_PATH", guest.xenstored.guest_socket()).stdin(Stdio::null());
    let agent = Agent::spawn(command);
    agent.wait_for_log("'resetnetwork' completed with code '0'");
    let pid = agent.pid().to_string();
    let show = ["--target", &pid, "--net", "ip", "-o", "-4", "address", "show", "eth0"];
    let shown = Command::new("nsenter").args(show).output()?;
    assert!(String::from_utf8_lossy(&shown.stdout).contains("203.0.113.10/24"), "{shown:?}");
    Ok(())
}

#[test]
fn it_tells_its_version() -> Result<()> {
    let output = Guest::new()?.command().arg("--version").output()?;
    let version = concat!("nanova ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()), (Some(0), version));
    Ok(())
}

#[test]
fn a_pidfile_from_before_is_replaced_and_a_link_is_not_followed() -> Result<()> {
    let guest = Guest::new()?;
    fs::write(guest.path("pid"), "this is much longer than any process id, and no newline")?;
    let mut command = guest.command();
    command.args(["-n", "-p"]).arg(guest.path("pid"));
    let agent = Agent::spawn(command);
    agent.wait_until_serving();
    assert_eq!(fs::read_to_string(guest.path("pid"))?, format!("{}\n", agent.pid()));
    drop(agent);

    fs::write(guest.path("precious"), "precious")?;
    fs::remove_file(guest.path("pid"))?;
    symlink(guest.path("precious"), guest.path("pid"))?;
    let output = guest.command().args(["-n", "-p"]).arg(guest.path("pid")).output()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write "), "{output:?}");
    assert_eq!(fs::read_to_string(guest.path("precious"))?, "precious");
    Ok(())
}

#[test]
fn options_of_the_new_name_are_the_old_ones_too() -> Result<()> {
    let mut guest = Guest::new()?;
    guest.host.send("pending", r#"{"name":"version"}"#)?;
    let output = guest.command().args(["-n", "-q", "--once", "--no-metrics", "--network", "off"]).output()?;
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    assert_eq!(guest.host.answer("pending")?.context("answered")?.code, "0");
    // The new name does not know the old options, but for -p.
    let output = Command::new(binary()).args(["agent", "-n"]).output()?;
    assert_eq!(output.status.code(), Some(2));
    Ok(())
}
