//! The real `nanova-host`, and guests to speak with.
//!
//! Guarantees: it is the release binary, built once a test process; it is on the test's xenstored and no other.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::agent::{TELL, cargo, executable, target_dir};
use crate::xenstored::{Client, Xenstored};

/// The release binary, built when it is asked for first.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let mut cargo = cargo();
        cargo.args(["build", "--quiet", "--release", "--package", "nanova-host", TELL]);
        executable(cargo.arg("--target-dir").arg(target_dir())).expect("cargo builds nanova-host")
    })
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The exit code; -1 for a signal.
    pub code: i32,
    /// What it printed.
    pub out: String,
    /// What it said was wrong.
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// `nanova-host` on this socket or device, with the words of this line.
pub fn command(xenbus: &Path, line: &str) -> Command {
    let mut command = Command::new(binary());
    command.arg("--xenbus").arg(xenbus).args(line.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts it with such a line.
pub fn start(xenstored: &Xenstored, line: &str) -> Result<Child> {
    command(&xenstored.host_socket(), line).spawn().context("nanova-host starts")
}

/// Runs it with such a line to its end.
pub fn run(xenstored: &Xenstored, line: &str) -> Result<Ran> {
    Ok(command(&xenstored.host_socket(), line).output()?.into())
}

/// Runs it with this on its standard input.
pub fn run_with(xenstored: &Xenstored, line: &str, input: &[u8]) -> Result<Ran> {
    use std::io::Write;
    let mut child = command(&xenstored.host_socket(), line).stdin(Stdio::piped()).spawn()?;
    child.stdin.take().context("it has an input")?.write_all(input)?;
    Ok(child.wait_with_output()?.into())
}

/// What a stand-in answers: return code and message, by command and argument. None is silence.
pub type Answers = dyn FnMut(&str, &Value) -> Option<(String, String)> + Send;

/// A stand-in for agents of other makes: it serves the requests of any number of guests, as the Unix agents did: the
/// request goes first, then the response comes.
#[derive(Debug)]
pub struct StandIn {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
}

impl StandIn {
    /// Serves every guest of this xenstored with these answers, from now on.
    pub fn start(
        xenstored: &Xenstored,
        answers: impl FnMut(&str, &Value) -> Option<(String, String)> + Send + 'static,
    ) -> Result<StandIn> {
        let mut client = xenstored.host();
        client.watch("/local/domain", "stand-in")?;
        let (stop, heard) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<_>>::default());
        let (stopped, hears) = (stop.clone(), heard.clone());
        let mut answers: Box<Answers> = Box::new(answers);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // An xenstored that ends is the end.
                let Ok(event) = client.wait_event(Duration::from_millis(50)) else { return };
                if event.is_some_and(|event| serve(&mut client, &event.path, &mut answers, &hears).is_err()) {
                    return;
                }
            }
        });
        Ok(StandIn { stop, thread: Some(thread), heard })
    }

    /// The commands until now, with their arguments.
    pub fn heard(&self) -> Vec<(String, Value)> {
        self.heard.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

fn serve(client: &mut Client, path: &str, answers: &mut Answers, heard: &Mutex<Vec<(String, Value)>>) -> Result<()> {
    let Some((home, id)) = path.split_once("/data/host/") else { return Ok(()) };
    let Some(body) = client.get(path)? else { return Ok(()) };
    let request: Value = serde_json::from_str(&body)?;
    let name = request["name"].as_str().unwrap_or_default().to_owned();
    let Some((code, message)) = answers(&name, &request["value"]) else { return Ok(()) };
    heard.lock().expect("nobody panics with it").push((name, request["value"].clone()));
    client.rm(path)?;
    let response = json!({ "returncode": code, "message": message });
    Ok(client.write(&format!("{home}/data/guest/{id}"), response.to_string())?)
}
