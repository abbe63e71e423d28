//! `cargo bench -p nanova-tests --bench instructions`: how many instructions the release binary takes, counted by
//! callgrind; fails if any count is more than 2 % above the one in `tests/benches/instructions.toml`.
//!
//! `-- --bless` writes the counts there, `-- --runs N` shows the spread over N runs (3 if nothing is said; the least of
//! them counts). Tools are counted from exec to exit. What the agent does is the difference to an agent that was not
//! asked for it. Nothing in the binary is made to stand still for this: the time, a pass phrase and a salt change paths
//! by less than a hundredth. valgrind knows no openat2(2), so the agent goes to files step by step, as it does where
//! the kernel is older than 5.6. The environment is empty, as its length counts. Needs valgrind, openssl, and root for
//! namespaces.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nanova_tests::agent::{Agent, binary};
use nanova_tests::host::Host;
use nanova_tests::nova::Digest;
use nanova_tests::scene::wait_until;
use nanova_tests::toolstack::{Guest, LINKS};
use nanova_tests::xenstored::{Layout, Options, Quotas, Xenstored};
use rustix::process::Signal;
use tempfile::TempDir;

/// By how much a count may be above the one in the file: a hundredth, twice.
const TOLERANCE: f64 = 0.02;
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.toml");
const HEAD: &str = "\
# Instructions of the release binary for x86_64, counted by callgrind. `.ci/run instructions` fails if one is 2 % more.
# Written by: cargo bench -p nanova-tests --bench instructions -- --bless
";
/// How many nodes are listed.
const NODES: usize = 500;
/// How often `version` is asked for, as one answer is less than what differs between two starts.
const VERSIONS: u64 = 20;
/// After how long without a request an agent is at rest.
const REST: Duration = Duration::from_millis(100);

/// The counts, by name.
type Counts = BTreeMap<String, u64>;

fn main() -> Result<()> {
    let (bless, runs) = options()?;
    let mut all = Vec::new();
    for _ in 0..runs {
        all.push(count_all()?);
    }
    let counts = least(&all);
    let known = if bless { Counts::new() } else { read_file()? };
    println!("{:<14} {:>12} {:>8} {:>12} {:>8}", "instructions", "least", "spread", "known", "change");
    let mut worse = Vec::new();
    for (name, count) in &counts {
        let most = all.iter().map(|counts| counts[name]).max().unwrap_or_default();
        let known = known.get(name).copied();
        let change = known.map(|known| *count as f64 / known as f64 - 1.0);
        let shown = [known.map(|known| known.to_string()), change.map(percent)].map(Option::unwrap_or_default);
        println!(
            "{name:<14} {count:>12} {:>8} {:>12} {:>8}",
            percent(most as f64 / *count as f64 - 1.0),
            shown[0],
            shown[1]
        );
        if !bless && change.is_none_or(|change| change > TOLERANCE) {
            worse.push(name.as_str());
        }
    }
    if bless {
        return write_file(&counts);
    }
    ensure!(
        worse.is_empty(),
        "more instructions than {FILE} says, or none there: {}; `-- --bless` if it has to be",
        worse.join(", ")
    );
    Ok(())
}

/// Whether to write the file, and how often to count.
fn options() -> Result<(bool, usize)> {
    let (mut bless, mut runs) = (false, 3);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--bless" => bless = true,
            "--runs" => runs = words.next().context("--runs: how many?")?.parse()?,
            // cargo's.
            "--bench" => {}
            other => bail!("{other}: --bless and --runs N are known"),
        }
    }
    ensure!(runs > 0, "--runs 0 counts nothing");
    Ok((bless, runs))
}

fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}

fn least(all: &[Counts]) -> Counts {
    let mut least = Counts::new();
    for (name, count) in all.iter().flatten() {
        least.entry(name.clone()).and_modify(|least| *least = (*least).min(*count)).or_insert(*count);
    }
    least
}

/// The file's lines, `name = number`.
fn read_file() -> Result<Counts> {
    let text = std::fs::read_to_string(FILE)?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, count) = line.split_once(" = ").with_context(|| format!("{FILE}: {line:?} is no count"))?;
            Ok((name.to_owned(), count.parse()?))
        })
        .collect()
}

fn write_file(counts: &Counts) -> Result<()> {
    let lines: String = counts.iter().map(|(name, count)| format!("{name} = {count}\n")).collect();
    std::fs::write(FILE, format!("{HEAD}{lines}"))?;
    println!("written: {FILE}");
    Ok(())
}

fn count_all() -> Result<Counts> {
    let mut counts = Counts::new();
    let mut add = |name: &str, count: u64| counts.insert(name.to_owned(), count);
    let xenstored = store()?;
    add("read", tool(&xenstored, &["read", "name"])?);
    add("write", tool(&xenstored, &["write", "data/key", "a value"])?);
    add("ls", tool(&xenstored, &["ls", "data"])?);
    let idle = agent(|_, _| Ok(()))?;
    add("start", idle);
    let version = agent(|xenstored, host| {
        (0..VERSIONS).try_for_each(|_| {
            wait_for_rest(xenstored);
            host.ask("version", "agent")?.ok().map(drop)
        })
    })?;
    add("version", version.saturating_sub(idle) / VERSIONS);
    let password = agent(|_, host| host.set_password("correct horse", Digest::Sha256)?.ok().map(drop))?;
    add("password", password.saturating_sub(idle));
    let reset = agent(|_, host| host.ask("resetnetwork", "")?.ok().map(drop))?;
    add("resetnetwork", reset.saturating_sub(idle));
    add("first-report", report()?);
    Ok(counts)
}

