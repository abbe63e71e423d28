//! What a case works with: one machine, its guest, and the time marks of the guest's boot.
//!
//! Guarantees: the guest is started when the first case needs it, with a request in its mailbox from before its first
//! instruction. It stands from case to case as long as they pass and it answers after each; after a failure there is
//! another guest, and another machine where dom0 does not obey any more. Refuses to start a third guest when two in a
//! row did not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::cases::network;
use super::console::stamps;
use super::dom0::{Dom0, Xenstored};
use super::guest::{Guest, Kind, MEMORY, Spec};
use super::images::{Images, OBSERVE};
use super::lab::Lab;
use super::machine::Size;
use super::mailbox;
use super::packages::{Flavour, Xen};
use super::report::Boot;
use crate::nova::Answer;

/// The MAC address of the standing guest's interface.
pub const MAC: &str = "00:16:3e:00:00:01";

/// The messages PID 1 marks a boot with.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    /// xenbus is open.
    pub xenbus: &'static str,
    /// A request is taken up. The second of these means that the first answer is written: what PID 1 says about an
    /// answer itself need not be true.
    pub request: &'static str,
}

/// nanova's.
pub const NANOVA: Marks = Marks { xenbus: "serving data/host", request: "Received command" };
/// The floor's.
pub const FLOOR: Marks = Marks { xenbus: "floor: xenbus", request: "floor: received" };

/// A boot in the guest's own time, counted from the kernel's start.
#[derive(Clone, Copy, Debug)]
pub struct Milestones {
    /// The kernel starts PID 1.
    pub init: Duration,
    /// xenbus is open.
    pub xenbus: Duration,
    /// The first answer is written.
    pub answer: Duration,
}

impl Milestones {
    /// PID 1's start to its first answer.
    pub fn to_answer(&self) -> Duration {
        self.answer.saturating_sub(self.init)
    }

    /// For the report's page.
    pub fn of(&self, guest: &str) -> Boot {
        Boot { guest: guest.into(), milestones: [self.init, self.xenbus, self.answer] }
    }

    /// For the report.
    pub fn describe(&self) -> String {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        format!(
            "kernel start -> PID 1 {:.0} ms -> xenbus +{:.1} ms -> first answer +{:.1} ms",
            ms(self.init),
            ms(self.xenbus.saturating_sub(self.init)),
            ms(self.to_answer())
        )
    }
}

/// What the machine of a group is.
#[derive(Clone, Copy, Debug)]
pub struct Machinery {
    /// Its hypervisor, with the kernels of the same Debian.
    pub xen: Xen,
    /// The guests' type.
    pub kind: Kind,
    /// The guests' kernel.
    pub flavour: Flavour,
    /// dom0's daemon.
    pub xenstored: Xenstored,
    /// What there is for guests.
    pub size: Size,
}

/// How many guests in a row may fail to start, and machines to boot, before no other is tried: each takes minutes.
const STARTS: u32 = 2;

/// One machine in use.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The guests' images.
    pub images: &'a Images,
    /// What the machine is.
    pub machinery: Machinery,
    /// Its control domain.
    pub dom0: Dom0,
    /// What the reader of the report must know.
    pub notes: Vec<String>,
    /// The boots that were timed.
    pub boots: Vec<Boot>,
    out: PathBuf,
    guest: Option<Guest>,
    milestones: Option<Milestones>,
    /// A case failed: what it left behind nobody knows.
    doubtful: bool,
    /// How many guests this bench has made, for their names.
    guests: usize,
    /// How many machines.
    machines: usize,
    /// How many guests failed to start since the last that did, and how many machines.
    failures: (u32, u32),
}

