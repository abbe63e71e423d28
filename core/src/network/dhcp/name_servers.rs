//! Name servers that routers announce, each for as long as its router says (RFC 8106, 5.1).

use heapless::Vec;

use crate::network::model::DNS_MAX;
use crate::wire::net::Ip;
use crate::wire::netlink::advertisement::NameServer;

/// One, and until when; for ever if there is no time.
type Known = (NameServer, Option<u64>);

/// Those that may be used.
pub(super) struct NameServers {
    known: Vec<Known, DNS_MAX>,
    has_changed: bool,
}

impl NameServers {
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub(super) const fn new() -> NameServers {
        NameServers { known: Vec::new(), has_changed: false }
    }

    /// A router names one. Returns whether there is room for it.
    pub(super) fn handle(&mut self, server: NameServer, now: u64) -> bool {
        let until = (server.seconds != u32::MAX).then(|| now + u64::from(server.seconds) * 1000);
        let is_it = |(known, _): &(NameServer, _)| (known.index, known.ip) == (server.index, server.ip);
        match self.known.iter_mut().find(|known| is_it(known)) {
            // One for no time at all goes as one whose time is over.
            Some((_, known_until)) => *known_until = until,
            None if server.seconds == 0 => {}
            None => {
                let has_room = self.known.push((server, until)).is_ok();
                self.has_changed |= has_room;
                return has_room;
            }
        }
        true
    }

    /// Forgets those whose time is over, and those of links that are gone.
    pub(super) fn handle_time(&mut self, now: u64) {
        self.retain(&mut |(_, until)| until.is_none_or(|until| now < until));
    }

    /// Forgets those of links that are gone.
    pub(super) fn keep(&mut self, is_there: impl Fn(u32) -> bool) {
        self.retain(&mut |(server, _)| is_there(server.index));
    }

    fn retain(&mut self, stays: &mut dyn FnMut(&Known) -> bool) {
        let before = self.known.len();
        self.known.retain(stays);
        self.has_changed |= self.known.len() != before;
    }

    /// When the next one's time is over.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.known.iter().filter_map(|(_, until)| *until).min()
    }

    /// Whether they are others than when that was last asked.
    pub(super) fn take_change(&mut self) -> bool {
        core::mem::take(&mut self.has_changed)
    }

    /// The link and the address of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Ip)> {
        self.known.iter().map(|(server, _)| (server.index, server.ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(last: u8, seconds: u32) -> NameServer {
        let ip = format!("2001:db8::{last:x}").parse().unwrap();
        NameServer { index: 3, ip, seconds }
    }

    #[test]
    fn a_name_server_is_known_for_as_long_as_it_was_last_said() {
        let mut servers = NameServers::new();
        assert!(servers.handle(server(1, 10), 0) && servers.take_change());
        assert!(servers.handle(server(1, 20), 5_000) && !servers.take_change(), "it is known");
        assert!(servers.handle(server(2, u32::MAX), 5_000) && servers.take_change());
        assert!(servers.handle(server(3, 0), 5_000) && !servers.take_change(), "it was not known");
        assert_eq!(servers.next_at(), Some(25_000));
        servers.handle_time(24_999);
        assert_eq!((servers.iter().count(), servers.take_change()), (2, false));
        servers.handle_time(25_000);
        assert_eq!((servers.iter().count(), servers.take_change(), servers.next_at()), (1, true, None));
        // The router takes it back.
        servers.handle(server(2, 0), 30_000);
        servers.handle_time(30_000);
        assert_eq!((servers.iter().count(), servers.take_change()), (0, true));
    }

    #[test]
    fn what_there_is_no_room_for_is_told_and_links_that_are_gone_have_none() {
        let mut servers = NameServers::new();
        let taken = (1..=20).filter(|last| servers.handle(server(*last, 9), 0)).count();
        assert_eq!(taken, DNS_MAX);
        servers.take_change();
        servers.keep(|index| index == 3);
        assert!(!servers.take_change());
        servers.keep(|index| index != 3);
        assert_eq!((servers.iter().count(), servers.take_change()), (0, true));
    }
}
