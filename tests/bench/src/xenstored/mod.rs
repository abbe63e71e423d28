//! An embedded xenstored for tests: one guest, its tree, two sockets, and the guest kernel's device.
//!
//! Guarantees: it behaves as C xenstored does, from permissions and quotas to the order of events, except where a
//! file's head says otherwise; the real Debian tools work on its sockets (`XENSTORED_PATH`). It knows nothing of
//! nanova's code.
//!
//! ```
//! # use nanova_bench::xenstored::{Options, Xenstored};
//! let xenstored = Xenstored::start(Options::default()).unwrap();
//! let mut host = xenstored.host();
//! host.write("/local/domain/7/data/host/1", "{}").unwrap();
//! assert_eq!(host.perms("/local/domain/7/data/host/1").unwrap(), "n7");
//! ```
//!
//! | file | is |
//! |---|---|
//! | `wire`, `path`, `perms`, `quota` | the words of the protocol |
//! | `store`, `transaction`, `tree` | the nodes, views of them, and what a domain does with them |
//! | `daemon`, `requests`, `outbox`, `layout` | the state, one request, what waits for a client, the first tree |
//! | `server`, `client`, `local` | the sockets, a client for them, and one that needs none |
//! | `device`, `pty` | Linux's /dev/xen/xenbus, as a struct and behind a terminal |

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;

mod client;
mod daemon;
mod device;
mod layout;
mod local;
mod outbox;
mod path;
mod perms;
mod pty;
mod quota;
mod requests;
mod server;
mod store;
mod transaction;
mod tree;
mod wire;

pub use client::{Client, Error, Event, Result};
pub use device::{Device, Kernel};
pub use layout::Layout;
pub use local::Local;
pub use pty::Pty;
pub use quota::Quotas;
pub use wire::{Errno, HEADER, PAYLOAD_MAX, Packet, announced_len, decode, op};

use daemon::Hub;
use server::{Role, Sockets};

/// What kind of guest and daemon a test wants.
#[derive(Clone, Debug)]
pub struct Options {
    /// The guest's domain id.
    pub domid: u32,
    /// The guest's UUID.
    pub uuid: String,
    /// The guest's name.
    pub name: String,
    /// Which toolstack made the guest.
    pub layout: Layout,
    /// What the guest may use up.
    pub quotas: Quotas,
    /// Whether DIRECTORY_PART is known; daemons before 4.9 and some oxenstoreds answer ENOSYS.
    pub directory_part: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            domid: 7,
            uuid: "7b3fd1ce-0f6b-4b0c-9d3c-2d4fb5ed8d2a".to_owned(),
            name: "guest".to_owned(),
            layout: Layout::default(),
            quotas: Quotas::default(),
            directory_part: true,
        }
    }
}

/// What the guest uses, and what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Nodes the guest owns.
    pub nodes: usize,
    /// Nodes the guest owned at most.
    pub peak_nodes: usize,
    /// The guest's watches.
    pub watches: usize,
    /// The guest's open transactions.
    pub transactions: usize,
    /// The guest's requests since the start, by [`op::name`].
    pub requests: BTreeMap<&'static str, u64>,
}

impl Stats {
    /// How often the guest asked for this.
    pub fn requests_of(&self, kind: u32) -> u64 {
        self.requests.get(op::name(kind)).copied().unwrap_or_default()
    }
}

/// A running daemon. It ends when it is dropped.
#[derive(Debug)]
pub struct Xenstored {
    hub: Arc<Hub>,
    sockets: Option<Sockets>,
    /// Where the sockets are; nowhere without any.
    directory: Option<TempDir>,
}

impl Xenstored {
    /// Makes the guest's tree and listens on both sockets.
    pub fn start(options: Options) -> io::Result<Xenstored> {
        let mut xenstored =
            Xenstored { hub: Arc::new(Hub::new(options)), sockets: None, directory: Some(tempfile::tempdir()?) };
        xenstored.restart(true)?;
        Ok(xenstored)
    }

    /// Makes the guest's tree and listens nowhere: for [`Xenstored::device`] and [`Xenstored::local`], which need no
    /// thread.
    pub fn in_memory(options: Options) -> Xenstored {
        Xenstored { hub: Arc::new(Hub::new(options)), sockets: None, directory: None }
    }

