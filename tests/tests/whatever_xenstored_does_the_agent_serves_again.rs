//! A hostile or broken xenstored, as data: `hostile/xenstored.txt`. Between the agent and a real one stands a proxy
//! that spoils one packet; whatever that is, the agent lives, stays small, and answers what is asked behind it.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nanova_tests::agent::{Agent, MEMORY_MAX};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::xenstored::{Options, Xenstored, op};

const CASES: &str = include_str!("hostile/xenstored.txt");
/// How many are tried at a time: most of their time is spent waiting.
const AT_ONCE: usize = 8;
/// After these the agent may wait for what does not come, until the connection ends.
const SILENT: [&str; 3] = ["drop", "len", "noise"];
const SILENCE: Duration = Duration::from_secs(3);

/// A packet: type, id of the request, transaction; payload.
type Packet = ([u32; 3], Vec<u8>);

fn receive(stream: &mut UnixStream) -> std::io::Result<Packet> {
    let mut header = [0; 16];
    stream.read_exact(&mut header)?;
    let word = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let mut payload = vec![0; word(12) as usize];
    stream.read_exact(&mut payload)?;
    Ok(([word(0), word(4), word(8)], payload))
}

fn bytes((words, payload): &Packet, len: u32) -> Vec<u8> {
    let words: Vec<u8> = words.iter().chain([&len]).flat_map(|word| word.to_ne_bytes()).collect();
    [words, payload.clone()].concat()
}

/// What is sent instead of a packet, and whether the connection goes on.
fn spoiled(packet: &Packet, how: &str) -> Result<(Vec<u8>, bool)> {
    let (word, value) = how.split_once(':').unwrap_or((how, ""));
    let (mut other, plain) = (packet.clone(), bytes(packet, packet.1.len() as u32));
    let text = || value.replace("\\0", "\0").into_bytes();
    match word {
        "type" => other.0[0] = value.parse()?,
        "id" => other.0[1] = value.parse()?,
        "tx" => other.0[2] = value.parse()?,
        "text" => other.1 = text(),
        "fill" => other.1 = vec![b'x'; value.parse()?],
        "error" => (other.0[0], other.1) = (op::ERROR, format!("{value}\0").into_bytes()),
        "len" => return Ok((bytes(packet, value.parse()?), true)),
        "cut" => return Ok((plain[..value.parse::<usize>()?.min(plain.len())].to_vec(), false)),
        "drop" => return Ok((Vec::new(), true)),
        "twice" => return Ok((plain.repeat(2), true)),
        "close" => return Ok((Vec::new(), false)),
        "noise" => return Ok(([vec![0xa5; value.parse()?], plain].concat(), true)),
        "event" => {
            let event = ([op::WATCH_EVENT, 0, 0], text());
            return Ok(([bytes(&event, event.1.len() as u32), plain].concat(), true));
        }
        other => anyhow::bail!("no such word: {other}"),
    }
    let len = other.1.len() as u32;
    Ok((bytes(&other, len), true))
}

/// What is spoiled: the nth packet of this name, once.
struct Case {
    name: String,
    nth: usize,
    how: String,
    seen: Mutex<BTreeMap<&'static str, usize>>,
    done: AtomicUsize,
}

