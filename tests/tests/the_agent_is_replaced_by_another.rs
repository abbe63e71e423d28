//! `agentupdate` with real servers on the loopback, real files and real processes: the agent runs from a copy of its
//! file, where /etc is a file system of the test's own.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nanova_record::elf::Elf;
use nanova_record::records::{Frames, Reader};
use nanova_tests::agent::{Agent, binary};
use nanova_tests::host::Host;
use nanova_tests::scene::wait_until;
use nanova_tests::xenstored::{Options, Xenstored};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

/// What a server does with a connection.
type Behaviour = fn(&mut std::net::TcpStream, &[u8]) -> std::io::Result<()>;

/// Serves a file for the rest of the test process, and behaves so; returns where.
fn serve(address: &str, file: Vec<u8>, behaviour: Behaviour) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    let at = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut request = [0; 2048];
            let _ = stream.read(&mut request);
            let _ = behaviour(&mut stream, &file);
        }
    });
    Ok(at)
}

fn good(stream: &mut std::net::TcpStream, file: &[u8]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len())?;
    stream.write_all(file)
}

fn sum(program: &str, file: &[u8]) -> Result<String> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("file");
    fs::write(&path, file)?;
    let output = Command::new(program).arg(&path).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split(' ').next().context("a sum")?.to_owned())
}

/// A guest whose agent is a file of its own.
struct Guest {
    xenstored: Xenstored,
    host: Host,
    directory: TempDir,
    agent: Agent,
}

impl Guest {
    fn new() -> Result<Guest> {
        Guest::prepared("")
    }

    fn prepared(script: &str) -> Result<Guest> {
        let xenstored = Xenstored::start(Options::default())?;
        let directory = tempfile::tempdir()?;
        fs::copy(binary(), directory.path().join("nanova"))?;
        let agent = Guest::start(&xenstored, directory.path(), script);
        agent.wait_until_serving();
        Ok(Guest { host: Host::of(&xenstored)?, xenstored, directory, agent })
    }

