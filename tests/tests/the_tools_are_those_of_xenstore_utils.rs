//! `nanova xenstore` prints what Debian's xenstore-utils print and exits as they do: against literals where they are
//! not installed, against the tools themselves where they are.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use nanova_tests::agent::binary;
use nanova_tests::xenstored::{Kernel, Options, Quotas, Xenstored};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

/// Who answers.
#[derive(Clone, Copy, Debug)]
enum Tools {
    Ours,
    Theirs,
}

impl Tools {
    /// `xenstore-TOOL -s WORDS` on a socket.
    fn command(self, socket: &Path, tool: &str, words: &[&str]) -> Command {
        let mut command = match self {
            Tools::Ours => {
                let mut command = Command::new(binary());
                command.args(["xenstore", tool]);
                command
            }
            Tools::Theirs => Command::new(format!("xenstore-{tool}")),
        };
        command.arg("-s").args(words).env("XENSTORED_PATH", socket).stdin(Stdio::null());
        command
    }

    fn run(self, socket: &Path, tool: &str, words: &[&str]) -> Result<Output> {
        self.command(socket, tool, words).output().with_context(|| format!("{self:?}: xenstore-{tool}"))
    }
}

/// Output and exit code.
fn ours(xenstored: &Xenstored, line: &str) -> Result<(String, i32)> {
    let words: Vec<&str> = line.split(' ').collect();
    let output = Tools::Ours.run(&xenstored.guest_socket(), words[0], &words[1..])?;
    let complained = !output.stderr.is_empty();
    let code = output.status.code().context("no signal")?;
    assert_eq!(complained, code != 0 && words[0] != "exists", "{line}: {}", String::from_utf8_lossy(&output.stderr));
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), code))
}

fn assert_prints(xenstored: &Xenstored, line: &str, wanted: &str) -> Result<()> {
    assert_eq!(ours(xenstored, line)?, (wanted.to_owned(), 0), "{line}");
    Ok(())
}

fn assert_fails(xenstored: &Xenstored, line: &str) -> Result<()> {
    assert_eq!(ours(xenstored, line)?, (String::new(), 1), "{line}");
    Ok(())
}

#[test]
fn values_are_read_and_written() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    assert_prints(&xenstored, "read name domid", "guest\n7\n")?;
    assert_prints(&xenstored, "read -p name /local/domain/7/domid", "name: guest\n/local/domain/7/domid: 7\n")?;
    assert_prints(&xenstored, r"write data/bin \xff\000a\x22b\t\\x data/empty \", "")?;
    assert_eq!(xenstored.host().read("/local/domain/7/data/bin")?, b"\xff\0a\"b\t\\x");
    assert_prints(&xenstored, "read data/bin", "\\xff\\000a\"b\\t\\\\x\n")?;
    assert_prints(&xenstored, r"write -R data/raw \x41\n", "")?;
    assert_eq!(xenstored.host().read("/local/domain/7/data/raw")?, br"\x41\n");
    let raw = Tools::Ours.run(&xenstored.guest_socket(), "read", &["-R", "data/bin"])?;
    assert_eq!(raw.stdout, b"\xff\0a\"b\t\\x");
    assert_fails(&xenstored, "read nothing")?;
    // What comes before the first error is printed.
    assert_eq!(ours(&xenstored, "read name nothing domid")?, ("guest\n".to_owned(), 1));
    for line in ["write control/x 1", "write /tool/x 1", "write a..b 1", "read a//b", "read /a/"] {
        assert_fails(&xenstored, line)?;
    }
    Ok(())
}