    /// Another one in memory, with the tree that this one has now: cheaper than a new one.
    pub fn fork(&self) -> Xenstored {
        Xenstored { hub: Arc::new(self.hub.fork()), sockets: None, directory: None }
    }

    /// dom0, answered at once.
    pub fn local(&self) -> io::Result<Local> {
        Local::open(self.hub.clone())
    }

    /// The socket whose clients act as the guest.
    pub fn guest_socket(&self) -> PathBuf {
        self.socket("guest")
    }

    /// The socket whose clients act as dom0.
    pub fn host_socket(&self) -> PathBuf {
        self.socket("host")
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.directory.as_ref().expect("it listens").path().join(name)
    }

    /// A client that acts as dom0. Panics while the daemon is stopped.
    pub fn host(&self) -> Client {
        Client::connect(&self.host_socket()).expect("the daemon listens")
    }

    /// A client that acts as the guest, without the guest's kernel between. Panics while the daemon is stopped.
    pub fn guest(&self) -> Client {
        Client::connect(&self.guest_socket()).expect("the daemon listens")
    }

    /// The guest kernel's device, opened: a struct to call.
    pub fn device(&self, kernel: Kernel) -> io::Result<Device> {
        Device::open(self.hub.clone(), kernel, None)
    }

    /// The guest kernel's device: a path to open.
    pub fn guest_device(&self, kernel: Kernel) -> io::Result<Pty> {
        Pty::new(self.device(kernel)?)
    }

    /// dom0's device: a path to open.
    pub fn host_device(&self, kernel: Kernel) -> io::Result<Pty> {
        Pty::new(Device::open(self.hub.clone(), kernel, Some(0))?)
    }

    /// The guest's domain id.
    pub fn domid(&self) -> u32 {
        self.hub.lock().options.domid
    }

    /// The guest's home, `/local/domain/<domid>`.
    pub fn home(&self) -> String {
        path::home(self.domid())
    }

    /// What the guest uses, and what it asked for.
    pub fn stats(&self) -> Stats {
        let (owned, watches, transactions, requests) = self.hub.lock().usage();
        Stats { nodes: owned.now, peak_nodes: owned.peak, watches, transactions, requests }
    }

    /// Has the moment noted in which this node changes for the first time from now on.
    pub fn await_change(&self, path: &str) {
        self.hub.lock().awaited = Some((path.to_owned(), None));
    }

    /// That moment, if it has come.
    pub fn changed_at(&self) -> Option<Instant> {
        self.hub.lock().awaited.as_ref()?.1
    }

    /// Refuses the next commits, whoever's they are, with EAGAIN.
    pub fn refuse_commits(&self, count: u32) {
        self.hub.lock().refuse_commits = count;
    }

    /// Changes the quotas from now on.
    pub fn set_quotas(&self, quotas: Quotas) {
        self.hub.lock().options.quotas = quotas;
    }

    /// What the toolstacks do in a migration: the domain and its tree go, a new one comes. The guest's kernel notices
    /// at the device's `resume`; clients of the guest's socket go on acting for the old domain.
    pub fn migrate(&self, domid: u32) {
        self.hub.lock().migrate(domid);
    }

    /// Makes one more guest, with its tree and a socket of its own, until the daemon is restarted: quotas bind it, but
    /// the figures of [`Xenstored::stats`] are the first guest's.
    pub fn introduce(&mut self, domid: u32, uuid: &str, name: &str) -> io::Result<PathBuf> {
        self.hub.lock().introduce(domid, uuid, name);
        let socket = self.socket(&format!("guest-{domid}"));
        if let Some(sockets) = &mut self.sockets {
            sockets.listen(&self.hub, &socket, Role::Domain(domid))?;
        }
        Ok(socket)
    }

    /// Takes the sockets away and ends the connections to them. Devices stay, as a guest's ring does.
    pub fn stop(&mut self) {
        if let Some(mut sockets) = self.sockets.take() {
            sockets.close();
        }
    }

    /// Stops, if need be, and listens again, on the same tree or on a new one.
    pub fn restart(&mut self, keep_tree: bool) -> io::Result<()> {
        self.stop();
        if !keep_tree {
            self.hub.lock().forget_tree();
        }
        self.sockets = Some(Sockets::open(&self.hub, &self.guest_socket(), &self.host_socket())?);
        Ok(())
    }
}

impl Drop for Xenstored {
    fn drop(&mut self) {
        self.stop();
    }
}
