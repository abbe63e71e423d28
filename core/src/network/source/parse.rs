//! One value of `vm-data/networking/<MAC>` into an [`Interface`].
//!
//! The form is nova's (`nova/virt/xenapi/vmops.py`, `_get_network_info`-to-xenstore), with the variants that it and
//! other toolstacks write:
//!
//! * members missing, null, empty or "None"; "address" for "ip", "gateway6" for "gateway_v6"; one element, or a string,
//!   in the place of a list;
//! * a netmask dotted, as an IPv6 address, as a prefix length, or behind the address (`10.0.0.5/24`); numbers as
//!   strings; an address with a scope (`fe80::1%eth0`), which the interface itself is;
//! * a route whose next hop is missing or unspecified leads to neighbours.
//!
//! Members of other names are passed over, and so is what says a thing twice. A disabled address is left out. Of
//! several default routes one in "routes" counts (RFC 3442: it was meant), or else "gateway", or else an address's own.
//!
//! What makes no sense is left out and told, with its value; the rest is done.

use heapless::Vec;

use crate::network::model::{Interface, ROUTES_MAX};
use crate::network::problems::{Findings, Value as Shown};
use crate::wire::json::walk::{Pieces, member, scalar};
use crate::wire::json::{Value, members};
use crate::wire::net::{Family, Ip, Mac, Prefixed, Route};
use crate::wire::text::number;
use crate::wire::xenstore::PAYLOAD_MAX;

/// Why there is no interface at all.
pub type ParseError = &'static str;

/// What a gateway is called in an answer.
const GATEWAY: &str = "'gateway'";
/// What an address is called.
const IP: &str = "'ip'";
/// How an address may be called in a value.
const IPS: [&str; 3] = ["ip", "address", "addr"];
/// The same of its network's size,
const NETMASKS: [&str; 3] = ["netmask", "prefix", "prefixlen"];
/// of a network that a route leads to,
const NETWORKS: [&str; 4] = ["route", "network", "destination", "to"];
/// and of its next hop.
const HOPS: [&str; 4] = ["gateway", "via", "next_hop", "nexthop"];

/// Parses the value of a node of a directory below vm-data into an interface that has nothing yet.
#[inline(never)]
pub(crate) fn interface(
    node: [&str; 2],
    document: &[u8],
    interface: &mut Interface,
    findings: &mut Findings<'_>,
) -> Result<(), ParseError> {
    const NOT_JSON: ParseError = "not a JSON object";
    // As a member of another document: that hands back the whole, made plain.
    let mut room = Vec::<u8, { PAYLOAD_MAX + 16 }>::new();
    for piece in [b"{\"value\":", document, b"}"] {
        room.extend_from_slice(piece).map_err(|_| NOT_JSON)?;
    }
    let Ok([_, Value::Object(document)]) = members(&mut room, ["name", "value"]) else { return Err(NOT_JSON) };
    let mac = Mac::parse(node[1]).or_else(|| Mac::parse(text(document, &["mac"])?));
    interface.mac = mac.ok_or("no MAC address in its name")?;
    let mut reader = Reader { interface, findings, node, defaults: [None; 2], others: Vec::new(), lost: [false; 2] };
    reader.label(text(document, &["label"]).unwrap_or_default());
    reader.interface.broadcast = text(document, &["broadcast"]).and_then(|ip| reader.ip("'broadcast'", ip));
    reader.mtu(text(document, &["mtu"]));
    for_each_address(document, &mut |address| {
        let ip = text(address, &IPS).or_else(|| plain(address));
        reader.address(ip.unwrap_or_default(), text(address, &NETMASKS));
    });
    for servers in elements(document, "dns") {
        reader.servers(servers);
    }
    for route in elements(document, "routes") {
        reader.route(route);
    }
    for (name, family) in [("gateway", Family::V4), ("gateway_v6", Family::V6), ("gateway6", Family::V6)] {
        reader.gateway(family, text(document, &[name]));
    }
    for_each_address(document, &mut |address| {
        let family = text(address, &IPS).and_then(ip).map_or(Family::V4, Ip::family);
        reader.gateway(family, text(address, &["gateway"]));
    });
    reader.finish();
    Ok(())
}

