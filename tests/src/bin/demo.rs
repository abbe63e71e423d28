//! `cargo demo`: the real agent, an embedded xenstored and a host like nova's, on one page.
//!
//! Nothing of this machine is touched: the agent works below a root directory that goes when the demo ends, and so does
//! the agent. That is so, too, when whoever reads the page has read enough of it.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64ct::{Base64, Encoding};
use nanova_tests::agent::{Agent, binary};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::{Answer, Digest, crypt, encrypt};
use nanova_tests::xenstored::{Options, Xenstored};
use serde_json::json;

const PASSWORD: &str = "correct horse battery staple";
const KEYS: &str = "\n# The following ssh key was injected by Nova\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDemo demo\n";

/// Columns of a question and of an answer.
const QUESTION: usize = 30;
const ANSWER: usize = 58;

fn main() -> ExitCode {
    let Err(error) = show() else { return ExitCode::SUCCESS };
    if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    eprintln!("demo: {error:#}");
    ExitCode::FAILURE
}

/// Prints a line.
fn put(line: Arguments<'_>) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

fn show() -> Result<()> {
    let size = std::fs::metadata(binary())?.len();
    put(format_args!("nanova, {size} bytes, serving a host over an embedded xenstored\n"))?;
    let xenstored = Xenstored::start(Options::default())?;
    let root = GuestRoot::new()?;
    let before = root.files();
    let agent = Agent::on(&xenstored.guest_socket(), root.path());
    agent.wait_until_serving();
    let mut host = Host::of(&xenstored)?;

    put(format_args!("  {:<QUESTION$} {:<ANSWER$} {:>9}", "the host asks", "nanova answers", "time"))?;
    say(&mut host, "version \"agent\"", |host| host.ask("version", "agent"))?;
    say(&mut host, "features", |host| host.ask("features", ""))?;
    password(&mut host, &root)?;
    let file = Base64::encode_string(b"/etc/motd,Reset by the host.\n");
    say(&mut host, "injectfile /etc/motd", |host| host.ask("injectfile", file.as_str()))?.ok()?;
    let path = Base64::encode_string(b"/root/.ssh/authorized_keys");
    let value = json!({ "b64_path": path, "b64_file": Base64::encode_string(KEYS.as_bytes()) });
    say(&mut host, "file_inject …/authorized_keys", |host| host.ask("file_inject", value.clone()))?.ok()?;
    let malformed = say(&mut host, "{\"name\": \"version\"", |host| host.ask_raw("{\"name\": \"version\""))?;
    let unknown = say(&mut host, "make_coffee", |host| host.ask("make_coffee", "black"))?;
    ensure!((malformed.code.as_str(), unknown.code.as_str()) == ("500", "404"), "the errors have the wrong codes");

    put(format_args!("\nWhat changed on the guest's disk:"))?;
    for path in root.files() {
        let changed = !before.contains(&path) || ["etc/shadow", "etc/motd"].contains(&path.as_str());
        if changed && path != "etc/.pwd.lock" {
            let new = if before.contains(&path) { "" } else { ", new" };
            put(format_args!("  /{path:<40} mode {:04o}{new}", root.mode(&path)))?;
        }
    }
    let fields = root.shadow_of_root();
    ensure!(crypt(PASSWORD, &fields[1])? == fields[1], "crypt(3) does not accept the password that was set");
    put(format_args!("  root's new hash, which the C library's crypt(3) accepts: {}…", &fields[1][..24]))?;

    put(format_args!("\nWhat the agent logged (the last lines; no argument that could be a secret):"))?;
    let log = agent.log();
    ensure!(!log.contains(PASSWORD) && !log.contains("AAAAC3"), "a secret is in the log");
    for line in log.lines().rev().take(4).collect::<Vec<_>>().iter().rev() {
        put(format_args!("  {line}"))?;
    }
    put(format_args!("\nMemory of the agent: {} KiB at most.", agent.status_number("VmHWM")))
}

/// keyinit and password: two requests, the second encrypted by the real openssl.
fn password(host: &mut Host, root: &GuestRoot) -> Result<()> {
    let exchange = nanova_tests::nova::Exchange::new()?;
    let public = exchange.public();
    let theirs = say(host, "keyinit", |host| host.ask("keyinit", public.as_str()))?;
    ensure!(theirs.code == "D0", "keyinit was answered with {}", theirs.code);
    let secret = exchange.secret(&theirs.message)?;
    let encrypted = encrypt(format!("{PASSWORD}\n").as_bytes(), &secret, Digest::Sha256)?;
    say(host, "password (openssl, SHA-256)", |host| host.ask("password", encrypted.as_str()))?.ok()?;
    ensure!(root.shadow_of_root()[1].starts_with("$6$"), "the password was not set");
    Ok(())
}

/// Asks, and prints the question, the answer and how long it took.
fn say(host: &mut Host, question: &str, ask: impl Fn(&mut Host) -> Result<Answer>) -> Result<Answer> {
    let start = Instant::now();
    let answer = ask(host).with_context(|| format!("{question} was not answered"))?;
    let taken = millis(start.elapsed());
    let shown = format!("{} \"{}\"", answer.code, answer.message);
    let mut lines = wrapped(&shown).into_iter();
    put(format_args!("  {question:<QUESTION$} {:<ANSWER$} {taken:>6.2} ms", lines.next().unwrap_or_default()))?;
    lines.try_for_each(|line| put(format_args!("  {:<QUESTION$} {line}", "")))?;
    Ok(answer)
}

/// A text in lines that fit the column, behind commas where there are some.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(',') {
        if lines.last().is_some_and(|line| !line.is_empty() && line.len() + word.len() > ANSWER) {
            lines.push("   ".into());
        }
        lines.last_mut().into_iter().for_each(|line| line.push_str(word));
    }
    lines
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
