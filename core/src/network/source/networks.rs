//! The layout in which Ansible's module xenserver_guest leaves a network for a guest's own agent
//! (`customization_agent` "custom"): `vm-data/networks/<number of the VIF>/`.
//!
//! | key | is |
//! |---|---|
//! | `type`, `type6` | `static`; `dhcp`, or `none`, which leaves the family to the guest |
//! | `ip`, `prefix`, `netmask`, `gateway` | of IPv4, each a text |
//! | `ip6`, `prefix6`, `gateway6` | of IPv6 |
//! | `name`, `mac` | the network's, and the VIF's, which xenstore knows, too, if it is missing |
//!
//! It is put into the form that nova writes, and read as that is. A family without a type is static if there is an
//! address. An interface that says nothing of either family is none.

use core::fmt::{self, Write};

use super::mac_of_vif;
use crate::network::model::Network;
use crate::network::problems::Findings;
use crate::wire::text::Bounded;
use crate::xenstore::{Client, Error, Path, Transport};

const NETWORKS: Path<'static> = Path::literal("vm-data/networks");
/// What the keys of a family end with, and nova's list of its addresses.
const FAMILIES: [(&str, &str); 2] = [("", "ips"), ("6", "ip6s")];
/// The keys, and what they are called in that list. Of two sizes of a network the last one counts.
const KEYS: [(&str, &str); 4] = [("ip", "ip"), ("prefix", "netmask"), ("netmask", "netmask"), ("gateway", "gateway")];
/// Room for an interface in nova's form: at most ten values, of which so much is looked at that one which is longer
/// makes no sense.
type Document = Bounded<1024>;

/// Reads it, in place. Without the directory there is no interface.
#[inline(never)]
pub(super) fn read<T: Transport>(
    network: &mut Network,
    client: &mut Client<T>,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let numbers = client.numbers(NETWORKS)?;
    network.sound &= numbers.complete;
    for vif in numbers.known {
        let mut document = Document::new();
        let Some(left_alone) = document_of(client, vif, &mut document)? else { continue };
        let name = Bounded::<8>::of(format_args!("{}", u64::from(vif)));
        let wrong = network.read_one(["networks", name.as_str()], document.as_str().as_bytes(), findings);
        if let (false, Some(interface)) = (wrong, network.interfaces.last_mut()) {
            (interface.vif, interface.left_alone) = (Some(vif), left_alone);
        }
    }
    Ok(())
}

/// Puts what is said of an interface into nova's form. Returns which families are left to the guest; none if nothing is
/// said of either.
#[inline(never)]
fn document_of<T: Transport>(client: &mut Client<T>, vif: u16, out: &mut Document) -> Result<Option<[bool; 2]>, Error> {
    let (mut left_alone, mut any) = ([true; 2], false);
    let _ = write!(out, "{{\"");
    if let Some(mac) = mac_of_vif(client, vif)? {
        let _ = write!(out, "mac\":\"{mac}\",\"");
    }
    let vif = u64::from(vif);
    for (key, name) in [("mac", "mac"), ("name", "label")] {
        add(client, format_args!("{vif}/{key}"), name, out)?;
    }
    for ((six, list), left_alone) in FAMILIES.iter().zip(&mut left_alone) {
        let kind = client.text(format_args!("{NETWORKS}/{vif}/type{six}"))?;
        let (mut is_static, is_unsaid) = (kind == Some("static"), kind.is_none());
        any |= kind == Some("dhcp");
        let _ = write!(out, "{list}\":{{\"");
        if is_static || is_unsaid {
            for (key, name) in &KEYS {
                is_static |= add(client, format_args!("{vif}/{key}{six}"), name, out)?;
            }
        }
        let _ = write!(out, "enabled\":{}}},\"", u64::from(is_static));
        any |= is_static;
        *left_alone = !is_static;
    }
    let _ = write!(out, "\":0}}");
    Ok(any.then_some(left_alone))
}

/// Adds the value of a key under another name. Returns whether there is one.
#[inline(never)]
fn add<T: Transport>(
    client: &mut Client<T>,
    key: fmt::Arguments<'_>,
    name: &str,
    out: &mut Document,
) -> Result<bool, Error> {
    let value = client.text(format_args!("{NETWORKS}/{key}"))?.unwrap_or_default();
    if !value.is_empty() {
        let _ = write!(out, "{name}\":\"{}\",\"", Plain(value));
    }
    Ok(!value.is_empty())
}

/// As much of a value as is looked at, with a question mark for what would have to be escaped.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars().take(64);
        chars.try_for_each(|c| f.write_char(if c.is_control() || matches!(c, '"' | '\\') { '?' } else { c }))
    }
}
