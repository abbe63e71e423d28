//! Who may not, and who comes second, is told at once: nothing waits for what cannot come.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;
use nanova_tests::agent::{Agent, PATIENCE, binary};
use nanova_tests::host::Host;
use nanova_tests::xenstored::{Options, Xenstored};

/// An ordinary user where the tests run as root.
const NOBODY: u32 = 65534;

/// Runs to the end, which must come.
fn ends(command: &mut Command) -> Result<Output> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let end = Instant::now() + PATIENCE;
    while child.try_wait()?.is_none() {
        if Instant::now() > end {
            child.kill()?;
            panic!("{command:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(child.wait_with_output()?)
}

#[test]
fn an_ordinary_user_is_told_to_be_root() -> Result<()> {
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
    let (program, device) = (directory.path().join("nanova"), directory.path().join("xenbus"));
    fs::copy(binary(), &program)?;
    fs::write(&device, "")?;
    fs::set_permissions(&device, Permissions::from_mode(0o000))?;
    let xenbus = device.to_str().expect("text");
    let calls: [&[&str]; 10] = [
        &["agent"],
        &["agent", "--once"],
        &["nova-agent", "-n"],
        &["report", "--once"],
        &["network"],
        &["network", "--dry-run"],
        &["status"],
        &["xenstore", "read", "name"],
        &["xenstore", "watch", "name"],
        &["xenstore", "ls"],
    ];
    for call in calls {
        let mut command = Command::new(&program);
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut words = call.iter();
        match words.next() {
            Some(name @ &"nova-agent") => drop(command.arg0(name)),
            subcommand => drop(command.args(subcommand)),
        }
        // As $XENSTORED_PATH it is a place to look in, too.
        let output = ends(command.args(words).env("XENSTORED_PATH", xenbus))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let expected = format!("cannot open {xenbus}: permission denied (EACCES); run nanova as root");
        assert!(said.contains(&expected), "{call:?}: {said}");
        assert_eq!(output.status.code(), Some(1), "{call:?}");
    }
    Ok(())
}

/// Runs this script where /run is a file system of the test's own.
fn with_own_run(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", &format!("mount -t tmpfs -o mode=755 tmpfs /run\n{script}")]);
    command
}

#[test]
#[ignore = "needs root"]
fn the_second_agent_says_who_runs_already() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let call = |words: &str| {
        format!("{} {words} --xenbus {} --network off", binary().display(), xenstored.guest_socket().display())
    };
    let (nanova, xenbus) = (binary().display(), xenstored.guest_socket());
    let xenbus = xenbus.display();
    // $! is the first one's number; it serves before the others are tried.
    let script = format!(
        "ln -s {nanova} /run/nova-agent
        {agent} & first=$!
        until [ -s /run/nanova.ready ]; do sleep 0.05; {nanova} xenstore read data/nanova/version --xenbus {xenbus} >/run/nanova.ready 2>/dev/null || true; done
        for second in \"{agent}\" \"{once}\" \"{background}\" \"{nanova} report --once --xenbus {xenbus}\"; do
            if $second 2>/run/said; then code=0; else code=$?; fi
            echo \"$code $(tail -n 1 /run/said)\"
        done
        echo first $first; cat /run/number
        kill $first; wait $first || true
        {once} 2>/run/said && echo free || cat /run/said",
        agent = call("agent") + " -p /run/number",
        once = call("agent --once"),
        background = call("agent").replace(&format!("{nanova} agent"), "/run/nova-agent"),
    );
    let output = ends(&mut with_own_run(&script))?;
    let said = String::from_utf8(output.stdout)?;
    let first = said.lines().find_map(|line| line.strip_prefix("first ")).expect("the first one has a number");
    let taken = |what: &str| format!("1 nanova: another nanova {what} runs already, process {first}; end it first");
    let agent = taken("agent");
    // Whoever comes second leaves the first one's number where it is.
    let expected = [&agent, &agent, &agent, &taken("report"), &format!("first {first}"), first, "free"];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn a_report_beside_an_agent_without_one_is_a_division_of_work() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let (nanova, socket) = (binary().display(), xenstored.guest_socket());
    let mut command = with_own_run(&format!(
        "{nanova} report --once --xenbus {socket}\nexec {nanova} agent --no-metrics --xenbus {socket}",
        socket = socket.display()
    ));
    command.stdin(Stdio::null());
    let agent = Agent::spawn(command);
    agent.wait_until_serving();
    let mut host = Host::of(&xenstored)?;
    assert_eq!(host.ask("version", "")?.code, "0");
    let enter = ["--target", &agent.pid().to_string(), "--mount"].map(str::to_owned);
    let mut report = Command::new("nsenter");
    let output = ends(report.args(enter).arg(binary()).args(["report", "--once", "--xenbus"]).arg(&socket))?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let home = xenstored.home();
    assert!(xenstored.host().get(&format!("{home}/attr/PVAddons/Installed"))?.is_some());
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn a_run_that_cannot_be_written_keeps_nobody_from_serving() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let script = format!(
        "mount -o remount,ro /run\nexec {} agent --no-metrics --xenbus {}",
        binary().display(),
        xenstored.guest_socket().display()
    );
    let agent = Agent::spawn(with_own_run(&script));
    agent.wait_until_serving();
    agent.wait_for_log("cannot tell whether another nanova runs: read-only file system");
    assert_eq!(Host::of(&xenstored)?.ask("version", "")?.code, "0");
    Ok(())
}
