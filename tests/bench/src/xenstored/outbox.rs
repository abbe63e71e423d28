//! What waits to be read by one connection.
//!
//! Guarantees: to put something in never blocks, so a client that does not read cannot hold up the store. The bell (an
//! eventfd) rings for packets that came while somebody else's request was handled; who makes a request looks into its
//! outbox afterwards anyway.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use super::wire::Packet;

/// Locks, also when a test that failed held the lock: its clean-up must not end the whole test program.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The queue of a connection.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    bell: OwnedFd,
}

#[derive(Debug, Default)]
struct Queue {
    packets: VecDeque<Packet>,
    bytes: usize,
    closed: bool,
}

impl Outbox {
    /// An empty one.
    pub(super) fn new() -> io::Result<Outbox> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Outbox { queue: Mutex::default(), bell })
    }

    /// Puts a packet in.
    pub(super) fn push(&self, packet: Packet) {
        let mut queue = self.lock();
        queue.bytes += packet.payload.len();
        queue.packets.push_back(packet);
    }

    /// How many bytes of payload wait.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The oldest packet.
    pub(super) fn pop(&self) -> Option<Packet> {
        let mut queue = self.lock();
        let packet = queue.packets.pop_front()?;
        queue.bytes -= packet.payload.len();
        Some(packet)
    }

    /// Throws away what waits.
    pub(super) fn clear(&self) {
        *self.lock() = Queue::default();
    }

    /// Wakes whoever waits.
    pub(super) fn ring(&self) {
        // Only a full counter could refuse, and then the bell rings already.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }

    /// Nobody will put anything in any more; whoever waits is woken and told so.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.ring();
    }

    /// Waits until the bell rings. False once the outbox is closed.
    pub(super) fn wait(&self) -> bool {
        let mut fds = [PollFd::new(&self.bell, PollFlags::IN)];
        while poll(&mut fds, None).is_err() {}
        self.silence();
        !self.lock().closed
    }

    /// Takes note that the bell has rung.
    pub(super) fn silence(&self) {
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
    }

    /// For a poll(2) together with other things.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}
