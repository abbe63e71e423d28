//! The bare client: what an answer costs at the least. The event names the request; it is read, the response is
//! written, and that is all: blocking reads, no signals, no log, no JSON, and the request is left to the host.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Result, ensure};
use nanova_tests::xenstored::{HEADER, Packet, op};
use rustix::fs::{Mode, OFlags};

const ENVIRONMENT: &str = "NANOVA_BENCH_BARE";
const RESPONSE: &[u8] = br#"{"returncode":"0","message":"1.0.0"}"#;

/// A bare client in a process of its own, which goes when this is dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Serves on a socket or on a device.
    pub(crate) fn start(xenbus: &Path) -> Result<Process> {
        let mut command = Command::new(std::env::current_exe()?);
        Ok(Process(command.env(ENVIRONMENT, xenbus).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether this process is to be the bare client; then it was, when this returns.
pub(crate) fn was_asked_for() -> Result<bool> {
    std::env::var_os(ENVIRONMENT).map(|xenbus| serve(Path::new(&xenbus))).transpose().map(|served| served.is_some())
}

fn serve(xenbus: &Path) -> Result<()> {
    let mut bare = Bare { file: open(xenbus)?.into(), bytes: [0; 8192], filled: 0, events: Vec::new() };
    bare.call(op::WATCH, b"data/host\0bare\0")?;
    let mut last = Vec::new();
    loop {
        let path = bare.event()?;
        // The first event of a watch names no request, and the last one's removal is none.
        let Some(name) = path.strip_prefix(b"data/host/").filter(|_| path != last) else { continue };
        if bare.call(op::READ, &[&path, &b"\0"[..]].concat())? == op::READ {
            bare.call(op::WRITE, &[b"data/guest/", name, b"\0", RESPONSE].concat())?;
        }
        last = path;
    }
}

fn open(xenbus: &Path) -> Result<OwnedFd> {
    if std::fs::metadata(xenbus)?.file_type().is_socket() {
        return Ok(UnixStream::connect(xenbus)?.into());
    }
    Ok(rustix::fs::open(xenbus, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?)
}

struct Bare {
    file: File,
    bytes: [u8; 8192],
    filled: usize,
    /// The paths of events that came before a reply.
    events: Vec<Vec<u8>>,
}

impl Bare {
    /// One request; the type of its reply.
    fn call(&mut self, kind: u32, payload: &[u8]) -> Result<u32> {
        let packet = Packet { kind, req_id: 1, tx_id: 0, payload: payload.to_vec() };
        self.file.write_all(&packet.to_bytes())?;
        loop {
            let (kind, path) = self.packet()?;
            if kind != op::WATCH_EVENT {
                return Ok(kind);
            }
            self.events.push(path);
        }
    }

    /// The path of the next event.
    fn event(&mut self) -> Result<Vec<u8>> {
        if !self.events.is_empty() {
            return Ok(self.events.remove(0));
        }
        loop {
            let (kind, path) = self.packet()?;
            if kind == op::WATCH_EVENT {
                return Ok(path);
            }
        }
    }

    /// The next packet's type, and what its payload has before the first zero byte.
    fn packet(&mut self) -> Result<(u32, Vec<u8>)> {
        loop {
            let word = |at: usize| u32::from_ne_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"));
            let (kind, end) = (word(0), HEADER + word(12) as usize);
            if self.filled >= HEADER && self.filled >= end {
                let path = self.bytes[HEADER..end].split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
                self.bytes.copy_within(end..self.filled, 0);
                self.filled -= end;
                return Ok((kind, path));
            }
            let n = self.file.read(&mut self.bytes[self.filled..])?;
            ensure!(n > 0, "the daemon is gone");
            self.filled += n;
        }
    }
}
