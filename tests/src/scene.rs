//! An agent at work, with everything around it; and small things that several scenarios need.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64ct::{Base64, Encoding};

use crate::agent::{Agent, PATIENCE};
use crate::guest_root::GuestRoot;
use crate::host::Host;
use crate::xenstored::{Client, Options, Xenstored};

/// A guest with its agent over a socket, and its host. The parts go in this order.
#[derive(Debug)]
pub struct Scene {
    /// The host.
    pub host: Host,
    /// The agent.
    pub agent: Agent,
    /// The guest's files.
    pub root: GuestRoot,
    /// What both are connected to.
    pub xenstored: Xenstored,
}

impl Scene {
    /// Everything as it usually is.
    pub fn new() -> Result<Scene> {
        Scene::with(Options::default())
    }

    /// On such a xenstored.
    pub fn with(options: Options) -> Result<Scene> {
        let xenstored = Xenstored::start(options)?;
        let root = GuestRoot::new()?;
        let agent = Agent::on(&xenstored.guest_socket(), root.path());
        Ok(Scene { host: Host::of(&xenstored)?, agent, root, xenstored })
    }

    /// Ends the agent in the middle of whatever it does, and starts another one.
    pub fn restart_agent(&mut self) {
        self.agent = Agent::on(&self.xenstored.guest_socket(), self.root.path());
    }
}

/// Waits until something is so, where no event tells. Panics when it never is.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Base64 on one line.
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    Base64::encode_string(bytes.as_ref())
}

/// The argument of `injectfile`.
pub fn path_and_contents(path: &str, contents: impl AsRef<[u8]>) -> String {
    base64([path.as_bytes(), b",", contents.as_ref()].concat())
}

/// Hears of every change below `data/guest`: who has answered what, and how often.
#[derive(Debug)]
pub struct Tally {
    client: Client,
    directory: String,
    changes: BTreeMap<String, u32>,
}

impl Tally {
    /// Listens from now on.
    pub fn of(xenstored: &Xenstored) -> Result<Tally> {
        let directory = format!("{}/data/guest/", xenstored.home());
        let mut client = xenstored.host();
        client.watch(directory.trim_end_matches('/'), "change")?;
        client.watch("/tool/tally", "end")?;
        let mut tally = Tally { client, directory, changes: BTreeMap::new() };
        // The event that every watch begins with.
        tally.take_until_end()?;
        Ok(tally)
    }

    /// How often each response was written or removed until now.
    pub fn changes(&mut self) -> Result<&BTreeMap<String, u32>> {
        // Events keep their order, so what happened before this write was heard before it.
        self.client.write("/tool/tally", "")?;
        self.take_until_end()?;
        Ok(&self.changes)
    }

    fn take_until_end(&mut self) -> Result<()> {
        loop {
            let event = self.client.wait_event(PATIENCE)?.context("the tally's own event is missing")?;
            if event.token == "end" {
                return Ok(());
            }
            if let Some(id) = event.path.strip_prefix(&self.directory) {
                *self.changes.entry(id.to_owned()).or_default() += 1;
            }
        }
    }
}
