//! A TCP connection to a server, and where this program's own file is: what an update takes.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use core::time::Duration;

use nanova_core::files::read::for_each_line;
use nanova_core::platform::{Addresses, Clock, Download, FileError, GuestPath};
use nanova_core::update::dns;
use nanova_core::wire::errno::Errno;
use nanova_core::wire::net::{Family, Ip};
use nanova_core::wire::text::Bounded;
use rustix::fd::OwnedFd;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::errno::errno;
use crate::system::System;
use crate::wait::running_ms;

/// How long a name server may take, and how often each is asked.
const NAME_SECONDS: u32 = 3;
const NAME_TRIES: usize = 2;
/// Longest path of this program's file that is updated.
const PATH_MAX: usize = 200;

/// A wait that was too long is EAGAIN for a socket with a timeout, and EINPROGRESS while it connects (socket(7)).
fn timed_out(error: rustix::io::Errno) -> Errno {
    match error {
        rustix::io::Errno::AGAIN | rustix::io::Errno::INPROGRESS => Errno::TIMEDOUT,
        error => errno(error),
    }
}

fn open(kind: SocketType, ip: Ip, port: u16, seconds: u32) -> Result<OwnedFd, rustix::io::Errno> {
    let family = match ip.family() {
        Family::V4 => AddressFamily::INET,
        Family::V6 => AddressFamily::INET6,
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    for side in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(&socket, side, Some(Duration::from_secs(seconds.into())))?;
    }
    let (bytes, _) = ip.octets();
    if let (true, Some(bytes)) = (ip.family() == Family::V4, bytes.first_chunk::<4>()) {
        connect(&socket, &SocketAddrV4::new(Ipv4Addr::from_octets(*bytes), port))?;
    } else {
        connect(&socket, &SocketAddrV6::new(Ipv6Addr::from_octets(bytes), port, 0, 0))?;
    }
    Ok(socket)
}

impl System<'_> {
    /// Reads a file of the system's, if there is one.
    fn read_if_there(
        &mut self,
        path: GuestPath<'static>,
        each: &mut dyn FnMut(&str),
    ) -> Result<(), FileError<'static>> {
        match for_each_line(self, path, each) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(FileError { action: "read", path, errno }),
        }
    }
}

impl Download for System<'_> {
    type Connection = OwnedFd;

    fn connect(&mut self, ip: Ip, port: u16, seconds: u32) -> Result<OwnedFd, Errno> {
        open(SocketType::STREAM, ip, port, seconds).map_err(timed_out)
    }

    fn resolve(&mut self, name: &str, deadline_ms: u64) -> Result<Addresses, FileError<'static>> {
        let mut known = Addresses::new();
        // Addresses that there is no room for are not tried.
        let hosts = self.read_if_there(GuestPath::literal("/etc/hosts"), &mut |line| {
            if let Some(ip) = dns::in_hosts(line, name) {
                let _ = known.push(ip);
            }
        });
        if !known.is_empty() {
            return Ok(known);
        }
        let mut servers = heapless::Vec::<Ip, 3>::new();
        self.read_if_there(GuestPath::literal("/etc/resolv.conf"), &mut |line| {
            if let Some(ip) = dns::name_server(line) {
                // More than three are not asked, as the C library does not either (resolv.conf(5)).
                let _ = servers.push(ip);
            }
        })?;
        for server in servers.iter().cycle().take(servers.len() * NAME_TRIES) {
            for family in Family::BOTH {
                // Of either family half of the room, so that no family is all that is tried.
                let mut room = known.capacity() / 2;
                if self.running_ms() < deadline_ms {
                    // A server that does not answer may do so the next time; another may.
                    let _ = ask(*server, name, family, &mut |ip| {
                        if room > 0 && known.push(ip).is_ok() {
                            room -= 1;
                        }
                    });
                }
            }
            if !known.is_empty() {
                return Ok(known);
            }
        }
        // What could not be read may have known it.
        hosts.map(|()| known)
    }

    fn send(&mut self, connection: &mut OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let len = send(&*connection, bytes, SendFlags::NOSIGNAL).map_err(timed_out)?;
            bytes = bytes.get(len..).unwrap_or_default();
        }
        Ok(())
    }

    fn receive(&mut self, connection: &mut OwnedFd, space: &mut [u8]) -> Result<usize, Errno> {
        let received = rustix::io::retry_on_intr(|| recv(&*connection, &mut *space, RecvFlags::empty()));
        received.map(|(len, _)| len).map_err(timed_out)
    }

    fn own_path(&mut self) -> Result<Bounded<256>, Errno> {
        // The first process is a part of its image, and files below another root are not the running system's.
        if self.confined || rustix::process::getpid().is_init() {
            return Err(Errno::PERM);
        }
        let mut room = [0; PATH_MAX];
        let len = rustix::fs::readlinkat_raw(rustix::fs::CWD, c"/proc/self/exe", &mut room[..]).map_err(errno)?;
        let name = core::str::from_utf8(room.get(..len).unwrap_or_default());
        // One that fills the room may be longer.
        let name = name.ok().filter(|name| name.len() < PATH_MAX).ok_or(Errno::PERM)?;
        // A package manager has put another one there: that is the one to replace.
        Ok(Bounded::of(format_args!("{}", name.strip_suffix(" (deleted)").unwrap_or(name))))
    }
}

/// Asks a name server for the addresses of one family. What comes instead of its answer is passed over.
fn ask(server: Ip, name: &str, family: Family, each: &mut dyn FnMut(Ip)) -> Result<(), rustix::io::Errno> {
    // Connected, so that nothing comes from anybody else.
    let socket = open(SocketType::DGRAM, server, 53, NAME_SECONDS)?;
    let mut id = [0; 2];
    getrandom(&mut id[..], GetRandomFlags::empty())?;
    let Some(question) = dns::query(id, name, family) else { return Ok(()) };
    send(&socket, &question, SendFlags::NOSIGNAL)?;
    let deadline = running_ms() + u64::from(NAME_SECONDS) * 1000;
    while running_ms() < deadline {
        let mut answer = [0; 1024];
        let (len, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
        if dns::addresses(answer.get(..len).unwrap_or_default(), &question, family, each).is_some() {
            return Ok(());
        }
    }
    Err(rustix::io::Errno::TIMEDOUT)
}
