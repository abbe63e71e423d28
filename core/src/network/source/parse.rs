//! One value of `vm-data/networking/<MAC>` into an [`Interface`].
//!
//! The form is nova's (`nova/virt/xenapi/vmops.py`, `_get_network_info`-to-xenstore), with the variants that other
//! toolstacks write: members missing or null, "address" for "ip", "gateway6" for "gateway_v6", a netmask dotted or as a
//! prefix, numbers as strings. Members of other names are passed over. A disabled address is left out, and so is a
//! static route that says what the gateway says. Values that are not what they should be are an error: half a network
//! is worse than a message.

use crate::network::model::Interface;
use crate::wire::json::walk::{Pieces, member, scalar};
use crate::wire::json::{Value, members};
use crate::wire::net::{Family, Ip, Mac, Prefixed, Route};
use crate::wire::text::number;
use crate::wire::xenstore::PAYLOAD_MAX;

/// Why there is no interface: what makes no sense, or of what there is too much.
pub type ParseError = &'static str;

/// Parses the value of the node `name` into an interface that has nothing yet.
#[inline(never)]
pub fn interface(name: &str, document: &[u8], interface: &mut Interface) -> Result<(), ParseError> {
    const NOT_JSON: ParseError = "not a JSON object";
    // As a member of another document: that hands back the whole, made plain.
    let mut room = heapless::Vec::<u8, { PAYLOAD_MAX + 16 }>::new();
    for piece in [b"{\"value\":", document, b"}"] {
        room.extend_from_slice(piece).map_err(|_| NOT_JSON)?;
    }
    let Ok([_, Value::Object(document)]) = members(&mut room, ["name", "value"]) else { return Err(NOT_JSON) };
    let mac = Mac::parse(name).or_else(|| Mac::parse(text(document, &["mac"])?));
    interface.mac = mac.ok_or("no MAC address in its name")?;
    if let Some(label) = text(document, &["label"])
        && !label.contains(|c: char| c.is_control() || c == '\\')
    {
        // It is for people; one that is too long is worse than none.
        let _ = interface.label.push_str(label);
    }
    interface.broadcast = ip(document, &["broadcast"], "'broadcast' makes no sense")?;
    interface.mtu = mtu(document)?;
    let mut gateways = [None; 4];
    gateways[0] = ip(document, &["gateway"], BAD_GATEWAY)?;
    gateways[1] = ip(document, &["gateway_v6", "gateway6"], "'gateway_v6' makes no sense")?;
    for name in ["ips", "ip6s"] {
        for address in Pieces::of(member(document, &[name]).unwrap_or_default()) {
            add_address(interface, &mut gateways, address)?;
        }
    }
    for server in Pieces::of(member(document, &["dns"]).unwrap_or_default()) {
        let Some(server) = scalar(server) else { continue };
        let server = server.parse().map_err(|_| "'dns' makes no sense")?;
        interface.dns.push(server).map_err(|_| "too many name servers")?;
    }
    for route in Pieces::of(member(document, &["routes"]).unwrap_or_default()) {
        let to = prefixed(route, &["route", "network"], "'route' makes no sense")?.network();
        let via = ip(route, &["gateway"], BAD_GATEWAY)?.filter(|via| via.family() == to.ip.family());
        let via = via.ok_or(BAD_GATEWAY)?;
        // One to everything counts where the toolstack names no gateway.
        if to.prefix == 0 {
            gateways[usize::from(via.family() == Family::V6) + 2].get_or_insert(via);
        } else {
            add_route(interface, Route { to, via })?;
        }
    }
    for via in gateways {
        if let Some(via) = via
            && interface.gateway(via.family()).is_none()
        {
            add_route(interface, Route { to: Prefixed::everything(via), via })?;
        }
    }
    Ok(())
}

const BAD_IP: ParseError = "'ip' makes no sense";
const BAD_GATEWAY: ParseError = "'gateway' makes no sense";

