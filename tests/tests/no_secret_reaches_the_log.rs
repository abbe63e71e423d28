//! Passwords, keys, files and unknown arguments reach neither the log nor an answer, and are gone from the agent's
//! memory when the command is done.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use nanova_tests::agent::Agent;
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::{Answer, Digest, encrypt};
use nanova_tests::scene::{Scene, base64, path_and_contents};
use nanova_tests::xenstored::{Options, Xenstored};
use serde_json::json;

/// A scene whose agent logs everything it ever would.
fn talkative() -> Result<Scene> {
    let xenstored = Xenstored::start(Options::default())?;
    let root = GuestRoot::new()?;
    let socket = xenstored.guest_socket();
    let options = ["-l", "trace", "--xenbus", socket.to_str().context("text")?, "--root"];
    let agent = Agent::start(options.into_iter().chain([root.path().to_str().context("text")?]));
    Ok(Scene { host: Host::of(&xenstored)?, agent, root, xenstored })
}

/// Things that must not be seen, each with a name.
#[derive(Default)]
struct Secrets(Vec<(&'static str, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, what: &'static str, secret: impl AsRef<[u8]>) {
        self.0.push((what, secret.as_ref().to_vec()));
    }

    /// Which of them, or of their base64 at any of its three alignments, are in there.
    fn found_in(&self, text: &[u8]) -> Vec<&'static str> {
        let there = |needle: &[u8]| needle.len() >= 6 && text.windows(needle.len()).any(|window| window == needle);
        let encoded = |secret: &[u8], shift: usize| {
            let shifted = base64([&b"xxx"[..shift], secret].concat());
            // What depends on the neighbours is left out.
            shifted.as_bytes()[(shift * 4).div_ceil(3)..secret.len() / 3 * 4].to_vec()
        };
        let found = |secret: &[u8]| there(secret) || (0..3).any(|shift| there(&encoded(secret, shift)));
        self.0.iter().filter(|(_, secret)| found(secret)).map(|(what, _)| *what).collect()
    }
}

#[test]
fn secrets_are_found_where_they_are() {
    let mut secrets = Secrets::default();
    secrets.add("a", "Correct-Horse-Battery");
    assert_eq!(secrets.found_in(b"... Correct-Horse-Battery ..."), ["a"]);
    for before in ["", "x", "xy", "xyz"] {
        assert_eq!(secrets.found_in(base64(format!("{before}Correct-Horse-Battery!")).as_bytes()), ["a"], "{before}");
    }
    assert!(secrets.found_in(b"Correct-Horse Battery").is_empty());
}

/// Every command with something to hide, well and badly; all the answers.
fn every_command(scene: &mut Scene, secrets: &mut Secrets) -> Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for digest in [Digest::Md5, Digest::Sha256] {
        for (password, damage) in [
            ("Correct-Horse-Battery\n", false),
            ("Correct-Horse\x07Battery\n", false),
            ("Staple-Donkey-Engine\n", true),
        ] {
            let phrase = scene.host.exchange_keys()?;
            let mut message = encrypt(password.as_bytes(), &phrase, digest)?;
            if damage {
                message = message.replacen(&message[..1], if message.starts_with('A') { "B" } else { "A" }, 1);
            }
            secrets.add("password", password.trim());
            secrets.add("pass phrase", phrase);
            secrets.add("ciphertext", message.trim_end_matches('='));
            answers.push(scene.host.ask("password", message)?);
        }
        scene.host.exchange_keys()?;
    }
    secrets.add("ciphertext", "bm90LWNpcGhlcnRleHQ");
    answers.push(scene.host.ask("password", "bm90LWNpcGhlcnRleHQ=")?);
    answers.push(scene.host.ask("password", "bm90LWNpcGhlcnRleHQ=")?);
    secrets.add("bad base64", "Not-Base64-At-All");
    for name in ["password", "injectfile", "keyinit"] {
        answers.push(scene.host.ask(name, "Not-Base64-At-All!")?);
    }
    secrets.add("contents", "Injected-Contents-Of-A-Key");
    for path in ["/etc/new", "/etc/motd", "/etc/motd", "relative", "/etc", "/etc/../x"] {
        let contents = format!("x Injected-Contents-Of-A-Key {}\n", answers.len());
        answers.push(scene.host.ask("injectfile", path_and_contents(path, &contents))?);
        answers.push(scene.host.ask("injectfile", path_and_contents(path, &contents))?);
        let argument = json!({ "b64_path": base64(path), "b64_file": base64(contents + "2") });
        answers.push(scene.host.ask("file_inject", argument)?);
    }
    answers.push(scene.host.ask("injectfile", base64("Injected-Contents-Of-A-Key without a comma"))?);
    answers.push(scene.host.ask("file_inject", json!({ "b64_file": "Injected-Contents-Of-A-Key" }))?);
    secrets.add("argument", "Unknown-Argument-Of-Anything");
    let argument = "Unknown-Argument-Of-Anything";
    for value in [json!(argument), json!({ "activation_key": argument }), json!([argument])] {
        for name in ["kmsactivate", "agentupdate", "", "passw0rd"] {
            answers.push(scene.host.ask(name, value.clone())?);
        }
        answers.push(scene.host.ask_raw(json!({ "value": value }).to_string())?);
        answers.push(scene.host.ask_raw(format!("{{\"name\":\"password\",\"value\":{value}"))?);
    }
    Ok(answers)
}

