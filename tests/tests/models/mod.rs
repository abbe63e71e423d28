//! What nova's driver for XenServer can write about an interface, as a table of models, and what each means.
//!
//! 320 models: 0 to 3 subnets of each family, with and without gateways, without routes of the subnets, with some of
//! either family, with default routes among them, twice over; prefixes run from 0 to 32 and to 128 and name servers
//! from none to nine along the way. The form is nova's (`nova/virt/xenapi/vmops.py`): broadcast "None" for networks
//! without one, IPv6 masks of routes as addresses, a gateway of null where there is none, a next hop of null or
//! unspecified for what is on the link.
//!
//! What a model means is said here once more, by its own few rules, and not by nanova's reader.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

/// How many there are.
pub(crate) const COUNT: usize = 320;

/// A subnet, with the guest's address in it.
struct Subnet {
    ip: IpAddr,
    prefix: u8,
    gateway: Option<IpAddr>,
}

/// A route of a subnet's.
struct HostRoute {
    to: IpAddr,
    prefix: u8,
    hop: Option<IpAddr>,
}

/// An interface as nova knows it.
pub(crate) struct Model {
    subnets: Vec<Subnet>,
    routes: Vec<HostRoute>,
    servers: Vec<IpAddr>,
}

/// What the kernel has of an interface: addresses with their broadcast addresses, and routes that are not its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) addresses: BTreeSet<String>,
    pub(crate) routes: BTreeSet<String>,
}

impl Model {
    /// The model of this number.
    pub(crate) fn of(number: usize) -> Model {
        let (four, rest) = (number % 4, number / 4);
        let (six, rest) = (rest % 4, rest / 4);
        let (has_gateway, routes) = (rest % 2 == 0, rest / 2 % 5);
        let mut model = Model { subnets: Vec::new(), routes: Vec::new(), servers: Vec::new() };
        for place in 0..four {
            // 7 and 33 have no common divisor, so that all prefixes come.
            let prefix = ((number * 7 + place * 11) % 33) as u8;
            model.subnets.push(Subnet::v4(place as u8, prefix, has_gateway, number));
        }
        for place in 0..six {
            let prefix = ((number * 7 + place * 43) % 129) as u8;
            model.subnets.push(Subnet::v6(place as u16, prefix, has_gateway, number));
        }
        for (family, any) in [(4, four > 0 && routes & 1 == 1), (6, six > 0 && routes & 2 == 2)] {
            if any || routes == 4 && (if family == 4 { four } else { six }) > 0 {
                model.add_routes(family, number, routes == 4);
            }
        }
        for place in 0..number % 10 {
            model.servers.push(match place % 3 {
                2 => IpAddr::V6(Ipv6Addr::new(0x2620, 0xfe, 0, 0, 0, 0, number as u16, place as u16)),
                _ => Ipv4Addr::new(9, 9, number as u8, place as u8).into(),
            });
        }
        model
    }

    /// Some routes of a family; a default route among them.
    fn add_routes(&mut self, family: u8, number: usize, everything: bool) {
        let Some(subnet) = self.subnets.iter().find(|subnet| subnet.ip.is_ipv4() == (family == 4)) else { return };
        let (own, on_link) = (subnet.neighbour(9), number.is_multiple_of(3));
        let zero: IpAddr = if family == 4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let hop = if on_link { [None, Some(zero)][number % 2] } else { Some(own) };
        let to: [(IpAddr, u8); 2] = match family {
            4 => [(Ipv4Addr::new(198, 18, 0, 0).into(), 15), (Ipv4Addr::new(169, 254, 169, 254).into(), 32)],
            _ => [("2001:db8:ff::".parse().unwrap(), 48), ("2001:db8:fe::7".parse().unwrap(), 128)],
        };
        for (to, prefix) in to {
            self.routes.push(HostRoute { to, prefix, hop });
        }
        if everything {
            self.routes.push(HostRoute { to: zero, prefix: 0, hop: Some(own) });
        }
    }