/// With a tree to list.
fn store() -> Result<Xenstored> {
    let quotas = Quotas { nodes: 1 << 20, node_size: 1 << 20, ..Quotas::default() };
    let xenstored = Xenstored::start(Options { quotas, ..Options::default() })?;
    let (mut host, home) = (xenstored.host(), xenstored.home());
    for number in 0..NODES {
        host.write(&format!("{home}/data/{}/{number}", number % 20), "a value of some length")?;
    }
    Ok(xenstored)
}

/// Where callgrind writes what it counted, one file a process.
struct Logs(TempDir);

impl Logs {
    fn new() -> Result<Logs> {
        Ok(Logs(tempfile::tempdir()?))
    }

    /// The words before those of a program.
    fn valgrind(&self) -> [String; 5] {
        let log = format!("--log-file={}/%p", self.0.path().display());
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--vgdb=no", &log].map(str::to_owned)
    }

    fn count(&self, process: u32) -> Result<u64> {
        let text = std::fs::read_to_string(self.0.path().join(process.to_string()))?;
        let count =
            text.lines().find_map(|line| line.split_once("Collected : ")).context("callgrind has counted nothing")?;
        Ok(count.1.trim().parse()?)
    }
}

/// A command without an environment.
fn bare_command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// `nanova xenstore …`, from exec to exit.
fn tool(xenstored: &Xenstored, words: &[&str]) -> Result<u64> {
    let logs = Logs::new()?;
    let [valgrind, options @ ..] = logs.valgrind();
    let mut command = bare_command(&valgrind);
    command.args(options).arg(binary()).arg("xenstore").args(words);
    command.env("XENSTORED_PATH", xenstored.guest_socket()).stdout(Stdio::null());
    let mut child = command.spawn().context("cannot start valgrind")?;
    ensure!(child.wait()?.success(), "{command:?} failed");
    logs.count(child.id())
}

/// A guest with two interfaces, and what vm-data says of the first.
fn guest() -> Result<Guest> {
    let guest = Guest::new(Layout::default())?;
    let home = guest.xenstored.home();
    let mut host = guest.xenstored.host();
    host.write(&format!("{home}/vm-data/hostname"), "web01")?;
    host.write(&format!("{home}/vm-data/networking/00163E000001"), NETWORK)?;
    Ok(guest)
}

const NETWORK: &str = r#"{"label": "public", "mac": "00:16:3E:00:00:01", "gateway": "10.0.0.1", "dns": ["10.0.0.2"],
    "ips": [{"ip": "10.0.0.5", "netmask": "255.255.255.0", "enabled": "1", "gateway": "10.0.0.1"}],
    "ip6s": [{"ip": "2001:db8::5", "netmask": 64, "enabled": "1", "gateway": "fe80::1"}],
    "routes": [{"route": "10.208.0.0", "netmask": "255.240.0.0", "gateway": "10.0.0.3"}]}"#;

/// nanova in namespaces of its own.
fn in_guest(guest: &Guest, logs: &Logs, call: &str) -> Command {
    let mut command = bare_command("unshare");
    let (xenbus, root): (PathBuf, &Path) = (guest.xenstored.guest_socket(), guest.root.path());
    let (valgrind, nanova) = (logs.valgrind().join(" "), binary().display());
    let call = format!("{valgrind} {nanova} {call} --xenbus {} --root {}", xenbus.display(), root.display());
    let mac = "ip link set eth0 address 00:16:3e:00:00:01";
    command.args(["--net", "--uts", "sh", "-ec", &format!("hostname web01; {LINKS}; {mac}\nexec {call}")]);
    command
}

/// An agent from exec to its end, which did this meanwhile. It publishes nothing: how often it would depends on when
/// the kernel is done with an address.
fn agent(work: impl FnOnce(&Xenstored, &mut Host) -> Result<()>) -> Result<u64> {
    let (guest, logs) = (guest()?, Logs::new()?);
    let mut host = Host::of(&guest.xenstored)?;
    let mut agent = Agent::spawn(in_guest(&guest, &logs, "agent --no-metrics"));
    agent.wait_until_serving();
    wait_for_rest(&guest.xenstored);
    work(&guest.xenstored, &mut host)?;
    wait_for_rest(&guest.xenstored);
    agent.signal(Signal::TERM);
    ensure!(agent.wait().success(), "the agent failed:\n{}", agent.log());
    logs.count(agent.pid())
}

/// Everything that a toolstack shows, once, from exec to exit.
fn report() -> Result<u64> {
    let (guest, logs) = (guest()?, Logs::new()?);
    let mut agent = Agent::spawn(in_guest(&guest, &logs, "report --once"));
    ensure!(agent.wait().success(), "the report failed:\n{}", agent.log());
    logs.count(agent.pid())
}

/// Waits until nothing more is asked for.
fn wait_for_rest(xenstored: &Xenstored) {
    let (mut before, mut since) = (None, Instant::now());
    wait_until("the agent is at rest", || {
        let stats = Some(xenstored.stats());
        if before != stats {
            (before, since) = (stats, Instant::now());
        }
        since.elapsed() > REST
    });
}
