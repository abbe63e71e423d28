//! The embedded xenstored in front of programs that know the real ones: Debian's xenstore-utils, and pyxs where it is
//! installed. Run with `--ignored`; pyxs is passed over where /usr/bin/python3 does not find it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nanova_tests::xenstored::{Layout, Options, Quotas, Xenstored};

/// Debian's own, which finds what apt installs.
const PYTHON: &str = "/usr/bin/python3";

/// Runs a tool on a socket: its output, or its complaint.
fn tool(socket: &Path, command: &str) -> Result<String, String> {
    let mut words = command.split(' ');
    let mut tool = Command::new(words.next().unwrap());
    let output = tool.args(words).env("XENSTORED_PATH", socket).output().expect("xenstore-utils is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
#[ignore = "needs xenstore-utils"]
fn the_tools_read_write_list_and_remove() {
    let xenstored = Xenstored::start(Options::default()).unwrap();
    let guest = |command: &str| tool(&xenstored.guest_socket(), command);
    let host = |command: &str| tool(&xenstored.host_socket(), command);
    assert_eq!(guest("xenstore-read domid name").unwrap(), "7\nguest");
    assert_eq!(host("xenstore-write /local/domain/7/data/host/1 {\"name\":\"version\"}").unwrap(), "");
    assert_eq!(guest("xenstore-list data/host").unwrap(), "1");
    assert_eq!(guest("xenstore-read data/host/1").unwrap(), "{\"name\":\"version\"}");
    assert_eq!(guest("xenstore-rm data/host/1").unwrap(), "");
    assert!(guest("xenstore-exists data/host/1").is_err());
    assert!(guest("xenstore-exists data/host").is_ok());
    assert!(guest("xenstore-read data/host/1").unwrap_err().contains("couldn't read"));
    assert!(guest("xenstore-write vm-data/x 1").unwrap_err().contains("could not write"));
    assert!(guest("xenstore-write /tool/x 1").is_err());
}

#[test]
#[ignore = "needs xenstore-utils"]
fn the_tools_see_the_permissions_the_lab_measured() {
    let xenstored = Xenstored::start(Options::default()).unwrap();
    let host = |command: &str| tool(&xenstored.host_socket(), command);
    host("xenstore-write /local/domain/7/vm-data/hostname box").unwrap();
    host("xenstore-write /local/domain/7/data/host/1 x").unwrap();
    let listing = host("xenstore-ls -fp /local/domain/7").unwrap();
    let line = |node: &str| {
        let start = format!("/local/domain/7/{node} = ");
        listing.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no {node} in {listing}"))
    };
    assert!(line("data").ends_with("(n7)"));
    assert!(line("data/host/1").ends_with("\"x\"   (n7)"));
    assert!(line("control").ends_with("(n0,r7)"));
    assert!(line("control/shutdown").ends_with("(n7)"));
    assert!(line("vm-data/hostname").ends_with("\"box\"   (n0,r7)"));
    host("xenstore-chmod /local/domain/7/vm-data/hostname n0").unwrap();
    assert!(tool(&xenstored.guest_socket(), "xenstore-read vm-data/hostname").is_err());
    host("xenstore-chmod -r /local/domain/7/vm-data n0 r7").unwrap();
    assert_eq!(tool(&xenstored.guest_socket(), "xenstore-read vm-data/hostname").unwrap(), "box");
}

#[test]
#[ignore = "needs xenstore-utils"]
fn xapis_guest_may_write_where_xls_may_not() {
    let xenstored = Xenstored::start(Options { layout: Layout::Xapi, ..Options::default() }).unwrap();
    let guest = |command: &str| tool(&xenstored.guest_socket(), command);
    guest("xenstore-write control/feature-balloon 1 vm-data/x 1 xenserver/attr/y 1").unwrap();
    assert!(guest("xenstore-write unique-domain-id 1").is_err());
    let listing = guest("xenstore-ls -fp /local/domain/7").unwrap();
    assert!(listing.contains("/local/domain/7/control/feature-balloon = \"1\"   (n7)"), "{listing}");
}

#[test]
#[ignore = "needs xenstore-utils"]
fn a_large_directory_reaches_the_tools_in_parts() {
    let quotas = Quotas { nodes: 5000, ..Quotas::default() };
    let xenstored = Xenstored::start(Options { quotas, ..Options::default() }).unwrap();
    let mut host = xenstored.host();
    for i in 0..2000 {
        host.write(&format!("/local/domain/7/data/host/{i:08}"), "x").unwrap();
    }
    let listed = tool(&xenstored.guest_socket(), "xenstore-list data/host").unwrap();
    let wanted: Vec<String> = (0..2000).map(|i| format!("{i:08}")).collect();
    assert_eq!(listed.lines().collect::<Vec<_>>(), wanted);
    assert_eq!(xenstored.guest().list("data/host").unwrap(), wanted);
}

#[test]
#[ignore = "needs xenstore-utils"]
fn xenstore_watch_hears_of_changes() {
    let xenstored = Xenstored::start(Options::default()).unwrap();
    let mut watcher = Command::new("xenstore-watch")
        .args(["-n", "3", "data/host"])
        .env("XENSTORED_PATH", xenstored.guest_socket())
        .stdout(Stdio::piped())
        .spawn()
        .expect("xenstore-utils is installed");
    let mut lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "data/host");
    tool(&xenstored.host_socket(), "xenstore-write /local/domain/7/data/host/1 x").unwrap();
    assert_eq!(next(), "data/host/1");
    tool(&xenstored.host_socket(), "xenstore-rm /local/domain/7/data").unwrap();
    // What went with its parent is reported to watches on exactly that node only.
    assert_eq!(next(), "data/host");
    assert!(watcher.wait().unwrap().success());
}

#[test]
#[ignore = "needs xenstore-utils"]
fn the_daemon_comes_back_with_its_tree_or_without() {
    let mut xenstored = Xenstored::start(Options::default()).unwrap();
    let mut client = xenstored.host();
    client.write("/local/domain/7/data/x", "kept").unwrap();
    xenstored.stop();
    assert!(client.read("/local/domain/7/data/x").is_err());
    assert!(tool(&xenstored.guest_socket(), "xenstore-read domid").is_err());
    xenstored.restart(true).unwrap();
    assert_eq!(tool(&xenstored.guest_socket(), "xenstore-read data/x").unwrap(), "kept");
    xenstored.restart(false).unwrap();
    assert!(tool(&xenstored.guest_socket(), "xenstore-read data/x").is_err());
    assert_eq!(tool(&xenstored.guest_socket(), "xenstore-read domid").unwrap(), "7");
}

/// pyxs speaks the protocol with code of its own, over the socket and with transactions.
#[test]
#[ignore = "needs python3-pyxs"]
fn pyxs_runs_transactions_and_watches() {
    let script = r"
import sys, pyxs
with pyxs.Client(unix_socket_path=sys.argv[1]) as c:
    assert c.read(b'/local/domain/7/domid') == b'7'
    c.transaction(); c[b'/local/domain/7/data/t'] = b'1'; c.commit()
    assert c[b'/local/domain/7/data/t'] == b'1'
    assert c.list(b'/local/domain/7/data') == [b't']
    assert c.get_perms(b'/local/domain/7/data') == [b'n7'], c.get_perms(b'/local/domain/7/data')
    assert c.get_domain_path(7) == b'/local/domain/7'
    m = c.monitor(); m.watch(b'/local/domain/7/data', b'token')
    assert next(m.wait()).path == b'/local/domain/7/data'
    c.delete(b'/local/domain/7/data/t')
    assert next(m.wait()).path == b'/local/domain/7/data/t'
    try: c.read(b'/nothing')
    except pyxs.PyXSError as e: assert e.args[0] == 2, e
    else: raise AssertionError
";
    let xenstored = Xenstored::start(Options::default()).unwrap();
    let output = Command::new(PYTHON).args(["-c", script]).arg(xenstored.host_socket()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Two context switches and little more; the bound leaves room for a loaded machine.
#[test]
#[ignore = "needs xenstore-utils"]
fn a_round_trip_is_quick() {
    let xenstored = Xenstored::start(Options::default()).unwrap();
    let mut guest = xenstored.guest();
    let start = std::time::Instant::now();
    for _ in 0..2000 {
        guest.read("domid").unwrap();
    }
    let each = start.elapsed() / 2000;
    println!("{each:?} for each request");
    assert!(each < Duration::from_millis(1), "{each:?}");
}