    /// The value that nova writes.
    pub(crate) fn value(&self) -> String {
        let of_family = |is_four: bool| self.subnets.iter().filter(move |subnet| subnet.ip.is_ipv4() == is_four);
        let gateway = |is_four| of_family(is_four).next().and_then(|subnet| subnet.gateway);
        let ips = of_family(true).map(
            |subnet| json!({"ip": subnet.ip, "netmask": mask(subnet.ip, subnet.prefix), "enabled": "1", "gateway": subnet.gateway}),
        );
        let ip6s = of_family(false).map(
            |subnet| json!({"ip": subnet.ip, "netmask": subnet.prefix, "enabled": "1", "gateway": subnet.gateway}),
        );
        let routes = self
            .routes
            .iter()
            .map(|route| json!({"route": route.to, "netmask": mask(route.to, route.prefix), "gateway": route.hop}));
        let broadcast = of_family(true).next().map(|subnet| subnet.broadcast().unwrap_or_else(|| "None".to_owned()));
        let mut value = json!({
            "label": "public", "mac": "BC:76:4E:04:CF:E5", "ips": ips.collect::<Vec<_>>(), "gateway": gateway(true),
            "broadcast": broadcast, "dns": self.servers, "routes": routes.collect::<Vec<_>>(),
        });
        if let (true, Value::Object(members)) = (of_family(false).next().is_some(), &mut value) {
            members.insert("ip6s".to_owned(), ip6s.collect());
            members.insert("gateway_v6".to_owned(), json!(gateway(false)));
        }
        value.to_string()
    }

    /// What it means.
    pub(crate) fn state(&self) -> State {
        let mut state = State::default();
        for subnet in &self.subnets {
            let broadcast = subnet.broadcast().unwrap_or_else(|| "-".to_owned());
            state.addresses.insert(format!("{}/{} {broadcast}", subnet.ip, subnet.prefix));
        }
        for is_four in [true, false] {
            let mut routes = self.routes.iter().filter(|route| route.to.is_ipv4() == is_four);
            let explicit = routes.clone().find(|route| route.prefix == 0).and_then(|route| route.hop);
            let first = self.subnets.iter().find(|subnet| subnet.ip.is_ipv4() == is_four);
            let via = explicit.or_else(|| first?.gateway);
            state.routes.extend(via.map(|via| format!("{} default via {via}", if is_four { 4 } else { 6 })));
            for route in routes.by_ref().filter(|route| route.prefix > 0) {
                let via = route.hop.filter(|hop| !hop.is_unspecified());
                let via = via.map_or(String::new(), |via| format!(" via {via}"));
                state.routes.insert(format!("{} {}/{}{via}", if is_four { 4 } else { 6 }, route.to, route.prefix));
            }
        }
        state
    }

    /// Its name servers.
    pub(crate) fn servers(&self) -> Vec<String> {
        self.servers.iter().map(IpAddr::to_string).collect()
    }
}

impl Subnet {
    fn v4(place: u8, prefix: u8, has_gateway: bool, number: usize) -> Subnet {
        let base = [Ipv4Addr::new(192, 168, 64, 64), Ipv4Addr::new(100, 64, 32, 32), Ipv4Addr::new(203, 0, 113, 128)];
        let base = base[usize::from(place)].to_bits() | (number as u32 % 8) << 8;
        let host = if prefix < 30 { 5 } else { u32::from(prefix == 30) };
        let subnet = Subnet { ip: Ipv4Addr::from_bits(base | host).into(), prefix, gateway: None };
        let gateway = has_gateway.then(|| subnet.neighbour(1));
        Subnet { gateway, ..subnet }
    }

    fn v6(place: u16, prefix: u8, has_gateway: bool, number: usize) -> Subnet {
        let ip = Ipv6Addr::new(0x2001, 0xdb8, place + 1, 0, 0, 0, number as u16, 0x54).into();
        let subnet = Subnet { ip, prefix, gateway: None };
        let gateway = has_gateway
            .then(|| if number.is_multiple_of(2) { "fe80::1".parse().unwrap() } else { subnet.neighbour(1) });
        Subnet { gateway, ..subnet }
    }

    /// Another address; in this subnet, if there is room in it.
    fn neighbour(&self, host: u8) -> IpAddr {
        match self.ip {
            IpAddr::V4(ip) => match self.prefix {
                0..30 => Ipv4Addr::from_bits(ip.to_bits() & !7 | 6 & u32::from(host) | 1),
                30 => Ipv4Addr::from_bits(ip.to_bits() ^ 3),
                _ => Ipv4Addr::from_bits(ip.to_bits() ^ 1),
            }
            .into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() ^ 1).into(),
        }
    }

    fn broadcast(&self) -> Option<String> {
        let IpAddr::V4(ip) = self.ip else { return None };
        let hosts = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
        (self.prefix < 31).then(|| Ipv4Addr::from_bits(ip.to_bits() | hosts).to_string())
    }
}

/// A mask as an address.
fn mask(like: IpAddr, prefix: u8) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from_bits(!u32::MAX.checked_shr(prefix.into()).unwrap_or(0)).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(!u128::MAX.checked_shr(prefix.into()).unwrap_or(0)).into(),
    }
}
