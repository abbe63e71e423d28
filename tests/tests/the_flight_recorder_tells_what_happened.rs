//! What an agent did is read from /run/nanova/recorder after whatever ended it; no text of it is in the binary, and no
//! secret in the ring.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use base64ct::{Base64, Encoding};
use nanova_core::record::{BLOCKS, BUILD_ID_LEN, HEADER_LEN, RING_LEN, WORD_LEN};
use nanova_record::elf::Elf;
use nanova_record::records::{Frames, Reader, Record, from_console};
use nanova_tests::agent::{Agent, binary};
use nanova_tests::dom0::run;
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::Digest;
use nanova_tests::scene::{Scene, path_and_contents, wait_until};
use nanova_tests::xenstored::{Options, Xenstored};
use rustix::process::Signal;
use serde_json::json;

/// The ELF file with the texts of the binary that is tested.
fn elf() -> PathBuf {
    binary().with_file_name("nanova.elf")
}

fn ring(root: &GuestRoot) -> Result<Vec<u8>> {
    Ok(fs::read(root.join("/run/nanova/recorder"))?)
}

fn read(bytes: &[u8]) -> Result<Vec<Record>> {
    let frames = Frames::read(bytes)?;
    let elf = Elf::read(&elf(), &frames.build_id)?;
    let mut reader = Reader::new(&elf);
    let records = reader.read_all(&frames);
    ensure!(reader.malformed == 0, "{} bytes are no records", reader.malformed);
    Ok(records)
}

fn texts(bytes: &[u8]) -> Result<Vec<String>> {
    Ok(read(bytes)?.into_iter().map(|record| record.text).collect())
}

/// Fails unless these are among the texts, in this order; each is a beginning.
fn assert_in_order(texts: &[String], expected: &[&str]) {
    let mut rest = texts.iter();
    for beginning in expected {
        assert!(rest.any(|text| text.starts_with(beginning)), "no {beginning:?} in its place in {texts:#?}");
    }
}

#[test]
fn the_way_of_a_request_can_be_read() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    // Nothing is listed any more: an event names what comes.
    scene.host.ask("features", "")?;
    let id = "5e1d7c5f-aa2c-4b5e-9a53-1cbb2b0a3f10";
    scene.host.send(id, json!({"name": "version", "value": "agent"}).to_string())?;
    scene.host.wait_answer(id)?;
    let records = read(&ring(&scene.root)?)?;
    let texts: Vec<String> = records.iter().map(|record| record.text.clone()).collect();
    assert_in_order(
        &texts,
        &[
            "nanova ",
            "Connected ",
            "Watch data/host: ",
            &format!("Read data/host/{id}: "),
            &format!("request {id}"),
            "command version completed: 0",
            &format!("Write data/guest/{id}: "),
            &format!("Rm data/host/{id}: "),
        ],
    );
    assert!(texts.contains(&format!("event data/host/{id}")), "{texts:#?}");
    // The counter may run a little faster than the clock that it is set by.
    let goes_back = |pair: &[Record]| pair[0].us > pair[1].us + 1000;
    assert!(!records.windows(2).any(goes_back), "time goes back in {records:#?}");
    let uptime = fs::read_to_string("/proc/uptime")?;
    let now = uptime.split(' ').next().context("seconds")?.parse::<f64>()? * 1e6;
    let last = records.last().context("records")?.us as f64;
    assert!((now - 10e6..=now + 0.1e6).contains(&last), "{last} is not {now}");
    let took = records.iter().filter_map(|record| record.took_us);
    assert!(took.clone().count() > 4 && took.clone().all(|us| us < 10_000_000), "{:?}", took.collect::<Vec<_>>());
    Ok(())
}

#[test]
fn the_file_is_the_agents_alone() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let file = fs::metadata(scene.root.join("/run/nanova/recorder"))?;
    assert_eq!((file.len(), file.permissions().mode() & 0o777), (RING_LEN as u64, 0o600));
    Ok(())
}