/// Calls `each` with the elements of "ips" and "ip6s" that are not disabled.
fn for_each_address(document: &str, each: &mut dyn FnMut(&str)) {
    for name in ["ips", "ip6s"] {
        for address in elements(document, name) {
            let enabled = text(address, &["enabled"]).unwrap_or("1");
            if !["0", "false", "no", "off"].iter().any(|no| enabled.eq_ignore_ascii_case(no)) {
                each(address);
            }
        }
    }
}

/// The elements of a member that is a list, or what it is if it is none.
struct Elements<'a> {
    list: Pieces<'a>,
    alone: Option<&'a str>,
}

#[inline(never)]
fn elements<'a>(document: &'a str, name: &str) -> Elements<'a> {
    let value = member(document, &[name]).unwrap_or_default();
    let (list, alone) = if value.starts_with('[') { (value, None) } else { ("", Some(value)) };
    Elements { list: Pieces::of(list), alone }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    #[inline(never)]
    fn next(&mut self) -> Option<&'a str> {
        loop {
            let element = self.alone.take().or_else(|| self.list.next())?;
            if !matches!(element, "" | "null" | "\"\"") {
                return Some(element);
            }
        }
    }
}

/// The text of a member that has any.
#[inline(never)]
fn text<'a>(object: &'a str, names: &[&str]) -> Option<&'a str> {
    member(object, names).and_then(plain)
}

/// The text of a string or number; none if it says that there is none, as Python does.
#[inline(never)]
fn plain(value: &str) -> Option<&str> {
    let text = scalar(value)?.trim_ascii();
    (!text.is_empty() && !["none", "null"].iter().any(|none| text.eq_ignore_ascii_case(none))).then_some(text)
}

/// An address, whatever scope or size of a network stands behind it.
#[inline(never)]
fn ip(text: &str) -> Option<Ip> {
    let end = text.bytes().position(|byte| matches!(byte, b'%' | b'/')).unwrap_or(text.len());
    text.get(..end)?.trim_ascii().parse().ok()
}

/// Puts an interface together from what the host says.
struct Reader<'r, 'n> {
    interface: &'r mut Interface,
    findings: &'r mut Findings<'n>,
    /// The directory below vm-data, and the node in it.
    node: [&'r str; 2],
    /// The default route of each family that counts, so far: its next hop.
    defaults: [Option<Ip>; 2],
    /// The others, each told once.
    others: Vec<Ip, 8>,
    /// Whether one of a family makes no sense.
    lost: [bool; 2],
}

impl Reader<'_, '_> {
    /// Says that a value is not what it should be.
    #[inline(never)]
    fn senseless(&mut self, what: &str, value: &str) {
        self.leave_out(what, "makes no sense", value);
    }

    fn leave_out(&mut self, what: &str, why: &str, value: &str) {
        let [directory, name] = self.node;
        self.findings.leave_out(format_args!("vm-data/{directory}/{}: {what} {why}: {}", Shown(name), Shown(value)));
    }

    /// An address that is said to be one; a word more, if it is none.
    fn ip(&mut self, what: &str, text: &str) -> Option<Ip> {
        let found = ip(text);
        if found.is_none() {
            self.senseless(what, text);
        }
        found
    }

    /// What the network is called: for people, so that one that is too long is worse than none.
    fn label(&mut self, label: &str) {
        if !label.contains(|c: char| c.is_control() || c == '\\') {
            let _ = self.interface.label.push_str(label);
        }
    }

    /// From the smallest that IPv4 takes (RFC 791) to the largest that an Ethernet device can have.
    fn mtu(&mut self, text: Option<&str>) {
        let Some(text) = text else { return };
        self.interface.mtu = number(text).filter(|mtu| *mtu >= 68);
        if self.interface.mtu.is_none() {
            self.senseless("'mtu'", text);
        }
    }

