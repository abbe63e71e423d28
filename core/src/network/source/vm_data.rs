//! Reading hostname and network from the guest's part of xenstore: `vm-data/hostname`, `vm-data/networking/<MAC>`.
//!
//! What is there is the host's claim: an interface that makes no sense is reported and left out, a host name that is
//! none is reported and not used. A missing `vm-data/networking` means that the toolstack leaves the network to the
//! guest.

use core::fmt::Write;

use heapless::String;

use super::parse;
use crate::network::model::{HOSTNAME_MAX, INTERFACES_MAX, Interface, Network};
use crate::network::problems::note;
use crate::wire::net::Mac;
use crate::wire::text::Printable;
use crate::xenstore::path::{Joined, Path};
use crate::xenstore::{Client, Error, Listing, Refusal, Transaction, Transport};

const HOSTNAME: Path<'static> = Path::literal("vm-data/hostname");
const NETWORKING: Path<'static> = Path::literal("vm-data/networking");
const TOO_MANY: parse::ParseError = "too many interfaces";
/// Room for the names of the interfaces; a MAC address takes 13 bytes.
const NAMES_MAX: usize = 32 * INTERFACES_MAX;

/// Reads it, in place: it is large. What is wrong with parts of it goes to `problems`. Without `vm-data/networking`
/// there is no interface.
#[inline(never)]
pub(crate) fn read<T: Transport>(
    network: &mut Network,
    client: &mut Client<T>,
    problems: &mut dyn Write,
) -> Result<(), Error> {
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
    Ok(())
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
