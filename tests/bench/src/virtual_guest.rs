//! A guest in virtual time: nanova's real engine over the strict model of Linux's device, on an embedded xenstored in
//! memory, with faults at whichever step of the transport a test wants. No thread, no sleep, no clock.
//!
//! A step is half of a request on the wire: before the packet is written, or after it was and before the reply is read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt;
use std::rc::Rc;

use nanova_core::engine::{Action, Engine, Options, State};
use nanova_core::network::Target;
use nanova_core::platform::{
    Addresses, Argv, Clock, Distrust, Download, Durability, Ended, Entropy, Errand, ErrandNews, Errands, FileError,
    FileKind, Files, Found, GuestPath, Identity, KernelNet, Level, LinkTarget, Log, Notes, Programs, Recorded,
};
use nanova_core::wire::errno::Errno;
use nanova_core::wire::net::Ip;
use nanova_core::wire::netlink::{Message, Reply};
use nanova_core::wire::text::Bounded;
use nanova_core::xenstore::{Client, Error, Lost, Refusal, Transport};

use crate::xenstored::{Device, Kernel, Local, Xenstored};

/// The name of the one command that the guest's site has.
pub const PROBE: &str = "probe";

/// A guest without files, without a network, and with one command of its own, `probe`, which counts how often it was
/// run with what.
#[derive(Debug, Default)]
pub struct BareGuest {
    /// How often `probe` was run, by its value.
    pub runs: BTreeMap<String, u32>,
    /// How often the kernel was asked for links or addresses.
    pub asked: u32,
    /// A program that was begun, and whose end was not asked for.
    program: Option<()>,
    /// What is noted outlives the agent, unless it `forgets`.
    notes: BTreeMap<usize, u64>,
    /// There is no place for notes.
    pub forgets: bool,
    /// What the generator of randomness gives; there is none without.
    random: Option<[u8; 16]>,
}

impl BareGuest {
    /// One whose generator of randomness gives this, over and over.
    pub fn with_random(random: [u8; 16]) -> BareGuest {
        BareGuest { random: Some(random), ..BareGuest::default() }
    }
}

impl Programs for BareGuest {
    fn are_locked(&mut self) -> bool {
        false
    }
    fn start(&mut self, _programs: &[Argv<'_>]) {}
    fn end_process(&mut self, _process: u32) {}
    fn is_program(&mut self, path: GuestPath<'_>) -> Result<(), Errno> {
        if path.split().1 == PROBE { Ok(()) } else { Err(Errno::NOENT) }
    }
}

impl Notes for BareGuest {
    fn word(&mut self, at: usize) -> u64 {
        self.notes.get(&at).copied().unwrap_or_default()
    }
    fn set_word(&mut self, at: usize, value: u64) {
        self.notes.insert(at, value);
    }
    fn outlives(&self) -> bool {
        !self.forgets
    }
}

/// A program ends as soon as it is begun.
impl Errands for BareGuest {
    fn begin(
        &mut self,
        _errand: Errand,
        _seconds: u32,
        _work: &mut dyn FnMut(&mut Self, Found<'_>) -> bool,
    ) -> Result<(), Errno> {
        Err(Errno::AGAIN)
    }
    fn begin_program(
        &mut self,
        _path: GuestPath<'_>,
        _argument: Option<&'static CStr>,
        input: &[u8],
        _seconds: u32,
    ) -> Result<(), Errno> {
        *self.runs.entry(String::from_utf8_lossy(input).into_owned()).or_default() += 1;
        self.program = Some(());
        Ok(())
    }
    fn ended(&mut self, errand: Errand) -> Option<Ended> {
        if errand == Errand::Program { self.program.take().map(|()| Ended::Exit(0)) } else { None }
    }
    fn found(&mut self, _errand: Errand) -> Result<(), Errno> {
        Err(Errno::NOENT)
    }
    fn printed(&mut self) -> &[u8] {
        &[]
    }
    fn give_up(&mut self, _errand: Errand) {
        self.program = None;
    }
}

impl Download for BareGuest {
    type Connection = ();
    fn connect(&mut self, _ip: Ip, _port: u16, _seconds: u32) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn resolve(&mut self, _name: &str, _deadline: u64) -> Result<Addresses, FileError<'static>> {
        Ok(Addresses::new())
    }
    fn send(&mut self, _connection: &mut (), _bytes: &[u8]) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn receive(&mut self, _connection: &mut (), _space: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::IO)
    }
    fn own_path(&mut self) -> Result<Bounded<256>, Errno> {
        Err(Errno::IO)
    }
}

impl Clock for BareGuest {
    fn unix_time(&mut self) -> u64 {
        0
    }
    fn uptime_ms(&mut self) -> u64 {
        0
    }
    fn running_ms(&mut self) -> u64 {
        0
    }
}

impl Identity for BareGuest {
    fn host_name(&mut self) -> Bounded<64> {
        Bounded::new()
    }
    fn set_host_name(&mut self, _name: &str) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn kernel_release(&mut self) -> Bounded<64> {
        Bounded::new()
    }
}

impl Entropy for BareGuest {
    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        let random = self.random.as_ref().ok_or(Errno::IO)?;
        bytes.copy_from_slice(random.get(..bytes.len()).ok_or(Errno::IO)?);
        Ok(())
    }
}

