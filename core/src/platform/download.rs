//! Connections to servers, and the agent's own file: what an update takes.

use super::path::FileError;
use crate::wire::errno::Errno;
use crate::wire::net::Ip;
use crate::wire::text::Bounded;

/// Addresses of a server: those behind the eighth are not tried.
pub type Addresses = heapless::Vec<Ip, 8>;

/// A connection to a server, and the agent's own file: what an update takes.
pub trait Download {
    /// A connection.
    type Connection;

    /// Connects, or gives up after so many seconds, as does every later call that waits as long for nothing.
    fn connect(&mut self, ip: Ip, port: u16, seconds: u32) -> Result<Self::Connection, Errno>;
    /// The addresses of a name, of both families, from /etc/hosts or the name servers of /etc/resolv.conf; none is
    /// asked from a moment of [`Clock::running_ms`](super::Clock::running_ms) on. An error is the file that could not
    /// be read, where nothing is known without it.
    fn resolve(&mut self, name: &str, deadline_ms: u64) -> Result<Addresses, FileError<'static>>;
    /// Sends all of it.
    fn send(&mut self, connection: &mut Self::Connection, bytes: &[u8]) -> Result<(), Errno>;
    /// Receives some; 0 at the end.
    fn receive(&mut self, connection: &mut Self::Connection, space: &mut [u8]) -> Result<usize, Errno>;
    /// Where the running agent's file is, uncut. [`Errno::PERM`] for the first process, which is a part of its image,
    /// below another root, and for a path of 200 bytes or more.
    fn own_path(&mut self) -> Result<Bounded<256>, Errno>;
}
