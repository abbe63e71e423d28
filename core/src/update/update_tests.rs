//! Whole updates on a platform in memory, from servers that misbehave.

use super::http::{BodyProgress, Received};
use super::url::{Host, Url};
use super::*;
use crate::commands::Code;
use crate::commands::Response;
use crate::commands::update::{begin, go_on};
use crate::test_platform::FakePlatform;
use md5::Digest;
use proptest::prelude::{any, prop, prop_assert_eq, proptest};

/// The beginning of a static program for this machine: an ELF header and one program header, PT_LOAD.
fn program() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(5000, 7);
    let mut put = |at: usize, value: u16| bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    for (at, value) in [(16, 2), (18, MACHINE), (32, 64), (54, 56), (56, 1), (64, 1)] {
        put(at, value);
    }
    bytes
}

fn md5_of(bytes: &[u8]) -> String {
    md5::Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256_of(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new agent, and its sum.
pub(crate) fn program_and_sum() -> (Vec<u8>, String) {
    let body = program();
    let sum = md5_of(&body);
    (body, sum)
}

pub(crate) fn with_length(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

/// Runs the command to its end.
fn agentupdate(value: Value<'_>, platform: &mut FakePlatform) -> Response {
    let mut update = match begin(value, platform) {
        Ok(update) => update,
        Err(response) => return response,
    };
    loop {
        let ended = platform.ended(update.errand()).expect("its errand was begun");
        update = match go_on(update, platform, ended) {
            Ok(update) => update,
            Err(response) => return response,
        };
    }
}

/// Runs an update; the answer, and the platform.
fn update_from(servers: &[Vec<u8>], url: &str, sum: &str) -> (Response, FakePlatform) {
    let mut platform = FakePlatform::with(&[("/etc/agent", "old agent")]);
    platform.servers = servers.to_vec();
    let document = &mut format!(r#"{{"value":"{url},{sum}"}}"#).into_bytes();
    let [value] = crate::wire::json::members(document, ["value"]).unwrap();
    let response = agentupdate(value, &mut platform);
    (response, platform)
}

fn bytes_at<'p>(platform: &'p FakePlatform, path: &str) -> &'p [u8] {
    match &platform.nodes[path] {
        crate::test_platform::Node::File { contents, .. } => contents,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_one_takes_the_place_and_the_old_one_is_kept() {
    let body = program();
    let chunked = {
        let mut text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for piece in body.chunks(1234) {
            text.extend(format!("{:x};ext=1\r\n", piece.len()).as_bytes());
            text.extend(piece);
            text.extend(b"\r\n");
        }
        text.extend(b"0\r\nTrailer: x\r\n\r\n");
        text
    };
    let until_the_end = [b"HTTP/1.0 200 OK\r\n\r\n".as_slice(), &body].concat();
    let early = [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".as_slice(), &with_length(&body)].concat();
    let elsewhere = b"HTTP/1.1 302 Found\r\nLocation: /there?x\r\nContent-Length: 5\r\n\r\nthere".to_vec();
    for servers in
        [vec![with_length(&body)], vec![chunked], vec![until_the_end], vec![early], vec![elsewhere, with_length(&body)]]
    {
        for sum in [md5_of(&body), sha256_of(&body).to_uppercase()] {
            let (response, mut platform) = update_from(&servers, "http://192.0.2.7:8080/agent", &sum);
            assert_eq!((response.code, response.message.as_str()), (Code::Done, ""));
            assert_eq!(platform.text("/etc/agent"), "old agent", "it has to show that it serves");
            take_place(&mut platform, GuestPath::literal("/etc/agent")).unwrap();
            assert_eq!(bytes_at(&platform, "/etc/agent"), body);
            assert_eq!(platform.text("/etc/agent.prev"), "old agent");
            let asked = std::str::from_utf8(&platform.asked).unwrap();
            assert!(asked.starts_with("GET /agent HTTP/1.1\r\nHost: 192.0.2.7:8080\r\n"), "{asked}");
            assert_eq!(asked.matches("GET /there?x ").count(), servers.len() - 1);
        }
    }
}

#[test]
fn whatever_a_server_does_the_old_agent_stays() {
    let body = program();
    let good = with_length(&body);
    let mut dynamic = program();
    dynamic[64] = 3;
    let mut foreign = program();
    foreign[18] ^= 0xff;
    let http = |text: &str| text.replace('\n', "\r\n").into_bytes();
    let bad: &[(&str, Vec<u8>, &str)] = &[
        ("short", good[..good.len() - 1].to_vec(), "before the file was complete"),
        ("wrong", with_length(&[&body[1..], b"x"].concat()), "MD5 sums do not match ("),
        ("huge", http("HTTP/1.1 200 OK\nContent-Length: 1099511627776\n\n"), "more than 4 MiB"),
        ("huge chunk", http("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\nfffffffff\n"), "more than 4 MiB"),
        ("overflow", http("HTTP/1.1 200 OK\nContent-Length: 99999999999999999999999\n\n"), "does not speak HTTP"),
        ("negative", http("HTTP/1.1 200 OK\nContent-Length: -1\n\n"), "does not speak HTTP"),
        ("two", http("HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2\n\nxx"), "two lengths"),
        (
            "both",
            http("HTTP/1.1 200 OK\nContent-Length: 1\nTransfer-Encoding: chunked\n\n0\n\n"),
            "one of them is wrong",
        ),
        ("gzip", http("HTTP/1.1 200 OK\nContent-Encoding: gzip\n\n"), "not asked for"),
        ("none", http("HTTP/1.1 404 Not Found\n\n"), "404"),
        ("broken", http("HTTP/1.1 503 Later\n\n"), "5xx"),
        ("silent", Vec::new(), "before the file was complete"),
        ("endless head", [b"HTTP/1.1 200 OK\r\n".to_vec(), vec![b'x'; 100_000]].concat(), "header is too long"),
        ("ssh", http("SSH-2.0-OpenSSH\n"), "does not speak HTTP"),
        ("loop", http("HTTP/1.1 301 There\nLocation: http://known/\n\n"), "more than 5 times"),
        ("https", http("HTTP/1.1 301 There\nLocation: https://known/\n\n"), "redirected: https is not taken"),
    ];
    for (what, answer, words) in bad {
        let (response, platform) = update_from(&vec![answer.clone(); 9], "http://known/agent", &md5_of(&body));
        assert!(response.code == Code::Failed && response.message.as_str().contains(words), "{what}: {response:?}");
        assert_eq!(platform.text("/etc/agent"), "old agent", "{what}");
        assert!(!platform.nodes.contains_key("/etc/agent.prev"), "{what}");
    }
    for (file, words) in [(&b"#!/bin/sh\n"[..], "no ELF"), (&dynamic, "interpreter"), (&foreign, "another machine")] {
        let (response, platform) = update_from(&[with_length(file)], "http://known/agent", &md5_of(file));
        assert!(response.message.as_str().contains(words), "{response:?}");
        assert_eq!(platform.text("/etc/agent"), "old agent");
    }
}

#[test]
fn a_new_agent_that_fails_its_own_test_is_not_installed() {
    let body = program();
    for ended in [Ok(Ended::Exit(1)), Ok(Ended::Signal(11)), Ok(Ended::Late), Err(Errno::IO)] {
        let mut platform = FakePlatform::with(&[("/etc/agent", "old agent")]);
        platform.servers = vec![with_length(&body)];
        platform.self_test = ended;
        let document =
            &mut format!(r#"{{"value":{{"url":"http://known/a","md5sum":"{}"}}}}"#, md5_of(&body)).into_bytes();
        let [value] = crate::wire::json::members(document, ["value"]).unwrap();
        let response = agentupdate(value, &mut platform);
        assert!(response.message.as_str().contains("the new agent"), "{response:?}");
        assert_eq!(platform.text("/etc/agent"), "old agent");
    }
}

#[test]
fn an_operation_that_fails_leaves_the_old_agent_or_the_new_one() {
    let body = program();
    for at in 0..30 {
        let mut platform = FakePlatform::with(&[("/etc/agent", "old agent")]);
        platform.servers = vec![with_length(&body)];
        platform.fail = Some((at, Errno::NOSPC));
        let document = &mut format!(r#"{{"value":"http://known/a,{}"}}"#, md5_of(&body)).into_bytes();
        let [value] = crate::wire::json::members(document, ["value"]).unwrap();
        let response = agentupdate(value, &mut platform);
        assert_eq!(platform.text("/etc/agent"), "old agent", "{at}: {response:?}");
        let waits = platform.nodes.contains_key("/etc/.nanova.update");
        assert_eq!(waits, response.code == Code::Done, "{at}: {response:?}");
        if waits && take_place(&mut platform, GuestPath::literal("/etc/agent")).is_ok() {
            assert!(bytes_at(&platform, "/etc/agent") == body, "{at}");
        } else {
            assert_eq!(platform.text("/etc/agent"), "old agent", "{at}");
        }
    }
}

#[test]
fn urls() {
    for good in ["http://192.0.2.1", "http://a/b?c", "http://[2001:db8::1]:81/", "http://a_b.c-d:65535/x#y"] {
        assert!(Url::parse(good).is_ok(), "{good}");
    }
    let url = Url::parse("http://[2001:db8::1]:81/x?y#z").unwrap();
    assert_eq!((url.authority, url.port, url.target), ("[2001:db8::1]:81", 81, "/x?y"));
    for bad in [
        "",
        "http://",
        "ftp://a/",
        "http:///x",
        "http://a:65536/",
        "http://a:x/",
        "http://[::1/",
        "http://[1.2.3.4]/",
        "http://a b/",
        "http://user@host/",
        "http://a/\r\nX: y",
        "http://a?b",
        "https://a/",
    ] {
        assert!(Url::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_parts_of_a_url() {
    let parts =
        |text| Url::parse(text).map(|url| (url.host, url.authority.to_owned(), url.port, url.target.to_owned()));
    let of = |host, authority: &str, port, target: &str| Ok((host, authority.to_owned(), port, target.to_owned()));
    let name = Host::Name("a_b.c-d");
    assert_eq!(parts("http://a_b.c-d"), of(name, "a_b.c-d", 80, ""));
    assert_eq!(parts("http://a_b.c-d:0/"), of(name, "a_b.c-d:0", 0, "/"));
    assert_eq!(parts("http://a_b.c-d:65535/x/y?z=/#f/g"), of(name, "a_b.c-d:65535", 65535, "/x/y?z=/"));
    assert_eq!(
        parts("http://192.0.2.1:8080/x"),
        of(Host::Ip("192.0.2.1".parse().unwrap()), "192.0.2.1:8080", 8080, "/x")
    );
    assert_eq!(parts("http://[::1]"), of(Host::Ip("::1".parse().unwrap()), "[::1]", 80, ""));
    for bad in [
        "http://[::1]x/",
        "http://[::1]:/",
        "http://a:/",
        "http://a:+1/",
        "http://a:1:2/",
        "http://a!/",
        "http://a#/\u{7f}",
    ] {
        assert!(Url::parse(bad).is_err(), "{bad}");
    }
    // RFC 1035 has names of 253 bytes at the most.
    for (len, is_good) in [(253, true), (254, false)] {
        assert_eq!(Url::parse(&format!("http://{}/", "a".repeat(len))).is_ok(), is_good, "{len}");
    }
}

#[test]
fn where_a_server_says_a_file_is() {
    let url = Url::parse("http://a:81/x/y").unwrap();
    let to = |location: &str| url.redirected(location).map(|url| url.as_str().to_owned());
    assert_eq!(to("/z?q").as_deref(), Ok("http://a:81/z?q"));
    assert_eq!(to("//b/z").as_deref(), Ok("http://b/z"));
    assert_eq!(to("http://c:82/z").as_deref(), Ok("http://c:82/z"));
    for bad in ["z", "https://a/", "ftp://a/", "", "//", "/a b"] {
        assert!(to(bad).is_err(), "{bad}");
    }
    assert!(to(&format!("/{}", "x".repeat(URL_MAX - "http://a:81/".len()))).is_ok());
    assert_eq!(to(&format!("/{}", "x".repeat(URL_MAX))), Err("the URL is too long"));
}

#[test]
fn a_request_asks_for_the_file_and_nothing_else() {
    let request = |url| http::request(&Url::parse(url).unwrap()).as_str().to_owned();
    let version = env!("CARGO_PKG_VERSION");
    let rest = format!("User-Agent: nanova/{version}\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n");
    assert_eq!(request("http://a"), format!("GET / HTTP/1.1\r\nHost: a\r\n{rest}"));
    assert_eq!(request("http://a:81/x?y"), format!("GET /x?y HTTP/1.1\r\nHost: a:81\r\n{rest}"));
    let long = format!("http://a/{}", "x".repeat(URL_MAX - 9));
    assert!(request(&long).ends_with(&rest));
}

/// The outcome of a response, lines separated by `|`; what was received, or why not.
fn response(text: &str) -> Result<String, http::BadResponse> {
    let bytes = text.replace('|', "\r\n").into_bytes();
    let mut location = String::new();
    let (whole, body) = outcome(&[&bytes]);
    if whole == Ok(BodyProgress::Elsewhere) {
        let mut received = Received::default();
        received.take(&bytes, &mut |_| {}).unwrap();
        location = format!("at {}", received.location());
    }
    // Byte by byte it is the same.
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(outcome(&single), (whole, body.clone()), "{text}");
    whole.map(|_| format!("{}{location}", std::str::from_utf8(&body).unwrap()))
}

#[test]
fn responses_of_every_form() {
    let good = [
        ("HTTP/1.1 200 OK|Content-Length: 3||abc", "abc"),
        ("HTTP/1.1 200 OK|Content-Length: 3||abcdef", "abc"),
        ("HTTP/1.1 200 OK|content-length:3|CONTENT-LENGTH: 3 ||abc", "abc"),
        ("HTTP/1.1 200 OK|Content-Length: 0||", ""),
        ("HTTP/1.0 200 ||abc", "abc"),
        ("HTTP/1.1 200 OK|Content-Encoding: Identity|X: y||abc", "abc"),
        ("HTTP/1.1 200 OK|Transfer-Encoding: Chunked||3|abc|A;x=y|0123456789|0|T: x|T: y||", "abc0123456789"),
        ("HTTP/1.1 100 Continue||HTTP/1.1 199 x|Location: /a||HTTP/1.1 200 OK|Content-Length: 1||a", "a"),
        ("HTTP/1.1 200 OK|Location: /a|Content-Length: 1||a", "a"),
        ("HTTP/1.1 301 x|Location: /a||", "at /a"),
        ("HTTP/1.1 302 x|Location: /b||", "at /b"),
        ("HTTP/1.1 303 x|Location: /c|Content-Length: 9||", "at /c"),
        ("HTTP/1.1 307 x|Location: /d||", "at /d"),
        ("HTTP/1.1 308 x|Location: /e||", "at /e"),
        ("HTTP/1.1 200 OK|\u{e9}: x|Content-Length: 1||a", "a"),
    ];
    for (text, body) in good {
        assert_eq!(response(text).as_deref(), Ok(body), "{text}");
    }
    let other_status = "the server answers with a status that is not 200";
    let cut = "the server ended the connection before the file was complete";
    let not_http = "the server does not speak HTTP/1.1";
    let encoded = "the server encodes the file in a way that was not asked for";
    let bad = [
        ("HTTP/1.1 301 x||", other_status),
        ("HTTP/1.1 204 x||", other_status),
        ("HTTP/1.1 300 x|Location: /a||", other_status),
        ("HTTP/1.1 400 x||", other_status),
        ("HTTP/1.1 600 x||", other_status),
        ("HTTP/1.1 099 x||", other_status),
        ("HTTP/1.1 401 x||", "the server does not give the file to us (401 or 403)"),
        ("HTTP/1.1 403 x||", "the server does not give the file to us (401 or 403)"),
        ("HTTP/1.1 404 x||", "the server has no such file (404)"),
        ("HTTP/1.1 500 x||", "the server failed (5xx)"),
        ("HTTP/1.1 599 x||", "the server failed (5xx)"),
        ("HTTP/1.1 200 OK|Content-Length: 3||ab", cut),
        ("HTTP/1.1 200 OK|Transfer-Encoding: chunked||3|abc|0|", cut),
        ("HTTP/1.1 200 OK|", cut),
        ("HTTP/2 200 OK||", not_http),
        ("HTTP/1.1 20||", not_http),
        ("HTTP/1.1 200 OK|no header||", not_http),
        ("HTTP/1.1 200 OK|Content-Length: x||", not_http),
        ("HTTP/1.1 200 OK|Transfer-Encoding: chunked||x|", not_http),
        ("HTTP/1.1 200 OK|Transfer-Encoding: chunked||1|ab|", not_http),
        ("HTTP/1.1 200 OK|Transfer-Encoding: gzip||", encoded),
        ("HTTP/1.1 200 OK|Content-Encoding: gzip||", encoded),
    ];
    for (text, why) in bad {
        assert_eq!(response(text), Err(why), "{text}");
    }
}

#[test]
fn four_mebibytes_are_taken_and_no_byte_more_however_they_come() {
    let large = "the server announces more than 4 MiB: that is no agent";
    let received = |head: &str, len: usize| -> Result<usize, http::BadResponse> {
        let (mut received, mut got) = (Received::default(), 0);
        received.take(head.as_bytes(), &mut |_| {})?;
        for piece in vec![0; len].chunks(100_000) {
            received.take(piece, &mut |bytes| got += bytes.len())?;
        }
        Ok(got)
    };
    let max = 4 << 20;
    assert_eq!(received("HTTP/1.1 200 OK\r\n\r\n", max), Ok(max));
    assert_eq!(received("HTTP/1.1 200 OK\r\n\r\n", max + 1), Err(large));
    let length = |len: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n");
    assert_eq!((received(&length(max), max), received(&length(max + 1), 0)), (Ok(max), Err(large)));
    let chunked = |len: usize| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{len:x}\r\n");
    assert_eq!((received(&chunked(max), max), received(&chunked(max + 1), 0)), (Ok(max), Err(large)));
}

#[test]
fn a_head_of_sixty_four_kibibytes_is_taken_and_no_longer_one() {
    let head = |len: usize| {
        let mut head = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
        head.resize(len - 4, b'x');
        head.extend(b"\r\n\r\n");
        outcome(&[&head]).0
    };
    assert_eq!(head(64 * 1024), Ok(BodyProgress::Done));
    assert_eq!(head(64 * 1024 + 1), Err("the server's header is too long"));
    // What comes before the head that counts belongs to it.
    let early = b"HTTP/1.1 103 x\r\n\r\n".repeat(4000);
    assert_eq!(outcome(&[&early]).0, Err("the server's header is too long"));
    let far = format!("HTTP/1.1 301 x\r\nLocation: /{}\r\n\r\n", "x".repeat(URL_MAX));
    assert_eq!(outcome(&[far.as_bytes()]).0, Err("the server redirects to a URL that is too long"));
}

#[test]
fn an_agent_says_of_itself_that_it_computes_right() {
    assert!(self_test());
    let wrong = Order::parts("http://a/", &"0".repeat(32)).ok().unwrap();
    let mut hasher = Hasher::new(&wrong.sum);
    hasher.update(b"nanova");
    let (is_right, sum) = hasher.compare(&wrong.sum);
    assert_eq!((is_right, sum.to_string(), sum.name()), (false, md5_of(b"nanova"), "MD5"));
    let sum = Order::parts("http://a/", &sha256_of(b"nanova")).ok().unwrap().sum;
    assert_eq!((sum.to_string(), sum.name()), (sha256_of(b"nanova"), "SHA-256"));
}

#[test]
fn only_a_static_program_of_this_machine_is_one() {
    let with = |at: usize, value: u16| {
        let mut bytes = program();
        bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        not_for_here(&bytes)
    };
    let other = Some("it is for another machine, or no program");
    let nowhere = Some("its program headers are nowhere");
    // e_type: a program at a place of its own, or at any.
    assert_eq!([1, 2, 3, 4].map(|kind| with(16, kind)), [other, None, None, other]);
    assert_eq!((with(18, MACHINE + 1), with(54, 55), with(54, 57)), (other, nowhere, None));
    assert_eq!(with(64, 2), Some("there is nothing in it to run"));
    assert_eq!(with(56, 0), Some("there is nothing in it to run"));
    assert_eq!(not_for_here(&program()[..58]), Some("its program headers are too far behind its beginning"));
    assert_eq!(not_for_here(&program()[..57]), nowhere);
    // The second of two headers, 56 bytes behind the first.
    for (kind, why) in [(3_u16, Some("it needs an interpreter: only static programs are taken")), (1, None)] {
        let mut bytes = program();
        bytes[56..58].copy_from_slice(&2_u16.to_le_bytes());
        bytes[64..66].copy_from_slice(&6_u16.to_le_bytes());
        bytes[120..122].copy_from_slice(&kind.to_le_bytes());
        assert_eq!(not_for_here(&bytes), why);
    }
}

#[test]
fn a_new_agent_that_takes_too_long_to_come_is_given_up() {
    let body = program();
    // That in which the guest is suspended is none of its time.
    for (seconds_apiece, is_suspended_apiece, done) in
        [(0, false, true), (5, false, true), (50, false, false), (50, true, true)]
    {
        let mut platform = FakePlatform::with(&[("/etc/agent", "old agent")]);
        platform.servers = vec![with_length(&body)];
        (platform.seconds_apiece, platform.is_suspended_apiece) = (seconds_apiece, is_suspended_apiece);
        let document = &mut format!(r#"{{"value":"http://known/a,{}"}}"#, md5_of(&body)).into_bytes();
        let [value] = crate::wire::json::members(document, ["value"]).unwrap();
        let response = agentupdate(value, &mut platform);
        assert_eq!(response.code == Code::Done, done, "{seconds_apiece}: {response:?}");
        let why = "the download takes more than 90 seconds";
        assert_eq!(response.message.as_str(), if done { "" } else { why });
        // The first connection has as long as may be silence.
        assert_eq!(platform.patience, [20]);
    }
}

#[test]
fn a_new_agents_place_is_beside_the_old_one_and_its_mode_lets_it_run() {
    let body = program();
    let (response, mut platform) = update_from(&[with_length(&body)], "http://known/agent", &md5_of(&body));
    assert_eq!(response.code, Code::Done);
    let node = crate::test_platform::Node::File { contents: body, mode: 0o755 };
    assert_eq!(platform.nodes["/etc/.nanova.update"], node);
    platform.unsynced = Some(Errno::IO);
    take_place(&mut platform, GuestPath::literal("/etc/agent")).unwrap();
    assert!(platform.logged().contains("updating /etc/agent; the old one is agent.prev"));
    assert!(platform.logged().contains("done, but /etc/agent may not survive a crash"));
    // What fails leaves nothing beside it.
    let (response, platform) = update_from(&[], "http://known/agent", &md5_of(b""));
    assert_eq!((response.code, platform.nodes.contains_key("/etc/.nanova.update")), (Code::Failed, false));
    let (response, platform) = update_from(&[with_length(b"x")], "http://known/agent", &md5_of(b"x"));
    assert_eq!((response.code, platform.discarded), (Code::Failed, 1), "it is no agent");
    let (response, _) = update_from(&[], "http://unknown/agent", &md5_of(b""));
    assert!(response.message.as_str().starts_with("cannot resolve unknown: "), "{response:?}");
    let (response, _) = update_from(&[], "http://unreadable/agent", &md5_of(b""));
    assert!(response.message.as_str().starts_with("cannot resolve unreadable: cannot read /etc/resolv.conf: "));
    let long = format!("http://known/{}", "x".repeat(URL_MAX));
    assert_eq!(update_from(&[], &long, &md5_of(b"")).0.message.as_str(), "the URL is longer than 1024 bytes");
}

#[test]
fn five_redirections_are_followed_and_one_more_is_not() {
    let body = program();
    let elsewhere = b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n".to_vec();
    for (times, done) in [(5, true), (6, false)] {
        let mut servers = vec![elsewhere.clone(); times];
        servers.push(with_length(&body));
        let (response, _) = update_from(&servers, "http://known/agent", &md5_of(&body));
        assert_eq!(response.code == Code::Done, done, "{times}: {response:?}");
    }
}

#[test]
fn values_that_are_none_are_answered_in_the_words_of_the_protocol() {
    for (value, words) in [
        (r#""http://a/""#, "Invalid arguments"),
        (r#""http://a/,123""#, "Invalid arguments: the sum"),
        ("7", "Invalid arguments"),
        ("{}", "Missing URL or MD5 sum in dictionary arguments"),
        (r#"{"url":"http://a/"}"#, "Missing URL or MD5 sum in dictionary arguments"),
    ] {
        let document = &mut format!(r#"{{"value":{value}}}"#).into_bytes();
        let [value] = crate::wire::json::members(document, ["value"]).unwrap();
        let response = agentupdate(value, &mut FakePlatform::with(&[("/etc/agent", "")]));
        assert!(response.message.as_str().starts_with(words), "{response:?}");
    }
}

type Vec<T> = std::vec::Vec<T>;
type String = std::string::String;

fn outcome(pieces: &[&[u8]]) -> (Result<BodyProgress, http::BadResponse>, Vec<u8>) {
    let (mut received, mut body) = (Received::default(), Vec::new());
    let mut last = Ok(BodyProgress::More);
    for piece in pieces {
        last = received.take(piece, &mut |bytes| body.extend_from_slice(bytes));
        if last != Ok(BodyProgress::More) {
            return (last, body);
        }
    }
    (last.and_then(|_| received.finish()), body)
}

proptest! {
    #[test]
    fn any_split_of_a_response_gives_the_same(
        head in prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", "HTTP/1.1 307 x\r\nLocation: /y\r\n\
                                                                                    \r\n",
        ]),
        tail in "[0-9a-f\r\n ;:]{0,40}",
        cuts in prop::collection::vec(0usize..120, 0..6),
    ) {
        let bytes = [head.as_bytes(), tail.as_bytes()].concat();
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= bytes.len()).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(outcome(&pieces), outcome(&[&bytes]));
    }

    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = outcome(&[&bytes]);
        let _ = not_for_here(&bytes);
        let _ = Url::parse(&std::string::String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn an_older_agent_is_taken_and_named() {
    let older = concat!("done, but 0.9.12 is older than ", env!("CARGO_PKG_VERSION"), ", which it replaces");
    for (says, message) in [
        ("nanova 0.9.12\n", older),
        (concat!("nanova ", env!("CARGO_PKG_VERSION"), "\n"), ""),
        ("nanova 10.0.0\n", ""),
        ("nanova 0.9\n", ""),
        ("nanova 0.9.1.2\n", ""),
        ("another 0.9.12\n", ""),
        ("", ""),
    ] {
        let body = program();
        let mut platform = FakePlatform::with(&[("/etc/agent", "old agent")]);
        platform.servers = vec![with_length(&body)];
        platform.errands.says = says.to_owned();
        let document = &mut format!(r#"{{"value":"http://known/agent,{}"}}"#, md5_of(&body)).into_bytes();
        let [value] = crate::wire::json::members(document, ["value"]).unwrap();
        let response = agentupdate(value, &mut platform);
        assert_eq!((response.code, response.message.as_str()), (Code::Done, message), "{says:?}");
    }
}

#[test]
fn each_address_of_a_name_is_tried_and_leaves_time_for_the_others() {
    let body = program();
    let mut platform = FakePlatform::with(&[("/etc/agent", "old agent")]);
    platform.servers = vec![with_length(&body)];
    // The first of three connections is refused.
    platform.refused_connections = 1;
    let document = &mut format!(r#"{{"value":"http://many/agent,{}"}}"#, md5_of(&body)).into_bytes();
    let [value] = crate::wire::json::members(document, ["value"]).unwrap();
    assert_eq!(agentupdate(value, &mut platform).code, Code::Done);
    assert_eq!(platform.patience, [20, 20]);
    let (response, platform) = update_from(&[], "http://many/agent", &md5_of(b""));
    assert!(response.message.as_str().starts_with("cannot connect to 2001:db8::1 port 80: "), "{response:?}");
    assert_eq!(platform.patience.len(), 3);
}
