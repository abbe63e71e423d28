//! A network's model: read from a xenstore, and its rules.

use nanova_core::network::model::{HOSTNAME_MAX, Interface, Network};
use nanova_core::network::problems::Problems;
use nanova_core::wire::net::Prefixed;
use nanova_core::xenstore::Client;

use crate::nodes::{Counted, Nodes};

/// Reads the network that a store has. Returns what was wrong.
pub fn read(network: &mut Network, store: Nodes<'_>) -> String {
    let mut client = Client::new(store);
    let mut log = Counted::default();
    let mut problems = Problems::new();
    network.read(&mut client, &mut log, &mut problems).expect("this store answers");
    problems.message(&mut log).as_str().to_owned()
}

/// The rules of a model.
pub fn check(network: &Network) {
    if let Some(name) = &network.hostname {
        assert!(name.len() <= HOSTNAME_MAX && name.split('.').all(|label| (1..=63).contains(&label.len())), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{name}");
    }
    for (place, interface) in network.interfaces.iter().enumerate() {
        let is_new = network.interfaces[..place].iter().all(|other| other.mac != interface.mac);
        assert!(is_new, "{} is there once", interface.mac);
        assert!(!interface.label.chars().any(|c| c.is_control() || c == '\\'));
        for address in &interface.addresses {
            check_prefixed(address);
            assert!(!address.ip.is_unspecified() && !address.ip.is_multicast(), "{address}");
            let _ = (interface.broadcast_of(address), address.netmask());
        }
        let first_default = interface.routes.iter().position(|route| route.to.prefix == 0);
        let defaults = interface.routes.get(first_default.unwrap_or(usize::MAX)..).unwrap_or_default();
        assert!(
            defaults.len() <= 2 && defaults.iter().all(|route| route.to.prefix == 0),
            "defaults come last, one each"
        );
        for (place, route) in interface.routes.iter().enumerate() {
            check_prefixed(&route.to);
            assert_eq!(route.to.network(), route.to, "a network has no host bits");
            assert_eq!(route.to.ip.family(), route.via.family());
            assert!(interface.routes[..place].iter().all(|other| other.to != route.to), "one way to {}", route.to);
            let _ = (interface.is_far(route.via), route.neighbour());
        }
        for (place, server) in interface.dns.iter().enumerate() {
            assert!(!interface.dns[..place].contains(server), "each name server once");
        }
    }
}

fn check_prefixed(prefixed: &Prefixed) {
    assert!(prefixed.prefix <= prefixed.ip.family().bits());
    assert_eq!(prefixed.ip.to_string().parse(), Ok(prefixed.ip), "what is written is read back");
}

/// The network that a value of vm-data says.
pub fn interface(name: &str, document: &str) -> Interface {
    let mut store = Nodes::default();
    store.put(format!("vm-data/networking/{name}"), document.as_bytes());
    let mut network = Network::new();
    let wrong = read(&mut network, store);
    assert_eq!(wrong, "");
    network.interfaces.pop().expect("there is an interface")
}
