//! `/etc/nanova/commands.d` and `/etc/nanova/disable`: real programs, run by the real agent where /etc is an empty file
//! system of the test's own.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use nanova_tests::agent::{Agent, binary};
use nanova_tests::host::Host;
use nanova_tests::xenstored::{Options, Xenstored};
use serde_json::{Value, json};

/// A guest whose /etc this script has filled; the agent runs in it.
struct Site {
    host: Host,
    agent: Agent,
    _xenstored: Xenstored,
}

impl Site {
    fn new(script: &str) -> Result<Site> {
        let xenstored = Xenstored::start(Options::default())?;
        let script = format!(
            "mount -t tmpfs -o mode=755 tmpfs /etc; mount -t tmpfs -o mode=755 tmpfs /run; mkdir -p -m 755 /etc/nanova/commands.d; cd /etc/nanova/commands.d
            program() {{ cat >$1; chmod 755 $1; }}\n{script}\nexec {} agent --no-metrics --xenbus {}",
            binary().display(),
            xenstored.guest_socket().display()
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", &script]);
        let agent = Agent::spawn(command);
        agent.wait_until_serving();
        Ok(Site { host: Host::of(&xenstored)?, agent, _xenstored: xenstored })
    }

    fn ask(&mut self, name: &str, value: impl Into<Value>) -> Result<(String, String)> {
        let answer = self.host.ask(name, value.into())?;
        Ok((answer.code, answer.message))
    }
}

fn said(code: &str, message: &str) -> (String, String) {
    (code.to_owned(), message.to_owned())
}

#[test]
#[ignore = "needs root"]
fn a_program_gets_no_descriptor_of_whoever_started_the_agent() -> Result<()> {
    let mut site = Site::new(
        "program descriptors <<'P'
#!/bin/sh
ls /proc/self/fd | tr '\\n' ' '
P
exec 5</etc/nanova/commands.d/descriptors 9>/run/of-a-supervisor",
    )?;
    // The last is the directory that ls itself reads.
    assert_eq!(site.ask("descriptors", "")?, said("0", "0 1 2 3"));
    // The agent has them still: one of them may be a lock that is held for it.
    for (number, path) in [(5, "/etc/nanova/commands.d/descriptors"), (9, "/run/of-a-supervisor")] {
        let link = std::fs::read_link(format!("/proc/{}/fd/{number}", site.agent.pid()))?;
        assert_eq!(link.to_string_lossy(), path);
    }
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn a_program_runs_where_dev_is_bare() -> Result<()> {
    let mut site = Site::new(
        "program speaks <<'P'
#!/bin/sh
echo to nobody >&2; echo said
P
mount -t tmpfs tmpfs /dev",
    )?;
    assert_eq!(site.ask("speaks", "")?, said("0", "said"));
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn a_program_gets_the_value_and_gives_the_answer() -> Result<()> {
    let mut site = Site::new(
        "program echo <<'P'
#!/bin/sh
exec cat
P
program fails <<'P'
#!/bin/sh
echo what to do; exit 3
P
program says <<'P'
#!/bin/sh
echo returncode=42; echo said >/dev/stdout
P
program much <<'P'
#!/bin/sh
yes | head -c 1000000
P
program dies <<'P'
#!/bin/sh
kill -9 $$
P
program leaves <<'P'
#!/bin/sh
sleep 1000 & echo left
P
program headless <<'P'
echo this is no script
P
program environment <<'P'
#!/bin/sh
readlink /proc/self/fd/*; echo PATH=$PATH
P",
    )?;
    assert_eq!(site.ask("echo", "a \"secret\"\nof two lines")?, said("0", "a \"secret\"\nof two lines"));
    let headless = site.ask("headless", "")?;
    assert!(headless.0 == "500" && headless.1.contains("cannot be executed"), "{headless:?}");
    let object = json!({ "activation_key": "se\u{1F600}cret", "domains": ["a"] });
    let (code, message) = site.ask("echo", object.clone())?;
    assert_eq!((code.as_str(), serde_json::from_str::<Value>(&message)?), ("0", object));
    assert_eq!(site.ask("echo", 7)?, said("0", "7"));
    assert_eq!(site.ask("echo", Value::Null)?, said("0", ""));
    assert_eq!(site.ask("fails", "")?, said("500", "what to do"));
    assert_eq!(site.ask("says", "")?, said("42", "said"));
    let (code, message) = site.ask("much", "")?;
    assert!(code == "0" && message.starts_with("y\ny\n") && message.ends_with("..."), "{message}");
    assert!(site.ask("dies", "")?.1.contains("signal 9"));
    let begin = Instant::now();
    assert_eq!(site.ask("leaves", "")?, said("0", "left"));
    assert!(begin.elapsed() < Duration::from_secs(10), "a child that stays is not waited for");

    let (_, environment) = site.ask("environment", "")?;
    assert!(environment.contains("PATH=/usr/local/sbin:"), "{environment}");
    assert!(!environment.contains("socket:") && environment.matches("memfd:").count() == 1, "{environment}");
    assert!(!site.agent.log().contains("secret"), "{}", site.agent.log());
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn only_what_root_alone_can_have_put_there_is_run() -> Result<()> {
    let mut site = Site::new(
        "for name in good others group owned link plain; do program $name <<'P'
#!/bin/sh
echo ran
P
done
chmod o+w others; chmod g+w group; chown 1 owned; mv link /etc/elsewhere; ln -s /etc/elsewhere link; chmod 644 plain; mkdir directory",
    )?;
    assert_eq!(site.ask("good", "")?, said("0", "ran"));
    for name in ["others", "group", "owned", "link", "plain", "directory"] {
        let (code, message) = site.ask(name, "")?;
        assert!(code == "500" && message.contains("executable file of root's"), "{name}: {message}");
    }
    for name in ["../elsewhere", "Good", "", "a b"] {
        assert_eq!(site.ask(name, "")?.0, "404", "{name}");
    }
    let features = site.ask("features", "")?.1;
    assert!(features.ends_with("sealed,good"), "{features}");
    let mut open = Site::new("program good <<'P'\n#!/bin/sh\nP\nchmod o+w .")?;
    assert_eq!(open.ask("good", "")?.0, "500", "who can write the directory can replace the program");
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn what_is_disabled_is_not_there() -> Result<()> {
    let mut site = Site::new(
        "printf 'injectfile\\nfile_inject\\nmine\\n' >/etc/nanova/disable
        for name in mine version; do printf '#!/bin/sh\\necho mine' >$name; chmod 755 $name; done",
    )?;
    assert_eq!(site.ask("features", "")?.1, "version,features,keyinit,password,resetnetwork,agentupdate,sealed");
    for name in ["injectfile", "file_inject", "mine"] {
        assert_eq!(site.ask(name, "")?, said("404", &format!("No such agent command '{name}'")));
    }
    assert_ne!(site.ask("version", "")?.1, "mine", "what is built in cannot be replaced");
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn a_list_that_ends_early_or_lies_elsewhere_disables_and_one_that_cannot_be_read_disables_all() -> Result<()> {
    for (script, left) in [
        (
            "printf 'password\\ninjectfile' >/etc/nanova/disable",
            "version,features,keyinit,resetnetwork,file_inject,file_inject_parts,agentupdate,sealed",
        ),
        (
            "mkdir /etc/store; printf 'password\\n' >/etc/store/list; ln -s ../store/list /etc/nanova/disable",
            "version,features,keyinit,resetnetwork,injectfile,file_inject,file_inject_parts,agentupdate,sealed",
        ),
    ] {
        assert_eq!(Site::new(script)?.ask("features", "")?.1, left);
    }
    let mut site = Site::new("mkdir /etc/nanova/disable")?;
    assert_eq!(site.ask("version", "")?.0, "404");
    site.agent.wait_for_log("no command is served: cannot read /etc/nanova/disable: is a directory (EISDIR)");
    Ok(())
}

#[test]
#[ignore = "needs root and a minute"]
fn a_program_that_takes_too_long_is_ended_with_all_its_children() -> Result<()> {
    let mut site = Site::new("program slow <<'P'\n#!/bin/sh\nsleep 76543 & sleep 76543\nP")?;
    site.host.send("slow", r#"{"name":"slow"}"#)?;
    std::thread::sleep(Duration::from_secs(55));
    assert_eq!(site.host.answer("slow")?, None);
    let answer = site.host.wait_answer("slow")?;
    assert!(answer.code == "500" && answer.message.contains("more than 60 seconds"), "{answer:?}");
    let left = Command::new("pgrep").args(["-f", "sleep 76543"]).output()?;
    assert!(left.stdout.is_empty(), "{}", String::from_utf8_lossy(&left.stdout));
    assert_eq!(site.ask("version", "")?.0, "0");
    Ok(())
}
