//! The agent is killed at every system call of a command, one after the other: each time the old file or the new one is
//! there, whole, the next agent answers what waits, and nothing is left lying about. (A mount point is whole as soon as
//! that next agent serves.)

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};
use nanova_core::wire::sha256::sha256;
use nanova_tests::agent::{Agent, binary};
use nanova_tests::guest_root::{GuestRoot, SHADOW};
use nanova_tests::host::Host;
use nanova_tests::nova::{Answer, Digest, Exchange, crypt, encrypt, uuid};
use nanova_tests::scene::{base64, path_and_contents, wait_until};
use nanova_tests::strace;
use nanova_tests::xenstored::{Options, Xenstored};
use serde_json::json;
use tempfile::NamedTempFile;

const PASSWORD: &str = "whole or not at all";
/// More kills at one kind of call than any command has of it.
const KILLS_MAX: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    Password,
    /// Over an existing file.
    Inject,
    /// With directories to make.
    InjectNew,
    /// The same in two parts, of which the second publishes it.
    InjectInParts,
    /// Where /etc/shadow is a mount point.
    PasswordMounted,
    /// Over a mount point that holds more.
    InjectMounted,
}

impl Job {
    fn sets_password(self) -> bool {
        matches!(self, Job::Password | Job::PasswordMounted)
    }

    /// The file that the guest sees.
    fn file(self) -> &'static str {
        match self {
            Job::Password | Job::PasswordMounted => "/etc/shadow",
            Job::Inject | Job::InjectInParts | Job::InjectMounted => "/etc/motd",
            Job::InjectNew => "/srv/new/directory/file",
        }
    }

    /// What is mounted there.
    fn mounted(self) -> Option<&'static str> {
        match self {
            Job::PasswordMounted => Some("/persist/shadow"),
            Job::InjectMounted => Some("/persist/motd"),
            _ => None,
        }
    }

    /// What an existing file holds before.
    fn before(self) -> String {
        match self {
            Job::Password | Job::PasswordMounted => SHADOW.to_owned(),
            Job::InjectMounted => "a line of the old contents, which are longer\n".repeat(100),
            _ => "Welcome.\n".to_owned(),
        }
    }
}

/// What becomes the file's contents: longer than a page.
fn contents() -> String {
    "a line of the new contents\n".repeat(100)
}

/// A part of them: the first, or the second and last.
fn part(path: &str, last: bool) -> serde_json::Value {
    const PART: usize = 2000;
    let contents = contents();
    let (first, second) = contents.as_bytes().split_at(PART);
    json!({
        "b64_path": base64(path),
        "b64_file": base64(if last { second } else { first }),
        "offset": if last { PART } else { 0 },
        "size": contents.len(),
        "b64_sha256": base64(sha256(&[contents.as_bytes()])),
    })
}

/// A guest with an agent that strace watches.
struct Run {
    job: Job,
    host: Host,
    agent: Agent,
    root: GuestRoot,
    xenstored: Xenstored,
    /// The requests that were sent.
    ids: Vec<String>,
}

/// Starts a command that becomes the agent, where the job's file is mounted if it is to be.
fn start(job: Job, mut command: Command, xenstored: &Xenstored, root: &GuestRoot) -> Agent {
    command.arg("agent").arg("--xenbus").arg(xenstored.guest_socket()).arg("--root").arg(root.path());
    let Some(mounted) = job.mounted() else { return Agent::spawn(command) };
    let mut outer = Command::new("unshare");
    outer.args(["--mount", "sh", "-ec", "mount --bind $1 $2; shift 2; exec \"$@\"", "sh"]);
    outer.arg(root.join(mounted)).arg(root.join(job.file())).arg(command.get_program()).args(command.get_args());
    Agent::spawn(outer)
}

impl Run {
    fn new(job: Job, strace_options: &[&str]) -> Result<Run> {
        let xenstored = Xenstored::start(Options::default())?;
        let root = GuestRoot::new()?;
        if let Some(mounted) = job.mounted() {
            fs::create_dir(root.join("/persist"))?;
            fs::write(root.join(mounted), job.before())?;
        }
        let agent = start(job, strace::nanova(strace_options), &xenstored, &root);
        Ok(Run { job, host: Host::of(&xenstored)?, agent, root, xenstored, ids: Vec::new() })
    }