#[test]
fn after_a_kill_another_agent_goes_on_behind_what_there_is() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    scene.host.ask("features", "")?;
    scene.agent.signal(Signal::KILL);
    scene.agent.wait();
    let before = texts(&ring(&scene.root)?)?;
    assert_in_order(&before, &["command features completed: 0"]);
    scene.restart_agent();
    scene.agent.wait_until_serving();
    scene.host.ask("version", "agent")?;
    let after = texts(&ring(&scene.root)?)?;
    assert_in_order(&after, &["nanova ", "command features completed: 0", "nanova ", "command version completed: 0"]);
    Ok(())
}

#[test]
fn the_records_of_another_build_are_kept_beside() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    scene.agent.signal(Signal::KILL);
    scene.agent.wait();
    let mut other = ring(&scene.root)?;
    other[nanova_core::record::BUILD_ID_AT] ^= 1;
    fs::write(scene.root.join("/run/nanova/recorder"), &other)?;
    let refused = read(&other).expect_err("it is of another build").to_string();
    assert!(refused.contains("is of build"), "{refused}");
    scene.restart_agent();
    scene.agent.wait_until_serving();
    assert_eq!(fs::read(scene.root.join("/run/nanova/recorder.before"))?, other);
    assert_eq!(texts(&ring(&scene.root)?)?.iter().filter(|text| text.starts_with("nanova ")).count(), 1);
    Ok(())
}

#[test]
fn what_is_no_ring_is_written_anew() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    for garbage in [&b""[..], b"nanova", &[0xff; RING_LEN * 2]] {
        scene.agent.signal(Signal::KILL);
        scene.agent.wait();
        fs::write(scene.root.join("/run/nanova/recorder"), garbage)?;
        scene.restart_agent();
        scene.agent.wait_until_serving();
        scene.host.ask("version", "agent")?;
        let ring = ring(&scene.root)?;
        assert_eq!(ring.len(), RING_LEN);
        assert_in_order(&texts(&ring)?, &["nanova ", "command version completed: 0"]);
    }
    Ok(())
}

#[test]
fn a_ring_that_went_around_has_the_newest() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    for _ in 0..300 {
        scene.host.ask("version", "agent")?;
    }
    scene.host.ask("features", "")?;
    let ring = ring(&scene.root)?;
    let texts = texts(&ring)?;
    assert_in_order(&texts, &["command version completed: 0", "command features completed: 0"]);
    assert!(!texts.iter().any(|text| text.contains('#')), "a name is missing: {texts:#?}");
    let frames = Frames::read(&ring)?;
    assert!(frames.pieces.len() as u64 >= BLOCKS - 1, "{} blocks", frames.pieces.len());
    let elf = Elf::read(&elf(), &frames.build_id)?;
    let mut reader = Reader::new(&elf);
    reader.read_all(&frames);
    let (count, bytes) = reader.counts;
    println!("bytes a record: {:.1}, those that are names among them", bytes as f64 / count as f64);
    assert!(bytes <= 20 * count, "{bytes} bytes, {count} records");
    Ok(())
}

#[test]
fn no_text_of_it_is_in_the_binary() -> Result<()> {
    let (binary, elf) = (fs::read(binary())?, fs::read(elf())?);
    let there = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for text in [
        "TransactionStart",
        "completed: {=str}",
        "{=u32} us",
        "since the start",
        "refusal {=u8}",
        "defmt_debug",
        "_defmt_",
        "disambiguator",
        "Staged|",
    ] {
        assert!(there(&elf, text), "{text} is not where it should be");
        assert!(!there(&binary, text), "{text} is in the binary");
    }
    Ok(())
}