/// Adds an element of "ips" or "ip6s", unless it is disabled. Its gateway counts if its family has none.
#[inline(never)]
fn add_address(interface: &mut Interface, gateways: &mut [Option<Ip>; 4], address: &str) -> Result<(), ParseError> {
    if matches!(text(address, &["enabled"]), Some("0" | "false")) {
        return Ok(());
    }
    let prefixed = prefixed(address, &["ip", "address"], BAD_IP)?;
    if prefixed.ip.is_multicast() {
        return Err(BAD_IP);
    }
    if let Some(via) = ip(address, &["gateway"], BAD_GATEWAY)? {
        gateways[usize::from(via.family() == Family::V6) + 2].get_or_insert(via);
    }
    if interface.addresses.contains(&prefixed) {
        return Ok(());
    }
    interface.addresses.push(prefixed).map_err(|_| "too many addresses")
}

fn add_route(interface: &mut Interface, route: Route) -> Result<(), ParseError> {
    if interface.routes.contains(&route) {
        return Ok(());
    }
    interface.routes.push(route).map_err(|_| "too many routes")
}

fn text<'a>(object: &'a str, names: &[&str]) -> Option<&'a str> {
    member(object, names).and_then(scalar)
}

/// The address in a member; none if that is missing, empty, or the unspecified address.
fn ip(object: &str, names: &[&str], wrong: ParseError) -> Result<Option<Ip>, ParseError> {
    match text(object, names).map(str::parse::<Ip>) {
        None => Ok(None),
        Some(Ok(ip)) => Ok(Some(ip).filter(|ip| !ip.is_unspecified())),
        Some(Err(_)) => Err(wrong),
    }
}

/// An address or network, and the netmask beside it.
fn prefixed(object: &str, names: &[&str], wrong: ParseError) -> Result<Prefixed, ParseError> {
    let ip = text(object, names).and_then(|ip| ip.parse().ok()).ok_or(wrong)?;
    let mask = text(object, &["netmask"]).and_then(prefix);
    mask.and_then(|prefix| Prefixed::new(ip, prefix)).ok_or("'netmask' makes no sense")
}

/// From the smallest that IPv4 takes (RFC 791) to the largest that an Ethernet device can have.
fn mtu(document: &str) -> Result<Option<u16>, ParseError> {
    match text(document, &["mtu"]) {
        None | Some("") => Ok(None),
        Some(number) => {
            let mtu = crate::wire::text::number::<u16>(number);
            mtu.filter(|mtu| *mtu >= 68).map(Some).ok_or("'mtu' makes no sense")
        }
    }
}

