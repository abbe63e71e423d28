//! nova's commands to the standing guest.
//!
//! Guarantees: what an answer claims is checked where it shows: files and hashes by the observer in the guest, the hash
//! by the C library's crypt, the version by the binary itself. Refuses an answer that is doubled or not JSON.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64ct::{Base64, Encoding};
use serde_json::json;

use super::super::bench::Bench;
use super::super::mailbox::{self, alive};
use super::super::report::Outcome;
use super::super::tools;
use super::passed;
use crate::nova::{Digest, crypt};

/// How many requests a burst has.
const REQUESTS: usize = 200;
/// So long the guest keeps the answers of a burst that xenstored has no room for: a host that looks twice a second has
/// read them by then.
const KEPT: Duration = Duration::from_secs(3);
/// How often a burst is sent at the most, if dom0 does not look twice a second: then it says nothing about the guest.
const BURSTS: u32 = 10;
/// What PID 1 may use of anonymous memory, in KiB.
const MEMORY: u32 = 200;

/// A request written before the guest was unpaused is answered, and tells how long the boot took.
pub(super) fn early_request(bench: &mut Bench<'_>) -> Result<Outcome> {
    passed(bench.milestones()?.describe())
}

/// The version is digits and dots, and the one the binary itself tells.
pub(super) fn version(bench: &mut Bench<'_>) -> Result<Outcome> {
    let version = bench.ask("version", json!("agent"))?.ok()?;
    ensure!(version.chars().all(|c| c.is_ascii_digit() || c == '.'), "nova cannot compare the version {version:?}");
    let own = tools::run(std::process::Command::new(&bench.images.agent).arg("--version"))?;
    let own = String::from_utf8_lossy(&own).trim().to_owned();
    ensure!(own.ends_with(&version), "the agent answered {version:?}, its --version {own:?}");
    passed(version)
}

/// The features are a list without blanks that has what nova looks for.
pub(super) fn features(bench: &mut Bench<'_>) -> Result<Outcome> {
    let features = bench.ask("features", json!(""))?.ok()?;
    ensure!(!features.contains(' '), "nova splits at commas only: {features:?}");
    for wanted in ["version", "features", "keyinit", "password", "injectfile", "file_inject"] {
        ensure!(features.split(',').any(|name| name == wanted), "{wanted} is missing in {features:?}");
    }
    passed(features)
}

/// A password encrypted by an old openssl's default digest is set.
pub(super) fn password_md5(bench: &mut Bench<'_>) -> Result<Outcome> {
    password(bench, Digest::Md5, "correct horse:1")
}

/// A password encrypted by a current openssl's default digest is set.
pub(super) fn password_sha256(bench: &mut Bench<'_>) -> Result<Outcome> {
    password(bench, Digest::Sha256, "b\u{e4}ttery $taple'2")
}

fn password(bench: &mut Bench<'_>, digest: Digest, password: &str) -> Result<Outcome> {
    let before = bench.in_guest("stat -c '%a:%u:%g' /etc/shadow")?;
    let (dom0, guest) = bench.guest()?;
    mailbox::set_password(dom0, guest, password, digest)?.ok()?;
    let shadow = bench.in_guest("cat /etc/shadow")?;
    let line = shadow.lines().find(|line| line.starts_with("root:")).unwrap_or_default();
    let hash = line.split(':').nth(1).unwrap_or_default();
    ensure!(crypt(password, hash)? == hash, "root's hash in /etc/shadow is not that of the password");
    ensure!(shadow.contains("\nbin:*:19000:0:99999:7:::"), "another account's line was changed: {shadow}");
    let after = bench.in_guest("stat -c '%a:%u:%g' /etc/shadow")?;
    ensure!(before == after, "/etc/shadow had {before} and has {after}");
    passed(format!("openssl -md {digest:?} -> {}", &hash[..hash.len().min(3)]))
}

/// nova's older way to put a file: base64 of path, comma, contents.
pub(super) fn injectfile(bench: &mut Bench<'_>) -> Result<Outcome> {
    let mut contents = b"commas, too,\nand bytes: ".to_vec();
    contents.extend(0..=255);
    let mut value = b"/etc/injected file,".to_vec();
    value.extend(&contents);
    bench.ask("injectfile", json!(Base64::encode_string(&value)))?.ok()?;
    let seen = file(bench, "/etc/injected file")?;
    ensure!(seen == contents, "the file has {} bytes where {} were sent", seen.len(), contents.len());
    passed(format!("{} bytes", seen.len()))
}

