//! What is left of a key exchange and of a password in the memory of the agent, as whoever reads it later would find
//! it.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};
use base64ct::{Base64, Encoding};
use nanova_core::secret::host::HostExchange;
use nanova_core::secret::measured;
use nanova_tests::agent::Agent;
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::{Digest, Exchange, encrypt};
use nanova_tests::scene::Scene;
use nanova_tests::strace;
use nanova_tests::xenstored::{Options, Xenstored};
use tempfile::NamedTempFile;

/// Everything that the process may write to.
fn memory(agent: &Agent) -> Result<Vec<u8>> {
    let memory = File::open(format!("/proc/{}/mem", agent.pid()))?;
    let mut all = Vec::new();
    for line in fs::read_to_string(format!("/proc/{}/maps", agent.pid()))?.lines().filter(|line| line.contains(" rw")) {
        let (start, end) = line.split(' ').next().and_then(|range| range.split_once('-')).context("a range")?;
        let (start, end) = (u64::from_str_radix(start, 16)?, u64::from_str_radix(end, 16)?);
        let mut part = vec![0; usize::try_from(end - start)?];
        memory.read_exact_at(&mut part, start).with_context(|| line.to_owned())?;
        all.extend_from_slice(&part);
    }
    Ok(all)
}

/// How often these bytes are in there.
fn count(memory: &[u8], bytes: &[u8]) -> usize {
    memory.windows(bytes.len()).filter(|window| *window == bytes).count()
}

/// So many bytes that the kernel gave last, by a trace.
fn random(trace: &str, len: usize) -> Result<Vec<u8>> {
    let end = format!(" = {len}");
    let line =
        trace.lines().rfind(|line| line.starts_with("getrandom(") && line.ends_with(&end)).context(trace.to_owned())?;
    let text = line.split('"').nth(1).context("bytes")?;
    Ok(text.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>()?)
}

/// No eight bytes of a number are there, in neither order.
fn assert_no_limb(memory: &[u8], number: &[u8], what: &str) {
    for limb in number.chunks(8) {
        let turned: Vec<u8> = limb.iter().rev().copied().collect();
        assert_eq!((count(memory, limb), count(memory, &turned)), (0, 0), "eight bytes of {what}");
    }
}

fn random_bytes() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[test]
#[ignore = "needs root and strace"]
fn of_an_exchange_one_key_stays_and_of_a_password_nothing() -> Result<()> {
    let (xenstored, root, trace) = (Xenstored::start(Options::default())?, GuestRoot::new()?, NamedTempFile::new()?);
    let mut command = strace::nanova(
        ["-xx", "-e", "trace=getrandom,prctl", "-o"]
            .map(str::to_owned)
            .into_iter()
            .chain([trace.path().display().to_string()]),
    );
    command.args(["agent", "--no-metrics", "--xenbus"]).arg(xenstored.guest_socket()).arg("--root").arg(root.path());
    let agent = Agent::spawn(command);
    let mut host = Host::of(&xenstored)?;
    for round in 0..4 {
        let exchange = Exchange::new()?;
        let answer = host.ask("keyinit", exchange.public())?;
        let secret = exchange.secret(&answer.message)?;
        let exponent = random(&fs::read_to_string(trace.path())?, 16)?;
        let after = memory(&agent)?;
        assert_no_limb(&after, &exponent, "the exponent");
        assert_eq!(count(&after, secret.as_bytes()), 1, "round {round}: the key that waits for its password");

        let password = format!("password of round {round}");
        host.ask("password", encrypt(format!("{password}\n").as_bytes(), &secret, Digest::Sha256)?)?.ok()?;
        let after = memory(&agent)?;
        assert_eq!((count(&after, secret.as_bytes()), count(&after, password.as_bytes())), (0, 0), "round {round}");
    }
    let mut before: Option<[[u8; 32]; 4]> = None;
    for round in 0..4 {
        let exchange = HostExchange::new(&random_bytes()?);
        let answer = host.ask_raw(format!(r#"{{"name":"keyinit","value":{}}}"#, exchange.value()))?;
        let Ok(mut session) = exchange.agree(&answer.message) else { bail!("no public key: {}", answer.message) };
        let guest =
            Base64::decode_vec(&answer.message).ok().and_then(|bytes| bytes.try_into().ok()).context("256 bytes")?;
        let mut number = [0; 256];
        assert_eq!(measured::number_of(&exchange, &guest, &mut number), Ok(()));
        let keys = measured::keys_of(&session);
        let exponent = random(&fs::read_to_string(trace.path())?, 32)?;
        let after = memory(&agent)?;
        assert_no_limb(&after, &exponent, "the exponent of 256 bits");
        assert_no_limb(&after, &number, "the number that was agreed on");
        assert_eq!(keys.map(|key| count(&after, &key)), [1; 4], "round {round}: the session's keys");
        for key in before.into_iter().flatten() {
            assert_eq!(count(&after, &key), 0, "round {round}: a key of the session before");
        }

        let password = format!("sealed password of round {round}");
        host.ask_sealed(&mut session, "password", password.as_str())?.ok()?;
        let after = memory(&agent)?;
        assert_eq!(keys.map(|key| count(&after, &key)), [1; 4], "round {round}: the session's keys, after a use");
        assert_eq!(count(&after, password.as_bytes()), 0, "round {round}: the password");
        before = Some(keys);
    }
    host.ask("keyinit", "1")?;
    let after = memory(&agent)?;
    assert_eq!(before.context("keys")?.map(|key| count(&after, &key)), [0; 4], "after the session's end");
    // Nobody gets an image of it either.
    let trace = fs::read_to_string(trace.path())?;
    assert!(trace.contains("prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE) = 0"), "{trace}");
    Ok(())
}

#[test]
#[ignore = "needs a kernel from 4.14 on and a limit of locked memory"]
fn what_holds_secrets_is_locked_in_no_dump_and_in_no_child() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let smaps = fs::read_to_string(format!("/proc/{}/smaps", scene.agent.pid()))?;
    let flags: Vec<&str> = smaps.lines().filter_map(|line| line.strip_prefix("VmFlags:")).collect();
    let has = |flags: &str, flag: &str| flags.split_whitespace().any(|it| it == flag);
    // Wiped on fork: packet, events, names, responses; each is locked and left out of dumps as well.
    let places: Vec<&&str> = flags.iter().filter(|flags| has(flags, "wf")).collect();
    assert!(!places.is_empty() && places.iter().all(|flags| has(flags, "lo") && has(flags, "dd")), "{smaps}");
    Ok(())
}
