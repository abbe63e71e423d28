//! A guest: its configuration, its life under xl, its xenstore home, and what an observer inside it sees.
//!
//! Guarantees: a guest is created paused, so a test can write to its xenstore tree before its first instruction; the
//! domain id is asked for again after every change of it; a guest whose kernel panics is destroyed, not started again.
//! Refuses: HVM, which this dom0 has no device model for.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64ct::{Base64, Encoding};

use super::console::{Console, Observation, observation};
use super::dom0::{Dom0, quoted};
use super::lab::Lab;
use super::packages::Flavour;

/// The time a whole boot, a save or a restore may take. That is no measure of anything, only where a test that hangs is
/// given up: emulation on a busy machine takes many times what it takes on an idle one.
pub const SLOW: Duration = Duration::from_secs(600);
/// How long something is waited for on the console before dom0 is asked whether the guest is still there, and the
/// observer is asked again: not at once, as it takes time from the guest.
const GLANCE: Duration = Duration::from_secs(30);
/// How often the observer is asked one thing: other output may tear an answer, and it may take several [`GLANCE`]s.
const TRIES: u32 = 20;
/// Memory of a guest without a disk, in MB: a Debian kernel needs most of it.
pub const MEMORY: u32 = 160;

/// How the hypervisor presents itself to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Paravirtualised.
    Pv,
    /// Hardware page tables, no emulated devices.
    Pvh,
}

impl Kind {
    /// xl's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Pv => "pv",
            Kind::Pvh => "pvh",
        }
    }
}

/// What a guest is made of.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The domain's name.
    pub name: String,
    /// PV or PVH.
    pub kind: Kind,
    /// Which kernel.
    pub flavour: Flavour,
    /// The initramfs, relative to the lab folder.
    pub image: String,
    /// MAC addresses of its network interfaces.
    pub macs: Vec<String>,
    /// More for the kernel's command line.
    pub append: String,
    /// Memory, in MB.
    pub memory: u32,
    /// How many processors it may get; it starts with one.
    pub vcpus: u32,
    /// The device of dom0's that is its disk, /dev/xvda.
    pub disk: Option<&'static str>,
}

impl Spec {
    /// xl's configuration file.
    fn config(&self, lab: &Lab) -> String {
        let vifs: Vec<_> = self.macs.iter().map(|mac| format!("'mac={mac},bridge=xenbr0'")).collect();
        let disk = self.disk.map(|device| format!("'phy:{device},xvda,w'")).unwrap_or_default();
        let (memory, vcpus) = (self.memory, self.vcpus);
        format!(
            "name = '{}'\ntype = '{}'\nkernel = '/lab/{}'\nramdisk = '/lab/{}'\nmemory = {memory}\nmaxmem = {memory}\n\
             vcpus = 1\nmaxvcpus = {vcpus}\nextra = 'console=hvc0 xen_legacy_crash loglevel=7 {}'\non_poweroff = 'destroy'\n\
             on_reboot = 'restart'\non_crash = 'destroy'\ntsc_mode = 'native'\nvif = [ {} ]\ndisk = [ {disk} ]\n",
            self.name,
            self.kind.name(),
            lab.kernel_name(self.flavour),
            self.image,
            self.append,
            vifs.join(", ")
        )
    }
}

/// A guest that exists.
#[derive(Debug)]
pub struct Guest {
    /// What it is made of.
    pub spec: Spec,
    /// What it says.
    pub console: Console,
    domid: u32,
    asked: u32,
}

impl Guest {
    /// Creates it, paused.
    pub fn create(lab: &Lab, dom0: &mut Dom0, spec: Spec) -> Result<Guest> {
        let console = Console::of(dom0.out(), &spec.name);
        let config = quoted(&spec.config(lab));
        let name = quoted(&spec.name);
        dom0.sh_within(&format!("printf %s {config} >/tmp/{name}.cfg && xl create -p /tmp/{name}.cfg"), SLOW)
            .with_context(|| format!("xl cannot create the guest {name}"))?;
        let mut guest = Guest { spec, console, domid: 0, asked: 0 };
        guest.find(dom0)?;
        Ok(guest)
    }