/// nova's newer way, here with the file nova itself sends most: root's authorized_keys.
pub(super) fn file_inject(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (path, contents) =
        ("/root/.ssh/authorized_keys", b"\n# The following ssh key was injected by Nova\nssh-rsa AAAA\n");
    let value =
        json!({ "b64_path": Base64::encode_string(path.as_bytes()), "b64_file": Base64::encode_string(contents) });
    bench.ask("file_inject", value)?.ok()?;
    ensure!(file(bench, path)? == contents, "{path} is not what was sent");
    passed(path)
}

/// The bytes of a file in the guest.
fn file(bench: &mut Bench<'_>, path: &str) -> Result<Vec<u8>> {
    let (dom0, guest) = bench.guest()?;
    let seen = guest.observe(dom0, &format!("cat '{path}'"))?;
    ensure!(seen.status == 0, "there is no {path} in the guest");
    Ok(seen.output)
}

/// What is no request is answered with an error, and service goes on.
pub(super) fn malformed(bench: &mut Bench<'_>) -> Result<Outcome> {
    let long = format!("{{\"name\": \"version\", \"value\": \"{}", "x".repeat(1900));
    let bodies = [
        "not json",
        "{",
        "[]",
        "42",
        "\"version\"",
        "{\"value\": \"agent\"}",
        "{\"name\": 7, \"value\": \"\"}",
        "{\"name\": \"version\"} trailing",
        "{\"name\": \"\\ud800\", \"value\": \"\"}",
        "\u{1}\u{2}\u{3}",
        &long,
    ];
    let (dom0, guest) = bench.guest()?;
    for body in bodies {
        let answer = mailbox::ask_raw(dom0, guest, body)?;
        ensure!(answer.code != "0" && answer.code != "D0", "{body:?} was answered with success");
        ensure!(!answer.message.is_empty(), "the error for {body:?} says nothing");
    }
    alive(dom0, guest)?;
    passed(format!("{} kinds", bodies.len()))
}

/// A command that does not exist is answered with 404 and its name.
pub(super) fn unknown(bench: &mut Bench<'_>) -> Result<Outcome> {
    let answer = bench.ask("frobnicate", json!("x"))?;
    ensure!(answer.code == "404", "the code is {:?}", answer.code);
    ensure!(answer.message.contains("frobnicate"), "the message does not name the command: {:?}", answer.message);
    passed(answer.message)
}

/// Two hundred requests written in one transaction are all answered, and a host that looks twice a second reads all
/// answers.
pub(super) fn burst(bench: &mut Bench<'_>) -> Result<Outcome> {
    let (dom0, guest) = bench.guest()?;
    for attempt in 1..=BURSTS {
        let burst = mailbox::burst(dom0, guest, &mailbox::version_request(), REQUESTS)?;
        let (count, slowest) = (burst.answers.len(), burst.slowest.as_secs_f64());
        for answer in burst.answers {
            answer.ok()?;
        }
        alive(dom0, guest).context("one more request")?;
        if count == REQUESTS {
            let took = burst.took.as_secs_f64();
            return passed(format!(
                "{REQUESTS} requests in one transaction, {REQUESTS} answers in {took:.2} s, each read within \
                 {slowest:.2} s; attempt {attempt}"
            ));
        }
        ensure!(burst.slowest >= KEPT, "{count} of {REQUESTS} answers, though each was read within {slowest:.2} s");
    }
    bail!("{BURSTS} times dom0 read answers only after {} s: this machine is too slow for a host", KEPT.as_secs())
}

/// PID 1 stays small.
pub(super) fn memory(bench: &mut Bench<'_>) -> Result<Outcome> {
    // /proc/1/status lags behind by up to a batch of pages.
    let smaps = bench.in_guest("cat /proc/1/smaps_rollup")?;
    let field = |name: &str| smaps.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    let kib: u32 = field("Anonymous:").unwrap_or("?").parse()?;
    ensure!(kib <= MEMORY, "PID 1 uses {kib} KiB of anonymous memory, {MEMORY} are allowed");
    passed(format!("PID 1 uses {kib} KiB of anonymous memory (limit {MEMORY})"))
}
