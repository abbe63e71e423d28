//! The example for a command of one's own, with tools that talk: what they are called with, what the host is told, and
//! that the key is never in it.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const KEY: &str = "1-key.With_all,that+is@taken";
const REQUEST: &str = r#"{"activation_key": "1-key.With_all,that+is@taken", "profile": "web01.example.org",
    "domains": ["satellite.example.org", "other.example.org"]}"#;

/// A system with these tools, which say all they know and end with `status`.
struct Site {
    home: tempfile::TempDir,
}

impl Site {
    fn new(tools: &[&str], status: u8, configuration: &str) -> Site {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("configuration"), configuration).unwrap();
        for tool in tools {
            let path = home.path().join(tool);
            let log = home.path().join("arguments").display().to_string();
            let says = "echo \"$*\"; echo \"$*\" >&2";
            let script = format!("#!/bin/sh\nprintf '%s|' {tool} \"$@\" >{log}\n{says}\nexit {status}\n");
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        }
        Site { home }
    }

    /// What the tool was called with, if it was.
    fn arguments(&self) -> Option<String> {
        fs::read_to_string(self.home.path().join("arguments")).ok()
    }

    /// The exit code and all that was said for a request.
    fn ask(&self, shell: &[&str], request: &str) -> (Option<i32>, String) {
        // The example itself, but for where its configuration is.
        let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("services/kmsactivate.example"));
        let configuration = self.home.path().join("configuration");
        let example = example.unwrap().replace("/etc/nanova/kmsactivate.conf", configuration.to_str().unwrap());
        let script = self.home.path().join("kmsactivate");
        fs::write(&script, example).unwrap();
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.home.path().display()));
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{shell:?}: {error}"));
        child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!said.contains("key.With"), "the key is in {said:?}");
        (output.status.code(), said)
    }
}

fn both_tools(shell: &[&str]) {
    let site = Site::new(&["subscription-manager", "rhnreg_ks"], 0, "ORG=4711\n");
    assert_eq!(site.ask(shell, REQUEST), (Some(0), "registered\n".into()), "{shell:?}");
    let rest = "--name|web01.example.org|--serverurl|satellite.example.org|";
    let expected = format!("subscription-manager|register|--force|--org|4711|--activationkey|{KEY}|{rest}");
    assert_eq!(site.arguments().unwrap(), expected);

    let site = Site::new(&["rhnreg_ks"], 0, "");
    assert_eq!(site.ask(shell, REQUEST).0, Some(0));
    let rest = "--profilename|web01.example.org|--serverUrl|https://satellite.example.org/XMLRPC|";
    assert_eq!(site.arguments().unwrap(), format!("rhnreg_ks|--force|--activationkey|{KEY}|{rest}"));
}

#[test]
fn it_calls_the_tool_that_there_is() {
    both_tools(&["sh"]);
}

#[test]
#[ignore = "needs dash, bash and busybox"]
fn it_does_so_in_every_shell() {
    for shell in [&["dash"][..], &["bash", "--posix"], &["busybox", "sh"]] {
        both_tools(shell);
    }
}

#[test]
fn profile_and_domains_may_be_missing() {
    let site = Site::new(&["subscription-manager"], 0, "ORG=4711\n");
    for request in [
        format!(r#"{{"activation_key":"{KEY}"}}"#),
        format!(r#"{{"profile":"","domains":[],"activation_key" :  "{KEY}"}}"#),
        format!("{{\"activation_key\":\n\t\"{KEY}\",\"domains\":null,\"profile\":null}}"),
    ] {
        assert_eq!(site.ask(&["sh"], &request).0, Some(0), "{request}");
        let expected = format!("subscription-manager|register|--force|--org|4711|--activationkey|{KEY}|");
        assert_eq!(site.arguments().unwrap(), expected);
    }
}

#[test]
fn a_failure_is_told_without_what_the_tool_said() {
    let site = Site::new(&["subscription-manager"], 70, "ORG=4711\n");
    let (code, said) = site.ask(&["sh"], REQUEST);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("subscription-manager ended with status 70; "), "{said}");
    let (code, said) = Site::new(&["subscription-manager"], 0, "").ask(&["sh"], REQUEST);
    assert!(code == Some(1) && said.contains("ORG is not set in "), "{said}");
    let (code, said) = Site::new(&[], 0, "ORG=1").ask(&["sh"], REQUEST);
    assert_eq!((code, said.as_str()), (Some(1), "neither subscription-manager nor rhnreg_ks is installed\n"));
}

#[test]
fn what_could_be_an_option_or_a_command_never_reaches_the_tool() {
    let site = Site::new(&["subscription-manager"], 0, "ORG=4711\n");
    for request in [
        "",
        "kmsactivate",
        "{}",
        r#"{"activation_key": ""}"#,
        r#"{"activation_key": 5}"#,
        r#"{"activation_key": "--help"}"#,
        r#"{"activation_key": "a b"}"#,
        r#"{"activation_key": "$(touch /tmp/x)"}"#,
        r#"{"activation_key": "a\u0041"}"#,
        r#"{"activation_key": "a`b`"}"#,
        r#"{"activation_key": "a", "profile": "-x"}"#,
        r#"{"activation_key": "a", "profile": "x;y"}"#,
        r#"{"activation_key": "a", "domains": ["-x"]}"#,
        r#"{"activation_key": "a", "domains": ["x/../y"]}"#,
        r#"{"profile": "\"activation_key\": \"a"}"#,
    ] {
        let (code, said) = site.ask(&["sh"], request);
        assert_eq!((code, said.lines().count()), (Some(1), 1), "{request}: {said}");
        assert_eq!(site.arguments(), None, "{request}");
    }
}