#[test]
fn several_values_are_written_together_or_not_at_all() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    assert_prints(&xenstored, "write data/a 1 data/b 2 data/c/d 3", "")?;
    assert_prints(&xenstored, "read data/a data/b data/c/d", "1\n2\n3\n")?;
    assert_fails(&xenstored, "write data/a 9 data/new 9 control/forbidden 9")?;
    assert_prints(&xenstored, "read data/a", "1\n")?;
    assert_fails(&xenstored, "read data/new")?;
    // A watcher sees both or none: one that looks at every event finds them equal.
    let mut host = xenstored.host();
    host.watch("/local/domain/7/data", "pair")?;
    for n in 0..20 {
        assert_prints(&xenstored, &format!("write data/a {n} data/b {n}"), "")?;
        while host.wait_event(std::time::Duration::ZERO)?.is_some() {}
        assert_eq!(host.read("/local/domain/7/data/a")?, host.read("/local/domain/7/data/b")?);
    }
    // Somebody else's change in between costs another try, and no more.
    xenstored.refuse_commits(5);
    assert_prints(&xenstored, "write data/a x data/b y", "")?;
    assert_prints(&xenstored, "read data/a data/b", "x\ny\n")?;
    Ok(())
}

#[test]
fn nodes_are_listed_made_and_removed() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    assert_prints(&xenstored, "list data", "")?;
    assert_prints(&xenstored, "mkdir data/a data/b/c", "")?;
    assert_prints(&xenstored, "list data", "a\nb\n")?;
    assert_prints(&xenstored, "list -p data data/b", "data/a\ndata/b\ndata/b/c\n")?;
    assert_fails(&xenstored, "list nothing")?;
    assert_prints(&xenstored, "exists data/a data/b/c name", "")?;
    assert_eq!(ours(&xenstored, "exists data/a nothing")?, (String::new(), 1));
    assert_prints(&xenstored, "rm data/a data/nothing", "")?;
    assert_fails(&xenstored, "rm nothing/at/all")?;
    assert_prints(&xenstored, "write data/deep/er/st 1 data/deep/value 1", "")?;
    // Parents left empty go as well, up to one that is not.
    assert_prints(&xenstored, "rm -t data/deep/er/st", "")?;
    assert_prints(&xenstored, "list data/deep", "value\n")?;
    assert_fails(&xenstored, "rm data/b domid")?;
    assert_prints(&xenstored, "exists data/b domid", "")?;
    Ok(())
}

#[test]
fn a_tree_is_shown_in_columns() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let (fits, cut) = ("y".repeat(71), "y".repeat(72));
    assert_prints(&xenstored, &format!("write data/a {fits} data/b {cut} data/c/d 1 data/e {}", "x".repeat(300)), "")?;
    let tree = format!(
        "a = \"{fits}\"\nb = \"{}\\...\"\nc = \"\"\n d = \"1\"\ne = \"{}\\...\"\n",
        "y".repeat(71),
        "x".repeat(71)
    );
    assert_prints(&xenstored, "ls data", &tree)?;
    let full = format!("data/c = \"\"\ndata/c/d = \"1\"\ndata/e = \"{}\"\n", "x".repeat(300));
    let (printed, code) = ours(&xenstored, "ls -f data")?;
    assert!(printed.ends_with(&full) && code == 0, "{printed}");
    let (printed, _) = ours(&xenstored, "ls -p /local/domain/7/control")?;
    let line = "feature-suspend = \"\" . . . . . . . . . . . . . . . . . . . .  (n7)\n";
    assert!(printed.contains(line), "{printed}");
    assert_fails(&xenstored, "ls nothing")?;
    Ok(())
}

