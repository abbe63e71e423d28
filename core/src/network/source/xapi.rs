//! Addresses that XAPI sets: `VIF.configure_ipv4` and `VIF.configure_ipv6` write
//! `xenserver/device/vif/<n>/static-ip-setting/`, and look for `error-code` and `error-msg` there.
//!
//! * A setting stands in for what vm-data says of a family of the same interface, but for name servers, of which it
//!   knows nothing.
//! * A family that is not set (`enabled` 0) is left as vm-data, or the guest, has it. What vm-data does not know is, in
//!   files that speak of both families, what it is without a setting: DHCP, or what routers announce.
//! * A setting that makes no sense is answered there, and changes nothing. Whatever fails or is left out of the others
//!   is answered, too, where `resetnetwork` would only log it: somebody waits for just this address.
//!
//! Rules: xenopsd's `xc/xenops_server_xen.ml` (`xenstore_of_static_ip_setting`), XAPI's `ocaml/xapi/xapi_vif.ml`.

use core::str::FromStr;

use heapless::String;

use crate::network::model::{Interface, Network};
use crate::network::problems::Findings;
use crate::wire::net::{Family, Ip, Mac, Prefixed, Route};
use crate::wire::text::number;
use crate::xenstore::{Client, Error, Path, Transport};

/// Where the settings are.
pub(crate) const DEVICES: Path<'static> = Path::literal("xenserver/device/vif");
/// Longest value: an IPv6 address with its prefix length has 43 bytes.
const VALUE_MAX: usize = 64;

/// A setting.
pub(crate) enum Setting<'a> {
    /// There is none.
    Missing,
    /// It makes no sense.
    Wrong(&'static str),
    /// This is it.
    Given(&'a mut Interface),
}

/// What is done with the setting of a VIF of this number.
pub(crate) type Each<'e, T> = &'e mut dyn FnMut(&mut Client<T>, u16, Setting<'_>) -> Result<(), Error>;

/// What is said where there are more VIFs than are looked at.
pub(crate) const TOO_MANY: &str = "there are too many VIFs: not all settings were looked at";

/// Calls `each` with the setting of every VIF that has one. Returns whether all were looked at.
pub(crate) fn each_setting<T: Transport>(client: &mut Client<T>, each: Each<'_, T>) -> Result<bool, Error> {
    let numbers = client.numbers(DEVICES)?;
    for number in numbers.known {
        let mut interface = Interface::new(Mac([0; 6]));
        match setting(client, number, &mut interface)? {
            Setting::Missing => {}
            setting => each(client, number, setting)?,
        }
    }
    Ok(numbers.complete)
}

/// Reads the setting of a VIF.
#[inline(never)]
fn setting<'i, T: Transport>(
    client: &mut Client<T>,
    number: u16,
    interface: &'i mut Interface,
) -> Result<Setting<'i>, Error> {
    for (family, [enabled, address, gateway]) in
        [(Family::V4, ["enabled", "address", "gateway"]), (Family::V6, ["enabled6", "address6", "gateway6"])]
    {
        match value(client, number, enabled)?.as_str() {
            "1" => {}
            "2" if family == Family::V4 => {
                return Ok(Setting::Wrong("nanova speaks no DHCP: set it up in the guest's own files"));
            }
            _ => {
                interface.left_alone[family as usize] = true;
                continue;
            }
        }
        let address = value(client, number, address)?;
        let gateway = value(client, number, gateway)?;
        if let Err(wrong) = set(interface, family, &address, &gateway) {
            return Ok(Setting::Wrong(wrong));
        }
    }
    if !Family::BOTH.into_iter().any(|family| interface.speaks_of(family)) {
        return Ok(Setting::Missing);
    }
    Ok(match Mac::parse(&value(client, number, "mac")?) {
        Some(mac) => {
            interface.mac = mac;
            Setting::Given(interface)
        }
        None => Setting::Wrong("mac is no MAC address"),
    })
}

/// Stands for a value that is too long to be one.
const SENSELESS: &str = "?";

/// The value of a key of a setting; what is missing is empty, and what is too long is [`SENSELESS`], which is answered
/// as such.
#[inline(never)]
fn value<T: Transport>(client: &mut Client<T>, number: u16, key: &str) -> Result<String<VALUE_MAX>, Error> {
    let number = u64::from(number);
    let value = client.text(format_args!("{DEVICES}/{number}/static-ip-setting/{key}"))?.unwrap_or_default();
    Ok(value.try_into().unwrap_or_else(|_| SENSELESS.try_into().unwrap_or_default()))
}