    /// Lets it run.
    pub fn unpause(&self, dom0: &mut Dom0) -> Result<()> {
        dom0.sh(&format!("xl unpause {}", self.domid)).map(drop)
    }

    /// Asks for its present domain id.
    pub fn find(&mut self, dom0: &mut Dom0) -> Result<u32> {
        let answer = dom0.sh(&format!("xl domid {}", quoted(&self.spec.name)))?;
        self.domid = answer.trim().parse().with_context(|| format!("xl domid said {answer:?}"))?;
        Ok(self.domid)
    }

    /// Its domain id.
    pub fn domid(&self) -> u32 {
        self.domid
    }

    /// A path below its home in xenstore.
    pub fn path(&self, key: &str) -> String {
        format!("/local/domain/{}/{key}", self.domid)
    }

    /// Ends it at once, if it still exists.
    pub fn destroy(&self, dom0: &mut Dom0) -> Result<()> {
        dom0.sh(&format!("! xl domid {0} >/dev/null 2>&1 || xl destroy {0}", quoted(&self.spec.name))).map(drop)
    }

    /// Runs a script inside, through the observer; the output, or an error when its status is not 0.
    pub fn sh(&mut self, dom0: &mut Dom0, script: &str) -> Result<String> {
        let seen = self.observe(dom0, script)?;
        let text = String::from_utf8_lossy(&seen.output).into_owned();
        ensure!(seen.status == 0, "in the guest, `{script}` ended with {}: {text}", seen.status);
        Ok(text)
    }

    /// Runs a script inside, through the observer; asks again when the console tore the answer, or the question.
    pub fn observe(&mut self, dom0: &mut Dom0, script: &str) -> Result<Observation> {
        self.asked += 1;
        let number = self.asked;
        // What was asked before that, it answers afterwards. Its word may be torn, too.
        self.console.wait(GLANCE, |text| text.contains("\n@ready").then_some(()));
        for attempt in 0..TRIES {
            let line = format!("{number} {attempt} {}", Base64::encode_string(script.as_bytes()));
            ensure!(line.len() < 4000, "a script for the observer must fit a terminal's line");
            let tty = self.path("console/tty");
            dom0.sh(&format!("echo {} >\"$(xenstore-read {tty})\"", quoted(&line)))?;
            if let Some(Ok(seen)) = self.console.wait(GLANCE, |text| observation(text, number, attempt)) {
                return Ok(seen);
            }
            self.exists(dom0)?;
        }
        bail!("the observer (nanova.exec=) gave no whole answer to {TRIES} questions")
    }

    /// Types a line at its console.
    pub fn type_line(&self, dom0: &mut Dom0, line: &str) -> Result<()> {
        let tty = self.path("console/tty");
        dom0.sh(&format!("printf '%s\\n' {} >\"$(xenstore-read {tty})\"", quoted(line))).map(drop)
    }

    /// Waits until `find` finds something on the console, as long as the guest exists.
    pub fn wait_console<T>(&self, dom0: &mut Dom0, what: &str, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let start = Instant::now();
        while start.elapsed() < SLOW {
            if let Some(found) = self.console.wait(GLANCE, &find) {
                return Ok(found);
            }
            self.exists(dom0).with_context(|| format!("the guest's console showed no {what}"))?;
        }
        bail!("the guest's console showed no {what} within {} s", SLOW.as_secs())
    }

    /// An error when the guest is gone.
    fn exists(&self, dom0: &mut Dom0) -> Result<()> {
        dom0.sh(&format!("xenstore-exists {}", self.path("name"))).context("the guest is gone").map(drop)
    }
}