    /// Sends a request; its answer, or nothing if the agent has died before.
    fn ask(&mut self, name: &str, value: serde_json::Value) -> Result<Option<Answer>> {
        let id = uuid()?;
        self.host.send(&id, json!({ "name": name, "value": value }).to_string())?;
        self.ids.push(id.clone());
        let mut over = false;
        wait_until("the agent answers or dies", || {
            over = !self.agent.is_running();
            over || self.host.readable(&id).is_ok_and(|answer| answer.is_some())
        });
        // Killed behind the answer, its request stays until the next start.
        self.host.readable(&id)
    }

    /// Everything before the command: a key, if it needs one, or the first part. The pass phrase, or nothing if the
    /// agent has died.
    fn prepare(&mut self) -> Result<Option<String>> {
        if self.job == Job::InjectInParts {
            let first = self.ask("file_inject", part(self.job.file(), false))?;
            return Ok(first.map(|_| String::new()));
        }
        let (exchange, name) = (Exchange::new()?, if self.job.sets_password() { "keyinit" } else { "version" });
        let Some(answer) = self.ask(name, exchange.public().into())? else { return Ok(None) };
        if self.job.sets_password() { exchange.secret(&answer.message).map(Some) } else { Ok(Some(String::new())) }
    }

    /// The command itself.
    fn perform(&mut self, phrase: &str) -> Result<Option<Answer>> {
        match self.job {
            Job::Password | Job::PasswordMounted => {
                let message = encrypt(PASSWORD.as_bytes(), phrase, Digest::Sha256)?;
                self.ask("password", message.into())
            }
            Job::InjectInParts => self.ask("file_inject", part(self.job.file(), true)),
            job => self.ask("injectfile", path_and_contents(job.file(), contents()).into()),
        }
    }

    /// Whether the new file is there; if not, the old one must be.
    fn is_new(&self) -> Result<bool> {
        let file = self.root.join(self.job.mounted().unwrap_or(self.job.file()));
        let Ok(text) = fs::read_to_string(&file) else {
            ensure!(self.job == Job::InjectNew && !file.exists(), "{} is gone", self.job.file());
            return Ok(false);
        };
        match self.job {
            _ if self.job != Job::InjectNew && text == self.job.before() => Ok(false),
            Job::Password | Job::PasswordMounted => {
                let (line, rest) = text.split_once('\n').context("lines")?;
                let field = line.split(':').nth(1).context("fields")?;
                ensure!(crypt(PASSWORD, field)? == field, "{line}");
                ensure!(SHADOW.ends_with(rest) && rest.lines().count() == 3, "{text}");
                Ok(true)
            }
            _ => {
                ensure!(text == contents(), "{text}");
                Ok(true)
            }
        }
    }

    /// What the next agent makes of it.
    fn restart(&mut self) -> Result<()> {
        self.agent = start(self.job, Command::new(binary()), &self.xenstored, &self.root);
        for id in self.ids.clone() {
            let answer = self.host.wait_answer(&id)?;
            // A key and a part go with the agent that had them.
            let lost_key = answer.message == "Password without key exchange";
            let lost = lost_key || self.job == Job::InjectInParts && answer.message.contains("part");
            ensure!(["0", "D0"].contains(&answer.code.as_str()) || lost, "{answer:?}");
        }
        if self.job.mounted().is_some() {
            self.agent.wait_until_serving();
            self.host.ask("version", "")?.ok()?;
            self.is_new().context("the next agent serves")?;
        }
        if self.job.sets_password() {
            self.host.set_password(PASSWORD, Digest::Sha256)?.ok()?;
        } else if self.job == Job::InjectInParts {
            for last in [false, true] {
                self.host.ask("file_inject", part(self.job.file(), last))?.ok()?;
            }
        } else if !self.is_new()? {
            // It died before the command was sent.
            self.host.ask("injectfile", path_and_contents(self.job.file(), contents()))?.ok()?;
        }
        ensure!(self.is_new()?, "the second agent did not do it");
        let files = self.root.files();
        ensure!(files.iter().all(|file| !file.contains(".nanova.new")), "{files:?}");
        let backups: Vec<_> = files.iter().filter(|file| file.ends_with(".bak~")).collect();
        let keeps = matches!(self.job, Job::Inject | Job::InjectInParts | Job::InjectMounted);
        ensure!(backups.is_empty() != keeps, "{files:?}");
        for backup in backups {
            ensure!(self.root.text(backup) == self.job.before(), "{backup} is not the old file");
        }
        Ok(())
    }
}

