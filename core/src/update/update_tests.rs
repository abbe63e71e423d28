//! Whole updates on a platform in memory, from servers that misbehave.

use super::*;
use crate::commands::Code;
use crate::commands::Response;
use crate::commands::update::agentupdate;
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
    let (mut received, mut body) = (Received::new(), Vec::new());
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