#[test]
fn permissions_are_set_and_shown() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    assert_prints(&xenstored, "mkdir data/a/b/c", "")?;
    let perms = |node: &str| xenstored.host().perms(&format!("/local/domain/7/{node}"));
    assert_prints(&xenstored, "chmod data/a n7 r0", "")?;
    assert_eq!((perms("data/a")?.as_str(), perms("data/a/b")?.as_str()), ("n7 r0", "n7"));
    assert_prints(&xenstored, "chmod -r data/a b7", "")?;
    assert_eq!((perms("data/a")?.as_str(), perms("data/a/b/c")?.as_str()), ("b7", "b7"));
    // Above the guest's own nodes there are some that are not, so nothing changes.
    assert_fails(&xenstored, "chmod -u /local/domain/7/data/a n7")?;
    assert_fails(&xenstored, "chmod data/a x7")?;
    assert_fails(&xenstored, "chmod data/a n7 r1 r2 r3 r4 r5")?;
    assert_fails(&xenstored, "chmod control n7")?;
    assert_eq!(perms("data/a")?, "b7");
    Ok(())
}

/// A value that fills a packet together with `data/long` and the zero byte behind it.
const LONGEST: usize = 4096 - "data/long".len() - 1;

#[test]
fn a_value_fills_a_packet() -> Result<()> {
    let xenstored = Xenstored::start(Options {
        quotas: Quotas { node_size: 64 * 1024, ..Quotas::default() },
        ..Options::default()
    })?;
    let longest = "y".repeat(LONGEST);
    assert_prints(&xenstored, &format!("write data/long {longest}"), "")?;
    assert_prints(&xenstored, "read data/long", &format!("{longest}\n"))?;
    assert_fails(&xenstored, &format!("write data/long {longest}y"))?;
    assert_eq!(xenstored.host().read("/local/domain/7/data/long")?.len(), LONGEST);
    // A device takes sixteen bytes less.
    let device = xenstored.guest_device(Kernel::default())?;
    for (len, code) in [(LONGEST - 16, 0), (LONGEST - 15, 1)] {
        let mut command = Command::new(binary());
        command.args(["xenstore", "write", "--xenbus"]).arg(device.path()).args(["data/long", &"z".repeat(len)]);
        let output = command.output()?;
        assert_eq!(output.status.code(), Some(code), "{len}: {output:?}");
    }
    assert_eq!(xenstored.host().read("/local/domain/7/data/long")?.len(), LONGEST - 16);
    Ok(())
}

#[test]
#[ignore = "needs xenstore-utils"]
fn a_value_is_as_long_as_theirs() -> Result<()> {
    for len in [LONGEST - 1, LONGEST, LONGEST + 1] {
        let code = |tools: Tools| -> Result<Option<i32>> {
            let output = tools.run(&full()?.guest_socket(), "write", &["data/long", &"y".repeat(len)])?;
            Ok(output.status.code())
        };
        assert_eq!(code(Tools::Ours)?, code(Tools::Theirs)?, "{len}");
    }
    Ok(())
}

#[test]
fn under_the_tools_own_names_there_is_one_failure() -> Result<()> {
    let place = tempfile::tempdir()?;
    let nothing = place.path().join("nothing");
    let lines = ["read", "ls -z", "read x", "exists x", "watch", "chmod a", "write a", "rm", "list", "mkdir", "fly"];
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let name = place.path().join(format!("xenstore-{}", words[0]));
        symlink(binary(), &name)?;
        for (mut command, usage) in [(Command::new(&name), 1), (Command::new(binary()), 2)] {
            if usage == 2 {
                command.args(["xenstore", words[0]]);
            }
            let output = command.args(&words[1..]).env("XENSTORED_PATH", &nothing).output()?;
            let missing = matches!(line, "read x" | "exists x");
            // A path that is named is no machine without Xen.
            assert_eq!(output.status.code(), Some(if missing { 1 } else { usage }), "{line}: {output:?}");
            assert!(!output.stderr.is_empty(), "{line}");
        }
        // Without any word of where it is.
        let output = Command::new(&name).args(["name", "x"]).env_remove("XENSTORED_PATH").output()?;
        assert_eq!(output.status.code(), Some(1), "{line}: {output:?}");
        std::fs::remove_file(&name)?;
    }
    Ok(())
}