/// `nanova record`, of this guest.
fn printed(root: &GuestRoot) -> Result<Vec<u8>> {
    let output = Command::new(binary()).args(["record", "--root"]).arg(root.path()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

#[test]
fn nanova_record_prints_what_is_in_the_ring() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    for _ in 0..200 {
        scene.host.ask("version", "agent")?;
    }
    scene.agent.signal(Signal::TERM);
    scene.agent.wait();
    let ring = ring(&scene.root)?;
    assert_eq!(texts(&printed(&scene.root)?)?, texts(&ring)?);
    assert_in_order(&texts(&ring)?, &["signal 15"]);

    let none = Command::new(binary()).args(["record", "--root", "/proc"]).output()?;
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("cannot read /run/nanova/recorder: no such file"));
    fs::write(scene.root.join("/run/nanova/recorder"), "other")?;
    let other = Command::new(binary()).args(["record", "--root"]).arg(scene.root.path()).output()?;
    assert!(String::from_utf8_lossy(&other.stderr).contains("cannot read /run/nanova/recorder: "));
    Ok(())
}

#[test]
fn nanova_record_follows() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let mut command = Command::new(binary());
    command.args(["record", "--follow", "--root"]).arg(scene.root.path()).stdout(Stdio::piped());
    let mut follower = command.spawn()?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    scene.host.ask("features", "")?;
    std::thread::sleep(std::time::Duration::from_millis(600));
    follower.kill()?;
    let output = follower.wait_with_output()?;
    let texts = texts(&output.stdout)?;
    assert_in_order(&texts, &["nanova ", "command features completed: 0"]);
    assert_eq!(texts.iter().filter(|text| text.starts_with("command features")).count(), 1, "{texts:#?}");
    Ok(())
}

#[test]
fn no_secret_is_in_the_ring() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let (password, contents) = ("Correct-Horse-Battery", "TheContentsOfAFileThatIsNobodysBusiness");
    scene.host.set_password(password, Digest::Sha256)?;
    scene.host.ask("injectfile", path_and_contents("/etc/motd", contents))?;
    scene.host.ask("password", "SomethingThatIsNoneAtAll")?;
    scene.host.ask_raw(json!({"name": "version", "value": "AValueNobodyAskedFor"}).to_string())?;
    scene.host.ask_raw("{NotEvenJsonIsWhatThisIs")?;
    let ring = ring(&scene.root)?;
    let frames = Frames::read(&ring)?;
    let all = texts(&ring)?;
    assert_in_order(
        &all,
        &["command password completed: 0", "Staged ", "Published ", "command injectfile completed: 0"],
    );
    // As it lies there, behind a block's word and without, and decoded.
    let frames = frames.pieces.concat();
    let shadow = scene.root.shadow_of_root();
    let secrets = [password, contents, "SomethingThatIsNone", "AValueNobodyAskedFor", "NotEvenJson", &shadow[1]];
    for secret in secrets {
        for piece in secret.as_bytes().windows(6) {
            let there = |bytes: &[u8]| bytes.windows(piece.len()).any(|window| window == piece);
            let shown = String::from_utf8_lossy(piece).into_owned();
            assert!(!there(&ring) && !there(&frames), "{shown:?} of {secret:?} is in the ring");
            assert!(!all.iter().any(|text| there(text.as_bytes())), "{shown:?} of {secret:?} in {all:#?}");
        }
    }
    Ok(())
}

#[test]
fn what_a_first_process_left_on_a_console_is_read_from_its_log() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    scene.host.ask("version", "agent")?;
    let printed = printed(&scene.root)?;
    let mut console = String::from("[    1.0] Linux version 6.1\r\nnanova: recorder bmFub3ZhUjFvbGQ=\r\n");
    for line in printed.chunks(48) {
        console.push_str(&format!("nanova: recorder {}\r\n", Base64::encode_string(line)));
    }
    console.push_str("[    9.0] reboot: Restarting system\r\n");
    assert_eq!(from_console(&console).context("there are records")?, printed);
    assert_eq!(from_console("nanova: recorder AAAA\n"), None);
    assert_eq!(from_console("nanova: recorder ???\n"), None);
    assert_eq!(from_console(""), None);
    Ok(())
}