impl Log for BareGuest {
    fn log(&mut self, _level: Level, _text: fmt::Arguments<'_>) {}
}

impl Recorded for BareGuest {
    fn copy_recorded(&mut self, _at: usize, _room: &mut [u8]) -> bool {
        false
    }
}

impl KernelNet for BareGuest {
    fn ask(&mut self, _message: &Message, _each: &mut dyn FnMut(&Reply)) -> Result<(), Errno> {
        self.asked += 1;
        Ok(())
    }
}

impl Files for BareGuest {
    type File = ();
    type Staged = ();
    type Lock = ();
    fn kind(&mut self, _path: GuestPath<'_>) -> Result<Option<FileKind>, Errno> {
        Ok(None)
    }
    fn exists(&mut self, _path: GuestPath<'_>) -> Result<bool, Errno> {
        Ok(false)
    }
    fn link_target(&mut self, _path: GuestPath<'_>) -> Result<LinkTarget, Errno> {
        Err(Errno::NOENT)
    }
    fn read_link(&mut self, _path: GuestPath<'_>, _room: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::NOENT)
    }
    fn link_not_followed(&mut self, _path: GuestPath<'_>) -> Option<(usize, Distrust)> {
        None
    }
    fn open(&mut self, _path: GuestPath<'_>) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn open_linked(&mut self, _path: GuestPath<'_>) -> Result<(), Errno> {
        Err(Errno::NOENT)
    }
    fn read_anew(&mut self, _path: GuestPath<'_>, _room: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::NOENT)
    }
    fn replace_with(&mut self, _path: GuestPath<'_>, _name: &str) -> Result<Durability, Errno> {
        Err(Errno::IO)
    }
    fn read(&mut self, _file: &mut (), _space: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::IO)
    }
    fn make_directory(&mut self, _path: GuestPath<'_>) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn link(&mut self, _path: GuestPath<'_>, _name: &str) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn rename(&mut self, _path: GuestPath<'_>, _name: &str) -> Result<Durability, Errno> {
        Err(Errno::IO)
    }
    fn names(&mut self, _path: GuestPath<'_>, _each: &mut dyn FnMut(&str)) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn stage(&mut self, _path: GuestPath<'_>, _number: u8) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn stage_unnamed(&mut self, _path: GuestPath<'_>) -> Result<(), Errno> {
        Err(Errno::IO)
    }

    fn append_kept(&mut self, _bytes: &[u8]) -> Result<(), Errno> {
        Err(Errno::IO)
    }

    fn kept(&mut self) -> Option<()> {
        None
    }

