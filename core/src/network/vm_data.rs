//! Reading hostname and network from the guest's part of xenstore: `vm-data/hostname`, `vm-data/networking/<MAC>`.
//!
//! What is there is the host's claim: an interface that makes no sense is reported and left out, a host name that is none
//! is reported and not used. A missing `vm-data/networking` means that the toolstack leaves the network to the guest.

use core::fmt::{self, Write};

use heapless::{String, Vec};

use super::parse;
use super::xapi::overlay;
use super::{INTERFACES_MAX, Interface, Mac, Prefixed, ROUTES_MAX};
use crate::errno::Errno;
use crate::netlink::{Message, Reply};
use crate::platform::Netlink;
use crate::text::Printable;
use crate::xenstore::path::{Joined, Path};
use crate::xenstore::{Client, Error, Listing, Refusal, Transaction, Transport};

const HOSTNAME: Path<'static> = Path::literal("vm-data/hostname");
const NETWORKING: Path<'static> = Path::literal("vm-data/networking");
const TOO_MANY: parse::ParseError = "too many interfaces";
/// Longest host name (HOST_NAME_MAX).
pub const HOSTNAME_MAX: usize = 64;
/// Room for the names of the interfaces; a MAC address takes 13 bytes.
const NAMES_MAX: usize = 32 * INTERFACES_MAX;

/// What the toolstack wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The host name, if it names one.
    pub hostname: Option<String<HOSTNAME_MAX>>,
    /// The interfaces, in the order of xenstore's directory.
    pub interfaces: Vec<Interface, INTERFACES_MAX>,
    /// Whether these are all that xenstore holds: none was left out.
    pub sound: bool,
}

/// Adds a problem: what was left out, or has failed. One sentence each, separated by semicolons.
pub(crate) fn note(problems: &mut dyn Write, text: fmt::Arguments<'_>) {
    // Where there is no more room the text shows it itself.
    let _ = problems.write_fmt(text).and_then(|()| problems.write_str("; "));
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Network {
    /// Nothing.
    pub const fn new() -> Network {
        Network { hostname: None, interfaces: Vec::new(), sound: true }
    }

    /// Reads it, in place: it is large. What is wrong with parts of it goes to `problems`. Without `vm-data/networking`
    /// there is no interface.
    #[inline(never)]
    pub fn read<T: Transport>(&mut self, client: &mut Client<T>, problems: &mut dyn Write) -> Result<(), Error> {
        let network = self;
        match client.read(Transaction::NONE, HOSTNAME) {
            Ok(name) => {
                network.hostname = hostname(name);
                if network.hostname.is_none() && !name.is_empty() {
                    note(problems, format_args!("vm-data/hostname is no host name"));
                }
            }
            Err(error) if error.is(Refusal::NOENT) => {}
            Err(error) => return Err(error),
        }
        let mut names = [0; NAMES_MAX];
        let listing = match client.list(Transaction::NONE, NETWORKING, 0, &mut names) {
            Ok(listing) => listing,
            Err(error) if error.is(Refusal::NOENT) => Listing { len: 0, complete: true },
            Err(error) => return Err(error),
        };
        if !listing.complete {
            network.sound = false;
            note(problems, format_args!("vm-data/networking: {TOO_MANY}"));
        }
        for name in names[..listing.len].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let name = core::str::from_utf8(name).unwrap_or_default();
            let Ok(path) = Joined::new(NETWORKING, name) else { continue };
            let value = match client.read(Transaction::NONE, path.as_path()) {
                // Removed in between.
                Err(error) if error.is(Refusal::NOENT) => continue,
                value => value?,
            };
            let room = network.interfaces.push(Interface::new(Mac([0; 6]))).map_err(|_| TOO_MANY);
            let parsed = match (room, network.interfaces.last_mut()) {
                (Ok(()), Some(last)) => parse::interface(name, value, last).inspect_err(|_| {
                    network.interfaces.pop();
                }),
                (room, _) => room,
            };
            if let Err(error) = parsed {
                network.sound = false;
                note(problems, format_args!("vm-data/networking/{}: {error}", Printable(name)));
            }
        }
        overlay(network, client)?;
        network.without_twins(problems);
        Ok(())
    }

    /// Leaves out an interface with the MAC address of one that comes before it.
    fn without_twins(&mut self, problems: &mut dyn Write) {
        let mut known = Vec::<Mac, INTERFACES_MAX>::new();
        let sound = &mut self.sound;
        self.interfaces.retain(|interface| {
            let new = !known.contains(&interface.mac);
            if new {
                let _ = known.push(interface.mac);
            } else {
                *sound = false;
                note(problems, format_args!("{} is there twice; the first one counts", interface.mac));
            }
            new
        });
    }

    /// Puts the interfaces that there are links for before those that there are none for, and leaves out routes to where
    /// another one leads that comes before: what is listed for a VIF that is gone takes nothing from one that is there.
    #[inline(never)]
    pub(super) fn decide<N: Netlink>(&mut self, netlink: &mut N, problems: &mut dyn Write) {
        // Where the kernel does not tell, the order is xenstore's.
        let there = present(netlink, &self.interfaces).unwrap_or_default();
        let places = (0..self.interfaces.len()).filter(|place| there.get(*place) == Some(&true));
        for (front, place) in places.enumerate() {
            self.interfaces.swap(front, place);
        }
        let mut destinations = Vec::<Prefixed, { INTERFACES_MAX * ROUTES_MAX }>::new();
        for interface in &mut self.interfaces {
            interface.routes.retain(|route| {
                let new = !destinations.contains(&route.to);
                if new {
                    let _ = destinations.push(route.to);
                } else {
                    note(
                        problems,
                        format_args!("the route to {} via {} is left out: there is one", route.to, route.via),
                    );
                }
                new
            });
        }
    }
}

/// Which of the interfaces there is a link for.
pub fn present<N: Netlink>(netlink: &mut N, interfaces: &[Interface]) -> Result<[bool; INTERFACES_MAX], Errno> {
    let mut there = [false; INTERFACES_MAX];
    netlink.ask(&Message::dump_links(1), &mut |reply| {
        let Reply::Link(link) = reply else { return };
        for (there, interface) in there.iter_mut().zip(interfaces) {
            *there |= link.mac == Some(interface.mac);
        }
    })?;
    Ok(there)
}

/// A host name of letters, digits, dashes, underscores and dots: what the kernel, a shell and a file name take alike.
fn hostname(value: &[u8]) -> Option<String<HOSTNAME_MAX>> {
    let name = value.trim_ascii();
    let name = name.strip_suffix(b".").unwrap_or(name);
    let good = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    if !name.first()?.is_ascii_alphanumeric() || !name.iter().all(good) {
        return None;
    }
    core::str::from_utf8(name).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_safe_everywhere() {
        for (value, name) in [("web01", "web01"), ("web_1.example.org.\n", "web_1.example.org"), ("1-a", "1-a")] {
            assert_eq!(hostname(value.as_bytes()).as_deref(), Some(name));
        }
        for bad in ["", " ", "-a", ".", "a b", "a'b", "$(reboot)", "a\nb", "ö", &"a".repeat(65)] {
            assert_eq!(hostname(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(hostname(b"a\xff"), None);
    }
}