/// A netmask as a prefix length: `255.255.255.0`, `24`. No bits may be missing in between.
fn prefix(netmask: &str) -> Option<u8> {
    if let Ok(mask) = netmask.parse::<Ip>() {
        let ones = mask.bits().leading_ones();
        let whole = mask.family() == Family::V4 && mask.bits().count_ones() == ones;
        return whole.then_some(ones as u8);
    }
    number(netmask)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::{any, prop, proptest};

    /// The first seed's value.
    pub(crate) const PUBLIC: &str = r#"{
    "broadcast": "166.78.10.255",
    "dns": [ "72.3.128.241", "72.3.128.240" ],
    "gateway": "166.78.10.1",
    "gateway_v6": "fe80::def",
    "ip6s": [ { "enabled": "1", "gateway": "fe80::def", "ip": "2001:4800:7810:0512:e38a:a8b5:ff04:cfe5",
      "netmask": 64 } ],
    "ips": [ { "enabled": "1", "gateway": "166.78.10.1", "ip": "166.78.10.124", "netmask": "255.255.255.0" } ],
    "label": "public",
    "mac": "BC:76:4E:04:CF:E5"
}"#;
    /// The other one, as far as the first seed shows it, with the routes that such a network had.
    pub(crate) const PRIVATE: &str = r#"{"label": "private", "broadcast": "10.181.127.255",
        "ips": [{"ip": "10.181.30.181", "netmask": "255.255.128.0", "enabled": "1", "gateway": null}],
        "mac": "BC:76:4E:04:D9:36", "dns": ["72.3.128.241", "72.3.128.240"], "gateway": null,
        "routes": [{"route": "10.208.0.0", "netmask": "255.240.0.0", "gateway": "10.181.0.1"},
                   {"route": "10.176.0.9", "netmask": "255.240.0.0", "gateway": "10.181.0.1"}]}"#;

    pub(crate) fn public() -> Interface {
        parsed("BC764E04CFE5", PUBLIC.as_bytes()).unwrap()
    }

    pub(crate) fn private() -> Interface {
        parsed("BC764E04D936", PRIVATE.as_bytes()).unwrap()
    }

    /// One that has more than one of everything, and gateways that are in none of its networks.
    pub(crate) const RICH: &str = r#"{"ips":[{"ip":"10.0.0.5","netmask":24},{"ip":"10.0.1.5","netmask":24}],
        "ip6s":[{"ip":"2001:db8::5","netmask":64},{"ip":"2001:db8::6","netmask":64},{"ip":"2001:db8::7","netmask":128}],
        "gateway":"172.16.0.1","gateway_v6":"2001:db9::1","mtu":1400,"dns":["9.9.9.9","2620:fe::fe"],
        "routes":[{"route":"10.208.0.0","netmask":12,"gateway":"10.0.1.1"},
                  {"route":"192.0.2.0","netmask":24,"gateway":"172.16.0.1"},
                  {"route":"2001:db8:1::","netmask":48,"gateway":"2001:db8::1"}]}"#;

    pub(crate) fn parsed(name: &str, document: &[u8]) -> Result<Interface, ParseError> {
        let mut found = Interface::new(Mac([0; 6]));
        interface(name, document, &mut found).map(|()| found)
    }

    /// The interface in one line.
    fn shown(document: &str) -> Result<String, ParseError> {
        let found = parsed("020000000001", document.as_bytes())?;
        let mut text = String::new();
        for address in &found.addresses {
            text += &format!("{address} ");
        }
        for route in &found.routes {
            text += &format!("{} via {} ", route.to, route.via);
        }
        for server in &found.dns {
            text += &format!("dns {server} ");
        }
        if let Some(mtu) = found.mtu {
            text += &format!("mtu {mtu}");
        }
        Ok(text.trim_end().to_owned())
    }

    #[test]
    fn the_values_of_a_real_guest() {
        let public = public();
        assert_eq!(public.mac.to_string(), "bc:76:4e:04:cf:e5");
        assert_eq!(public.label, "public");
        assert_eq!(public.broadcast.unwrap().to_string(), "166.78.10.255");
        assert_eq!(
            shown(PUBLIC).unwrap(),
            "166.78.10.124/24 2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64 0.0.0.0/0 via 166.78.10.1 ::/0 via fe80::def \
             dns 72.3.128.241 dns 72.3.128.240"
        );
        assert_eq!(
            shown(PRIVATE).unwrap(),
            "10.181.30.181/17 10.208.0.0/12 via 10.181.0.1 10.176.0.0/12 via 10.181.0.1 dns 72.3.128.241 dns \
             72.3.128.240"
        );
    }

    #[test]
    fn all_spellings_of_all_writers() {
        let cases = [
            ("{}", ""),
            (r#"{"ips":null,"ip6s":null,"routes":null,"dns":null,"gateway":null,"label":null,"broadcast":null}"#, ""),
            (r#"{"ips":[],"ip6s":[],"gateway":"","gateway_v6":""}"#, ""),
            (r#"{"ips":[{"ip":"10.0.0.5","netmask":"24"}]}"#, "10.0.0.5/24"),
            (r#"{"ips":[{"ip":"10.0.0.5","netmask":24,"enabled":1}]}"#, "10.0.0.5/24"),
            (r#"{"ips":[{"ip":"10.0.0.5","netmask":24,"enabled":0}]}"#, ""),
            (r#"{"ips":[{"ip":"10.0.0.5","netmask":24,"enabled":"0"}]}"#, ""),
            (r#"{"ips":[{"ip":"10.0.0.5","netmask":24},{"ip":"10.0.0.5","netmask":24}]}"#, "10.0.0.5/24"),
            (
                r#"{"ip6s":[{"address":"2001:db8::5","netmask":"64"}],"gateway6":"fe80::1"}"#,
                "2001:db8::5/64 ::/0 via fe80::1",
            ),
            (r#"{"ips":[{"ip":"10.0.0.5","netmask":24,"gateway":"10.0.0.1"}]}"#, "10.0.0.5/24 0.0.0.0/0 via 10.0.0.1"),
            (
                r#"{"gateway":"10.0.0.1","ips":[{"ip":"10.0.0.5","netmask":24,"gateway":"10.0.0.2"}]}"#,
                "10.0.0.5/24 0.0.0.0/0 via 10.0.0.1",
            ),
            (
                r#"{"gateway":"10.0.0.1","routes":[{"route":"0.0.0.0","netmask":"0.0.0.0","gateway":"10.0.0.1"}]}"#,
                "0.0.0.0/0 via 10.0.0.1",
            ),
            (r#"{"routes":[{"route":"0.0.0.0","netmask":"0.0.0.0","gateway":"10.0.0.1"}]}"#, "0.0.0.0/0 via 10.0.0.1"),
            (r#"{"mtu":1400}"#, "mtu 1400"),
            (r#"{"mtu":"9000"}"#, "mtu 9000"),
            (r#"{"mtu":null}"#, ""),
            (r#"{"dns":["\u0031.1.1.1","2606:4700:4700::1111"]}"#, "dns 1.1.1.1 dns 2606:4700:4700::1111"),
        ];
        for (document, wanted) in cases {
            assert_eq!(shown(document).as_deref(), Ok(wanted), "{document}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let cases = [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            (r#"{"ips":[}"#, "not a JSON object"),
            (r#"{"ips":[{}]}"#, "'ip' makes no sense"),
            (r#"{"ips":[{"ip":"10.0.0.5"}]}"#, "'netmask' makes no sense"),
            (r#"{"ips":[{"ip":"10.0.0.5","netmask":33}]}"#, "'netmask' makes no sense"),
            (r#"{"ips":[{"ip":"10.0.0.5","netmask":"255.0.255.0"}]}"#, "'netmask' makes no sense"),
            (r#"{"ips":[{"ip":"10.0.0.5; reboot","netmask":24}]}"#, "'ip' makes no sense"),
            (r#"{"ips":[{"ip":"224.0.0.5","netmask":24}]}"#, "'ip' makes no sense"),
            (r#"{"gateway":"$(reboot)"}"#, "'gateway' makes no sense"),
            (r#"{"mtu":67}"#, "'mtu' makes no sense"),
            (r#"{"mtu":65536}"#, "'mtu' makes no sense"),
            (r#"{"dns":["a"]}"#, "'dns' makes no sense"),
            (r#"{"routes":[{"route":"10.0.0.0","netmask":"255.0.0.0"}]}"#, "'gateway' makes no sense"),
            (r#"{"routes":[{"route":"10.0.0.0","netmask":8,"gateway":"fe80::1"}]}"#, "'gateway' makes no sense"),
        ];
        for (document, error) in cases {
            assert_eq!(shown(document), Err(error), "{document}");
        }
        assert_eq!(parsed("eth0", b"{}"), Err("no MAC address in its name"));
        assert!(parsed("eth0", br#"{"mac":"bc:76:4e:04:cf:e5"}"#).is_ok());
        let many = format!(r#"{{"dns":[{}]}}"#, [r#""1.1.1.1""#; crate::network::model::DNS_MAX + 1].join(","));
        assert_eq!(shown(&many), Err("too many name servers"));
    }

    #[test]
    fn a_label_for_people_is_kept_or_left_out() {
        let label = |text: &str| parsed("020000000001", format!(r#"{{"label":"{text}"}}"#).as_bytes()).unwrap().label;
        assert_eq!(label("Öffentlich"), "Öffentlich");
        assert!(label("a\\nb").is_empty() && label(&"a".repeat(65)).is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), word in r#"[ -~]{0,40}"#) {
            let _ = parsed("020000000001", &bytes);
            for member in ["ips", "routes", "dns", "gateway", "label"] {
                let _ = parsed(&word, format!(r#"{{"{member}":[{{"ip":"{word}","route":{word}}}]}}"#).as_bytes());
            }
        }
    }
}