    fn append(&mut self, _staged: &mut (), _bytes: &[u8]) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn take_over(&mut self, _staged: &mut (), _from: &()) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn set_mode(&mut self, _staged: &mut (), _mode: u32) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn publish(&mut self, _staged: &mut (), _path: GuestPath<'_>) -> Result<Durability, Errno> {
        Err(Errno::IO)
    }
    fn keep_copy(&mut self, _staged: &mut (), _path: GuestPath<'_>) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn overwrite(&mut self, _path: GuestPath<'_>) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn half_written(&mut self) -> Result<Option<LinkTarget>, Errno> {
        Ok(None)
    }
    fn remove(&mut self, _path: GuestPath<'_>, _name: &str) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn seal(&mut self, _staged: &mut Self::Staged) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn replace_link(&mut self, _path: GuestPath<'_>, _name: &str) -> Result<(), Errno> {
        Err(Errno::IO)
    }
    fn discard(&mut self, _staged: &mut ()) {}
    fn tidy(&mut self, _path: GuestPath<'_>, _number: u8) -> bool {
        false
    }
    fn space(&mut self, _path: &str) -> Option<(u64, u64)> {
        None
    }
    fn lock(&mut self, _path: GuestPath<'_>) -> Result<(), Errno> {
        Err(Errno::IO)
    }
}

/// What a test has happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The host puts a request of this name and value into the mailbox.
    Request(String, String),
    /// The guest is suspended and resumed.
    Suspend,
    /// The guest migrates: it is another domain then.
    Migrate(u32),
    /// The connection breaks.
    Lose,
    /// The agent is killed; another one is started.
    Kill,
}

/// What the transport and the test share.
#[derive(Debug)]
struct Wire {
    device: Option<Device>,
    host: Local,
    home: String,
    /// The steps so far.
    steps: usize,
    /// What happens at which step, the later ones first.
    plan: Vec<(usize, Event)>,
    lost: bool,
    killed: bool,
}

impl Wire {
    /// One step: whatever is planned for it happens.
    fn step(&mut self, xenstored: &Xenstored) -> Result<(), Error> {
        self.steps += 1;
        while let Some((_, event)) = self.plan.pop_if(|(at, _)| *at < self.steps) {
            self.happens(event, xenstored);
        }
        if self.lost || self.killed { Err(Error::Lost(Lost::Closed)) } else { Ok(()) }
    }

    fn happens(&mut self, event: Event, xenstored: &Xenstored) {
        match event {
            Event::Request(id, body) => {
                let path = format!("{}/data/host/{id}", self.home);
                self.host.write(&path, body).expect("dom0 may write everything");
            }
            Event::Suspend => self.device.iter_mut().for_each(Device::resume),
            Event::Migrate(domid) => {
                xenstored.migrate(domid);
                self.home = xenstored.home();
                self.device.iter_mut().for_each(Device::resume);
                self.host.watch(&format!("{}/data/guest", self.home), "answers").expect("dom0 may watch everything");
            }
            Event::Lose => self.lost = self.device.is_some(),
            Event::Kill => self.killed = true,
        }
    }
}

/// The device as nanova's agent uses it.
#[derive(Debug)]
pub struct Xenbus(Rc<RefCell<Wire>>, Rc<Xenstored>);

impl Transport for Xenbus {
    fn send(&mut self, packet: &[u8]) -> Result<(), Error> {
        let mut wire = self.0.borrow_mut();
        wire.step(&self.1)?;
        let written = wire.device.as_mut().ok_or(Error::Lost(Lost::Closed))?.write(packet);
        wire.step(&self.1)?;
        match written {
            Ok(n) if n == packet.len() => Ok(()),
            Ok(_) => Err(Error::Lost(Lost::Closed)),
            Err(errno) => Err(Error::Refused(Refusal::named(errno.name()))),
        }
    }

    fn receive(&mut self, space: &mut [u8]) -> Result<usize, Error> {
        let mut wire = self.0.borrow_mut();
        let device = wire.device.as_mut().ok_or(Error::Lost(Lost::Closed))?;
        device.read(space, true).map_err(|_| Error::Lost(Lost::Closed))
    }
}