impl<'a> Bench<'a> {
    /// Boots a machine; its logs go to `out`.
    pub fn boot(lab: &'a Lab, images: &'a Images, machinery: Machinery, out: PathBuf) -> Result<Bench<'a>> {
        Ok(Bench {
            lab,
            images,
            machinery,
            dom0: boot(lab, &out, machinery)?,
            notes: Vec::new(),
            boots: Vec::new(),
            out,
            guest: None,
            milestones: None,
            doubtful: false,
            guests: 0,
            machines: 1,
            failures: (0, 0),
        })
    }

    /// Makes sure that a case finds what it would find if the ones before it had passed: after a failure all guests are
    /// ended, or the machine where that cannot be done.
    pub fn settle(&mut self) -> Result<()> {
        if !self.doubtful {
            return Ok(());
        }
        self.guest = None;
        // A guest that did not start need not be the one to blame.
        if (1..STARTS).contains(&self.failures.0) {
            self.replace_machine("a guest did not start")?;
        } else if let Err(error) = self.dom0.sweep() {
            self.replace_machine(&format!("{error:#}"))?;
        }
        self.doubtful = false;
        Ok(())
    }

    fn replace_machine(&mut self, reason: &str) -> Result<()> {
        ensure!(self.failures.1 < STARTS, "no machine: {STARTS} in a row did not boot");
        self.notes.push(format!("there was another machine, as {reason}"));
        // Both at once may not fit into memory.
        self.dom0.end();
        self.machines += 1;
        let out = self.out.join(format!("machine-{}", self.machines));
        self.failures.1 += 1;
        self.dom0 = boot(self.lab, &out, self.machinery).context("another machine does not boot")?;
        self.failures.1 = 0;
        Ok(())
    }

    /// Checks what a case that passed has left: a standing guest still answers.
    pub fn check(&mut self) -> Result<()> {
        let Some(guest) = &self.guest else { return Ok(()) };
        mailbox::alive(&mut self.dom0, guest).context("a request after all else")
    }

    /// A case failed: nothing that it left is used again.
    pub fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// The standing guest, started if need be, and dom0.
    pub fn guest(&mut self) -> Result<(&mut Dom0, &mut Guest)> {
        if self.guest.is_none() {
            ensure!(self.failures.0 < STARTS, "no guest: {STARTS} in a row did not start");
            self.failures.0 += 1;
            self.start()?;
            self.failures.0 = 0;
        }
        let guest = self.guest.as_mut().context("a bug of the test: no guest after its start")?;
        Ok((&mut self.dom0, guest))
    }

    /// The time marks of the standing guest's first boot.
    pub fn milestones(&mut self) -> Result<Milestones> {
        self.guest()?;
        self.milestones.context("a bug of the test: no milestones after a start")
    }

    /// Asks the standing guest's agent.
    pub fn ask(&mut self, name: &str, value: serde_json::Value) -> Result<Answer> {
        let (dom0, guest) = self.guest()?;
        mailbox::ask(dom0, guest, name, value)
    }

    /// Runs a script inside the standing guest, past the agent.
    pub fn in_guest(&mut self, script: &str) -> Result<String> {
        let (dom0, guest) = self.guest()?;
        guest.sh(dom0, script)
    }

    /// Creates another guest in the standing one's place, paused: with this command line, and the same network.
    pub fn replace_guest(&mut self, name: &str, append: &str) -> Result<(&mut Dom0, &mut Guest)> {
        self.create(name, append)
    }

    /// Ends the standing guest: the next case gets a new one.
    pub fn discard_guest(&mut self) -> Result<()> {
        self.guest.take().map_or(Ok(()), |guest| guest.destroy(&mut self.dom0))
    }

    /// Marks the standing guest as gone: the next case gets a new one.
    pub fn forget_guest(&mut self) {
        self.guest = None;
    }

    /// The last lines of the standing guest's console.
    pub fn console_tail(&self, lines: usize) -> Option<String> {
        self.guest.as_ref().map(|guest| guest.console.tail(lines))
    }

    fn start(&mut self) -> Result<()> {
        let (dom0, guest) = self.create("standing", OBSERVE)?;
        let (answer, milestones) = first_answer(dom0, guest, NANOVA)?;
        answer.ok()?;
        self.milestones = Some(milestones);
        self.boots.push(milestones.of("standing"));
        Ok(())
    }

    fn create(&mut self, name: &str, append: &str) -> Result<(&mut Dom0, &mut Guest)> {
        let spec = self.spec(name, append);
        let (dom0, guest) = self.place(spec)?;
        network::give(dom0, guest)?;
        Ok((dom0, guest))
    }

    /// What the standing guest is made of, for one with another name and command line.
    pub fn spec(&self, name: &str, append: &str) -> Spec {
        Spec {
            name: name.into(),
            kind: self.machinery.kind,
            flavour: self.machinery.flavour,
            image: Images::full(self.machinery.flavour),
            macs: vec![MAC.into()],
            append: append.into(),
            memory: MEMORY,
            vcpus: 1,
            disk: None,
        }
    }

    /// Creates a guest in the standing one's place, paused, and gives it nothing.
    pub fn place(&mut self, mut spec: Spec) -> Result<(&mut Dom0, &mut Guest)> {
        self.discard_guest()?;
        // A name of its own, and with it a console that nobody else has written to.
        self.guests += 1;
        spec.name = format!("{}-{}", spec.name, self.guests);
        let guest = Guest::create(self.lab, &mut self.dom0, spec)?;
        Ok((&mut self.dom0, self.guest.insert(guest)))
    }
}

/// Boots a machine whose logs go to a new folder.
fn boot(lab: &Lab, out: &Path, machinery: Machinery) -> Result<Dom0> {
    fs::create_dir_all(out.join("console"))?;
    Dom0::boot(lab, out, machinery.xenstored, machinery.size)
}

/// Unpauses a new guest with two version requests in its mailbox; an answer, and when the first was there.
pub fn first_answer(dom0: &mut Dom0, guest: &Guest, marks: Marks) -> Result<(Answer, Milestones)> {
    let early = [0; 2].map(|_| mailbox::send(dom0, guest, &mailbox::version_request()));
    guest.unpause(dom0)?;
    // Until the times are taken dom0 does nothing: it would take the guest's processor.
    let started = |text: &str| stamps(text, marks.request, 2).is_some() || text.contains("Kernel panic");
    let what = format!("second line with {:?}", marks.request);
    guest.wait_console(dom0, &what, |text| started(text).then_some(()))?;
    let answers = early.map(|id| mailbox::receive(dom0, guest, &id?));
    let [first, second] = answers.map(|answer| answer.context("the requests from before the guest's start"));
    let (answer, _) = (first?, second?);
    let text = guest.console.text();
    let stamp = |part: &str, count| {
        stamps(&text, part, count).with_context(|| format!("the guest's console has no stamped line with {part:?}"))
    };
    let ((init, xenbus), (_, answered)) = (stamp(marks.xenbus, 1)?, stamp(marks.request, 2)?);
    let milestones = Milestones { init, xenbus, answer: answered };
    ensure!(milestones.init <= milestones.answer, "the guest's time marks are out of order: {milestones:?}");
    Ok((answer, milestones))
}