    /// An address and the size of its network, which may stand behind it.
    #[inline(never)]
    fn address(&mut self, ip: &str, mask: Option<&str>) {
        let Some(address) = self.prefixed(IP, ip, mask) else { return self.unread() };
        if address.ip.is_multicast() || address.ip.is_unspecified() {
            self.senseless(IP, ip);
            return self.unread();
        }
        if !self.interface.addresses.contains(&address) && self.interface.addresses.push(address).is_err() {
            self.leave_out(IP, "is one too many", ip);
            self.unread();
        }
    }

    fn unread(&mut self) {
        self.interface.is_unread = true;
        self.findings.matters();
    }

    /// An address or network, and the netmask beside or behind it.
    fn prefixed(&mut self, what: &str, text: &str, mask: Option<&str>) -> Option<Prefixed> {
        let ip = self.ip(what, text)?;
        let mask = mask.or_else(|| Some(text.split_once('/')?.1)).unwrap_or_default();
        let prefixed = prefix(mask, ip.family()).and_then(|prefix| Prefixed::new(ip, prefix));
        if prefixed.is_none() {
            self.leave_out("'netmask'", "makes no sense", mask);
        }
        prefixed
    }

    /// Name servers: one, several in one string, or an object as addresses are.
    fn servers(&mut self, element: &str) {
        let servers = text(element, &IPS).or_else(|| plain(element)).unwrap_or_default();
        for server in servers.split([',', ';', ' ']).filter(|server| !server.is_empty()) {
            let Some(ip) = self.ip("'dns'", server) else { continue };
            if !self.interface.dns.contains(&ip) && self.interface.dns.push(ip).is_err() {
                self.leave_out("'dns'", "is one too many", server);
            }
        }
    }

    /// An element of "routes".
    #[inline(never)]
    fn route(&mut self, element: &str) {
        let hop = text(element, &HOPS);
        let via = hop.map(ip);
        let to = match text(element, &NETWORKS).unwrap_or_default() {
            "default" => via.flatten().map(Prefixed::everything),
            to => self.prefixed("'route'", to, text(element, &NETMASKS)),
        };
        let Some(to) = to.map(|to| to.network()) else { return };
        let family = to.ip.family();
        let via = match via {
            Some(Some(via)) if !via.is_unspecified() => Some(via).filter(|via| via.family() == family),
            Some(None) => None,
            _ => Some(Ip::unspecified(family)),
        };
        let Some(via) = via else {
            self.senseless(GATEWAY, hop.unwrap_or_default());
            self.lost[family as usize] |= to.prefix == 0;
            return;
        };
        if to.prefix == 0 { self.offer(via) } else { self.add_route(Route { to, via }) }
    }

    fn add_route(&mut self, route: Route) {
        let interface = &mut self.interface;
        // The kernel makes it with the address.
        let comes_with_address = interface.addresses.iter().any(|address| address.network() == route.to);
        if interface.routes.contains(&route) || comes_with_address && route.neighbour().is_none() {
            return;
        }
        let why = match interface.routes.iter().find(|known| known.to == route.to) {
            Some(_) => "another one leads there",
            None if comes_with_address && route.to.ip.family() == Family::V4 => "it is the link's own network",
            // Two have room always: the default routes, which come last.
            None if interface.routes.len() + 2 >= ROUTES_MAX => "there are too many",
            None => {
                let _ = interface.routes.push(route);
                return;
            }
        };
        self.not_this(route, why);
    }

    #[inline(never)]
    fn not_this(&mut self, route: Route, why: &str) {
        let [directory, name] = self.node;
        self.findings.leave_out(format_args!("vm-data/{directory}/{}: the route to {route}: {why}", Shown(name)));
    }

    /// A way to everything, which counts if there is none yet.
    fn offer(&mut self, via: Ip) {
        let known = self.defaults[via.family() as usize].get_or_insert(via);
        if *known != via && !self.others.contains(&via) {
            let _ = self.others.push(via);
            self.not_this(Route { to: Prefixed::everything(via), via }, "another one leads there");
        }
    }

