//! `.ci/faults`: the real agent is killed, or refused something, at every system call of what the host asks of it, by
//! strace's injection; each time an agent that nothing befalls follows it. Prints a table, and what went wrong.
//!
//! | column | counts |
//! |---|---|
//! | runs | in which the fault came about |
//! | lost | a request without an answer, or with more than one |
//! | torn | a file that is neither the old one nor the new one, or something left lying about |
//! | wrong | an answer "0" for what was not done; an update that is taken back is answered so, and is none |

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nanova_tests::agent::{Agent, binary};
use nanova_tests::guest_root::{GuestRoot, SHADOW};
use nanova_tests::host::Host;
use nanova_tests::nova::{Answer, Digest, Exchange, crypt, encrypt};
use nanova_tests::scene::{Tally, path_and_contents};
use nanova_tests::xenstored::{Options, Xenstored};
use serde_json::json;

/// What befalls a system call: strace's name of an error, or `KILL`.
const FAULTS: [&str; 7] = ["KILL", "ENOSPC", "EIO", "EROFS", "EDQUOT", "ENOMEM", "EINTR"];
/// How long the agent that the fault befalls may take, and the one that follows it.
const PATIENCE: Duration = Duration::from_secs(15);
const PASSWORD: &str = "whole or not at all";
/// As many pieces of a download are looked at one by one; of those behind, each seventh.
const PIECES: usize = 24;
/// Not what an agent asks for: its end, and what a kernel does by itself.
const NOT_INJECTED: [&str; 4] = ["exit", "exit_group", "rt_sigreturn", "restart_syscall"];
/// What never fails, so that a failure is none of the kernel's.
const NEVER_FAILS: [&str; 5] = ["clock_gettime", "getpid", "getppid", "geteuid", "umask"];
const LINKS: &str =
    "ip link add eth0 address 02:00:00:00:00:01 type veth peer name peer0; ip link set peer0 up; ip link set lo up\n";
const VM_DATA: &str = r#"{"label":"public","mac":"02:00:00:00:00:01","gateway":"192.0.2.1","dns":["192.0.2.53"],
    "ips":[{"ip":"192.0.2.5","netmask":"255.255.255.0"}],"ip6s":[{"ip":"2001:db8::5","netmask":64}]}"#;
/// Files of the network, which a reset writes anew.
const NETWORK_FILES: [&str; 4] = ["etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/network/interfaces"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scenario {
    Password,
    InjectOver,
    InjectNew,
    ResetNetwork,
    AgentUpdate,
    DropIn,
    Volumes,
}

use Scenario::{AgentUpdate, DropIn, InjectNew, InjectOver, Password, ResetNetwork, Volumes};
const SCENARIOS: [Scenario; 7] = [Password, InjectOver, InjectNew, ResetNetwork, AgentUpdate, DropIn, Volumes];

impl Scenario {
    /// Whether the agent's root is the namespace's own, as what it does is done nowhere else.
    fn has_own_root(self) -> bool {
        matches!(self, AgentUpdate | DropIn)
    }

    /// Whether children's calls count, which are numbered from their own beginning.
    fn has_errand(self) -> bool {
        matches!(self, AgentUpdate | DropIn | Volumes)
    }
}

/// How long a request that was sent may be on its way to xenstored.
const TAKEN_IN: Duration = Duration::from_millis(30);

/// What all runs have.
struct Bench {
    new_agent: Vec<u8>,
    sum: String,
    server: SocketAddr,
    /// The network's files when a reset was done.
    network: BTreeMap<String, String>,
}

impl Bench {
    fn new() -> Result<Bench> {
        let new_agent = [fs::read(binary())?, b"another one".to_vec()].concat();
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), &new_agent)?;
        let output = Command::new("sha256sum").arg(file.path()).output()?;
        let sum = String::from_utf8(output.stdout)?.split(' ').next().context("a sum")?.to_owned();
        let server = serve(new_agent.clone())?;
        let mut bench = Bench { new_agent, sum, server, network: BTreeMap::new() };
        let mut run = Run::new(&bench, ResetNetwork)?;
        run.start("exec");
        run.perform()?;
        bench.network = run.network_files();
        Ok(bench)
    }
}

