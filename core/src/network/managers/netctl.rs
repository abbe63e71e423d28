//! netctl's `/etc/netctl/nanova-<device>`: Arch Linux of old. Which profiles are enabled is the administrator's to say
//! (`netctl enable`). Rules: netctl.profile(5).

use crate::files::lines::Sink;
use crate::network::model::Interface;

/// Writes the profile of an interface.
#[inline(never)]
pub fn render(out: &mut dyn Sink, interface: &Interface, device: &str) {
    write!(
        out,
        "# Written by nanova from vm-data in xenstore.\nDescription='nanova'\nInterface={device}\nConnection=ethernet\n"
    );
    for (ipv4, six) in [(true, ""), (false, "6")] {
        if interface.addresses_of(ipv4).next().is_none() {
            let automatic = if ipv4 { "dhcp" } else { "stateless" };
            writeln!(out, "IP{six}={}", if interface.speaks_of(ipv4) { "no" } else { automatic });
            continue;
        }
        write!(out, "IP{six}=static\nAddress{six}=(");
        interface.addresses_of(ipv4).for_each(|address| write!(out, "'{address}' "));
        write!(out, ")\nRoutes{six}=(");
        for route in interface.routes.iter().filter(|route| route.via.is_ipv4() == ipv4) {
            let far = interface.is_far(route.via);
            if route.to.prefix != 0 || far {
                write!(out, "'{} via {}{}' ", route.to, route.via, if far { " onlink" } else { "" });
            }
        }
        out.put(")\n");
        if let Some(via) = interface.gateway(ipv4).filter(|via| !interface.is_far(*via)) {
            writeln!(out, "Gateway{six}='{via}'");
        }
    }
    out.put("DNS=(");
    interface.dns.iter().for_each(|server| write!(out, "'{server}' "));
    out.put(")\n");
    if let Some(mtu) = interface.mtu.map(u64::from) {
        // netctl has no key for it.
        writeln!(out, "ExecUpPost='ip link set dev {device} mtu {mtu}'");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::source::parse::tests::public;

    #[test]
    fn the_profile_of_a_real_guest() {
        let mut text = String::new();
        render(&mut text, &public(), "eth0");
        assert_eq!(
            text,
            "# Written by nanova from vm-data in xenstore.\nDescription='nanova'\nInterface=eth0\nConnection=ethernet\n\
             IP=static\nAddress=('166.78.10.124/24' )\nRoutes=()\nGateway='166.78.10.1'\n\
             IP6=static\nAddress6=('2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64' )\nRoutes6=()\nGateway6='fe80::def'\n\
             DNS=('72.3.128.241' '72.3.128.240' )\n"
        );
    }
}