#[test]
fn long_lists_come_whole() -> Result<()> {
    let xenstored = Xenstored::start(Options {
        quotas: Quotas { nodes: 5000, node_size: 64 * 1024, ..Quotas::default() },
        ..Options::default()
    })?;
    let mut host = xenstored.host();
    let names: Vec<String> = (0..1000).map(|n| format!("child-{n:030}")).collect();
    names.iter().try_for_each(|name| host.write(&format!("/local/domain/7/data/many/{name}"), "x"))?;
    let deep: Vec<String> = (0..300).map(|n| format!("d{n}")).collect();
    host.write(&format!("/local/domain/7/data/deep/{}", deep.join("/")), "bottom")?;
    let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
    assert_prints(&xenstored, "list data/many", &lines)?;
    let (printed, code) = ours(&xenstored, "ls data/many")?;
    assert_eq!((printed.lines().count(), code), (1000, 0));
    let (printed, code) = ours(&xenstored, "ls -f data/deep")?;
    assert_eq!((printed.lines().count(), code), (300, 0));
    assert!(printed.ends_with(&format!("data/deep/{} = \"bottom\"\n", deep.join("/"))));
    assert_prints(&xenstored, "chmod -r data/many n7 r0", "")?;
    assert_eq!(host.perms(&format!("/local/domain/7/data/many/{}", names[999]))?, "n7 r0");
    Ok(())
}

#[test]
fn changes_are_watched() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let socket = xenstored.guest_socket();
    let mut watcher =
        Tools::Ours.command(&socket, "watch", &["-n", "4", "data", "name"]).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(watcher.stdout.take().context("a pipe")?).lines();
    let mut next = || lines.next().context("it prints")?.map_err(anyhow::Error::from);
    assert_eq!((next()?.as_str(), next()?.as_str()), ("data", "name"));
    assert_prints(&xenstored, "write data/a 1", "")?;
    assert_eq!(next()?, "data/a");
    assert_prints(&xenstored, "rm data/a", "")?;
    assert_eq!(next()?, "data/a");
    assert_eq!(watcher.wait()?.code(), Some(0));
    // One that watches for ever ends, with a complaint, when xenstore does.
    let mut xenstored = xenstored;
    let mut watcher =
        Tools::Ours.command(&socket, "watch", &["data"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(watcher.stdout.take().context("a pipe")?).lines();
    assert_eq!(lines.next().context("it prints")??, "data");
    xenstored.stop();
    let output = watcher.wait_with_output()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("xenstore connection lost"), "{output:?}");
    Ok(())
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let mut host = xenstored.host();
    // Twice the names are more than a pipe holds.
    for n in 0..700 {
        host.write(&format!("/local/domain/7/data/many/child-{n:060}"), "value")?;
    }
    for (tool, words) in [("ls", &["data", "data"][..]), ("list", &["data/many", "data/many"]), ("watch", &["data"])] {
        let mut child = Tools::Ours
            .command(&xenstored.guest_socket(), tool, words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut reader = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        assert!(!line.is_empty());
        drop(reader);
        if tool == "watch" {
            // It notices when it has something to say.
            host.write("/local/domain/7/data/x", "")?;
        }
        let output = child.wait_with_output()?;
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{tool}");
        assert_eq!(output.status.code(), Some(1), "{tool}");
    }
    Ok(())
}

#[test]
fn each_tool_has_a_name_of_its_own() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let place = tempfile::tempdir()?;
    for (name, words, wanted) in [
        ("xenstore-read", &["name"][..], "guest\n"),
        ("xenstore-list", &["-p", "control"], "control/platform-feature-multiprocessor-suspend\n"),
        ("xenstore-exists", &["name"], ""),
        ("xenstore-write", &["data/x", "1"], ""),
        ("xenstore-ls", &["-f", "data"], "data/x = \"1\"\n"),
        ("xenstore-chmod", &["data/x", "n7"], ""),
        ("xenstore-mkdir", &["data/y"], ""),
        ("xenstore-rm", &["data/x", "data/y"], ""),
        ("xenstore-watch", &["-n", "1", "name"], "name\n"),
        ("xenstore", &["read", "domid"], "7\n"),
    ] {
        symlink(binary(), place.path().join(name))?;
        let mut command = Command::new(place.path().join(name));
        let output = command.args(words).env("XENSTORED_PATH", xenstored.guest_socket()).output()?;
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).starts_with(wanted), "{name}: {output:?}");
    }
    Ok(())
}