    /// A gateway; one that is missing or unspecified is none.
    #[inline(never)]
    fn gateway(&mut self, family: Family, text: Option<&str>) {
        let Some(text) = text else { return };
        match self.ip(GATEWAY, text) {
            Some(via) if via.is_unspecified() => {}
            Some(via) => self.offer(via),
            None => self.lost[family as usize] = true,
        }
    }

    /// That was all.
    fn finish(self) {
        for via in self.defaults.iter().flatten().copied() {
            let _ = self.interface.routes.push(Route { to: Prefixed::everything(via), via });
        }
        if self.lost.iter().zip(&self.defaults).any(|(lost, found)| *lost && found.is_none()) {
            self.findings.matters();
        }
    }
}

/// A netmask as a prefix length: `255.255.255.0`, `ffff:ffff::`, `24`. No bits may be missing in between.
fn prefix(netmask: &str, family: Family) -> Option<u8> {
    if let Ok(mask) = netmask.parse::<Ip>() {
        let ones = mask.bits().leading_ones();
        let whole = mask.family() == family && mask.bits().count_ones() == ones;
        return whole.then_some(ones as u8);
    }
    number(netmask.strip_prefix('/').unwrap_or(netmask))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::network::problems::Problems;
    use crate::network::problems::tests::Lines;
    use proptest::prelude::{any, prop, proptest};

    type Vec<T> = std::vec::Vec<T>;

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
        read(name, document).map(|(found, _, _)| found)
    }

    /// The interface, what was left out, and whether all that matters is there.
    fn read(name: &str, document: &[u8]) -> Result<(Interface, String, bool), ParseError> {
        let (mut found, mut log, mut problems) = (Interface::new(Mac([0; 6])), Lines::default(), Problems::new());
        interface(
            ["networking", name],
            document,
            &mut found,
            &mut Findings { log: &mut log, problems: &mut problems },
        )?;
        let complete = problems.is_complete();
        Ok((found, problems.message(&mut log).as_str().to_owned(), complete))
    }

