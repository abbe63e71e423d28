//! The agent on a platform in memory: every command, every failure, and what is logged.

use super::*;
use crate::platform::Distrust;
use crate::test_platform::{FakePlatform, Node};
use crate::wire::errno::Errno;
use crate::xenstore::Error;
use base64ct::{Base64, Encoding};
use proptest::prelude::{any, prop, prop_assert, proptest};

const NAMES: [&str; 9] =
    ["version", "features", "keyinit", "password", "resetnetwork", "injectfile", "file_inject", "agentupdate", "none"];

const SHADOW: &str = "root:*:19000:0:99999:7:::\nbin:*:19000:0:99999:7:::\n";

/// A connection that nothing here may use.
struct Unused;

impl Transport for Unused {
    fn send(&mut self, _packet: &[u8]) -> Result<(), Error> {
        panic!("the network was not asked for")
    }

    fn receive(&mut self, _space: &mut [u8]) -> Result<usize, Error> {
        panic!("the network was not asked for")
    }
}

fn handle(agent: &mut Dispatcher, request: &mut [u8], platform: &mut FakePlatform) -> Response {
    match agent.handle::<Unused, _>(request, platform) {
        Dispatched::Answered(response) => response,
        Dispatched::OverXenstore(name, _) => panic!("{name} was not asked for"),
        Dispatched::Begun => {
            for _ in 0..10 {
                if let Some(response) = agent.go_on(false, platform) {
                    return response;
                }
            }
            panic!("it does not end")
        }
        Dispatched::Later => panic!("nothing is under way"),
    }
}

fn ask(agent: &mut Dispatcher, platform: &mut FakePlatform, request: &str) -> (String, String) {
    let response = handle(agent, &mut request.as_bytes().to_vec(), platform);
    (response.code.as_str().to_owned(), response.message.as_str().to_owned())
}

fn answer(request: &str) -> (String, String) {
    ask(&mut Dispatcher::new(), &mut FakePlatform::with(&[("/etc/shadow", SHADOW)]), request)
}

fn encode(bytes: &[u8]) -> String {
    Base64::encode(bytes, &mut [0; 8192]).unwrap().to_owned()
}