#[test]
fn a_child_has_no_ring() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let maps = fs::read_to_string(format!("/proc/{}/smaps", scene.agent.pid()))?;
    let ours = maps.split_once("/run/nanova/recorder").context("the ring is mapped")?.1;
    let flags = ours.lines().find_map(|line| line.strip_prefix("VmFlags:")).context("flags")?;
    assert!(flags.contains(" dc "), "it is not told to stay behind when a child is made:{flags}");
    Ok(())
}

#[test]
fn where_run_cannot_be_written_the_agent_serves_and_says_so_once() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let root = GuestRoot::new()?;
    fs::create_dir_all(root.join("/run/nanova/recorder"))?;
    let agent = Agent::on(&xenstored.guest_socket(), root.path());
    agent.wait_until_serving();
    let mut host = Host::of(&xenstored)?;
    assert_eq!(host.ask("version", "agent")?.code, "0");
    assert_eq!(agent.log().matches("nothing is recorded in /run/nanova/recorder").count(), 1, "{}", agent.log());
    Ok(())
}

/// A guest whose site has `record` served.
fn enabled() -> Result<Scene> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    fs::create_dir_all(scene.root.join("/etc/nanova"))?;
    fs::write(scene.root.join("/etc/nanova/enable"), "# what dom0 may see\nrecord\n")?;
    Ok(scene)
}

#[test]
fn dom0_reads_the_recorder_where_the_site_says_so() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let refused = scene.host.ask("record", "")?;
    assert_eq!((refused.code.as_str(), refused.message.as_str()), ("404", "No such agent command 'record'"));
    assert!(!scene.host.ask("features", "")?.message.contains("record"));
    let refused = run(&scene.xenstored, "guest record")?;
    assert!(refused.code == 1 && refused.err.contains("/etc/nanova/enable does not name 'record'"), "{refused:?}");
    drop(scene);

    let mut scene = enabled()?;
    assert!(scene.host.ask("features", "")?.message.split(',').any(|name| name == "record"));
    for _ in 0..20 {
        scene.host.ask("version", "agent")?;
    }
    let answer = scene.host.ask("record", "")?;
    let block = Base64::decode_vec(&answer.message)?;
    let (build_id, block) = block.split_first_chunk::<BUILD_ID_LEN>().context("a build id")?;
    assert_eq!(build_id, &Frames::read(&ring(&scene.root)?)?.build_id);
    let alone = Frames { build_id: *build_id, lost: 0, in_order: false, pieces: vec![block[WORD_LEN..].to_vec()] };
    let records = Reader::new(&Elf::read(&elf(), build_id)?).read_all(&alone);
    let texts: Vec<String> = records.into_iter().map(|record| record.text).collect();
    assert!(!texts.is_empty() && !texts.iter().any(|text| text.contains('#')), "{texts:#?}");
    assert_eq!(scene.host.ask("record", "99999")?.code, "500");
    // All of it, as dom0's program does it, sealed.
    let ran = run(&scene.xenstored, "guest record")?;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let texts = self::texts(&from_console(&ran.out).context("it is what a console would show")?)?;
    assert_in_order(&texts, &["nanova ", "command features completed: 0", "command version completed: 0"]);
    assert!(scene.agent.log().contains("sealed command 'record'"), "{}", scene.agent.log());
    // One that is disabled is not served, enabled or not.
    fs::write(scene.root.join("/etc/nanova/disable"), "record\n")?;
    assert_eq!(scene.host.ask("record", "")?.code, "404");
    Ok(())
}

