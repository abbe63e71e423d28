//! Whatever takes long, or never ends, is an errand: the agent serves meanwhile, and what an errand is about is
//! answered in its turn, once, whoever is killed.
//!
//! The agent runs where /etc and /run are directories of the test's own, so that one agent can follow another.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nanova_tests::agent::{Agent, binary};
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::uuid;
use nanova_tests::scene::{Scene, wait_until};
use nanova_tests::xenstored::{Options, Xenstored};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

/// How often `version` is asked for a figure.
const ASKED: usize = 100;
/// Where a mount never answers.
const HUNG: &str = "/mnt/hung";
/// A mount in a new namespace that never answers, as nobody reads what the kernel asks of it; then an agent there.
const HANG: &str = "exec 9<>/dev/fuse; mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 hung";
/// What a server takes 20 seconds to send.
const PIECE: [u8; 64] = [b'x'; 64];
const PIECES: usize = 1000;
/// What is said of a program that the agent's end ended.
const ENDED: &str = "nanova was told to end before this command had: it was stopped";

/// A guest whose site has added programs.
struct Site {
    host: Host,
    agent: Agent,
    xenstored: Xenstored,
    directory: TempDir,
    /// What the agent's shell does first, and what it runs the agent by.
    before: (String, String),
}

impl Site {
    /// With these programs of sh(1).
    fn new(programs: &[(&str, &str)]) -> Result<Site> {
        Site::with(programs, "", "")
    }

    fn with(programs: &[(&str, &str)], first: &str, by: &str) -> Result<Site> {
        let (xenstored, directory) = (Xenstored::start(Options::default())?, tempfile::tempdir()?);
        let commands = directory.path().join("etc/nanova/commands.d");
        fs::create_dir_all(&commands)?;
        fs::create_dir(directory.path().join("run"))?;
        for (name, body) in programs {
            let program = commands.join(name);
            fs::write(&program, format!("#!/bin/sh\n{body}\n"))?;
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        }
        let before = (first.to_owned(), by.to_owned());
        let agent = Site::start(&xenstored, &directory, &before);
        Ok(Site { host: Host::of(&xenstored)?, agent, xenstored, directory, before })
    }

    fn start(xenstored: &Xenstored, directory: &TempDir, (first, by): &(String, String)) -> Agent {
        let script = format!(
            "mount --bind {0}/etc /etc; mount --bind {0}/run /run; {first}
            exec {by} {1} agent --no-metrics --xenbus {2}",
            directory.path().display(),
            binary().display(),
            xenstored.guest_socket().display()
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", &script]);
        Agent::spawn(command)
    }

    /// The next agent.
    fn restart(&mut self) {
        self.agent = Site::start(&self.xenstored, &self.directory, &self.before);
    }

    fn send(&mut self, id: &str) -> Result<()> {
        self.host.send(id, json!({ "name": id, "value": "" }).to_string())
    }

    /// What programs have written to /run/said.
    fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join("run/said")).unwrap_or_default()
    }

    fn wait_until_said(&self, words: &str) {
        wait_until(words, || self.said().contains(words));
    }

    fn answer(&mut self, id: &str) -> Result<(String, String)> {
        let answer = self.host.wait_answer(id)?;
        Ok((answer.code, answer.message))
    }
}