#[test]
fn neither_log_nor_answers_show_a_secret() -> Result<()> {
    let mut scene = talkative()?;
    let mut secrets = Secrets::default();
    let answers = every_command(&mut scene, &mut secrets)?;
    let log = scene.agent.log();
    for phrase in ["Received command 'password' with argument: '(not shown)'", "'injectfile' completed with code '0'"] {
        assert!(log.contains(phrase), "{log}");
    }
    assert_eq!(secrets.found_in(log.as_bytes()), Vec::<&str>::new());
    for answer in answers {
        assert_eq!(secrets.found_in(answer.message.as_bytes()), Vec::<&str>::new(), "{answer:?}");
    }
    // What is left in xenstore is what was answered.
    let directory = scene.host.path("data/guest");
    for id in scene.host.client().list(&directory)? {
        let text = scene.host.client().read(&format!("{directory}/{id}"))?;
        assert_eq!(secrets.found_in(&text), Vec::<&str>::new());
    }
    Ok(())
}

/// Every byte that the process could write to: stack, data, heap if it had one.
fn memory(pid: u32) -> Result<Vec<(String, Vec<u8>)>> {
    let mut maps = String::new();
    File::open(format!("/proc/{pid}/maps"))?.read_to_string(&mut maps)?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let writable = maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.contains('w')));
    writable
        .map(|line| {
            let (start, end) = line.split(' ').next().and_then(|range| range.split_once('-')).context("a range")?;
            let (start, end) = (u64::from_str_radix(start, 16)?, u64::from_str_radix(end, 16)?);
            let mut bytes = vec![0; usize::try_from(end - start)?];
            memory.read_exact_at(&mut bytes, start)?;
            Ok((line.to_owned(), bytes))
        })
        .collect()
}

fn assert_forgotten(scene: &Scene, secrets: &Secrets, when: &str) -> Result<()> {
    let memory = memory(scene.agent.pid())?;
    assert!(memory.iter().any(|(line, _)| line.ends_with("[stack]")), "the stack was looked at");
    let found: Vec<_> = memory
        .iter()
        .flat_map(|(line, bytes)| secrets.found_in(bytes).into_iter().map(move |what| (what, line.as_str())))
        .collect();
    assert!(found.is_empty(), "{when}: {found:?}");
    Ok(())
}

#[test]
fn the_memory_can_be_looked_at() -> Result<()> {
    let mut scene = talkative()?;
    scene.host.ask("Name-That-Is-No-Secret", "")?;
    let mut known = Secrets::default();
    known.add("the root directory, an argument", scene.root.path().to_str().context("text")?);
    let seen = memory(scene.agent.pid())?.iter().any(|(_, bytes)| !known.found_in(bytes).is_empty());
    assert!(seen, "what is certainly there is not found, so nothing below is proof");
    Ok(())
}

