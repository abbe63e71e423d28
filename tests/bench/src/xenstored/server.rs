//! The two sockets: who connects to the one acts as the guest, who connects to the other as dom0.
//!
//! Guarantees: a request and its reply cost the two context switches of the socket: the thread that reads a request
//! also handles it and writes the reply, one write(2) for each packet. A second thread for each connection writes the
//! events that other clients caused. A client that does not read stops its own two threads, nothing else. After
//! [`Sockets::close`] no thread and no socket file is left. Refuses a packet above 4096 bytes by closing the
//! connection.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::daemon::Hub;
use super::outbox::{Outbox, lock};
use super::wire::PacketReader;

/// Who a socket's clients are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// The guest; which domain that is can change with a migration.
    Guest,
    /// One of the others.
    Domain(u32),
    Host,
}

/// The listening sockets and everything behind them.
#[derive(Debug)]
pub(super) struct Sockets {
    listeners: Vec<(UnixListener, std::path::PathBuf)>,
    accepting: Vec<JoinHandle<()>>,
    clients: Arc<Mutex<Vec<Client>>>,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    thread: JoinHandle<()>,
}

impl Sockets {
    /// Listens on both sockets.
    pub(super) fn open(hub: &Arc<Hub>, guest: &Path, host: &Path) -> io::Result<Sockets> {
        let mut sockets = Sockets { listeners: Vec::new(), accepting: Vec::new(), clients: Arc::default() };
        for (path, role) in [(guest, Role::Guest), (host, Role::Host)] {
            sockets.listen(hub, path, role)?;
        }
        Ok(sockets)
    }

    /// Listens on one more.
    pub(super) fn listen(&mut self, hub: &Arc<Hub>, path: &Path, role: Role) -> io::Result<()> {
        let listener = UnixListener::bind(path)?;
        let (listening, hub, clients) = (listener.try_clone()?, hub.clone(), self.clients.clone());
        self.listeners.push((listener, path.to_owned()));
        self.accepting.push(thread::spawn(move || accept(&listening, &hub, role, &clients)));
        Ok(())
    }

    /// Takes the sockets away and ends every connection.
    pub(super) fn close(&mut self) {
        for (listener, path) in self.listeners.drain(..) {
            // Of a socket that listens, this ends accept(2). Should the file be gone already, that is as well.
            let _ = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);
            let _ = std::fs::remove_file(path);
        }
        for thread in self.accepting.drain(..) {
            // A panic of it was reported when it happened.
            let _ = thread.join();
        }
        let clients = std::mem::take(&mut *lock(&self.clients));
        for client in clients {
            // The peer may have closed it before us.
            let _ = client.stream.shutdown(Shutdown::Both);
            let _ = client.thread.join();
        }
    }
}

fn accept(listener: &UnixListener, hub: &Arc<Hub>, role: Role, clients: &Mutex<Vec<Client>>) {
    while let Ok((stream, _)) = listener.accept() {
        let (Ok(served), Ok(outbox)) = (stream.try_clone(), Outbox::new()) else { return };
        let hub = hub.clone();
        let thread = thread::spawn(move || serve(served, &hub, role, Arc::new(outbox)));
        let mut clients = lock(clients);
        clients.retain(|client| !client.thread.is_finished());
        clients.push(Client { stream, thread });
    }
}

/// The life of a connection.
fn serve(stream: UnixStream, hub: &Hub, role: Role, outbox: Arc<Outbox>) {
    let Ok(writer) = stream.try_clone().map(Mutex::new) else { return };
    let id = {
        let mut daemon = hub.lock();
        let domid = match role {
            Role::Guest => daemon.options.domid,
            Role::Domain(domid) => domid,
            Role::Host => 0,
        };
        daemon.connect(domid, outbox.clone())
    };
    thread::scope(|scope| {
        scope.spawn(|| while outbox.wait() && flush(&outbox, &writer).is_ok() {});
        let mut reader = PacketReader::default();
        while let Ok(Some(request)) = reader.next(&mut &stream) {
            hub.lock().handle(id, &request);
            if flush(&outbox, &writer).is_err() {
                break;
            }
        }
        hub.lock().disconnect(id);
        // The other thread may be in the middle of a write to a client that does not read.
        let _ = stream.shutdown(Shutdown::Both);
        outbox.close();
    });
}

/// Writes what waits. The lock is taken before the packet, so two threads cannot change their order.
fn flush(outbox: &Outbox, writer: &Mutex<UnixStream>) -> io::Result<()> {
    let mut stream = lock(writer);
    while let Some(packet) = outbox.pop() {
        stream.write_all(&packet.to_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
