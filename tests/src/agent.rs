//! The real binary, as a process of its own.
//!
//! Guarantees: it is the release binary, built once a test process; what it logs is kept and can be waited for; it does
//! not outlive its [`Agent`].

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

/// How long anything that should happen at once may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The size that the project allows the agent's binary, in bytes.
pub const SIZE_MAX: u64 = 384_768;
/// Most resident memory of an agent at any time, in KiB.
pub const MEMORY_MAX: u64 = 476;
/// The same of one that has served nothing yet; 20 of it are the files of the recorder and of notes.
pub const IDLE_MEMORY_MAX: u64 = 344;
/// Most anonymous memory of an idle agent with all parts, in KiB: 84 to 88, as the stack begins somewhere in a page,
/// and a page for what a kernel does otherwise. The flight recorder's variables are one of them.
pub const ANONYMOUS_MAX: u64 = 92;

/// The release binary; built when it is asked for first. `NANOVA_BINARY` names another one, such as that of a release
/// triple.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(binary) = std::env::var_os("NANOVA_BINARY") {
            return binary.into();
        }
        build(&mut cargo(), &target_dir(), &[]).expect("cargo builds the agent")
    })
}

/// cargo, in this workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the workspace")
}

/// Where cargo builds, if nothing else is said.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Builds the agent's release binary below this directory, with options for cargo; returns where it is.
pub fn build(cargo: &mut Command, target: &Path, options: &[&str]) -> Result<PathBuf> {
    cargo.args(["build", "--quiet", "--release", "--package", "nanova", TELL]).args(options);
    executable(cargo.arg("--target-dir").arg(target))
}

/// The option that makes cargo tell what it has built.
pub const TELL: &str = "--message-format=json-render-diagnostics";

/// How long a build may take without a word.
const LONG: Duration = Duration::from_secs(3);

/// Runs this cargo, which builds one program and was given [`TELL`]; returns where the program is.
pub fn executable(cargo: &mut Command) -> Result<PathBuf> {
    let (built, waits) = mpsc::channel::<()>();
    let shown = format!("{cargo:?}");
    let told = std::thread::spawn(move || {
        if waits.recv_timeout(LONG) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("note: still building, which takes a minute or two the first time: {shown}");
        }
    });
    let output = cargo.stderr(Stdio::inherit()).output();
    drop(built);
    let _ = told.join();
    let output = output?;
    ensure!(output.status.success(), "{cargo:?} failed");
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    };
    let output = String::from_utf8_lossy(&output.stdout);
    output.lines().find_map(executable).with_context(|| format!("{cargo:?} does not say what it built"))
}

/// The option that `.ci/run lockdown` has the agents of a whole suite started with: by `NANOVA_LOCKDOWN` in the
/// environment.
pub fn lockdown() -> Option<&'static str> {
    std::env::var_os("NANOVA_LOCKDOWN").map(|_| "--lockdown")
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    log: NamedTempFile,
}

impl Agent {
    /// Starts `nanova agent` with these options; its standard error is the log. Where it might change this machine's
    /// host name it has one of its own.
    pub fn start<S: AsRef<OsStr>>(options: impl IntoIterator<Item = S>) -> Agent {
        let mut command = Command::new(binary());
        if rustix::process::geteuid().is_root() {
            // It becomes the agent: the process is the same one.
            command = Command::new("unshare");
            command.arg("--uts").arg(binary());
        }
        command.arg("agent").args(lockdown()).args(options);
        Agent::spawn(command)
    }

    /// Starts `nanova agent` on a device or socket, below a root.
    pub fn on(xenbus: &Path, root: &Path) -> Agent {
        Agent::start([OsStr::new("--xenbus"), xenbus.as_os_str(), OsStr::new("--root"), root.as_os_str()])
    }

    /// Starts a command that becomes the agent.
    pub fn spawn(mut command: Command) -> Agent {
        let log = NamedTempFile::new().expect("a file for the log");
        let stderr = log.reopen().expect("a file for the log");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
        Agent { child: child.expect("the agent starts"), log }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        let mut text = Vec::new();
        File::open(self.log.path()).and_then(|mut file| file.read_to_end(&mut text)).expect("the log is readable");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Waits until it has logged this. Panics when it does not.
    pub fn wait_for_log(&self, words: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            assert!(Instant::now() < end, "no line with {words:?} in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it serves.
    pub fn wait_until_serving(&self) {
        self.wait_for_log("serving data/host");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a child has an id");
        kill_process(pid, signal).expect("the agent is there");
    }

    /// Waits for its end. Panics when it goes on.
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the agent is ours") {
                return status;
            }
            assert!(Instant::now() < end, "the agent does not end; its log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the agent is ours").is_none()
    }

    /// A number of its /proc/PID/status, such as `VmHWM` (in KiB).
    pub fn status_number(&self, name: &str) -> u64 {
        self.number("status", name)
    }

    /// Its anonymous memory in KiB, by the page tables: what /proc/PID/status says lags behind by up to a batch of
    /// pages.
    pub fn anonymous_kib(&self) -> u64 {
        self.number("smaps_rollup", "Anonymous")
    }

    fn number(&self, file: &str, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/{file}", self.pid())).expect("the agent runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the agent's log\n{}---", self.log());
        }
    }
}