/// A guest with some of everything.
fn full() -> Result<Xenstored> {
    let quotas = Quotas { nodes: 5000, node_size: 64 * 1024, ..Quotas::default() };
    let xenstored = Xenstored::start(Options { quotas, ..Options::default() })?;
    let mut host = xenstored.host();
    let mut put = |node: &str, value: &[u8]| host.write(&format!("/local/domain/7/data/{node}"), value);
    let all: Vec<u8> = (0..=255).collect();
    put("bin", b"\xff\xfe\0a\"b\t\\x")?;
    put("all", &all)?;
    put("empty", b"")?;
    for len in [40, 50, 58, 59, 60, 61, 62, 63, 68, 69, 70, 71, 72, 73, 74, 80, 300, 2000] {
        put(&format!("long-{len}"), "y".repeat(len).as_bytes())?;
        put(&format!("escaped-{len}"), "\n".repeat(len / 2).as_bytes())?;
    }
    put(&format!("{}/v", "n".repeat(100)), b"1")?;
    put("deep/er/st/of/all/the/no/des/in/here/and/a/few/more", b"v")?;
    for child in 0..300 {
        put(&format!("many/child-{child:020}"), b"x")?;
    }
    host.set_perms("/local/domain/7/data/empty", "n7 r0 w3 b4")?;
    host.write("/local/domain/7/hidden", "secret")?;
    host.set_perms("/local/domain/7/hidden", "n0")?;
    Ok(xenstored)
}

const LINES: [&str; 62] = [
    "ls",
    "ls -p",
    "ls -f",
    "ls -fp",
    "ls -p /local/domain/7",
    "ls /local/domain/7/hidden",
    "ls data",
    "ls -p data",
    "ls -f -p data",
    "ls data name",
    "ls data/",
    "ls nope",
    "ls data nope",
    "ls /",
    "ls //",
    "list data",
    "list /",
    "list -p data",
    "list -p /",
    "list -p /local/domain/7",
    "list data/many",
    "list nope data",
    "list data nope",
    "list data/empty",
    "list hidden",
    "read name",
    "read -p name domid",
    "read -R data/bin",
    "read -R data/all name",
    "read -pR name",
    "read data/bin data/empty",
    "read data/all",
    "read name nope",
    "read nope name",
    "read hidden",
    "read /",
    "read a..b",
    "exists nope",
    "exists name data",
    "exists name nope",
    "exists hidden",
    "exists data/",
    "rm data/none",
    "rm none/none/a",
    "rm domid",
    "rm -t data/deep/er/st/of/all/the/no/des/in/here/and/a/few/more",
    "exists data/deep",
    "rm -t data/empty",
    "write data/a 1 data/b 2",
    "write control/x 1",
    "write data/a 5 control/x 1",
    r"write data/esc \x41\102\n\t\r\\\q\x4",
    r"write -R data/raw \x41\102\n",
    "read data/a data/b data/esc data/raw",
    "chmod data/a n7 r0",
    "chmod data/a x1",
    "chmod data/nope n7",
    "chmod -r data/many n7 b0",
    // Of a relative path the original says that it has no parent, and undoes everything.
    "chmod -u /local/domain/7/data/many n7",
    "ls -p data",
    "watch -n 1 data",
    "watch -n 2 name data",
];