/// A process's children.
fn children(process: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// Whether a process is there, and no zombie.
fn runs(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The processes whose numbers programs have written, one a line.
fn processes(said: &str) -> Vec<u32> {
    said.lines().filter_map(|line| line.parse().ok()).collect()
}

/// How long `version` takes, in the middle.
fn time_of_version(host: &mut Host) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..ASKED {
        let (id, begin) = (uuid()?, Instant::now());
        host.send(&id, r#"{"name":"version"}"#)?;
        host.wait_answer(&id)?.ok()?;
        times.push(begin.elapsed());
        // As nova does: there is room for 53.
        let answer = host.path(&format!("data/guest/{id}"));
        host.client().rm(&answer)?;
    }
    times.sort();
    Ok(times[ASKED / 2])
}

/// `version` while something is under way takes about as long as without it.
fn assert_usual(what: &str, usual: Duration, now: Duration) {
    println!("version while {what}: {now:?}, {:.2} x", now.as_secs_f64() / usual.as_secs_f64());
    assert!(now < usual * 10 + Duration::from_millis(50), "{what}: {now:?}, usually {usual:?}");
}

#[test]
#[ignore = "needs root"]
fn version_is_answered_while_a_program_sleeps_and_while_a_server_stalls() -> Result<()> {
    let mut site = Site::new(&[("sleeps", "echo began >>/run/said; exec sleep 60")])?;
    let usual = time_of_version(&mut site.host)?;
    site.send("sleeps")?;
    site.wait_until_said("began");
    let sleeping = time_of_version(&mut site.host)?;
    assert_eq!(site.host.answer("sleeps")?, None);
    assert_usual("a program sleeps", usual, sleeping);

    let mut site = Site::new(&[])?;
    let server = TcpListener::bind("127.0.0.1:0")?;
    let order = format!("http://{}/agent,{}", server.local_addr()?, "0".repeat(64));
    site.host.send("update", json!({ "name": "agentupdate", "value": order }).to_string())?;
    let (mut connection, _) = server.accept()?;
    ensure!(connection.read(&mut [0; 2048])? > 0);
    let downloading = time_of_version(&mut site.host)?;
    assert_eq!(site.host.answer("update")?, None);
    assert_usual("a server stalls", usual, downloading);
    // Both at once cannot be: of what takes long one is under way at a time. It ends as soon as the server does.
    drop(connection);
    let (code, message) = site.answer("update")?;
    assert!(code == "500" && message.contains("ended the connection"), "{message}");
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn version_is_answered_in_its_usual_time_all_through_a_long_download() -> Result<()> {
    let mut site = Site::new(&[])?;
    let usual = time_of_version(&mut site.host)?;
    let server = TcpListener::bind("127.0.0.1:0")?;
    let order = format!("http://{}/agent,{}", server.local_addr()?, "0".repeat(64));
    site.host.send("update", json!({ "name": "agentupdate", "value": order }).to_string())?;
    let (mut connection, _) = server.accept()?;
    ensure!(connection.read(&mut [0; 2048])? > 0);
    let dribbling = thread::spawn(move || -> std::io::Result<()> {
        write!(connection, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PIECES * PIECE.len())?;
        (0..PIECES).try_for_each(|_| {
            thread::sleep(Duration::from_millis(20));
            connection.write_all(&PIECE)
        })
    });
    let mut times = Vec::new();
    while !dribbling.is_finished() {
        assert_eq!((site.host.answer("update")?, children(site.agent.pid()).len()), (None, 1), "it is under way");
        times.push(time_of_version(&mut site.host)?);
        // It keeps 500 answers for five seconds, whoever has read them.
        thread::sleep(Duration::from_millis(1200));
    }
    dribbling.join().expect("the server's thread")?;
    let (code, message) = site.answer("update")?;
    assert!(code == "500" && message.contains("sum"), "{message}");
    times.sort();
    assert!(times.len() > 10, "{times:?}");
    assert_usual("a server dribbles, in the middle", usual, times[times.len() / 2]);
    assert_usual("a server dribbles, at worst", usual, times[times.len() - 1]);
    Ok(())
}

/// A guest with a mount that never answers, and its agent.
fn hung_guest(xenstored: &Xenstored) -> Result<(GuestRoot, Agent)> {
    guest_with(xenstored, HANG, &mounts(""))
}

/// A guest with this table of mounts, and its agent; its shell first does what is given, on [`HUNG`] below the root.
fn guest_with(xenstored: &Xenstored, first: &str, mounts: &str) -> Result<(GuestRoot, Agent)> {
    let root = GuestRoot::new()?;
    for directory in ["proc/self", "mnt/hung", "mnt/good"] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::write(root.join("/proc/meminfo"), "MemTotal: 1000 kB\nMemAvailable: 900 kB\n")?;
    fs::write(root.join("/proc/self/mountinfo"), mounts)?;
    let script = format!(
        "{first} {}\nexec {} agent --metrics-interval 1 --xenbus {} --root {}",
        root.join(HUNG).display(),
        binary().display(),
        xenstored.guest_socket().display(),
        root.path().display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", &script]);
    Ok((root, Agent::spawn(command)))
}

/// A table of mounts in which the second of three hangs.
fn mounts(more: &str) -> String {
    format!(
        "22 1 202:1 / / rw - ext4 /dev/xvda1 rw\n28 22 202:17 / {HUNG} rw - ext4 /dev/xvdb1 rw\n\
         29 22 202:33 / /mnt/good rw - ext4 /dev/xvdc1 rw\n{more}"
    )
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_volume_that_hangs_delays_nothing_and_is_left_out_until_something_is_mounted() -> Result<()> {
    let mut scene = Scene::new()?;
    let usual = time_of_version(&mut scene.host)?;
    let xenstored = Xenstored::start(Options::default())?;
    let (root, agent) = hung_guest(&xenstored)?;
    agent.wait_until_serving();
    let mut host = Host::of(&xenstored)?;
    wait_until("an errand is under way", || !children(agent.pid()).is_empty());
    let hanging = time_of_version(&mut host)?;
    assert_eq!(children(agent.pid()).len(), 1, "it still hangs");
    assert_usual("a mount hangs", usual, hanging);

    let line = "/dev/xvdb1 on /mnt/hung does not answer: it is left out until something is mounted";
    agent.wait_for_log(line);
    let names = |host: &mut Host| -> Result<BTreeMap<u32, Option<String>>> {
        let paths = [0, 1, 2].map(|number| (number, host.path(&format!("data/volumes/{number}/name"))));
        paths.into_iter().map(|(number, path)| Ok((number, host.client().get(&path)?))).collect()
    };
    let published = |host: &mut Host| {
        let names = names(host).unwrap_or_default();
        ["/dev/xvda1", "/dev/xvdc1"].iter().all(|device| names.values().flatten().any(|name| name == device))
    };
    wait_until("the others are published", || published(&mut host));
    assert!(!names(&mut host)?.values().flatten().any(|name| name == "/dev/xvdb1"), "{:?}", names(&mut host)?);
    // Some looks later nobody has asked it again.
    thread::sleep(Duration::from_secs(5));
    assert_eq!(agent.log().matches(line).count(), 1, "{}", agent.log());
    // (A look at the others may be under way.)
    wait_until("no child is left", || children(agent.pid()).is_empty());
    fs::write(root.join("/proc/self/mountinfo"), mounts("30 22 0:99 / /tmp rw - tmpfs tmpfs rw\n"))?;
    wait_until("it is asked once more", || agent.log().matches(line).count() == 2);
    assert!(published(&mut host));
    Ok(())
}

/// [`HANG`]; then somebody makes a directory there. The kernel asks for it with the lock of the mount's own directory
/// held, and whoever looks for a name there waits for that lock, whatever signal comes: `down_read` of fs/namei.c's
/// `lookup_slow`. $1 is where it is mounted.
const HANG_LOCKED: &str = r#"hang() { HANG "$1"; (mkdir "$1/made" 9<&- & echo $! >"$1/../../holder"); sleep 0.3; }
hang"#;

/// A guest in which a look for a volume cannot be killed, and its agent.
fn guest_of_no_return(xenstored: &Xenstored) -> Result<(GuestRoot, Agent)> {
    guest_with(xenstored, &HANG_LOCKED.replace("HANG", HANG), &mounts("").replace(HUNG, INSIDE))
}

/// Where the lock is waited for.
const INSIDE: &str = "/mnt/hung/inside";

/// Those of a process's children that were killed and are there still, as nothing wakes them.
fn unkillable(process: u32) -> Vec<u32> {
    let mut children = children(process);
    children.retain(|child| {
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        // SIGKILL is the ninth bit.
        status.contains("State:\tD") && status.lines().any(|line| line.starts_with("ShdPnd:") && line.ends_with("100"))
    });
    children
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn an_errand_that_cannot_be_killed_is_left_and_two_of_a_kind_are_enough() -> Result<()> {
    let mut scene = Scene::new()?;
    let usual = time_of_version(&mut scene.host)?;
    let xenstored = Xenstored::start(Options::default())?;
    let (root, agent) = guest_of_no_return(&xenstored)?;
    agent.wait_until_serving();
    let mut host = Host::of(&xenstored)?;
    let mounted = |more: &str| fs::write(root.join("/proc/self/mountinfo"), mounts(more).replace(HUNG, INSIDE));
    let left_out = |count: usize| {
        let line = "/dev/xvdb1 on /mnt/hung/inside does not answer: it is left out until something is mounted";
        wait_until(line, || agent.log().matches(line).count() == count);
    };
    left_out(1);
    let first = unkillable(agent.pid());
    assert_eq!(first.len(), 1, "{:?}", children(agent.pid()));
    // The others are asked by another errand.
    let is_published = |host: &mut Host, place: u8, device| {
        let path = host.path(&format!("data/volumes/{place}/name"));
        host.client().get(&path).is_ok_and(|name| name.as_deref() == device)
    };
    wait_until("the others are published", || is_published(&mut host, 1, Some("/dev/xvdc1")));
    assert_usual("an errand cannot be killed", usual, time_of_version(&mut host)?);
    mounted("30 22 0:99 / /tmp rw - tmpfs tmpfs rw\n")?;
    left_out(2);
    let both = unkillable(agent.pid());
    assert!(both.len() == 2 && both.contains(&first[0]), "{both:?}");
    // With two of them left none is begun, whatever is mounted.
    mounted("31 22 0:98 / /srv rw - tmpfs tmpfs rw\n")?;
    agent.wait_for_log("no process can look at volumes: ");
    assert_usual("two cannot be", usual, time_of_version(&mut host)?);
    thread::sleep(Duration::from_secs(3));
    assert_eq!((children(agent.pid()), agent.log().matches("does not answer").count()), (both, 2), "{}", agent.log());
    assert!(is_published(&mut host, 1, Some("/dev/xvdc1")), "what is published stays");
    // When they end after all they are taken note of, and volumes are asked again.
    let holder = fs::read_to_string(root.join("/holder"))?.trim().parse()?;
    kill_process(Pid::from_raw(holder).context("a process")?, Signal::KILL)?;
    wait_until("both are gone", || children(agent.pid()).is_empty());
    fs::write(root.join("/proc/self/mountinfo"), "22 1 202:1 / / rw - ext4 /dev/xvdz1 rw\n")?;
    wait_until("volumes are looked at", || is_published(&mut host, 0, Some("/dev/xvdz1")));
    assert!(is_published(&mut host, 1, None));
    Ok(())
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn told_to_end_it_does_not_wait_for_what_cannot_be_killed() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    // One that is under way, and is killed in vain; and one that was left.
    for words in ["serving data/host", "does not answer"] {
        let (_root, mut agent) = guest_of_no_return(&xenstored)?;
        agent.wait_for_log(words);
        wait_until("an errand waits", || !children(agent.pid()).is_empty());
        let begin = Instant::now();
        agent.signal(Signal::TERM);
        assert!(agent.wait().success());
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
    Ok(())
}

/// Whether a process has this in its memory, but for the stack: there is what it does itself, and what was said in the
/// log.
fn holds(process: u32, marker: &[u8]) -> Result<bool> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let memory = fs::File::open(format!("/proc/{process}/mem"))?;
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').context("a range")?;
        if !rest.starts_with('r')
            || line.ends_with("[stack]")
            || line.ends_with("[vvar]")
            || line.ends_with("[vsyscall]")
        {
            continue;
        }
        let (from, to) = range.split_once('-').context("a range")?;
        let (from, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
        let mut bytes = vec![0; usize::try_from(to - from)?];
        if memory.read_exact_at(&mut bytes, from).is_ok() && bytes.windows(marker.len()).any(|part| part == marker) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_errand_that_asks_volumes_has_next_to_nothing() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let (root, agent) = hung_guest(&xenstored)?;
    agent.wait_for_log("does not answer");
    let mut host = Host::of(&xenstored)?;
    // Its errand is forked when the agent has answered that, and remembers that it has.
    let marker = "a-marker-of-a-request";
    host.send(marker, r#"{"name":"version"}"#)?;
    host.wait_answer(marker)?;
    assert!(holds(agent.pid(), marker.as_bytes())?, "the agent has it, or there is nothing to see");
    fs::write(root.join("/proc/self/mountinfo"), mounts("30 22 0:99 / /tmp rw - tmpfs tmpfs rw\n"))?;
    let filtered = |child: &u32| {
        fs::read_to_string(format!("/proc/{child}/status")).is_ok_and(|status| status.contains("Seccomp:\t2"))
    };
    let mut child = None;
    wait_until("it hangs again", || {
        child = children(agent.pid()).into_iter().find(filtered);
        child.is_some()
    });
    let child = child.context("there is one")?;
    let status = fs::read_to_string(format!("/proc/{child}/status"))?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    for set in ["CapEff:", "CapPrm:"] {
        assert_eq!(field(set), Some("0000000000000004"), "CAP_DAC_READ_SEARCH alone");
    }
    assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), (Some("1"), Some("2")));
    let links = fs::read_dir(format!("/proc/{child}/fd"))?.map(|entry| Ok(fs::read_link(entry?.path())?));
    let links = links.collect::<Result<Vec<_>>>()?;
    assert!(links.len() == 2 && links.contains(&root.path().to_owned()), "{links:?}");
    assert!(links.iter().any(|link| link.to_string_lossy().contains("memfd:errand")), "{links:?}");
    let smaps = fs::read_to_string(format!("/proc/{child}/smaps"))?;
    let wiped = smaps.lines().filter(|line| line.starts_with("VmFlags:") && line.contains(" wf")).count();
    assert!(wiped > 0, "{smaps}");
    assert!(!holds(child, marker.as_bytes())?, "a request's bytes are in the errand's memory");
    // It is the same one still: nothing of that was of a process that had ended.
    assert_eq!(children(agent.pid()), vec![child]);
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn programs_are_run_in_the_order_of_their_requests_one_at_a_time() -> Result<()> {
    let body = |seconds: &str| format!("echo $0 begins >>/run/said; sleep {seconds}; echo $0 ends >>/run/said");
    let (slow, fast) = (body("1"), body("0"));
    let mut site = Site::new(&[("slow", slow.as_str()), ("fast", fast.as_str()), ("faster", fast.as_str())])?;
    site.agent.wait_until_serving();
    for id in ["slow", "fast", "faster"] {
        site.send(id)?;
    }
    site.host.ask("version", "")?.ok()?;
    assert_eq!(site.host.answer("slow")?, None);
    site.answer("faster")?;
    for id in ["slow", "fast"] {
        assert!(site.host.answer(id)?.is_some_and(|answer| answer.code == "0"), "{id} was answered before");
    }
    let order: String = site.said().replace("/etc/nanova/commands.d/", "");
    assert_eq!(order, "slow begins\nslow ends\nfast begins\nfast ends\nfaster begins\nfaster ends\n");
    assert!(children(site.agent.pid()).is_empty());
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn told_to_end_it_waits_for_a_program_but_not_long() -> Result<()> {
    let mut site = Site::new(&[
        ("short", "echo began >>/run/said; sleep 3; echo done in time"),
        ("long", "echo $$ >>/run/said; sleep 600 & echo $! >>/run/said; echo began >>/run/said; sleep 600"),
    ])?;
    site.send("short")?;
    site.wait_until_said("began");
    site.agent.signal(Signal::TERM);
    assert!(site.agent.wait().success());
    assert_eq!(site.answer("short")?, ("0".to_owned(), "done in time".to_owned()));

    fs::remove_file(site.directory.path().join("run/said"))?;
    site.restart();
    site.send("long")?;
    site.wait_until_said("began");
    let begin = Instant::now();
    site.agent.signal(Signal::TERM);
    assert!(site.agent.wait().success());
    println!("told to end while a program sleeps: {:?}", begin.elapsed());
    assert!((Duration::from_secs(5)..Duration::from_secs(15)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    assert_eq!(site.answer("long")?, ("500".to_owned(), ENDED.to_owned()));
    let group = processes(&site.said());
    assert_eq!(group.len(), 2);
    wait_until("all of the program is gone", || group.iter().all(|process| !runs(*process)));
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn no_child_outlives_an_agent_that_is_killed() -> Result<()> {
    let mut site = Site::new(&[("long", "echo $$ >>/run/said; echo began >>/run/said; exec sleep 600")])?;
    site.send("long")?;
    site.wait_until_said("began");
    let found = processes(&site.said());
    site.agent.signal(Signal::KILL);
    site.agent.wait();
    assert_eq!(found.len(), 1);
    wait_until("the program is gone", || found.iter().all(|process| !runs(*process)));
    // So is an errand that hangs.
    let xenstored = Xenstored::start(Options::default())?;
    let (_root, mut agent) = hung_guest(&xenstored)?;
    let mut found = Vec::new();
    wait_until("an errand is under way", || {
        found = children(agent.pid());
        !found.is_empty()
    });
    agent.signal(Signal::KILL);
    agent.wait();
    wait_until("the errand is gone", || found.iter().all(|process| !runs(*process)));
    Ok(())
}

#[test]
#[ignore = "needs root and strace"]
fn where_no_process_can_be_made_a_command_is_told_and_metrics_rest() -> Result<()> {
    for error in ["EAGAIN", "ENOMEM"] {
        let by = format!("strace -D -qq -o /dev/null -e trace=clone -e inject=clone:error={error}");
        let mut site = Site::with(&[("program", "echo ran")], "", &by)?;
        site.send("program")?;
        let (code, message) = site.answer("program")?;
        assert!(code == "500" && message.contains("has no room for one more process"), "{message}");
        assert!(message.contains(error), "{message}");
        let order = format!("http://127.0.0.1:9/agent,{}", "0".repeat(64));
        let answer = site.host.ask("agentupdate", order)?;
        assert!(answer.code == "500" && answer.message.contains(error), "{answer:?}");
        site.host.ask("version", "")?.ok()?;
    }
    let (xenstored, root) = (Xenstored::start(Options::default())?, GuestRoot::new()?);
    fs::create_dir_all(root.join("/proc/self"))?;
    fs::write(root.join("/proc/self/mountinfo"), "22 1 202:1 / / rw - ext4 /dev/xvda1 rw\n")?;
    let options = ["-o", "/dev/null", "-e", "trace=clone", "-e", "inject=clone:error=EAGAIN:when=1..3"];
    let mut command = nanova_tests::strace::nanova(options);
    command.args(["agent", "--metrics-interval", "1", "--xenbus"]).arg(xenstored.guest_socket());
    let agent = Agent::spawn({
        command.arg("--root").arg(root.path());
        command
    });
    let mut host = Host::of(&xenstored)?;
    agent.wait_for_log("no process can look at volumes: ");
    host.ask("version", "")?.ok()?;
    let name = host.path("data/volumes/0/name");
    wait_until("there is room again", || host.client().get(&name).is_ok_and(|name| name.is_some()));
    assert_eq!(agent.log().matches("no process can look at volumes: ").count(), 1, "{}", agent.log());
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn a_program_that_kills_the_agent_is_run_twice_and_no_more() -> Result<()> {
    // At once; and when it has been under way for some time.
    for before in ["", "sleep 0.3; "] {
        let deadly = format!("echo ran >>/run/said; {before}kill -9 $PPID; sleep 5");
        let mut site = Site::new(&[("a-deadly", deadly.as_str()), ("b-good", "echo good")])?;
        site.agent.wait_until_serving();
        site.send("a-deadly")?;
        site.send("b-good")?;
        for _ in 0..2 {
            site.agent.wait();
            site.restart();
        }
        let answers = (site.answer("a-deadly")?, site.answer("b-good")?);
        let refused = "this command ended the agent each time: not run again";
        assert_eq!(answers.0, ("500".to_owned(), refused.to_owned()));
        assert_eq!(answers.1, ("0".to_owned(), "good".to_owned()));
        assert_eq!(site.said().lines().count(), 2, "{before}");
        // It is over: another request of that kind is run again, and twice.
        let id = uuid()?;
        site.host.send(&id, json!({ "name": "a-deadly", "value": "" }).to_string())?;
        for _ in 0..2 {
            site.agent.wait();
            site.restart();
        }
        assert_eq!(site.answer(&id)?.1, refused);
        assert_eq!((site.said().lines().count(), site.agent.is_running()), (4, true));
    }
    Ok(())
}

#[test]
#[ignore = "needs root and strace"]
fn where_nothing_can_be_noted_it_serves_and_says_so_and_a_deadly_program_is_run_at_each_start() -> Result<()> {
    let deadly = ("deadly", "echo ran >>/etc/said; kill -9 $PPID; sleep 5");
    let unmappable = "strace -D -qq -o /dev/null -P /run/nanova.note -e trace=mmap -e inject=mmap:error=ENODEV";
    for (first, by, why) in [
        ("mount -t tmpfs -o size=4k none /run; head -c 4096 /dev/zero >/run/all", "", "ENOSPC"),
        ("mount -t tmpfs -o nr_inodes=2 none /run; >/run/all", "", "ENOSPC"),
        ("mount -o remount,bind,ro /run", "", "EROFS"),
        ("mkdir -p /run/nanova.note", "", "EISDIR"),
        (">/run/nanova.note; chown 65534 /run/nanova.note", "", "EPERM"),
        ("", unmappable, "ENODEV"),
    ] {
        let mut site = Site::with(&[("good", "echo good"), deadly], first, by)?;
        site.agent.wait_for_log("what is noted does not outlive this agent: /run/nanova.note: ");
        assert!(site.agent.log().contains(why), "{first}: {}", site.agent.log());
        site.host.ask("version", "")?.ok()?;
        site.send("good")?;
        assert_eq!(site.answer("good")?, ("0".to_owned(), "good".to_owned()), "{first}");
        // Without a note nobody knows that it was run before.
        site.send("deadly")?;
        for runs in 1..=3 {
            site.agent.wait();
            let said = fs::read_to_string(site.directory.path().join("etc/said"))?;
            assert_eq!(said.lines().count(), runs, "{first}");
            site.restart();
        }
    }
    // One that has no limit, and cannot be asked for room.
    let mut site = Site::with(&[], "mount -t ramfs none /run", "")?;
    site.host.ask("version", "")?.ok()?;
    assert!(!site.agent.log().contains("outlive"), "{}", site.agent.log());
    Ok(())
}

#[test]
fn an_idle_agent_has_no_child() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_for_log("published what the guest is");
    scene.host.ask("version", "")?.ok()?;
    wait_until("its first errand has ended", || children(scene.agent.pid()).is_empty());
    thread::sleep(Duration::from_secs(1));
    assert!(children(scene.agent.pid()).is_empty());
    Ok(())
}
