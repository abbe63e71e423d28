//! Hostile servers of an update, as data: `hostile/http.txt` and `hostile/dns.txt`. Whatever they send, the agent that
//! runs stays and serves meanwhile, nothing is left of the attempt, and the answer is one sentence that names the
//! fault.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nanova_tests::agent::{Agent, binary};
use nanova_tests::host::Host;
use nanova_tests::nova::Answer;
use nanova_tests::xenstored::{Options, Xenstored};
use serde_json::json;
use tempfile::TempDir;

const HTTP: &str = include_str!("hostile/http.txt");
const DNS: &str = include_str!("hostile/dns.txt");
/// Where the name server is.
const NAME_SERVER: &str = "127.0.0.78";
/// Kept free for what is in the way of nobody: the server's first words wait for it, so that others are served before.
const PAUSE: Duration = Duration::from_millis(30);

/// The cases of such a file: the words that are expected, and what is sent.
fn cases(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once('\t').expect("a tab"))
}

/// A piece of what a server sends.
#[derive(Clone)]
enum Piece {
    Bytes(Vec<u8>),
    Wait(Duration),
    Reset,
}

/// What a server at this address sends by such a script.
fn pieces(script: &str, agent: &[u8], at: SocketAddr) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let (mut rest, mut bytes) = (script, Vec::new());
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let kind = rest.chars().next().context("an escape")?;
                rest = &rest[1..];
                bytes.push(match kind {
                    'r' => b'\r',
                    'n' => b'\n',
                    't' => b'\t',
                    '\\' => b'\\',
                    'x' => {
                        let byte = u8::from_str_radix(rest.get(..2).context("two digits")?, 16)?;
                        rest = &rest[2..];
                        byte
                    }
                    other => anyhow::bail!("no escape: {other}"),
                });
            }
            '{' => {
                let end = closing(rest)?;
                let (inside, behind) = (&rest[..end], &rest[end + 1..]);
                rest = behind;
                match special(inside, agent, at)? {
                    Ok(more) => bytes.extend(more),
                    Err(piece) => pieces.extend([Piece::Bytes(std::mem::take(&mut bytes)), piece]),
                }
            }
            c => bytes.extend(c.to_string().bytes()),
        }
    }
    pieces.push(Piece::Bytes(bytes));
    Ok(pieces)
}

/// Where the brace ends that has begun.
fn closing(text: &str) -> Result<usize> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return Ok(at);
        }
    }
    anyhow::bail!("no end: {text}")
}

/// What stands between braces: bytes, or a piece of its own.
fn special(inside: &str, agent: &[u8], at: SocketAddr) -> Result<Result<Vec<u8>, Piece>> {
    let (word, more) = inside.split_once(' ').unwrap_or((inside, ""));
    let signed = || -> Result<i64> { if more.is_empty() { Ok(0) } else { Ok(more.parse()?) } };
    let all = i64::try_from(agent.len())?;
    Ok(match word {
        "at" => Ok(at.to_string().into_bytes()),
        "len" => Ok((all + signed()?).to_string().into_bytes()),
        "agent" => {
            let wanted = signed()?;
            let len = if wanted > 0 { wanted } else { all + wanted };
            Ok(agent[..usize::try_from(len)?].to_vec())
        }
        "reset" => Err(Piece::Reset),
        "wait" => Err(Piece::Wait(Duration::from_millis(more.parse()?))),
        count => {
            let text = more.strip_prefix("of ").context("of")?;
            let once: Vec<u8> = pieces(text, agent, at)?
                .into_iter()
                .flat_map(|piece| if let Piece::Bytes(bytes) = piece { bytes } else { Vec::new() })
                .collect();
            Ok(once.repeat(count.parse()?))
        }
    })
}

/// Sends that; whoever has heard enough may go.
fn send(stream: &mut TcpStream, pieces: &[Piece]) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    thread::sleep(PAUSE);
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => stream.write_all(bytes)?,
            Piece::Wait(time) => {
                // Until then, or until the other side has gone.
                stream.set_read_timeout(Some((*time).max(Duration::from_millis(1))))?;
                if stream.read(&mut request).is_ok() {
                    return Ok(());
                }
            }
            Piece::Reset => {
                return rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO)).map_err(Into::into);
            }
        }
    }
    // The end comes as an end, also where something was not heard: that would be a reset.
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let _ = stream.read(&mut request);
    Ok(())
}

