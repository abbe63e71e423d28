//! Sealed requests on a platform in memory: what they are answered, and what is logged.

use super::*;
use crate::commands::response::RESPONSE_MAX;
use crate::secret::host::{HostExchange, HostSession, REQUEST_MAX};
use crate::test_platform::{FakePlatform, Node};
use base64ct::Encoding;
use serde_json::{Value as Any, json};

const SHADOW: &str = "root:*:19000:0:99999:7:::\n";
const PASSWORD: &str = "correct horse \"battery\" staple";

/// A connection that nothing here may use.
struct Unused;

impl Transport for Unused {
    fn send(&mut self, _packet: &[u8]) -> Result<(), Error> {
        panic!("xenstore was not asked for")
    }

    fn receive(&mut self, _space: &mut [u8]) -> Result<usize, Error> {
        panic!("xenstore was not asked for")
    }
}

struct Guest {
    agent: Dispatcher,
    platform: FakePlatform,
}

impl Guest {
    fn new() -> Guest {
        Guest { agent: Dispatcher::new(), platform: FakePlatform::with(&[("/etc/shadow", SHADOW)]) }
    }

    /// Code and message of the answer, as they are written.
    fn ask(&mut self, request: &[u8]) -> (String, String) {
        let response = match self.agent.handle::<Unused, _>(&mut request.to_vec(), &mut self.platform) {
            Dispatched::Answered(response) => response,
            Dispatched::Begun => self.go_on(),
            Dispatched::OverXenstore(..) | Dispatched::Later => panic!("not asked for"),
        };
        self.written(&response)
    }

    fn go_on(&mut self) -> Response {
        (0..10).find_map(|_| self.agent.go_on(false, &mut self.platform)).expect("it ends")
    }

    fn written(&mut self, response: &Response) -> (String, String) {
        let mut json = Json::new();
        self.agent.write(response, &mut json);
        assert!(json.len() <= RESPONSE_MAX);
        fields(&json)
    }