    /// The interface in one line.
    fn shown(document: &str) -> Result<String, ParseError> {
        let found = parsed("020000000001", document.as_bytes())?;
        let mut text = String::new();
        for address in &found.addresses {
            text += &format!("{address} ");
        }
        for route in &found.routes {
            text += &format!("{route} ");
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
    fn what_other_hosts_write_is_understood() {
        let cases = [
            (r#"{"broadcast":"None","ips":[{"ip":"10.0.0.5","netmask":"255.255.255.254"}]}"#, "10.0.0.5/31"),
            (r#"{"ip6s":[{"ip":"2001:db8::5","netmask":"ffff:ffff:ffff::"}]}"#, "2001:db8::5/48"),
            (r#"{"ip6s":[{"ip":"2001:db8::5/64"}]}"#, "2001:db8::5/64"),
            (r#"{"ips":["10.0.0.5/24"]}"#, "10.0.0.5/24"),
            (r#"{"ips":"10.0.0.5/255.255.0.0"}"#, "10.0.0.5/16"),
            (r#"{"ips":{"address":" 10.0.0.5 ","prefix":"/24","gateway":null}}"#, "10.0.0.5/24"),
            (r#"{"ips":[{"ip":"10.0.0.5","netmask":24,"enabled":true}]}"#, "10.0.0.5/24"),
            (r#"{"ips":[{"ip":"10.0.0.5","netmask":24,"enabled":"False"},null]}"#, ""),
            (r#"{"gateway_v6":"fe80::1%eth0","gateway":"None"}"#, "::/0 via fe80::1"),
            (r#"{"dns":null}"#, ""),
            (r#"{"dns":"1.1.1.1"}"#, "dns 1.1.1.1"),
            (r#"{"dns":["1.1.1.1, 9.9.9.9",null,"","1.1.1.1"]}"#, "dns 1.1.1.1 dns 9.9.9.9"),
            (r#"{"dns":[{"address":"1.1.1.1"}]}"#, "dns 1.1.1.1"),
            (r#"{"routes":[{"route":"10.0.0.0","netmask":"255.0.0.0","gateway":"0.0.0.0"}]}"#, "10.0.0.0/8"),
            (r#"{"routes":[{"route":"2001:db8::","netmask":"ffff:ffff::","gateway":"::"}]}"#, "2001:db8::/32"),
            (r#"{"routes":[{"route":"2001:db8::","netmask":32,"gateway":"0.0.0.0"}]}"#, "2001:db8::/32"),
            (r#"{"routes":[{"route":"10.0.0.0","netmask":8,"gateway":null}]}"#, "10.0.0.0/8"),
            (r#"{"routes":[{"network":"10.0.0.0/8","via":"192.0.2.1"}]}"#, "10.0.0.0/8 via 192.0.2.1"),
            (r#"{"routes":[{"route":"::","netmask":"::","gateway":"fe80::1"}]}"#, "::/0 via fe80::1"),
            (r#"{"routes":[{"route":"default","gateway":"192.0.2.1"}]}"#, "0.0.0.0/0 via 192.0.2.1"),
            (r#"{"routes":[{"route":"0.0.0.0","netmask":"0.0.0.0","gateway":null}]}"#, "0.0.0.0/0"),
            // The kernel makes it with the address.
            (
                r#"{"ips":["10.0.0.5/24"],"routes":[{"route":"10.0.0.0","netmask":24,"gateway":"0.0.0.0"}]}"#,
                "10.0.0.5/24",
            ),
        ];
        for (document, wanted) in cases {
            assert_eq!(shown(document).as_deref(), Ok(wanted), "{document}");
            assert_eq!(read("020000000001", document.as_bytes()).unwrap().1, "", "{document}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named_and_the_rest_is_done() {
        // What is left out, whether that matters, and what is done.
        let cases = [
            (r#"{"dns":["a","1.1.1.1"]}"#, "'dns' makes no sense: a", true, "dns 1.1.1.1"),
            (r#"{"mtu":67}"#, "'mtu' makes no sense: 67", true, ""),
            (r#"{"mtu":65536}"#, "'mtu' makes no sense: 65536", true, ""),
            (r#"{"broadcast":"x"}"#, "'broadcast' makes no sense: x", true, ""),
            (r#"{"ips":[{}]}"#, "'ip' makes no sense: {}", false, ""),
            (r#"{"ips":[{"ip":"10.0.0.5"},"10.0.0.6/24"]}"#, "'netmask' makes no sense: nothing", false, "10.0.0.6/24"),
            (r#"{"ips":["10.0.0.5/33"]}"#, "'netmask' makes no sense: 33", false, ""),
            (
                r#"{"ips":[{"ip":"10.0.0.5","netmask":"255.0.255.0"}]}"#,
                "'netmask' makes no sense: 255.0.255.0",
                false,
                "",
            ),
            (r#"{"ip6s":[{"ip":"::5","netmask":"255.0.0.0"}]}"#, "'netmask' makes no sense: 255.0.0.0", false, ""),
            (r#"{"ips":[{"ip":"10.0.0.5; reboot","netmask":24}]}"#, "'ip' makes no sense: 10.0.0.5; reboot", false, ""),
            (r#"{"ips":["224.0.0.5/24"]}"#, "'ip' makes no sense: 224.0.0.5/24", false, ""),
            (r#"{"ips":["0.0.0.0/24"]}"#, "'ip' makes no sense: 0.0.0.0/24", false, ""),
            (r#"{"gateway":"$(reboot)"}"#, "'gateway' makes no sense: $(reboot)", false, ""),
            // Another one is there.
            (
                r#"{"gateway":"x","ips":[{"ip":"10.0.0.5/24","gateway":"10.0.0.1"}]}"#,
                "'gateway' makes no sense: x",
                true,
                "10.0.0.5/24 0.0.0.0/0 via 10.0.0.1",
            ),
            (
                r#"{"routes":[{"route":"10.0.0.0","netmask":8,"gateway":"fe80::1"}]}"#,
                "'gateway' makes no sense: fe80::1",
                true,
                "",
            ),
            (
                r#"{"routes":[{"route":"0.0.0.0","netmask":0,"gateway":"fe80::1"}]}"#,
                "'gateway' makes no sense: fe80::1",
                false,
                "",
            ),
            (
                r#"{"ips":["10.0.0.5/24"],"routes":[{"route":"10.0.0.0/24","gateway":"10.0.0.9"}]}"#,
                "the route to 10.0.0.0/24 via 10.0.0.9: it is the link's own network",
                true,
                "10.0.0.5/24",
            ),
        ];
        for (document, left_out, complete, wanted) in cases {
            let (_, said, is_complete) = read("020000000001", document.as_bytes()).unwrap();
            assert_eq!(said, format!("left out: vm-data/networking/020000000001: {left_out}"));
            assert_eq!((is_complete, shown(document).as_deref()), (complete, Ok(wanted)), "{document}");
        }
        for document in ["", "[]", r#"{"ips":[}"#] {
            assert_eq!(shown(document), Err("not a JSON object"), "{document}");
        }
        assert_eq!(parsed("eth0", b"{}"), Err("no MAC address in its name"));
        assert!(parsed("eth0", br#"{"mac":"bc:76:4e:04:cf:e5"}"#).is_ok());
    }

    #[test]
    fn the_default_route_that_was_meant_counts_and_the_others_are_told() {
        let document = r#"{"gateway":"10.0.0.2","gateway_v6":"fe80::2",
            "ips":[{"ip":"10.0.0.5/24","gateway":"10.0.0.3"},{"ip":"10.0.1.5/24","gateway":"10.0.1.3"},
                   {"ip":"10.0.1.6/24","gateway":"10.0.1.3"}],
            "routes":[{"route":"10.9.0.0/16","gateway":"10.0.0.9"},{"route":"0.0.0.0/0","gateway":"10.0.0.1"},
                      {"route":"10.9.0.0/16","gateway":"10.0.0.8"}]}"#;
        let wanted =
            "10.0.0.5/24 10.0.1.5/24 10.0.1.6/24 10.9.0.0/16 via 10.0.0.9 0.0.0.0/0 via 10.0.0.1 ::/0 via fe80::2";
        assert_eq!(shown(document).as_deref(), Ok(wanted));
        let (_, said, complete) = read("020000000001", document.as_bytes()).unwrap();
        for lost in
            ["10.9.0.0/16 via 10.0.0.8", "0.0.0.0/0 via 10.0.0.2", "0.0.0.0/0 via 10.0.0.3", "0.0.0.0/0 via 10.0.1.3"]
        {
            let sentence = format!("the route to {lost}: another one leads there");
            assert_eq!(said.matches(&sentence).count(), 1, "{said}");
        }
        assert!(complete);
    }

    #[test]
    fn of_what_there_is_too_much_of_the_first_counts() {
        use crate::network::model::{ADDRESSES_MAX, DNS_MAX};
        let many = |member: &str, count: usize, one: &dyn Fn(usize) -> String| {
            let document = format!(r#"{{"{member}":[{}]}}"#, (0..count).map(one).collect::<Vec<_>>().join(","));
            let (found, said, complete) = read("020000000001", document.as_bytes()).unwrap();
            (found.addresses.len() + found.routes.len() + found.dns.len(), said, complete)
        };
        let (count, said, complete) = many("dns", DNS_MAX + 1, &|n| format!(r#""1.1.1.{n}""#));
        assert_eq!((count, complete), (DNS_MAX, true));
        assert!(said.ends_with("'dns' is one too many: 1.1.1.16"), "{said}");
        let (count, said, complete) = many("ips", ADDRESSES_MAX + 1, &|n| format!(r#""10.0.0.{n}/8""#));
        assert_eq!((count, complete), (ADDRESSES_MAX, false));
        assert!(said.ends_with("'ip' is one too many: 10.0.0.64/8"), "{said}");
        let (count, said, complete) = many("routes", ROUTES_MAX, &|n| format!(r#"{{"to":"10.{n}.0.0/16"}}"#));
        assert_eq!((count, complete), (ROUTES_MAX - 2, true));
        assert!(said.contains("the route to 10.62.0.0/16: there are too many; "), "{said}");
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
