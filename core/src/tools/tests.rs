//! The tools on a xenstore in memory, word by word what Debian's xenstore-utils print there.

use super::*;
use crate::cli::Operands;
use crate::test_xenstore::FakeXenstore;
use crate::wire::xenstore::MessageType;

/// What was printed.
struct FakeTerminal {
    printed: Vec<u8>,
    complaints: Vec<String>,
    width: Option<usize>,
    /// Whether whoever reads is still there.
    read: bool,
}

impl fmt::Write for FakeTerminal {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

impl Terminal for FakeTerminal {
    fn put(&mut self, bytes: &[u8]) {
        self.printed.extend_from_slice(bytes);
    }

    fn flush(&mut self) -> bool {
        self.read
    }

    fn complain(&mut self, what: fmt::Arguments<'_>) {
        self.complaints.push(what.to_string());
    }

    fn width(&mut self) -> Option<usize> {
        self.width
    }
}

/// A store and a terminal.
struct Guest {
    client: Client<FakeXenstore>,
    terminal: FakeTerminal,
}

impl Guest {
    fn with(nodes: &[(&str, &str)]) -> Guest {
        let terminal = FakeTerminal { printed: Vec::new(), complaints: Vec::new(), width: None, read: true };
        Guest { client: Client::new(FakeXenstore::with(nodes)), terminal }
    }

    /// Runs `tool [-options] operands`; returns what was printed, and how it ended.
    fn run(&mut self, line: &str) -> (String, i32) {
        let mut words = line.split(' ');
        let tool = match words.next().unwrap() {
            "read" => Tool::Read,
            "write" => Tool::Write,
            "ls" => Tool::Ls,
            "list" => Tool::List,
            "exists" => Tool::Exists,
            "rm" => Tool::Rm,
            "mkdir" => Tool::Mkdir,
            "chmod" => Tool::Chmod,
            "watch" => Tool::Watch,
            "status" => Tool::Status,
            other => panic!("{other}"),
        };
        let mut call = XenstoreCall { tool, operands: Operands::new(), ..XenstoreCall::default() };
        for word in words {
            match (word, tool) {
                ("-p", Tool::Ls) => call.permissions = true,
                ("-p", _) => call.prefix = true,
                ("-R", _) => call.raw = true,
                ("-f", _) => call.full = true,
                ("-t", _) => call.tidy = true,
                ("-r", _) => call.recursive = true,
                ("-u", _) => call.upwards = true,
                ("--json", _) => call.json = true,
                ("-n1", _) => call.events = Some(1),
                ("-n3", _) => call.events = Some(3),
                _ => call.operands.push(word).unwrap(),
            }
        }
        self.terminal.printed.clear();
        self.terminal.complaints.clear();
        let code = run(&call, &mut self.client, &mut self.terminal, &mut [0; NAMES_MAX]);
        (String::from_utf8(self.terminal.printed.clone()).unwrap(), code)
    }

    #[track_caller]
    fn prints(&mut self, line: &str, wanted: &str) {
        assert_eq!(self.run(line), (wanted.to_owned(), exit::DONE), "{line}: {:?}", self.terminal.complaints);
        assert!(self.terminal.complaints.is_empty(), "{:?}", self.terminal.complaints);
    }

    #[track_caller]
    fn fails(&mut self, line: &str, complaint: &str) {
        assert_eq!(self.run(line), (String::new(), exit::FAILED), "{line}");
        assert_eq!(self.terminal.complaints, [complaint], "{line}");
    }

    fn get(&mut self, path: &str) -> Option<String> {
        self.store().get(path).map(str::to_owned)
    }