/// A guest whose agent is a file of its own, and looks names up at our server.
struct Guest {
    host: Host,
    agent: Agent,
    directory: TempDir,
    old: Vec<u8>,
    _xenstored: Xenstored,
}

impl Guest {
    fn new() -> Result<Guest> {
        let (xenstored, directory) = (Xenstored::start(Options::default())?, tempfile::tempdir()?);
        fs::copy(binary(), directory.path().join("nanova"))?;
        let script = format!(
            "mount -t tmpfs -o mode=755 tmpfs /etc; mount -t tmpfs -o mode=755 tmpfs /run
            echo nameserver {NAME_SERVER} >/etc/resolv.conf
            exec {}/nanova agent --no-metrics --xenbus {}",
            directory.path().display(),
            xenstored.guest_socket().display()
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", &script]);
        let agent = Agent::spawn(command);
        agent.wait_until_serving();
        Ok(Guest { host: Host::of(&xenstored)?, agent, directory, old: fs::read(binary())?, _xenstored: xenstored })
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("nanova")
    }

    /// Asks for an update and, meanwhile, for the version; the update's answer.
    fn update(&mut self, name: &str, url: &str, sum: &str) -> Result<Answer> {
        self.host.send(name, json!({ "name": "agentupdate", "value": format!("{url},{sum}") }).to_string())?;
        let meanwhile = format!("{name}-meanwhile");
        self.host.send(&meanwhile, r#"{"name":"version"}"#)?;
        self.host.wait_answer(&meanwhile)?.ok()?;
        let answer = self.host.wait_answer(name)?;
        for id in [name, &meanwhile] {
            let path = self.host.path(&format!("data/guest/{id}"));
            self.host.client().rm(&path)?;
        }
        Ok(answer)
    }

    /// That nothing has changed.
    fn check(&mut self, answer: &Answer) -> Result<()> {
        ensure!(answer.code == "500", "{answer:?}");
        let message = &answer.message;
        ensure!(message.chars().all(|c| c.is_ascii_graphic() || c == ' ') && message.len() < 200, "{message:?}");
        let process = self.agent.pid();
        let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
        ensure!(children.is_empty(), "an errand is left: {children}");
        ensure!(fs::read(self.path())? == self.old && fs::read_dir(self.directory.path())?.count() == 1, "files");
        ensure!(self.agent.is_running());
        Ok(())
    }
}

/// This build, and something behind it that makes it another file; and its sum.
fn another() -> Result<(Vec<u8>, String)> {
    let directory = tempfile::tempdir()?;
    let (file, path) = ([fs::read(binary())?, b"another one".to_vec()].concat(), directory.path().join("file"));
    fs::write(&path, &file)?;
    let text = String::from_utf8(Command::new("sha256sum").arg(&path).output()?.stdout)?;
    Ok((file, text.split(' ').next().context("a sum")?.to_owned()))
}

/// Runs all of them, each in its turn; tells how many.
fn all(text: &'static str, mut each: impl FnMut(usize, &str) -> Result<(Answer, Result<()>)>) -> Result<usize> {
    let (mut wrong, mut count) = (String::new(), 0);
    for (number, (words, script)) in cases(text).enumerate() {
        let (answer, checked) = each(number, script).with_context(|| format!("{words} <- {script}"))?;
        let checked = checked.and_then(|()| {
            ensure!(answer.message.contains(words), "{:?} instead of {words:?}", answer.message);
            Ok(())
        });
        if let Err(why) = checked {
            wrong += &format!("{script}\n  {why:#}\n");
        }
        count += 1;
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(count)
}

#[test]
#[ignore = "needs root"]
fn whatever_a_server_sends_the_agent_stays_and_says_what_was_wrong() -> Result<()> {
    let ((agent, sum), mut guest) = (another()?, Guest::new()?);
    let count = all(HTTP, |number, script| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let at = listener.local_addr()?;
        let pieces = pieces(script, &agent, at)?;
        thread::spawn(move || {
            // A redirected client comes again.
            for stream in listener.incoming().flatten() {
                let (mut stream, pieces) = (stream, pieces.clone());
                thread::spawn(move || send(&mut stream, &pieces));
            }
        });
        let answer = guest.update(&format!("http-{number}"), &format!("http://{at}/agent"), &sum)?;
        let checked = guest.check(&answer);
        Ok((answer, checked))
    })?;
    println!("{count} servers");
    assert!(count >= 60, "{count}");
    Ok(())
}

/// One record of a name server's, for the name of the question.
fn record(kind: u8, value: &[u8]) -> Vec<u8> {
    let len = u8::try_from(value.len()).expect("a short value");
    [&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, len][..], value].concat()
}

/// A packet by its words, to this question; and from where it comes.
fn packet(words: &str, question: &[u8]) -> Result<(Vec<u8>, &'static str)> {
    let (mut packet, mut records, mut count, mut cut, mut from) = (question.to_vec(), Vec::new(), 0_u16, 0, "");
    (packet[2], packet[3]) = (0x81, 0x80);
    let mut announced = None;
    for word in words.split_whitespace() {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let kind = packet.len() - 3;
        match name {
            "a" => records.push(record(1, &value.parse::<Ipv4Addr>()?.octets())),
            "aaaa" => records.push(record(28, &value.parse::<Ipv6Addr>()?.octets())),
            "cname" => {
                let labels = value.split('.').flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat());
                records.push(record(5, &labels.chain([0]).collect::<Vec<_>>()));
            }
            "loop" => {
                let here = packet.len() + records.iter().map(Vec::len).sum::<usize>();
                records.push(vec![0xc0, here as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 200]);
            }
            "id" => packet[0] ^= 1,
            "name" => packet[13] ^= 2,
            "type" => packet[kind] ^= 0x0c,
            "query" => packet[2] = 1,
            "tc" => packet[2] |= 2,
            "rcode" => packet[3] |= value.parse::<u8>()?,
            "port" | "host" => from = if name == "port" { "port" } else { "host" },
            "count" => announced = Some(value.parse()?),
            "cut" => cut = value.parse()?,
            "noise" => return Ok((vec![0xa5; value.parse()?], from)),
            other => anyhow::bail!("no word of a packet: {other}"),
        }
        count = u16::try_from(records.len())?;
    }
    packet[6..8].copy_from_slice(&announced.unwrap_or(count).to_be_bytes());
    packet.extend(records.concat());
    packet.truncate(packet.len() - cut);
    Ok((packet, from))
}