/// Passes a connection's packets on, both ways.
fn pass(mut agent: UnixStream, mut daemon: UnixStream, case: &Case) -> Result<()> {
    let asked = Arc::new(Mutex::new(VecDeque::new()));
    let (mut from, mut to, queue) = (agent.try_clone()?, daemon.try_clone()?, asked.clone());
    thread::spawn(move || {
        while let Ok(packet) = receive(&mut from) {
            queue.lock().expect("nobody panics").push_back(packet.0[0]);
            if to.write_all(&bytes(&packet, packet.1.len() as u32)).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    while let Ok(packet) = receive(&mut daemon) {
        let name = match packet.0[0] {
            op::WATCH_EVENT => "EVENT",
            _ => op::name(asked.lock().expect("nobody panics").pop_front().context("nothing was asked")?),
        };
        let nth = {
            let mut seen = case.seen.lock().expect("nobody panics");
            let count = seen.entry(name).or_default();
            *count += 1;
            *count
        };
        let (bytes, goes_on) = if name == case.name && nth == case.nth {
            case.done.fetch_add(1, Ordering::Relaxed);
            if SILENT.iter().any(|word| case.how.starts_with(word)) {
                let agent = agent.try_clone()?;
                thread::spawn(move || {
                    thread::sleep(SILENCE);
                    agent.shutdown(Shutdown::Both)
                });
            }
            spoiled(&packet, &case.how)?
        } else {
            (bytes(&packet, packet.1.len() as u32), true)
        };
        if agent.write_all(&bytes).is_err() || !goes_on {
            break;
        }
    }
    let _ = (agent.shutdown(Shutdown::Both), daemon.shutdown(Shutdown::Both));
    Ok(())
}

/// Listens at a path and passes every connection on to this socket.
fn proxy(at: &Path, to: PathBuf, case: Arc<Case>) -> Result<()> {
    let listener = UnixListener::bind(at)?;
    thread::spawn(move || {
        for agent in listener.incoming().flatten() {
            let Ok(daemon) = UnixStream::connect(&to) else { return };
            let case = case.clone();
            thread::spawn(move || pass(agent, daemon, &case));
        }
    });
    Ok(())
}

/// Whether the case came about.
fn try_case(line: &str) -> Result<bool> {
    let (which, how) = line.split_once('\t').context("a tab")?;
    let (name, nth) = which.split_once(' ').context("a number")?;
    let (seen, done) = (Mutex::default(), AtomicUsize::new(0));
    let case = Case { name: name.to_owned(), nth: nth.parse()?, how: how.to_owned(), seen, done };
    let (case, xenstored, directory) = (Arc::new(case), Xenstored::start(Options::default())?, tempfile::tempdir()?);
    let socket = directory.path().join("proxy");
    proxy(&socket, xenstored.guest_socket(), case.clone())?;
    let (root, mut host) = (GuestRoot::new()?, Host::of(&xenstored)?);
    // One waits at the start, one comes later; of these one may be answered with an error, or not read at all.
    host.send("first", r#"{"name":"version"}"#)?;
    let mut agent = Agent::on(&socket, root.path());
    for id in ["second", "third"] {
        thread::sleep(Duration::from_millis(300));
        host.send(id, r#"{"name":"version"}"#)?;
    }
    let answered = host.wait_answer("third").and_then(|answer| {
        ensure!(answer.code == "0", "{answer:?}");
        host.send("fourth", r#"{"name":"features"}"#)?;
        host.wait_answer("fourth")?.ok()
    });
    ensure!(agent.is_running(), "the agent has ended: {}", agent.log());
    answered.with_context(|| agent.log())?;
    let peak = agent.status_number("VmHWM");
    ensure!(peak <= 2 * MEMORY_MAX, "{peak} KiB");
    Ok(case.done.load(Ordering::Relaxed) > 0)
}

#[test]
#[ignore = "needs a minute"]
fn one_packet_that_is_wrong_costs_no_more_than_what_it_is_about() -> Result<()> {
    let lines: Vec<&str> = CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let (next, failed, came) = (AtomicUsize::new(0), Mutex::new(Vec::new()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(line) = lines.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match try_case(line) {
                        Ok(true) => drop(came.fetch_add(1, Ordering::Relaxed)),
                        Ok(false) => println!("did not come about: {line}"),
                        Err(why) => failed.lock().expect("nobody panics").push(format!("{line}\n  {why:#}")),
                    }
                }
            });
        }
    });
    let (failed, came) = (failed.into_inner().expect("nobody panics"), came.into_inner());
    println!("{came} of {} cases came about", lines.len());
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(came >= 60, "{came}");
    Ok(())
}