/// How often each system call was made before the command, and how often when it was done.
fn baseline(job: Job) -> Result<(BTreeMap<String, usize>, BTreeMap<String, usize>)> {
    let trace = NamedTempFile::new()?;
    let path = trace.path().to_str().context("text")?;
    let mut run = Run::new(job, &["-o", path])?;
    let phrase = run.prepare()?.context("nobody kills it")?;
    let before = strace::count(&strace::calls(trace.path()));
    run.perform(&phrase)?.context("nobody kills it")?.ok()?;
    let after = strace::count(&strace::calls(trace.path()));
    Ok((before, after))
}

/// Kills the agent at the nth call of this name. Whether it came to that.
fn kill_at(job: Job, name: &str, nth: usize) -> Result<bool> {
    let inject = format!("inject={name}:signal=KILL:when={nth}");
    let mut run = Run::new(job, &["-o", "/dev/null", "-e", &inject])?;
    if let Some(phrase) = run.prepare()?
        && run.perform(&phrase)?.is_some()
        && run.agent.is_running()
    {
        return Ok(false);
    }
    if job.mounted().is_none() {
        run.is_new().with_context(|| format!("killed at {name} {nth}"))?;
    }
    run.restart().with_context(|| format!("after a kill at {name} {nth}"))?;
    Ok(true)
}

fn kill_everywhere(job: Job) -> Result<()> {
    let (before, after) = baseline(job)?;
    let during: Vec<_> = after.iter().filter(|(name, count)| before.get(*name).is_none_or(|b| b < count)).collect();
    ensure!(during.iter().any(|(name, _)| name.starts_with("renameat")), "{after:?}");
    let mut kills = 0;
    for (name, _) in during {
        let first = before.get(name).copied().unwrap_or_default() + 1;
        for nth in first..first + KILLS_MAX {
            if !kill_at(job, name, nth)? {
                break;
            }
            kills += 1;
        }
    }
    println!("{job:?}: killed at {kills} places");
    assert!(kills > 20, "{kills} kills are too few for a command");
    Ok(())
}

#[test]
#[ignore = "needs strace"]
fn a_password_is_set_or_not() -> Result<()> {
    kill_everywhere(Job::Password)
}

#[test]
#[ignore = "needs strace"]
fn a_file_is_replaced_or_not() -> Result<()> {
    kill_everywhere(Job::Inject)
}

#[test]
#[ignore = "needs strace"]
fn a_file_in_parts_is_replaced_or_not() -> Result<()> {
    kill_everywhere(Job::InjectInParts)
}

#[test]
#[ignore = "needs strace"]
fn a_file_is_made_or_not() -> Result<()> {
    kill_everywhere(Job::InjectNew)
}

#[test]
#[ignore = "needs root and strace"]
fn a_password_where_shadow_is_a_mount_point_is_set_or_not_by_the_next_start() -> Result<()> {
    kill_everywhere(Job::PasswordMounted)
}

#[test]
#[ignore = "needs root and strace"]
fn a_mount_point_is_overwritten_or_not_by_the_next_start() -> Result<()> {
    kill_everywhere(Job::InjectMounted)
}

#[test]
fn an_agent_that_is_killed_at_any_moment_loses_no_request() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let root = GuestRoot::new()?;
    let mut host = Host::of(&xenstored)?;
    for round in 0..20 {
        let ids = (0..5).map(|_| uuid()).collect::<Result<Vec<_>>>()?;
        for (place, id) in ids.iter().enumerate() {
            let argument = path_and_contents(&format!("/etc/file-{place}"), format!("round {round}\n"));
            host.send(id, json!({ "name": "injectfile", "value": argument }).to_string())?;
        }
        let agent = Agent::on(&xenstored.guest_socket(), root.path());
        // Wherever it is by now; later in each round.
        for _ in 0..round * 20 {
            thread::yield_now();
        }
        drop(agent);
        for place in 0..5 {
            let whole = |text: &str| text == format!("round {round}\n") || text == format!("round {}\n", round - 1);
            let file = fs::read_to_string(root.join(&format!("/etc/file-{place}")));
            assert!(file.map_or(round == 0, |text| whole(&text)), "round {round}");
        }
        let _next = Agent::on(&xenstored.guest_socket(), root.path());
        for id in &ids {
            assert_eq!(host.wait_answer(id)?.code, "0");
        }
        assert!((0..5).all(|place| root.text(&format!("/etc/file-{place}")) == format!("round {round}\n")));
        assert!(root.files().iter().all(|file| !file.contains(".nanova.new")));
    }
    Ok(())
}