    fn keyinit(&mut self) -> HostSession {
        let exchange = HostExchange::new(&[7; 32]);
        let (code, message) = self.ask(format!(r#"{{"name":"keyinit","value":{}}}"#, exchange.value()).as_bytes());
        assert_eq!(code, "D0", "{message}");
        exchange.agree(&message).unwrap()
    }

    /// Asks something sealed; what was in the sealed answer.
    fn ask_sealed(&mut self, session: &mut HostSession, request: &Any) -> (String, String) {
        let (counter, sealed) = session.seal(request.to_string().as_bytes()).unwrap();
        let (code, message) = self.ask(&sealed);
        assert_eq!(code, "0", "{message}");
        opened(session, counter, &message)
    }
}

fn fields(json: &[u8]) -> (String, String) {
    let answer: Any = serde_json::from_slice(json).unwrap();
    let field = |name: &str| answer[name].as_str().unwrap().to_owned();
    (field("returncode"), field("message"))
}

fn opened(session: &HostSession, counter: u64, message: &str) -> (String, String) {
    fields(session.open(counter, message, &mut [0; RESPONSE_MAX]).unwrap())
}

fn named(name: &str) -> Any {
    json!({ "name": name, "value": "" })
}

const NO_SESSION: &str = "no session of sealed requests is there (any more); begin one by keyinit";

#[test]
fn any_command_is_run_from_its_seal_and_the_log_has_its_name_alone() {
    let mut guest = Guest::new();
    let mut session = guest.keyinit();
    let version = ("0".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let asked = json!({ "name": "version", "value": "a-word-of-the-host" });
    assert_eq!(guest.ask_sealed(&mut session, &asked), version);
    let (code, features) = guest.ask_sealed(&mut session, &named("features"));
    assert!(code == "0" && features.split(',').any(|name| name == "sealed"), "{features}");
    assert_eq!(guest.ask_sealed(&mut session, &named("fly")).0, "404");
    let password = json!({ "name": "password", "value": PASSWORD });
    assert_eq!(guest.ask_sealed(&mut session, &password), ("0".to_owned(), String::new()));
    assert!(guest.platform.text("/etc/shadow").starts_with("root:$6$"));
    let injected = json!({ "name": "injectfile", "value": "L2V0Yy9tb3RkLGhlbGxv" });
    assert_eq!(guest.ask_sealed(&mut session, &injected).0, "0");
    assert_eq!(guest.platform.text("/etc/motd"), "hello");
    let log = guest.platform.logged();
    for line in ["version", "password", "injectfile", "fly"] {
        assert!(log.contains(&format!("Received sealed command '{line}' with argument: ")), "{log}");
    }
    for secret in ["correct", "a-word-of-the-host", "L2V0Yy9tb3RkLGhlbGxv"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_sealed_password_is_the_one_that_is_typed_and_what_is_none_is_named() {
    for (value, answer) in [
        (json!("x\n"), ""),
        (json!("x\ty\u{e9}"), ""),
        (json!("x".repeat(511)), ""),
        (json!("x".repeat(512)), "the password is too long; send one of at most 511 bytes"),
        (json!("x".repeat(2000)), "the password is too long; send one of at most 511 bytes"),
        (json!("\n"), "the password is empty; send one of at least one character"),
        (json!(7), "the password is empty; send one of at least one character"),
        (json!("a\nb"), "the password has a control character in it; of these only a tab may be"),
    ] {
        let mut guest = Guest::new();
        let mut session = guest.keyinit();
        let (code, message) = guest.ask_sealed(&mut session, &json!({ "name": "password", "value": value }));
        assert_eq!((code.as_str(), message.as_str()), (if answer.is_empty() { "0" } else { "500" }, answer));
        assert_eq!(guest.platform.text("/etc/shadow") != SHADOW, answer.is_empty());
    }
}

#[test]
fn what_is_not_sealed_for_this_session_is_answered_unsealed_and_runs_nothing() {
    let mut guest = Guest::new();
    let lost = ("401".to_owned(), NO_SESSION.to_owned());
    assert_eq!(guest.ask(br#"{"name":"sealed","value":"AAAA"}"#), lost);
    let mut session = guest.keyinit();
    let (_, sealed) = session.seal(named("version").to_string().as_bytes()).unwrap();
    assert_eq!(guest.ask(&sealed).0, "0");
    let replayed = guest.ask(&sealed);
    assert_eq!(replayed.0, "500");
    assert!(replayed.1.starts_with("the request's counter was used before"), "{}", replayed.1);
    for value in [json!(7), json!(""), json!("AAAA"), json!("!"), json!({}), json!(null), json!("A".repeat(3000))] {
        let (code, message) = guest.ask(json!({ "name": "sealed", "value": value }).to_string().as_bytes());
        assert!(code == "500" && message.starts_with("the value is no sealed request"), "{value}: {code} {message}");
    }
    // Another session's.
    let mut other = HostExchange::new(&[9; 32]).agree(&{
        let exchange = HostExchange::new(&[8; 32]);
        serde_json::from_str::<Any>(&exchange.value()).unwrap()["public"].as_str().unwrap().to_owned()
    });
    let (_, sealed) = other.as_mut().unwrap().seal(named("version").to_string().as_bytes()).unwrap();
    let wrong = ("401".to_owned(), "the request is not sealed for this session; begin one by keyinit".to_owned());
    assert_eq!(guest.ask(&sealed), wrong);
    assert!(guest.platform.logged().contains("unreadable request: the request is not sealed"));
    // What is opened and no request is answered sealed, as this session has asked it.
    let (counter, sealed) = session.seal(b"[]").unwrap();
    let (code, message) = guest.ask(&sealed);
    let malformed = ("500".to_owned(), "Request is malformed".to_owned());
    assert_eq!((code.as_str(), opened(&session, counter, &message)), ("0", malformed));
    // An answer is to one request.
    assert!(session.open(counter + 1, &message, &mut [0; RESPONSE_MAX]).is_err());
}

#[test]
fn neither_sealed_nor_keyinit_comes_in_a_sealed_request() {
    let mut guest = Guest::new();
    let mut session = guest.keyinit();
    let (_, inner) = session.seal(named("version").to_string().as_bytes()).unwrap();
    let inner: Any = serde_json::from_slice(&inner).unwrap();
    for request in [inner, json!({ "name": "keyinit", "value": "1234567" }), json!({ "name": "sealed" })] {
        let (code, message) = guest.ask_sealed(&mut session, &request);
        assert_eq!((code.as_str(), message.starts_with("neither sealed nor keyinit")), ("500", true), "{message}");
    }
    assert_eq!(guest.ask_sealed(&mut session, &named("version")).0, "0");
}

#[test]
fn a_session_ends_after_an_hour_without_a_request_with_the_next_keyinit_and_with_the_agent() {
    let mut guest = Guest::new();
    let mut session = guest.keyinit();
    assert_eq!(guest.agent.forget_unused(0), Some(3_600_000));
    guest.platform.time += 3_599;
    assert_eq!(guest.ask_sealed(&mut session, &named("version")).0, "0");
    assert_eq!(guest.agent.forget_unused(3_599_000), Some(3_599_000 + 3_600_000));
    guest.platform.time += 3_600;
    let gone = |guest: &mut Guest, session: &mut HostSession| {
        let (_, sealed) = session.seal(named("version").to_string().as_bytes()).unwrap();
        guest.ask(&sealed).0 == "401"
    };
    assert!(gone(&mut guest, &mut session), "whoever forgets to ask");
    assert_eq!(guest.agent.forget_unused(7_199_000), None);
    // Refused requests do not make it longer.
    session = guest.keyinit();
    guest.platform.time += 3_599;
    guest.ask(br#"{"name":"sealed","value":"AAAA"}"#);
    guest.platform.time += 1;
    assert!(gone(&mut guest, &mut session));
    // By the exchange over 107 bits, too, and by one that fails.
    for value in [json!("1234567890123"), json!("no key"), json!({}), json!({ "group": "ffdhe2048", "public": "AA==" })]
    {
        session = guest.keyinit();
        assert_eq!(guest.ask_sealed(&mut session, &named("version")).0, "0");
        guest.ask(json!({ "name": "keyinit", "value": value }).to_string().as_bytes());
        assert!(gone(&mut guest, &mut session), "{value}");
    }
    session = guest.keyinit();
    guest.agent = Dispatcher::new();
    assert!(gone(&mut guest, &mut session));
    // And it ends a key that waits for its password.
    guest.ask(br#"{"name":"keyinit","value":"1234567890123"}"#);
    guest.keyinit();
    let (_, message) = guest.ask(br#"{"name":"password","value":"AAAA"}"#);
    assert_eq!(message, "Password without key exchange");
}

#[test]
fn an_exchange_that_cannot_be_is_refused_and_says_what_is_needed() {
    let mut guest = Guest::new();
    let vectors: Any = serde_json::from_str(include_str!("../secret/sealed-vectors.json")).unwrap();
    let mut asked = |value: Any| guest.ask(json!({ "name": "keyinit", "value": value }).to_string().as_bytes());
    for value in [json!({}), json!({ "group": "ffdhe3072", "public": "AA==" }), json!({ "group": 7 })] {
        let wanted = "an object with group and public is needed; the only group is ffdhe2048";
        assert_eq!(asked(value), ("500".to_owned(), wanted.to_owned()));
    }
    let bad = vectors["no_public_keys"].as_array().unwrap().iter().cloned();
    for public in bad.chain([json!(""), json!("!"), json!(7), json!("A".repeat(3000))]) {
        let (code, message) = asked(json!({ "group": "ffdhe2048", "public": public }));
        assert!(code == "500" && message.starts_with("Invalid public key: base64 of 256 bytes"), "{public}: {message}");
    }
    assert_eq!(asked(vectors["keyinit"].clone()).0, "D0");
    // Behind what looks for the list of disabled commands.
    let keyinit = json!({ "name": "keyinit", "value": vectors["keyinit"] }).to_string();
    let no_randomness = (0..9).any(|operation| {
        guest.platform.fail = Some((operation, crate::wire::errno::Errno::IO));
        guest.ask(keyinit.as_bytes()).1.starts_with("no randomness for a key: ")
    });
    assert!(no_randomness);
    assert!(!guest.platform.logged().contains("/w=="), "no key is logged");
}

#[test]
fn the_list_of_disabled_commands_holds_for_what_is_sealed() {
    let mut guest = Guest::new();
    let mut session = guest.keyinit();
    guest.platform.put("/etc/nanova/disable", "version\nkeyinit-107\n");
    guest.platform.nodes.insert("/etc/nanova".to_owned(), Node::Directory);
    let gone = ("404".to_owned(), "No such agent command 'version'".to_owned());
    assert_eq!(guest.ask_sealed(&mut session, &named("version")), gone);
    // The weak exchange is disabled, this one is not.
    assert_eq!(guest.ask(br#"{"name":"keyinit","value":"1234567890123"}"#).0, "500");
    session = guest.keyinit();
    let password = json!({ "name": "password", "value": PASSWORD });
    assert_eq!(guest.ask_sealed(&mut session, &password).0, "0");
    guest.platform.put("/etc/nanova/disable", "sealed");
    let (_, sealed) = session.seal(named("features").to_string().as_bytes()).unwrap();
    assert_eq!(guest.ask(&sealed).0, "404");
    let exchange = HostExchange::new(&[7; 32]);
    let (code, message) = guest.ask(format!(r#"{{"name":"keyinit","value":{}}}"#, exchange.value()).as_bytes());
    assert!(code == "500" && message.starts_with("sealed requests are disabled here"), "{message}");
    assert!(!guest.ask(br#"{"name":"features"}"#).1.contains("sealed"));
}

#[test]
fn an_answer_that_has_no_room_is_shortened_and_the_longest_request_is_opened() {
    let mut guest = Guest::new();
    let mut session = guest.keyinit();
    let name = "\u{1}".repeat(400);
    let (code, message) = guest.ask_sealed(&mut session, &named(&name));
    assert!(code == "404" && message.ends_with("\u{1}..."), "{message}");
    let room = REQUEST_MAX - named("version").to_string().len();
    let asked = json!({ "name": "version", "value": "x".repeat(room) });
    assert_eq!(guest.ask_sealed(&mut session, &asked).0, "0");
    let longer = json!({ "name": "version", "value": "x".repeat(room + 1) }).to_string();
    assert!(session.seal(longer.as_bytes()).is_none());
    // An answer of any length is one.
    for len in (0..520).step_by(7) {
        let (code, message) = guest.ask_sealed(&mut session, &named(&"y".repeat(len)));
        assert!(code == "404" && message.len() >= len.min(480), "{len}");
    }
    // Around the longest that has room: 56 bytes, and six for each of these, of 1,359.
    for count in 205..235 {
        let (code, message) = guest.ask_sealed(&mut session, &named(&"\u{1}".repeat(count)));
        assert_eq!((code.as_str(), message.ends_with("...")), ("404", count > 217), "{count}");
    }
}

#[test]
fn a_command_that_takes_long_is_answered_sealed_if_the_session_is_the_same() {
    for ends in [false, true] {
        let mut guest = Guest::new();
        guest.platform.program("/etc/nanova/commands.d/activate");
        let mut session = guest.keyinit();
        let (counter, sealed) =
            session.seal(json!({ "name": "activate", "value": "key" }).to_string().as_bytes()).unwrap();
        let begun = guest.agent.handle::<Unused, _>(&mut sealed.to_vec(), &mut guest.platform);
        assert!(matches!(begun, Dispatched::Begun));
        // Another one meanwhile waits for its turn, and can come again.
        let (second, waits) = session.seal(json!({ "name": "activate" }).to_string().as_bytes()).unwrap();
        for _ in 0..2 {
            let later = guest.agent.handle::<Unused, _>(&mut waits.to_vec(), &mut guest.platform);
            assert!(matches!(later, Dispatched::Later));
        }
        assert_eq!(guest.ask(br#"{"name":"version"}"#).1, env!("CARGO_PKG_VERSION"), "it is answered as it was asked");
        let mut next = ends.then(|| guest.keyinit());
        let response = guest.go_on();
        let (code, message) = guest.written(&response);
        if let Some(next) = &mut next {
            assert_eq!(code, "401");
            assert!(message.starts_with("the session ended before"), "{message}");
            assert_eq!(guest.ask_sealed(next, &named("version")).0, "0");
        } else {
            assert_eq!((code.as_str(), opened(&session, counter, &message).0.as_str()), ("0", "0"));
            let (code, message) = guest.ask(&waits);
            assert_eq!((code.as_str(), opened(&session, second, &message).0.as_str()), ("0", "0"));
        }
    }
}

fn part(contents: &[u8], offset: usize, len: usize) -> Any {
    let encode = |bytes: &[u8]| base64ct::Base64::encode(bytes, &mut [0; 4096]).unwrap().to_owned();
    let bytes = &contents[offset..contents.len().min(offset + len)];
    let sum = crate::wire::sha256::sha256(&[contents]);
    json!({ "name": "file_inject", "value": {
        "b64_path": encode(b"/etc/large"), "b64_file": encode(bytes),
        "offset": offset, "size": contents.len(), "b64_sha256": encode(&sum),
    }})
}

#[test]
fn a_file_comes_in_parts_sealed_or_not_and_the_log_has_its_first_and_its_end() {
    let mut guest = Guest::new();
    let mut session = guest.keyinit();
    let contents = vec![b'x'; 10_000];
    for offset in (0..10_000).step_by(2000) {
        let request = part(&contents, offset, 2000);
        let (code, message) = match offset {
            2000 => guest.ask(request.to_string().as_bytes()),
            _ => guest.ask_sealed(&mut session, &request),
        };
        let wanted = if offset == 8000 { String::new() } else { (offset + 2000).to_string() };
        assert_eq!((code.as_str(), message), ("0", wanted));
    }
    assert_eq!(guest.platform.text("/etc/large").as_bytes(), contents);
    assert_eq!(guest.agent.give_up_at(), None);
    let log = guest.platform.logged();
    assert_eq!(log.matches("Received sealed command 'file_inject'").count(), 1, "{log}");
    let end = "staging /etc/large (10000 bytes, in parts)\n'file_inject' completed with code '0', message '2000'\n\
        updating /etc/large";
    assert!(log.ends_with(end), "{log}");
    // Nothing else is kept out of the log by what its value looks like.
    guest.ask(br#"{"name":"version","value":{"offset":1}}"#);
    let end = format!("'version' completed with code '0', message '{}'", env!("CARGO_PKG_VERSION"));
    assert!(guest.platform.logged().ends_with(&end));
    // What fails is in the log, whichever part it is.
    assert_eq!(guest.ask(part(&contents, 2000, 10).to_string().as_bytes()).0, "500");
    assert!(guest.platform.logged().contains("no such file is under way; send its first part again"));
}

#[test]
fn parts_are_listed_and_can_be_turned_off_by_their_name_and_with_file_inject() {
    for (disabled, listed, answer) in [
        ("", true, ("0", "10")),
        (
            "file_inject_parts",
            false,
            ("500", "files in parts are disabled here (file_inject_parts in /etc/nanova/disable)"),
        ),
        ("file_inject", false, ("404", "No such agent command 'file_inject'")),
    ] {
        let mut guest = Guest::new();
        guest.platform.nodes.insert("/etc/nanova".to_owned(), Node::Directory);
        guest.platform.put("/etc/nanova/disable", disabled);
        let features = guest.ask(br#"{"name":"features"}"#).1;
        assert_eq!(features.split(',').any(|name| name == "file_inject_parts"), listed, "{features}");
        let answered = guest.ask(part(&[0; 20], 0, 10).to_string().as_bytes());
        assert_eq!((answered.0.as_str(), answered.1.as_str()), answer);
    }
    for member in ["size", "b64_sha256", "b64_path", "b64_file"] {
        for value in [json!(null), json!("x"), json!(-1), json!([])] {
            let mut request = part(&[0; 20], 0, 10);
            request["value"][member] = value;
            let (code, message) = Guest::new().ask(request.to_string().as_bytes());
            assert!(code == "500" && !message.is_empty(), "{request}: {message}");
        }
    }
    for offset in [json!("0"), json!(1.5), json!(-1), json!("9".repeat(30))] {
        let mut request = part(&[0; 20], 0, 10);
        request["value"]["offset"] = offset;
        let (_, message) = Guest::new().ask(request.to_string().as_bytes());
        assert_eq!(message, "Invalid arguments: a part needs offset, size and b64_sha256");
    }
}