fn injectfile(path: &str, contents: &str) -> String {
    format!(r#"{{"name":"injectfile","value":"{}"}}"#, encode(format!("{path},{contents}").as_bytes()))
}

#[test]
fn what_cannot_be_done_is_said_in_the_words_of_the_protocol() {
    let cases = [
        ("", "500", "Request is malformed"),
        ("{}", "500", "Request is missing 'name' key"),
        (r#"{"name":"fly \ud83d\ude00 \"high\""}"#, "404", "No such agent command 'fly 😀 \"high\"'"),
        (r#"{"name":"Version"}"#, "404", "No such agent command 'Version'"),
        (r#"{"name":"password","value":"AAAA"}"#, "500", "Password without key exchange"),
        (r#"{"name":"password"}"#, "500", "Password without key exchange"),
        (r#"{"name":"injectfile","value":"!!!!"}"#, "500", "Error doing base64 decoding of data"),
        (r#"{"name":"injectfile","value":"A"}"#, "500", "Error doing base64 decoding of data"),
        (r#"{"name":"injectfile","value":"YWJj"}"#, "500", "Invalid arguments: no comma between path and contents"),
        (r#"{"name":"injectfile","value":7}"#, "500", "Invalid arguments: base64 of 'path,contents' is needed"),
        (
            r#"{"name":"file_inject","value":""}"#,
            "500",
            "Invalid arguments: an object with b64_path and b64_file is needed",
        ),
        (
            r#"{"name":"file_inject","value":{"b64_path":"L2E="}}"#,
            "500",
            "Invalid arguments: an object with b64_path and b64_file is needed",
        ),
        (
            r#"{"name":"file_inject","value":{"b64_path":"L2E=","b64_file":"*"}}"#,
            "500",
            "Error doing base64 decoding of data",
        ),
    ];
    for (request, code, message) in cases {
        assert_eq!(answer(request), (code.into(), message.into()), "{request}");
    }
    for public in
        [r#""abc""#, r#""0""#, "1", r#""162259276829213363391578010288126""#, "[]", "null", "-5", "5.0", "5e1"]
    {
        let (code, message) = answer(&format!(r#"{{"name":"keyinit","value":{public}}}"#));
        assert_eq!(code, "500");
        assert!(message.starts_with("Invalid public key"), "{message}");
    }
}

#[test]
fn a_key_is_good_for_one_password_whether_it_worked_or_not() {
    let (mut agent, mut platform) = (Dispatcher::new(), FakePlatform::with(&[("/etc/shadow", SHADOW)]));
    let keyinit = r#"{"name":"keyinit","value":"123456789"}"#;
    let password = r#"{"name":"password","value":"AAAAAAAAAAAAAAAAAAAAAA=="}"#;
    assert_eq!(ask(&mut agent, &mut platform, keyinit).0, "D0");
    assert_eq!(ask(&mut agent, &mut platform, password).1, "Invalid password data received");
    assert_eq!(ask(&mut agent, &mut platform, password).1, "Password without key exchange");
    assert_eq!(ask(&mut agent, &mut platform, keyinit).0, "D0");
    let bad = r#"{"name":"keyinit","value":"1"}"#;
    assert_eq!(ask(&mut agent, &mut platform, bad).0, "500");
    assert_eq!(ask(&mut agent, &mut platform, password).1, "Password without key exchange");
    assert_eq!(platform.text("/etc/shadow"), SHADOW);
}

#[test]
fn a_file_comes_with_its_directories_and_an_old_one_leaves_a_backup() {
    let mut platform = FakePlatform::with(&[("/etc/motd", "old")]);
    let mut agent = Dispatcher::new();
    assert_eq!(ask(&mut agent, &mut platform, &injectfile("/a/b/c", "1,2")), ("0".into(), String::new()));
    assert_eq!(platform.nodes["/a/b/c"], Node::File { contents: b"1,2".to_vec(), mode: 0o600 });
    assert_eq!((&platform.nodes["/a"], &platform.nodes["/a/b"]), (&Node::Directory, &Node::Directory));

    for (contents, backups) in [("new", 1), ("new", 1), ("newer", 2)] {
        assert_eq!(ask(&mut agent, &mut platform, &injectfile("/etc/motd", contents)).0, "0");
        assert_eq!(platform.nodes["/etc/motd"], Node::File { contents: contents.into(), mode: 0o640 });
        assert_eq!(platform.nodes.keys().filter(|path| path.starts_with("/etc/motd.1")).count(), backups);
    }
    assert_eq!(platform.text("/etc/motd.1700000000.bak~"), "old");
    assert_eq!(platform.text("/etc/motd.1700000001.bak~"), "new", "two in one second");
    let log = platform.logged();
    for words in [
        "staging /etc/motd",
        "backing up /etc/motd (1700000000.bak~)",
        "updating /etc/motd",
        "skipping /etc/motd (no changes)",
    ] {
        assert!(log.contains(words), "{words}\n{log}");
    }
}

#[test]
fn the_newer_form_of_a_file_has_two_members_and_any_bytes_in_them() {
    let mut platform = FakePlatform::with(&[]);
    let mut asked = |path: &[u8], contents: &[u8]| {
        let (path, contents) = (encode(path), encode(contents));
        let request = format!(r#"{{"name":"file_inject","value":{{"b64_file":"{contents}","b64_path":"{path}"}}}}"#);
        ask(&mut Dispatcher::new(), &mut platform, &request)
    };
    assert_eq!(asked(b"/etc/a,b", b"\xff,\0x"), ("0".into(), String::new()));
    assert_eq!(asked(b"/etc/empty", b""), ("0".into(), String::new()));
    let failed = |why: &str| ("500".to_owned(), format!("Invalid arguments: {why}"));
    assert_eq!(asked(b"etc/x", b""), failed("the path must be absolute"));
    assert_eq!(asked(b"", b"x"), failed("the path must be absolute"));
    assert_eq!(asked(b"/etc/\xff", b""), failed("the path is not UTF-8"));
    assert_eq!(asked(b"/etc/../x", b""), failed("the path must name a file, without '.', '..' or empty components"));
    assert_eq!(platform.nodes["/etc/a,b"], Node::File { contents: b"\xff,\0x".to_vec(), mode: 0o600 });
    assert_eq!(platform.nodes["/etc/empty"], Node::File { contents: Vec::new(), mode: 0o600 });
    assert_eq!(platform.nodes.len(), 3);
    // Of what may not last its answer says so.
    platform.unsynced = Some(Errno::IO);
    let (code, message) = ask(&mut Dispatcher::new(), &mut platform, &injectfile("/etc/c", "x"));
    assert!(code == "0" && message.starts_with("done, but /etc/c may not survive a crash"), "{message}");
}

#[test]
fn what_is_not_a_file_is_not_replaced_but_a_link_is() {
    let mut platform = FakePlatform::with(&[]);
    platform.nodes.insert("/etc/link".into(), Node::Symlink("/nowhere"));
    platform.nodes.insert("/etc/null".into(), Node::Device);
    let mut agent = Dispatcher::new();
    for path in ["/etc", "/etc/null"] {
        let (code, message) = ask(&mut agent, &mut platform, &injectfile(path, "x"));
        assert_eq!((code.as_str(), message.contains("only files are replaced")), ("500", true), "{message}");
    }
    assert_eq!(ask(&mut agent, &mut platform, &injectfile("/etc/link", "x")).0, "0");
    assert_eq!(platform.nodes["/etc/link"], Node::File { contents: b"x".to_vec(), mode: 0o600 });
    assert_eq!(platform.nodes["/etc/link.1700000000.bak~"], Node::Symlink("/nowhere"));
}

#[test]
fn names_of_files_in_the_making_are_nobodys() {
    for name in [".nanova.new", ".nanova.new.3", ".nanova.new2", ".nanova.update"] {
        for directory in ["/etc", "/srv"] {
            let mut platform = FakePlatform::with(&[]);
            let path = format!("{directory}/{name}");
            let (code, message) = ask(&mut Dispatcher::new(), &mut platform, &injectfile(&path, "x"));
            assert_eq!((code.as_str(), message.contains("reserved")), ("500", true), "{path}: {message}");
            assert!(!platform.nodes.contains_key(&path));
        }
    }
    let mut platform = FakePlatform::with(&[]);
    assert_eq!(ask(&mut Dispatcher::new(), &mut platform, &injectfile("/etc/.nanova.old", "x")).0, "0");
}

#[test]
fn a_way_through_somebody_elses_link_is_refused_with_its_owner() {
    let mut platform = FakePlatform::with(&[("/home/u/.ssh/authorized_keys", "old")]);
    platform.distrusted = Some(("/home/u/.ssh", Distrust::Owner(1000)));
    let (code, message) =
        ask(&mut Dispatcher::new(), &mut platform, &injectfile("/home/u/.ssh/authorized_keys", "new"));
    assert!(code == "500" && message.starts_with("/home/u/.ssh is a symbolic link of user 1000"), "{message}");
    assert_eq!(platform.text("/home/u/.ssh/authorized_keys"), "old");
}

#[test]
fn a_list_of_disabled_commands_behind_a_link_that_leads_nowhere_takes_all_away() {
    for link in ["/etc/nanova", "/etc/nanova/disable"] {
        let mut platform = FakePlatform::with(&[("/etc/nanova/commands.d/site", "")]);
        platform.nodes.insert(link.to_owned(), Node::Symlink("/nowhere"));
        assert_eq!(ask(&mut Dispatcher::new(), &mut platform, r#"{"name":"version"}"#).0, "404", "{link}");
    }
}

#[test]
fn a_list_of_disabled_commands_behind_a_link_that_leads_somewhere_is_read() {
    let code = |platform: &mut FakePlatform, name: &str| {
        ask(&mut Dispatcher::new(), platform, &format!(r#"{{"name":"{name}"}}"#)).0
    };
    // The directory, with a list in it or without.
    let mut platform = FakePlatform::with(&[]);
    platform.nodes.insert("/etc/nanova".to_owned(), Node::Symlink("/etc"));
    assert_eq!(code(&mut platform, "version"), "0");
    platform.put("/etc/nanova/disable", "version\n");
    assert_eq!((code(&mut platform, "version").as_str(), code(&mut platform, "features").as_str()), ("404", "0"));
    // The list itself.
    let mut platform = FakePlatform::with(&[("/etc/nanova/x", ""), ("/srv/list", "version\n")]);
    platform.nodes.insert("/etc/nanova/disable".to_owned(), Node::Symlink("/srv/list"));
    assert_eq!((code(&mut platform, "version").as_str(), code(&mut platform, "features").as_str()), ("404", "0"));
    // What is no list cannot be read.
    for node in [Node::Directory, Node::Device] {
        platform.nodes.insert("/etc/nanova/disable".to_owned(), node);
        assert_eq!(code(&mut platform, "features"), "404");
        assert!(platform.logged().contains("no command is served: cannot read /etc/nanova/disable"));
    }
}

#[test]
fn how_a_program_of_the_site_ended_is_told() {
    use crate::platform::Ended;
    let asked = |output: &str, ends, value: &str| {
        let mut platform = FakePlatform::with(&[]);
        let node = Node::File { contents: output.as_bytes().to_vec(), mode: 0o755 };
        platform.nodes.insert("/etc/nanova/commands.d/site".to_owned(), node);
        platform.ends = ends;
        ask(&mut Dispatcher::new(), &mut platform, &format!(r#"{{"name":"site","value":{value}}}"#))
    };
    let path = "/etc/nanova/commands.d/site";
    let said = |code: &str, message: String| (code.to_owned(), message);
    let failed = |message: String| said("500", message);
    assert_eq!(asked("fine", Ok(Ended::Exit(0)), r#"" too""#), said("0", "fine too".to_owned()));
    assert_eq!(asked("", Ok(Ended::Exit(0)), "17"), said("0", "17".to_owned()));
    assert_eq!(asked("", Ok(Ended::Exit(0)), "null"), said("0", String::new()));
    assert_eq!(asked("broken", Ok(Ended::Exit(9)), r#""""#), failed("broken".to_owned()));
    let not_executed = format!("{path} cannot be executed: is its first line #! and a program that there is?");
    assert_eq!(asked("", Ok(Ended::Exit(127)), r#""""#), failed(not_executed));
    assert_eq!(asked("not found", Ok(Ended::Exit(127)), r#""""#), failed("not found".to_owned()));
    assert_eq!(asked("", Ok(Ended::Exit(126)), r#""""#), failed(String::new()));
    assert_eq!(asked("x", Ok(Ended::Signal(9)), r#""""#), failed(format!("{path} ended by signal 9")));
    assert_eq!(asked("x", Ok(Ended::Late), r#""""#), failed(format!("{path} was ended: it took more than 60 seconds")));
    let errno = Err(Errno::NOSYS);
    assert_eq!(asked("x", errno, r#""""#), failed(format!("cannot run {path}: not supported by this kernel (ENOSYS)")));
}

#[test]
fn a_number_is_a_public_key_as_well() {
    let (code, message) = answer(r#"{"name":"keyinit","value":123456789}"#);
    assert_eq!((code.as_str(), &message), ("D0", &answer(r#"{"name":"keyinit","value":"123456789"}"#).1));
    assert!(message.bytes().all(|byte| byte.is_ascii_digit()), "{message}");
}

#[test]
fn where_there_is_no_randomness_there_is_no_key() {
    let mut platform = FakePlatform::with(&[("/etc/shadow", SHADOW)]);
    // Behind the look for commands that are taken away.
    platform.fail = Some((2, Errno::AGAIN));
    let mut agent = Dispatcher::new();
    let (code, message) = ask(&mut agent, &mut platform, r#"{"name":"keyinit","value":"123456789"}"#);
    assert_eq!((code.as_str(), message.starts_with("no randomness for a key: ")), ("500", true), "{message}");
    assert_eq!(ask(&mut agent, &mut platform, r#"{"name":"password","value":""}"#).1, "Password without key exchange");
}

#[test]
fn a_list_of_disabled_commands_is_read_as_people_write_it_or_takes_all_away() {
    let code = |list: &[u8], name: &str| {
        let mut platform = FakePlatform::with(&[("/etc/nanova/disable", "")]);
        platform.nodes.insert("/etc/nanova/disable".into(), Node::File { contents: list.to_vec(), mode: 0o644 });
        ask(&mut Dispatcher::new(), &mut platform, &format!(r#"{{"name":"{name}"}}"#)).0
    };
    for list in ["version", "version # not here", "\u{feff}version\n", "# a note\n\n  version\r\n"] {
        assert_eq!(
            (code(list.as_bytes(), "version").as_str(), code(list.as_bytes(), "features").as_str()),
            ("404", "0")
        );
    }
    for list in [&b"caf\xe9\n"[..], b"v\0e\0\xff\xfe", "x".repeat(2000).as_bytes()] {
        assert_eq!(code(list, "version"), "404");
    }
}

#[test]
fn an_operation_that_fails_is_a_sentence_and_leaves_the_old_file() {
    // The first one looks for commands that are taken away; without that list there are none.
    for at in 1..9 {
        let mut platform = FakePlatform::with(&[("/etc/motd", "old")]);
        platform.fail = Some((at, Errno::NOSPC));
        let (code, message) = ask(&mut Dispatcher::new(), &mut platform, &injectfile("/etc/motd", "new"));
        assert_eq!(code, "500", "operation {at}");
        assert!(message.contains("/etc/motd: no space left on the file system (ENOSPC)"), "{message}");
        assert_eq!(platform.text("/etc/motd"), "old");
    }
}

#[test]
fn accounts_that_cannot_be_changed_are_named() {
    use crate::account::set_root_password;
    use crate::secret::Password;
    let change = |platform: &mut FakePlatform| {
        set_root_password(platform, &Password::for_tests("pw")).map(drop).map_err(|error| error.to_string())
    };
    assert!(change(&mut FakePlatform::with(&[])).unwrap_err().contains("there is no /etc/shadow"));
    let mut platform = FakePlatform::with(&[("/etc/shadow", "bin:*:1::::::\n")]);
    assert!(change(&mut platform).unwrap_err().contains("no line for root"));
    assert_eq!(platform.text("/etc/shadow"), "bin:*:1::::::\n");
    let mut platform = FakePlatform::with(&[("/etc/shadow", SHADOW)]);
    platform.locked = true;
    assert!(change(&mut platform).unwrap_err().contains("try again"));
    platform.nodes.insert("/etc/shadow".into(), Node::Symlink("/nowhere"));
    assert!(change(&mut platform).unwrap_err().contains("a link to a file that is not there"));

    for at in 0.. {
        let mut platform = FakePlatform::with(&[("/etc/shadow", SHADOW)]);
        platform.fail = Some((at, Errno::IO));
        if change(&mut platform).is_ok() {
            assert!(at > 8, "some operation did not matter");
            assert!(platform.text("/etc/shadow").starts_with("root:$6$"));
            break;
        }
        assert_eq!(platform.text("/etc/shadow"), SHADOW, "operation {at}");
    }
}

#[test]
fn the_log_shows_what_is_harmless_and_no_line_is_forged() {
    let mut platform = FakePlatform::with(&[("/etc/shadow", SHADOW)]);
    let mut agent = Dispatcher::new();
    ask(&mut agent, &mut platform, r#"{"name":"version","value":"agent"}"#);
    ask(&mut agent, &mut platform, r#"{"name":"make\n2013 [INFO] coffee","value":"s3cret"}"#);
    ask(&mut agent, &mut platform, &injectfile("/etc/key", "s3cret"));
    ask(&mut agent, &mut platform, r#"{"name":"features"}"#);
    ask(&mut agent, &mut platform, r#"{"name":"resetnetworks","value":["a"]}"#);
    ask(&mut agent, &mut platform, r#"{"name":"keyinit","value":"123456789"}"#);
    let log = platform.logged();
    assert!(log.contains("Received command 'features' with argument: ''\n"), "{log}");
    assert!(log.contains("Received command 'resetnetworks' with argument: '(not shown)'\n"), "{log}");
    assert!(log.contains("'keyinit' completed with code 'D0', message '(public key)'"), "{log}");
    let levels = |start: &str| platform.log.iter().find(|(_, line)| line.starts_with(start)).unwrap().0;
    assert_eq!((levels("'features' completed"), levels("'resetnetworks' completed")), (Level::Info, Level::Warn));
    assert!(log.contains("Received command 'version' with argument: 'agent'\n"), "{log}");
    assert!(log.contains("'version' completed with code '0', message '1."), "{log}");
    assert!(log.contains("Received command 'make\\x0a2013 [INFO] coffee' with argument: '(not shown)'"), "{log}");
    assert!(!log.contains("s3cret") && !log.contains(&encode(b"s3cret")[..7]), "{log}");
    assert!(platform.log.iter().all(|(_, line)| !line.contains('\n')));
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(mut noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let response = handle(&mut Dispatcher::new(), &mut noise, &mut FakePlatform::with(&[]));
        prop_assert!(response.code == Code::Failed || response.code == Code::NotFound);
    }

    #[test]
    fn any_argument_of_any_command_gets_an_answer(command in 0usize..NAMES.len(), value in "[a-zA-Z0-9+/=]{0,80}") {
        let name = NAMES[command];
        for value in [format!("\"{value}\""), format!("{{\"b64_path\":\"{value}\",\"b64_file\":\"{value}\"}}")] {
            let mut request = format!("{{\"name\":\"{name}\",\"value\":{value}}}").into_bytes();
            let mut platform = FakePlatform::with(&[("/etc/shadow", SHADOW)]);
            let _ = Dispatcher::new().handle::<Unused, _>(&mut request, &mut platform);
        }
    }
}

#[test]
fn what_takes_a_program_is_not_there_when_the_agent_is_locked_down() {
    let mut platform = FakePlatform::with(&[]);
    platform.locked = true;
    let mut agent = Dispatcher::new();
    let mut asked = |request: &str| ask(&mut agent, &mut platform, request);
    let listed = "version,features,keyinit,password,resetnetwork,injectfile,file_inject,file_inject_parts,sealed";
    assert_eq!(asked(r#"{"name":"features"}"#), ("0".to_owned(), listed.to_owned()));
    let update = asked(r#"{"name":"agentupdate","value":"http://192.0.2.1/a,0123456789abcdef0123456789abcdef"}"#);
    assert_eq!(update, ("404".to_owned(), "No such agent command 'agentupdate'".to_owned()));
    assert_eq!(asked(r#"{"name":"version"}"#).0, "0");
}

#[test]
fn a_command_of_the_site_is_served_and_listed_and_any_can_be_taken_away() {
    let program = |contents: &str| Node::File { contents: contents.as_bytes().to_vec(), mode: 0o755 };
    let mut platform = FakePlatform::with(&[("/etc/nanova/disable", "injectfile\nhidden\n")]);
    for name in ["kmsactivate", "hidden", "version", "Bad"] {
        platform.nodes.insert(format!("/etc/nanova/commands.d/{name}"), program("got "));
    }
    let open = Node::File { contents: Vec::new(), mode: 0o777 };
    platform.nodes.insert("/etc/nanova/commands.d/open".to_owned(), open);
    let mut agent = Dispatcher::new();
    let mut asked = |request: &str| ask(&mut agent, &mut platform, request);
    let listed =
        "version,features,keyinit,password,resetnetwork,file_inject,file_inject_parts,agentupdate,sealed,kmsactivate";
    assert_eq!(asked(r#"{"name":"features"}"#), ("0".to_owned(), listed.to_owned()));
    let object = r#"{"name":"kmsactivate","value":{"activation_key": "se\u0063ret", "domains":["a"]}}"#;
    assert_eq!(asked(object).1, r#"got {"activation_key":"secret","domains":["a"]}"#);
    assert_eq!(asked(r#"{"name":"kmsactivate","value":"a \"b\"\n"}"#).1, "got a \"b\"");
    assert_eq!(asked(r#"{"name":"kmsactivate","value":[1]}"#).0, "500");
    // Built in, so not replaced.
    assert_eq!(asked(r#"{"name":"version"}"#).1, env!("CARGO_PKG_VERSION"));
    for gone in ["hidden", "injectfile", "Bad", "missing"] {
        let expected = ("404".to_owned(), format!("No such agent command '{gone}'"));
        assert_eq!(asked(&format!(r#"{{"name":"{gone}","value":""}}"#)), expected);
    }
    let (code, message) = asked(r#"{"name":"open"}"#);
    assert!(code == "500" && message.contains("executable file of root's"), "{message}");
    assert!(!platform.logged().contains("secret"), "{}", platform.logged());
}
