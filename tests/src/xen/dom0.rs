//! dom0 as the test sees it: a shell, xenstore and xl, each call checked.
//!
//! Guarantees: every script that ran is in `dom0-commands.log` with its time, status and output; values reach
//! xenstore-write byte for byte (anything but NUL). Refuses nothing by itself: errors carry what dom0 said.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::channel::{Channel, Reply};
use super::lab::Lab;
use super::machine::{Machine, Size};
use super::tools;

/// How long Xen and dom0 may take to come up.
const BOOT: Duration = Duration::from_secs(600);
/// Where an ordinary script is given up. That is for what hangs; on a busy machine a second's work takes a minute.
const SHORT: Duration = Duration::from_secs(300);
/// What the kernel prints when a process dies: in dom0, a sign of faulty emulation.
const CRASHES: &[&str] = &["segfault at", "general protection", "traps: "];
/// First goes what would start a guest again that goes away. A domain that was destroyed is there until its memory is
/// free.
const SWEEP: &str = "for pid in $(pidof xl); do kill -KILL $pid; done
    domains() { xl list | sed 1,2d | awk '{ print $2 }'; }
    for domain in $(domains); do xl destroy $domain; done
    until xl list >/dev/null && [ -z \"$(domains)\" ]; do sleep 0.5; done
    rm -f /tmp/saved";
/// dom0's address on the guests' bridge.
pub const ADDRESS: &str = "10.99.0.1";

/// Which of Xen's two daemons holds xenstore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xenstored {
    /// The OCaml one, Debian 12's default.
    Ocaml,
    /// The C one, Debian 13's.
    C,
}

impl Xenstored {
    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Xenstored::Ocaml => "oxenstored",
            Xenstored::C => "xenstored",
        }
    }
}

impl Xenstored {
    /// Has room for hundreds of answers in one directory: the C one counts the names of all for one node's size.
    pub fn keeps_all(self) -> bool {
        self == Xenstored::Ocaml
    }
}

/// The control domain of one emulated machine.
#[derive(Debug)]
pub struct Dom0 {
    machine: Machine,
    channel: Channel,
    out: PathBuf,
    log: File,
}

impl Dom0 {
    /// Boots a machine and starts the toolstack's daemons in it.
    pub fn boot(lab: &Lab, out: &Path, xenstored: Xenstored, size: Size) -> Result<Dom0> {
        let (machine, stream) = Machine::boot(lab, out, size)?;
        let said = || fs::read(out.join("dom0.log")).map(|log| String::from_utf8_lossy(&log).into_owned());
        let channel = Channel::open(stream, BOOT).with_context(|| {
            format!("Xen or dom0 failed to boot; it last said:\n{}", tools::last_lines(&said().unwrap_or_default(), 15))
        })?;
        let log = File::create(out.join("dom0-commands.log"))?;
        let mut dom0 = Dom0 { machine, channel, out: out.to_owned(), log };
        dom0.start_toolstack(xenstored)?;
        Ok(dom0)
    }

    /// Runs a script; what it printed, or an error when its status is not 0.
    pub fn sh(&mut self, script: &str) -> Result<String> {
        self.sh_within(script, SHORT)
    }

    /// The same with another time limit.
    pub fn sh_within(&mut self, script: &str, limit: Duration) -> Result<String> {
        let reply = self.try_sh(script, limit)?;
        if reply.status != 0 {
            let said = String::from_utf8_lossy(&reply.stderr).into_owned();
            bail!("in dom0, `{}` ended with {}: {}", abbreviated(script), reply.status, tools::last_lines(&said, 5));
        }
        Ok(String::from_utf8_lossy(&reply.stdout).into_owned())
    }

    /// Runs a script and gives everything about its end.
    pub fn try_sh(&mut self, script: &str, limit: Duration) -> Result<Reply> {
        let reply = self.channel.run(script, limit);
        match &reply {
            Ok(reply) => {
                let (out, err) = (String::from_utf8_lossy(&reply.stdout), String::from_utf8_lossy(&reply.stderr));
                let at = reply.uptime.as_secs_f64();
                writeln!(self.log, "--- {at:.2} status {}\n{script}\n> {out}{err}", reply.status)?;
            }
            Err(error) => writeln!(self.log, "--- {error:#}\n{script}")?,
        }
        reply
    }

    /// Writes one key.
    pub fn xenstore_write(&mut self, path: &str, value: &str) -> Result<()> {
        self.sh(&format!("xenstore-write {} {}", quoted(path), quoted(value))).map(drop)
    }

    /// Ends what a case that failed may have left: scripts of xl's, and every guest. An error when one stays.
    pub fn sweep(&mut self) -> Result<()> {
        self.sh(SWEEP).context("guests of an earlier case cannot be removed").map(drop)
    }

    /// Switches the machine off; every later call fails.
    pub fn end(&mut self) {
        self.machine.end();
    }

    /// The folder dom0 sees as /out.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// Saves Xen's, dom0's and libxl's logs in the output folder; what dom0's kernel says of crashed processes.
    pub fn save_logs(&mut self) -> Result<Vec<String>> {
        self.sh("dmesg >/out/dom0-dmesg.txt; xl dmesg >/out/xen-dmesg.txt; cp /var/log/xen/*.log /out/; true")?;
        let said = fs::read(self.out.join("dom0-dmesg.txt"))?;
        let said = String::from_utf8_lossy(&said);
        let crash = |line: &&str| CRASHES.iter().any(|sign| line.contains(sign));
        Ok(said.lines().filter(crash).map(str::to_owned).collect())
    }

    fn start_toolstack(&mut self, xenstored: Xenstored) -> Result<()> {
        let daemon = xenstored.name();
        self.sh(&format!(
            "grep -q control_d /proc/xen/capabilities || {{ echo not a control domain >&2; exit 1; }}
             XENSTORED_ROOTDIR=/run/xenstored {daemon} --pid-file /run/xenstored.pid || exit
             until xenstore-read -s / >/dev/null 2>&1; do sleep 0.2; done
             xen-init-dom0 || exit
             mkdir -p /out/console
             xenconsoled --pid-file /run/xenconsoled.pid --log=guest --log-dir=/out/console || exit
             ip link set lo up && brctl addbr xenbr0 && ip addr add {ADDRESS}/24 dev xenbr0 &&
             ip addr add fd99::1/64 dev xenbr0 && ip link set xenbr0 up"
        ))
        .with_context(|| format!("dom0's toolstack ({daemon}) did not start"))?;
        Ok(())
    }
}

/// A word for the shell, whatever is in it.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn abbreviated(script: &str) -> String {
    let line = script.lines().next().unwrap_or_default();
    let more = line.chars().count() > 120 || script.lines().count() > 1;
    line.chars().take(120).chain(more.then_some('…')).collect()
}
