//! `nanova-host DOM password` at a real terminal: nothing that is typed is shown, and however it ends the terminal is
//! as it was and nothing waits in the guest.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use nanova_tests::agent::PATIENCE;
use nanova_tests::dom0::{StandIn, binary};
use nanova_tests::nova::crypt;
use nanova_tests::scene::{Scene, wait_until};
use nanova_tests::xenstored::{Options, Xenstored};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

const FIRST: &str = "New password for root: ";
const SECOND: &str = "Once more: ";

/// nanova-host with a terminal of its own, and a person at it.
struct Person {
    terminal: File,
    /// The other side, which stays open, so that its settings can be looked at.
    theirs: File,
    shown: Arc<Mutex<Vec<u8>>>,
    screen: Option<JoinHandle<()>>,
    child: Child,
}

impl Person {
    fn at(xenstored: &Xenstored, words: &[&str]) -> Result<Person> {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&terminal)?;
        unlockpt(&terminal)?;
        let path = PathBuf::from(ptsname(&terminal, Vec::new())?.into_string()?);
        let theirs = File::options().read(true).write(true).open(&path)?;
        // It becomes a session's leader, and its input that session's terminal.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(binary()).arg("--xenbus").arg(xenstored.host_socket()).args(words);
        let ours = || -> Result<Stdio> { Ok(OwnedFd::from(theirs.try_clone()?).into()) };
        let child = command.stdin(ours()?).stdout(ours()?).stderr(ours()?).spawn()?;
        let terminal = File::from(terminal);
        let (shown, mut reader) = (Arc::new(Mutex::new(Vec::new())), terminal.try_clone()?);
        let fills = shown.clone();
        let screen = std::thread::spawn(move || {
            let mut room = [0; 512];
            while let Ok(len @ 1..) = reader.read(&mut room) {
                fills.lock().unwrap().extend_from_slice(&room[..len]);
            }
        });
        Ok(Person { terminal, theirs, shown, screen: Some(screen), child })
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.theirs).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Types this once that is shown.
    fn types(&mut self, once: &str, keys: &str) -> Result<()> {
        wait_until(once, || self.shown().ends_with(once));
        Ok(self.terminal.write_all(keys.as_bytes())?)
    }

    /// The exit code, and all that was shown. The terminal is as it was.
    fn end(mut self) -> Result<(i32, String)> {
        let mut ended = None;
        wait_until("nanova-host ends", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        assert!(self.echoes(), "the terminal shows nothing any more");
        // Without another side there is an end of what is shown.
        self.theirs = File::open("/dev/null")?;
        self.screen.take().map(JoinHandle::join);
        Ok((ended.and_then(|status| status.code()).context("no code")?, self.shown()))
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_password_is_asked_for_twice_and_not_shown() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let mut person = Person::at(&scene.xenstored, &["guest", "password"])?;
    person.types(FIRST, "pässword of ours\n")?;
    wait_until("asked again", || person.shown().ends_with(SECOND));
    assert!(!person.echoes());
    person.types(SECOND, "pässword of ours\n")?;
    assert_eq!(person.end()?, (0, format!("{FIRST}\r\n{SECOND}\r\n")));
    let field = scene.root.shadow_of_root()[1].to_string();
    assert_eq!(crypt("pässword of ours", &field)?, field);
    // Another one than before is none.
    let mut person = Person::at(&scene.xenstored, &["guest", "password"])?;
    person.types(FIRST, "one\n")?;
    person.types(SECOND, "two\n")?;
    let (code, shown) = person.end()?;
    assert!(code == 1 && shown.ends_with("the two are not the same; nothing was changed\r\n"), "{code}: {shown}");
    assert_eq!(scene.root.shadow_of_root()[1], field);
    Ok(())
}

#[test]
fn ctrl_c_ends_the_question_at_any_letter_and_the_terminal_shows_again() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    // Ctrl-D in a line gives what was typed to the program, and no line's end.
    for (first, keys) in
        [("", "\x03"), ("", "abc\x03"), ("", "abc\x04\x03"), ("secret\n", "sec\x03"), ("x\n", "\x04\x03")]
    {
        let mut person = Person::at(&scene.xenstored, &["guest", "password"])?;
        if !first.is_empty() {
            person.types(FIRST, first)?;
        }
        person.types(if first.is_empty() { FIRST } else { SECOND }, &keys[..keys.len() - 1])?;
        // What comes before has arrived by then.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let last = &keys[keys.len() - 1..];
        let _ = person.terminal.write_all(last.as_bytes());
        let (code, shown) = person.end()?;
        if keys == "\x04\x03" {
            // An end of what is typed is an end of the line: the two are not the same.
            assert_eq!(code, 1, "{shown}");
        } else {
            assert_eq!(code, 130, "{keys:?}: {shown}");
            assert!(shown.ends_with("\r\nnanova-host: interrupted; what was asked is taken back\r\n"), "{shown}");
        }
        assert!(!shown.contains("sec") && !shown.contains("abc"), "{shown}");
    }
    let home = scene.xenstored.home();
    assert_eq!(scene.xenstored.host().list(&format!("{home}/data/guest")).unwrap_or_default(), [""; 0]);
    Ok(())
}

#[test]
fn ctrl_c_takes_back_what_waits_in_a_guest() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    // It hears, and does not answer.
    let (heard, hears) = mpsc::channel();
    let _agent = StandIn::start(&xenstored, move |name, _| {
        let _ = heard.send(name.to_owned());
        (name == "features").then(|| ("0".into(), "version,features,keyinit,password".into()))
    })?;
    let mut person = Person::at(&xenstored, &["guest", "password"])?;
    person.types(FIRST, "secret\n")?;
    person.types(SECOND, "secret\n")?;
    let requests = format!("{}/data/host", xenstored.home());
    assert_eq!([hears.recv_timeout(PATIENCE)?, hears.recv_timeout(PATIENCE)?], ["features", "keyinit"]);
    person.terminal.write_all(b"\x03")?;
    let (code, shown) = person.end()?;
    assert!(code == 130 && !shown.contains("secret"), "{code}: {shown}");
    assert_eq!(xenstored.host().list(&requests).unwrap_or_default(), [""; 0]);
    Ok(())
}