/// What the engine said that is not about xenstore, and when.
pub type Said = (u64, String);

/// The guest, its agent and its host.
pub struct VirtualGuest {
    /// The store.
    pub xenstored: Rc<Xenstored>,
    /// The guest's files and programs, which outlive an agent.
    pub platform: BareGuest,
    /// The time, in milliseconds.
    pub now: u64,
    /// What the service manager was told, and whatever else the engine wanted done.
    pub said: Vec<Said>,
    /// How many milliseconds one piece of work takes.
    pub work_ms: u64,
    /// How often the agent connected.
    pub connections: Vec<u64>,
    wire: Rc<RefCell<Wire>>,
    options: Options,
    kernel: Kernel,
    engine: Engine,
    client: Option<Client<Xenbus>>,
    /// Connections that break at once, as those to a xenstored that ends.
    refusals: u32,
    /// How often the answer to each request was written or removed.
    changes: BTreeMap<String, u32>,
}

impl fmt::Debug for VirtualGuest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualGuest").field("now", &self.now).field("said", &self.said).finish_non_exhaustive()
    }
}

/// An agent that serves commands and publishes nothing.
pub const SERVES: Options = Options {
    commands: true,
    report: false,
    once: false,
    network: Target::Off,
    report_interval: 0,
    beat_ms: 0,
    patience_ms: 0,
};

impl VirtualGuest {
    /// A guest on this store.
    pub fn new(xenstored: Xenstored, kernel: Kernel, options: Options) -> VirtualGuest {
        let mut host = xenstored.local().expect("there is a descriptor for its bell");
        let home = xenstored.home();
        host.watch(&format!("{home}/data/guest"), "answers").expect("dom0 may watch everything");
        host.take_events();
        let wire = Wire { device: None, host, home, steps: 0, plan: Vec::new(), lost: false, killed: false };
        VirtualGuest {
            xenstored: Rc::new(xenstored),
            platform: BareGuest::default(),
            now: 1_000_000,
            said: Vec::new(),
            work_ms: 0,
            connections: Vec::new(),
            wire: Rc::new(RefCell::new(wire)),
            options,
            kernel,
            engine: Engine::new(options, 1_000_000),
            client: None,
            refusals: 0,
            changes: BTreeMap::new(),
        }
    }

    /// Has this happen before the step of this number, counted from 0.
    pub fn plan(&mut self, step: usize, event: Event) {
        let mut wire = self.wire.borrow_mut();
        wire.plan.push((step, event));
        wire.plan.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
    }

    /// Has this happen now.
    pub fn happens(&mut self, event: Event) {
        let xenstored = self.xenstored.clone();
        self.wire.borrow_mut().happens(event, &xenstored);
    }

    /// The host takes a request back.
    pub fn take_back(&mut self, id: &str) {
        let mut wire = self.wire.borrow_mut();
        let path = format!("{}/data/host/{id}", wire.home);
        wire.host.rm(&path).expect("dom0 may remove everything");
    }

    /// Links or addresses change.
    pub fn links_change(&mut self) {
        self.engine.handle_links_changed();
    }

    /// Has the next connections break at once.
    pub fn refuse_connections(&mut self, count: u32) {
        self.refusals = count;
    }

    /// The steps so far.
    pub fn steps(&self) -> usize {
        self.wire.borrow().steps
    }