/// Has a process panic when it looks at its next signal, and sends it one.
#[cfg(target_arch = "x86_64")]
fn make_panic(pid: u32) -> Result<()> {
    use object::{Object, ObjectSymbol};
    use std::os::unix::fs::FileExt;
    let bytes = fs::read(elf())?;
    let file = object::File::parse(&*bytes)?;
    let address = |part: &str| -> Result<u64> {
        let symbol = file.symbols().find(|symbol| symbol.name().is_ok_and(|name| name.contains(part)));
        Ok(symbol.with_context(|| format!("no {part}"))?.address())
    };
    let (from, to) = (address("Signals4take")?, address("rust_begin_unwind")?);
    // A push, so that the stack is aligned as functions expect, and a call.
    let mut call = vec![0x50, 0xe8];
    call.extend_from_slice(&((to.wrapping_sub(from + 6)) as u32).to_le_bytes());
    let memory = fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/mem"))?;
    memory.write_all_at(&call, from)?;
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).context("a process")?;
    Ok(rustix::process::kill_process(pid, Signal::HUP)?)
}

/// The panic among these records has its place in the source.
#[cfg(target_arch = "x86_64")]
fn assert_panicked(texts: &[String]) {
    let panic = texts.iter().find(|text| text.starts_with("panic\n")).unwrap_or_else(|| panic!("none in {texts:#?}"));
    let first = panic.lines().nth(1).unwrap_or_default();
    assert!(first.contains("Signals::take") && first.contains("agent/src/rt/signals.rs:"), "{panic}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_bug_is_recorded_with_its_place_in_the_source() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    make_panic(scene.agent.pid())?;
    assert_eq!(scene.agent.wait().code(), Some(70));
    assert_panicked(&texts(&ring(&scene.root)?)?);
    Ok(())
}

/// A name space where the release binary is the first process, and /dev what a test puts there.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_first_process_that_ends_by_a_bug_leaves_its_records_to_the_kernel_and_on_the_console() -> Result<()> {
    let root = tempfile::tempdir()?;
    for directory in ["dev", "proc", "sys", "run", "etc"] {
        fs::create_dir(root.path().join(directory))?;
    }
    let (kept, console) = (root.path().join("dev/pmsg0"), root.path().join("console"));
    fs::write(&kept, "")?;
    fs::copy(binary(), root.path().join("init"))?;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--mount", "--net", "--fork", "--kill-child", "--root"]);
    command.arg(root.path()).args(["/init", "init"]).stdin(Stdio::null()).stderr(fs::File::create(&console)?);
    let mut child = command.spawn()?;
    let shown = || fs::read_to_string(&console).unwrap_or_default();
    wait_until("it waits for xenstore", || shown().contains("xenstore is not there yet"));
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id()))?;
    make_panic(children.trim().parse()?)?;
    wait_until("it has ended", || child.try_wait().is_ok_and(|status| status.is_some()));
    let bytes = from_console(&shown()).with_context(shown)?;
    assert!(bytes.len() <= HEADER_LEN + 2048);
    assert_eq!(fs::read(&kept)?, bytes, "the kernel has the same");
    let texts = texts(&bytes)?;
    assert_in_order(&texts, &["Mounted /proc", "Mounted /run", "nanova ", "panic"]);
    assert_panicked(&texts);
    Ok(())
}

#[test]
#[ignore = "needs defmt-print (cargo install defmt-print)"]
fn defmt_print_reads_the_same() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    scene.host.ask("version", "agent")?;
    let printed = printed(&scene.root)?;
    let mut command = Command::new("defmt-print");
    command.arg("-e").arg(elf()).args(["--log-format", "{s}"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    std::io::Write::write_all(&mut child.stdin.take().context("its input")?, &printed[HEADER_LEN..])?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().any(|line| line.starts_with("nanova 1")), "{text}");
    assert!(lines.iter().any(|line| line.starts_with("command #") && line.ends_with("completed: 0")), "{text}");
    assert!(!text.contains("malformed"), "{text}");
    Ok(())
}