    fn store(&mut self) -> &mut FakeXenstore {
        self.client.transport()
    }
}

#[test]
fn values_are_read_with_their_paths_or_without() {
    let mut guest = Guest::with(&[("name", "guest"), ("domid", "7"), ("data/lines", "a\nb")]);
    guest.prints("read name domid", "guest\n7\n");
    guest.prints("read -p name /local/domain/7/domid", "name: guest\n/local/domain/7/domid: 7\n");
    guest.prints("read data/lines", "a\\nb\n");
    guest.prints("read -R data/lines", "a\nb");
    guest.fails("read nothing", "couldn't read path nothing: xenstored answered ENOENT");
    guest.fails("read a//b", "couldn't read path a//b: xenstored answered EINVAL");
    assert_eq!(guest.run("read name nothing domid"), ("guest\n".to_owned(), exit::FAILED));
    // Whoever reads what is printed has to be there.
    guest.terminal.read = false;
    assert_eq!(guest.run("read name").1, exit::FAILED);
    assert!(guest.terminal.complaints.is_empty());
}

#[test]
fn values_are_written_with_escapes_or_as_they_are() {
    let mut guest = Guest::with(&[("data/x", "")]);
    guest.prints(r"write data/a 1 data/b \x41\t", "");
    guest.prints(r"write -R data/raw \x41\n", "");
    assert_eq!(guest.store().below("data"), [("a", "1"), ("b", "A\t"), ("raw", r"\x41\n")]);
    let long = "x".repeat(5000);
    guest.fails(
        &format!("write data/a {long}"),
        "data/a: too long; a path and its value take 4096 bytes, 16 less by a device; lists 65536",
    );
    guest.fails("write a//b 1", "could not write path a//b: xenstored answered EINVAL");
}

#[test]
fn several_values_are_written_in_one_transaction_or_none_is() {
    let mut guest = Guest::with(&[("data/a", "1")]);
    guest.store().refuses.push((MessageType::WRITE, "control", "EACCES"));
    guest.fails(
        "write data/a 9 control/b 9 data/c 9",
        "could not write path control/b: xenstored answered EACCES: a guest may write below data, \
                 attr and error; XAPI's below control and vm-data, too",
    );
    assert_eq!(guest.store().below("data"), [("a", "1")]);
    guest.store().conflicts = 5;
    guest.prints("write data/a 2 data/b 3", "");
    assert_eq!(guest.store().below("data"), [("a", "2"), ("b", "3")]);
    // One alone needs none.
    guest.store().asked.clear();
    guest.prints("write data/a 3", "");
    assert_eq!(guest.store().asked.len(), 1);
}

#[test]
fn names_are_listed_with_their_directory_or_without() {
    let mut guest = Guest::with(&[("data/a", ""), ("data/b/c", ""), ("empty", "")]);
    guest.prints("list data", "a\nb\n");
    guest.prints("list -p data data/b", "data/a\ndata/b\ndata/b/c\n");
    guest.prints("list empty", "");
    guest.fails("list nothing", "could not list path nothing: xenstored answered ENOENT");
    for number in 0..1500 {
        guest.store().put(&format!("many/{number:060}"), "");
    }
    guest.fails("list many", "many: too long; a path and its value take 4096 bytes, 16 less by a device; lists 65536");
    guest.fails("ls many", "many: too long; a path and its value take 4096 bytes, 16 less by a device; lists 65536");
}

#[test]
fn what_is_there_is_told_by_the_exit_code_alone() {
    let mut guest = Guest::with(&[("data/a", ""), ("name", "guest")]);
    guest.prints("exists data/a name", "");
    assert_eq!(guest.run("exists data/a nothing"), (String::new(), exit::FAILED));
    assert!(guest.terminal.complaints.is_empty());
    guest.store().lose = Some((0, false));
    guest.fails("exists data/a", "could not look for data/a: xenstore connection lost: closed by the other side");
}

#[test]
fn nodes_are_made_and_removed_together_or_not_at_all() {
    let mut guest = Guest::with(&[("data/x", "")]);
    guest.prints("mkdir data/a data/b/c", "");
    assert_eq!(["data/a", "data/b/c"].map(|path| guest.get(path)), [Some(String::new()), Some(String::new())]);
    guest.store().refuses.push((MessageType::MKDIR, "control", "EACCES"));
    guest.fails(
        "mkdir data/new control",
        "could not make path control: xenstored answered EACCES: a guest may write below data, \
                 attr and error; XAPI's below control and vm-data, too",
    );
    assert_eq!(guest.store().get("data/new"), None);
    guest.prints("rm data/a data/nothing", "");
    assert_eq!(guest.store().get("data/a"), None);
    guest.fails("rm data/b nothing/at/all", "could not remove path nothing/at/all: xenstored answered ENOENT");
    assert_eq!(guest.store().get("data/b/c"), Some(""));
}

#[test]
fn parents_that_are_left_empty_go_as_well_where_that_is_asked_for() {
    let tree = [("data/deep/er/still", "1"), ("data/deep/value", "1"), ("data/said/x", "1"), ("data/said", "words")];
    let mut guest = Guest::with(&tree);
    guest.prints("rm data/deep/er/still", "");
    assert_eq!(guest.store().get("data/deep/er"), Some(""));
    guest.store().put("data/deep/er/still", "1");
    guest.prints("rm -t data/deep/er/still", "");
    assert_eq!(["data/deep/er", "data/deep/value"].map(|path| guest.get(path)), [None, Some("1".to_owned())]);
    guest.prints("rm -t data/said/x", "");
    assert_eq!(guest.store().get("data/said"), Some("words"));
    guest.prints("rm -t data/deep/value", "");
    assert_eq!(["data/deep", "data"].map(|path| guest.get(path)), [None, Some(String::new())]);
}

#[test]
fn a_tree_is_shown_in_columns_and_cut_at_the_terminals_width() {
    let (fits, cut) = ("y".repeat(71), "y".repeat(72));
    let long = "x".repeat(300);
    let mut guest =
        Guest::with(&[("data/a", &fits), ("data/b", &cut), ("data/c/d", "1"), ("data/c/d/e", "2"), ("data/f", &long)]);
    let tree = format!(
        "a = \"{fits}\"\nb = \"{}\\...\"\nc = \"\"\n d = \"1\"\n  e = \"2\"\nf = \"{}\\...\"\n",
        "y".repeat(71),
        "x".repeat(71)
    );
    guest.prints("ls data", &tree);
    let full = format!(
        "data/a = \"{fits}\"\ndata/b = \"{cut}\"\ndata/c = \"\"\n\
         data/c/d = \"1\"\ndata/c/d/e = \"2\"\ndata/f = \"{long}\"\n"
    );
    guest.prints("ls -f data", &full);
    guest.prints("ls data/c data/c/d", "d = \"1\"\n e = \"2\"\ne = \"2\"\n");
    // A value counts as it is shown: five bytes, of which one has four characters.
    let mut guest =
        Guest::with(&[("t/a/abcdefghijklmnopqrst", "1"), ("t/b", "1\t345"), ("t/c", "1\x01345"), ("t/d", "123456")]);
    guest.terminal.width = Some(14);
    let tree = "a = \"\"\n abcde = \"\\...\"\nb = \"1\\t345\"\nc = \"1\\001345\"\nd = \"12345\\...\"\n";
    guest.prints("ls t", tree);
    guest.terminal.width = Some(5);
    guest.prints("ls t/a", " = \"\\...\"\n");
}

#[test]
fn a_whole_tree_begins_at_the_root() {
    let mut guest = Guest::with(&[("/tool/x", "1")]);
    guest.prints("ls", "tool = \"\"\n x = \"1\"\n");
    guest.prints("ls -f", "/tool = \"\"\n/tool/x = \"1\"\n");
    guest.prints("list /", "tool\n");
}

#[test]
fn permissions_stand_in_a_column_of_their_own() {
    let mut guest = Guest::with(&[("control/feature-suspend", ""), ("control/x", "odd")]);
    guest.prints("chmod control/x n7 r0 b3", "");
    let dots = ". ".repeat(20);
    guest.prints(
        "ls -p control",
        &format!("feature-suspend = \"\" {dots} (n7)\nx = \"odd\"  {}.  (n7,r0,b3)\n", ". ".repeat(24)),
    );
    guest.prints("ls -p -f control", "control/feature-suspend = \"\"   (n7)\ncontrol/x = \"odd\"   (n7,r0,b3)\n");
    guest.terminal.width = Some(24);
    guest.prints("ls -p control", "feature-suspend = \"\" . .  (n7)\nx = \"odd\"  . . . . . . .  (n7,r0,b3)\n");
    guest.terminal.width = Some(23);
    // No room for the value, so no dots.
    guest.prints("ls -p control", "feature-suspend = \"\" .   (n7)\nx = \"odd\"  . . . . . .   (n7,r0,b3)\n");
}

#[test]
fn what_may_not_be_read_is_shown_as_that() {
    let mut guest = Guest::with(&[("data/secret", "x"), ("data/z", "1")]);
    guest.store().refuses.push((MessageType::READ, "data/secret", "EACCES"));
    guest.prints("ls data", "secret:\n\nz = \"1\"\n");
    guest.store().refuses.push((MessageType::GET_PERMS, "data/z", "EACCES"));
    assert_eq!(guest.run("ls -p data/z").1, exit::DONE);
    let (printed, code) = guest.run("ls -p -f data");
    assert_eq!((printed.as_str(), code), ("data/secret:\n  (n7)\ndata/z = \"1\" \n", exit::DONE));
    assert_eq!(guest.terminal.complaints, ["could not read the permissions of data/z: xenstored answered EACCES"]);
    for after in 1..4 {
        guest.store().refuses.clear();
        guest.store().lose = Some((after, false));
        assert_eq!(guest.run("ls -p data").1, exit::FAILED);
        let complaint = "could not list data: xenstore connection lost: closed by the other side";
        assert_eq!(guest.terminal.complaints, [complaint], "{after}");
        guest.store().reconnect();
    }
}

#[test]
fn what_disappears_while_a_tree_is_walked_is_passed_over_but_its_root_is_not() {
    let mut guest = Guest::with(&[("data/a/b", "1"), ("data/c", "2")]);
    // The list of data, the value of a, and then the list of a.
    guest.store().meanwhile.push((2, "data/a", None));
    guest.prints("ls data", "a = \"\"\nc = \"2\"\n");
    guest.fails("ls nothing", "could not list nothing: xenstored answered ENOENT");
    guest.fails("ls no//thing", "could not list no//thing: xenstored answered EINVAL");
}

#[test]
fn permissions_are_set_for_a_node_for_all_below_and_for_all_above() {
    let mut guest = Guest::with(&[("data/a/b/c", ""), ("data/x", "")]);
    let set = |guest: &mut Guest| {
        let asked = core::mem::take(&mut guest.store().asked);
        let set = asked.into_iter().filter(|(kind, _, _)| *kind == MessageType::SET_PERMS);
        set.map(|(_, path, perms)| format!("{path} {}", perms.replace('\0', ","))).collect::<Vec<_>>()
    };
    guest.prints("chmod data/a n7 r0", "");
    assert_eq!(set(&mut guest), ["data/a n7,r0,"]);
    guest.prints("chmod -r data/a b7", "");
    assert_eq!(set(&mut guest), ["data/a b7,", "data/a/b b7,", "data/a/b/c b7,"]);
    guest.prints("chmod -u data/a/b b7", "");
    assert_eq!(set(&mut guest), ["data/a/b b7,", "data/a b7,", "data b7,"]);
    guest.fails("chmod data/a x7", "'x7' is no permission, or one too many; at most 16 such as n0 or r7 are taken");
    let seventeen: Vec<String> = (1..=17).map(|domain| format!("r{domain}")).collect();
    guest.fails(
        &format!("chmod data/a {}", seventeen.join(" ")),
        "'r17' is no permission, or one too many; at most 16 such as n0 or r7 are taken",
    );
    guest.prints(&format!("chmod data/a {}", seventeen[..16].join(" ")), "");
    guest.fails("chmod nothing n7", "could not set permissions of nothing: xenstored answered ENOENT");
    assert_eq!(guest.run("chmod"), (String::new(), exit::FAILED));
}

#[test]
fn so_many_changes_are_watched_as_are_asked_for() {
    let mut guest = Guest::with(&[("data/a", ""), ("name", "guest")]);
    guest.prints("watch -n1 name", "name\n");
    guest.store().reconnect();
    // Both watches, then their first events; a third one comes with what the host writes.
    let number = guest.store().asked.len() + 1;
    guest.store().meanwhile.push((number, "data/a", Some("new")));
    guest.prints("watch -n3 data name", "data\ndata/a\nname\n");
    guest.fails("watch a//b", "could not watch a//b: xenstored answered EINVAL");
}

#[test]
fn watching_for_ever_ends_with_xenstore_or_with_whoever_reads() {
    let mut guest = Guest::with(&[("name", "guest")]);
    assert_eq!(guest.run("watch name"), ("name\n".to_owned(), exit::FAILED));
    assert_eq!(guest.terminal.complaints, ["watching name: xenstore connection lost: closed by the other side"]);
    guest.terminal.read = false;
    for line in ["watch -n1 name", "watch name"] {
        guest.store().reconnect();
        assert_eq!(guest.run(line), (String::new(), exit::FAILED));
        assert!(guest.terminal.complaints.is_empty(), "{:?}", guest.terminal.complaints);
    }
}

#[test]
fn the_status_page_shows_what_is_there_and_says_why_a_key_is_missing() {
    let mut guest = Guest::with(&[
        ("domid", "7"),
        ("name", ""),
        ("vm-data/networking/BC764E04CFE5", "{\"a\":\n1}"),
        ("vm-data/networking/BC764E04D936", ""),
        ("attr/vif/0/ipv4/0", "10.0.0.5"),
        ("data/guest/1", ""),
    ]);
    guest.store().refuses.push((MessageType::READ, "data/os_name", "EACCES"));
    let (page, code) = guest.run("status");
    assert_eq!(code, exit::FAILED);
    let start = "\
not well: there is no agent, or none that got to say anything
domid = 7
name is missing: the toolstack gives none
unique-domain-id is missing: not XAPI's guest
vm-data/provider_data/provider is missing: the host is not OpenStack's
vm-data/hostname is missing: the host gives no name
vm-data/networking/BC764E04CFE5 = {\"a\":\\n1}
xenserver/device/vif/ is missing: XAPI has set no address
";
    assert!(page.starts_with(start), "{page}");
    for line in [
        "attr/vif/0/ipv4/0 = 10.0.0.5\n",
        "data/os_name is missing: no agent has published anything: is nanova agent running, without --no-metrics?\n",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    // Whatever it lacks for itself.
    guest.store().put("attr/PVAddons/Installed", "1");
    let (page, code) = guest.run("status");
    assert!(page.starts_with("well: an agent publishes what the guest is, and serves no commands\n"), "{page}");
    assert!(page.contains("data/os_name is missing: no release file below /etc that is known\n"), "{page}");
    assert!(page.contains("\ndata/guest/ is missing: no command was answered lately\n"), "{page}");
    assert_eq!(code, exit::DONE);
    for (state, says, code) in [
        ("ready", "well: an agent serves the host's commands\n", exit::DONE),
        ("starting", "not well: the agent is starting\n", exit::FAILED),
        ("failed: no route", "not well: the agent is failed: no route\n", exit::FAILED),
    ] {
        guest.store().put("data/nanova/state", state);
        let status = guest.run("status");
        assert!(status.0.starts_with(says) && status.1 == code, "{status:?}");
    }
    assert!(!page.contains("attr/vif/ is missing") && !page.contains("D936"), "{page}");
    guest.store().put("data/nanova/state", "stopped");
    assert!(guest.run("status").0.starts_with("not well: the agent is stopped\n"));
    guest.terminal.read = false;
    assert_eq!(guest.run("status").1, exit::FAILED);
    guest.terminal.read = true;
    for after in [0, 5] {
        guest.store().lose = Some((after, false));
        assert_eq!(guest.run("status").1, exit::FAILED);
        assert_eq!(guest.terminal.complaints, ["xenstore connection lost: closed by the other side"]);
        guest.store().reconnect();
    }
}

#[test]
fn the_status_page_for_programs_says_the_same() {
    let mut guest = Guest::with(&[
        ("name", "\"web\" \u{fc}\n"),
        ("vm-data/networking/BC764E04CFE5", "{}"),
        ("data/nanova/state", "failed: \"x\""),
    ]);
    let read = |guest: &mut Guest| {
        let (page, code) = guest.run("status --json");
        let lines = page.lines().count();
        (
            serde_json::from_str::<serde_json::Value>(&page).unwrap_or_else(|error| panic!("{error}: {page}")),
            code,
            lines,
        )
    };
    let (page, code, lines) = read(&mut guest);
    assert_eq!((page["well"].as_bool(), code, lines), (Some(false), exit::FAILED, 1));
    assert_eq!(page["summary"], "the agent is failed: \"x\"");
    assert_eq!(page["keys"]["name"], "\"web\" \u{fc}\n");
    assert_eq!(page["keys"]["vm-data/networking/BC764E04CFE5"], "{}");
    assert_eq!(page["keys"].as_object().unwrap().len(), 3);
    assert_eq!(page["missing"]["domid"], "not a guest's xenstore");
    let nobody = "no agent has published anything: is nanova agent running, without --no-metrics?";
    assert_eq!(page["missing"]["data/os_name"], nobody);
    assert_eq!(page["missing"].as_object().unwrap().len(), 22 - 3);
    guest.store().put("attr/PVAddons/Installed", "1");
    guest.store().put("data/nanova/state", "ready");
    let (page, code, _) = read(&mut guest);
    assert_eq!((page["well"].as_bool(), code), (Some(true), exit::DONE));
    assert_eq!(page["missing"]["data/os_name"], "no release file below /etc that is known");
}