/// Serves a file for the rest of the process.
fn serve(file: Vec<u8>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (mut stream, mut request) = (stream, [0; 2048]);
            let _ = stream.read(&mut request);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len());
            let _ = stream.write_all(&file);
        }
    });
    Ok(at)
}

/// What became of a request and of a file.
#[derive(Debug, Default)]
struct Outcome {
    came: bool,
    lost: Vec<String>,
    torn: Vec<String>,
    wrong: Vec<String>,
}

/// A guest in which one scenario takes place.
struct Run<'b> {
    bench: &'b Bench,
    scenario: Scenario,
    host: Host,
    agent: Option<Agent>,
    root: GuestRoot,
    tally: Tally,
    xenstored: Xenstored,
    /// What was asked, and what strace saw.
    ids: Vec<&'static str>,
}

impl<'b> Run<'b> {
    fn new(bench: &'b Bench, scenario: Scenario) -> Result<Run<'b>> {
        let (xenstored, root) = (Xenstored::start(Options::default())?, GuestRoot::new()?);
        prepare(scenario, &root)?;
        if scenario == ResetNetwork {
            let (home, mut host) = (xenstored.home(), xenstored.host());
            host.write(&format!("{home}/vm-data/hostname"), "web01")?;
            host.write(&format!("{home}/vm-data/networking/020000000001"), VM_DATA)?;
        }
        let (host, tally) = (Host::of(&xenstored)?, Tally::of(&xenstored)?);
        Ok(Run { bench, scenario, host, agent: None, root, tally, xenstored, ids: Vec::new() })
    }

    /// Starts the agent by this command, such as `exec strace …`.
    fn start(&mut self, by: &str) {
        self.agent = Some(self.agent(by, ""));
    }

    fn agent(&self, by: &str, options: &str) -> Agent {
        let (root, socket) = (self.root.path().display(), self.xenstored.guest_socket());
        let metrics = if self.scenario == Volumes { "" } else { "--no-metrics" };
        let options = format!("agent {options} {metrics} --xenbus {}", socket.display());
        let (namespaces, script): (&[&str], String) = match self.scenario {
            scenario if scenario.has_own_root() => (
                &["--mount"],
                format!("mount --bind {root}/etc /etc; mount --bind {root}/run /run; {by} {root}/bin/nanova {options}"),
            ),
            ResetNetwork => (
                &["--net", "--uts"],
                format!("{LINKS}{by} {} {options} --network both --root {root}", binary().display()),
            ),
            _ => (&[], format!("{by} {} {options} --root {root}", binary().display())),
        };
        let mut command = Command::new(if namespaces.is_empty() { "sh" } else { "unshare" });
        command.args(namespaces);
        if !namespaces.is_empty() {
            command.arg("sh");
        }
        command.args(["-ec", &script]);
        Agent::spawn(command)
    }

    /// The agent is watched by strace with these options; what that sees goes to a file.
    fn start_watched(&mut self, options: &str, trace: &Path) {
        self.start(&format!("exec strace -D -f -qq -b execve -o {} {options}", trace.display()));
    }

    fn is_running(&mut self) -> bool {
        self.agent.as_mut().is_some_and(Agent::is_running)
    }

    /// Sends a request and waits for its answer, or the agent's end.
    fn ask(&mut self, id: &'static str, name: &str, value: serde_json::Value) -> Result<Option<Answer>> {
        self.host.send(id, json!({ "name": name, "value": value }).to_string())?;
        self.ids.push(id);
        let end = Instant::now() + PATIENCE;
        loop {
            let runs = self.is_running();
            if let Some(answer) = self.answer(id)? {
                return Ok(Some(answer));
            }
            if !runs || Instant::now() > end {
                // What was sent right before the kill may not have been taken in yet.
                thread::sleep(TAKEN_IN);
                return self.answer(id);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn answer(&mut self, id: &str) -> Result<Option<Answer>> {
        let path = self.host.path(&format!("data/guest/{id}"));
        self.host.client().get(&path)?.map(|text| Answer::parse(&text)).transpose()
    }

    /// What is before the command: a key, if it takes one. The pass phrase, if there is one.
    fn exchange(&mut self) -> Result<Option<String>> {
        if self.scenario != Password {
            return Ok(Some(String::new()));
        }
        let exchange = Exchange::new()?;
        let answer = self.ask("key", "keyinit", exchange.public().into())?;
        answer.filter(|answer| answer.code == "D0").map(|answer| exchange.secret(&answer.message)).transpose()
    }

    /// The command.
    fn command(&mut self, phrase: &str) -> Result<Option<Answer>> {
        let (name, value) = match self.scenario {
            Password => ("password", encrypt(PASSWORD.as_bytes(), phrase, Digest::Sha256)?),
            InjectOver => ("injectfile", path_and_contents("/etc/motd", contents())),
            InjectNew => ("injectfile", path_and_contents("/srv/new/directory/file", contents())),
            ResetNetwork => ("resetnetwork", String::new()),
            AgentUpdate => ("agentupdate", format!("http://{}/agent,{}", self.bench.server, self.bench.sum)),
            DropIn => ("mine", "a value".to_owned()),
            Volumes => ("version", String::new()),
        };
        let answer = self.ask("command", name, value.into())?;
        let end = Instant::now() + PATIENCE;
        // What goes on behind the answer: a new agent takes its place, volumes answer.
        while self.is_running() && Instant::now() < end && !self.is_over(answer.as_ref())? {
            thread::sleep(Duration::from_millis(2));
        }
        Ok(answer)
    }

    fn is_over(&mut self, answer: Option<&Answer>) -> Result<bool> {
        let log = || self.agent.as_ref().map(Agent::log).unwrap_or_default();
        Ok(match self.scenario {
            AgentUpdate => {
                let log = log();
                let settled = ["the new agent serves", "the update is taken back"];
                answer.is_none_or(|answer| answer.code != "0") || settled.iter().any(|words| log.contains(words))
            }
            Volumes => {
                let log = log();
                let path = self.host.path("data/volumes/1/name");
                let said = ["cannot be looked at", "does not answer", "volumes stays", "cannot publish", "cannot read"];
                self.host.client().get(&path)?.is_some() || said.iter().any(|words| log.contains(words))
            }
            _ => true,
        })
    }

    fn perform(&mut self) -> Result<Option<Answer>> {
        let Some(phrase) = self.exchange()? else { return Ok(None) };
        self.command(&phrase)
    }

    /// The agent is ended, if it is there still; another one serves what waits, and tidies up.
    fn follow(&mut self) -> Result<()> {
        self.agent = None;
        let mut next = self.agent("exec", "--once");
        let end = Instant::now() + PATIENCE;
        while next.is_running() {
            ensure!(Instant::now() < end, "the agent that follows does not end: {}", next.log());
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn network_files(&self) -> BTreeMap<String, String> {
        let files = self.root.files().into_iter().filter(|file| file.starts_with("etc/") && !is_side_file(file));
        files.map(|file| (file.clone(), self.root.text(&file))).collect()
    }

    /// Whether what was asked for is done; wrong if it is half done.
    fn is_done(&self) -> Result<bool> {
        let old_or_new = |path: &str, old: Option<&str>, new: &str| -> Result<bool> {
            match fs::read_to_string(self.root.join(path)).ok().as_deref() {
                text if text == old => Ok(false),
                Some(text) if text == new => Ok(true),
                text => bail!("{path} is {text:?}"),
            }
        };
        match self.scenario {
            Password => {
                let text = self.root.text("etc/shadow");
                if text == SHADOW {
                    return Ok(false);
                }
                let (line, rest) = text.split_once('\n').context("lines")?;
                let field = line.split(':').nth(1).context("fields")?;
                ensure!(SHADOW.ends_with(rest) && rest.lines().count() == 3, "{text}");
                ensure!(crypt(PASSWORD, field)? == field, "{line}");
                Ok(true)
            }
            InjectOver => old_or_new("etc/motd", Some("Welcome.\n"), &contents()),
            InjectNew => old_or_new("srv/new/directory/file", None, &contents()),
            ResetNetwork => {
                let (files, new) = (self.network_files(), &self.bench.network);
                for (file, text) in &files {
                    let old = NETWORK_FILES.contains(&file.as_str()) && text == "# old\n";
                    let kept = !NETWORK_FILES.contains(&file.as_str()) && !new.contains_key(file);
                    ensure!(new.get(file) == Some(text) || old || kept, "{file} is {text:?}");
                }
                ensure!(NETWORK_FILES.iter().all(|file| files.contains_key(*file)), "a file is gone: {files:?}");
                Ok(files == *new)
            }
            AgentUpdate => {
                let file = fs::read(self.root.join("bin/nanova"))?;
                ensure!(file == self.bench.new_agent || file == fs::read(binary())?, "{} bytes", file.len());
                Ok(file == self.bench.new_agent)
            }
            DropIn => Ok(fs::read_to_string(self.root.join("run/said")).is_ok_and(|said| said.contains("done"))),
            Volumes => Ok(true),
        }
    }

    /// Whether an update that was answered was taken back: said, or by a kill before the new agent served.
    fn is_taken_back(&mut self) -> bool {
        let said = self.agent.as_ref().is_some_and(|agent| agent.log().contains("the update is taken back"));
        self.scenario == AgentUpdate && (said || !self.is_running())
    }

    /// Looks at everything, twice: before another agent comes, and when that has served.
    fn judge(&mut self, first: Option<&Answer>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let say = |list: &mut Vec<String>, why: String| list.push(why);
        if self.scenario == Volumes {
            for number in 0..2 {
                let node = |run: &mut Run<'_>, key: &str| {
                    let path = run.host.path(&format!("data/volumes/{number}/{key}"));
                    run.host.client().get(&path)
                };
                let named = node(self, "name")?.is_some();
                if named && node(self, "size")?.is_none_or(|size| size.parse::<i64>().is_err()) {
                    say(&mut outcome.torn, format!("volume {number} has no size"));
                }
            }
        }
        match self.is_done() {
            Ok(done) if !done && first.is_some_and(|answer| answer.code == "0") && !self.is_taken_back() => {
                say(&mut outcome.wrong, format!("{first:?}"));
            }
            Ok(_) => {}
            Err(why) => say(&mut outcome.torn, format!("{why:#}")),
        }
        if let Err(why) = self.follow() {
            say(&mut outcome.lost, format!("{why:#}"));
        }
        let ids = self.ids.clone();
        for id in ids {
            match (self.answer(id)?, self.tally.changes()?.get(id).copied().unwrap_or_default()) {
                (None, _) => say(&mut outcome.lost, format!("no answer to {id}")),
                (Some(answer), 1) if first.is_none() && id == "command" && answer.code == "0" => {
                    if !self.is_done().unwrap_or(true) {
                        say(&mut outcome.wrong, format!("the agent that follows: {answer:?}"));
                    }
                }
                (Some(_), 1) => {}
                (Some(answer), times) => say(&mut outcome.lost, format!("{id} was answered {times} times: {answer:?}")),
            }
            let request = self.host.path(&format!("data/host/{id}"));
            if self.host.client().get(&request)?.is_some() {
                say(&mut outcome.lost, format!("the request {id} stays"));
            }
        }
        if let Err(why) = self.is_done() {
            say(&mut outcome.torn, format!("behind the agent that follows: {why:#}"));
        }
        let left = |file: &String| {
            file.contains(".nanova.new") || file.ends_with(".nanova.update") || file.ends_with(".nanova.copy")
        };
        let left: Vec<_> = self.root.files().into_iter().filter(left).collect();
        if !left.is_empty() {
            say(&mut outcome.torn, format!("left: {left:?}"));
        }
        Ok(outcome)
    }
}

fn is_side_file(file: &str) -> bool {
    file.ends_with(".bak~") || file.contains(".nanova.")
}

/// What becomes a file's contents: as much of it as a request has room for, or nearly.
fn contents() -> String {
    "a line of the new contents\n".repeat(100)
}

/// What a guest has before.
fn prepare(scenario: Scenario, root: &GuestRoot) -> Result<()> {
    let executable = |path: &str| fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o755));
    match scenario {
        ResetNetwork => {
            // By its sign the guest is one of ifupdown's.
            fs::create_dir(root.join("sbin"))?;
            fs::write(root.join("sbin/ifup"), "")?;
            executable("sbin/ifup")?;
            fs::create_dir(root.join("etc/network"))?;
            for file in NETWORK_FILES {
                fs::write(root.join(file), "# old\n")?;
            }
        }
        AgentUpdate | DropIn => {
            fs::create_dir(root.join("bin"))?;
            fs::copy(binary(), root.join("bin/nanova"))?;
            fs::create_dir_all(root.join("etc/nanova/commands.d"))?;
            let program = "etc/nanova/commands.d/mine";
            fs::write(root.join(program), "#!/bin/sh\ncat >/run/value && echo done >>/run/said && echo said\n")?;
            executable(program)?;
        }
        Volumes => {
            fs::create_dir_all(root.join("proc/self"))?;
            fs::create_dir_all(root.join("mnt/good"))?;
            fs::write(root.join("proc/meminfo"), "MemTotal: 1000 kB\nMemAvailable: 900 kB\n")?;
            let mounts = "22 1 202:1 / / rw - ext4 /dev/xvda1 rw\n29 22 202:33 / /mnt/good rw - ext4 /dev/xvdc1 rw\n";
            fs::write(root.join("proc/self/mountinfo"), mounts)?;
        }
        Password | InjectOver | InjectNew => {}
    }
    Ok(())
}

/// How often each call was made by each process: `PID name(…`.
fn counts(trace: &Path) -> BTreeMap<(String, String), usize> {
    let text = fs::read(trace).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let Some((process, rest)) = line.trim_start().split_once(' ') else { continue };
        let Some((name, _)) = rest.trim_start().split_once('(') else { continue };
        if !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
            *counts.entry((process.to_owned(), name.to_owned())).or_default() += 1;
        }
    }
    counts
}

/// The system calls of a scenario: a name, and which of that name.
fn calls(bench: &Bench, scenario: Scenario) -> Result<BTreeSet<(String, usize)>> {
    let trace = tempfile::NamedTempFile::new()?;
    let mut run = Run::new(bench, scenario)?;
    run.start_watched("", trace.path());
    let main = run.agent.as_ref().context("an agent")?.pid().to_string();
    let phrase = run.exchange()?.context("nothing befalls it")?;
    if scenario != Volumes {
        run.agent.as_ref().context("an agent")?.wait_until_serving();
    }
    let before = counts(trace.path());
    run.command(&phrase)?.context("nothing befalls it")?;
    ensure!(run.is_done()?, "{scenario:?} without a fault is not done");
    let after = counts(trace.path());
    let mut calls = BTreeSet::new();
    for ((process, name), count) in after.iter().filter(|((_, name), _)| !NOT_INJECTED.contains(&name.as_str())) {
        let of_errand = scenario.has_errand() && *process != main;
        // Those of the start belong to nothing that was asked, but for volumes, which nobody asks for.
        let key = (process.clone(), name.clone());
        let skipped = if of_errand || scenario == Volumes { 0 } else { before.get(&key).copied().unwrap_or_default() };
        let wanted = |nth: &usize| *nth <= PIECES || scenario != AgentUpdate || nth.is_multiple_of(7);
        calls.extend((skipped + 1..=*count).filter(wanted).map(|nth| (name.clone(), nth)));
    }
    Ok(calls)
}

/// One run, in which this befalls that call.
fn run(bench: &Bench, scenario: Scenario, name: &str, nth: usize, fault: &str) -> Result<Outcome> {
    let trace = tempfile::NamedTempFile::new()?;
    let what = if fault == "KILL" { "signal=KILL".to_owned() } else { format!("error={fault}") };
    let mut run = Run::new(bench, scenario)?;
    run.start_watched(&format!("-e trace={name} -e inject={name}:{what}:when={nth}"), trace.path());
    let answer = run.perform()?;
    let mut outcome = run.judge(answer.as_ref())?;
    let seen = fs::read_to_string(trace.path()).unwrap_or_default();
    outcome.came = seen.contains("(INJECTED)") || fault == "KILL" && seen.contains("killed by SIGKILL");
    Ok(outcome)
}

fn main() -> Result<()> {
    let (mut every, mut seed, mut wanted) = (1, 0, String::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--every" => every = value.parse().context("--every")?,
            "--seed" => seed = value.parse().context("--seed")?,
            "--scenario" => wanted = value,
            _ => bail!("unknown option {word}"),
        }
    }
    ensure!(every > 0, "--every needs a number from 1 on");
    let bench = Bench::new()?;
    let mut all = Vec::new();
    for scenario in SCENARIOS.into_iter().filter(|scenario| format!("{scenario:?}").contains(&wanted)) {
        for (name, nth) in calls(&bench, scenario)? {
            let faults = if NEVER_FAILS.contains(&name.as_str()) { &FAULTS[..1] } else { &FAULTS };
            all.extend(faults.iter().map(|fault| (scenario, name.clone(), nth, *fault)));
        }
    }
    let chosen: Vec<_> =
        all.iter().enumerate().filter(|(place, _)| (place + seed) % every == 0).map(|(_, one)| one).collect();
    println!("{} of {} faults", chosen.len(), all.len());
    let (next, table) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<(Scenario, usize), [usize; 4]>::new()));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((scenario, name, nth, fault)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = run(&bench, *scenario, name, *nth, fault).unwrap_or_else(|why| Outcome {
                        came: true,
                        lost: vec![format!("{why:#}")],
                        ..Outcome::default()
                    });
                    for (what, why) in [("lost", &outcome.lost), ("torn", &outcome.torn), ("wrong", &outcome.wrong)] {
                        why.iter().for_each(|why| println!("{what}: {scenario:?}, {fault} at {name} {nth}: {why}"));
                    }
                    let place = FAULTS.iter().position(|one| one == fault).unwrap_or_default();
                    let mut table = table.lock().expect("nobody panics");
                    let row = table.entry((*scenario, place)).or_default();
                    let lists =
                        [&outcome.lost, &outcome.torn, &outcome.wrong].map(|list| usize::from(!list.is_empty()));
                    let figures = [usize::from(outcome.came), lists[0], lists[1], lists[2]];
                    row.iter_mut().zip(figures).for_each(|(sum, one)| *sum += one);
                }
            });
        }
    });
    print_table(&table.into_inner().expect("nobody panics"))
}

fn print_table(table: &BTreeMap<(Scenario, usize), [usize; 4]>) -> Result<()> {
    println!("\n{:<13} {:<7} {:>6} {:>5} {:>5} {:>6}", "scenario", "fault", "runs", "lost", "torn", "wrong");
    let mut sum = [0; 4];
    for ((scenario, fault), [runs, lost, torn, wrong]) in table {
        let (scenario, fault) = (format!("{scenario:?}"), FAULTS[*fault]);
        println!("{scenario:<13} {fault:<7} {runs:>6} {lost:>5} {torn:>5} {wrong:>6}");
        sum.iter_mut().zip([runs, lost, torn, wrong]).for_each(|(sum, one)| *sum += one);
    }
    let [runs, lost, torn, wrong] = sum;
    println!("{:<13} {:<7} {runs:>6} {lost:>5} {torn:>5} {wrong:>6}", "all", "");
    ensure!(lost + torn + wrong == 0, "{} runs went wrong", lost + torn + wrong);
    Ok(())
}