#[test]
fn a_password_is_gone_from_memory_once_it_is_set() -> Result<()> {
    for digest in [Digest::Md5, Digest::Sha256] {
        for password in ["Correct-Horse-Battery", "Correct-Horse-Battery-Staple-Correct-Horse-Battery-Staple-And-More"]
        {
            let mut scene = talkative()?;
            let mut secrets = Secrets::default();
            let phrase = scene.host.exchange_keys()?;
            let message = encrypt(format!("{password}\n").as_bytes(), &phrase, digest)?;
            secrets.add("password", password);
            secrets.add("a block of it", &password[..16]);
            secrets.add("pass phrase", &phrase);
            secrets.add("ciphertext", message.trim_end_matches('='));
            scene.host.ask("password", message)?.ok()?;
            assert_forgotten(&scene, &secrets, &format!("{digest:?}"))?;
        }
    }
    Ok(())
}

#[test]
fn a_password_that_was_refused_is_gone_as_well() -> Result<()> {
    let mut scene = talkative()?;
    let mut secrets = Secrets::default();
    for plain in ["Correct-Horse\x07Battery-Staple\n", "Two-Lines-Of-A-Password\nAnother-Of-Its-Lines\n"] {
        let phrase = scene.host.exchange_keys()?;
        let message = encrypt(plain.as_bytes(), &phrase, Digest::Sha256)?;
        secrets.add("password", &plain[..20]);
        secrets.add("pass phrase", phrase);
        secrets.add("ciphertext", message.trim_end_matches('='));
        assert_eq!(scene.host.ask("password", message)?.code, "500");
        assert_forgotten(&scene, &secrets, plain)?;
    }
    std::fs::remove_file(scene.root.join("/etc/shadow"))?;
    secrets.add("password", "Correct-Horse-Battery");
    assert_eq!(scene.host.set_password("Correct-Horse-Battery", Digest::Md5)?.code, "500");
    assert_forgotten(&scene, &secrets, "no shadow file")
}

#[test]
fn a_key_that_was_replaced_is_gone() -> Result<()> {
    let mut scene = talkative()?;
    let mut secrets = Secrets::default();
    secrets.add("pass phrase", scene.host.exchange_keys()?);
    scene.host.exchange_keys()?;
    assert_forgotten(&scene, &secrets, "replaced")?;
    secrets.add("pass phrase", scene.host.exchange_keys()?);
    assert_eq!(scene.host.ask("keyinit", "0")?.code, "500");
    assert_forgotten(&scene, &secrets, "given up")
}

#[test]
fn an_injected_file_is_gone_from_memory_once_it_is_written() -> Result<()> {
    let mut scene = talkative()?;
    let mut secrets = Secrets::default();
    let contents = "Injected-Contents-Of-A-Key ".repeat(60);
    secrets.add("contents", "Injected-Contents-Of-A-Key");
    for path in ["/etc/new", "/etc/motd", "/etc/motd", "/etc", "relative"] {
        scene.host.ask("injectfile", path_and_contents(path, &contents))?;
        assert_forgotten(&scene, &secrets, &format!("injectfile {path}"))?;
        let argument = json!({ "b64_path": base64(path), "b64_file": base64(contents.clone() + path) });
        scene.host.ask("file_inject", argument)?;
        assert_forgotten(&scene, &secrets, &format!("file_inject {path}"))?;
    }
    // Nor does the shadow file's contents stay, whose other hashes are nobody's business.
    secrets.add("another user's hash", "1A0GSMGWGGYQ/k2n5cCbmTMCkPHhNQkHmjXfjJfE6y4");
    scene.host.set_password("anything", Digest::Sha256)?.ok()?;
    assert_forgotten(&scene, &secrets, "another user")
}

#[test]
fn an_argument_that_nobody_knows_what_to_do_with_is_gone() -> Result<()> {
    let mut scene = talkative()?;
    let mut secrets = Secrets::default();
    secrets.add("argument", "Unknown-Argument-Of-Anything");
    for body in [
        r#"{"name":"kmsactivate","value":{"activation_key":"Unknown-Argument-Of-Anything"}}"#,
        r#"{"name":"password","value":"Unknown-Argument-Of-Anything"}"#,
        r#"{"value":"Unknown-Argument-Of-Anything"}"#,
        r#"{"name":"password","value":"Unknown-Argument-Of-Anything"#,
        "Unknown-Argument-Of-Anything",
    ] {
        scene.host.ask_raw(body)?;
        assert_forgotten(&scene, &secrets, body)?;
    }
    Ok(())
}