#[test]
#[ignore = "needs xenstore-utils"]
fn output_and_exit_code_are_theirs() -> Result<()> {
    // Each has a tree of its own, so that what one changes the other finds unchanged.
    let (our, their) = (full()?, full()?);
    let mut different = Vec::new();
    for line in LINES {
        let words: Vec<&str> = line.split(' ').collect();
        let run = |tools: Tools, xenstored: &Xenstored| -> Result<(String, Option<i32>)> {
            let output = tools.run(&xenstored.guest_socket(), words[0], &words[1..])?;
            Ok((String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code()))
        };
        let (ours, theirs) = (run(Tools::Ours, &our)?, run(Tools::Theirs, &their)?);
        if ours != theirs {
            let lines = ours.0.lines().zip(theirs.0.lines()).find(|(a, b)| a != b);
            different.push(format!("{line}: exit {:?}, theirs {:?}; first lines: {lines:?}", ours.1, theirs.1));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    let dump = |xenstored: &Xenstored| {
        let output = Tools::Theirs.run(&xenstored.host_socket(), "ls", &["-fp", "/local/domain/7"]);
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(dump(&our)?, dump(&their)?, "and they have changed the same");
    Ok(())
}

/// A terminal of this width, and what is printed on it.
fn terminal(columns: u16) -> Result<(OwnedFd, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = ptsname(&master, Vec::new())?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let slave = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
    let mut termios = tcgetattr(&slave)?;
    termios.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &termios)?;
    tcsetwinsize(&slave, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
    Ok((master, slave))
}

fn on_terminal(tools: Tools, xenstored: &Xenstored, columns: u16, words: &[&str]) -> Result<String> {
    let (master, slave) = terminal(columns)?;
    let mut command = tools.command(&xenstored.guest_socket(), "ls", words);
    let mut child = command.stdout(slave.as_fd().try_clone_to_owned()?).stderr(Stdio::null()).spawn()?;
    // The last descriptors of the other end but the child's, so that its end is the end.
    drop((command, slave));
    let mut printed = Vec::new();
    // A terminal whose other end is closed reports an error, not an end.
    let _ = std::fs::File::from(master).read_to_end(&mut printed);
    // Not 0 where the guest may not see everything.
    child.wait()?;
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

#[test]
fn a_tree_fits_the_terminal() -> Result<()> {
    let xenstored = full()?;
    for columns in [80, 132, 300, 40] {
        let printed = on_terminal(Tools::Ours, &xenstored, columns, &["data"])?;
        // Escapes make a line longer than its value is, here as there.
        let long: Vec<_> =
            printed.lines().filter(|line| line.len() > usize::from(columns) && !line.contains("\\n")).collect();
        assert!(long.is_empty(), "{columns}: {long:?}");
        assert!(printed.lines().count() > 350, "{printed}");
    }
    let wide = on_terminal(Tools::Ours, &xenstored, 500, &["data"])?;
    assert!(wide.contains(&format!("long-300 = \"{}\"\n", "y".repeat(300))), "{wide}");
    Ok(())
}

#[test]
#[ignore = "needs xenstore-utils"]
fn on_terminals_of_any_width_it_is_theirs() -> Result<()> {
    let xenstored = full()?;
    // Below forty columns the original prints names whole that have no room at all: a precision below zero in
    // printf(3).
    for columns in [40, 79, 80, 81, 100, 132, 300] {
        for words in [
            &["data"][..],
            &["-p", "data"],
            &["-p", "/local/domain/7"],
            &["-f", "data"],
            &["-fp", "data"],
            &["-f", "/local/domain/7"],
        ] {
            let print = |tools| on_terminal(tools, &xenstored, columns, words);
            let (ours, theirs) = (print(Tools::Ours)?, print(Tools::Theirs)?);
            let lines = ours.lines().zip(theirs.lines()).find(|(a, b)| a != b);
            assert!(ours == theirs, "{columns} columns, {words:?}: {lines:?}");
        }
    }
    Ok(())
}