/// Answers every question by this script.
fn serve_names(server: &UdpSocket, script: &str) -> Result<()> {
    let (mut room, port, host) = ([0; 512], UdpSocket::bind((NAME_SERVER, 0))?, UdpSocket::bind("127.0.0.79:53")?);
    loop {
        let (len, asker) = server.recv_from(&mut room)?;
        if len < 12 {
            return Ok(());
        }
        for words in script.split('/').filter(|words| !words.trim().is_empty()) {
            let (packet, from) = packet(words, &room[..len])?;
            let socket = match from {
                "port" => &port,
                "host" => &host,
                _ => server,
            };
            socket.send_to(&packet, asker)?;
        }
    }
}

/// A server that answers with this status for the rest of the test process.
fn refuse(listener: TcpListener, status: &'static str) {
    let pieces = vec![Piece::Bytes(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n").into_bytes())];
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = send(&mut { stream }, &pieces);
        }
    });
}

#[test]
#[ignore = "needs root and port 53 of the loopback"]
fn whatever_a_name_server_sends_is_an_address_of_the_name_or_nothing() -> Result<()> {
    let mut guest = Guest::new()?;
    let four = TcpListener::bind("127.0.0.1:0")?;
    let port = four.local_addr()?.port();
    refuse(TcpListener::bind(("::1", port))?, "403");
    refuse(four, "404");
    let count = all(DNS, |number, script| {
        let server = UdpSocket::bind((NAME_SERVER, 53))?;
        let stop = server.try_clone()?;
        let answer = thread::scope(|scope| {
            let served = scope.spawn(|| serve_names(&server, script));
            let url = format!("http://anything.example.org:{port}/agent");
            let answer = guest.update(&format!("dns-{number}"), &url, &"0".repeat(64));
            // A packet that is no question ends it.
            stop.send_to(b"end", (NAME_SERVER, 53))?;
            served.join().expect("no panic")?;
            answer
        })?;
        let checked = guest.check(&answer);
        Ok((answer, checked))
    })?;
    println!("{count} name servers");
    assert!(count >= 30, "{count}");
    Ok(())
}