/// Gives an interface the address and gateway of a family.
#[inline(never)]
fn set(interface: &mut Interface, family: Family, address: &str, gateway: &str) -> Result<(), &'static str> {
    let address = prefixed(address).filter(|address| address.ip.family() == family);
    let address = address.ok_or("the address is none of its family with a prefix length, such as 10.0.0.5/24")?;
    let _ = interface.addresses.push(address);
    if !gateway.is_empty() {
        let via = Ip::from_str(gateway).ok().filter(|via| via.family() == family && !via.is_unspecified());
        let via = via.ok_or("the gateway is no address of its family")?;
        let _ = interface.routes.push(Route { to: Prefixed::everything(via), via });
    }
    Ok(())
}

/// `10.0.0.5/24`: an address that an interface can have.
fn prefixed(text: &str) -> Option<Prefixed> {
    let (ip, prefix) = text.split_once('/')?;
    let ip = Ip::from_str(ip).ok()?;
    let usable = !ip.is_unspecified() && !ip.is_multicast() && !ip.is_loopback();
    Prefixed::new(ip, number(prefix)?).filter(|_| usable)
}

/// Puts the settings in the place of what `network` says of their interfaces.
pub(crate) fn overlay<T: Transport>(
    network: &mut Network,
    client: &mut Client<T>,
    findings: &mut Findings<'_>,
) -> Result<(), Error> {
    let complete = each_setting(client, &mut |_, _, setting| {
        let Setting::Given(interface) = setting else { return Ok(()) };
        let Network { interfaces, sound, .. } = network;
        let Some(known) = interfaces.iter_mut().find(|known| known.mac == interface.mac) else {
            let interface = core::mem::replace(interface, Interface::new(interface.mac));
            *sound &= interfaces.push(interface).is_ok();
            return Ok(());
        };
        known.addresses.retain(|address| !interface.speaks_of(address.ip.family()));
        known.routes.retain(|route| !interface.speaks_of(route.via.family()));
        for address in &interface.addresses {
            *sound &= known.addresses.push(*address).is_ok();
        }
        for route in &interface.routes {
            *sound &= known.routes.push(*route).is_ok();
        }
        Ok(())
    })?;
    if !complete {
        network.sound = false;
        findings.leave_out(format_args!("{TOO_MANY}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(v4: (&str, &str), v6: (&str, &str)) -> Result<Interface, &'static str> {
        let mut interface = Interface::new(Mac([2, 0, 0, 0, 0, 1]));
        for (family, (address, gateway)) in Family::BOTH.into_iter().zip([v4, v6]) {
            if !address.is_empty() {
                set(&mut interface, family, address, gateway)?;
            }
        }
        Ok(interface)
    }

    #[test]
    fn a_setting_is_an_interface() {
        let interface = both(("10.0.0.5/24", "10.0.0.1"), ("2001:db8::5/64", "fe80::1")).unwrap();
        let shown = |one: &dyn std::fmt::Display| one.to_string();
        assert_eq!(
            interface.addresses.iter().map(|a| shown(a)).collect::<std::vec::Vec<_>>(),
            ["10.0.0.5/24", "2001:db8::5/64"]
        );
        assert_eq!(interface.gateway(Family::V4).map(|via| shown(&via)).as_deref(), Some("10.0.0.1"));
        assert_eq!(interface.gateway(Family::V6).map(|via| shown(&via)).as_deref(), Some("fe80::1"));
        assert_eq!(both(("10.0.0.5/32", ""), ("", "")).unwrap().routes.len(), 0);
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let bad = [
            "10.0.0.5",
            "10.0.0.5/",
            "10.0.0.5/33",
            "10.0.0.5/+8",
            "10.0.0/24",
            "2001:db8::5/64",
            "127.0.0.1/8",
            "0.0.0.0/0",
            "224.0.0.1/4",
        ];
        for address in bad {
            assert!(both((address, ""), ("", "")).is_err(), "{address}");
        }
        for gateway in ["x", "::1", "0.0.0.0", "10.0.0.1/24"] {
            assert!(both(("10.0.0.5/24", gateway), ("", "")).is_err(), "{gateway}");
        }
    }
}
