//! Reading hostname and network from the guest's part of xenstore: `vm-data/hostname`, `vm-data/networking/<MAC>`, or,
//! where that is missing, what Ansible leaves in `vm-data/networks/` (`networks.rs`).
//!
//! What is there is the host's claim: an interface that makes no sense is reported and left out, a host name that is
//! none is reported and not used. Without either directory the toolstack leaves the network to the guest.

use heapless::String;

use super::{networks, parse};
use crate::network::model::{HOSTNAME_MAX, INTERFACES_MAX, Interface, Network};
use crate::network::problems::{Findings, Value};
use crate::wire::net::Mac;
use crate::wire::text::text_at_start;
use crate::xenstore::path::{Joined, Path};
use crate::xenstore::{Client, Error, Listing, Refusal, Transaction, Transport};

const HOSTNAME: Path<'static> = Path::literal("vm-data/hostname");
const NETWORKING: Path<'static> = Path::literal("vm-data/networking");
const TOO_MANY: parse::ParseError = "too many interfaces";
/// Room for the names of the interfaces; a MAC address takes 13 bytes.
const NAMES_MAX: usize = 32 * INTERFACES_MAX;
/// Longest label of a host name (RFC 1035, 2.3.4).
const LABEL_MAX: usize = 63;

/// Reads it, in place: it is large. What is wrong with parts of it goes to `findings`. Without `vm-data/networking` and
/// `vm-data/networks` there is no interface.
#[inline(never)]
pub(crate) fn read<T: Transport>(
    network: &mut Network,
    client: &mut Client<T>,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let mut wrong = false;
    match client.read(Transaction::NONE, HOSTNAME) {
        Ok(name) => {
            network.hostname = hostname(name);
            wrong = network.hostname.is_none() && !name.trim_ascii().is_empty();
            if wrong {
                findings.leave_out(format_args!("vm-data/hostname is no host name: {}", Value(text_at_start(name))));
            }
        }
        Err(error) if error.is(Refusal::NOENT) => {}
        Err(error) => return Err(error),
    }
    let mut names = [0; NAMES_MAX];
    match client.list(Transaction::NONE, NETWORKING, 0, &mut names) {
        Ok(listing) => interfaces(network, client, listing, &names, findings)?,
        Err(error) if error.is(Refusal::NOENT) => networks::read(network, client, findings)?,
        Err(error) => return Err(error),
    }
    if wrong && network.interfaces.is_empty() {
        // Nothing else was asked for.
        findings.matters();
    }
    Ok(())
}

fn interfaces<T: Transport>(
    network: &mut Network,
    client: &mut Client<T>,
    listing: Listing,
    names: &[u8; NAMES_MAX],
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    if !listing.complete {
        network.sound = false;
        findings.leave_out(format_args!("vm-data/networking: {TOO_MANY}"));
    }
    for name in names.get(..listing.len).unwrap_or_default().split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = core::str::from_utf8(name).unwrap_or_default();
        let Ok(path) = Joined::new(NETWORKING, name) else { continue };
        let value = match client.read(Transaction::NONE, path.as_path()) {
            // Removed in between.
            Err(error) if error.is(Refusal::NOENT) => continue,
            value => value?,
        };
        network.read_one(["networking", name], value, findings);
    }
    Ok(())
}

impl Network {
    /// Reads one interface, in place, from the value of a node of a directory below vm-data. Returns whether there is
    /// none.
    #[inline(never)]
    pub(super) fn read_one(&mut self, node: [&str; 2], value: &[u8], findings: &mut Findings<'_>) -> bool {
        let room = self.interfaces.push(Interface::new(Mac([0; 6]))).map_err(|_| TOO_MANY);
        let parsed = match (room, self.interfaces.last_mut()) {
            (Ok(()), Some(last)) => parse::interface(node, value, last, findings).inspect_err(|_| {
                self.interfaces.pop();
            }),
            (room, _) => room,
        };
        if let Err(error) = parsed {
            self.sound = false;
            let [directory, name] = node;
            findings.leave_out(format_args!("vm-data/{directory}/{}: {error}", Value(name)));
        }
        parsed.is_err()
    }
}

/// A host name of letters, digits, dashes, underscores and dots: what the kernel, a shell and a file name take alike.
/// None of its labels is empty or too long.
pub(crate) fn hostname(value: &[u8]) -> Option<String<HOSTNAME_MAX>> {
    let name = value.trim_ascii();
    let name = name.strip_suffix(b".").unwrap_or(name);
    let good = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    let mut labels = name.split(|c| *c == b'.');
    if !name.first()?.is_ascii_alphanumeric()
        || !labels.all(|label| (1..=LABEL_MAX).contains(&label.len()) && label.iter().all(good))
    {
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
        let long = format!("{}.{}", "a".repeat(63), "b".repeat(63));
        assert_eq!(hostname(long.as_bytes()).as_deref(), Some(long.as_str()), "longer than the kernel takes");
        for bad in [
            "",
            " ",
            "-a",
            ".",
            "a b",
            "a'b",
            "$(reboot)",
            "a\nb",
            "ö",
            &"a".repeat(64),
            "x..y",
            ".x",
            "x..",
            &"abc.".repeat(64),
        ] {
            assert_eq!(hostname(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(hostname(b"a\xff"), None);
    }
}