    /// A request for `probe` with its own id as the value.
    pub fn probe(id: &str) -> Event {
        Event::Request(id.to_owned(), format!(r#"{{"name":"{PROBE}","value":"{id}"}}"#))
    }

    /// What the guest says of itself.
    pub fn state(&self) -> &State {
        self.engine.state()
    }

    /// The client did nothing that Linux's device does not want.
    pub fn violations(&self) -> Vec<String> {
        self.wire.borrow().device.as_ref().map(Device::violations).unwrap_or_default()
    }

    /// The names of the answers that are there.
    pub fn answers(&mut self) -> Vec<String> {
        let mut wire = self.wire.borrow_mut();
        let path = format!("{}/data/guest", wire.home);
        wire.host.list(&path).unwrap_or_default()
    }

    /// The names of the requests that are there.
    pub fn requests(&mut self) -> Vec<String> {
        let mut wire = self.wire.borrow_mut();
        let path = format!("{}/data/host", wire.home);
        wire.host.list(&path).unwrap_or_default()
    }

    /// A node of the guest's, as the host reads it.
    pub fn read(&mut self, path: &str) -> Option<String> {
        let mut wire = self.wire.borrow_mut();
        let path = format!("{}/{path}", wire.home);
        wire.host.read(&path).ok().map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    /// How often each answer was written or removed.
    pub fn changes(&mut self) -> &BTreeMap<String, u32> {
        let mut wire = self.wire.borrow_mut();
        let start = format!("{}/data/guest/", wire.home);
        for (path, _) in wire.host.take_events() {
            if let Some(id) = path.strip_prefix(&start) {
                *self.changes.entry(id.to_owned()).or_default() += 1;
            }
        }
        &self.changes
    }

    /// Does what the engine says until it waits for what only the test can have happen, or for longer than until this
    /// moment; the time is that moment then. Returns what the engine said last.
    pub fn run_until(&mut self, moment: u64) -> Action {
        // Far more than any scenario takes; an engine that never waits is caught here.
        for _ in 0..1_000_000 {
            if std::mem::take(&mut self.wire.borrow_mut().killed) {
                self.client = None;
                self.wire.borrow_mut().device = None;
                self.engine = Engine::new(self.options, self.now);
                // What it has begun ends with it.
                self.platform.program = None;
                if self.platform.forgets {
                    self.platform.notes.clear();
                }
            }
            let ended = self.platform.program.is_some();
            self.engine.handle_errands(ErrandNews { ended, under_way: ended, programs: ended });
            let action = self.engine.poll(self.now);
            match action {
                Action::Done => return action,
                Action::Connect => self.connect(),
                Action::Serve => self.serve(),
                Action::Wait { until, .. } => {
                    let readable = self.wire.borrow_mut().device.as_mut().is_some_and(Device::readable);
                    if let (true, Some(client)) = (readable, &mut self.client) {
                        if self.engine.handle_readable(client).is_err() {
                            self.lose();
                        }
                    } else if self.wire.borrow().lost {
                        self.lose();
                    } else if let Some(until) = until.filter(|until| *until <= moment) {
                        assert!(until > self.now, "the engine waits for what is over");
                        self.now = until;
                    } else {
                        self.now = moment;
                        return action;
                    }
                }
                other => self.said.push((self.now, format!("{other:?}"))),
            }
        }
        panic!("the engine never waits");
    }

    /// The same for so many milliseconds.
    pub fn run_for(&mut self, ms: u64) -> Action {
        self.run_until(self.now + ms)
    }

    fn connect(&mut self) {
        self.connections.push(self.now);
        let device = self.xenstored.device(self.kernel).expect("there is a descriptor for its bell");
        let mut wire = self.wire.borrow_mut();
        wire.device = Some(device);
        wire.lost = self.refusals > 0;
        self.refusals = self.refusals.saturating_sub(1);
        self.client = Some(Client::new(Xenbus(self.wire.clone(), self.xenstored.clone())));
        self.engine.handle_connected();
    }

    fn serve(&mut self) {
        let client = self.client.as_mut().expect("the engine knows whether it is connected");
        let served = self.engine.serve(client, &mut self.platform, self.now);
        self.now += self.work_ms;
        if served.is_err() && !self.wire.borrow().killed {
            self.lose();
        }
    }

    fn lose(&mut self) {
        self.client = None;
        let mut wire = self.wire.borrow_mut();
        (wire.device, wire.lost) = (None, false);
        self.engine.handle_lost(self.now);
    }
}