    fn start(xenstored: &Xenstored, directory: &Path, script: &str) -> Agent {
        let script = format!(
            "mount -t tmpfs -o mode=755 tmpfs /etc; mount -t tmpfs -o mode=755 tmpfs /run; {script}\nexec {}/nanova agent --no-metrics --xenbus {}",
            directory.display(),
            xenstored.guest_socket().display()
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", &script]);
        Agent::spawn(command)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn update(&mut self, url: &str, sum: &str) -> Result<(String, String)> {
        let answer = self.host.ask("agentupdate", format!("{url},{sum}"))?;
        Ok((answer.code, answer.message))
    }
}

/// This build, and something behind it that makes it another file.
fn another() -> Result<Vec<u8>> {
    Ok([fs::read(binary())?, b"another one".to_vec()].concat())
}

#[test]
#[ignore = "needs root"]
fn the_flight_recorder_goes_on_in_the_new_agent() -> Result<()> {
    let new = another()?;
    let at = serve("127.0.0.1:0", new.clone(), good)?;
    let mut guest = Guest::new()?;
    guest.update(&format!("http://{at}/agent"), &sum("sha256sum", &new)?)?;
    wait_until("the new agent has its place", || fs::read(guest.path("nanova")).is_ok_and(|file| file == new));
    guest.host.ask("version", "agent")?.ok()?;
    let ring = fs::read(format!("/proc/{}/root/run/nanova/recorder", guest.agent.pid()))?;
    let frames = Frames::read(&ring)?;
    let elf = Elf::read(&binary().with_file_name("nanova.elf"), &frames.build_id)?;
    let texts: Vec<String> = Reader::new(&elf).read_all(&frames).into_iter().map(|record| record.text).collect();
    let at = |beginning: &str| texts.iter().rposition(|text| text.starts_with(beginning));
    let (updated, begun, served) =
        (at("command agentupdate completed: 0"), at("nanova "), at("command version completed: 0"));
    assert!(updated.is_some() && updated < begun && begun < served, "{texts:#?}");
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn where_dev_is_bare_the_new_agent_tests_itself_all_the_same() -> Result<()> {
    let new = another()?;
    let at = serve("127.0.0.1:0", new.clone(), good)?;
    let mut guest = Guest::prepared("mount -t tmpfs tmpfs /dev")?;
    let (code, message) = guest.update(&format!("http://{at}/agent"), &sum("sha256sum", &new)?)?;
    assert_eq!((code.as_str(), message.as_str()), ("0", ""));
    wait_until("the new agent has its place", || fs::read(guest.path("nanova")).is_ok_and(|file| file == new));
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn the_new_agent_serves_in_the_same_process_and_the_old_one_is_kept() -> Result<()> {
    let new = another()?;
    let at = serve("127.0.0.1:0", new.clone(), good)?;
    let at6 = serve("[::1]:0", new.clone(), good)?;
    let mut guest = Guest::new()?;
    let (pid, old) = (guest.agent.pid(), fs::read(guest.path("nanova"))?);
    for (round, (url, sum)) in [
        (format!("http://{at}/agent"), sum("md5sum", &new)?),
        (format!("http://{at6}/agent?x=y"), sum("sha256sum", &new)?),
    ]
    .into_iter()
    .enumerate()
    {
        // What comes while it is under way waits for the new one.
        guest.host.send("update", json!({ "name": "agentupdate", "value": format!("{url},{sum}") }).to_string())?;
        for n in 0..5 {
            guest.host.send(&format!("behind-{round}-{n}"), r#"{"name":"version"}"#)?;
        }
        let answer = guest.host.wait_answer("update")?;
        assert_eq!((answer.code.as_str(), answer.message.as_str()), ("0", ""));
        for n in 0..5 {
            assert_eq!(guest.host.wait_answer(&format!("behind-{round}-{n}"))?.code, "0");
        }
        wait_until("the new one serves", || guest.agent.log().matches("the new agent serves").count() == round + 1);
        assert_eq!(fs::read(guest.path("nanova"))?, new);
        assert_eq!(fs::metadata(guest.path("nanova"))?.mode() & 0o7777, 0o755);
        assert_eq!(fs::read(format!("/proc/{pid}/exe"))?, new);
        assert_eq!(fs::read_to_string(format!("/proc/{pid}/comm"))?, "nanova\n", "for whoever looks for its name");
        guest.host.client().rm(&format!("{}/data/guest/update", guest.xenstored.home()))?;
    }
    assert_eq!(fs::read(guest.path("nanova.prev"))?, new, "the one before is the first update");
    assert_ne!(old, new);
    // No guard is left, no descriptor, no file.
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    assert_eq!(children, "");
    assert_eq!(fs::read_dir(guest.directory.path())?.count(), 2);
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn a_first_request_may_take_longer_than_a_new_agent_has_to_serve() -> Result<()> {
    let new = another()?;
    let at = serve("127.0.0.1:0", new.clone(), good)?;
    let mut guest = Guest::prepared(
        "mkdir -p -m 755 /etc/nanova/commands.d; cd /etc/nanova/commands.d
        printf '#!/bin/sh\\nsleep 12; echo once >>/etc/times; cat /etc/times\\n' >slow; chmod 755 slow",
    )?;
    let value = format!("http://{at}/agent,{}", sum("md5sum", &new)?);
    guest.host.send("update", json!({ "name": "agentupdate", "value": value }).to_string())?;
    guest.host.send("slow", r#"{"name":"slow"}"#)?;
    assert_eq!(guest.host.wait_answer("slow")?.message, "once");
    assert!(fs::read(guest.path("nanova"))? == new);
    assert!(!guest.agent.log().contains("taken back"), "{}", guest.agent.log());
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn an_update_may_be_a_new_agents_first_request() -> Result<()> {
    let files = [another()?, [another()?, b" and yet another".to_vec()].concat()];
    let mut guest = Guest::new()?;
    for (number, file) in files.iter().enumerate() {
        let at = serve("127.0.0.1:0", file.clone(), good)?;
        let value = format!("http://{at}/agent,{}", sum("md5sum", file)?);
        guest.host.send(&number.to_string(), json!({ "name": "agentupdate", "value": value }).to_string())?;
    }
    assert_eq!([guest.host.wait_answer("0")?.code, guest.host.wait_answer("1")?.code], ["0", "0"]);
    wait_until("the second one serves", || guest.agent.log().matches("the new agent serves").count() == 2);
    assert!([fs::read(guest.path("nanova.prev"))?, fs::read(guest.path("nanova"))?] == files);
    assert_eq!(fs::read_dir(guest.directory.path())?.count(), 2);
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn a_slow_server_is_waited_for_and_a_silent_one_is_not() -> Result<()> {
    let mut guest = Guest::new()?;
    let new = another()?;
    let md5 = sum("md5sum", &new)?;
    let silent = serve("127.0.0.1:0", new.clone(), |stream, file| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len())?;
        thread::sleep(Duration::from_secs(40));
        Ok(())
    })?;
    let (code, message) = guest.update(&format!("http://{silent}/"), &md5)?;
    assert!(code == "500" && message.contains("ETIMEDOUT"), "{message}");
    let slow = serve("127.0.0.1:0", new.clone(), |stream, file| {
        write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for piece in file.chunks(20_000) {
            thread::sleep(Duration::from_millis(100));
            write!(stream, "{:x}\r\n", piece.len())?;
            stream.write_all(piece)?;
            write!(stream, "\r\n")?;
        }
        write!(stream, "0\r\n\r\n")
    })?;
    assert_eq!(guest.update(&format!("http://{slow}/"), &md5)?, ("0".to_owned(), String::new()));
    wait_until("it serves", || guest.agent.log().contains("the new agent serves"));
    assert!(fs::read(guest.path("nanova"))? == new);
    Ok(())
}

#[test]
#[ignore = "needs root and port 53 of the loopback"]
fn names_are_looked_up_in_hosts_and_at_the_name_server() -> Result<()> {
    let new = another()?;
    let at = serve("127.0.0.1:0", new.clone(), good)?;
    let server = UdpSocket::bind("127.0.0.77:53")?;
    thread::spawn(move || {
        let mut room = [0; 512];
        while let Ok((len, from)) = server.recv_from(&mut room) {
            let mut answer = room[..len].to_vec();
            answer[2..4].copy_from_slice(&[0x81, 0x80]);
            answer[7] = 1;
            answer.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01");
            let _ = server.send_to(&answer, from);
        }
    });
    let mut guest =
        Guest::prepared("echo 127.0.0.1 localhost here >/etc/hosts; echo nameserver 127.0.0.77 >/etc/resolv.conf")?;
    let md5 = sum("md5sum", &new)?;
    for name in ["here", "anything.example.org"] {
        let url = format!("http://{name}:{}/x", at.port());
        assert_eq!(guest.update(&url, &md5)?, ("0".to_owned(), String::new()), "{name}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn a_server_that_misbehaves_changes_nothing() -> Result<()> {
    let mut guest = Guest::new()?;
    let (pid, old) = (guest.agent.pid(), fs::read(guest.path("nanova"))?);
    let new = another()?;
    let md5 = sum("md5sum", &new)?;
    let behaviours: [(Behaviour, &str); 7] = [
        (|stream, _| write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "(404)"),
        (
            // What is behind the announced end is no part of the file.
            |stream, file| {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len() - 1)?;
                stream.write_all(file)
            },
            "MD5 sums do not match (",
        ),
        (
            |stream, file| {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len())?;
                stream.write_all(&file[..50_000])?;
                // Closed with something unread or with this, a connection is reset.
                rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO)).map_err(Into::into)
            },
            "ECONNRESET",
        ),
        (
            |stream, file| {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len())?;
                stream.write_all(&file[..50_000])
            },
            "before the file was complete",
        ),
        (
            |stream, file| {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len())?;
                stream.write_all(&file[..file.len() - 1])?;
                stream.write_all(b"x")
            },
            "MD5 sums do not match (",
        ),
        (|stream, _| write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n"), "more than 4 MiB"),
        (|stream, _| write!(stream, "HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n"), "redirects more than 5 times"),
    ];
    for (behaviour, words) in behaviours {
        let at = serve("127.0.0.1:0", new.clone(), behaviour)?;
        let (code, message) = guest.update(&format!("http://{at}/"), &md5)?;
        assert!(code == "500" && message.contains(words), "{message}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    assert!(guest.update(&format!("http://{nobody}/"), &md5)?.1.contains("ECONNREFUSED"));
    assert!(guest.update("https://example.org/agent", &md5)?.1.contains("it is the sum"));
    let script = b"#!/bin/sh\nexit 0\n".to_vec();
    let at = serve("127.0.0.1:0", script.clone(), good)?;
    assert!(guest.update(&format!("http://{at}/"), &sum("md5sum", &script)?)?.1.contains("no ELF"));
    assert_eq!((guest.agent.pid(), fs::read(guest.path("nanova"))?), (pid, old));
    assert_eq!(fs::read_dir(guest.directory.path())?.count(), 1, "nothing is left behind");
    Ok(())
}

/// The archive that tar(1) makes of these files.
fn archive(format: &str, files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir()?;
    for (name, contents) in files {
        fs::write(directory.path().join(name), contents)?;
    }
    let mut tar = Command::new("tar");
    tar.args(["--create", "--file=-", "--format", format, "--directory"]).arg(directory.path());
    let output = tar.args(files.iter().map(|(name, _)| name)).output()?;
    ensure!(output.status.success(), "tar: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

#[test]
#[ignore = "needs root"]
fn an_archive_is_taken_if_the_agent_is_all_there_is_in_it() -> Result<()> {
    let (mut guest, new) = (Guest::new()?, another()?);
    let more = archive("gnu", &[("nanova", &new), ("install.sh", b"#!/bin/sh\n")])?;
    let at = serve("127.0.0.1:0", more.clone(), good)?;
    let (code, message) = guest.update(&format!("http://{at}/"), &sum("sha256sum", &more)?)?;
    assert!(code == "500" && message.ends_with("the archive holds more than one file"), "{message}");
    assert_ne!(fs::read(guest.path("nanova"))?, new);
    for format in ["ustar", "gnu", "posix"] {
        let new = [new.as_slice(), format.as_bytes()].concat();
        let archive = archive(format, &[("nanova", &new)])?;
        let at = serve("127.0.0.1:0", archive.clone(), good)?;
        assert_eq!(guest.update(&format!("http://{at}/"), &sum("sha256sum", &archive)?)?.0, "0", "{format}");
        wait_until("it is there", || fs::read(guest.path("nanova")).is_ok_and(|file| file == new));
    }
    Ok(())
}

/// A static program that passes the test of itself and then does this.
fn program(body: &str) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir()?;
    let (source, built) = (directory.path().join("x.c"), directory.path().join("x"));
    let text = format!(
        "#include <string.h>\n#include <unistd.h>\nint main(int c, char **v) {{ if (c > 1 && !strcmp(v[1], \"--self-test\")) return 0; {body} }}"
    );
    fs::write(&source, text)?;
    let status = Command::new("cc").args(["-static", "-s", "-o"]).arg(&built).arg(&source).status()?;
    anyhow::ensure!(status.success(), "cc");
    Ok(fs::read(built)?)
}

#[test]
#[ignore = "needs root, cc and a static libc"]
fn a_new_agent_that_never_serves_is_taken_back() -> Result<()> {
    for body in ["return 3;", "pause(); return 0;"] {
        let new = program(body)?;
        let at = serve("127.0.0.1:0", new.clone(), good)?;
        let mut guest = Guest::new()?;
        let old = fs::read(guest.path("nanova"))?;
        assert_eq!(guest.update(&format!("http://{at}/"), &sum("md5sum", &new)?)?.0, "0");
        guest.agent.wait();
        wait_until("the old file is back", || fs::read(guest.path("nanova")).is_ok_and(|file| file == old));
        guest.agent.wait_for_log("the update is taken back, the old agent returns");
        // Its supervisor starts it again.
        guest.agent = Guest::start(&guest.xenstored, guest.directory.path(), "");
        assert_eq!(guest.host.ask("version", "")?.code, "0");
    }
    Ok(())
}

#[test]
#[ignore = "needs root, cc and a static libc"]
fn time_in_which_nobody_ran_is_none_of_the_new_agents() -> Result<()> {
    let new = program("pause(); return 0;")?;
    let at = serve("127.0.0.1:0", new.clone(), good)?;
    let mut guest = Guest::new()?;
    let pid = guest.agent.pid();
    assert_eq!(guest.update(&format!("http://{at}/"), &sum("md5sum", &new)?)?.0, "0");
    wait_until("it is there", || fs::read(format!("/proc/{pid}/exe")).is_ok_and(|file| file == new));
    let guard = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let guard = Pid::from_raw(guard.trim().parse()?).context("a guard")?;
    // As if the guest were suspended, for longer than the new agent has.
    kill_process(guard, Signal::STOP)?;
    thread::sleep(Duration::from_secs(11));
    kill_process(guard, Signal::CONT)?;
    thread::sleep(Duration::from_secs(3));
    assert!(guest.agent.is_running(), "{}", guest.agent.log());
    guest.agent.wait_for_log("the update is taken back, the old agent returns: it does not serve");
    Ok(())
}

#[test]
#[ignore = "needs root, cc and a static libc"]
fn where_nobody_supervises_it_the_old_agent_comes_back_by_itself() -> Result<()> {
    let new = program("return 3;")?;
    let at = serve("127.0.0.1:0", new.clone(), good)?;
    let xenstored = Xenstored::start(Options::default())?;
    let directory = tempfile::tempdir()?;
    let own = directory.path().join("nanova");
    fs::copy(binary(), &own)?;
    symlink("nanova", directory.path().join("nova-agent"))?;
    let log = directory.path().join("log");
    let script = format!(
        "mount -t tmpfs -o mode=755 tmpfs /etc; mount -t tmpfs -o mode=755 tmpfs /run; setsid -f env -u INVOCATION_ID {} agent --no-metrics -o {} --xenbus {}",
        own.display(),
        log.display(),
        xenstored.guest_socket().display()
    );
    let mut host = Host::of(&xenstored)?;
    anyhow::ensure!(Command::new("unshare").args(["--mount", "sh", "-ec", &script]).status()?.success());
    let url = format!("http://{at}/,{}", sum("md5sum", &new)?);
    assert_eq!(host.ask("agentupdate", url)?.code, "0");
    let version = host.ask("version", "")?;
    let _ = Command::new("pkill").arg("-f").arg(&own).status();
    assert_eq!(version.code, "0", "{}", fs::read_to_string(&log)?);
    assert_eq!(fs::read(&own)?, fs::read(binary())?);
    thread::sleep(Duration::from_millis(100));
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn an_agent_in_the_background_is_replaced_and_stays_one() -> Result<()> {
    let new = another()?;
    let at = serve("127.0.0.1:0", new.clone(), good)?;
    let xenstored = Xenstored::start(Options::default())?;
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    fs::copy(binary(), path("nanova"))?;
    symlink("nanova", path("nova-agent"))?;
    let script = format!(
        "mount -t tmpfs -o mode=755 tmpfs /etc; mount -t tmpfs -o mode=755 tmpfs /run; cd {}; XENSTORED_PATH={} ./nova-agent -p pid -o log </dev/null",
        directory.path().display(),
        xenstored.guest_socket().display()
    );
    anyhow::ensure!(Command::new("unshare").args(["--mount", "sh", "-ec", &script]).status()?.success());
    let mut host = Host::of(&xenstored)?;
    let log = || fs::read_to_string(path("log")).unwrap_or_default();
    let processes = || -> Result<String> {
        let found = Command::new("pgrep").arg("-f").arg("nova-agent -p pid -o log").output()?;
        Ok(String::from_utf8(found.stdout)?)
    };
    let update = host.ask("agentupdate", format!("http://{at}/,{}", sum("sha256sum", &new)?))?;
    let pid = fs::read_to_string(path("pid"))?;
    wait_until("the new one serves", || log().contains("the new agent serves"));
    let version = host.ask("version", "")?;
    let (found, file) = (processes()?, fs::read(path("nanova"))?);
    let _ = Command::new("kill").arg("-9").args(found.split_whitespace()).status();
    assert_eq!((update.code.as_str(), version.code.as_str()), ("0", "0"), "{}", log());
    assert_eq!((found, file == new), (pid, true), "{}", log());
    Ok(())
}

#[test]
#[ignore = "needs root and strace"]
fn killed_anywhere_in_an_update_an_agent_that_runs_is_there() -> Result<()> {
    let new = another()?;
    let at = serve("127.0.0.1:0", new.clone(), good)?;
    let order = format!("http://{at}/,{}", sum("md5sum", &new)?);
    let (old, mut kills) = (fs::read(binary())?, 0);
    let calls = [
        "socket",
        "connect",
        "sendto",
        "recvfrom",
        "openat",
        "write",
        "fchmod",
        "clone",
        "wait4",
        "unlinkat",
        "linkat",
        "fsync",
        "renameat",
        "readlinkat",
        "memfd_create",
        "execve",
    ];
    for call in calls {
        // The first execve is strace's own; the last turn of a call is the one in which nothing was killed.
        for turn in if call == "execve" { 2 } else { 1 }.. {
            // Most writes are pieces of the file, and one is like the other.
            let when = if turn > 12 { turn * 7 } else { turn };
            let xenstored = Xenstored::start(Options::default())?;
            let directory = tempfile::tempdir()?;
            let own = directory.path().join("nanova");
            fs::copy(binary(), &own)?;
            let mut host = Host::of(&xenstored)?;
            host.send("update", json!({ "name": "agentupdate", "value": order }).to_string())?;
            let script = format!(
                "mount -t tmpfs -o mode=755 tmpfs /etc
                exec strace -qq -o /dev/null -e trace={call} -e inject={call}:signal=KILL:when={when} {} agent --once --no-metrics --xenbus {}",
                own.display(),
                xenstored.guest_socket().display()
            );
            let status = Command::new("unshare").args(["--mount", "sh", "-ec", &script]).output()?.status;
            let file = fs::read(&own)?;
            assert!(file == old || file == new, "{call} {when}: {} bytes", file.len());
            let runs = Command::new(&own).arg("--version").output()?;
            assert!(runs.status.success(), "{call} {when}");
            if status.success() {
                break;
            }
            kills += 1;
        }
    }
    println!("{kills} kills");
    assert!(kills > 40, "{kills}");
    Ok(())
}

#[test]
#[ignore = "needs root and minutes"]
fn two_hundred_updates_in_a_row() -> Result<()> {
    let new = another()?;
    let at = serve("127.0.0.1:0", new.clone(), good)?;
    let md5 = sum("md5sum", &new)?;
    let mut guest = Guest::new()?;
    for round in 0..200 {
        let answer = guest.update(&format!("http://{at}/"), &md5).expect("an answer");
        assert_eq!(answer, ("0".to_owned(), String::new()), "{round}");
    }
    wait_until("all of them serve", || guest.agent.log().matches("the new agent serves").count() == 200);
    let descriptors = fs::read_dir(format!("/proc/{}/fd", guest.agent.pid()))?.count();
    assert!(descriptors < 12, "{descriptors}");
    Ok(())
}
